//! The line by which datagrams of one UDP port come in: by reading the port, or by asking who does.
//!
//! Whatever happens to the others on this host, the line goes on: see [`crate::control`].

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use fence_kdump_core::Instant;
use fence_kdump_core::message::is_node_name;
use tokio::time::{Instant as Timer, sleep_until};

use crate::address::Address;
use crate::control::clients::Id;
use crate::control::holder::{Holder, Inherited};
use crate::control::packet::{Inquiry, Status};
use crate::control::seat::{self, Peer, Seat};
use crate::control::waiter::{Told, Waiter};
use crate::control::{name, stand_in_name};
use crate::socket::Datagram;

/// How soon a seat that is changing hands is tried again.
const SOON: Duration = Duration::from_millis(20);

/// How often in a row a seat may be changing hands before it counts as blocked.
const PATIENCE: u32 = 100;

/// What comes in.
#[derive(Debug)]
pub enum News {
    /// Datagrams, in the order of their arrival. One who waits hears of messages from addresses, or with
    /// names, that were asked for, and of no other. [`Line::reuse`] takes the room back.
    Datagrams(Vec<Datagram>),
    /// Something about the line itself.
    Notice(Notice),
    /// Somebody asks for the state of things: [`Line::tell_status`] answers.
    StatusAsked(Id, Inquiry),
    /// Somebody asks about nodes, and was told what came a moment ago from whomever: who remembers more of
    /// them tells it with [`Line::tell_heard`].
    Asked {
        /// Who.
        id: Id,
        /// Where messages of them come from.
        addresses: Vec<Address>,
        /// The names in their messages, in any case.
        names: Vec<String>,
    },
}

/// Something about the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The port is open here.
    Listening,
    /// Another program has the port; it is tried again and again.
    PortInUse(String),
    /// Another process of ours has the port and serves this one.
    Served(Peer),
    /// The one that serves does not have the port either.
    ServedInVain(Peer),
    /// The one that served is gone.
    Bereft,
    /// The one that serves does not answer.
    Hangs(Peer),
    /// Somebody sits in the holder's place who may not be believed.
    Untrusted(String),
    /// The system refuses something; the line goes on as well as it can.
    Trouble(String),
}

#[derive(Debug)]
enum Place {
    Holding(Box<Holder>),
    Waiting(Box<Waiter>),
    Between(Timer),
}

/// The line.
#[derive(Debug)]
pub struct Line {
    number: u16,
    asked: Vec<Address>,
    /// In lower case.
    names: Vec<String>,
    /// Whatever message comes is wanted.
    everything: bool,
    /// What cannot be a message is not even looked at.
    sifts: bool,
    place: Place,
    /// Where this one reads or waits while the holder hangs.
    stand_in: Option<Place>,
    /// The socket that the last holder left.
    left: Option<Inherited>,
    changing: u32,
    /// This one holds no seat, only the port, or not even that.
    is_aside: bool,
}

enum Ready {
    News(News),
    Told(Told),
    StandIn(News),
    StandInTold(Told),
    TryAgain,
    TryStandIn,
}

impl Line {
    /// A line to UDP port `number`, which is opened by [`Line::next`].
    #[must_use]
    pub fn new(number: u16) -> Self {
        Self {
            number,
            asked: Vec::new(),
            names: Vec::new(),
            everything: false,
            sifts: false,
            place: Place::Between(Timer::now()),
            stand_in: None,
            left: None,
            changing: 0,
            is_aside: false,
        }
    }

    /// A line by which every message comes, whosever it is. Who has it remembers the messages of its nodes, and says
    /// [`Line::remember`] of others. With `sift`, the kernel may throw away what
    /// cannot be a message instead of handing it over to be refused: see [`crate::sieve`].
    #[must_use]
    pub fn to_everything(number: u16, sift: bool) -> Self {
        Self { everything: true, sifts: sift, ..Self::new(number) }
    }

