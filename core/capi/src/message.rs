//! What a message says: reading and writing.

use core::ffi::{c_char, c_int};

use fence_kdump_core::wire::{DATAGRAM_MAX, MESSAGE_LEN, NODE_NAME_MAX};
use fence_kdump_core::{
    ByteOrder, CrashId, Datagram, Extension, Key, KeyId, Message as Said, Nonce, Phase, Progress,
    decode, encode, encode_extended, sign,
};

use crate::code::{
    FENCE_KDUMP_ERROR_BYTE_ORDER, FENCE_KDUMP_ERROR_NODE_NAME, FENCE_KDUMP_ERROR_VALUE, code,
    of_refusal, of_speechlessness,
};
use crate::pointer::{Place, bytes, fill, read};

/// The UDP port on which nodes listen unless told otherwise.
pub const FENCE_KDUMP_PORT: u16 = 7410;
/// Length in bytes of a plain message.
pub const FENCE_KDUMP_MESSAGE_LEN: usize = 8;
/// The most bytes that a message has. Read datagrams into a buffer that is at least one byte larger.
pub const FENCE_KDUMP_DATAGRAM_MAX: usize = 508;
/// Room for a node name and the zero after it.
pub const FENCE_KDUMP_NAME_SIZE: usize = 254;

const _: () = assert!(
    FENCE_KDUMP_PORT == fence_kdump_core::PORT
        && FENCE_KDUMP_MESSAGE_LEN == MESSAGE_LEN
        && FENCE_KDUMP_DATAGRAM_MAX == DATAGRAM_MAX
        && FENCE_KDUMP_NAME_SIZE == NODE_NAME_MAX + 1
);

/// The byte order of the machine that the library was built for.
pub const FENCE_KDUMP_NATIVE: c_int = 0;
/// Least significant byte first.
pub const FENCE_KDUMP_LITTLE: c_int = 1;
/// Most significant byte first.
pub const FENCE_KDUMP_BIG: c_int = 2;

/// Bit of `has`: `node_name`.
pub const FENCE_KDUMP_HAS_NODE_NAME: u32 = 1;
/// Bit of `has`: `machine_id`.
pub const FENCE_KDUMP_HAS_MACHINE_ID: u32 = 2;
/// Bit of `has`: `crash_id`.
pub const FENCE_KDUMP_HAS_CRASH_ID: u32 = 4;
/// Bit of `has`: `sequence`.
pub const FENCE_KDUMP_HAS_SEQUENCE: u32 = 8;
/// Bit of `has`: `wall_clock_ms`.
pub const FENCE_KDUMP_HAS_WALL_CLOCK: u32 = 16;
/// Bit of `has`: `uptime_ms`.
pub const FENCE_KDUMP_HAS_UPTIME: u32 = 32;
/// Bit of `has`: `interval_ms`.
pub const FENCE_KDUMP_HAS_INTERVAL: u32 = 64;
/// Bit of `has`: `phase`.
pub const FENCE_KDUMP_HAS_PHASE: u32 = 128;
/// Bit of `has`: `done` and `total`.
pub const FENCE_KDUMP_HAS_PROGRESS: u32 = 256;
/// Bit of `has`: `answer`.
pub const FENCE_KDUMP_HAS_ANSWER: u32 = 512;
/// Bit of `has`: `key_id`.
pub const FENCE_KDUMP_HAS_KEY_ID: u32 = 1024;
/// Bit of `has`: something follows the first eight bytes. Heeded in messages that were read only.
pub const FENCE_KDUMP_HAS_EXTENSION: u32 = 0x4000_0000;
/// Bit of `has`: there is a MAC, which `fence_kdump_verify` looks at. Heeded in messages that were read
/// only.
pub const FENCE_KDUMP_HAS_MAC: u32 = 0x8000_0000;

const FIELDS: u32 = 0x7ff;

/// The node has started its crash kernel.
pub const FENCE_KDUMP_BOOTED: u8 = 1;
/// The node writes its dump.
pub const FENCE_KDUMP_DUMPING: u8 = 2;
/// The node has written its dump and will reboot.
pub const FENCE_KDUMP_FINISHED: u8 = 3;
/// The node could not write its dump.
pub const FENCE_KDUMP_FAILED: u8 = 4;
/// The node is about to reboot.
pub const FENCE_KDUMP_LEAVING: u8 = 5;

