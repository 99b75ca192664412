//! Where the bytes are (PROTOCOL.md §3, §4, §9).

/// The UDP port on which nodes listen unless told otherwise (PROTOCOL.md §2).
pub const PORT: u16 = 7410;

/// Bytes 0 to 3 of every message, as a number in the sender's byte order.
pub const MAGIC: u32 = 0x1B30_2A40;

/// Bytes 4 to 7, likewise: the only version there is.
pub const VERSION: u32 = 1;

/// Length in bytes of a version 1 message without an extension.
pub const MESSAGE_LEN: usize = 8;

/// The most bytes that a message has, with everything that it may carry: no network fragments it.
pub const DATAGRAM_MAX: usize = 508;

/// Bytes 8 to 11 of a message with an extension: `KDX1`.
pub const MARK: [u8; 4] = *b"KDX1";

/// The bit of a field's type which says that whoever does not know the type must refuse the datagram.
pub const CRITICAL: u8 = 0x80;

/// Types of fields (PROTOCOL.md §4.2).
pub mod field {
    /// The node's name.
    pub const NODE_NAME: u8 = 0x01;
    /// The machine's id.
    pub const MACHINE_ID: u8 = 0x02;
    /// A random id of one run of the sender.
    pub const CRASH_ID: u8 = 0x03;
    /// Greater in each message.
    pub const SEQUENCE: u8 = 0x04;
    /// Milliseconds since 1970, by the sender's clock.
    pub const WALL_CLOCK: u8 = 0x05;
    /// Milliseconds since the crash kernel started.
    pub const UPTIME: u8 = 0x06;
    /// Milliseconds until the next message.
    pub const INTERVAL: u8 = 0x07;
    /// What the node is doing.
    pub const PHASE: u8 = 0x08;
    /// How much of the dump is done, and how much there is.
    pub const PROGRESS: u8 = 0x09;
    /// The nonce of a challenge.
    pub const ANSWER: u8 = 0x0a;
    /// Which cluster key.
    pub const KEY_ID: u8 = 0x0b;
    /// Algorithm and authentication code.
    pub const MAC: u8 = 0xff;
}

/// The longest NODE NAME, in bytes: that of a domain name (RFC 1035 §2.3.4, without the last dot).
pub const NODE_NAME_MAX: usize = 253;

/// The algorithm number of HMAC-SHA-256 (PROTOCOL.md §6).
pub const HMAC_SHA_256: u8 = 1;

/// The length in bytes of an authentication code.
pub const CODE_LEN: usize = 32;

/// The first bytes of a challenge: `KDC1`.
pub const CHALLENGE_MARK: [u8; 4] = *b"KDC1";

/// The length in bytes of a challenge (PROTOCOL.md §9).
pub const CHALLENGE_LEN: usize = 72;
