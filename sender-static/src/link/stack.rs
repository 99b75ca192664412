//! What one link speaks: ARP and neighbour discovery, UDP over IPv4 and IPv6, and beside it DHCP and
//! routers' advertisements. It drives a device of smoltcp's, as smoltcp's own interface would; that one
//! is its judge in the tests.
//!
//! smoltcp's interface is not used here for three reasons. It asks for no neighbour as long as any other
//! one is being asked for, so a dead node would silence the living. It can panic, and this program's code
//! cannot, which the linker proves. And it is larger than all of this program.
//!
//! No message waits in here: one that cannot leave now is given back, and its address is tried again
//! as soon as there is news. So no address waits for another one.

#[path = "groups.rs"]
mod groups;
#[path = "hear.rs"]
mod hear;

use core::mem::MaybeUninit;

use heapless::Vec;
use smoltcp::phy::{Device as _, RxToken as _};
use smoltcp::time::Instant;

use super::cards::Mac;
use super::frames::{self, Discovery, EVERYBODY, LINK_LOCAL, Way, own_address};
use super::lease::{Given, Lease};
use super::routers::Routers;
use super::watch::Watch;
use super::wire::{Ether, FRAME, Wire};
use crate::address::Address;
use crate::plan::{self, Part};
use crate::schedule::Millis;
use crate::sys::{self, Errno, Source};

/// How many frames are read before anything else gets its turn again.
const TOGETHER: usize = 64;

/// A challenge has less, and what is longer is none.
const CHALLENGE: usize = fence_kdump_core::wire::CHALLENGE_LEN;

/// What is due at once is done when so much time has passed.
const PAUSE: Millis = Millis(50);

const ALL_NODES: Address =
    Address::from_v6([[0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]]);
const ALL_ROUTERS: Address =
    Address::from_v6([[0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 2]]);

/// An address of this node, and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own(pub Address, pub u8);

/// A destination, the length of its prefix, and the gateway.
#[derive(Clone, Copy, Debug)]
struct Route(Address, u8, Address);

/// A datagram for the messages' port: who has sent it, from which port, what is in it.
#[derive(Clone, Debug)]
struct Datagram(Address, u16, Vec<u8, CHALLENGE>);

/// The state of one link's protocols.
#[derive(Clone, Debug)]
pub struct Stack {
    mac: Mac,
    vlan: u16,
    port: u16,
    own: Vec<Own, 8>,
    routes: Vec<Route, 6>,
    /// Who is where.
    pub watch: Watch,
    /// The DHCP client, where one is wanted.
    pub lease: Option<Lease>,
    routers: Option<Routers>,
    /// What the DHCP client had got when the addresses were last set.
    given: Option<Given>,
    /// When to say next which groups it listens to, and whether that is for the first time.
    report: (Millis, bool),
    incoming: Vec<Datagram, 4>,
}

/// The bits of an address, from the first one on.
fn bits(address: &Address) -> u128 {
    let [high, low] = address.as_v6().map(u64::from_be_bytes);
    u128::from(high) << 64 | u128::from(low)
}

/// Whether the first `length` bits of both are the same, in one family.
fn is_within(address: &Address, prefix: &Address, length: u8) -> bool {
    // An address of IPv4 is the end of one of IPv6.
    let length = if prefix.is_v6() { length } else { length.wrapping_add(96) };
    let different = bits(address) ^ bits(prefix);
    address.is_v6() == prefix.is_v6() && different.leading_zeros() >= u32::from(length)
}

/// Whether a host can have it.
fn is_host(address: &Address) -> bool {
    match address.as_v4() {
        Some([first, ..]) => (1..224).contains(&first) && first != 127,
        None => bits(address) > 1 && bits(address) >> 120 != 0xff,
    }
}

fn is_link_local(address: &Address) -> bool {
    address.is_v6() && bits(address) >> 118 == 0xfe80 >> 6
}

impl Stack {
    /// For messages from `port`, in frames with the tag `vlan` (0 for none). It knows nothing yet, see
    /// [`Self::renew`].
    pub fn new(vlan: u16, port: u16) -> Self {
        Self {
            mac: [0; 6],
            vlan,
            port,
            own: Vec::new(),
            routes: Vec::new(),
            watch: Watch::new(),
            lease: None,
            routers: None,
            given: None,
            report: (Millis(0), true),
            incoming: Vec::new(),
        }
    }

