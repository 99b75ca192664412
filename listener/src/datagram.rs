//! What came in: a whole message, or why it is none.

use std::fmt;

use fence_kdump_core::{DecodeError, Instant, Message, decode};

use crate::address::Address;

/// The bytes of a message, all of them: only what the protocol lets be one can be made into this. They
/// are kept in place, so that no datagram costs an allocation.
#[derive(PartialEq, Eq)]
pub struct Words {
    bytes: fence_kdump_core::Datagram,
    is_signed: bool,
}

impl Words {
    /// Keeps `datagram`, which has to be whole, if it is a message: at most 508 bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(datagram: &[u8]) -> Result<Self, DecodeError> {
        let is_signed = decode(datagram)?.signed().is_some();
        Self::of(datagram, is_signed)
    }

    fn of(bytes: &[u8], is_signed: bool) -> Result<Self, DecodeError> {
        let too_long = |_| DecodeError::TooLong { len: bytes.len() };
        let bytes = fence_kdump_core::Datagram::from_slice(bytes).map_err(too_long)?;
        Ok(Self { bytes, is_signed })
    }

    /// What they say.
    ///
    /// # Errors
    /// None that [`Words::read`] did not tell already.
    pub fn message(&self) -> Result<Message<'_>, DecodeError> {
        decode(&self.bytes)
    }

    /// Whether the message has a MAC, right or wrong.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// As they were on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Clone for Words {
    /// Copies the bytes that are there, and not all the room that they could have.
    fn clone(&self) -> Self {
        let mut bytes = fence_kdump_core::Datagram::new();
        // They fit there as they do here.
        let _ = bytes.extend_from_slice(&self.bytes);
        Self { bytes, is_signed: self.is_signed }
    }

    fn clone_from(&mut self, source: &Self) {
        self.bytes.clear();
        let _ = self.bytes.extend_from_slice(&source.bytes);
        self.is_signed = source.is_signed;
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({:?})", decode(&self.bytes))
    }
}

/// One datagram. What was no message has left nothing behind but the reason.
#[derive(Debug, PartialEq, Eq)]
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

impl Clone for Datagram {
    fn clone(&self) -> Self {
        Self { said: self.said.clone(), ..*self }
    }

    /// In place: only what was said is copied.
    fn clone_from(&mut self, source: &Self) {
        let Self { received_at, from, port, said } = source;
        (self.received_at, self.from, self.port) = (*received_at, *from, *port);
        match (&mut self.said, said) {
            (Ok(words), Ok(new)) => words.clone_from(new),
            (words, new) => *words = new.clone(),
        }
    }
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
