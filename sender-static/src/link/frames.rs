//! Frames, put together byte by byte: questions and answers about who is where, and messages.

use heapless::Vec;

use super::cards::Mac;
use super::routers::Prefix;
use crate::address::Address;

/// A frame: the longest has a message of 512 bytes over IPv6.
pub type Frame = Vec<u8, { 14 + 40 + 8 + 512 }>;

/// Where a datagram comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The cards: to, from.
    pub macs: [Mac; 2],
    /// The addresses, of one family.
    pub source: Address,
    /// As above.
    pub to: Address,
    /// The ports: from, to.
    pub ports: [u16; 2],
    /// How many routers it may pass.
    pub hops: u8,
}

/// All.
pub const EVERYBODY: Mac = [0xff; 6];

/// Under this prefix, addresses are of one link.
pub const LINK_LOCAL: Prefix = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The frame is made for what goes into it.
fn put(frame: &mut Frame, bytes: &[u8]) {
    let _ = frame.extend_from_slice(bytes);
}

fn put_number(frame: &mut Frame, number: usize) {
    put(frame, &(number as u16).to_be_bytes());
}

fn begin(macs: &[Mac; 2], protocol: u16) -> Frame {
    let mut frame = Frame::new();
    put(&mut frame, macs.as_flattened());
    put_number(&mut frame, protocol.into());
    frame
}

/// Adds an address as it is on the wire.
fn put_address(frame: &mut Frame, address: &Address) {
    match address.as_v4() {
        Some(ip) => put(frame, &ip),
        None => put(frame, address.as_v6().as_flattened()),
    }
}

/// The sum of a message's 16-bit words (RFC 1071), not yet folded.
fn sum(bytes: &[u8]) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |last| u32::from(*last) << 8);
    pairs.iter().fold(last, |sum, pair| sum.wrapping_add(u16::from_be_bytes(*pair).into()))
}

/// Writes a checksum over `sum` and everything behind `from` to the two bytes at `at`, which are zeros.
fn seal(frame: &mut Frame, from: usize, at: usize, more: u32) {
    let mut total = sum(frame.get(from..).unwrap_or_default()).wrapping_add(more);
    for _ in 0..2 {
        total = (total & 0xffff).wrapping_add(total >> 16);
    }
    // In UDP, 0 means none.
    let check = match !(total as u16) {
        0 => [0xff; 2],
        check => check.to_be_bytes(),
    };
    for (to, from) in frame.iter_mut().skip(at).zip(check) {
        *to = from;
    }
}

/// The same of an address.
fn sum_of(address: &Address) -> u32 {
    match address.as_v4() {
        Some(ip) => sum(&ip),
        None => sum(address.as_v6().as_flattened()),
    }
}

/// The sum of what stands for the header where only its payload is checked.
fn pseudo(source: &Address, to: &Address, next: u8, length: usize) -> u32 {
    let rest = u32::from(next).wrapping_add(length as u32);
    sum_of(source).wrapping_add(sum_of(to)).wrapping_add(rest)
}

fn put_v6(frame: &mut Frame, source: &Address, to: &Address, next: u8, hops: u8, length: usize) {
    put(frame, &[0x60, 0, 0, 0]);
    put_number(frame, length);
    put(frame, &[next, hops]);
    put_address(frame, source);
    put_address(frame, to);
}

/// A datagram. What does not fit is not in it.
#[inline(never)]
pub fn datagram(way: &Way, message: &[u8]) -> Frame {
    let length = message.len().wrapping_add(8);
    let v6 = way.to.is_v6();
    let mut frame = begin(&way.macs, if v6 { IPV6 } else { IPV4 });
    if v6 {
        put_v6(&mut frame, &way.source, &way.to, UDP, way.hops, length);
    } else {
        put(&mut frame, &[0x45, 0]);
        put_number(&mut frame, length.wrapping_add(20));
        // Not to be cut to pieces, so it needs no number.
        put(&mut frame, &[0, 0, 0x40, 0, way.hops, UDP, 0, 0]);
        put_address(&mut frame, &way.source);
        put_address(&mut frame, &way.to);
        seal(&mut frame, 14, 24, 0);
    }
    let start = frame.len();
    for port in way.ports {
        put_number(&mut frame, port.into());
    }
    put_number(&mut frame, length);
    put(&mut frame, &[0, 0]);
    put(&mut frame, message);
    seal(&mut frame, start, start.wrapping_add(6), pseudo(&way.source, &way.to, UDP, length));
    frame
}