/// What a message says (PROTOCOL.md, section 4.2). Start with `fence_kdump_message message = {0};`.
///
/// A field counts when its bit of `has` is set. Nothing of it is proven before `fence_kdump_prove` has
/// said so.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Message {
    /// `FENCE_KDUMP_HAS_…` of the fields that there are.
    pub has: u32,
    /// `FENCE_KDUMP_NATIVE`, `_LITTLE` or `_BIG`. Senders use the first.
    pub byte_order: i32,
    /// Greater in each message of one crash.
    pub sequence: u64,
    /// The sender's clock, in milliseconds since 1970-01-01 00:00 UTC. For people only.
    pub wall_clock_ms: u64,
    /// Since the crash kernel started, in milliseconds, by its monotonic clock.
    pub uptime_ms: u64,
    /// How much of the dump is done, in bytes.
    pub done: u64,
    /// How much there is, in bytes; 0 when that is not known.
    pub total: u64,
    /// Until the next message at the latest, in milliseconds.
    pub interval_ms: u32,
    /// Names the cluster key that the node's key comes from.
    pub key_id: [u8; 4],
    /// The machine's id, as in machine-id(5).
    pub machine_id: [u8; 16],
    /// Random; the same in all messages of one run of the sender.
    pub crash_id: [u8; 16],
    /// The nonce of the challenge that the message answers.
    pub answer: [u8; 16],
    /// `FENCE_KDUMP_BOOTED` and its kin; another number says nothing.
    pub phase: u8,
    /// Zero.
    pub reserved: u8,
    /// The node's name and a zero.
    pub node_name: [c_char; FENCE_KDUMP_NAME_SIZE],
}

impl Message {
    /// A plain message of the machine that the library was built for.
    pub const PLAIN: Self = Self {
        has: 0,
        byte_order: FENCE_KDUMP_NATIVE,
        sequence: 0,
        wall_clock_ms: 0,
        uptime_ms: 0,
        done: 0,
        total: 0,
        interval_ms: 0,
        key_id: [0; 4],
        machine_id: [0; 16],
        crash_id: [0; 16],
        answer: [0; 16],
        phase: 0,
        reserved: 0,
        node_name: [0; FENCE_KDUMP_NAME_SIZE],
    };

    fn of(said: &Said<'_>) -> Self {
        let mut message = Self { byte_order: number(said.byte_order), ..Self::PLAIN };
        let Some(extension) = said.extension else {
            return message;
        };
        let Extension {
            node_name,
            machine_id,
            crash_id,
            sequence,
            wall_clock,
            uptime,
            interval,
            phase,
            progress,
            answer,
            key_id,
        } = extension;
        message.has = FENCE_KDUMP_HAS_EXTENSION;
        if said.signed().is_some() {
            message.has |= FENCE_KDUMP_HAS_MAC;
        }
        let has = &mut message.has;
        if let Some(name) = node_name {
            *has |= FENCE_KDUMP_HAS_NODE_NAME;
            write_name(&mut message.node_name, name);
        }
        let mut note = |bit: u32, there: bool| *has |= if there { bit } else { 0 };
        note(FENCE_KDUMP_HAS_MACHINE_ID, machine_id.is_some());
        note(FENCE_KDUMP_HAS_CRASH_ID, crash_id.is_some());
        note(FENCE_KDUMP_HAS_SEQUENCE, sequence.is_some());
        note(FENCE_KDUMP_HAS_WALL_CLOCK, wall_clock.is_some());
        note(FENCE_KDUMP_HAS_UPTIME, uptime.is_some());
        note(FENCE_KDUMP_HAS_INTERVAL, interval.is_some());
        note(FENCE_KDUMP_HAS_PHASE, phase.is_some());
        note(FENCE_KDUMP_HAS_PROGRESS, progress.is_some());
        note(FENCE_KDUMP_HAS_ANSWER, answer.is_some());
        note(FENCE_KDUMP_HAS_KEY_ID, key_id.is_some());
        let Progress { done, total } = progress.unwrap_or_default();
        Self {
            machine_id: machine_id.unwrap_or_default(),
            crash_id: crash_id.map(|id| id.0).unwrap_or_default(),
            sequence: sequence.unwrap_or_default(),
            wall_clock_ms: wall_clock.unwrap_or_default(),
            uptime_ms: uptime.unwrap_or_default(),
            interval_ms: interval.unwrap_or_default(),
            phase: phase.map(Phase::number).unwrap_or_default(),
            done,
            total,
            answer: answer.map(|nonce| nonce.0).unwrap_or_default(),
            key_id: key_id.map(|id| id.0).unwrap_or_default(),
            ..message
        }
    }

