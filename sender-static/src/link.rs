//! Link mode: messages leave in frames of this program's own, while the kernel has no address and no
//! route.
//!
//! | module | its one truth |
//! |---|---|
//! | [`cards`] | what the kernel says of its interfaces |
//! | [`filter`] | which frames it hands over |
//! | [`wire`] | how frames come and go |
//! | [`watch`] | who is where |
//! | [`frames`] | what frames look like that leave |
//! | [`lease`] | an address by DHCP |
//! | [`routers`] | addresses and a gateway of what routers advertise |
//! | [`stack`] | the protocols of one link |
//! | [`port`] | one link of the plan: which card, and what becomes of it |
//! | [`kernel`] | what the kernel is told in `mode kernel` |
//! | [`fed`] | frames of anybody's, for tests |

pub mod cards;
pub mod fed;
pub mod filter;
pub mod frames;
pub mod kernel;
pub mod lease;
pub mod port;
pub mod routers;
pub mod stack;
pub mod watch;
pub mod wire;

use core::mem::MaybeUninit;

use crate::address::Address;
use crate::args::Options;
use crate::plan;
use crate::report::Line;
use crate::schedule::Millis;
use crate::sys::{self, Errno, Socket, Source};
use cards::News;
use port::Port;

/// How many links of a plan are used.
pub const LINKS: usize = 8;

/// How often the interfaces are looked at when the kernel tells no news of them.
const SURVEY: Millis = Millis::seconds(1);

/// News are not looked into more often: a link that flaps must not keep this program from its work.
const PAUSE: Millis = Millis(10);

/// What the kernel says of its interfaces is at most this long at a time.
const ANSWER: usize = 8 << 10;

/// The first of the ports that are nobody's (RFC 6335).
const DYNAMIC: u16 = 49152;

/// Shows all interfaces to the ports. Says whether those were all.
fn survey(kernel: &Socket, buffer: &mut [MaybeUninit<u8>], ports: &mut [Port<'_>]) -> bool {
    let mut whole = false;
    while let Ok(datagram) = kernel.receive(buffer) {
        for news in cards::messages(datagram) {
            match news {
                News::Card(card) => ports.iter_mut().for_each(|port| port.see(&card)),
                News::Done => whole = true,
                News::Other | News::Answer(_) => {}
            }
        }
        if whole || datagram.is_empty() {
            break;
        }
    }
    whole
}

/// The links of a plan.
pub struct Links<'a> {
    options: &'a Options<'a>,
    /// To the kernel, and then one for each link.
    sockets: [Socket; 1 + LINKS],
    /// In pages of their own: without a plan they cost nothing.
    ports: &'a mut [Port<'a>],
    /// When the interfaces are to be looked at.
    survey: Millis,
    /// From when on they may be.
    again: Millis,
}

impl<'a> Links<'a> {
    /// The links of `plan`; without any, this does nothing. `options` say how messages are sent.
    pub fn new(options: &'a Options<'a>, plan: &'a [u8]) -> Self {
        let local = sys::random() | DYNAMIC;
        let verbose = options.verbose > 0;
        if let Some(more) = plan::links(plan).nth(LINKS) {
            Line::new().text(more.name).text(b": only the first 8 links are used").say();
        }
        let ports = plan::links(plan).map(|link| Port::new(link, local, verbose));
        let ports = sys::lasting(ports, LINKS);
        Self {
            options,
            sockets: [const { Socket::NONE }; 1 + LINKS],
            ports,
            survey: Millis(0),
            again: Millis(0),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Whether the kernel is to send some of the messages.
    pub fn has_kernel(&self) -> bool {
        self.ports.iter().any(Port::is_kernel)
    }

    /// Everything that news come through.
    pub fn wires(&self) -> &[Socket] {
        &self.sockets
    }

    /// When something is to be done though nothing has arrived.
    pub fn due(&self, now: Millis) -> Millis {
        let mut due = self.survey;
        for port in self.ports.iter() {
            due = due.min(port.due(now));
        }
        due
    }

    /// Sends a message over every link that leads to its destination.
    ///
    /// # Errors
    /// When it leaves over none: why it did not over the one that was closest to it.
    #[inline(never)]
    pub fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno> {
        let now = sys::now();
        let mut result = Err(Errno::ENODEV);
        let [_, sockets @ ..] = &self.sockets;
        for (port, socket) in self.ports.iter_mut().zip(sockets) {
            let named = self.options.device;
            if !named.is_empty() && named != port.name()
                || !to.zone.text().is_empty() && to.zone.text() != port.name()
            {
                continue;
            }
            let sent = port.send(socket, message, to, self.options.port, self.options.hops, now);
            result = match (result, sent) {
                (Ok(()), _) | (_, Ok(())) => Ok(()),
                // What is still being sought may be found.
                (Err(Errno::SOUGHT), Err(_)) => Err(Errno::SOUGHT),
                (Err(_), Err(error)) => Err(error),
            };
        }
        result
    }

    /// Does what is due and reads what has come. Says whether messages that could not leave are worth
    /// another try.
    #[inline(never)]
    pub fn attend(&mut self, now: Millis) -> bool {
        let mut news = self.hear(now);
        if news && self.survey > self.again {
            self.survey = self.again;
            self.again = now.plus(PAUSE);
        }
        if self.survey <= now {
            self.survey = now.plus(SURVEY);
            self.look(now);
        }
        news = false;
        let [kernel, sockets @ ..] = &mut self.sockets;
        for (port, socket) in self.ports.iter_mut().zip(sockets) {
            news |= port.attend(kernel, socket, now);
        }
        news
    }

    /// Takes what the kernel tells unasked. Says whether it was anything.
    fn hear(&mut self, now: Millis) -> bool {
        let [kernel, ..] = &self.sockets;
        let mut any = false;
        let mut buffer = [MaybeUninit::uninit(); 64];
        // Those that do not fit are as good as those that do: everything is asked for.
        while kernel.is_open() && kernel.receive(&mut buffer).is_ok_and(|news| !news.is_empty()) {
            any = true;
            if sys::now().since(now) > PAUSE {
                break;
            }
        }
        any
    }

    /// Looks at all interfaces.
    #[inline(never)]
    fn look(&mut self, now: Millis) {
        let [kernel, ..] = &mut self.sockets;
        if !kernel.is_open() && kernel.open_netlink().is_err() {
            return;
        }
        if kernel.send_connected(&cards::ask()).is_err() {
            kernel.close();
            return;
        }
        self.ports.iter_mut().for_each(Port::begin_survey);
        let whole = sys::for_now(ANSWER, |buffer| survey(kernel, buffer, self.ports));
        for port in self.ports.iter_mut() {
            port.end_survey(whole, now);
        }
    }

    /// The next datagram that has come to the messages' port, over any link.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
    ) -> Option<&'b [u8]> {
        let place = self.ports.iter().position(Port::has_datagram)?;
        self.ports.get_mut(place)?.receive(buffer, source, place as u32)
    }

    /// Sends to where a datagram came from.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_back(&mut self, message: &[u8], to: &Source) -> Result<(), Errno> {
        let place = to.link() as usize;
        let [_, sockets @ ..] = &self.sockets;
        let (port, socket) = (self.ports.get_mut(place), sockets.get(place));
        let (Some(port), Some(socket)) = (port, socket) else {
            return Err(Errno::ENODEV);
        };
        port.send(socket, message, &to.address(), to.port(), self.options.hops, sys::now())
    }
}
