//! What came in: a whole message, or why it is none.

use std::fmt;
use std::sync::Arc;

use fence_kdump_core::wire::MESSAGE_LEN;
use fence_kdump_core::{DecodeError, Instant, Message, decode};

use crate::address::Address;

/// The bytes of a message, all of them: only what the protocol lets be one can be made into this.
///
/// A message of eight bytes is kept in place: it costs no allocation, and moving it about costs little.
#[derive(Clone, PartialEq, Eq)]
pub struct Words(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Short([u8; MESSAGE_LEN]),
    Long { bytes: Arc<[u8]>, is_signed: bool },
}

impl Words {
    /// Keeps `datagram`, which has to be whole, if it is a message: at most 508 bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(datagram: &[u8]) -> Result<Self, DecodeError> {
        let is_signed = decode(datagram)?.signed().is_some();
        Ok(Self(match datagram.try_into() {
            Ok(bytes) => Kept::Short(bytes),
            Err(_) => Kept::Long { bytes: datagram.into(), is_signed },
        }))
    }

    /// What they say.
    ///
    /// # Errors
    /// None that [`Words::read`] did not tell already.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        decode(self.as_bytes())
    }

    /// Whether the message has a MAC, right or wrong.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(self.0, Kept::Long { is_signed: true, .. })
    }

    /// As they were on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Kept::Short(bytes) => bytes,
            Kept::Long { bytes, .. } => bytes,
        }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({:?})", self.message())
    }
}

/// One datagram. What was no message has left nothing behind but the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// When it arrived at this host, or earlier when that is in doubt.
    pub received_at: Instant,
    /// Where it came from.
    pub from: Address,
    /// From which UDP port; 0 when it cannot be answered.
    pub port: u16,
    /// What it said.
    pub said: Result<Words, DecodeError>,
}

impl Datagram {
    /// The message.
    ///
    /// # Errors
    /// When it is none.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        self.said.as_ref().map_err(|error| *error).and_then(Words::message)
    }
}
