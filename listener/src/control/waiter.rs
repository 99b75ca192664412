//! One that asks the holder of the port.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fence_kdump_core::Instant;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant as Timer, sleep_until};

use super::holder::Inherited;
use super::packet::{self, ADDRESSES, Reply, Request};
use super::seat::{self, Peer, Received};
use crate::address::Address;
use crate::clock::{self, Reading};
use crate::socket::{self, Datagram};
use crate::sys::watch;

/// How often the holder is asked whether it is still there.
const PING: Duration = Duration::from_millis(500);

/// How many pings in a row may stay without an answer before the holder counts as hanging. They are
/// counted, not timed: when this process itself did not run for a while, the holder is not to blame.
const PATIENCE: u32 = 3;

/// What a waiter learns.
#[derive(Debug)]
pub enum Told {
    /// A message was heard. Its time is by the clock of this host.
    Heard(Datagram),
    /// The holder is there, and whether it has the port.
    Holder {
        /// Its process.
        peer: Peer,
        /// Whether it has the UDP port.
        listening: bool,
    },
    /// The holder has not answered for a while.
    Hangs,
    /// The holder answers again.
    Answers,
    /// The holder counts time in another way: its times would mean nothing here.
    OtherClock,
    /// The holder is gone.
    Gone,
    /// The holder will not serve, or talks nonsense.
    SentAway,
}

/// A connection to the holder.
#[derive(Debug)]
pub struct Waiter {
    fd: AsyncFd<OwnedFd>,
    peer: Peer,
    hello_at: Reading,
    welcome: bool,
    /// How many the holder serves, as far as is known.
    served: usize,
    udp: Option<Inherited>,
    told: VecDeque<Told>,
    unanswered: u32,
    ping_at: Timer,
    hangs: bool,
}

impl Waiter {
    /// Greets the holder at the other end of `fd`. `udp` is the socket that an earlier holder left.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the holder is gone again.
    pub fn new(fd: OwnedFd, peer: Peer, udp: Option<Inherited>) -> io::Result<Self> {
        let now = Timer::now();
        let waiter = Self {
            fd: watch(fd)?,
            peer,
            hello_at: Reading::take(),
            welcome: false,
            served: 1,
            udp,
            told: VecDeque::new(),
            unanswered: 0,
            ping_at: now + PING,
            hangs: false,
        };
        waiter.say(&Request::Hello {})?;
        Ok(waiter)
    }

    /// Asks about `addresses`, and about messages that have one of `names`, besides those asked about
    /// before.
    ///
    /// # Errors
    /// When the holder is gone, or hangs and has not read what was said before.
    pub fn ask(&self, addresses: &[Address], names: &[String]) -> io::Result<()> {
        let ask = |addresses: &[Address], names: Vec<String>| {
            self.say(&Request::Ask { addresses: addresses.to_vec(), names })
        };
        if addresses.is_empty() && names.is_empty() {
            return ask(&[], Vec::new());
        }
        packet::batches(names).into_iter().try_for_each(|names| ask(&[], names))?;
        addresses.chunks(ADDRESSES).try_for_each(|addresses| ask(addresses, Vec::new()))
    }

    /// Sends `bytes` from the UDP port, through the copy of its socket that the holder gave.
    ///
    /// # Errors
    /// When it gave none yet, or the kernel does not take it.
    pub fn send(&self, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
        let udp = self.udp.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        socket::send(&udp.fd, to, port, bytes)
    }

