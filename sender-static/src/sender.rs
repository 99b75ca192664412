//! The sender: which nodes there are, which addresses they have, and the loop that serves them.

#[cfg(feature = "early")]
pub mod beside;
mod challenges;
mod names;

use core::mem::MaybeUninit;

use crate::address::Address;
use crate::answers::Answers;
use crate::args::Options;
use crate::identity::Identity;
use crate::lookup::Lookup;
use crate::message::{Form, PLAIN};
use crate::report::{self, Line};
use crate::resolver::Resolver;
use crate::schedule::{Millis, Turn};
use crate::signer::Moment;
#[cfg(not(feature = "early"))]
use crate::sys::Socket;
use crate::sys::{self, Clock, Errno, Room, Table};
use crate::text::has;
use crate::transport::Transport;
use challenges::PATIENCE;

/// A node as the command line gives it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its name or address.
    name: &'a [u8],
    /// What it is sent.
    form: Form,
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

/// An address that gets messages.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    address: Address,
    node: usize,
    turn: Turn,
    /// The error of the last message, so that the same one is told once.
    trouble: Option<Errno>,
    /// Whether a challenge would say that the last message, a signed one, was heard.
    unheard: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one message was handed to the network.
    Sent,
    /// The same, but none of those was signed that were to be.
    Unsigned,
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
    nodes: Table<'s, Node<'a>>,
    targets: Table<'s, Target>,
    transport: T,
    /// Until when challenges are waited for at the end.
    patience: Millis,
    /// What the last signed message has promised.
    promise: u32,
    moment: Moment,
    resolver: Resolver,
    identity: Identity<'a>,
    answers: Answers,
    /// What names meant when the image was built.
    #[cfg(feature = "link")]
    plan: &'a [u8],
    #[cfg(feature = "early")]
    beside: beside::Beside<'a>,
    /// Until when nothing is told, so that the first messages leave sooner.
    #[cfg(feature = "early")]
    hurry: Option<Millis>,
}

/// For so long at most, what is to be told waits until every node was spoken to.
#[cfg(feature = "early")]
const HURRY: Millis = Millis::seconds(1);

impl<'a, 's, T: Transport> Sender<'a, 's, T> {
    /// A sender without nodes. It begins now.
    pub fn new(
        options: &'a Options<'a>,
        transport: T,
        identity: Identity<'a>,
        storage: &'s mut Storage<'a>,
    ) -> Self {
        let boot = sys::nanos(Clock::Boot);
        Self {
            options,
            now: Millis::from_nanos(boot),
            moment: Moment { boot, wall: 0 },
            patience: Millis(0),
            promise: 0,
            transport,
            identity,
            answers: Answers::new(),
            nodes: Table::new(&mut storage.nodes),
            targets: Table::new(&mut storage.targets),
            resolver: Resolver::new(),
            #[cfg(feature = "link")]
            plan: &[],
            #[cfg(feature = "early")]
            beside: beside::Beside::new(),
            #[cfg(feature = "early")]
            hurry: options.hurry.then(|| Millis::from_nanos(boot).plus(HURRY)),
        }
    }

    /// Has names looked for in a plan, too.
    #[cfg(feature = "link")]
    pub fn set_plan(&mut self, plan: &'a [u8]) {
        self.plan = plan;
    }

    /// Adds a node, due at once. One that can never be spoken to is told and left out.
    pub fn add(&mut self, given: &'a [u8]) {
        let (form, name) = Form::of_node(given);
        let form = form.or(self.options.form).unwrap_or(Form::Plain);
        let address = Address::parse(name);
        // What is written as IPv6 counts as that, whatever it maps to. No name has a colon.
        let colon = has(name, b':');
        let wrong: &[u8] = match address {
            Some(_) if !self.options.family.has(colon) => b"is not of the family asked for",
            None if colon || name.len() < given.len() && name.is_empty() => {
                b"is neither an address nor a name"
            }
            _ => b"",
        };
        if !wrong.is_empty() {
            report::node(given, wrong);
        }
        if !wrong.is_empty() || name.is_empty() {
            return;
        }
        if form.has_signed() {
            self.identity.want();
        }
        let turn = self.options.cadence.begin(self.now);
        let node = Node { name, form, spoken_to: false, found: false, turn, lookup: None };
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
        let target = Target { address: *address, node: place, turn, trouble: None, unheard: false };
        if self.targets.push(&target).is_none() {
            report::node(node.name, NO_MEMORY);
        }
    }

