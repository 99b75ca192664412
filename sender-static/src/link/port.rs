//! One link of the plan: the cards that it may be at, the one that it is at, and what is told of it.

use core::mem::MaybeUninit;

use heapless::Vec;

use super::cards::{self, Card, Mac};
use super::filter::filter;
use super::kernel::Kernel;
use super::lease;
use super::stack::{Own, Stack};
use super::watch::Claim;
use crate::address::Address;
use crate::plan::{self, Mode, Part};
use crate::report::Line;
use crate::schedule::Millis;
use crate::sys::{Errno, Socket, Source};

/// How many cards of a bond, bridge or team are used.
pub const MEMBERS: usize = 8;

/// How soon an interface is brought up again that somebody has taken down: it may be renamed meanwhile.
const RAISE: Millis = Millis::seconds(5);

/// How long a card may be silent before the next one of a bond gets its turn.
const SILENCE: Millis = Millis::seconds(3);

/// A card that the link may be at.
#[derive(Clone, Copy, Debug)]
struct Member {
    mac: Mac,
    /// The interface, when there is one.
    card: Option<Card>,
    /// What the survey under way has found.
    seen: Option<Card>,
    /// When it was last brought up.
    raised: Option<Millis>,
}

/// A link of the plan.
pub struct Port<'a> {
    plan: plan::Link<'a>,
    members: Vec<Member, MEMBERS>,
    vlan: u16,
    /// Where its messages come from.
    local: u16,
    verbose: bool,
    /// Where the kernel is to speak, how far that has come.
    kernel: Option<Kernel>,
    /// Which member it is at, and the interface as it was then.
    current: Option<(usize, Card)>,
    /// Since when nothing was heard there.
    silent: Millis,
    /// How many frames had come by then.
    received: u32,
    /// Whether anything was sent since.
    asked: bool,
    /// What the card's ring said last.
    full: bool,
    /// Whether messages that could not leave are worth another try.
    news: bool,
    stack: Stack,
}

impl<'a> Port<'a> {
    /// The link as the plan has it.
    pub fn new(plan: plan::Link<'a>, local: u16, verbose: bool) -> Self {
        let mut vlan = 0;
        for part in plan.parts() {
            if let Ok(Part::Vlan(number)) = part {
                vlan = number;
            }
        }
        let mut port = Self {
            plan,
            members: Vec::new(),
            vlan,
            local,
            verbose,
            kernel: None,
            current: None,
            silent: Millis(0),
            received: 0,
            asked: false,
            full: false,
            news: false,
            stack: Stack::new(vlan, local),
        };
        let mut simple = vlan == 0;
        for part in plan.parts() {
            match part {
                Ok(Part::Mac(mac)) => {
                    let member = Member { mac, card: None, seen: None, raised: None };
                    if port.members.push(member).is_err() {
                        port.tell(b"more than 8 cards", None);
                    }
                }
                Ok(Part::Dhcp4) => simple = false,
                Ok(Part::Mode(Mode::Kernel)) => port.kernel = Some(Kernel::new()),
                Ok(Part::Mode(Mode::Link)) => port.kernel = None,
                _ => {}
            }
        }
        if !simple && port.kernel.take().is_some() {
            port.tell(b"mode kernel knows neither vlan nor dhcp4: mode link", None);
        }
        port
    }