    /// What it says, or the code of what cannot be said.
    fn said(&self) -> Result<(ByteOrder, Extension<'_>), c_int> {
        let byte_order = byte_order(self.byte_order)?;
        if self.has & !(FIELDS | FENCE_KDUMP_HAS_EXTENSION | FENCE_KDUMP_HAS_MAC) != 0 {
            return Err(FENCE_KDUMP_ERROR_VALUE);
        }
        let has = |bit: u32| self.has & bit != 0;
        let node_name = if has(FENCE_KDUMP_HAS_NODE_NAME) {
            Some(self.name().ok_or(FENCE_KDUMP_ERROR_NODE_NAME)?)
        } else {
            None
        };
        let progress = Progress { done: self.done, total: self.total };
        let extension = Extension {
            node_name,
            machine_id: has(FENCE_KDUMP_HAS_MACHINE_ID).then_some(self.machine_id),
            crash_id: has(FENCE_KDUMP_HAS_CRASH_ID).then_some(CrashId(self.crash_id)),
            sequence: has(FENCE_KDUMP_HAS_SEQUENCE).then_some(self.sequence),
            wall_clock: has(FENCE_KDUMP_HAS_WALL_CLOCK).then_some(self.wall_clock_ms),
            uptime: has(FENCE_KDUMP_HAS_UPTIME).then_some(self.uptime_ms),
            interval: has(FENCE_KDUMP_HAS_INTERVAL).then_some(self.interval_ms),
            phase: has(FENCE_KDUMP_HAS_PHASE).then_some(Phase::of(self.phase)),
            progress: has(FENCE_KDUMP_HAS_PROGRESS).then_some(progress),
            answer: has(FENCE_KDUMP_HAS_ANSWER).then_some(Nonce(self.answer)),
            key_id: has(FENCE_KDUMP_HAS_KEY_ID).then_some(KeyId(self.key_id)),
        };
        Ok((byte_order, extension))
    }

    /// The name, when a zero follows it and it is text.
    fn name(&self) -> Option<&str> {
        // SAFETY: `c_char` is a byte with or without sign, and every bit pattern is one.
        let name: &[u8; FENCE_KDUMP_NAME_SIZE] =
            unsafe { &*core::ptr::from_ref(&self.node_name).cast() };
        core::ffi::CStr::from_bytes_until_nul(name).ok()?.to_str().ok()
    }

    /// A signed message that says this.
    pub(crate) fn signed(&self, key: &Key) -> Result<Datagram, c_int> {
        let (byte_order, extension) = self.said()?;
        let mut datagram = Datagram::new();
        sign(byte_order, &extension, key, &mut datagram).map_err(of_speechlessness)?;
        Ok(datagram)
    }
}

/// A name and its zero.
pub(crate) fn write_name(place: &mut [c_char; FENCE_KDUMP_NAME_SIZE], name: &str) {
    for (place, byte) in place.iter_mut().zip(name.bytes().chain([0])) {
        *place = byte as c_char;
    }
}

const fn number(byte_order: ByteOrder) -> c_int {
    match byte_order {
        ByteOrder::Little => FENCE_KDUMP_LITTLE,
        ByteOrder::Big => FENCE_KDUMP_BIG,
    }
}

const fn byte_order(number: c_int) -> Result<ByteOrder, c_int> {
    match number {
        FENCE_KDUMP_NATIVE => Ok(ByteOrder::NATIVE),
        FENCE_KDUMP_LITTLE => Ok(ByteOrder::Little),
        FENCE_KDUMP_BIG => Ok(ByteOrder::Big),
        _ => Err(FENCE_KDUMP_ERROR_BYTE_ORDER),
    }
}

/// Writes a plain message of `FENCE_KDUMP_MESSAGE_LEN` bytes to `buffer`, in `byte_order`.
///
/// Senders use `FENCE_KDUMP_NATIVE`. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NULL`,
/// `_BUFFER` or `_BYTE_ORDER`, and then has written nothing.
///
/// # Safety
///
/// `buffer` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_encode(
    buffer: *mut u8,
    size: usize,
    byte_order: c_int,
) -> c_int {
    let order = self::byte_order(byte_order);
    // SAFETY: the caller vouches for the buffer.
    code(order.and_then(|order| unsafe { fill(buffer, size, &encode(order)) }))
}

