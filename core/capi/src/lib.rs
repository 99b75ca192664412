//! The fence_kdump protocol for C.
//!
//! The header `include/fence_kdump.h` is generated from this file. No function allocates, reads a
//! clock or needs more of a C library than `memcpy` and its kin.
#![cfg_attr(not(test), no_std)]

use core::ffi::{CStr, c_char, c_int};

use fence_kdump_core::{ByteOrder, DecodeError, decode, encode};

/// The UDP port on which nodes listen unless told otherwise.
pub const FENCE_KDUMP_PORT: u16 = 7410;
/// Length in bytes of a version 1 message.
pub const FENCE_KDUMP_MESSAGE_LEN: usize = 8;

/// The byte order of the machine that the library was built for.
pub const FENCE_KDUMP_NATIVE: c_int = 0;
/// Least significant byte first.
pub const FENCE_KDUMP_LITTLE: c_int = 1;
/// Most significant byte first.
pub const FENCE_KDUMP_BIG: c_int = 2;

/// Success. Codes are numbered once and never reused.
pub const FENCE_KDUMP_OK: c_int = 0;
/// A pointer that must not be NULL is NULL.
pub const FENCE_KDUMP_ERROR_NULL: c_int = 1;
/// The caller's buffer is too small.
pub const FENCE_KDUMP_ERROR_BUFFER: c_int = 2;
/// The byte order is none of `FENCE_KDUMP_NATIVE`, `_LITTLE` and `_BIG`.
pub const FENCE_KDUMP_ERROR_BYTE_ORDER: c_int = 3;
/// The datagram has no bytes.
pub const FENCE_KDUMP_ERROR_EMPTY: c_int = 16;
/// The datagram has 1 to 7 bytes.
pub const FENCE_KDUMP_ERROR_TRUNCATED: c_int = 17;
/// The datagram does not start with the magic number in either byte order.
pub const FENCE_KDUMP_ERROR_MAGIC: c_int = 18;
/// The message is of a version that this library does not speak.
pub const FENCE_KDUMP_ERROR_VERSION: c_int = 19;
/// The message is followed by bytes that are no valid extension.
pub const FENCE_KDUMP_ERROR_TRAILING: c_int = 20;
/// The message has a longer extension than any message can have.
pub const FENCE_KDUMP_ERROR_TOO_LONG: c_int = 21;
/// The message's extension is malformed.
pub const FENCE_KDUMP_ERROR_EXTENSION: c_int = 22;
/// The datagram was refused for a cause that this version of the library has no code for.
pub const FENCE_KDUMP_ERROR_REFUSED: c_int = 31;

/// Writes a message of `FENCE_KDUMP_MESSAGE_LEN` bytes to `buffer`, in `byte_order`.
///
/// Senders use `FENCE_KDUMP_NATIVE`. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NULL`,
/// `_BUFFER` or `_BYTE_ORDER`, and then has written nothing.
///
/// # Safety
///
/// `buffer` is NULL or points to `len` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fence_kdump_encode(
    buffer: *mut u8,
    len: usize,
    byte_order: c_int,
) -> c_int {
    let byte_order = match byte_order {
        FENCE_KDUMP_NATIVE => ByteOrder::NATIVE,
        FENCE_KDUMP_LITTLE => ByteOrder::Little,
        FENCE_KDUMP_BIG => ByteOrder::Big,
        _ => return FENCE_KDUMP_ERROR_BYTE_ORDER,
    };
    if buffer.is_null() {
        return FENCE_KDUMP_ERROR_NULL;
    }
    if len < FENCE_KDUMP_MESSAGE_LEN {
        return FENCE_KDUMP_ERROR_BUFFER;
    }
    let message = encode(byte_order);
    // SAFETY: the caller vouches for `len` writable bytes, which are enough; any address is
    // aligned for bytes.
    unsafe { core::ptr::copy_nonoverlapping(message.as_ptr(), buffer, message.len()) };
    FENCE_KDUMP_OK
}

