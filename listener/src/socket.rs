//! Datagrams in: one UDP port for IPv4 and IPv6, each datagram whole and with its true age.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fence_kdump_core::{DecodeError, Instant};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, TimestampingFlag, bind,
    getsockname, sendto, setsockopt, socket, sockopt,
};
use socket2::SockRef;
use thiserror::Error;
use tokio::io::unix::AsyncFd;

pub use crate::datagram::{Datagram, Words};

use crate::address::Address;
use crate::clock::{self, Reading};
use crate::dating::Dating;
use crate::sieve;
use crate::sys::{Pool, Received, attempt, drops, watch_shared};

/// What the kernel may keep for us while we do not run, in bytes; it counts them double: some 5,000 datagrams.
const QUEUE: usize = 4 * 1024 * 1024;

/// The same for who follows a whole fleet, if the kernel allows that: more than a hundred thousand small
/// datagrams, with all that they take there, since so many nodes may crash at once.
const FLEET_QUEUE: usize = 64 * 1024 * 1024;

/// How many datagrams are read before anything else gets its turn.
pub const BATCH: usize = 128;

/// Why the port cannot be listened on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PortError {
    /// Another program has it.
    #[error("UDP port {0} is in use by another program")]
    InUse(u16),
    /// Anything else.
    #[error("UDP port {port}: {error}")]
    Refused {
        /// Which port.
        port: u16,
        /// The kernel's reason.
        error: io::Error,
    },
}

/// A UDP port, open.
#[derive(Debug)]
pub struct Port {
    fd: Arc<OwnedFd>,
    /// Tells when something comes in; `None` after [`Port::rest`].
    bell: Option<AsyncFd<Arc<OwnedFd>>>,
    dating: Dating,
    pool: Pool,
    is_sifted: bool,
    /// What the kernel threw away since this began, and the kernel's own count when it was last asked.
    dropped: u64,
    kernel_dropped: u32,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Nothing is left.
    Empty,
    /// There may be more.
    More,
}

fn new_socket(port: u16) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let open = |family| socket(family, SockType::Datagram, flags, None);
    let dual = open(AddressFamily::Inet6).and_then(|fd| {
        setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
        prepare(&fd)?;
        let any = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
        bind(fd.as_raw_fd(), &SockaddrStorage::from(any))?;
        Ok(fd)
    });
    match dual {
        // A host without IPv6.
        Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL | Errno::EPROTONOSUPPORT) => {
            let fd = open(AddressFamily::Inet)?;
            prepare(&fd)?;
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            bind(fd.as_raw_fd(), &SockaddrStorage::from(any))?;
            Ok(fd)
        }
        other => other,
    }
}

fn prepare(fd: &OwnedFd) -> nix::Result<()> {
    // Before binding: no datagram may come in without a stamp.
    stamp(fd)?;
    // An IPv6 socket hears IPv4 multicast only when told so (`ip(7)`); one on a host without IPv4
    // has none to hear.
    let _ = SockRef::from(fd).set_multicast_all_v4(true);
    // Beyond the host's limit only with CAP_NET_ADMIN; a smaller queue is no reason to stop.
    let _ = setsockopt(fd, sockopt::RcvBufForce, &QUEUE)
        .or_else(|_| setsockopt(fd, sockopt::RcvBuf, &QUEUE));
    Ok(())
}

/// Has the kernel stamp what comes in.
///
/// What came before it began to has no stamp then. With SO_TIMESTAMPNS it would get one when it is read,
/// which is no time of arrival.
fn stamp(fd: &OwnedFd) -> nix::Result<()> {
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(fd, sockopt::Timestamping, &flags)?;
    // Whoever opened the socket may have wanted that.
    setsockopt(fd, sockopt::ReceiveTimestampns, &false)
}

impl Port {
    /// Opens the port on every address of this host, for IPv4 and IPv6 alike, or for IPv4 alone on a
    /// host without IPv6. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When another program holds the port, or the kernel refuses it.
    pub fn open(port: u16) -> Result<Self, PortError> {
        let opened_at = Reading::take();
        let fd = new_socket(port).map_err(|error| match error {
            Errno::EADDRINUSE => PortError::InUse(port),
            error => PortError::Refused { port, error: error.into() },
        })?;
        Self::with(fd, Dating::new(opened_at.now, opened_at))
            .map_err(|error| PortError::Refused { port, error })
    }

    /// Goes on reading from a socket that another process opened and handed over. Whatever is in its
    /// queue arrived after `emptied`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When it is no socket bound to `port`, or the runtime cannot take it.
    pub fn inherit(fd: OwnedFd, port: u16, emptied: Instant, then: Reading) -> io::Result<Self> {
        let bound: SockaddrStorage = getsockname(fd.as_raw_fd())?;
        if source(&bound).map(|address| address.port()) != Some(port) {
            return Err(io::Error::other(format!("not a socket of UDP port {port}")));
        }
        if emptied > clock::now() {
            return Err(io::Error::other("its queue is said to have been empty in the future"));
        }
        stamp(&fd)?;
        Self::with(fd, Dating::new(emptied, then))
    }

    fn with(fd: OwnedFd, dating: Dating) -> io::Result<Self> {
        let kernel_dropped = drops(&fd).unwrap_or(0);
        let fd = Arc::new(fd);
        let bell = Some(watch_shared(&fd)?);
        let pool = Pool::new(BATCH);
        Ok(Self { fd, bell, dating, pool, is_sifted: false, dropped: 0, kernel_dropped })
    }

