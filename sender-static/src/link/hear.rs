//! What is made of a frame that has come.

use heapless::Vec;

use super::{ALL_NODES, Datagram, Stack, bits, is_host, is_link_local};
use crate::address::Address;
use crate::link::cards::Mac;
use crate::link::frames::{self, Discovery, Frame};
use crate::link::watch::Claim;
use crate::link::wire::parts;
use crate::schedule::Millis;

impl Stack {
    /// Takes a frame. Gives the answer to it.
    pub(super) fn hear(&mut self, frame: &[u8], now: Millis) -> Option<Frame> {
        self.watch.received = self.watch.received.wrapping_add(1);
        if let Some(lease) = &mut self.lease
            && lease.hear(frame, now)
        {
            return None;
        }
        if let Some(routers) = &mut self.routers {
            routers.hear(frame);
        }
        let (_, from, protocol, body) = parts(frame)?;
        match protocol {
            _ if from == self.mac => None,
            0x0806 => self.hear_arp(from, body, now),
            0x0800 => self.hear_v4(body).and(None),
            0x86dd => self.hear_v6(from, body, now),
            _ => None,
        }
    }

    /// Somebody says that `address` is at `mac`, to this node (`new`) or to others.
    fn claim(&mut self, address: &Address, mac: Mac, new: bool, now: Millis) {
        if mac == self.mac {
            return;
        }
        if self.has(address) {
            self.watch.claim = Some(Claim::Duplicate(*address, mac));
        } else if is_host(address) {
            self.watch.learn(address, mac, new, now);
        }
    }

    /// RFC 826.
    #[inline(never)]
    fn hear_arp(&mut self, from: Mac, body: &[u8], now: Millis) -> Option<Frame> {
        let [head @ .., kind] = body.first_chunk::<8>()?;
        if *head != [0, 1, 8, 0, 6, 4, 0] {
            return None;
        }
        let mac: Mac = *body.get(8..)?.first_chunk()?;
        let source = Address::from_v4(*body.get(14..)?.first_chunk()?);
        let target = Address::from_v4(*body.get(24..)?.first_chunk()?);
        let ours = self.has(&target);
        self.claim(&source, mac, ours, now);
        let asked = *kind == 1 && ours && !self.has(&source);
        asked.then(|| frames::arp(2, &[from, self.mac], &target, &source))
    }

    /// RFC 791: a datagram in one piece.
    #[inline(never)]
    fn hear_v4(&mut self, packet: &[u8]) -> Option<()> {
        let header = packet.first_chunk::<20>()?;
        let [first, _, length @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = header;
        let start = usize::from(first & 15).wrapping_mul(4);
        let whole = packet.get(..usize::from(u16::from_be_bytes(*length)))?;
        let fragment = header.get(6..8)? != [0, 0] && header.get(6..8)? != [0x40, 0];
        let udp = first >> 4 == 4 && start >= 20 && !fragment && header.get(9) == Some(&17);
        let source = Address::from_wire(header.get(12..16)?)?;
        let to = Address::from_wire(header.get(16..20)?)?;
        if !udp || !self.has(&to) && !self.is_broadcast(&to) {
            return None;
        }
        self.hear_udp(&source, whole.get(start..)?)
    }

    /// RFC 8200, without headers between.
    #[inline(never)]
    fn hear_v6(&mut self, from: Mac, packet: &[u8], now: Millis) -> Option<Frame> {
        let (header, rest) = packet.split_first_chunk::<40>()?;
        let source = Address::from_wire(header.get(8..24)?)?;
        let to = Address::from_wire(header.get(24..40)?)?;
        let length = u16::from_be_bytes(*header.get(4..)?.first_chunk()?);
        let body = rest.get(..length.into())?;
        match (header.get(6)?, header.get(7)?) {
            (17, _) if self.has(&to) => self.hear_udp(&source, body).and(None),
            // Who listens to which group (RFC 3810, 5.1): behind a header for routers, of eight bytes.
            (0, 1) => {
                if let [58, 0, _, _, _, _, _, _, 130, ..] = body
                    && is_link_local(&source)
                {
                    self.asked_for_groups(now);
                }
                None
            }
            // Not from beyond a router.
            (58, 255) => {
                let target = Address::from_wire(body.get(8..24)?)?;
                let option = body.get(24..).and_then(|option| option.first_chunk::<8>());
                let mac = match option {
                    Some([1 | 2, 1, mac @ ..]) => *mac,
                    _ => from,
                };
                match body.first()? {
                    135 => {
                        // Whoever asks from nowhere wants the address for itself.
                        let nowhere = bits(&source) == 0;
                        let ours = self.has(&target);
                        if ours && nowhere {
                            self.claim(&target, from, false, now);
                        } else {
                            self.claim(&source, mac, ours, now);
                        }
                        if ours {
                            let (card, to) = if nowhere {
                                ([0x33, 0x33, 0, 0, 0, 1], ALL_NODES)
                            } else {
                                (from, source)
                            };
                            let tell = Discovery::Tell(target, !nowhere);
                            let macs = [card, self.mac];
                            return Some(frames::discovery(tell, &macs, &target, &to));
                        }
                    }
                    136 => {
                        let new = self.has(&to);
                        self.claim(&target, mac, new, now);
                    }
                    _ => {}
                }
                None
            }
            _ => None,
        }
    }

    /// RFC 768. Nobody looks at the checksum: what a virtual card's other side sends has none yet, and a
    /// challenge proves itself.
    fn hear_udp(&mut self, source: &Address, datagram: &[u8]) -> Option<()> {
        let [from @ .., a, b, c, d, _, _] = datagram.first_chunk::<8>()?;
        let message = datagram.get(8..usize::from(u16::from_be_bytes([*c, *d])))?;
        if u16::from_be_bytes([*a, *b]) != self.port {
            return None;
        }
        let message = Vec::from_slice(message).ok()?;
        self.incoming.push(Datagram(*source, u16::from_be_bytes(*from), message)).ok()
    }
}