/// Reads one whole datagram of `len` bytes. Never pass a datagram that was cut to a buffer.
///
/// Returns `FENCE_KDUMP_OK` when it is a message, and then writes `FENCE_KDUMP_LITTLE` or `_BIG`
/// to `byte_order` unless that is NULL. Returns an error code otherwise and writes nothing.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes; `byte_order` is NULL or points to a
/// writable and aligned int.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fence_kdump_decode(
    datagram: *const u8,
    len: usize,
    byte_order: *mut c_int,
) -> c_int {
    let datagram = match (datagram.is_null(), len) {
        (_, 0) => &[],
        (true, _) => return FENCE_KDUMP_ERROR_NULL,
        // SAFETY: not NULL, and the caller vouches for `len` readable bytes.
        (false, _) => unsafe { core::slice::from_raw_parts(datagram, len) },
    };
    let message = match decode(datagram) {
        Ok(message) => message,
        Err(DecodeError::Empty) => return FENCE_KDUMP_ERROR_EMPTY,
        Err(DecodeError::Truncated { .. }) => return FENCE_KDUMP_ERROR_TRUNCATED,
        Err(DecodeError::BadMagic { .. }) => return FENCE_KDUMP_ERROR_MAGIC,
        Err(DecodeError::UnsupportedVersion { .. }) => return FENCE_KDUMP_ERROR_VERSION,
        Err(DecodeError::TrailingBytes { .. }) => return FENCE_KDUMP_ERROR_TRAILING,
        Err(DecodeError::TooLong { .. }) => return FENCE_KDUMP_ERROR_TOO_LONG,
        Err(
            DecodeError::MacNotLast { .. }
            | DecodeError::FieldCutOff { .. }
            | DecodeError::RepeatedField { .. }
            | DecodeError::UnknownCriticalField { .. }
            | DecodeError::WrongFieldLength { .. }
            | DecodeError::BadNodeName
            | DecodeError::UnknownAlgorithm { .. }
            | DecodeError::MissingField { .. },
        ) => return FENCE_KDUMP_ERROR_EXTENSION,
        // A cause added to core later is a refusal all the same.
        Err(_) => return FENCE_KDUMP_ERROR_REFUSED,
    };
    if !byte_order.is_null() {
        let order = match message.byte_order {
            ByteOrder::Little => FENCE_KDUMP_LITTLE,
            ByteOrder::Big => FENCE_KDUMP_BIG,
        };
        // SAFETY: not NULL, and the caller vouches for a writable, aligned int.
        unsafe { byte_order.write(order) };
    }
    FENCE_KDUMP_OK
}

/// What a code means, as English text that lives as long as the program. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_error_text(code: c_int) -> *const c_char {
    let text: &CStr = match code {
        FENCE_KDUMP_OK => c"success",
        FENCE_KDUMP_ERROR_NULL => c"a pointer is NULL",
        FENCE_KDUMP_ERROR_BUFFER => c"the buffer is smaller than a message",
        FENCE_KDUMP_ERROR_BYTE_ORDER => c"no such byte order",
        FENCE_KDUMP_ERROR_EMPTY => c"empty datagram",
        FENCE_KDUMP_ERROR_TRUNCATED => c"truncated message",
        FENCE_KDUMP_ERROR_MAGIC => c"bad magic: not a fence_kdump message",
        FENCE_KDUMP_ERROR_VERSION => c"unsupported version",
        FENCE_KDUMP_ERROR_TRAILING => c"bytes after the message that are no valid extension",
        FENCE_KDUMP_ERROR_TOO_LONG => c"longer than any message",
        FENCE_KDUMP_ERROR_EXTENSION => c"malformed extension",
        FENCE_KDUMP_ERROR_REFUSED => c"refused",
        _ => c"unknown code",
    };
    text.as_ptr()
}

/// The version of this library, such as "0.1.0", as text that lives as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

const _: () = assert!(
    FENCE_KDUMP_PORT == fence_kdump_core::PORT
        && FENCE_KDUMP_MESSAGE_LEN == fence_kdump_core::wire::MESSAGE_LEN
);

/// Nothing above can panic; a static library without std must still name what would be done.
#[cfg(all(feature = "staticlib", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn fence_kdump_panic_path_left_in_library() -> !;
    }
    // SAFETY: never linked. The symbol is undefined on purpose, so that a library with a panic
    // path left cannot be linked by anyone; a test looks for it.
    unsafe { fence_kdump_panic_path_left_in_library() }
}