    /// Sends until every round is over, which without a count is never.
    #[inline(never)]
    pub fn run(&mut self) -> Outcome {
        let mut room = Room::NONE;
        // Interfaces come up meanwhile.
        #[cfg(feature = "link")]
        self.transport.attend(self.now);
        loop {
            if self.identity.due <= self.now {
                self.identity.look(self.moment.boot, self.now);
            }
            #[cfg(feature = "early")]
            if self.attend_beside() {
                self.wait(Millis::NEVER);
                continue;
            }
            self.send();
            self.identity.tell();
            self.resolve(&mut room);
            let next = self.next();
            if next == Millis::NEVER {
                break;
            }
            self.wait(next);
            self.hear();
        }
        let outcome = self.conclude();
        self.identity.signer.forget();
        outcome
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
        if next < Millis::NEVER {
            next.min(self.identity.due)
        } else if self.patience > self.now {
            self.patience
        } else {
            next
        }
    }

    /// Waits until `next`, or until something arrives.
    fn wait(&mut self, next: Millis) {
        #[cfg(feature = "early")]
        let next = next.min(self.calm_down());
        let next = next.min(self.transport.due(self.now));
        let mut challenges = self.transport.ways_in();
        if !self.identity.signer.is_ready() {
            // Nobody would read what comes in there, and it would be waited for no more.
            challenges = &[];
        }
        #[cfg(feature = "early")]
        let (next, beside) = (next.min(self.beside.due()), self.beside.socket());
        #[cfg(not(feature = "early"))]
        let beside = &Socket::NONE;
        // Sending and telling have taken their time.
        let limit = next.since(sys::now());
        let wires = self.transport.wires();
        sys::wait(self.resolver.ways_in(), challenges, beside, wires, limit);
        let boot = sys::nanos(Clock::Boot);
        self.now = Millis::from_nanos(boot);
        self.moment.boot = boot;
        if self.transport.attend(self.now) {
            self.try_again();
        }
        if self.identity.signer.is_ready() {
            self.moment.wall = sys::nanos(Clock::Wall);
            self.answer();
        }
    }

    /// Tells what was not told yet, when every node was spoken to, or it has taken too long. Gives the time for
    /// that, if it is still to come.
    #[cfg(feature = "early")]
    fn calm_down(&mut self) -> Millis {
        let Some(end) = self.hurry else {
            return Millis::NEVER;
        };
        if end > self.now && !self.nodes.iter().all(|node| node.spoken_to) {
            return end;
        }
        self.hurry = None;
        sys::process::calm_down();
        Millis::NEVER
    }

    /// Has the messages tried now that were refused.
    #[inline(never)]
    fn try_again(&mut self) {
        for target in self.targets.iter_mut() {
            if target.trouble.is_some() && target.turn.due < Millis::NEVER {
                target.turn.due = self.now;
            }
        }
    }

    /// Gives every address that is due its message.
    #[inline(never)]
    fn send(&mut self) {
        let now = self.now;
        for target in self.targets.iter_mut() {
            if target.turn.due > now {
                continue;
            }
            let Some(node) = self.nodes.get_mut(target.node) else {
                continue;
            };
            let signer = &mut self.identity.signer;
            let form = if signer.is_ready() { node.form } else { Form::Plain };
            let mut result = Err(Errno::EAGAIN);
            if form.has_plain() {
                result = self.transport.send(&PLAIN, &target.address);
            }
            target.unheard = false;
            if form.has_signed() {
                self.promise = self.options.cadence.promise(&target.turn);
                let message = signer.sign(&self.moment, self.promise, &[]);
                let signed = self.transport.send(message, &target.address);
                if signed.is_ok() {
                    target.unheard = true;
                    self.patience = now.plus(PATIENCE);
                }
                result = result.or(signed);
            }
            let patient = result.is_err() && self.transport.is_patient();
            if !(patient && self.options.cadence.put_off(&mut target.turn, now)) {
                self.options.cadence.advance(&mut target.turn, now, result.is_ok());
            }
            let known = target.trouble == result.err() && result.is_err();
            target.trouble = result.err();
            node.spoken_to |= result.is_ok();
            if self.options.verbose < if known { 2 } else { 1 } {
                continue;
            }
            let what: &[u8] = if form.has_signed() { b"sent, signed" } else { b"sent" };
            tell(node.name, &target.address, result.err(), what);
        }
    }

    /// Says which nodes never got a message.
    fn conclude(&self) -> Outcome {
        let mut outcome = Outcome::NothingSent;
        for node in self.nodes.iter() {
            if !node.spoken_to {
                report::node(node.name, b"nothing was sent");
            } else if self.identity.wanted && !self.identity.signer.is_ready() {
                outcome = Outcome::Unsigned;
            } else {
                outcome = Outcome::Sent;
            }
        }
        outcome
    }
}

const NO_MEMORY: &[u8] = b"no memory";

/// Says what became of a message, or of the answer to it.
#[inline(never)]
fn tell(name: &[u8], address: &Address, error: Option<Errno>, what: &[u8]) {
    let mut line = Line::new();
    if !name.is_empty() {
        line.text(name).text(b" ");
    }
    line.address(address).text(b": ");
    match error {
        None => line.text(what),
        Some(error) => line.error(error),
    }
    .say();
}
