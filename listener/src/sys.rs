//! The only unsafe code of this crate.

use std::io;
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
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

/// The same for one that is also used without.
///
/// # Errors
/// When the runtime cannot.
pub(crate) fn watch_shared(fd: &Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: as above; the `AsyncFd` owns a share of the `OwnedFd`, which nobody can take out of its `Arc`.
    unsafe { AsyncFd::register_with_interest(Arc::clone(fd), Interest::READABLE) }
        .map_err(io::Error::from)
}

/// Does `operation` now, whether or not the runtime has been told yet that there is something to read.
///
/// [`AsyncFd::try_io`] alone answers `WouldBlock` without asking the kernel when it has not; taking that
/// for an empty queue would make what is in it younger than it is.
///
/// # Errors
/// Those of `operation`.
pub(crate) fn attempt<F: AsRawFd, T>(
    fd: &AsyncFd<F>,
    mut operation: impl FnMut(&F) -> io::Result<T>,
) -> io::Result<T> {
    let mut asked = false;
    let answer = fd.try_io(Interest::READABLE, |fd| {
        asked = true;
        operation(fd)
    });
    if asked { answer } else { operation(fd.get_ref()) }
}

/// From now on this thread has that niceness, and turns of that length; zero stands for those that the kernel gives
/// everybody: `sched_setattr(2)`.
///
/// # Errors
/// When that is forbidden.
pub(crate) fn schedule(nice: i32, turn: Duration) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice,
        priority: 0,
        runtime: u64::try_from(turn.as_nanos()).unwrap_or(0),
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of it, all of which are numbers.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    Errno::result(answer).map(drop).map_err(io::Error::from)
}

/// Room for one datagram: a little more than any message has.
pub(crate) const ROOM: usize = 512;

/// Room for what the kernel says besides: one SCM_TIMESTAMPING takes 64 bytes of it.
const CONTROL: usize = 128;

/// Room for where it came from.
const NAME: usize = size_of::<libc::sockaddr_in6>();

/// Where the kernel puts what `recvmmsg(2)` reads: a fixed number of datagrams, and nothing is allocated
/// for any of them.
#[derive(Debug)]
pub(crate) struct Pool {
    slots: Vec<Slot>,
    /// Points into `slots`, which never move: nothing is ever added to them.
    _vectors: Vec<libc::iovec>,
    /// Points into `slots` and `vectors`.
    headers: Vec<libc::mmsghdr>,
    /// So many headers say what the last call read, and not what there is room for.
    used: usize,
}

/// One datagram and what belongs to it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Slot {
    control: [u8; CONTROL],
    /// A `sockaddr_in6`, or the shorter `sockaddr_in`.
    name: [u8; NAME],
    bytes: [u8; ROOM],
}

/// One datagram as the kernel handed it over.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// The beginning of it, at most [`ROOM`] bytes.
    pub(crate) bytes: &'a [u8],
    /// How many bytes it has.
    pub(crate) length: usize,
    /// Where it came from; `None` when that is no IP address.
    pub(crate) source: Option<SocketAddr>,
    /// When the kernel got it, in nanoseconds of CLOCK_REALTIME, if it looked at the clock then.
    pub(crate) stamp: Option<i64>,
}

// SAFETY: the pointers lead to what the pool itself owns, and are used by its methods alone.
unsafe impl Send for Pool {}

impl Pool {
    /// Room for `count` datagrams.
    pub(crate) fn new(count: usize) -> Self {
        let empty = Slot { control: [0; CONTROL], name: [0; NAME], bytes: [0; ROOM] };
        let mut slots = vec![empty; count];
        // All pointers come from the same one, so that looking at a slot between two calls makes none of
        // them invalid.
        let first = slots.as_mut_ptr();
        let part = |number: usize, offset| {
            first.wrapping_add(number).cast::<u8>().wrapping_add(offset).cast::<libc::c_void>()
        };
        let bytes = |number| part(number, offset_of!(Slot, bytes));
        let vector = |number| libc::iovec { iov_base: bytes(number), iov_len: ROOM };
        let mut vectors: Vec<_> = (0..count).map(vector).collect();
        let first_vector = vectors.as_mut_ptr();
        let header = |number: usize| {
            // SAFETY: it consists of numbers and pointers, and all of them may be zero.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = part(number, offset_of!(Slot, name));
            header.msg_hdr.msg_iov = first_vector.wrapping_add(number);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = part(number, offset_of!(Slot, control));
            header
        };
        let headers: Vec<_> = (0..count).map(header).collect();
        Self { used: count, slots, _vectors: vectors, headers }
    }

