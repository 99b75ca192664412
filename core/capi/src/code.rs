//! The numbers that functions return, and what they are called.
//!
//! Each is numbered once and never reused, also when nothing returns it any more: `tests/frozen.rs`
//! has them all once more.

use core::ffi::{CStr, c_char, c_int};

use fence_kdump_core::{DecodeError, Disbelief, Doubt, EncodeError, Verdict};

/// Success. Codes are numbered once and never reused.
pub const FENCE_KDUMP_OK: c_int = 0;
/// A pointer that must not be NULL is NULL.
pub const FENCE_KDUMP_ERROR_NULL: c_int = 1;
/// The caller's buffer is too small.
pub const FENCE_KDUMP_ERROR_BUFFER: c_int = 2;
/// The byte order is none of `FENCE_KDUMP_NATIVE`, `_LITTLE` and `_BIG`.
pub const FENCE_KDUMP_ERROR_BYTE_ORDER: c_int = 3;
/// A pointer is not aligned for what it points to.
pub const FENCE_KDUMP_ERROR_ALIGNMENT: c_int = 4;
/// A size is not that of what the memory is for.
pub const FENCE_KDUMP_ERROR_SIZE: c_int = 5;
/// The memory was not prepared by the `_init` function that belongs to it, or was moved since.
pub const FENCE_KDUMP_ERROR_MEMORY: c_int = 6;
/// A number that is none of those that the parameter or field can have.
pub const FENCE_KDUMP_ERROR_VALUE: c_int = 7;
/// There is no node of that number.
pub const FENCE_KDUMP_ERROR_NODE: c_int = 8;
/// What is remembered is of another crash than the message.
pub const FENCE_KDUMP_ERROR_CRASH_ID: c_int = 9;
/// The line is no `node` line of a key file, or was damaged (PROTOCOL.md, section 5.1).
pub const FENCE_KDUMP_ERROR_KEY_LINE: c_int = 10;
/// The datagram has no bytes.
pub const FENCE_KDUMP_ERROR_EMPTY: c_int = 16;
/// The datagram has 1 to 7 bytes.
pub const FENCE_KDUMP_ERROR_TRUNCATED: c_int = 17;
/// The datagram does not start with the magic number in either byte order.
pub const FENCE_KDUMP_ERROR_MAGIC: c_int = 18;
/// The message is of a version that this library does not speak.
pub const FENCE_KDUMP_ERROR_VERSION: c_int = 19;
/// The message is followed by bytes that are no extension.
pub const FENCE_KDUMP_ERROR_TRAILING: c_int = 20;
/// The datagram is longer than any message.
pub const FENCE_KDUMP_ERROR_TOO_LONG: c_int = 21;
/// Retired: malformed extension. The codes from 23 to 30 say what is wrong with it.
pub const FENCE_KDUMP_ERROR_EXTENSION: c_int = 22;
/// A field follows the MAC, which does not cover it.
pub const FENCE_KDUMP_ERROR_MAC_NOT_LAST: c_int = 23;
/// A field is longer than what is left of the datagram.
pub const FENCE_KDUMP_ERROR_FIELD_CUT_OFF: c_int = 24;
/// A second field of one type.
pub const FENCE_KDUMP_ERROR_REPEATED_FIELD: c_int = 25;
/// A field that must be understood and is not.
pub const FENCE_KDUMP_ERROR_CRITICAL_FIELD: c_int = 26;
/// A field that has another length than its type demands.
pub const FENCE_KDUMP_ERROR_FIELD_LENGTH: c_int = 27;
/// A node name that none can be: 1 to 253 characters, `!` to `~`.
pub const FENCE_KDUMP_ERROR_NODE_NAME: c_int = 28;
/// A MAC of an algorithm that this library does not know.
pub const FENCE_KDUMP_ERROR_ALGORITHM: c_int = 29;
/// A signed message without a field that each one has.
pub const FENCE_KDUMP_ERROR_MISSING_FIELD: c_int = 30;
/// Refused for a cause that this version of the library has no code for.
pub const FENCE_KDUMP_ERROR_REFUSED: c_int = 31;
/// The message is of nobody that is known here.
pub const FENCE_KDUMP_ERROR_STRANGER: c_int = 32;
/// The message has no MAC, and one is demanded.
pub const FENCE_KDUMP_ERROR_UNSIGNED: c_int = 33;
/// The message was signed with a key that is not known here.
pub const FENCE_KDUMP_ERROR_UNKNOWN_KEY: c_int = 34;
/// The authentication code is wrong.
pub const FENCE_KDUMP_ERROR_BAD_MAC: c_int = 35;
/// The message, or a later one of the same crash, was heard before.
pub const FENCE_KDUMP_ERROR_REPLAYED: c_int = 36;
/// The message was under way for too long.
pub const FENCE_KDUMP_ERROR_LATE: c_int = 37;
/// The message is of a crash that was heard by another clock, before the receiver's host was started.
pub const FENCE_KDUMP_ERROR_OVER: c_int = 38;
/// The message would have to be remembered, and that is not possible.
pub const FENCE_KDUMP_ERROR_UNREMEMBERED: c_int = 39;
/// The message answers no challenge, and that is demanded.
pub const FENCE_KDUMP_ERROR_UNPROVEN: c_int = 40;
/// The datagram is no challenge.
pub const FENCE_KDUMP_ERROR_NO_CHALLENGE: c_int = 41;
/// The challenge follows a message of somebody else, or of another crash.
pub const FENCE_KDUMP_ERROR_NOT_OURS: c_int = 42;
/// No more answers at present: 32 in a second, 4 to one nonce.
pub const FENCE_KDUMP_ERROR_TOO_MANY: c_int = 43;
/// The message is not to be challenged: it is an answer, or no later than one that was.
pub const FENCE_KDUMP_ERROR_UNCHALLENGED: c_int = 44;
/// Not known to be in its crash kernel: the node never sent a message.
pub const FENCE_KDUMP_NEVER_HEARD: c_int = 48;
/// Not known to be in its crash kernel: the latest message came too early to be evidence of now.
pub const FENCE_KDUMP_TOO_OLD: c_int = 49;
/// Not known to be in its crash kernel: the dump is over, or the node was silent for too long.
pub const FENCE_KDUMP_ENDED: c_int = 50;
/// Not known to be in its crash kernel: the latest message is dated after the question's present.
pub const FENCE_KDUMP_FROM_THE_FUTURE: c_int = 51;
/// Not known to be in its crash kernel, for a cause that this version of the library has no code for.
pub const FENCE_KDUMP_NOT_KNOWN: c_int = 52;