/// Reads one whole datagram of `len` bytes. Never pass a datagram that was cut to a buffer.
///
/// Returns `FENCE_KDUMP_OK` when it is a message, and then writes `FENCE_KDUMP_LITTLE` or `_BIG`
/// to `byte_order` unless that is NULL. Returns an error code otherwise and writes nothing.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes; `byte_order` is NULL or points to a
/// writable int.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_decode(
    datagram: *const u8,
    len: usize,
    byte_order: *mut c_int,
) -> c_int {
    let read = || {
        // SAFETY: the caller vouches for both; the slice is no longer used when the place is written.
        let (datagram, place) = unsafe { (bytes(datagram, len)?, Place::optional(byte_order)?) };
        let order = number(decode(datagram).map_err(of_refusal)?.byte_order);
        if let Some(place) = place {
            place.put(order);
        }
        Ok(())
    };
    code(read())
}

/// Reads one whole datagram of `len` bytes and writes what it says to `message`. Never pass a datagram
/// that was cut to a buffer.
///
/// A MAC is not verified here: see `fence_kdump_verify` and `fence_kdump_prove`. Returns
/// `FENCE_KDUMP_OK`; otherwise the message is as it was.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes; `message` is NULL or points to a writable
/// message.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_message_read(
    datagram: *const u8,
    len: usize,
    message: *mut Message,
) -> c_int {
    let read = || {
        // SAFETY: the caller vouches for both; the slice is no longer used when the place is written.
        let (datagram, place) = unsafe { (bytes(datagram, len)?, Place::new(message)?) };
        let said = Message::of(&decode(datagram).map_err(of_refusal)?);
        place.put(said);
        Ok(())
    };
    code(read())
}

/// Writes a message that says what `message` says, unsigned, to `buffer`, and its length to `len`.
///
/// One that says nothing is plain. Buffers of `FENCE_KDUMP_DATAGRAM_MAX` bytes are always large enough.
/// Returns `FENCE_KDUMP_OK`; otherwise nothing was written.
///
/// # Safety
///
/// `message` is NULL or points to a message, `buffer` to `size` writable bytes or nothing, `len` is
/// NULL or points to a writable `size_t`; these do not overlap.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_message_write(
    message: *const Message,
    buffer: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    let write = || {
        // SAFETY: the caller vouches for both.
        let (message, place) = unsafe { (read(message)?, Place::new(len)?) };
        let (byte_order, extension) = message.said()?;
        let mut datagram = Datagram::new();
        encode_extended(byte_order, &extension, &mut datagram).map_err(of_speechlessness)?;
        if message.has & !FENCE_KDUMP_HAS_MAC == 0 {
            datagram.truncate(MESSAGE_LEN);
        }
        // SAFETY: the caller vouches for the buffer, and the datagram is a variable of this function.
        unsafe { fill(buffer, size, &datagram)? };
        place.put(datagram.len());
        Ok(())
    };
    code(write())
}

/// Writes a message that says what `message` says, signed with the node's key `key` of
/// `FENCE_KDUMP_KEY_LEN` bytes, to `buffer`, and its length to `len`.
///
/// It must have `node_name`, `crash_id`, `sequence`, `uptime_ms` and `key_id`; the first must be the name
/// that the key is of. Each message needs a `sequence` of its own. Returns `FENCE_KDUMP_OK`; otherwise
/// nothing was written.
///
/// # Safety
///
/// As for `fence_kdump_message_write`; `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_message_sign(
    message: *const Message,
    key: *const u8,
    buffer: *mut u8,
    size: usize,
    len: *mut usize,
) -> c_int {
    let write = || {
        // SAFETY: the caller vouches for all three.
        let (message, key, place) =
            unsafe { (read(message)?, crate::key::key(key)?, Place::new(len)?) };
        let datagram = message.signed(&key)?;
        // SAFETY: the caller vouches for the buffer, and the datagram is a variable of this function.
        unsafe { fill(buffer, size, &datagram)? };
        place.put(datagram.len());
        Ok(())
    };
    code(write())
}
