//! The one that reads the UDP port, for itself and for all others.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use fence_kdump_core::Instant;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant as Timer, sleep, sleep_until};

use super::clients::{Clients, Id, Said};
use super::packet::{Reply, Request, Status};
use super::recent::Recent;
use super::schedule::{AGAIN, Schedule};
use super::seat;
use crate::address::Address;
use crate::clock::{self, Reading};
use crate::line::{News, Notice};
use crate::socket::{BATCH, Datagram, Port, PortError, Queue};
use crate::sys::{attempt, watch};

/// With more news than this waiting, the queue is not emptied for the sake of a newcomer.
const NEWS: usize = 8;

/// A socket that somebody else opened, and what is known of its queue.
#[derive(Debug)]
pub struct Inherited {
    /// The UDP socket.
    pub fd: OwnedFd,
    /// Everything in its queue arrived after this.
    pub emptied: Instant,
    /// The clocks at that time.
    pub then: Reading,
    /// How many were served by whoever read it, this process included.
    pub served: usize,
}

/// Reads the port.
#[derive(Debug)]
pub struct Holder {
    number: u16,
    listener: Option<AsyncFd<OwnedFd>>,
    port: Option<Port>,
    open_at: Timer,
    /// When it is read.
    schedule: Schedule,
    clients: Clients,
    recent: Recent,
    news: VecDeque<News>,
    /// The kernel throws away what cannot be a message.
    sifts: bool,
    /// What came a moment ago is remembered only where [`Holder::remember`] says so.
    is_forgetful: bool,
    /// Room for the next batch.
    spare: Vec<Datagram>,
    /// Nothing is read any more.
    leaving: bool,
    /// Accepting failed, as it does when there are no descriptors left.
    closed_until: Option<Timer>,
}

enum Ready {
    Newcomer,
    Said(Id, Said),
    Datagrams,
    OpenPort,
}