    /// Asks about every message, whosever it is.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_everything(&self) -> io::Result<()> {
        self.say(&Request::AskEverything {})
    }

    /// Who the holder is.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The UDP socket that the holder gave, for the time after it.
    pub fn take_socket(&mut self) -> Option<Inherited> {
        self.udp.take()
    }

    /// A copy of it, for the time while the holder hangs.
    #[must_use]
    pub fn copy_socket(&self) -> Option<Inherited> {
        let udp = self.udp.as_ref()?;
        Some(Inherited {
            fd: udp.fd.try_clone().ok()?,
            emptied: udp.emptied,
            then: udp.then,
            served: udp.served,
        })
    }

    fn say(&self, request: &Request) -> io::Result<()> {
        seat::send(self.fd.get_ref(), &packet::write(request), None)
    }

    /// What is learned next. Cancel-safe.
    pub async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            let received = tokio::select! {
                received = self.fd.async_io(Interest::READABLE, seat::receive) => Some(received),
                () = sleep_until(self.ping_at) => None,
            };
            match received {
                Some(Ok(received)) => self.heed(received),
                // A holder that ended without reading my last ping: what it said before comes next.
                Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(_)) => self.told.push_back(Told::Gone),
                None => self.ping(),
            }
        }
    }

    fn ping(&mut self) {
        self.ping_at = Timer::now() + PING;
        if self.unanswered >= PATIENCE && !self.hangs {
            self.hangs = true;
            self.told.push_back(Told::Hangs);
        }
        self.unanswered = self.unanswered.saturating_add(1);
        // A holder that hangs does not empty its queue either.
        drop(self.say(&Request::Ping {}));
    }

    fn heed(&mut self, received: Received) {
        self.unanswered = 0;
        if self.hangs {
            self.hangs = false;
            self.told.push_back(Told::Answers);
        }
        let Received { bytes, gift } = received;
        match serde_json::from_slice(&bytes) {
            Ok(Reply::Welcome { now, time_namespace, listening, served, pid: _ }) => {
                self.welcome(now, time_namespace, listening);
                self.served(served);
            }
            Ok(Reply::Pong { served }) => self.served(served),
            Ok(Reply::Socket { emptied, offset }) => {
                self.udp = self.inherit(gift, emptied, offset);
            }
            // Nothing counts before it is known that both have one clock.
            Ok(Reply::Heard { from, port, at, bytes }) if self.welcome => {
                let received_at = Instant::from_nanos(at);
                let said = packet::words(&bytes);
                self.told.push_back(Told::Heard(Datagram { received_at, from, port, said }));
            }
            Ok(Reply::Refused { .. }) | Err(_) => self.told.push_back(Told::SentAway),
            Ok(Reply::Heard { .. } | Reply::Status(_) | Reply::Unknown) => {}
        }
    }

    fn welcome(&mut self, now: u64, time_namespace: Option<u64>, listening: bool) {
        let told = Instant::from_nanos(now);
        // It was said after the question and before its answer was read. In another time namespace
        // (`time_namespaces(7)`) it might not be, but one that is little ahead would go unnoticed.
        let plausible = told >= self.hello_at.now && told <= clock::now();
        if !plausible || time_namespace != clock::namespace() {
            self.told.push_back(Told::OtherClock);
            return;
        }
        self.welcome = true;
        let peer = self.peer;
        self.told.push_back(Told::Holder { peer, listening });
        if let Some(udp) = self.udp.as_ref().filter(|_| !listening) {
            let offer = Request::Offer {
                emptied: udp.emptied.as_nanos(),
                offset: udp.then.offset,
                served: udp.served,
            };
            use std::os::fd::AsFd;
            let bytes = packet::write(&offer);
            // If that fails the holder opens the port itself once this copy is closed.
            drop(seat::send(self.fd.get_ref(), &bytes, Some(udp.fd.as_fd())));
        }
    }

    fn served(&mut self, served: usize) {
        self.served = served;
        if let Some(udp) = &mut self.udp {
            udp.served = served;
        }
    }

    fn inherit(&self, gift: Option<OwnedFd>, emptied: u64, offset: i64) -> Option<Inherited> {
        let now = Reading::take();
        Some(Inherited {
            fd: gift?,
            emptied: Instant::from_nanos(emptied),
            then: Reading {
                now: now.now,
                offset: offset.max(now.offset).max(self.hello_at.offset),
            },
            served: self.served,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{ByteOrder, encode};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    /// A waiter, and its holder's end of the line.
    fn pair() -> (Waiter, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        (Waiter::new(ours, Peer::UNKNOWN, None).unwrap(), theirs)
    }

    fn say(holder: &OwnedFd, reply: &Reply) {
        seat::send(holder, &packet::write(reply), None).unwrap();
    }

    fn welcome(now: u64) -> Reply {
        let time_namespace = clock::namespace();
        Reply::Welcome { pid: 1, now, time_namespace, listening: true, served: 1 }
    }

    fn heard(at: u64) -> Reply {
        let said = socket::Words::read(&encode(ByteOrder::Big));
        let (received_at, from) = (Instant::from_nanos(at), "10.0.0.1".parse().unwrap());
        Reply::heard(&Datagram { received_at, from, port: 9, said }).unwrap()
    }

    #[tokio::test]
    async fn a_holder_of_another_time_is_not_believed() {
        for wrong in [0, u64::MAX] {
            let (mut waiter, holder) = pair();
            say(&holder, &heard(clock::now().as_nanos()));
            say(&holder, &welcome(wrong));
            assert!(matches!(waiter.next().await, Told::OtherClock), "{wrong}");
        }
        let (mut waiter, holder) = pair();
        let now = clock::now().as_nanos();
        let time_namespace = Some(1);
        say(&holder, &Reply::Welcome { pid: 1, now, time_namespace, listening: true, served: 1 });
        assert!(matches!(waiter.next().await, Told::OtherClock), "another namespace");
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_heard() {
        let (mut waiter, holder) = pair();
        say(&holder, &welcome(clock::now().as_nanos()));
        say(&holder, &heard(5));
        // The holder ends without having read what the waiter said: the kernel tells that first.
        drop(holder);
        assert!(matches!(waiter.next().await, Told::Holder { .. }));
        assert!(matches!(waiter.next().await, Told::Heard(_)));
        assert!(matches!(waiter.next().await, Told::Gone));
    }

    #[tokio::test]
    async fn a_holder_that_does_not_answer_hangs_until_it_does() {
        let (mut waiter, holder) = pair();
        say(&holder, &welcome(clock::now().as_nanos()));
        assert!(matches!(waiter.next().await, Told::Holder { .. }));
        assert!(matches!(waiter.next().await, Told::Hangs));
        say(&holder, &Reply::Pong { served: 3 });
        assert!(matches!(waiter.next().await, Told::Answers));
    }

    /// As many names as an agent can be given, in a mebibyte of options.
    #[tokio::test]
    async fn whatever_is_asked_fits_the_socket() {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        seat::make_room(&ours);
        let waiter = Waiter::new(ours, Peer::UNKNOWN, None).unwrap();
        let names = vec!["\"".repeat(253); 4_096];
        waiter.ask(&[], &names).unwrap();
        let mut asked = 0;
        while let Ok(received) = seat::receive(&theirs) {
            if let Ok(Request::Ask { names, .. }) = serde_json::from_slice(&received.bytes) {
                asked += names.len();
            }
        }
        assert_eq!(asked, names.len());
    }

    #[tokio::test]
    async fn nonsense_ends_it() {
        let (mut waiter, holder) = pair();
        seat::send(&holder, b"nonsense", None).unwrap();
        assert!(matches!(waiter.next().await, Told::SentAway));
    }
}
