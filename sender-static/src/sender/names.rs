//! What names mean: looked for among the hosts and asked of the DNS servers, for as long as there may be
//! more to be learnt.

use core::mem::MaybeUninit;

use super::{Node, Sender};
use crate::args::Options;
use crate::dns::REPLY_MAX;
use crate::hosts;
use crate::lookup::Lookup;
use crate::report;
use crate::resolv_conf::SERVERS;
use crate::schedule::Millis;
use crate::sys::{self, Errno, Room};
use crate::transport::Transport;

/// How soon a name is looked up again that may have more addresses, when there is no count.
const LOOK_AGAIN: Millis = Millis::seconds(1);

/// How many names begin to be looked up before answers are taken: more would only fill buffers.
const TOGETHER: usize = 64;

impl Node<'_> {
    /// Ends a lookup: for good, or until the next one when there may be more to be learnt.
    #[inline(never)]
    fn settle(&mut self, complete: bool, options: &Options<'_>, now: Millis) {
        self.turn.due = Millis::NEVER;
        if complete {
            return;
        }
        if !self.found && options.verbose > 0 {
            report::node(self.name, b"has no address yet");
        }
        if options.cadence.count == 0 {
            self.turn.due = now.plus(LOOK_AGAIN);
        } else if !self.found {
            options.cadence.advance(&mut self.turn, now, false);
        }
    }
}

impl<T: Transport> Sender<'_, '_, T> {
    /// Looks up the names that are due, or goes on with that.
    #[inline(never)]
    pub(super) fn resolve(&mut self, room: &mut Room) {
        let now = self.now;
        let mut fresh = false;
        let mut asking = false;
        for node in self.nodes.iter() {
            asking |= node.lookup.is_some();
            fresh |= node.lookup.is_none() && node.turn.due <= now;
        }
        let mut hosts: &[u8] = &[];
        if fresh {
            // Each time again: the scripts that bring the network up write them.
            if !asking {
                self.resolver.refresh(room.read(c"/etc/resolv.conf"));
            }
            hosts = room.read(c"/etc/hosts");
        }
        let mut begun = 0usize;
        for place in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(place) else {
                break;
            };
            if node.turn.due > now {
                continue;
            }
            if node.lookup.is_none() {
                if begun == TOGETHER {
                    break;
                }
                begun = begun.wrapping_add(1);
                self.begin(place, hosts);
            }
            let Some(node) = self.nodes.get_mut(place) else {
                break;
            };
            let Some(lookup) = &mut node.lookup else {
                continue;
            };
            node.turn.due = self.resolver.pursue(node.name, lookup, now);
            if node.turn.due == Millis::NEVER {
                let complete = lookup.complete();
                node.lookup = None;
                node.settle(complete, self.options, now);
            }
        }
    }

    /// Looks a name up among the hosts, or begins to ask for it.
    #[inline(never)]
    fn begin(&mut self, place: usize, hosts: &[u8]) {
        let Some(node) = self.nodes.get_mut(place) else {
            return;
        };
        let name = node.name;
        node.lookup = Some(Lookup::new(sys::random(), self.options.family));
        #[cfg(feature = "link")]
        crate::plan::each_address(self.plan, name, |address| {
            if self.options.family.has(address.is_v6()) {
                self.learn(place, &address);
            }
        });
        hosts::each(hosts, name, |address| {
            if self.options.family.has(address.is_v6()) {
                self.learn(place, &address);
            }
        });
    }

    /// Takes one answer of each server, when there is one.
    #[inline(never)]
    pub(super) fn hear(&mut self) {
        let mut buffer = [MaybeUninit::uninit(); REPLY_MAX];
        for server in 0..SERVERS {
            let heard = self.resolver.hear(server, &mut buffer);
            if heard == Err(Errno::EAGAIN) {
                continue;
            }
            self.take(server, heard);
        }
    }

    /// Takes what came of one server.
    #[inline(never)]
    fn take(&mut self, server: usize, heard: Result<&[u8], Errno>) {
        for place in 0..self.nodes.len() {
            let Some(node) = self.nodes.get_mut(place) else {
                break;
            };
            let Some(mut lookup) = node.lookup else {
                continue;
            };
            let mut found = None;
            if let Ok(datagram) = heard {
                found = self.resolver.read(server, datagram, node.name, &mut lookup);
            } else {
                lookup.refused_all(server);
            }
            if let Some(addresses) = found {
                for address in addresses {
                    self.learn(place, &address);
                }
            }
            if let Some(node) = self.nodes.get_mut(place) {
                node.lookup = Some(lookup);
                node.turn.due = self.now;
            }
        }
    }
}
