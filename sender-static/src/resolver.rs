//! The DNS servers: one connected socket for each, and what resolv.conf(5) says.

use core::mem::MaybeUninit;

use crate::dns::{self, Addresses, Kind, Meaning, Query};
use crate::lookup::{Lookup, Step, domain};
use crate::resolv_conf::{SERVERS, Settings};
use crate::schedule::Millis;
use crate::sys::{Errno, Socket};
use crate::text::words;

/// The port that DNS servers answer on.
const DNS_PORT: u16 = 53;

/// Asks the servers and takes their answers, without ever waiting for one.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
#[derive(Debug)]
pub struct Resolver {
    sockets: [Socket; SERVERS],
    settings: Settings,
    /// The question that was built last.
    query: Query,
}

impl Resolver {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self {
            settings: Settings::new(),
            sockets: [const { Socket::NONE }; SERVERS],
            query: Query::new(),
        }
    }

    /// Takes over what `/etc/resolv.conf` says. Answers to former questions are lost.
    #[inline(never)]
    pub fn refresh(&mut self, text: &[u8]) {
        self.settings.parse(text);
        self.sockets.iter_mut().for_each(Socket::close);
    }

    /// Does what is to be done about `name`: when to come back, [`Millis::NEVER`] when the lookup is
    /// over.
    #[inline(never)]
    pub fn pursue(&mut self, name: &[u8], lookup: &mut Lookup, now: Millis) -> Millis {
        loop {
            match lookup.step(now, &self.settings) {
                Step::Wait(until) => return until,
                Step::Over => return Millis::NEVER,
                Step::Ask => {
                    let search = words(&self.settings.search);
                    if domain(name, lookup.candidate, self.settings.dots, search).is_none() {
                        return Millis::NEVER;
                    }
                    for server in 0..self.settings.servers.len() {
                        for kind in Kind::BOTH {
                            self.ask(name, lookup, server, kind);
                        }
                    }
                    lookup.wait(now, &self.settings);
                }
            }
        }
    }

    #[inline(never)]
    fn build(&mut self, name: &[u8], lookup: &Lookup, kind: Kind) -> Option<()> {
        let search = words(&self.settings.search);
        let domain = domain(name, lookup.candidate, self.settings.dots, search)?;
        dns::query(&mut self.query, lookup.id, [name, domain], kind)
    }

    /// Asks one server, when its answer is still open.
    #[inline(never)]
    fn ask(&mut self, name: &[u8], lookup: &mut Lookup, server: usize, kind: Kind) {
        if !lookup.open(server, kind) {
            return;
        }
        lookup.refused(server, kind);
        if self.build(name, lookup, kind).is_none() {
            return;
        }
        let Some(address) = self.settings.servers.get(server) else {
            return;
        };
        let Some(place) = self.sockets.get_mut(server) else {
            return;
        };
        if !place.is_open()
            && place.open(address).and_then(|()| place.connect(address, DNS_PORT)).is_err()
        {
            place.close();
            return;
        }
        if place.send_connected(&self.query).is_ok() {
            lookup.asked(server, kind);
        } else {
            // It says that nobody is there for the question before this one.
            lookup.refused_all(server);
            place.close();
        }
    }

    /// Everything that an answer can come through.
    pub fn ways_in(&self) -> &[Socket; SERVERS] {
        &self.sockets
    }

    /// Takes the next datagram that has arrived from `server`.
    ///
    /// # Errors
    /// The kernel's; `EAGAIN` when nothing has arrived, `ECONNREFUSED` when nobody is there to
    /// answer what was asked.
    pub fn hear<'b>(
        &self,
        server: usize,
        buffer: &'b mut [MaybeUninit<u8>],
    ) -> Result<&'b [u8], Errno> {
        let socket = self.sockets.get(server).filter(|socket| socket.is_open());
        socket.ok_or(Errno::EAGAIN)?.receive(buffer)
    }

    /// Takes `datagram` of `server` as an answer about `name` when it is one, and gives the
    /// addresses in it.
    #[inline(never)]
    pub fn read<'p>(
        &mut self,
        server: usize,
        datagram: &'p [u8],
        name: &[u8],
        lookup: &mut Lookup,
    ) -> Option<Addresses<'p>> {
        if dns::id(datagram)? != lookup.id {
            return None;
        }
        for kind in Kind::BOTH {
            if !lookup.expects(server, kind) {
                continue;
            }
            self.build(name, lookup, kind)?;
            let Some((meaning, addresses)) = dns::reply(datagram, &self.query, kind) else {
                continue;
            };
            lookup.heard = true;
            let mut known = meaning == Meaning::Final;
            if addresses.any() {
                lookup.found(server);
                known |= meaning == Meaning::CutShort;
            }
            if known {
                lookup.answered(server, kind);
            } else {
                lookup.refused(server, kind);
            }
            return Some(addresses);
        }
        None
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Family;

    /// What is left of an answer that was cut short is used, and asked for again when it is nothing.
    #[test]
    fn an_answer_that_was_cut_short() {
        let mut resolver = Resolver::new();
        let mut lookup = Lookup::new(7, Family::V4);
        lookup.asked(0, Kind::A);
        resolver.build(b"node1", &lookup, Kind::A).unwrap();
        let mut packet = resolver.query.to_vec();
        packet[2..4].copy_from_slice(&[0x83, 0x80]);
        let addresses = resolver.read(0, &packet, b"node1", &mut lookup).unwrap();
        assert_eq!(addresses.count(), 0);
        assert!(lookup.open(0, Kind::A) && !lookup.expects(0, Kind::A));
        lookup.asked(0, Kind::A);
        packet[7] = 1;
        packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        let addresses = resolver.read(0, &packet, b"node1", &mut lookup).unwrap();
        assert_eq!(addresses.count(), 1);
        assert!(lookup.complete());
    }
}
