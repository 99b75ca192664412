//! Datagrams in: one UDP port for IPv4 and IPv6, each datagram whole and with its true age.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use fence_kdump_core::{DecodeError, Instant};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind,
    getsockname, recvmsg, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::SockRef;
use thiserror::Error;
use tokio::io::unix::AsyncFd;

pub use crate::datagram::{Datagram, Words};

use crate::address::Address;
use crate::clock::{self, Reading};
use crate::dating::Dating;
use crate::sys::{attempt, watch};

/// Room for the largest datagram that UDP has, so that none is cut and a message with more behind it
/// is never taken for a message.
const LARGEST: usize = 65536;

/// What the kernel may keep for us while we do not run, in bytes: some 5,000 small datagrams.
const QUEUE: usize = 4 * 1024 * 1024;

/// How many datagrams are read before anything else gets its turn.
pub const BATCH: usize = 64;

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
    fd: AsyncFd<OwnedFd>,
    dating: Dating,
    buffer: Vec<u8>,
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
    setsockopt(fd, sockopt::ReceiveTimestampns, &true)?;
    // An IPv6 socket hears IPv4 multicast only when told so (`ip(7)`); one on a host without IPv4
    // has none to hear.
    let _ = SockRef::from(fd).set_multicast_all_v4(true);
    // Beyond the host's limit only with CAP_NET_ADMIN; a smaller queue is no reason to stop.
    let _ = setsockopt(fd, sockopt::RcvBufForce, &QUEUE)
        .or_else(|_| setsockopt(fd, sockopt::RcvBuf, &QUEUE));
    Ok(())
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
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
        Self::with(fd, Dating::new(emptied, then))
    }

    fn with(fd: OwnedFd, dating: Dating) -> io::Result<Self> {
        Ok(Self { fd: watch(fd)?, dating, buffer: vec![0; LARGEST] })
    }

    /// Sends `bytes` to `port` of `to`, from this port. Never waits.
    ///
    /// # Errors
    /// When the kernel does not take it: it knows no way there, or has no room.
    pub fn send(&self, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
        send(self.fd.get_ref(), to, port, bytes)
    }

    /// The socket, to be shared with another process.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
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
    /// When the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.fd.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Reads at most [`BATCH`] datagrams, in the order of their arrival, and hands each to `take`.
    ///
    /// # Errors
    /// When the kernel reports an error of the socket; reading may go on afterwards.
    pub fn read(&mut self, mut take: impl FnMut(Datagram)) -> io::Result<Queue> {
        let mut reading = Reading::take();
        for _ in 0..BATCH {
            let buffer = &mut self.buffer;
            let received = attempt(&self.fd, |fd| receive(fd, buffer));
            match received {
                Ok(Received { from, stamp, said }) => {
                    reading = Reading::take();
                    let received_at = self.dating.date(stamp, reading);
                    // Only IP sockets come here, and they always name their source.
                    let Some(source) = from else {
                        continue;
                    };
                    let (from, port) = (Address::of_source(source), source.port());
                    take(Datagram { received_at, from, port, said });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.dating.emptied(reading);
                    return Ok(Queue::Empty);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Queue::More)
    }
}

struct Received {
    from: Option<SocketAddr>,
    stamp: Option<i64>,
    said: Result<Words, DecodeError>,
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

fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> io::Result<Received> {
    // The kernel starts to stamp a moment after it was asked to; what came before gets the time of
    // this very call, which is no time of arrival.
    let called = clock::realtime();
    let mut control = nix::cmsg_space!(TimeSpec);
    let (length, from, stamp, cut) = {
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
        let stamp = message.cmsgs().ok().and_then(|mut all| all.find_map(stamp));
        let stamp = stamp.filter(|&stamp| stamp < called);
        let from = message.address.as_ref().and_then(source);
        (message.bytes, from, stamp, message.flags.contains(MsgFlags::MSG_TRUNC))
    };
    let bytes = buffer.get(..length).unwrap_or_default();
    let said = match Words::read(bytes) {
        // Cannot be, with a buffer of this size; but what was cut is never a whole message.
        Ok(_) if cut => Err(DecodeError::TooLong { len: LARGEST }),
        said => said,
    };
    Ok(Received { from, stamp, said })
}

fn stamp(message: ControlMessageOwned) -> Option<i64> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            Some(time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec()))
        }
        _ => None,
    }
}

