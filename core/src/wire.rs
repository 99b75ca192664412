//! Where the bytes are (PROTOCOL.md §3).

/// The UDP port on which nodes listen unless told otherwise (PROTOCOL.md §2).
pub const PORT: u16 = 7410;

/// Bytes 0 to 3 of every message, as a number in the sender's byte order.
pub const MAGIC: u32 = 0x1B30_2A40;

/// Bytes 4 to 7, likewise: the only version there is.
pub const VERSION: u32 = 1;

/// Length in bytes of a version 1 message without an extension.
pub const MESSAGE_LEN: usize = 8;