    /// How many datagrams the kernel has thrown away since this line was opened, because they could be no
    /// messages or because there was no room for them; as far as this process reads the port.
    pub fn dropped(&mut self) -> u64 {
        let places = [Some(&mut self.place), self.stand_in.as_mut()].into_iter().flatten();
        let dropped = places.map(|place| match place {
            Place::Holding(holder) => holder.dropped(),
            Place::Waiting(_) | Place::Between(_) => 0,
        });
        dropped.fold(0, u64::saturating_add)
    }

    /// Takes back the room of [`News::Datagrams`], so that the next need none of their own.
    pub fn reuse(&mut self, room: Vec<Datagram>) {
        if let Place::Holding(holder) = &mut self.place {
            holder.reuse(room);
        }
    }

    /// From a socket that is open already, in place of one of its own.
    #[must_use]
    pub fn with_socket(self, inherited: Inherited) -> Self {
        Self { left: Some(inherited), ..self }
    }

    /// When the queue of the port was last seen empty, and the offset of the clocks then; `None` when this
    /// one does not read it.
    #[must_use]
    pub fn queue(&self) -> Option<(Instant, i64)> {
        match &self.place {
            Place::Holding(holder) => holder.queue(),
            Place::Waiting(_) | Place::Between(_) => None,
        }
    }

    /// From now on, messages from `addresses` are wanted, and those that have one of `names` (in any
    /// case), wherever they come from; besides what was asked for before. Those that came a moment ago
    /// are told, too.
    pub fn ask(&mut self, addresses: &[Address], names: &[String]) {
        let is_new = |address: &&Address| !self.asked.contains(*address);
        let new: Vec<Address> = addresses.iter().filter(is_new).copied().collect();
        let names = names.iter().filter(|name| is_node_name(name));
        let names = names.map(|name| name.to_ascii_lowercase());
        let names: Vec<String> = names.filter(|name| !self.names.contains(name)).collect();
        if new.is_empty() && names.is_empty() {
            return;
        }
        for place in [Some(&mut self.place), self.stand_in.as_mut()].into_iter().flatten() {
            ask(place, &new, &names);
        }
        self.asked.extend(new);
        self.names.extend(names);
    }

