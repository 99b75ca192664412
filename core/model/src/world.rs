//! Everything at once: nodes, the network, the attacker and the receiver.

use stateright::{Model, Property};

use crate::check::Firsts;
use crate::host::{Host, Truth};
use crate::machine::{Kernel, Machine};
use crate::packet::{Keys, Packet, Said, plain};
use crate::{Bounds, Lie, Tick};

/// The model of a check.
#[derive(Debug)]
pub struct World {
    /// Within which it stays.
    pub bounds: Bounds,
    keys: Keys,
    firsts: Firsts,
}

/// A state of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The time.
    pub now: Tick,
    /// The nodes.
    pub nodes: Vec<Machine>,
    /// What is on the wire, or was and has been recorded. Sorted, each once.
    pub wire: Vec<Packet>,
    /// The receiver.
    pub host: Host,
    /// How many times the receiving program was restarted, has lost its memory, and how many packets
    /// were lost.
    pub mishaps: [u8; 3],
    /// Whether a message got through that ought to be believed, and its node is not known to be in its
    /// crash kernel all the same.
    pub unheard: bool,
    /// In a fair network: whether node 0 was ever known to be in its crash kernel.
    pub known: bool,
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A tick passes.
    Wait,
    /// A node's production kernel panics; the network of its crash kernel comes up so many ticks later.
    Crash(u8, Tick),
    /// A node leaves its crash kernel, and says so or not.
    Reboot(u8, bool),
    /// A packet arrives, for the first time or again.
    Deliver(Packet),
    /// A packet is lost.
    Lose(Packet),
    /// Somebody sends the eight bytes from the address of this node.
    Forge(u8),
    /// Somebody signs in the name of this node with the key of another one.
    Impersonate(u8),
    /// The receiving program is started anew.
    Restart,
    /// It is, and its memory is gone.
    Forget,
    /// The receiver's host is booted.
    Boot,
}

impl World {
    /// The world within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, keys: Keys::default(), firsts: Firsts::default() }
    }

    /// What is wrong when somebody is told now that `node` is fenced; `None` when nothing is, or when
    /// nobody is told.
    #[must_use]
    pub fn lie(&self, state: &State, node: u8) -> Option<Lie> {
        let runs = state.nodes.get(usize::from(node))?.kernel == Kernel::Production;
        if !runs || !state.host.says_fenced(&self.bounds, state.now, node) {
            return None;
        }
        let latest = state.host.program.latest[usize::from(node)]?;
        let is_slow = latest.said.is_some_and(|said| latest.arrived > said.at);
        Some(match (self.bounds.policy, latest.said) {
            (fence_kdump_core::Policy::Plain, None) => Lie::Forged,
            (fence_kdump_core::Policy::Plain, Some(_)) if is_slow => Lie::Replayed,
            (fence_kdump_core::Policy::Signed, Some(_)) if is_slow && !latest.in_time => Lie::Gap,
            (_, Some(_)) if self.bounds.expects.contains(&Lie::Reboot) => Lie::Reboot,
            (fence_kdump_core::Policy::Signed, Some(_))
                if is_slow && self.bounds.rate.abs_diff(1_000_000) > 976 =>
            {
                Lie::Clock
            }
            _ => Lie::Undocumented,
        })
    }

    fn lies(&self, state: &State) -> impl Iterator<Item = Lie> {
        (0..self.bounds.nodes).filter_map(|node| self.lie(state, node))
    }

    /// Whether this is the first such lie.
    fn shows(&self, state: &State, kind: Lie) -> bool {
        self.lies(state).any(|lie| lie == kind && self.firsts.is(kind.name()))
    }

    fn arrive(&self, state: &mut State, bytes: &[u8], truth: Truth) {
        let reply = state.host.hear(&self.bounds, &self.keys, state.now, bytes, truth);
        say(&mut state.wire, reply);
    }

    fn deliver(&self, state: &mut State, said: &Said) {
        let now = state.now;
        let machine = state.nodes[usize::from(said.node)];
        let speaks = matches!(machine.kernel, Kernel::Crash(_)) && machine.crashes == said.crash;
        let ought = state.host.ought_to_believe(&self.bounds, now, said);
        let truth = Truth { said: Some(*said), from: said.node };
        self.arrive(state, &said.bytes(&self.keys, said.node), truth);
        if said.at == now {
            state.host.was_in_time(said.node, said.crash);
        }
        state.unheard = speaks
            && ought
            && said.at == now
            && !state.host.says_fenced(&self.bounds, now, said.node);
    }

    fn may_arrive(&self, state: &State, packet: &Packet) -> bool {
        let at = match packet {
            Packet::Message(said) => said.at,
            Packet::Challenge(asked) => asked.at,
        };
        self.bounds.delay.is_none_or(|delay| state.now - at <= delay)
    }

    /// Everybody speaks whose turn it is.
    fn speak(&self, state: &mut State) {
        for (node, machine) in (0..).zip(&mut state.nodes) {
            say(&mut state.wire, machine.speak(node, &self.bounds, state.now));
        }
    }
}