/// Text with its zero.
const fn terminated(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

/// Name and text of each code; a constant that is not in the list fails `tests/frozen.rs`.
macro_rules! described {
    ($($code:ident: $text:literal,)+) => {
        const fn name(code: c_int) -> &'static CStr {
            match code {
                $($code => const { terminated(concat!(stringify!($code), "\0")) },)+
                _ => c"unknown code",
            }
        }

        const fn text(code: c_int) -> &'static CStr {
            match code {
                $($code => const { terminated(concat!($text, "\0")) },)+
                _ => c"unknown code",
            }
        }
    };
}

described! {
    FENCE_KDUMP_OK: "success",
    FENCE_KDUMP_ERROR_NULL: "a pointer is NULL",
    FENCE_KDUMP_ERROR_BUFFER: "the buffer is too small",
    FENCE_KDUMP_ERROR_BYTE_ORDER: "no such byte order",
    FENCE_KDUMP_ERROR_ALIGNMENT: "a pointer is not aligned",
    FENCE_KDUMP_ERROR_SIZE: "the memory has not the size that it must have",
    FENCE_KDUMP_ERROR_MEMORY: "the memory was not initialized, or was moved since",
    FENCE_KDUMP_ERROR_VALUE: "a number that is none of those that there are",
    FENCE_KDUMP_ERROR_NODE: "no such node",
    FENCE_KDUMP_ERROR_CRASH_ID: "what is remembered is of another crash",
    FENCE_KDUMP_ERROR_KEY_LINE: "no node line of a key file, or damaged",
    FENCE_KDUMP_ERROR_EMPTY: "empty datagram",
    FENCE_KDUMP_ERROR_TRUNCATED: "truncated message",
    FENCE_KDUMP_ERROR_MAGIC: "bad magic: not a fence_kdump message",
    FENCE_KDUMP_ERROR_VERSION: "unsupported version",
    FENCE_KDUMP_ERROR_TRAILING: "bytes after the message that are no extension",
    FENCE_KDUMP_ERROR_TOO_LONG: "longer than any message",
    FENCE_KDUMP_ERROR_EXTENSION: "malformed extension",
    FENCE_KDUMP_ERROR_MAC_NOT_LAST: "a field after the MAC",
    FENCE_KDUMP_ERROR_FIELD_CUT_OFF: "a field is cut off",
    FENCE_KDUMP_ERROR_REPEATED_FIELD: "a field comes twice",
    FENCE_KDUMP_ERROR_CRITICAL_FIELD: "a critical field that is not known",
    FENCE_KDUMP_ERROR_FIELD_LENGTH: "a field of a wrong length",
    FENCE_KDUMP_ERROR_NODE_NAME: "a node name has 1 to 253 characters, '!' to '~'",
    FENCE_KDUMP_ERROR_ALGORITHM: "MAC of an unknown algorithm",
    FENCE_KDUMP_ERROR_MISSING_FIELD: "signed, but without a field that each signed message has",
    FENCE_KDUMP_ERROR_REFUSED: "refused",
    FENCE_KDUMP_ERROR_STRANGER: "of nobody that is known here",
    FENCE_KDUMP_ERROR_UNSIGNED: "not signed",
    FENCE_KDUMP_ERROR_UNKNOWN_KEY: "signed with a key that is not known here",
    FENCE_KDUMP_ERROR_BAD_MAC: "wrong MAC: forged, damaged, or signed with another key",
    FENCE_KDUMP_ERROR_REPLAYED: "a replay: it was heard before",
    FENCE_KDUMP_ERROR_LATE: "a replay, or too long under way",
    FENCE_KDUMP_ERROR_OVER: "a replay of a crash from before this host was started",
    FENCE_KDUMP_ERROR_UNREMEMBERED: "it cannot be remembered, so a replay of it could not be told",
    FENCE_KDUMP_ERROR_UNPROVEN: "signed, but no answer to a challenge",
    FENCE_KDUMP_ERROR_NO_CHALLENGE: "no challenge",
    FENCE_KDUMP_ERROR_NOT_OURS: "a challenge to another node or crash",
    FENCE_KDUMP_ERROR_TOO_MANY: "no more answers at present",
    FENCE_KDUMP_ERROR_UNCHALLENGED: "no message to be challenged",
    FENCE_KDUMP_NEVER_HEARD: "not known: no message was heard",
    FENCE_KDUMP_TOO_OLD: "not known: the latest message came too early",
    FENCE_KDUMP_ENDED: "not known: the dump is over",
    FENCE_KDUMP_FROM_THE_FUTURE: "not known: the latest message is dated in the future",
    FENCE_KDUMP_NOT_KNOWN: "not known",
}

