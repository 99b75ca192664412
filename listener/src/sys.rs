//! The only unsafe code of this crate.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Takes over descriptors that the kernel has just made for this process.
///
/// `nix` hands out the descriptors of `SCM_RIGHTS` (`unix(7)`) and of `accept4(2)` as numbers.
pub(crate) fn adopt(fds: impl IntoIterator<Item = RawFd>) -> Vec<OwnedFd> {
    fds.into_iter()
        .filter(|&fd| fd >= 0)
        .map(|fd| {
            // SAFETY: the callers (`seat::receive`, `seat::accept`) pass each number on straight from
            // the system call that made it, once, and nobody else knows it: it is open and ours.
            unsafe { OwnedFd::from_raw_fd(fd) }
        })
        .collect()
}

/// Has the runtime tell when there is something to read from `fd`.
///
/// # Errors
/// When the runtime cannot.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` owns its descriptor and names the same one as long as it lives, and the
    // `AsyncFd` owns the `OwnedFd`.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}

/// Does `operation` now, whether or not the runtime has been told yet that there is something to read.
///
/// [`AsyncFd::try_io`] alone answers `WouldBlock` without asking the kernel when it has not; taking that
/// for an empty queue would make what is in it younger than it is.
///
/// # Errors
/// Those of `operation`.
pub(crate) fn attempt<T>(
    fd: &AsyncFd<OwnedFd>,
    mut operation: impl FnMut(&OwnedFd) -> io::Result<T>,
) -> io::Result<T> {
    let mut asked = false;
    let answer = fd.try_io(Interest::READABLE, |fd| {
        asked = true;
        operation(fd)
    });
    if asked { answer } else { operation(fd.get_ref()) }
}
