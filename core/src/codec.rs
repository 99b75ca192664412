//! Bytes ⇄ message. Total: every byte string is a message or one named error.

use core::fmt;

use crate::message::{ByteOrder, Message};
use crate::wire::{MAGIC, MESSAGE_LEN, VERSION};

/// Why a byte string is no message. One variant per cause that a person can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// A datagram of no bytes.
    Empty,
    /// Fewer bytes than the shortest message has.
    Truncated {
        /// How many bytes there were: 1 to 7.
        len: usize,
    },
    /// The first four bytes are not the magic number in either byte order: not of this protocol.
    BadMagic {
        /// The first four bytes, read as a little-endian number.
        found: u32,
    },
    /// The magic number is right, the version is one that this code does not speak.
    UnsupportedVersion {
        /// The version, read in the byte order that the magic number showed.
        version: u32,
    },
    /// A version 1 message is followed by bytes that are no valid extension.
    TrailingBytes {
        /// How many bytes follow the first eight.
        extra: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => write!(f, "empty datagram, a message has {MESSAGE_LEN} bytes"),
            Self::Truncated { len } => {
                write!(f, "truncated: {len} bytes, a message has {MESSAGE_LEN}")
            }
            Self::BadMagic { found } => {
                write!(f, "bad magic {found:#010x}, a message starts with {MAGIC:#010x}")
            }
            Self::UnsupportedVersion { version } => {
                write!(f, "unsupported version {version}, known is {VERSION}")
            }
            Self::TrailingBytes { extra } => {
                write!(f, "{extra} bytes after the message that are no valid extension")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// The plain version 1 message in the byte order of the sender (PROTOCOL.md §3).
///
/// Senders use [`ByteOrder::NATIVE`]: receivers in the wild read their own byte order only.
#[must_use]
pub const fn encode(byte_order: ByteOrder) -> [u8; MESSAGE_LEN] {
    let ([m0, m1, m2, m3], [v0, v1, v2, v3]) = match byte_order {
        ByteOrder::Little => (MAGIC.to_le_bytes(), VERSION.to_le_bytes()),
        ByteOrder::Big => (MAGIC.to_be_bytes(), VERSION.to_be_bytes()),
    };
    [m0, m1, m2, m3, v0, v1, v2, v3]
}

/// Reads one whole datagram (PROTOCOL.md §4).
///
/// The datagram must be whole: a caller that cut it to a buffer would turn a refused message into
/// an accepted one.
///
/// # Errors
///
/// One [`DecodeError`] variant per cause, tested in the order in which they are declared.
pub const fn decode(datagram: &[u8]) -> Result<Message, DecodeError> {
    let Some((&[m0, m1, m2, m3], rest)) = datagram.split_first_chunk() else {
        return Err(too_short(datagram.len()));
    };
    let Some((&[v0, v1, v2, v3], extension)) = rest.split_first_chunk() else {
        return Err(too_short(datagram.len()));
    };
    // The magic number differs from its mirror image, so it alone tells the byte order.
    let (byte_order, version) = match u32::from_le_bytes([m0, m1, m2, m3]) {
        MAGIC => (ByteOrder::Little, u32::from_le_bytes([v0, v1, v2, v3])),
        MAGIC_SWAPPED => (ByteOrder::Big, u32::from_be_bytes([v0, v1, v2, v3])),
        found => return Err(DecodeError::BadMagic { found }),
    };
    if version != VERSION {
        return Err(DecodeError::UnsupportedVersion { version });
    }
    // Version 1 has no registered extension yet: every byte more is one that nobody vouches for.
    if !extension.is_empty() {
        return Err(DecodeError::TrailingBytes { extra: extension.len() });
    }
    Ok(Message::v1(byte_order))
}

const MAGIC_SWAPPED: u32 = MAGIC.swap_bytes();
const _: () = assert!(MAGIC != MAGIC_SWAPPED);

const fn too_short(len: usize) -> DecodeError {
    if len == 0 { DecodeError::Empty } else { DecodeError::Truncated { len } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_was_wrong_and_what_would_be_right() {
        let said = |bytes: &[u8]| decode(bytes).expect_err("refused").to_string();
        assert_eq!(said(&[]), "empty datagram, a message has 8 bytes");
        assert_eq!(said(&[0x40, 0x2a, 0x30]), "truncated: 3 bytes, a message has 8");
        assert_eq!(said(&[0; 8]), "bad magic 0x00000000, a message starts with 0x1b302a40");
        let mut bytes = encode(ByteOrder::Big);
        bytes[7] = 2;
        assert_eq!(said(&bytes), "unsupported version 2, known is 1");
        let mut bytes = encode(ByteOrder::Little).to_vec();
        bytes.push(0);
        assert_eq!(said(&bytes), "1 bytes after the message that are no valid extension");
    }

    #[test]
    fn a_message_of_mixed_byte_order_is_of_no_known_version() {
        let bytes = [0x40, 0x2a, 0x30, 0x1b, 0, 0, 0, 1];
        assert_eq!(decode(&bytes), Err(DecodeError::UnsupportedVersion { version: 0x0100_0000 }));
    }
}