    /// The name in the running system.
    pub fn name(&self) -> &'a [u8] {
        self.plan.name
    }

    /// Whether the kernel speaks here.
    pub fn is_kernel(&self) -> bool {
        self.kernel.is_some()
    }

    /// Begins to tell something of it.
    fn line(&self) -> Line {
        let mut line = Line::new();
        line.text(b"link ").text(self.name()).text(b": ");
        line
    }

    #[inline(never)]
    fn tell(&self, what: &[u8], error: Option<Errno>) {
        if self.verbose {
            let mut line = self.line();
            line.text(what);
            if let Some(error) = error {
                line.text(b": ").error(error);
            }
            line.say();
        }
    }

    /// Tells something of a card.
    #[inline(never)]
    fn tell_card(&self, card: &Card, what: &[u8]) {
        if self.verbose {
            let [mac, _] = &card.macs;
            self.line().text(card.name.text()).text(b" ").mac(mac).text(what).say();
        }
    }

    /// All interfaces are going to be shown.
    pub fn begin_survey(&mut self) {
        self.members.iter_mut().for_each(|member| member.seen = None);
    }

    /// There is this one.
    pub fn see(&mut self, card: &Card) {
        for member in &mut self.members {
            if card.macs.contains(&member.mac) {
                member.seen = Some(*card);
            }
        }
    }

    /// Those were all, when `whole`.
    pub fn end_survey(&mut self, whole: bool, _: Millis) {
        for place in 0..self.members.len() {
            let Some(member) = self.members.get_mut(place) else {
                break;
            };
            if member.seen.is_none() && !whole {
                continue;
            }
            let before = core::mem::replace(&mut member.card, member.seen);
            match (before, member.card) {
                (None, Some(card)) => self.tell_card(
                    &card,
                    if card.carrier { b": carrier" } else { b": no carrier yet" },
                ),
                (Some(card), None) => self.tell_card(&card, b": gone"),
                (Some(before), Some(card)) if before.carrier != card.carrier => {
                    self.tell_card(
                        &card,
                        if card.carrier { b": carrier" } else { b": no carrier" },
                    );
                }
                (Some(before), Some(card)) if before.name != card.name => {
                    self.tell_card(&card, b": has this name now");
                }
                _ => {}
            }
        }
    }

    /// Does what is due, and reads what has come. Says whether messages that could not leave are worth
    /// another try. `kernel` is a netlink socket.
    pub fn attend(&mut self, kernel: &Socket, socket: &mut Socket, now: Millis) -> bool {
        self.raise(kernel, now);
        if let Some(mode) = &mut self.kernel {
            let ready =
                self.members.iter().find_map(|member| member.card.filter(|card| card.carrier));
            if let Some(error) = mode.attend(kernel, &self.plan, ready.as_ref()) {
                self.news = true;
                self.tell(b"mode kernel", error);
            }
            return core::mem::take(&mut self.news);
        }
        self.choose(socket, now);
        self.listen(socket, now);
        core::mem::take(&mut self.news)
    }

    /// Brings every card up.
    fn raise(&mut self, kernel: &Socket, now: Millis) {
        for member in &mut self.members {
            let patient = member.raised.is_none_or(|at| now.since(at) >= RAISE);
            if let Some(card) = &member.card
                && !card.up
                && patient
                && kernel.is_open()
            {
                member.raised = Some(now);
                // What comes of it is seen by the carrier.
                let _ = kernel.send_connected(&cards::raise(card.index));
            } else if let Some(card) = &member.card
                && card.up
            {
                // Counted from when it was last up.
                member.raised = Some(now);
            }
        }
    }

    /// Decides which card it is at.
    fn choose(&mut self, socket: &mut Socket, now: Millis) {
        if let Some((place, was)) = self.current {
            let card = self.members.get(place).and_then(|member| member.card);
            match card {
                Some(card) if card.index == was.index && card.macs == was.macs => {
                    if card.carrier && !was.carrier {
                        self.current = Some((place, card));
                        self.renew(&card, now);
                    } else if was.carrier && !card.carrier {
                        self.current = Some((place, card));
                    }
                    let lost = !card.carrier || self.is_silent(now);
                    if !lost || !self.has_other(place) {
                        return;
                    }
                    if card.carrier {
                        self.tell_card(&card, b": silent; the next one is tried");
                    }
                }
                // Gone, or another one.
                _ => {}
            }
            socket.close();
            self.current = None;
            self.take(socket, place.wrapping_add(1), now);
        } else {
            self.take(socket, 0, now);
        }
    }

    fn is_silent(&self, now: Millis) -> bool {
        self.asked && now.since(self.silent) >= SILENCE
    }

    /// Whether any other card could be used.
    fn has_other(&self, place: usize) -> bool {
        let mut others = self.members.iter().enumerate().filter(|(other, _)| *other != place);
        others.any(|(_, member)| member.card.is_some_and(|card| card.carrier))
    }

    /// Takes the first card that can be used, from `first` on.
    fn take(&mut self, socket: &mut Socket, first: usize, now: Millis) {
        let count = self.members.len();
        for offset in 0..count {
            let place = first.wrapping_add(offset).checked_rem(count).unwrap_or(0);
            let card = self.members.get(place).and_then(|member| member.card);
            let Some(card) = card.filter(|card| card.carrier) else {
                continue;
            };
            if let Err(error) = socket.open_packet(card.index, &filter(self.vlan, self.local)) {
                self.tell(b"no packet socket", Some(error));
                continue;
            }
            self.current = Some((place, card));
            if count > 1 {
                self.tell_card(&card, b": taken");
            }
            self.renew(&card, now);
            return;
        }
    }

    /// Begins anew at a card.
    fn renew(&mut self, card: &Card, now: Millis) {
        let [mac, _] = card.macs;
        self.stack.renew(&self.plan, mac, now);
        (self.silent, self.received, self.asked) = (now, 0, false);
        self.news = true;
    }

    /// Reads what has come.
    fn listen(&mut self, socket: &Socket, now: Millis) {
        if !socket.is_open() {
            return;
        }
        let stack = &mut self.stack;
        let changed = stack.attend(socket, &self.plan, now);
        self.news |= changed | core::mem::take(&mut stack.watch.learnt);
        if self.received != stack.watch.received {
            (self.received, self.silent, self.asked) = (stack.watch.received, now, false);
        }
        let claim = stack.watch.claim.take();
        let lease = stack.lease.as_mut().and_then(|lease| lease.news.take());
        if self.verbose {
            self.tell_news(claim, lease, changed);
        }
    }

    #[inline(never)]
    fn tell_news(&self, claim: Option<Claim>, lease: Option<lease::News>, changed: bool) {
        if let Some(claim) = claim {
            let (address, mac, what): (_, _, &[u8]) = match &claim {
                Claim::Duplicate(address, mac) => {
                    (address, mac, b" is this node's, and somebody else's: ")
                }
                Claim::Moved(address, mac) => (address, mac, b" has moved to another card: "),
            };
            self.line().address(address).text(what).mac(mac).say();
        }
        let what: &[u8] = match lease {
            None => b"",
            Some(lease::News::Got) => b"DHCP has given an address",
            Some(lease::News::Lost) => b"the address of DHCP is gone",
            Some(lease::News::Nonsense) => b"DHCP answers nonsense",
            Some(lease::News::Refused) => b"DHCP refuses what it has offered",
            Some(lease::News::Silence) => b"DHCP does not answer",
        };
        if !what.is_empty() {
            self.tell(what, None);
        }
        if changed {
            for Own(own, _) in self.stack.addresses() {
                self.line().address(own).text(b" is an address here").say();
            }
        }
    }

    /// When something is to be done though nothing has arrived.
    pub fn due(&self, now: Millis) -> Millis {
        if self.current.is_some() { self.stack.due(now) } else { Millis::NEVER }
    }

    /// Sends one message, now or not at all.
    ///
    /// # Errors
    /// `ENODEV` without a card, `ENETDOWN` without a carrier; those of [`Stack::send`].
    pub fn send(
        &mut self,
        socket: &Socket,
        message: &[u8],
        to: &Address,
        port: u16,
        hops: u8,
        now: Millis,
    ) -> Result<(), Errno> {
        let exists = self.members.iter().any(|member| member.card.is_some());
        let (Some((_, card)), true) = (&self.current, socket.is_open()) else {
            return Err(if exists { Errno::ENETDOWN } else { Errno::ENODEV });
        };
        if !card.carrier {
            return Err(Errno::ENETDOWN);
        }
        if !self.asked {
            (self.asked, self.silent) = (true, now);
        }
        let sent = self.stack.send(socket, message, to, port, hops, now);
        let full = matches!(sent, Err(Errno::EAGAIN | Errno::ENOBUFS));
        if full && !self.full {
            self.tell(b"the card's ring is full", None);
        }
        self.full = full;
        sent
    }

    /// Takes a datagram that has come for the messages' port, as [`Stack::receive`].
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
        link: u32,
    ) -> Option<&'b [u8]> {
        self.stack.receive(buffer, source, link)
    }

    /// Whether there is one.
    pub fn has_datagram(&self) -> bool {
        self.stack.has_datagram()
    }
}
