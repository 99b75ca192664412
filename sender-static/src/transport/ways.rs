//! All the ways that there are: the kernel's UDP, and links of a plan.

use core::mem::MaybeUninit;

use super::Transport;
use super::udp::Udp;
use crate::address::Address;
use crate::args::Options;
use crate::link::Links;
use crate::schedule::Millis;
use crate::sys::{Errno, Socket, Source};

/// What [`Transport::receive`] calls the links: behind the two sockets of UDP.
const LINKS: usize = 2;

/// UDP, unless a plan has links; then these, and UDP where it says that the kernel speaks.
pub struct Ways<'a> {
    udp: Udp<'a>,
    links: Links<'a>,
}

impl<'a> Ways<'a> {
    /// As `options` and `plan` say; the plan may be empty.
    pub fn new(options: &'a Options<'a>, plan: &'a [u8]) -> Self {
        Self { udp: Udp::new(options), links: Links::new(options, plan) }
    }

    /// Whether there are links.
    pub fn has_links(&self) -> bool {
        !self.links.is_empty()
    }
}

impl Transport for Ways<'_> {
    fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno> {
        if self.links.is_empty() {
            return self.udp.send(message, to);
        }
        let sent = self.links.send(message, to);
        if self.links.has_kernel() { sent.or(self.udp.send(message, to)) } else { sent }
    }

    fn ways_in(&self) -> &[Socket] {
        self.udp.ways_in()
    }

    fn places(&self) -> usize {
        LINKS + 1
    }

    fn receive<'b>(
        &mut self,
        place: usize,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
    ) -> Option<&'b [u8]> {
        if place == LINKS {
            return self.links.receive(buffer, source);
        }
        self.udp.receive(place, buffer, source)
    }

    fn send_back(&mut self, place: usize, message: &[u8], to: &Source) {
        if place == LINKS {
            // Whoever does not get it asks again.
            let _ = self.links.send_back(message, to);
        } else {
            self.udp.send_back(place, message, to);
        }
    }

    fn is_patient(&self) -> bool {
        !self.links.is_empty()
    }

    fn wires(&self) -> &[Socket] {
        self.links.wires()
    }

    fn due(&mut self, now: Millis) -> Millis {
        if self.links.is_empty() { Millis::NEVER } else { self.links.due(now) }
    }

    fn attend(&mut self, now: Millis) -> bool {
        !self.links.is_empty() && self.links.attend(now)
    }
}
