//! What came in: a whole message, or why it is none.

use std::fmt;
use std::sync::Arc;

use fence_kdump_core::{ByteOrder, DecodeError, Instant, Message, decode, encode};

use crate::address::Address;

/// The bytes of a message, all of them: only what the protocol lets be one can be made into this.
///
/// Of a message of eight bytes it is only known in which of two ways it was written: it costs no allocation, and
/// moving it about costs little.
#[derive(Clone, PartialEq, Eq)]
pub struct Words(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    Short(ByteOrder),
    Long { bytes: Arc<[u8]>, is_signed: bool, is_answer: bool },
}

impl Words {
    /// Keeps `datagram`, which has to be whole, if it is a message: at most 508 bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(datagram: &[u8]) -> Result<Self, DecodeError> {
        let message = decode(datagram)?;
        if message.extension.is_none() {
            return Ok(Self(Kept::Short(message.byte_order)));
        }
        let signed = message.signed();
        let is_answer = signed.is_some_and(|signed| signed.answer.is_some());
        Ok(Self(Kept::Long { bytes: datagram.into(), is_signed: signed.is_some(), is_answer }))
    }

    /// What they say.
    ///
    /// # Errors
    /// None that [`Words::read`] did not tell already.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        match &self.0 {
            Kept::Short(byte_order) => Ok(Message::v1(*byte_order)),
            Kept::Long { bytes, .. } => decode(bytes),
        }
    }

    /// In which byte order they were written, when there are no more than the eight that each message begins with.
    #[must_use]
    pub fn short(&self) -> Option<ByteOrder> {
        match self.0 {
            Kept::Short(byte_order) => Some(byte_order),
            Kept::Long { .. } => None,
        }
    }

    /// Whether the message has a MAC, right or wrong.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(self.0, Kept::Long { is_signed: true, .. })
    }

    /// Whether that message also says that it answers a challenge.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self.0, Kept::Long { is_answer: true, .. })
    }

    /// As they were on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        const LITTLE: &[u8] = &encode(ByteOrder::Little);
        const BIG: &[u8] = &encode(ByteOrder::Big);
        match &self.0 {
            Kept::Short(ByteOrder::Little) => LITTLE,
            Kept::Short(ByteOrder::Big) => BIG,
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