fn source(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| {
        let v6 = address.as_sockaddr_in6()?;
        Some(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{ByteOrder, encode};
    use std::net::UdpSocket;
    use std::time::Duration;

    fn port_of(port: &Port) -> u16 {
        let bound: SockaddrStorage = getsockname(port.as_fd().as_raw_fd()).unwrap();
        source(&bound).unwrap().port()
    }

    #[tokio::test]
    async fn both_families_whole_datagrams_and_their_true_age() {
        let mut port = Port::open(0).unwrap();
        let number = port_of(&port);
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let hello = encode(ByteOrder::NATIVE);
        // The kernel starts to stamp a moment after it was asked to, and on a busy host, long after.
        let is_stamping = |port: &mut Port| {
            let before = clock::now();
            v4.send_to(&hello, ("127.0.0.1", number)).unwrap();
            let mut stamped = false;
            while !port.read(|one| stamped |= one.received_at >= before).is_ok_and(|_| stamped) {
                if clock::now().saturating_since(before) > Duration::from_millis(50) {
                    return false;
                }
            }
            true
        };
        assert!((0..100).any(|_| is_stamping(&mut port)), "nothing is stamped");
        let before = clock::now();
        v4.send_to(&hello, ("127.0.0.1", number)).unwrap();
        v4.send_to(&[], ("127.0.0.1", number)).unwrap();
        let mut long = vec![0; 60_000];
        long.splice(..8, hello);
        v4.send_to(&long, ("127.0.0.1", number)).unwrap();
        let after = clock::now();
        std::thread::sleep(Duration::from_millis(300));
        port.readable().await.unwrap();
        let mut heard = Vec::new();
        assert_eq!(port.read(|datagram| heard.push(datagram)).unwrap(), Queue::Empty);
        let [first, empty, too_long] = heard.as_slice() else {
            panic!("{heard:?}");
        };
        assert_eq!(first.from.to_string(), "127.0.0.1");
        assert!(first.said.is_ok());
        assert!((before..=after).contains(&first.received_at), "not when it was read");
        assert_eq!(first.port, v4.local_addr().unwrap().port());
        assert_eq!(empty.said, Err(DecodeError::Empty));
        assert_eq!(too_long.said, Err(DecodeError::TrailingBytes { extra: 59_992 }));
    }

    /// Whoever is answered sees the port at which is listened, whichever family it speaks.
    #[tokio::test]
    async fn an_answer_comes_from_the_port_that_listens() {
        let mut port = Port::open(0).unwrap();
        let number = port_of(&port);
        for host in ["127.0.0.1", "::1"] {
            let sender = UdpSocket::bind((host, 0)).unwrap();
            sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            sender.send_to(&encode(ByteOrder::NATIVE), (host, number)).unwrap();
            port.readable().await.unwrap();
            let mut heard = Vec::new();
            let _ = port.read(|datagram| heard.push(datagram)).unwrap();
            let one = heard.pop().unwrap();
            port.send(one.from, one.port, b"answer").unwrap();
            let mut bytes = [0; 16];
            let (length, from) = sender.recv_from(&mut bytes).unwrap();
            assert_eq!((&bytes[..length], from.port()), (&b"answer"[..], number), "{host}");
        }
    }

    /// A queue that nobody has told of yet is not empty.
    #[tokio::test]
    async fn what_has_just_come_is_there() {
        let mut port = Port::open(0).unwrap();
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let hello = encode(ByteOrder::NATIVE);
        for _ in 0..3 {
            v4.send_to(&hello, ("127.0.0.1", port_of(&port))).unwrap();
            let sent = clock::now();
            let mut heard = Vec::new();
            let queue = port.read(|datagram| heard.push(datagram)).unwrap();
            assert_eq!((heard.len(), queue), (1, Queue::Empty));
            assert!(heard.iter().all(|datagram| datagram.received_at <= sent));
        }
    }

    #[tokio::test]
    async fn a_socket_that_is_not_of_the_port_is_not_inherited() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = Port::inherit(other.into(), 1, clock::now(), Reading::take()).unwrap_err();
        assert!(error.to_string().contains("UDP port 1"), "{error}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_told() {
        let port = Port::open(0).unwrap();
        let again = Port::open(port_of(&port));
        assert!(matches!(again, Err(PortError::InUse(_))), "{again:?}");
    }
}
