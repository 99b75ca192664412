//! The sender: which nodes there are, which addresses they have, and the loop that serves them.

use core::mem::MaybeUninit;

use fence_kdump_core::{ByteOrder, encode};

use crate::address::Address;
use crate::args::Options;
use crate::dns::REPLY_MAX;
use crate::hosts;
use crate::lookup::Lookup;
use crate::report::{self, Line};
use crate::resolv_conf::SERVERS;
use crate::resolver::Resolver;
use crate::schedule::{Millis, Turn};
use crate::sys::{self, Errno, Room, Table};
use crate::text::has;
use crate::transport::Transport;

/// What is said, in this machine's own byte order: a stock receiver reads only its own.
const MESSAGE: [u8; 8] = encode(ByteOrder::NATIVE);

/// How soon a name is looked up again that may have more addresses, when there is no count.
const LOOK_AGAIN: Millis = Millis::seconds(1);

/// How many names begin to be looked up before answers are taken: more would only fill buffers.
const TOGETHER: usize = 64;

/// A node as the command line gives it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its name or address.
    name: &'a [u8],
    /// Whether any of its addresses was ever handed a message.
    spoken_to: bool,
    /// Whether it has an address.
    found: bool,
    /// The rounds of its looking up, and what is left of them for its addresses. Due when something
    /// is to be done about its name.
    turn: Turn,
    /// The questions under way.
    lookup: Option<Lookup>,
}

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

/// An address that gets messages.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    address: Address,
    node: usize,
    turn: Turn,
    /// The error of the last message, so that the same one is told once.
    trouble: Option<Errno>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one message was handed to the network.
    Sent,
    /// Nothing ever was.
    NothingSent,
}

/// Storage for so many nodes, and for so many addresses, costs no system call.
pub const INLINE: usize = 16;

/// Where the first nodes and addresses are kept.
pub struct Storage<'a> {
    nodes: [MaybeUninit<Node<'a>>; INLINE],
    targets: [MaybeUninit<Target>; INLINE],
}

impl Storage<'_> {
    /// Nothing in it, and not a byte of it touched.
    pub const fn new() -> Self {
        Self { nodes: [MaybeUninit::uninit(); INLINE], targets: [MaybeUninit::uninit(); INLINE] }
    }
}

impl Default for Storage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// All nodes and how far each has come.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
pub struct Sender<'a, 's, T> {
    options: &'a Options<'a>,
    /// The time at which the loop came by last.
    now: Millis,
    transport: T,
    nodes: Table<'s, Node<'a>>,
    targets: Table<'s, Target>,
    resolver: Resolver,
}

impl<'a, 's, T: Transport> Sender<'a, 's, T> {
    /// A sender without nodes. It begins at `now`.
    pub fn new(
        options: &'a Options<'a>,
        transport: T,
        storage: &'s mut Storage<'a>,
        now: Millis,
    ) -> Self {
        Self {
            options,
            transport,
            nodes: Table::new(&mut storage.nodes),
            targets: Table::new(&mut storage.targets),
            resolver: Resolver::new(),
            now,
        }
    }

    /// Adds a node, due at once. One that can never be spoken to is told and left out.
    #[inline(never)]
    pub fn add(&mut self, name: &'a [u8]) {
        let address = Address::parse(name);
        // What is written as IPv6 counts as that, whatever it maps to.
        if address.is_some() && !self.options.family.has(has(name, b':')) {
            report::node(name, b"is not of the family asked for");
            return;
        }
        if name.is_empty() {
            return;
        }
        let turn = self.options.cadence.begin(self.now);
        let node = Node { name, spoken_to: false, found: false, turn, lookup: None };
        if self.nodes.push(&node).is_none() {
            report::node(name, NO_MEMORY);
        } else if let Some(address) = address {
            self.learn(self.nodes.len().wrapping_sub(1), &address);
        }
    }

    /// Adds an address to a node, unless it has it already. For now, the name needs no looking up
    /// any more.
    #[inline(never)]
    fn learn(&mut self, place: usize, address: &Address) {
        let Some(node) = self.nodes.get_mut(place) else {
            return;
        };
        node.found = true;
        node.lookup = None;
        node.turn.due = Millis::NEVER;
        for target in self.targets.iter() {
            if target.node == place && target.address == *address {
                return;
            }
        }
        let turn = node.turn.afresh(self.now);
        let target = Target { address: *address, node: place, turn, trouble: None };
        if self.targets.push(&target).is_none() {
            report::node(node.name, NO_MEMORY);
        }
    }

    /// Sends until every round is over, which without a count is never.
    #[inline(never)]
    pub fn run(&mut self) -> Outcome {
        let mut room = Room::NONE;
        loop {
            self.send();
            self.resolve(&mut room);
            let next = self.next();
            if next == Millis::NEVER {
                break;
            }
            // Sending and telling have taken their time.
            let limit = next.since(sys::now());
            self.resolver.wait(limit);
            self.now = sys::now();
            self.hear();
        }
        self.conclude()
    }

    /// When something is to be done next; [`Millis::NEVER`] when everything is
    /// over.
    fn next(&self) -> Millis {
        let mut next = Millis::NEVER;
        for target in self.targets.iter() {
            next = next.min(target.turn.due);
        }
        for node in self.nodes.iter() {
            next = next.min(node.turn.due);
        }
        next
    }

    /// Gives every address that is due its message.
    #[inline(never)]
    fn send(&mut self) {
        let now = self.now;
        for target in self.targets.iter_mut() {
            if target.turn.due > now {
                continue;
            }
            let result = self.transport.send(&MESSAGE, &target.address);
            self.options.cadence.advance(&mut target.turn, now, result.is_ok());
            let known = target.trouble == result.err() && result.is_err();
            target.trouble = result.err();
            let Some(node) = self.nodes.get_mut(target.node) else {
                continue;
            };
            node.spoken_to |= result.is_ok();
            if self.options.verbose < if known { 2 } else { 1 } {
                continue;
            }
            tell(node.name, &target.address, result);
        }
    }

    /// Looks up the names that are due, or goes on with that.
    #[inline(never)]
    fn resolve(&mut self, room: &mut Room) {
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
        hosts::each(hosts, name, |address| {
            if self.options.family.has(address.is_v6()) {
                self.learn(place, &address);
            }
        });
    }

    /// Takes one answer of each server, when there is one.
    #[inline(never)]
    fn hear(&mut self) {
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

    /// Says which nodes never got a message.
    #[inline(never)]
    fn conclude(&self) -> Outcome {
        let mut outcome = Outcome::NothingSent;
        for node in self.nodes.iter() {
            if node.spoken_to {
                outcome = Outcome::Sent;
            } else {
                report::node(node.name, b"nothing was sent");
            }
        }
        outcome
    }
}

const NO_MEMORY: &[u8] = b"no memory";

/// Says what became of a message.
#[inline(never)]
fn tell(name: &[u8], address: &Address, result: Result<(), Errno>) {
    let mut line = Line::new();
    line.text(name).text(b" ").address(address).text(b": ");
    match result {
        Ok(()) => line.text(b"sent"),
        Err(error) => line.error(error),
    }
    .say();
}