    /// From now on, the kernel throws away what cannot be a message (see [`crate::sieve`]) without waking
    /// this process, and keeps as much of the rest as a large fleet needs; or, when `sift` is false, it throws
    /// away nothing, whoever told it to.
    ///
    /// # Errors
    /// When the kernel cannot. What cannot be a message is then read and refused.
    pub fn sift(&mut self, sift: bool) -> io::Result<()> {
        let fd = &*self.fd;
        if sift {
            // Only with CAP_NET_ADMIN. Without it, whoever opened the socket may have given it more than this
            // process could.
            let _ = setsockopt(fd, sockopt::RcvBufForce, &FLEET_QUEUE);
        }
        self.is_sifted = sift && sieve::attach(fd).map(|()| true)?;
        if sift { Ok(()) } else { sieve::detach(fd) }
    }

    /// How many datagrams the kernel has thrown away since this port was opened or inherited, because they
    /// could be no messages or because there was no room for them.
    pub fn dropped(&mut self) -> u64 {
        // Without an answer it is as it was.
        let count = drops(&self.fd).unwrap_or(self.kernel_dropped);
        let new = count.wrapping_sub(std::mem::replace(&mut self.kernel_dropped, count));
        self.dropped = self.dropped.saturating_add(new.into());
        self.dropped
    }

    /// Sends `bytes` to `port` of `to`, from this port. Never waits.
    ///
    /// # Errors
    /// When the kernel does not take it: it knows no way there, or has no room.
    pub fn send(&self, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
        send(&self.fd, to, port, bytes)
    }

    /// The socket, to be shared with another process.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whatever will still be read arrived after this.
    #[must_use]
    pub fn emptied(&self) -> Instant {
        self.dating.since()
    }

    /// The offset of the clocks at that moment.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.dating.offset()
    }

    /// Waits until there may be something to read. Cancel-safe.
    ///
    /// # Errors
    /// When the runtime is shutting down, or cannot tell.
    pub async fn readable(&mut self) -> io::Result<()> {
        let bell = match self.bell.take() {
            Some(bell) => self.bell.insert(bell),
            None => self.bell.insert(watch_shared(&self.fd)?),
        };
        bell.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Until the next [`Self::readable`], nobody is woken by what comes in: for one that looks after it by itself.
    pub fn rest(&mut self) {
        self.bell = None;
    }

    /// Whether that is so.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.bell.is_none()
    }

    /// Reads at most [`BATCH`] datagrams, in the order of their arrival, and adds them to `batch`.
    ///
    /// # Errors
    /// When the kernel reports an error of the socket; reading may go on afterwards.
    pub fn read(&mut self, batch: &mut Vec<Datagram>) -> io::Result<Queue> {
        let before = Reading::take();
        let Self { fd, bell, dating, pool, is_sifted, .. } = self;
        let mut count = 0;
        let mut receive = |fd: &Arc<OwnedFd>| {
            count = pool.receive(fd)?;
            // The call came to the end of the queue: the runtime need not be told once more.
            if count < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        let outcome = match bell {
            Some(bell) => attempt(bell, receive),
            None => receive(fd),
        };
        let queue = match outcome {
            Ok(()) => Queue::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Queue::Empty,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Queue::More),
            Err(error) => return Err(error),
        };
        if count > 0 {
            let reading = Reading::take();
            let mut was_let_through = false;
            for received in pool.received() {
                let said = read(&received);
                was_let_through |= said.as_ref().is_err_and(|error| sieve::keeps_out(*error));
                // Only IP sockets come here, and they always name their source.
                let Some(source) = received.source else {
                    continue;
                };
                let received_at = dating.date(received.stamp, reading);
                let (from, port) = (Address::of_source(source), source.port());
                batch.push(Datagram { received_at, from, port, said });
            }
            if *is_sifted && was_let_through {
                // Another process that has the socket took the sieve away. Without one, all is as it was.
                let _ = sieve::attach(fd);
            }
        }
        if queue == Queue::Empty {
            self.dating.emptied(before);
        }
        Ok(queue)
    }
}

fn read(received: &Received<'_>) -> Result<Words, DecodeError> {
    let &Received { bytes, length, .. } = received;
    let cut = length.saturating_sub(bytes.len());
    match Words::read(bytes) {
        Err(DecodeError::TrailingBytes { extra }) => {
            Err(DecodeError::TrailingBytes { extra: extra.saturating_add(cut) })
        }
        // What was cut is never a whole message, and there is room for more than any message has.
        Err(DecodeError::TooLong { .. }) => Err(DecodeError::TooLong { len: length }),
        Ok(_) if cut > 0 => Err(DecodeError::TooLong { len: length }),
        other => other,
    }
}

/// Sends `bytes` to `port` of `to`, from the port that `fd` is bound to. Never waits.
///
/// # Errors
/// When the kernel does not take it: it knows no way there, or has no room.
pub fn send(fd: &OwnedFd, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
    let bound: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let to = match (bound.as_sockaddr_in6(), to.with_port(port)) {
        // A socket for both families writes IPv4 addresses as IPv6 ones.
        (Some(_), SocketAddr::V4(v4)) => {
            SocketAddrV6::new(v4.ip().to_ipv6_mapped(), port, 0, 0).into()
        }
        (_, to) => to,
    };
    sendto(fd.as_raw_fd(), bytes, &SockaddrStorage::from(to), MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

fn source(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| {
        let v6 = address.as_sockaddr_in6()?;
        Some(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
    })
}

#[cfg(test)]
mod tests;