    /// Begins anew at the card `mac`: nothing is known of neighbours and routers.
    pub fn renew(&mut self, link: &plan::Link<'_>, mac: Mac, now: Millis) {
        self.mac = mac;
        self.watch = Watch::new();
        (self.lease, self.routers) = (None, None);
        for part in link.parts() {
            match part {
                Ok(Part::Dhcp4) => {
                    let number = u32::from(sys::random()) << 16 | u32::from(sys::random());
                    self.lease = Some(Lease::new(mac, number, now));
                }
                Ok(Part::Slaac) => self.routers = Some(Routers::new(now)),
                _ => {}
            }
        }
        self.configure(link);
    }

    /// Adds an address, unless it makes no sense. What is more than there is room for is not needed to
    /// send.
    #[inline(never)]
    fn add(&mut self, address: Address, prefix: u8) {
        let known = self.own.iter().any(|Own(own, _)| own.is_like(&address));
        if !known && is_host(&address) {
            let _ = self.own.push(Own(address, prefix));
        }
    }

    /// Sets addresses and routes: those of the plan, and what was learnt.
    #[inline(never)]
    fn configure(&mut self, link: &plan::Link<'_>) {
        self.own.clear();
        self.routes.clear();
        let mut local = false;
        for part in link.parts() {
            match part {
                Ok(Part::Address(address, prefix)) => {
                    local |= is_link_local(&address);
                    self.add(address, prefix);
                }
                Ok(Part::Route(to, prefix, gateway)) => {
                    let _ = self.routes.push(Route(to, prefix, gateway));
                }
                _ => {}
            }
        }
        if !local {
            self.add(own_address(LINK_LOCAL, self.mac), 64);
        }
        self.report = (Millis(0), true);
        self.given = self.lease.as_ref().and_then(Lease::given);
        if let Some(given) = self.given {
            self.add(Address::from_v4(given.ip), given.prefix);
            if given.router != [0; 4] {
                let all = Address::from_v4([0; 4]);
                let _ = self.routes.push(Route(all, 0, Address::from_v4(given.router)));
            }
        }
        if let Some(routers) = self.routers.clone() {
            for prefix in routers.prefixes {
                self.add(own_address(prefix, self.mac), 64);
            }
            if let Some(gateway) = routers.gateway.and_then(|gateway| Address::from_wire(&gateway))
            {
                let all = Address::from_v6([[0; 8]; 2]);
                let _ = self.routes.push(Route(all, 0, gateway));
            }
        }
    }

    /// The addresses that it has now.
    pub fn addresses(&self) -> &[Own] {
        &self.own
    }

    fn has(&self, address: &Address) -> bool {
        self.own.iter().any(|Own(own, _)| own.is_like(address))
    }

    /// Whether all hosts of a network are meant.
    fn is_broadcast(&self, to: &Address) -> bool {
        self.own.iter().any(|Own(own, prefix)| {
            let rest = u32::MAX.checked_shr((*prefix).into()).unwrap_or(0);
            *prefix < 31
                && is_within(to, own, *prefix)
                && !to.is_v6()
                && bits(to) as u32 & rest == rest
        })
    }

    /// Where a message to `to` goes first: there, or a gateway. `None` when nothing leads there.
    fn hop(&self, to: &Address) -> Option<Address> {
        if self.own.iter().any(|Own(own, prefix)| is_within(to, own, *prefix)) {
            return Some(*to);
        }
        let mut best = None;
        let mut longest = 0;
        for Route(prefix, length, gateway) in &self.routes {
            if is_within(to, prefix, *length) && (best.is_none() || *length > longest) {
                (best, longest) = (Some(*gateway), *length);
            }
        }
        best
    }

    /// The address to send from: the one that has most in common with the destination. One of the link alone
    /// speaks only to such, as far as there is another.
    fn source(&self, to: &Address) -> Option<Address> {
        let near = is_link_local(to) || bits(to) >> 112 == 0xff02;
        let mut best = None;
        let mut most = 0;
        for Own(own, _) in &self.own {
            if own.is_v6() != to.is_v6() {
                continue;
            }
            let common = (bits(own) ^ bits(to)).leading_zeros();
            let fits = if is_link_local(own) == near { 256 } else { 1 };
            let value = common.wrapping_add(fits);
            if value > most {
                (best, most) = (Some(*own), value);
            }
        }
        best
    }

    /// Asks which card `hop` is.
    fn ask<E: Ether>(
        &self,
        wire: &mut Wire<'_, E>,
        source: &Address,
        hop: &Address,
    ) -> Option<Errno> {
        let frame = if hop.is_v6() {
            let group = frames::solicited(hop);
            let card = frames::group_card(&group).unwrap_or(EVERYBODY);
            frames::discovery(Discovery::Ask(*hop), &[card, self.mac], source, &group)
        } else {
            frames::arp(1, &[EVERYBODY, self.mac], source, hop)
        };
        wire.put(&frame)
    }

