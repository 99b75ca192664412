//! The fence_kdump protocol for C.
//!
//! The header `include/fence_kdump.h` is generated from this crate. No function allocates, reads a
//! clock or needs more of a C library than `memcpy` and its kin. What the caller hands in is looked at
//! before it is used: NULL, a wrong size, a misaligned pointer and memory that was never prepared are
//! errors with a code of their own.
//!
//! | module | its one truth |
//! |---|---|
//! | [`code`] | what functions return |
//! | [`message`] | what a message says |
//! | [`key`] | keys and authentication codes |
//! | [`challenge`] | proof of life |
//! | [`proof`] | what a message proves |
//! | [`session`], [`tracker`] | one node's dump, and many nodes' |
//! | [`follow`] | what these two have in common, the verdict among it |
//! | `pointer`, `memory` | what C hands in |
#![cfg_attr(not(test), no_std)]

pub mod challenge;
pub mod code;
pub mod follow;
pub mod key;
mod memory;
pub mod message;
mod pointer;
pub mod proof;
pub mod session;
pub mod tracker;

use core::ffi::{CStr, c_char};

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

/// Nothing above can panic; a library without std must still name what would be done.
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
