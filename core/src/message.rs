//! What can be said.

/// The order in which a sender wrote its numbers: its own, since the message never had a network
/// byte order (PROTOCOL.md §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first: x86_64, aarch64, ppc64le.
    Little,
    /// Most significant byte first: s390x.
    Big,
}

impl ByteOrder {
    /// The byte order of the machine that this code was compiled for.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// "The production kernel of the machine that sends this has stopped and its crash kernel runs"
/// (PROTOCOL.md §1).
///
/// The plain message says nothing else: who sent it is known by its source address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Message {
    /// The byte order that the sender used.
    pub byte_order: ByteOrder,
}

impl Message {
    /// The plain version 1 message in the given byte order.
    #[must_use]
    pub const fn v1(byte_order: ByteOrder) -> Self {
        Self { byte_order }
    }
}
