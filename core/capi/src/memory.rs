//! Memory of the caller's that holds something of ours between two calls.
//!
//! Its first word says what it holds, so that memory which was never initialized, or for something
//! else, is an error and not taken at its word.

use core::ffi::c_int;

use crate::code::{FENCE_KDUMP_ERROR_MEMORY, FENCE_KDUMP_ERROR_SIZE};
use crate::pointer::check;

/// What memory of the caller's holds.
///
/// # Safety
/// `Held<Self>` has no greater size and alignment than `Room`; both are asserted with [`fits`].
pub(crate) unsafe trait Keep: Sized {
    /// The memory as C sees it.
    type Room;
    /// The first word.
    const MARK: u64;
}

#[repr(C)]
pub(crate) struct Held<T> {
    mark: u64,
    value: T,
}

/// Whether a room is large enough.
pub(crate) const fn fits<T: Keep>() -> bool {
    size_of::<Held<T>>() <= size_of::<T::Room>() && align_of::<Held<T>>() <= align_of::<T::Room>()
}

/// Puts `value` into a room of `size` bytes.
///
/// # Safety
/// `room` is NULL, misaligned, or points to `size` writable bytes.
pub(crate) unsafe fn init<T: Keep>(room: *mut T::Room, size: usize, value: T) -> Result<(), c_int> {
    check(room)?;
    if size != size_of::<T::Room>() {
        return Err(FENCE_KDUMP_ERROR_SIZE);
    }
    // SAFETY: not NULL, aligned, and as large as a room, which `Held<T>` fits.
    unsafe { room.cast::<Held<T>>().write(Held { mark: T::MARK, value }) };
    Ok(())
}

/// What the room holds.
///
/// # Safety
/// `room` is NULL, misaligned, or points to a room, of which nobody else has a reference while `'a`
/// lasts. When its first word is the mark, it was written by [`init`] and what changed it since is this
/// library alone.
pub(crate) unsafe fn held<'a, T: Keep>(room: *mut T::Room) -> Result<&'a mut T, c_int> {
    check(room)?;
    // SAFETY: not NULL and aligned; a room starts with a word, whatever it holds.
    if unsafe { room.cast::<u64>().read() } != T::MARK {
        return Err(FENCE_KDUMP_ERROR_MEMORY);
    }
    // SAFETY: the mark is there, so `init` has made a `Held<T>` of it; the caller vouches for the rest.
    Ok(unsafe { &mut (*room.cast::<Held<T>>()).value })
}

/// What the room holds, to be read.
///
/// # Safety
/// As for [`held`], but others may read it, too.
pub(crate) unsafe fn shown<'a, T: Keep>(room: *const T::Room) -> Result<&'a T, c_int> {
    check(room)?;
    // SAFETY: not NULL and aligned; a room starts with a word, whatever it holds.
    if unsafe { room.cast::<u64>().read() } != T::MARK {
        return Err(FENCE_KDUMP_ERROR_MEMORY);
    }
    // SAFETY: the mark is there, so `init` has made a `Held<T>` of it; the caller vouches for the rest.
    Ok(unsafe { &(*room.cast::<Held<T>>()).value })
}

/// Opaque words of memory.
macro_rules! room {
    ($room:ident, $held:ty, $mark:literal) => {
        // SAFETY: asserted in the next line.
        unsafe impl $crate::memory::Keep for $held {
            type Room = $room;
            const MARK: u64 = u64::from_ne_bytes(*$mark);
        }
        const _: () = assert!($crate::memory::fits::<$held>());
    };
}
pub(crate) use room;