/// ARP: asks for the card of `target` (1) or answers that one (2). `macs` as in [`Way`].
#[inline(never)]
pub fn arp(kind: u8, macs: &[Mac; 2], source: &Address, target: &Address) -> Frame {
    let mut frame = begin(macs, ARP);
    let [to, from] = macs;
    put(&mut frame, &[0, 1, 8, 0, 6, 4, 0, kind]);
    put(&mut frame, from);
    put_address(&mut frame, source);
    put(&mut frame, if kind == 1 { &[0; 6] } else { to });
    put_address(&mut frame, target);
    frame
}

/// The kinds of [`discovery`], and whether they name a target, and the option that names the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Asks routers what they advertise.
    Routers,
    /// Asks for the card of an address.
    Ask(Address),
    /// Says which card that is. `true`: it was asked.
    Tell(Address, bool),
}

/// A message of neighbour discovery (RFC 4861, 4). `macs` as in [`Way`].
#[inline(never)]
pub fn discovery(kind: Discovery, macs: &[Mac; 2], source: &Address, to: &Address) -> Frame {
    let [_, own] = macs;
    let (code, flags, target, option) = match &kind {
        Discovery::Routers => (133, 0, None, 1),
        Discovery::Ask(target) => (135, 0, Some(target), 1),
        // Solicited, and it counts more than what was known.
        Discovery::Tell(target, asked) => (136, if *asked { 0x60 } else { 0x20 }, Some(target), 2),
    };
    let length = if target.is_some() { 32 } else { 16 };
    let mut frame = begin(macs, IPV6);
    put_v6(&mut frame, source, to, ICMPV6, 255, length);
    put(&mut frame, &[code, 0, 0, 0, flags, 0, 0, 0]);
    if let Some(target) = target {
        put_address(&mut frame, target);
    }
    put(&mut frame, &[option, 1]);
    put(&mut frame, own);
    seal(&mut frame, 54, 56, pseudo(source, to, ICMPV6, length));
    frame
}

/// Says that this node listens to `groups`, for switches that pass on only what somebody has asked for: a
/// report of MLDv2 (RFC 3810, 5.2). `card` is its own.
#[inline(never)]
pub fn listening(card: Mac, source: &Address, groups: &[Address]) -> Frame {
    const LISTENERS: Address =
        Address::from_v6([[0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0x16]]);
    const FROM_NOW_ON: u8 = 4;
    let length = groups.len().wrapping_mul(20).wrapping_add(8);
    let mut frame = begin(&[[0x33, 0x33, 0, 0, 0, 0x16], card], IPV6);
    put_v6(&mut frame, source, &LISTENERS, 0, 1, length.wrapping_add(8));
    // Routers are to look at it themselves; and padding.
    put(&mut frame, &[ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
    let start = frame.len();
    put(&mut frame, &[143, 0, 0, 0, 0, 0]);
    put_number(&mut frame, groups.len());
    for group in groups {
        put(&mut frame, &[FROM_NOW_ON, 0, 0, 0]);
        put_address(&mut frame, group);
    }
    seal(&mut frame, start, start.wrapping_add(2), pseudo(source, &LISTENERS, ICMPV6, length));
    frame
}

/// The group that an address is asked for in (RFC 4291, 2.7.1).
pub fn solicited(address: &Address) -> Address {
    let [_, [.., a, b, c]] = address.as_v6();
    Address::from_v6([[0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0xff, a, b, c]])
}

/// The card that stands for all of a group; `None` when the address is one host's.
pub fn group_card(address: &Address) -> Option<Mac> {
    match address.as_v4() {
        Some([255, 255, 255, 255]) => Some(EVERYBODY),
        Some([224..=239, b, c, d]) => Some([1, 0, 0x5e, b & 0x7f, c, d]),
        Some(_) => None,
        None => {
            let [[first, ..], [.., a, b, c, d]] = address.as_v6();
            (first == 0xff).then_some([0x33, 0x33, a, b, c, d])
        }
    }
}

/// The address that a card makes itself under a prefix (RFC 4291, appendix A).
pub fn own_address(prefix: Prefix, [a, b, c, d, e, f]: Mac) -> Address {
    Address::from_v6([prefix, [a ^ 2, b, c, 0xff, 0xfe, d, e, f]])
}
