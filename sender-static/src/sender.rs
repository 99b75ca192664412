//! The sender: which nodes there are, which addresses they have, and the loop that serves them.

use core::mem::MaybeUninit;

use fence_kdump_core::{ByteOrder, encode};

use crate::address::Address;
use crate::args::Options;
use crate::dns::REPLY_MAX;
use crate::hosts;
use crate::lookup::Lookup;
use crate::report::Line;
use crate::resolv_conf::SERVERS;
use crate::resolver::Resolver;
use crate::schedule::{Millis, Turn};
use crate::sys::{self, Errno, File, Table};
use crate::transport::Transport;

/// What is said, in this machine's own byte order: a stock receiver reads only its own.
const MESSAGE: [u8; 8] = encode(ByteOrder::NATIVE);

/// How soon a name without any address is looked up again, when there is no count.
const LOOK_AGAIN: Millis = Millis::seconds(1);

/// How many names begin to be looked up before answers are taken: more would only fill buffers.
const TOGETHER: usize = 64;

/// How many datagrams of one server are taken before messages go out again.
const HEARD_TOGETHER: usize = 64;

/// A node as the command line gives it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its name or address.
    name: &'a [u8],
    /// Whether any of its addresses was ever handed a message.
    spoken_to: bool,
    /// Whether it has an address.
    found: bool,
    /// Its rounds: those of the looking up, and what is left of them for its addresses.
    turn: Turn,
    /// The questions under way and when something is to be done about them.
    lookup: Option<(Lookup, Millis)>,
}

impl Node<'_> {
    /// When something is to be done about its name.
    fn due(&self) -> Option<Millis> {
        self.lookup
            .as_ref()
            .map_or(self.turn.due, |(_, due)| Some(*due))
    }

    /// Ends a lookup: for good, or until the next one when there may be more to be learnt.
    fn settle(&mut self, complete: bool, options: &Options<'_>, now: Millis) {
        let cadence = &options.cadence;
        if !self.found && options.verbose > 0 {
            Line::new()
                .text(self.name)
                .text(b": has no address yet")
                .say();
        }
        if complete {
            self.turn.due = None;
        } else if cadence.count == 0 {
            let pause = if self.found {
                cadence.interval
            } else {
                LOOK_AGAIN
            };
            self.turn.due = Some(now.plus(pause));
        } else if self.found {
            self.turn.due = None;
        } else {
            cadence.advance(&mut self.turn, now, false);
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
        Self {
            nodes: [MaybeUninit::uninit(); INLINE],
            targets: [MaybeUninit::uninit(); INLINE],
        }
    }
}

impl Default for Storage<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// All nodes and how far each has come.
pub struct Sender<'a, 's, T> {
    options: &'a Options<'a>,
    transport: T,
    nodes: Table<'s, Node<'a>>,
    targets: Table<'s, Target>,
    resolver: Resolver,
}

impl<'a, 's, T: Transport> Sender<'a, 's, T> {
    /// A sender without nodes.
    pub fn new(options: &'a Options<'a>, transport: T, storage: &'s mut Storage<'a>) -> Self {
        Self {
            options,
            transport,
            nodes: Table::new(&mut storage.nodes),
            targets: Table::new(&mut storage.targets),
            resolver: Resolver::NEW,
        }
    }

    /// Adds a node, due at once. One that can never be spoken to is told and left out.
    pub fn add(&mut self, name: &'a [u8], now: Millis) {
        let turn = self.options.cadence.begin(now);
        let address = Address::parse(name);
        let place = self.nodes.len();
        let mut node = Node {
            name,
            spoken_to: false,
            found: false,
            turn,
            lookup: None,
        };
        if let Some(address) = address {
            // What is written as IPv6 counts as that, whatever it maps to.
            let v6 = address.as_v4().is_none() || name.contains(&b':');
            if !self.options.family.has(v6) {
                Line::new()
                    .text(name)
                    .text(b": is not of the family asked for")
                    .say();
                return;
            }
            node.found = true;
            node.turn.due = None;
        } else if name.is_empty() {
            return;
        }
        if self.nodes.push(node).is_err() {
            no_memory(name);
        } else if let Some(address) = address {
            add_target(&mut self.targets, place, name, address, turn);
        }
    }

    /// Sends until every round is over, which without a count is never.
    /// Begins at `now`.
    pub fn run(&mut self, mut now: Millis) -> Outcome {
        loop {
            self.send(now);
            self.resolve(now);
            let Some(next) = self.next() else { break };
            // Sending and telling have taken their time.
            now = sys::now();
            let mut waiting = self.resolver.waiting();
            sys::wait(&mut waiting, Some(next.since(now)));
            now = sys::now();
            self.hear(now);
        }
        self.conclude()
    }

    /// When something is to be done next; `None` when everything is over.
    fn next(&self) -> Option<Millis> {
        let mut next = None;
        for target in self.targets.iter() {
            sooner(&mut next, target.turn.due);
        }
        for node in self.nodes.iter() {
            sooner(&mut next, node.due());
        }
        next
    }

