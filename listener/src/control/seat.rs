//! The socket by which the holder of a port is found: who sits there, and packets to and fro.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg, setsockopt, socket,
    sockopt,
};

use super::packet;
use crate::deputy;
use crate::sys::adopt;

/// Who is at the other end, by SO_PEERCRED (`unix(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process; 0 when it cannot be seen from here.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

impl Peer {
    /// Somebody who cannot be asked.
    pub const UNKNOWN: Self = Self { pid: 0, uid: u32::MAX };

    /// Who is at the other end of `fd`.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn of(fd: &OwnedFd) -> io::Result<Self> {
        let credentials = getsockopt(fd, sockopt::PeerCredentials)?;
        Ok(Self { pid: credentials.pid(), uid: credentials.uid() })
    }

    /// Whether it may be believed, and may be served: see [`deputy::is_trusted`].
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        deputy::is_trusted(self.uid)
    }
}

/// What came of trying to sit down.
#[derive(Debug)]
pub enum Seat {
    /// It was free: this is the listening socket.
    Taken(OwnedFd),
    /// Somebody sits there and may be believed: this is the connection.
    Occupied(OwnedFd, Peer),
    /// Somebody sits there who may not be believed.
    Untrusted(Peer),
    /// Somebody is just sitting down or leaving, or too many come at once: try again soon.
    Changing,
}

/// What whoever connects may say before it is read, in bytes: all names and addresses that it can have.
const ROOM: usize = 8 * 1024 * 1024;

fn new_socket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    make_room(&fd);
    Ok(fd)
}

pub(super) fn make_room(fd: &OwnedFd) {
    // Beyond the host's limit only with CAP_NET_ADMIN; without it, less can be asked at once.
    let _ = setsockopt(fd, sockopt::SndBufForce, &ROOM)
        .or_else(|_| setsockopt(fd, sockopt::SndBuf, &ROOM));
}

/// Sits down at `name`, or connects to who sits there.
///
/// # Errors
/// When the kernel has no sockets of this kind, or no more of them.
pub fn take(name: &str) -> io::Result<Seat> {
    let address = UnixAddr::new_abstract(name.as_bytes())?;
    let fd = new_socket()?;
    match bind(fd.as_raw_fd(), &address) {
        Ok(()) => {
            listen(&fd, Backlog::MAXALLOWABLE)?;
            return Ok(Seat::Taken(fd));
        }
        Err(Errno::EADDRINUSE) => {}
        Err(error) => return Err(error.into()),
    }
    visit(name)
}

/// Connects to who sits at `name`, without sitting down when nobody does.
///
/// # Errors
/// When the kernel has no sockets of this kind, or no more of them.
pub fn visit(name: &str) -> io::Result<Seat> {
    let address = UnixAddr::new_abstract(name.as_bytes())?;
    let fd = new_socket()?;
    match connect(fd.as_raw_fd(), &address) {
        Ok(()) => {}
        Err(Errno::ECONNREFUSED | Errno::EAGAIN | Errno::EINTR) => return Ok(Seat::Changing),
        // Another kind of socket has the name: none of ours.
        Err(Errno::EPROTOTYPE) => return Ok(Seat::Untrusted(Peer::UNKNOWN)),
        Err(error) => return Err(error.into()),
    }
    let peer = Peer::of(&fd)?;
    Ok(if peer.is_trusted() { Seat::Occupied(fd, peer) } else { Seat::Untrusted(peer) })
}

/// The next one that came to `listener`, if any.
///
/// # Errors
/// `WouldBlock` when there is none; anything else when there are no descriptors left.
pub fn accept(listener: &OwnedFd) -> io::Result<(OwnedFd, Peer)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = adopt([accept4(listener.as_raw_fd(), flags)?]).pop();
    let fd = fd.ok_or(io::ErrorKind::InvalidData)?;
    let peer = Peer::of(&fd)?;
    Ok((fd, peer))
}

/// Sends one packet, and `gift` with it. Never waits.
///
/// # Errors
/// When the other end is gone, or has not read what was sent before.
pub fn send(to: &OwnedFd, bytes: &[u8], gift: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let slices = [IoSlice::new(bytes)];
    let fds = gift.map(|fd| [fd.as_raw_fd()]);
    let rights = fds.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
    let control = rights.as_ref().map_or(&[][..], |rights| &rights[..]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<UnixAddr>(to.as_fd().as_raw_fd(), &slices, control, flags, None)?;
    Ok(())
}

/// One packet and what came with it.
#[derive(Debug)]
pub struct Received {
    /// Its bytes, never none.
    pub bytes: Vec<u8>,
    /// A descriptor that came with it.
    pub gift: Option<OwnedFd>,
}

/// Receives one packet.
///
/// # Errors
/// `WouldBlock` when there is none, `UnexpectedEof` when there will be none, `InvalidData` when it is
/// larger than [`packet::LARGEST`].
pub fn receive(from: &OwnedFd) -> io::Result<Received> {
    let mut bytes = vec![0; packet::LARGEST];
    let mut control = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let (length, cut, fds) = {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<UnixAddr>(from.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
        // All descriptors are taken over before anything can go wrong, or they would stay open.
        let fds: Vec<_> = message
            .cmsgs()
            .into_iter()
            .flatten()
            .filter_map(|message| match message {
                ControlMessageOwned::ScmRights(fds) => Some(adopt(fds)),
                _ => None,
            })
            .flatten()
            .collect();
        (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC), fds)
    };
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if cut {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.truncate(length);
    Ok(Received { bytes, gift: fds.into_iter().next() })
}