fn say(wire: &mut Vec<Packet>, packets: impl IntoIterator<Item = Packet>) {
    wire.extend(packets);
    wire.sort_unstable();
    wire.dedup();
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let nodes = vec![Machine::WELL; usize::from(self.bounds.nodes)];
        let host = Host::new(&self.bounds);
        let (wire, mishaps) = (Vec::new(), [0; 3]);
        let state = State { now: 0, nodes, wire, host, mishaps, unheard: false, known: false };
        // Nothing can happen before the first crash.
        let first = |&up: &Tick| {
            let mut state = state.clone();
            state.nodes[0].crash(&self.bounds, 0, up);
            self.speak(&mut state);
            state
        };
        self.bounds.network.iter().map(first).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        let waits = bounds.fair.is_some() && !state.wire.is_empty();
        if state.now < bounds.horizon && !waits {
            actions.push(Action::Wait);
        }
        for (node, machine) in (0..).zip(&state.nodes) {
            match machine.kernel {
                Kernel::Production if machine.crashes < bounds.crashes => {
                    actions.extend(bounds.network.iter().map(|&up| Action::Crash(node, up)));
                }
                Kernel::Crash(_) if bounds.reboot <= bounds.horizon => {
                    actions.push(Action::Reboot(node, false));
                    actions.extend(bounds.leaves.then_some(Action::Reboot(node, true)));
                }
                Kernel::Production | Kernel::Crash(_) | Kernel::Reboots(_) => {}
            }
            if bounds.forges {
                actions.extend([Action::Forge(node), Action::Impersonate(node)]);
            }
        }
        let arrives = state.wire.iter().filter(|packet| self.may_arrive(state, packet));
        actions.extend(arrives.map(|&packet| Action::Deliver(packet)));
        if bounds.fair.is_some_and(|losses| state.mishaps[2] < losses) {
            actions.extend(state.wire.iter().map(|&packet| Action::Lose(packet)));
        }
        let mishaps = [
            (state.mishaps[0] < bounds.restarts, Action::Restart),
            (state.mishaps[1] < bounds.losses_of_memory, Action::Forget),
            (state.host.boot < bounds.boots, Action::Boot),
        ];
        actions.extend(mishaps.into_iter().filter_map(|(can, action)| can.then_some(action)));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let bounds = &self.bounds;
        let mut state = last.clone();
        match action {
            Action::Wait => {
                state.now += 1;
                for machine in &mut state.nodes {
                    machine.pass(bounds, state.now);
                }
                state.host.pass(bounds, state.now);
                self.speak(&mut state);
            }
            Action::Crash(node, up) => {
                state.nodes[usize::from(node)].crash(bounds, state.now, up);
                self.speak(&mut state);
            }
            Action::Reboot(node, says) => {
                let now = state.now;
                let said = state.nodes[usize::from(node)].reboot(node, bounds, now, says);
                say(&mut state.wire, said);
            }
            Action::Deliver(packet) => {
                if bounds.fair.is_some() {
                    state.wire.retain(|other| *other != packet);
                }
                match packet {
                    Packet::Message(said) => self.deliver(&mut state, &said),
                    Packet::Challenge(asked) => {
                        let machine = &mut state.nodes[usize::from(asked.node)];
                        let answer =
                            machine.answer(asked.node, bounds, &self.keys, state.now, &asked);
                        say(&mut state.wire, answer);
                    }
                }
            }
            Action::Lose(packet) => {
                state.wire.retain(|other| *other != packet);
                state.mishaps[2] += 1;
            }
            Action::Forge(from) => self.arrive(&mut state, &plain(), Truth { said: None, from }),
            Action::Impersonate(node) => {
                let forged = Said {
                    at: state.now,
                    node,
                    crash: 99,
                    number: 200,
                    uptime: 0,
                    interval: 0,
                    answer: None,
                    leaving: false,
                    signed: true,
                };
                let bytes = forged.bytes(&self.keys, (node + 1) % 3);
                // From an address that is nobody's: under `plain` it would count as the eight bytes do.
                let from = bounds.nodes;
                if bounds.signs {
                    self.arrive(&mut state, &bytes, Truth { said: None, from });
                }
            }
            Action::Restart => {
                state.mishaps[0] += 1;
                state.host.restart(bounds, state.now);
            }
            Action::Forget => {
                state.mishaps[1] += 1;
                state.host.memory.clear();
                state.host.restart(bounds, state.now);
            }
            Action::Boot => state.host.reboot(bounds, state.now),
        }
        state.known |= bounds.fair.is_some() && state.host.says_fenced(bounds, state.now, 0);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let is_found = |lie: &Lie| -> Property<Self> {
            match lie {
                Lie::Forged => Property::sometimes("forged", |w, s| w.shows(s, Lie::Forged)),
                Lie::Replayed => Property::sometimes("replayed", |w, s| w.shows(s, Lie::Replayed)),
                Lie::Gap => Property::sometimes("gap", |w, s| w.shows(s, Lie::Gap)),
                Lie::Clock => Property::sometimes("clock", |w, s| w.shows(s, Lie::Clock)),
                Lie::Reboot => Property::sometimes("reboot", |w, s| w.shows(s, Lie::Reboot)),
                Lie::Undocumented => Property::sometimes("undocumented", |_, _| false),
            }
        };
        let mut properties = vec![
            Property::always(SAFE, |world: &Self, state: &State| {
                let mut lies = world.lies(state);
                !lies.any(|lie| !world.bounds.expects.contains(&lie) && world.firsts.is(SAFE))
            }),
            Property::always(AT_ONCE, |world: &Self, state: &State| {
                !(state.unheard && world.firsts.is(AT_ONCE))
            }),
            Property::always(ONCE, |world: &Self, state: &State| {
                !(state.host.counts_twice && world.firsts.is(ONCE))
            }),
            // Or the checks above would hold because nothing ever happens.
            Property::sometimes(HAPPENS, |world: &Self, state: &State| {
                state.host.says_fenced(&world.bounds, state.now, 0) && world.firsts.is(HAPPENS)
            }),
        ];
        properties.extend(self.bounds.expects.iter().map(is_found));
        if self.bounds.fair.is_some() {
            properties
                .push(Property::eventually(IN_THE_END, |_: &Self, state: &State| state.known));
        }
        properties
    }
}

/// Nobody is told that a node is fenced while its production kernel runs, but as documented.
pub const SAFE: &str = "no false fence";
/// A message that gets through is evidence at once.
pub const AT_ONCE: &str = "what gets through counts at once";
/// No message is evidence in two moments, however often the receiver is started anew.
pub const ONCE: &str = "each message counts once";
/// Somebody is told that a node is fenced.
pub const HAPPENS: &str = "a node is fenced at all";
/// A node that stays in its crash kernel is known to be there when messages get through.
pub const IN_THE_END: &str = "known in the end";