    /// Gives every address that is due its message.
    fn send(&mut self, now: Millis) {
        for target in self.targets.iter_mut() {
            if !is_due(target.turn.due, now) {
                continue;
            }
            let result = self.transport.send(&MESSAGE, &target.address);
            self.options
                .cadence
                .advance(&mut target.turn, now, result.is_ok());
            let known = target.trouble == result.err() && result.is_err();
            target.trouble = result.err();
            let Some(node) = self.nodes.get_mut(target.node) else {
                continue;
            };
            node.spoken_to |= result.is_ok();
            if self.options.verbose < if known { 2 } else { 1 } {
                continue;
            }
            let mut line = Line::new();
            line.text(node.name)
                .text(b" (")
                .address(&target.address)
                .text(b"): ");
            match result {
                Ok(()) => line.text(b"message sent"),
                Err(error) => line.text(b"message not sent: ").error(error),
            }
            .say();
        }
    }

    /// Looks up the names that are due, or goes on with that.
    fn resolve(&mut self, now: Millis) {
        let Self {
            options,
            nodes,
            targets,
            resolver,
            ..
        } = self;
        let mut hosts = None;
        let mut begun = 0usize;
        let mut changed = false;
        for (place, node) in nodes.iter_mut().enumerate() {
            if !is_due(node.due(), now) {
                continue;
            }
            if node.lookup.is_none() {
                if begun == TOGETHER {
                    break;
                }
                begun = begun.wrapping_add(1);
                let hosts = hosts.get_or_insert_with(|| {
                    changed = resolver.refresh();
                    File::read(c"/etc/hosts")
                });
                let before = targets.len();
                for address in hosts::addresses(hosts.bytes(), node.name) {
                    learn(targets, options, place, node, address, now);
                }
                if targets.len() > before {
                    node.turn.due = None;
                    continue;
                }
                node.lookup = Some((resolver.begin(options.family), now));
            }
            let Some((lookup, due)) = &mut node.lookup else {
                continue;
            };
            match resolver.pursue(node.name, lookup, now) {
                Some(until) => *due = until,
                None => {
                    let complete = lookup.complete();
                    node.lookup = None;
                    node.settle(complete, options, now);
                }
            }
        }
        if changed {
            // What the others wait for are answers to sockets that are gone.
            for node in nodes.iter_mut() {
                if let Some((lookup, due)) = &mut node.lookup
                    && *due > now
                {
                    (*lookup, *due) = (resolver.begin(options.family), now);
                }
            }
        }
    }

    /// Takes the answers that have arrived.
    fn hear(&mut self, now: Millis) {
        let Self {
            options,
            nodes,
            targets,
            resolver,
            ..
        } = self;
        let mut buffer = [MaybeUninit::uninit(); REPLY_MAX];
        for server in 0..SERVERS {
            for _ in 0..HEARD_TOGETHER {
                let heard = resolver.hear(server, &mut buffer);
                if heard == Err(Errno::EAGAIN) {
                    break;
                }
                for (place, node) in nodes.iter_mut().enumerate() {
                    let Some((lookup, due)) = &mut node.lookup else {
                        continue;
                    };
                    *due = now;
                    let Ok(datagram) = heard else {
                        lookup.refused_all(server);
                        continue;
                    };
                    let found = resolver.read(server, datagram, node.name, lookup);
                    for address in found.into_iter().flatten() {
                        learn(targets, options, place, node, address, now);
                    }
                }
            }
        }
    }

    /// Says which nodes never got a message.
    fn conclude(&self) -> Outcome {
        let mut outcome = Outcome::NothingSent;
        for node in self.nodes.iter() {
            if node.spoken_to {
                outcome = Outcome::Sent;
            } else {
                let why: &[u8] = if node.found {
                    b": no message could be sent"
                } else {
                    b": has no address, no message was sent"
                };
                Line::new().text(node.name).text(why).say();
            }
        }
        outcome
    }
}

fn add_target(targets: &mut Table<'_, Target>, node: usize, name: &[u8], at: Address, turn: Turn) {
    let target = Target {
        address: at,
        node,
        turn,
        trouble: None,
    };
    if targets.push(target).is_err() {
        no_memory(name);
    }
}

fn no_memory(name: &[u8]) {
    Line::new()
        .text(name)
        .text(b": the kernel has no memory for this node")
        .say();
}

/// Adds an address to a node, unless it has it already.
fn learn(
    targets: &mut Table<'_, Target>,
    options: &Options<'_>,
    place: usize,
    node: &mut Node<'_>,
    address: Address,
    now: Millis,
) {
    if !options.family.has(address.as_v4().is_none()) {
        return;
    }
    node.found = true;
    for target in targets.iter() {
        if target.node == place && target.address == address {
            return;
        }
    }
    add_target(targets, place, node.name, address, node.turn.afresh(now));
}

fn is_due(due: Option<Millis>, now: Millis) -> bool {
    due.is_some_and(|due| due <= now)
}

fn sooner(next: &mut Option<Millis>, due: Option<Millis>) {
    if let Some(due) = due {
        *next = Some(next.map_or(due, |next| next.min(due)));
    }
}
