//! Where the bytes are (PROTOCOL.md §3).

use core::ops::Range;

/// The UDP port on which nodes listen unless told otherwise (PROTOCOL.md §2).
pub const PORT: u16 = 7410;

/// The first four bytes of every message, as a number in the sender's byte order.
pub const MAGIC: u32 = 0x1B30_2A40;

/// The only version there is.
pub const VERSION: u32 = 1;

/// Where [`MAGIC`] stands.
pub const MAGIC_AT: Range<usize> = 0..4;

/// Where [`VERSION`] stands.
pub const VERSION_AT: Range<usize> = 4..8;

/// Length in bytes of a version 1 message without an extension.
pub const MESSAGE_LEN: usize = 8;
