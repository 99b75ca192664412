//! Bytes ⇄ message. Total: every byte string is a message or one named error.

use core::fmt;

use crate::auth::Key;
use crate::extension;
use crate::message::{ByteOrder, Datagram, Extension, Message};
use crate::wire::{DATAGRAM_MAX, HMAC_SHA_256, MAGIC, MARK, MESSAGE_LEN, VERSION};

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
    /// A version 1 message is followed by bytes that are no extension.
    TrailingBytes {
        /// How many bytes follow the first eight.
        extra: usize,
    },
    /// More bytes than any message has.
    TooLong {
        /// How many bytes there were.
        len: usize,
    },
    /// A field comes after the MAC, which does not cover it.
    MacNotLast {
        /// Its type.
        kind: u8,
    },
    /// A field is longer than what is left of the datagram.
    FieldCutOff {
        /// Its type.
        kind: u8,
    },
    /// A second field of one type.
    RepeatedField {
        /// Its type.
        kind: u8,
    },
    /// A field that must be understood and is not.
    UnknownCriticalField {
        /// Its type: 128 to 255.
        kind: u8,
    },
    /// A field that has another length than its type demands.
    WrongFieldLength {
        /// Its type.
        kind: u8,
        /// How many bytes its value has.
        len: usize,
    },
    /// A node name with characters that no name has.
    BadNodeName,
    /// An authentication code of an algorithm that this code does not know.
    UnknownAlgorithm {
        /// Its number.
        algorithm: u8,
    },
    /// A MAC without a field that each signed message has.
    MissingField {
        /// The field's type.
        kind: u8,
    },
}

impl DecodeError {
    /// How many causes there are.
    pub const COUNT: usize = 14;

    /// One of each cause, in their order, for whoever asks [`crate::tracker::Counters::refused`] about all of them: the
    /// details do not matter there.
    pub const EACH: [Self; Self::COUNT] = [
        Self::Empty,
        Self::Truncated { len: 0 },
        Self::BadMagic { found: 0 },
        Self::UnsupportedVersion { version: 0 },
        Self::TrailingBytes { extra: 0 },
        Self::TooLong { len: 0 },
        Self::MacNotLast { kind: 0 },
        Self::FieldCutOff { kind: 0 },
        Self::RepeatedField { kind: 0 },
        Self::UnknownCriticalField { kind: 0 },
        Self::WrongFieldLength { kind: 0, len: 0 },
        Self::BadNodeName,
        Self::UnknownAlgorithm { algorithm: 0 },
        Self::MissingField { kind: 0 },
    ];