/// The name of a code as it stands in this header, such as "FENCE_KDUMP_OK", as text that lives as
/// long as the program; "unknown code" for a number that is none. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_error_name(code: c_int) -> *const c_char {
    name(code).as_ptr()
}

/// What a code means, as English text that lives as long as the program. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_error_text(code: c_int) -> *const c_char {
    text(code).as_ptr()
}

/// The code of what every function here ends with.
pub(crate) fn code(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(FENCE_KDUMP_OK)
}

/// Why a datagram is no message.
pub(crate) const fn of_refusal(error: DecodeError) -> c_int {
    match error {
        DecodeError::Empty => FENCE_KDUMP_ERROR_EMPTY,
        DecodeError::Truncated { .. } => FENCE_KDUMP_ERROR_TRUNCATED,
        DecodeError::BadMagic { .. } => FENCE_KDUMP_ERROR_MAGIC,
        DecodeError::UnsupportedVersion { .. } => FENCE_KDUMP_ERROR_VERSION,
        DecodeError::TrailingBytes { .. } => FENCE_KDUMP_ERROR_TRAILING,
        DecodeError::TooLong { .. } => FENCE_KDUMP_ERROR_TOO_LONG,
        DecodeError::MacNotLast { .. } => FENCE_KDUMP_ERROR_MAC_NOT_LAST,
        DecodeError::FieldCutOff { .. } => FENCE_KDUMP_ERROR_FIELD_CUT_OFF,
        DecodeError::RepeatedField { .. } => FENCE_KDUMP_ERROR_REPEATED_FIELD,
        DecodeError::UnknownCriticalField { .. } => FENCE_KDUMP_ERROR_CRITICAL_FIELD,
        DecodeError::WrongFieldLength { .. } => FENCE_KDUMP_ERROR_FIELD_LENGTH,
        DecodeError::BadNodeName => FENCE_KDUMP_ERROR_NODE_NAME,
        DecodeError::UnknownAlgorithm { .. } => FENCE_KDUMP_ERROR_ALGORITHM,
        DecodeError::MissingField { .. } => FENCE_KDUMP_ERROR_MISSING_FIELD,
        // A cause added to core later is a refusal all the same.
        _ => FENCE_KDUMP_ERROR_REFUSED,
    }
}

