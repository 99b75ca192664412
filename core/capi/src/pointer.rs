//! What C hands in: no pointer is followed before it was looked at here.

use core::ffi::c_int;

use crate::code::{
    FENCE_KDUMP_ERROR_ALIGNMENT, FENCE_KDUMP_ERROR_BUFFER, FENCE_KDUMP_ERROR_NULL,
    FENCE_KDUMP_ERROR_SIZE,
};

/// NULL and misaligned pointers are errors; whether memory is there, only the caller knows.
pub(crate) fn check<T>(pointer: *const T) -> Result<(), c_int> {
    if pointer.is_null() {
        Err(FENCE_KDUMP_ERROR_NULL)
    } else if !pointer.is_aligned() {
        Err(FENCE_KDUMP_ERROR_ALIGNMENT)
    } else {
        Ok(())
    }
}

/// `len` bytes to read; NULL is as good as any other pointer to no bytes.
///
/// # Safety
/// `pointer` is NULL or points to `len` readable bytes, which nobody writes while `'a` lasts.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, len: usize) -> Result<&'a [u8], c_int> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(FENCE_KDUMP_ERROR_NULL),
        // No object is larger, so nobody has so many bytes to read.
        _ if isize::try_from(len).is_err() => Err(FENCE_KDUMP_ERROR_SIZE),
        // SAFETY: not NULL, no longer than an object can be, and the caller vouches for the rest; any
        // address is aligned for bytes.
        _ => Ok(unsafe { core::slice::from_raw_parts(pointer, len) }),
    }
}

/// Reads a `T`.
///
/// # Safety
/// `pointer` is NULL, misaligned, or points to a `T`.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, c_int> {
    check(pointer)?;
    // SAFETY: not NULL and aligned; the caller vouches for the rest.
    Ok(unsafe { pointer.read() })
}

/// A place for one `T` of the caller's.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// A place that has to be there.
    ///
    /// # Safety
    /// `pointer` is NULL, misaligned, or points to memory for a `T` which can be written for as long as
    /// this is used.
    pub(crate) unsafe fn new(pointer: *mut T) -> Result<Self, c_int> {
        check(pointer)?;
        Ok(Self(pointer))
    }

    /// A place that may be missing, when the caller does not want to know.
    ///
    /// # Safety
    /// As for [`Self::new`].
    pub(crate) unsafe fn optional(pointer: *mut T) -> Result<Option<Self>, c_int> {
        if pointer.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller's promise.
        unsafe { Self::new(pointer) }.map(Some)
    }

    /// Writes to it.
    pub(crate) fn put(self, value: T) {
        // SAFETY: not NULL and aligned, as `new` saw, whose caller vouches for the rest.
        unsafe { self.0.write(value) };
    }
}

/// Writes `bytes` to the start of a buffer and tells how many they are; or writes nothing.
///
/// # Safety
/// `buffer` is NULL or points to `size` writable bytes that are not among `bytes`.
pub(crate) unsafe fn fill(buffer: *mut u8, size: usize, bytes: &[u8]) -> Result<(), c_int> {
    if buffer.is_null() {
        return Err(FENCE_KDUMP_ERROR_NULL);
    }
    if size < bytes.len() {
        return Err(FENCE_KDUMP_ERROR_BUFFER);
    }
    // SAFETY: the caller vouches for `size` bytes, which are enough, apart from the others.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
    Ok(())
}