    /// Sends one message, now or not at all. `hops` of 0 are the usual ones.
    ///
    /// # Errors
    /// `ENETUNREACH` without a way there, `EADDRNOTAVAIL` without an address of that family,
    /// [`Errno::SOUGHT`] while nobody has said which card the address is at; the kernel's.
    #[inline(never)]
    pub fn send<E: Ether>(
        &mut self,
        ether: &E,
        message: &[u8],
        to: &Address,
        port: u16,
        hops: u8,
        now: Millis,
    ) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::uninit(); FRAME];
        let mut wire = Wire { ether, vlan: self.vlan, buffer: &mut buffer };
        let source = self.source(to).ok_or(Errno::EADDRNOTAVAIL)?;
        let broadcast = self.is_broadcast(to).then_some(EVERYBODY);
        let group = frames::group_card(to).or(broadcast);
        let mut usual = 64;
        let mut cards: Vec<Mac, 3> = Vec::new();
        if let Some(card) = group {
            if broadcast.is_none() {
                usual = 1;
            }
            let _ = cards.push(card);
        } else if self.has(to) || !is_host(to) {
            // Nobody answers for it.
            return Err(Errno::ENETUNREACH);
        } else {
            let hop = self.hop(to).ok_or(Errno::ENETUNREACH)?;
            let asker = self.source(&hop).unwrap_or(source);
            let known = self.watch.find(&hop);
            let mut error = None;
            if known.is_stale(now) {
                error = self.ask(&mut wire, &asker, &hop);
            }
            let _ = cards.push(known.mac().ok_or(error.unwrap_or(Errno::SOUGHT))?);
            if let Some(other) = known.disputed(now) {
                // One of the two lies. A router passes on only what is sent to its own card, and a host takes
                // what is sent to all, whoever else shouts.
                let _ = cards.extend_from_slice(&[other, EVERYBODY]);
            }
        }
        if message.len() > 512 {
            return Err(Errno::EMSGSIZE);
        }
        let hops = if hops > 0 { hops } else { usual };
        let mut result = Err(Errno::SOUGHT);
        for card in cards {
            let macs = [card, self.mac];
            let way = Way { macs, source, to: *to, ports: [self.port, port], hops };
            let sent = wire.put(&frames::datagram(&way, message)).map_or(Ok(()), Err);
            result = result.or(sent);
        }
        result
    }

    /// Reads what has arrived and does what is due. Says whether addresses or routes have changed.
    #[inline(never)]
    pub fn attend<E: Ether>(&mut self, ether: &E, link: &plan::Link<'_>, now: Millis) -> bool {
        let mut buffer = [MaybeUninit::uninit(); FRAME];
        let mut wire = Wire { ether, vlan: self.vlan, buffer: &mut buffer };
        for _ in 0..TOGETHER {
            let Some((taken, _)) = wire.receive(Instant::ZERO) else {
                break;
            };
            if let Some(answer) = taken.consume(|frame| self.hear(frame, now)) {
                wire.put(&answer);
            }
        }
        if let Some(question) = self.lease.as_mut().and_then(|lease| lease.question(now)) {
            wire.put(&question);
        }
        if self.routers.as_mut().is_some_and(|routers| routers.ask(now)) {
            let source = self.source(&ALL_ROUTERS).unwrap_or(ALL_NODES);
            let macs = [[0x33, 0x33, 0, 0, 0, 2], self.mac];
            wire.put(&frames::discovery(Discovery::Routers, &macs, &source, &ALL_ROUTERS));
        }
        self.listen(&mut wire, now);
        let given = self.lease.as_ref().and_then(Lease::given);
        let routers = self.routers.as_mut();
        let changed = routers.is_some_and(|routers| core::mem::take(&mut routers.changed));
        if changed || given != self.given {
            self.configure(link);
            return true;
        }
        false
    }

    /// When something is to be done though nothing has arrived.
    pub fn due(&self, now: Millis) -> Millis {
        let lease = self.lease.as_ref().map_or(Millis::NEVER, Lease::due);
        let routers = self.routers.as_ref().map_or(Millis::NEVER, Routers::due);
        // It is over and over due while it cannot be done.
        let (report, _) = self.report;
        lease.min(routers).min(report).max(now.plus(PAUSE))
    }

    /// Whether a datagram for the messages' port has come.
    pub fn has_datagram(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Takes it, cut off at the end of `buffer`, and says who has sent it, with the number of the `link`.
    pub fn receive<'b>(
        &mut self,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
        link: u32,
    ) -> Option<&'b [u8]> {
        let Datagram(address, port, message) = self.incoming.pop()?;
        *source = Source::behind(&address, port, link);
        Some(sys::written(buffer, &message))
    }
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