/// Why something cannot be said.
pub(crate) const fn of_speechlessness(error: EncodeError) -> c_int {
    match error {
        EncodeError::BadNodeName => FENCE_KDUMP_ERROR_NODE_NAME,
        EncodeError::MissingField { .. } => FENCE_KDUMP_ERROR_MISSING_FIELD,
        _ => FENCE_KDUMP_ERROR_REFUSED,
    }
}

/// Why a message is not believed.
pub(crate) const fn of_disbelief(cause: Disbelief) -> c_int {
    match cause {
        Disbelief::Stranger => FENCE_KDUMP_ERROR_STRANGER,
        Disbelief::Unsigned => FENCE_KDUMP_ERROR_UNSIGNED,
        Disbelief::UnknownKey => FENCE_KDUMP_ERROR_UNKNOWN_KEY,
        Disbelief::BadMac => FENCE_KDUMP_ERROR_BAD_MAC,
        Disbelief::Replayed => FENCE_KDUMP_ERROR_REPLAYED,
        Disbelief::Late => FENCE_KDUMP_ERROR_LATE,
        Disbelief::Over => FENCE_KDUMP_ERROR_OVER,
        Disbelief::Unremembered => FENCE_KDUMP_ERROR_UNREMEMBERED,
        Disbelief::Unproven => FENCE_KDUMP_ERROR_UNPROVEN,
    }
}

/// The cause of that code; `None` where it is none of a message that is not believed.
pub(crate) fn disbelief(code: c_int) -> Option<Disbelief> {
    Disbelief::ALL.into_iter().find(|cause| of_disbelief(*cause) == code)
}

/// Zero for [`Verdict::InCrashKernel`] alone.
pub(crate) const fn of_verdict(verdict: Verdict) -> c_int {
    match verdict {
        Verdict::InCrashKernel(_) => FENCE_KDUMP_OK,
        Verdict::NotKnown(Doubt::NeverHeard) => FENCE_KDUMP_NEVER_HEARD,
        Verdict::NotKnown(Doubt::TooOld { .. }) => FENCE_KDUMP_TOO_OLD,
        Verdict::NotKnown(Doubt::Ended { .. }) => FENCE_KDUMP_ENDED,
        Verdict::NotKnown(Doubt::FromTheFuture) => FENCE_KDUMP_FROM_THE_FUTURE,
        Verdict::NotKnown(_) => FENCE_KDUMP_NOT_KNOWN,
    }
}
