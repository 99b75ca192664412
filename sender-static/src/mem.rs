//! The functions that the compiler takes for granted: it writes calls to them for copies, fills
//! and comparisons, and there is no libc to have them.
//!
//! Each loop has a line of empty assembly in it, without which the compiler would see what the
//! loop is and replace it by a call to the very function it is in.

use core::arch::asm;
use core::ffi::{c_char, c_int};

macro_rules! not_an_idiom {
    () => {
        // SAFETY: no instruction at all.
        unsafe { asm!("", options(nostack, preserves_flags)) }
    };
}

/// # Safety
/// As memcpy(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller vouches for `count` bytes on both sides.
        unsafe { *to.add(at) = *from.add(at) };
        not_an_idiom!();
        at += 1;
    }
    to
}

/// # Safety
/// As memmove(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: going upwards never writes what is still to be read.
        return unsafe { memcpy(to, from, count) };
    }
    let mut at = count;
    while at > 0 {
        at -= 1;
        // SAFETY: the caller vouches for `count` bytes on both sides.
        unsafe { *to.add(at) = *from.add(at) };
        not_an_idiom!();
    }
    to
}

/// # Safety
/// As memset(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: c_int, count: usize) -> *mut u8 {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller vouches for `count` bytes.
        unsafe { *to.add(at) = value as u8 };
        not_an_idiom!();
        at += 1;
    }
    to
}

/// # Safety
/// As memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller vouches for `count` bytes on both sides.
        let (left, right) = unsafe { (*left.add(at), *right.add(at)) };
        if left != right {
            return c_int::from(left) - c_int::from(right);
        }
        not_an_idiom!();
        at += 1;
    }
    0
}

/// # Safety
/// As bcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    // SAFETY: the caller vouches for the same.
    unsafe { memcmp(left, right, count) }
}

/// # Safety
/// As strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut at = 0;
    // SAFETY: the caller vouches for every byte up to the zero.
    while unsafe { *text.add(at) } != 0 {
        not_an_idiom!();
        at += 1;
    }
    at
}