impl Holder {
    /// Sits at `listener` (nowhere when `None`) and reads UDP port `number`, from the queue of
    /// `inherited` if there is one. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(number: u16, listener: Option<OwnedFd>, inherited: Option<Inherited>) -> Self {
        let listener = listener.and_then(|fd| watch(fd).ok());
        let mut holder = Self {
            number,
            listener,
            port: None,
            open_at: Timer::now(),
            schedule: Schedule::default(),
            clients: Clients::default(),
            recent: Recent::default(),
            news: VecDeque::new(),
            sifts: false,
            is_forgetful: false,
            spare: Vec::new(),
            leaving: false,
            closed_until: None,
        };
        match inherited {
            Some(inherited) => holder.inherit(inherited),
            None => holder.open_port(),
        }
        holder
    }

    /// From now on, what cannot be a message may be thrown away by the kernel; otherwise it is told, too.
    pub fn sift(&mut self, sift: bool) {
        self.sifts = sift;
        if let Some(port) = &mut self.port
            && let Err(error) = port.sift(sift)
        {
            self.notice(Notice::Trouble(format!("UDP port {}: filter: {error}", self.number)));
        }
    }

    /// How many datagrams the kernel has thrown away: see [`Port::dropped`].
    pub fn dropped(&mut self) -> u64 {
        self.port.as_mut().map_or(0, Port::dropped)
    }

    /// Takes back the room of datagrams that were told, so that the next ones need none of their own.
    pub fn reuse(&mut self, mut room: Vec<Datagram>) {
        room.clear();
        if room.capacity() > self.spare.capacity() {
            self.spare = room;
        }
    }

    /// What happens next. Cancel-safe.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            let asking = self.clients.asking();
            let is_closed = self.port.is_none();
            let ready = tokio::select! {
                () = newcomer(self.listener.as_ref(), self.closed_until) => Ready::Newcomer,
                (id, said) = self.clients.listen() => Ready::Said(id, said),
                () = self.schedule.due(self.port.as_mut(), asking) => Ready::Datagrams,
                () = open_at(is_closed, self.open_at) => Ready::OpenPort,
            };
            match ready {
                Ready::Newcomer => self.accept(),
                Ready::Said(id, said) => self.heed(id, said),
                Ready::OpenPort => self.open_port(),
                Ready::Datagrams => {
                    self.schedule.begin();
                    if self.read() == Queue::More {
                        self.schedule.go_on();
                        // Timers and clients get their turn however much comes in.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// From now on, whoever reads what is told remembers it for others, and says what is left: see
    /// [`Holder::remember`].
    pub fn forget(&mut self) {
        self.is_forgetful = true;
    }

    /// `datagram` is remembered for a moment, for whoever asks.
    pub fn remember(&mut self, datagram: &Datagram) {
        self.recent.remember(datagram);
    }

    /// Tells `id`, who asks, what is remembered of `addresses` and `names`.
    pub fn tell_recent(&mut self, id: Id, addresses: &[Address], names: &[String]) {
        for reply in self.recent.of(addresses, names).into_iter().filter_map(Reply::heard) {
            self.clients.reply(id, &reply);
        }
    }

    /// What was heard from `addresses`, or in one of `names`, a moment ago is told again.
    pub fn recall(&mut self, addresses: &[Address], names: &[String]) {
        let found: Vec<_> = self.recent.of(addresses, names).into_iter().cloned().collect();
        if !found.is_empty() {
            self.news.push_back(News::Datagrams(found));
        }
    }

    /// Sends `bytes` from the UDP port.
    ///
    /// # Errors
    /// When the port is not open yet, or the kernel does not take it.
    pub fn send(&self, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
        let open = self.port.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        open.send(to, port, bytes)
    }

    /// Answers a [`News::Asked`].
    pub fn tell_heard(&mut self, id: Id, datagram: &Datagram) {
        if let Some(reply) = Reply::heard(datagram) {
            self.clients.reply(id, &reply);
        }
    }

    /// Whether the port is open here.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.port.is_some()
    }

    /// When the queue of the port was last seen empty, and the offset of the clocks then.
    #[must_use]
    pub fn queue(&self) -> Option<(Instant, i64)> {
        self.port.as_ref().map(|port| (port.emptied(), port.offset()))
    }

    /// How many ask.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.asking()
    }

    /// Answers a [`News::StatusAsked`].
    pub fn tell_status(&mut self, id: Id, status: Status) {
        let status = Status {
            pid: std::process::id(),
            port: self.number,
            listening: self.port.is_some(),
            clients: self.clients.asking(),
            ..status
        };
        self.clients.reply(id, &Reply::Status(status));
    }

    fn notice(&mut self, notice: Notice) {
        self.news.push_back(News::Notice(notice));
    }

    fn inherit(&mut self, inherited: Inherited) {
        let Inherited { fd, emptied, then, served } = inherited;
        match Port::inherit(fd, self.number, emptied, then) {
            Ok(port) => {
                self.schedule.gather(served.saturating_sub(1));
                self.listening(port);
            }
            Err(error) => {
                self.notice(Notice::Trouble(error.to_string()));
                self.open_port();
            }
        }
    }

    /// Answers everybody who has asked by now, even those that were not listened to yet: this process
    /// ends, and with it what it remembers.
    pub fn leave(&mut self) {
        // What is still in the queue is for those that stay.
        self.leaving = true;
        self.accept();
        for (id, said) in self.clients.last_words() {
            self.heed(id, said);
        }
    }

    fn open_port(&mut self) {
        match Port::open(self.number) {
            Ok(port) => self.listening(port),
            Err(error) => {
                self.open_at = Timer::now() + AGAIN;
                self.notice(match error {
                    PortError::InUse(_) => Notice::PortInUse(error.to_string()),
                    other => Notice::Trouble(other.to_string()),
                });
            }
        }
    }

    fn listening(&mut self, port: Port) {
        self.port = Some(port);
        // Also when it was inherited from somebody who did otherwise.
        self.sift(self.sifts);
        self.notice(Notice::Listening);
        for id in self.clients.wanting_socket() {
            self.give_socket(id);
        }
    }

    fn give_socket(&mut self, id: Id) {
        let reply = self.port.as_ref().map(|port| Reply::Socket {
            emptied: port.emptied().as_nanos(),
            offset: port.offset(),
        });
        let socket = self.port.as_ref().map(Port::as_fd).zip(reply.as_ref());
        self.clients.give_socket(id, socket);
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        for _ in 0..BATCH {
            match attempt(listener, seat::accept) {
                Ok((fd, peer)) => self.clients.welcome(fd, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.closed_until = Some(Timer::now() + AGAIN);
                    self.notice(Notice::Trouble(format!("control socket: {error}")));
                    break;
                }
            }
        }
    }

    fn heed(&mut self, id: Id, said: Said) {
        match said {
            Said::Gone => self.clients.leave(id),
            Said::Request(Request::Hello {}, _) => {
                // So that whoever inherits this queue knows that all of it came after it asked.
                while self.port.is_some()
                    && !self.schedule.is_gathering()
                    && !self.leaving
                    && self.news.len() < NEWS
                    && self.read() == Queue::More
                {}
                let welcome = Reply::Welcome {
                    pid: std::process::id(),
                    now: clock::now().as_nanos(),
                    time_namespace: clock::namespace(),
                    listening: self.port.is_some(),
                    served: self.clients.len(),
                };
                self.clients.reply(id, &welcome);
                self.give_socket(id);
            }
            Said::Request(Request::Ask { addresses, names }, _) => {
                if self.clients.ask(id, &addresses, &names) {
                    if !self.is_forgetful {
                        self.tell_recent(id, &addresses, &names);
                    }
                    if !(addresses.is_empty() && names.is_empty()) {
                        self.news.push_back(News::Asked { id, addresses, names });
                    }
                }
            }
            Said::Request(Request::AskEverything {}, _) => {
                self.clients.ask_everything(id);
                for reply in self.recent.all().into_iter().filter_map(Reply::heard) {
                    self.clients.reply(id, &reply);
                }
            }
            Said::Request(Request::Offer { emptied, offset, served }, Some(fd))
                if self.port.is_none() =>
            {
                let emptied = Instant::from_nanos(emptied);
                let then = Reading { now: emptied, offset };
                self.inherit(Inherited {
                    fd,
                    emptied,
                    then,
                    // The one that offers is served now, and this one was not then.
                    served: served.saturating_add(1),
                });
            }
            Said::Request(Request::Ping {}, _) => {
                let served = self.clients.len();
                self.clients.reply(id, &Reply::Pong { served });
                if self.port.is_some() && self.clients.wants_socket(id) {
                    self.give_socket(id);
                }
            }
            Said::Request(Request::Status(inquiry), _) => {
                self.news.push_back(News::StatusAsked(id, inquiry));
            }
            Said::Request(Request::Offer { .. } | Request::Unknown, _) => {}
        }
    }

    /// Reads one batch; every message is told to whoever asked, before anything else happens.
    fn read(&mut self) -> Queue {
        let Self { port: Some(port), clients, recent, news, spare, schedule, is_forgetful, .. } =
            self
        else {
            return Queue::Empty;
        };
        let mut batch = std::mem::take(spare);
        batch.reserve(BATCH);
        let read = port.read(&mut batch);
        for datagram in batch.iter().filter(|datagram| datagram.said.is_ok()) {
            if !*is_forgetful {
                recent.remember(datagram);
            }
            clients.tell(datagram);
        }
        schedule.was_read(port, !batch.is_empty());
        if batch.is_empty() {
            *spare = batch;
        } else {
            news.push_back(News::Datagrams(batch));
        }
        match read {
            Ok(queue) => queue,
            Err(error) => {
                let trouble = format!("UDP port {}: {error}", self.number);
                self.notice(Notice::Trouble(trouble));
                Queue::Empty
            }
        }
    }
}

async fn newcomer(listener: Option<&AsyncFd<OwnedFd>>, closed_until: Option<Timer>) {
    if let Some(until) = closed_until {
        sleep_until(until).await;
    }
    match listener {
        Some(listener) => match listener.readable().await {
            Ok(mut guard) => guard.retain_ready(),
            Err(_) => sleep(AGAIN).await,
        },
        None => pending().await,
    }
}

async fn open_at(wanted: bool, at: Timer) {
    if wanted {
        sleep_until(at).await;
    } else {
        pending().await
    }
}