    /// Reads as many datagrams as there are and as there is room for, at least one. Never waits.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, or the kernel's reason.
    pub(crate) fn receive(&mut self, from: &OwnedFd) -> io::Result<usize> {
        for header in self.headers.iter_mut().take(self.used) {
            header.msg_hdr.msg_namelen = NAME as _;
            header.msg_hdr.msg_controllen = CONTROL as _;
        }
        self.used = self.headers.len();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let (headers, room) = (self.headers.as_mut_ptr(), self.headers.len());
        // SAFETY: there are `room` headers; each names memory of this pool that is as long as it says and
        // that nobody else looks at while the kernel writes to it.
        let count = unsafe {
            libc::recvmmsg(from.as_raw_fd(), headers, room as _, flags as _, std::ptr::null_mut())
        };
        let count = Errno::result(count)?;
        self.used = usize::try_from(count).unwrap_or(0);
        Ok(self.used)
    }

    /// What [`Self::receive`] has just read, in the order of arrival.
    pub(crate) fn received(&self) -> impl Iterator<Item = Received<'_>> {
        self.headers.iter().zip(&self.slots).take(self.used).map(|(header, slot)| {
            let length = header.msg_len as usize;
            let control = slot.control.get(..header.msg_hdr.msg_controllen);
            Received {
                bytes: slot.bytes.get(..length).unwrap_or(&slot.bytes),
                length,
                source: source(&slot.name),
                stamp: control.and_then(stamp),
            }
        })
    }
}

/// So many datagrams the kernel has thrown away that were for `socket`, modulo 2³²: `sock_diag(7)`,
/// SK_MEMINFO_DROPS.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn drops(socket: &OwnedFd) -> io::Result<u32> {
    /// `SO_MEMINFO`, on all machines but SPARC and PA-RISC, of which the first answers with an error.
    const MEMINFO: libc::c_int = 55;
    const COUNT: usize = libc::SK_MEMINFO_DROPS as usize + 1;
    let mut info = [0_u32; COUNT];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: there are `length` bytes at `info`, and any of them can be a number's.
    let answer = unsafe {
        let (info, length) = ((&raw mut info).cast(), &raw mut length);
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, MEMINFO, info, length)
    };
    Errno::result(answer)?;
    if length as usize != size_of_val(&info) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    info.last().copied().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// What stands in `bytes` at `offset`.
fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The address in a `sockaddr_in6` or `sockaddr_in`.
fn source(name: &[u8; NAME]) -> Option<SocketAddr> {
    let family = libc::sa_family_t::from_ne_bytes(at(name, 0)?);
    match i32::from(family) {
        libc::AF_INET6 => {
            let port = u16::from_be_bytes(at(name, offset_of!(libc::sockaddr_in6, sin6_port))?);
            let ip: [u8; 16] = at(name, offset_of!(libc::sockaddr_in6, sin6_addr))?;
            let zone = at(name, offset_of!(libc::sockaddr_in6, sin6_scope_id))?;
            Some(SocketAddrV6::new(ip.into(), port, 0, u32::from_ne_bytes(zone)).into())
        }
        libc::AF_INET => {
            let port = u16::from_be_bytes(at(name, offset_of!(libc::sockaddr_in, sin_port))?);
            let ip: [u8; 4] = at(name, offset_of!(libc::sockaddr_in, sin_addr))?;
            Some(SocketAddr::from((Ipv4Addr::from(ip), port)))
        }
        _ => None,
    }
}

/// The first of the three times of a SCM_TIMESTAMPING: that of the software.
fn stamp(mut control: &[u8]) -> Option<i64> {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    loop {
        let length = usize::from_ne_bytes(at(control, offset_of!(libc::cmsghdr, cmsg_len))?);
        let level = i32::from_ne_bytes(at(control, offset_of!(libc::cmsghdr, cmsg_level))?);
        let kind = i32::from_ne_bytes(at(control, offset_of!(libc::cmsghdr, cmsg_type))?);
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) {
            let time = control.get(HEADER..length)?;
            let seconds = libc::time_t::from_ne_bytes(at(time, 0)?);
            let nanos = at(time, offset_of!(libc::timespec, tv_nsec))?;
            let nanos = libc::c_long::from_ne_bytes(nanos);
            let stamp = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
            // What no clock was looked at for has zeros.
            return Some(stamp).filter(|&stamp| stamp != 0);
        }
        let next = length.max(HEADER).checked_next_multiple_of(size_of::<usize>())?;
        control = control.get(next..)?;
    }
}
