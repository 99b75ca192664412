//! DHCPv4 (RFC 2131): an address that is asked for, as long as it takes. Pure: time is an argument, and
//! frames go through the caller's hands.
//!
//! One number stands for the whole conversation, so an answer that comes late is an answer.

use heapless::Vec;

use super::cards::Mac;
use super::wire::parts;
use crate::schedule::Millis;

/// Addresses, IPv4, UDP, and the least that a server has to take.
const QUESTION: usize = 14 + 20 + 8 + 300;

/// A question as a frame.
pub type Question = Vec<u8, QUESTION>;

/// How long a server that answers nonsense is not asked.
const PAUSE: Millis = Millis::seconds(4);

/// When silence is told for the first time, counted from the first question; then each time twice as
/// late.
const SILENCE: Millis = Millis::seconds(5);

/// The longest time between two questions.
const SLOWEST: Millis = Millis::seconds(16);

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is an address.
    Got,
    /// It is gone.
    Lost,
    /// What a server answers cannot be.
    Nonsense,
    /// A server refuses what it has offered.
    Refused,
    /// Nobody answers.
    Silence,
}

/// What a server has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub ip: [u8; 4],
    /// The length of its prefix.
    pub prefix: u8,
    /// The gateway; zeros for none.
    pub router: [u8; 4],
    server: [u8; 4],
    /// For how long.
    seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asking,
    Requesting,
    Bound,
}

/// The client of one link.
#[derive(Clone, Debug)]
pub struct Lease {
    mac: Mac,
    number: [u8; 4],
    state: State,
    given: Given,
    /// Since when an address is asked for.
    begun: Millis,
    /// When silence is told.
    silence: Millis,
    /// When the next question is due.
    next: Millis,
    /// How long after it the one after that.
    wait: Millis,
    /// When the address is none any more.
    end: Millis,
    /// What was not told yet.
    pub news: Option<News>,
}

impl Lease {
    /// A client at the card `mac`, with a number that nobody can guess.
    pub fn new(mac: Mac, number: u32, now: Millis) -> Self {
        let mut lease = Self {
            mac,
            number: number.to_be_bytes(),
            state: State::Asking,
            given: Given::default(),
            begun: now,
            silence: SILENCE,
            next: now,
            wait: Millis(1000),
            end: Millis::NEVER,
            news: None,
        };
        lease.ask(now);
        lease
    }

    /// From now on an address is asked for.
    fn ask(&mut self, at: Millis) {
        (self.state, self.next, self.wait) = (State::Asking, at, Millis(1000));
        self.end = Millis::NEVER;
    }

    /// What a server has given, while that counts.
    pub fn given(&self) -> Option<Given> {
        (self.state == State::Bound).then_some(self.given)
    }

    /// When there is something to be done.
    pub fn due(&self) -> Millis {
        self.next.min(self.end)
    }

    /// What is to be asked now.
    #[inline(never)]
    pub fn question(&mut self, now: Millis) -> Option<Question> {
        if self.end <= now {
            self.begun = now;
            self.ask(now);
            self.news = Some(News::Lost);
        }
        if self.next > now {
            return None;
        }
        if self.state != State::Bound && now.since(self.begun) >= self.silence {
            self.silence = Millis(self.silence.0.wrapping_mul(2));
            self.news = Some(News::Silence);
        }
        if self.state == State::Requesting && self.wait > Millis::seconds(4) {
            // Whoever has made that offer is silent now.
            self.ask(now);
        }
        self.next = now.plus(self.wait);
        self.wait = Millis(self.wait.0.wrapping_mul(2)).min(SLOWEST);
        Some(self.write())
    }

    fn write(&self) -> Question {
        let mut frame = Question::new();
        let mut put = |bytes: &[u8]| {
            let _ = frame.extend_from_slice(bytes);
        };
        put(&[0xff; 6]);
        put(&self.mac);
        // IPv4 from 0.0.0.0 to all, 328 bytes, checksummed; UDP from 68 to 67, without a checksum.
        put(&[
            8, 0, 0x45, 0, 1, 0x48, 0, 0, 0, 0, 64, 17, 0x79, 0xa6, 0, 0, 0, 0, 255, 255, 255, 255,
        ]);
        put(&[0, 68, 0, 67, 1, 0x34, 0, 0]);
        put(&[1, 1, 6, 0]);
        put(&self.number);
        put(&[0; 4]);
        let bound = self.state == State::Bound;
        put(if bound { &self.given.ip } else { &[0; 4] });
        put(&[0; 12]);
        put(&self.mac);
        put(&[0; 10 + 64 + 128]);
        put(&COOKIE);
        let kind = if self.state == State::Asking { DISCOVER } else { REQUEST };
        put(&[53, 1, kind, 61, 7, 1]);
        put(&self.mac);
        // Wanted: mask, router, lease.
        put(&[55, 3, 1, 3, 51]);
        if self.state == State::Requesting {
            put(&[50, 4]);
            put(&self.given.ip);
            put(&[54, 4]);
            put(&self.given.server);
        }
        put(&[255]);
        let _ = frame.resize(QUESTION, 0);
        frame
    }