    /// Sends `bytes` to UDP port `port` of `to`, from the very port that this line is to, whoever reads
    /// it. Never waits.
    ///
    /// # Errors
    /// When that port is not at hand, or the kernel does not take it.
    pub fn send(&self, to: Address, port: u16, bytes: &[u8]) -> io::Result<()> {
        let places = [Some(&self.place), self.stand_in.as_ref()].into_iter().flatten();
        let mut result = Err(io::ErrorKind::NotConnected.into());
        for place in places {
            result = match place {
                Place::Holding(holder) => holder.send(to, port, bytes),
                Place::Waiting(waiter) => waiter.send(to, port, bytes),
                Place::Between(_) => continue,
            };
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// This process ends: whoever it served is answered a last time.
    pub fn leave(&mut self) {
        for place in [Some(&mut self.place), self.stand_in.as_mut()] {
            if let Some(Place::Holding(holder)) = place {
                holder.leave();
            }
        }
    }

    /// Whether this one reads the port.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        matches!(&self.place, Place::Holding(holder) if holder.is_listening())
    }

    /// How many others this one serves.
    #[must_use]
    pub fn clients(&self) -> usize {
        match &self.place {
            Place::Holding(holder) => holder.clients(),
            Place::Waiting(_) | Place::Between(_) => 0,
        }
    }

    /// Answers [`News::StatusAsked`].
    pub fn tell_status(&mut self, id: Id, status: Status) {
        if let Place::Holding(holder) = &mut self.place {
            holder.tell_status(id, status);
        }
    }

    /// `datagram` may be asked for in a moment, and whoever this line belongs to does not remember it.
    pub fn remember(&mut self, datagram: &Datagram) {
        if let Place::Holding(holder) = &mut self.place {
            holder.remember(datagram);
        }
    }

    /// Answers [`News::Asked`] with what [`Line::remember`] was told of.
    pub fn tell_recent(&mut self, id: Id, addresses: &[Address], names: &[String]) {
        if let Place::Holding(holder) = &mut self.place {
            holder.tell_recent(id, addresses, names);
        }
    }

    /// Answers [`News::Asked`]: one message that is remembered.
    pub fn tell_heard(&mut self, id: Id, datagram: &Datagram) {
        if let Place::Holding(holder) = &mut self.place {
            holder.tell_heard(id, datagram);
        }
    }

    /// What comes in next. Cancel-safe.
    pub async fn next(&mut self) -> News {
        loop {
            let ready = match (&mut self.place, &mut self.stand_in) {
                (Place::Holding(holder), _) => Ready::News(holder.next().await),
                (Place::Between(at), _) => {
                    sleep_until(*at).await;
                    Ready::TryAgain
                }
                (Place::Waiting(waiter), None) => Ready::Told(waiter.next().await),
                (Place::Waiting(waiter), Some(Place::Holding(holder))) => tokio::select! {
                    told = waiter.next() => Ready::Told(told),
                    news = holder.next() => Ready::StandIn(news),
                },
                (Place::Waiting(waiter), Some(Place::Waiting(other))) => tokio::select! {
                    told = waiter.next() => Ready::Told(told),
                    told = other.next() => Ready::StandInTold(told),
                },
                (Place::Waiting(waiter), Some(Place::Between(at))) => tokio::select! {
                    told = waiter.next() => Ready::Told(told),
                    () = sleep_until(*at) => Ready::TryStandIn,
                },
            };
            if let Some(news) = self.turn(ready) {
                return news;
            }
        }
    }

    fn turn(&mut self, ready: Ready) -> Option<News> {
        match ready {
            Ready::News(news) => {
                if self.is_aside && matches!(news, News::Notice(Notice::PortInUse(_))) {
                    // Whoever has the port may be at the seat by now, or have room again.
                    self.place = Place::Between(Timer::now() + SOON * 10);
                }
                Some(news)
            }
            Ready::StandIn(News::Datagrams(batch)) => Some(News::Datagrams(batch)),
            Ready::StandIn(News::Notice(_) | News::StatusAsked(..) | News::Asked { .. }) => None,
            Ready::TryAgain => self.sit_down(),
            Ready::TryStandIn => {
                self.sit_in();
                None
            }
            Ready::Told(told) => self.told(told),
            Ready::StandInTold(Told::Heard(datagram)) => Some(News::Datagrams(vec![datagram])),
            Ready::StandInTold(Told::Gone | Told::SentAway | Told::Hangs | Told::OtherClock) => {
                self.stand_in = Some(Place::Between(Timer::now() + SOON));
                None
            }
            Ready::StandInTold(Told::Holder { .. } | Told::Answers) => None,
        }
    }

    fn told(&mut self, told: Told) -> Option<News> {
        let Place::Waiting(waiter) = &mut self.place else {
            return None;
        };
        let peer = waiter.peer();
        let notice = match told {
            Told::Heard(datagram) => return Some(News::Datagrams(vec![datagram])),
            Told::Holder { listening, .. } if listening => Notice::Served(peer),
            Told::Holder { .. } => Notice::ServedInVain(peer),
            Told::Hangs => {
                self.stand_in = Some(Place::Between(Timer::now()));
                Notice::Hangs(peer)
            }
            Told::Answers => {
                self.stand_in = None;
                return None;
            }
            Told::OtherClock => {
                let why = format!("process {} counts time in another time namespace", peer.pid);
                self.hold(None);
                Notice::Untrusted(why)
            }
            Told::Gone | Told::SentAway => {
                self.left = waiter.take_socket();
                self.stand_in = None;
                // One that was sent away does not come back at once.
                let pause = match told {
                    Told::SentAway => SOON * 10,
                    _ => Duration::ZERO,
                };
                self.place = Place::Between(Timer::now() + pause);
                Notice::Bereft
            }
        };
        Some(News::Notice(notice))
    }

    fn sit_down(&mut self) -> Option<News> {
        match seat::take(&name(self.number)) {
            Ok(Seat::Taken(listener)) => {
                self.hold(Some(listener));
                None
            }
            Ok(Seat::Occupied(fd, peer)) => {
                let waiter = Waiter::new(fd, peer, self.left.take()).ok();
                self.wait(waiter);
                None
            }
            Ok(Seat::Changing) if self.changing < PATIENCE => {
                self.changing = self.changing.saturating_add(1);
                self.place = Place::Between(Timer::now() + SOON);
                None
            }
            Ok(Seat::Changing) => Some(self.blocked(Peer::UNKNOWN)),
            Ok(Seat::Untrusted(peer)) => Some(self.blocked(peer)),
            Err(error) => {
                self.hold(None);
                Some(News::Notice(Notice::Trouble(format!("control socket: {error}"))))
            }
        }
    }

    fn blocked(&mut self, peer: Peer) -> News {
        let name = name(self.number);
        let who = match peer {
            Peer::UNKNOWN => "somebody".to_owned(),
            Peer { pid, uid } => format!("process {pid} of user {uid}"),
        };
        self.hold(None);
        News::Notice(Notice::Untrusted(format!("{who} sits at @{name}")))
    }

    fn hold(&mut self, listener: Option<OwnedFd>) {
        self.changing = 0;
        self.is_aside = listener.is_none();
        let mut holder = Holder::new(self.number, listener, self.left.take());
        holder.recall(&self.asked, &self.names);
        holder.sift(self.sifts);
        if self.everything {
            holder.forget();
        }
        self.place = Place::Holding(Box::new(holder));
    }

    fn wait(&mut self, waiter: Option<Waiter>) {
        let asked = waiter.filter(|waiter| self.ask_all(waiter).is_ok());
        self.place = match asked {
            Some(waiter) => {
                self.changing = 0;
                Place::Waiting(Box::new(waiter))
            }
            None => Place::Between(Timer::now() + SOON),
        };
    }

    fn ask_all(&self, waiter: &Waiter) -> io::Result<()> {
        if self.everything { waiter.ask_everything() } else { waiter.ask(&self.asked, &self.names) }
    }

    /// Reads in place of the holder that hangs, or asks the one that does so.
    fn sit_in(&mut self) {
        let Place::Waiting(main) = &self.place else {
            self.stand_in = None;
            return;
        };
        let again = Place::Between(Timer::now() + SOON * 10);
        let place = match seat::take(&stand_in_name(self.number)) {
            // A holder that hung before it shared its socket may not even have opened the port.
            Ok(Seat::Taken(listener)) => {
                let holder = Holder::new(self.number, Some(listener), main.copy_socket());
                Some(Place::Holding(Box::new(holder)))
            }
            // It may have sat down without ever having been given the socket.
            Ok(Seat::Occupied(fd, peer)) => Waiter::new(fd, peer, main.copy_socket())
                .ok()
                .filter(|waiter| self.ask_all(waiter).is_ok())
                .map(|waiter| Place::Waiting(Box::new(waiter))),
            Ok(Seat::Changing | Seat::Untrusted(_)) | Err(_) => None,
        };
        self.stand_in = Some(place.unwrap_or(again));
    }
}

fn ask(place: &mut Place, addresses: &[Address], names: &[String]) {
    match place {
        Place::Holding(holder) => holder.recall(addresses, names),
        // If it is gone or hangs, that is noticed soon, and all is asked anew.
        Place::Waiting(waiter) => drop(waiter.ask(addresses, names)),
        Place::Between(_) => {}
    }
}