    /// Its place among the causes, 0 to 13, and what PROTOCOL.md §7 calls it.
    #[must_use]
    pub const fn cause(self) -> (usize, &'static str) {
        match self {
            Self::Empty => (0, "empty"),
            Self::Truncated { .. } => (1, "truncated"),
            Self::BadMagic { .. } => (2, "bad magic"),
            Self::UnsupportedVersion { .. } => (3, "unsupported version"),
            Self::TrailingBytes { .. } => (4, "trailing bytes"),
            Self::TooLong { .. } => (5, "too long"),
            Self::MacNotLast { .. } => (6, "MAC not last"),
            Self::FieldCutOff { .. } => (7, "field cut off"),
            Self::RepeatedField { .. } => (8, "repeated field"),
            Self::UnknownCriticalField { .. } => (9, "unknown critical field"),
            Self::WrongFieldLength { .. } => (10, "wrong field length"),
            Self::BadNodeName => (11, "bad node name"),
            Self::UnknownAlgorithm { .. } => (12, "unknown algorithm"),
            Self::MissingField { .. } => (13, "missing field"),
        }
    }
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
            Self::TooLong { len } => {
                write!(f, "too long: {len} bytes, a message has at most {DATAGRAM_MAX}")
            }
            Self::TrailingBytes { extra } => {
                write!(f, "{extra} bytes after the message that are no extension")
            }
            Self::MacNotLast { kind } => write!(f, "field {kind:#04x} after the MAC"),
            Self::FieldCutOff { kind } => write!(f, "field {kind:#04x} is cut off"),
            Self::RepeatedField { kind } => write!(f, "field {kind:#04x} comes twice"),
            Self::UnknownCriticalField { kind } => {
                write!(f, "field {kind:#04x} is critical and not known")
            }
            Self::WrongFieldLength { kind, len } => {
                write!(f, "field {kind:#04x} cannot have {len} bytes")
            }
            Self::BadNodeName => write!(f, "the node name has characters other than '!' to '~'"),
            Self::UnknownAlgorithm { algorithm } => {
                write!(f, "MAC of unknown algorithm {algorithm}, known is {HMAC_SHA_256}")
            }
            Self::MissingField { kind } => write!(f, "signed, but without field {kind:#04x}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeError {
    /// The node name is empty, longer than 253 characters, or has others than `!` to `~`.
    BadNodeName,
    /// A field is missing that each signed message has.
    MissingField {
        /// Its type.
        kind: u8,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadNodeName => write!(f, "a node name has 1 to 253 characters, '!' to '~'"),
            Self::MissingField { kind } => {
                write!(f, "a signed message cannot be without field {kind:#04x}")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

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

/// A message with an extension that nothing proves (PROTOCOL.md §4). What `datagram` held is gone.
///
/// # Errors
/// [`EncodeError::BadNodeName`].
pub fn encode_extended(
    byte_order: ByteOrder,
    extension: &Extension<'_>,
    datagram: &mut Datagram,
) -> Result<(), EncodeError> {
    extension::write(byte_order, extension, datagram)
}

/// A signed message (PROTOCOL.md §6); `key` is that of the node which the extension names. What
/// `datagram` held is gone.
///
/// # Errors
/// When the extension lacks what a signed message must have, or its node name cannot be one.
pub fn sign(
    byte_order: ByteOrder,
    extension: &Extension<'_>,
    key: &Key,
    datagram: &mut Datagram,
) -> Result<(), EncodeError> {
    extension::missing(extension).map_or(Ok(()), |kind| Err(EncodeError::MissingField { kind }))?;
    extension::write(byte_order, extension, datagram)?;
    extension::seal(key, datagram);
    Ok(())
}

/// Reads one whole datagram (PROTOCOL.md §7).
///
/// The datagram must be whole: a caller that cut it to a buffer would turn a refused message into
/// an accepted one. A MAC is not verified here: see [`Message::signed`].
///
/// # Errors
///
/// One [`DecodeError`] variant per cause, tested in the order in which PROTOCOL.md §7 has them.
#[inline]
pub fn decode(datagram: &[u8]) -> Result<Message<'_>, DecodeError> {
    let Some((&[m0, m1, m2, m3], rest)) = datagram.split_first_chunk() else {
        return Err(too_short(datagram.len()));
    };
    let Some((&[v0, v1, v2, v3], rest)) = rest.split_first_chunk() else {
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
    if rest.is_empty() { Ok(Message::v1(byte_order)) } else { extended(datagram, byte_order, rest) }
}

/// Apart from [`decode`], so that what is plain or foreign is told without a detour.
#[inline(never)]
fn extended<'a>(
    datagram: &'a [u8],
    byte_order: ByteOrder,
    rest: &'a [u8],
) -> Result<Message<'a>, DecodeError> {
    let Some(fields) = rest.strip_prefix(&MARK) else {
        return Err(DecodeError::TrailingBytes { extra: rest.len() });
    };
    if datagram.len() > DATAGRAM_MAX {
        return Err(DecodeError::TooLong { len: datagram.len() });
    }
    let (extension, mac) = extension::read(datagram, fields)?;
    Ok(Message { byte_order, extension: Some(extension), mac })
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
        assert_eq!(said(&bytes), "1 bytes after the message that are no extension");
        bytes.truncate(8);
        bytes.extend_from_slice(&MARK);
        bytes.resize(509, 0);
        assert_eq!(said(&bytes), "too long: 509 bytes, a message has at most 508");
    }

    #[test]
    fn a_message_of_mixed_byte_order_is_of_no_known_version() {
        let bytes = [0x40, 0x2a, 0x30, 0x1b, 0, 0, 0, 1];
        assert_eq!(decode(&bytes), Err(DecodeError::UnsupportedVersion { version: 0x0100_0000 }));
    }

    #[test]
    fn each_cause_is_listed_in_its_place() {
        let places = DecodeError::EACH.map(|error| error.cause().0);
        assert!(places.into_iter().eq(0..DecodeError::COUNT));
    }
}