    /// Takes a frame when it is for a DHCP client. Says whether it was.
    #[inline(never)]
    pub fn hear(&mut self, frame: &[u8], now: Millis) -> bool {
        match datagram(frame) {
            None => false,
            Some(message) => {
                if let Some((kind, given)) = self.read(message) {
                    self.take(kind, given, now);
                }
                true
            }
        }
    }

    /// The kind of an answer to this client, and what is in it.
    fn read(&self, message: &[u8]) -> Option<(u8, Given)> {
        let (head, rest) = message.split_at_checked(236)?;
        let ours = head.get(4..8)? == self.number && head.get(28..34)? == self.mac;
        if head.first() != Some(&2) || !ours {
            return None;
        }
        let mut given =
            Given { ip: *head.get(16..)?.first_chunk()?, prefix: 24, ..Given::default() };
        let mut kind = 0;
        let mut options = rest.strip_prefix(&COOKIE)?;
        while let [code, after @ ..] = options {
            if *code == 0 {
                options = after;
                continue;
            }
            let Some((length, after)) = after.split_first() else {
                break;
            };
            let Some((value, after)) = after.split_at_checked((*length).into()) else {
                break;
            };
            options = after;
            let four = value.first_chunk().copied();
            match (code, four) {
                (53, _) => kind = value.first().copied().unwrap_or(0),
                (1, Some(mask)) => {
                    let mask = u32::from_be_bytes(mask);
                    // Ones and then zeros, or it is no mask.
                    let good = mask.leading_ones().wrapping_add(mask.trailing_zeros()) == 32;
                    given.prefix = if good { mask.leading_ones() as u8 } else { 0 };
                }
                (3, Some(router)) => given.router = router,
                (51, Some(seconds)) => given.seconds = u32::from_be_bytes(seconds),
                (54, Some(server)) => given.server = server,
                _ => {}
            }
        }
        Some((kind, given))
    }

    fn take(&mut self, kind: u8, given: Given, now: Millis) {
        let expected = match self.state {
            State::Asking => kind == OFFER,
            State::Requesting | State::Bound => kind == ACK,
        };
        if kind == NAK && self.state == State::Requesting {
            self.ask(now.plus(PAUSE));
            self.news = Some(News::Refused);
        } else if expected && !given.is_sensible() {
            self.news = Some(News::Nonsense);
            if self.state != State::Bound {
                self.ask(now.plus(PAUSE));
            }
        } else if expected && kind == OFFER {
            (self.state, self.given) = (State::Requesting, given);
            (self.next, self.wait) = (now, Millis(1000));
        } else if expected {
            if self.state != State::Bound || self.given.ip != given.ip {
                self.news = Some(News::Got);
            }
            (self.state, self.given) = (State::Bound, given);
            // At least a minute, also where no time was given.
            let span = Millis::seconds(given.seconds.max(60));
            self.end = now.plus(span);
            (self.next, self.wait) = (now.plus(Millis(span.0 / 2)), SLOWEST);
        }
    }
}

impl Given {
    /// Whether a host can have it.
    fn is_sensible(&self) -> bool {
        let [first, ..] = self.ip;
        let host = u32::from_be_bytes(self.ip).wrapping_shl(self.prefix.into());
        let all = u32::MAX.wrapping_shl(self.prefix.into());
        (1..224).contains(&first)
            && first != 127
            && (2..=32).contains(&self.prefix)
            && (self.prefix > 30 || host != 0 && host != all)
    }
}

/// What a frame has for the DHCP client's port.
fn datagram(frame: &[u8]) -> Option<&[u8]> {
    let (_, _, protocol, packet) = parts(frame)?;
    let header = usize::from(packet.first()? & 15).wrapping_mul(4);
    let is_udp = protocol == 0x0800 && packet.get(9) == Some(&17);
    let (ports, message) = packet.get(header..)?.split_at_checked(8)?;
    (is_udp && header >= 20 && ports.get(..4)? == [0, 67, 0, 68]).then_some(message)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
