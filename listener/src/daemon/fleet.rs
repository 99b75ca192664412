//! The nodes and what is known of them.

use std::collections::HashMap;

use fence_kdump_core::{
    Disbelief, Event, Instant, KeyId, Message, NodeId, Nonce, Outcome, Policy, Progress, Proof,
    Slot, State, Tracker, session,
};

use super::node::{Follow, FollowError};
use crate::address::Address;
use crate::control::packet::NodeStatus;
use crate::lookup;
use crate::nodes::Known;
use crate::options::Family;
use crate::proof::{Examiner, Packet};
use crate::socket::Datagram;
use crate::store::Hearing;

/// The nodes and what is known of them.
#[derive(Debug)]
pub struct Fleet {
    nodes: Vec<Node>,
    by_address: HashMap<Address, NodeId>,
    /// In lower case.
    by_name: HashMap<String, NodeId>,
    policy: Policy,
    examiner: Option<Examiner>,
    tracker: Tracker<Box<[Slot]>>,
}

#[derive(Debug)]
struct Node {
    name: String,
    /// Of the latest message that was believed.
    from: Option<Address>,
    /// Of the latest one that proved it.
    key_id: Option<KeyId>,
    /// Causes of disbelief that were told since the last message that was believed; *unsigned*, in this
    /// session.
    told: Vec<Disbelief>,
}

/// A message that is being remembered.
#[derive(Debug, Clone)]
pub struct Ticket {
    node: NodeId,
    datagram: Datagram,
    /// It was believed at once.
    is_live: bool,
}

/// What came of one datagram.
#[derive(Debug, Default)]
#[must_use]
pub struct Heard {
    /// What it changed, in words; `None` when nothing that is worth a line.
    pub told: Option<String>,
    /// What is to be sent back to where it came from.
    pub challenge: Option<Packet>,
    /// What has to be remembered; [`Fleet::judged`] wants to know what became of it.
    pub hearing: Option<(Hearing, Ticket)>,
}

impl Fleet {
    /// Finds the addresses of all nodes, which have to prove what `policy` says. Blocks as long as the
    /// resolver does.
    ///
    /// # Errors
    /// When an address cannot be found, or belongs to two nodes.
    pub fn new(
        nodes: &[Follow],
        (policy, examiner): (Policy, Option<Examiner>),
    ) -> Result<Self, FollowError> {
        let slots = vec![Slot::EMPTY; nodes.len()].into_boxed_slice();
        let mut fleet = Self {
            nodes: Vec::new(),
            by_address: HashMap::new(),
            by_name: HashMap::new(),
            policy,
            examiner,
            tracker: Tracker::new(slots, session::SILENCE),
        };
        for (id, node) in (0_u32..).map(NodeId).zip(nodes) {
            let name = node.name.clone();
            if fleet.by_name.insert(name.to_ascii_lowercase(), id).is_some() {
                return Err(FollowError::Twice(name));
            }
            fleet.nodes.push(Node { name, from: None, key_id: None, told: Vec::new() });
            for address in &node.addresses {
                fleet.find(id, address)?;
            }
        }
        Ok(fleet)
    }

    fn find(&mut self, id: NodeId, address: &str) -> Result<(), FollowError> {
        let found = match lookup::look_up(address, Family::Any).known {
            Known::At(found) => found,
            Known::Failed(why) => {
                let (node, address) = (self.name(id).to_owned(), address.to_owned());
                return Err(FollowError::Address { node, address, why });
            }
            Known::Pending => Vec::new(),
        };
        for address in found {
            let before = self.by_address.insert(address, id);
            if let Some(first) = before.filter(|&before| before != id) {
                return Err(FollowError::Shared {
                    address,
                    first: self.name(first).to_owned(),
                    second: self.name(id).to_owned(),
                });
            }
        }
        Ok(())
    }

    /// What messages have to prove.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// All addresses of all nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.by_address.keys().copied().collect()
    }

    /// The names of all nodes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// Nodes that have to sign what they say, and for which there is no key: they are never believed.
    #[must_use]
    pub fn without_key(&self) -> Vec<&str> {
        let known = |name: &str| self.examiner.as_ref().is_some_and(|known| known.knows(name));
        let names = self.nodes.iter().map(|node| node.name.as_str());
        names.filter(|name| self.policy != Policy::Plain && !known(name)).collect()
    }

    /// A datagram came; it is `now`. `random` gives the nonce of a new challenge.
    pub fn hear(
        &mut self,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        let message = match datagram.message() {
            Ok(message) => message,
            Err(error) => {
                let _ = self.tracker.refuse(error);
                return Heard::default();
            }
        };
        let claimed = message.extension.and_then(|said| said.node_name);
        let claimed = claimed.map(str::to_ascii_lowercase);
        let by_name = claimed.and_then(|name| self.by_name.get(&name)).copied();
        let (Some(signed), Some(node)) = (message.signed(), by_name) else {
            return self.plain(datagram, by_name, Disbelief::Unsigned).into();
        };
        let Some(examiner) = &mut self.examiner else {
            return self.plain(datagram, by_name, Disbelief::UnknownKey).into();
        };
        match examiner.examine(datagram.received_at, now, &signed, random) {
            Ok(right) => {
                let is_live = right.is_live;
                let told = is_live.then(|| self.proven(node, datagram, &message, Proof::Live));
                let ticket = Ticket { node, datagram: datagram.clone(), is_live };
                let hearing = Hearing::new(datagram.received_at, &signed, is_live);
                let (challenge, hearing) = (right.challenge, Some((hearing, ticket)));
                Heard { told: told.flatten(), challenge, hearing }
            }
            Err(disbelief) => self.plain(datagram, by_name, disbelief).into(),
        }
    }

    /// What the memory says of a message that [`Fleet::hear`] wanted to have remembered: what that
    /// changed, in words.
    pub fn judged(&mut self, ticket: &Ticket, result: Result<(), Disbelief>) -> Option<String> {
        let Ticket { node, datagram, is_live } = ticket;
        if *is_live {
            return None;
        }
        match (datagram.message(), result) {
            (Ok(message), Ok(())) => self.proven(*node, datagram, &message, Proof::Signed),
            (_, Err(disbelief)) => self.plain(datagram, Some(*node), disbelief),
            (Err(_), Ok(())) => None,
        }
    }

    /// A message proved who sent it.
    fn proven(
        &mut self,
        node: NodeId,
        datagram: &Datagram,
        message: &Message<'_>,
        proof: Proof,
    ) -> Option<String> {
        match self.policy.admit(proof) {
            Ok(proof) => self.believe(node, datagram, message, proof),
            Err(disbelief) => self.disbelieve(Some(node), datagram, disbelief),
        }
    }

    /// A message proved nothing but where it came from, for want of what `disbelief` says.
    fn plain(
        &mut self,
        datagram: &Datagram,
        by_name: Option<NodeId>,
        disbelief: Disbelief,
    ) -> Option<String> {
        let by_address = self.by_address.get(&datagram.from).copied();
        match (self.policy.admit(Proof::Plain), by_address, datagram.message()) {
            (Ok(proof), Some(node), Ok(message)) => self.believe(node, datagram, &message, proof),
            (Ok(_), None, _) => self.disbelieve(None, datagram, Disbelief::Stranger),
            _ => match by_name.or(by_address) {
                Some(node) => self.disbelieve(Some(node), datagram, disbelief),
                None => self.disbelieve(None, datagram, Disbelief::Stranger),
            },
        }
    }

    fn believe(
        &mut self,
        node: NodeId,
        datagram: &Datagram,
        message: &Message<'_>,
        proof: Proof,
    ) -> Option<String> {
        let Datagram { received_at, from, .. } = datagram;
        let report = message.report(proof);
        let Outcome::Heard { event, .. } = self.tracker.hear(*received_at, node, &report) else {
            return None;
        };
        let key_id = message.signed().filter(|_| proof > Proof::Plain).map(|signed| signed.key_id);
        let known = self.node_mut(node)?;
        known.from = Some(*from);
        known.key_id = key_id.or(known.key_id);
        // A node may well send plain messages beside signed ones.
        known.told.retain(|cause| *cause == Disbelief::Unsigned);
        let name = self.name(node);
        let who = match proof {
            Proof::Plain => format!("{name} ({from})"),
            Proof::Signed | Proof::Live => format!("{name} ({from}, {proof})"),
        };
        match event {
            Event::Started => Some(format!("{who}: started, it is in its crash kernel")),
            Event::Dumping => Some(format!("{who}: dumping")),
            Event::Phase(phase) => Some(format!("{who}: {}", phase.name())),
            Event::Finished => Some(format!("{who}: finished, it says so itself")),
            _ => None,
        }
    }

    /// Told once for each cause, until something is believed again.
    fn disbelieve(
        &mut self,
        node: Option<NodeId>,
        datagram: &Datagram,
        cause: Disbelief,
    ) -> Option<String> {
        let _ = self.tracker.disbelieve(cause);
        let node = node?;
        let known = self.node_mut(node)?;
        // Each message that is no answer is unproven; whether an answer follows, shows.
        if cause == Disbelief::Unproven || known.told.contains(&cause) {
            return None;
        }
        known.told.push(cause);
        let (name, from) = (self.name(node), datagram.from);
        Some(format!("{name}: a message from {from} does not count: {cause}"))
    }

    fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(id.0).ok()?)
    }

    fn name(&self, id: NodeId) -> &str {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.nodes.get(index).map_or("?", |node| node.name.as_str())
    }

    /// When [`Fleet::tick`] next has something to tell, unless a message comes first.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.tracker.poll_timeout()
    }

    /// Time has passed: the next thing that has ended by `now`.
    pub fn tick(&mut self, now: Instant) -> Option<String> {
        let (node, _) = self.tracker.poll(now)?;
        if let Some(known) = self.node_mut(node) {
            known.told.clear();
        }
        let last = self.tracker.session(node)?.last_heard()?;
        let silence = now.saturating_since(last).as_secs();
        Some(format!("{}: finished, silent for {silence} s", self.name(node)))
    }

    /// The state of all nodes at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<NodeStatus> {
        let ago = |then: Instant| {
            u64::try_from(now.saturating_since(then).as_millis()).unwrap_or(u64::MAX)
        };
        let nodes = (0_u32..).map(NodeId).zip(&self.nodes);
        nodes
            .filter_map(|(id, node)| {
                let session = self.tracker.session(id)?;
                let state = match session.state(now) {
                    State::Unheard => "unheard",
                    State::Started => "started",
                    State::Dumping => "dumping",
                    State::Finished => "finished",
                    _ => "unknown",
                };
                let progress = Some(session.progress()).filter(|said| *said != Progress::default());
                Some(NodeStatus {
                    name: node.name.clone(),
                    state: state.to_owned(),
                    since_ms: session.first_heard().map(ago),
                    last_heard_ms: session.last_heard().map(ago),
                    messages: session.messages(),
                    policy: Some(self.policy.to_string()),
                    proof: session.proof().map(|proof| proof.to_string()),
                    phase: session.phase().map(|phase| phase.name().to_owned()),
                    done: progress.map(|progress| progress.done),
                    total: progress.map(|progress| progress.total).filter(|total| *total > 0),
                    key_id: node.key_id.map(|id| id.to_string()),
                    from: node.from.map(|from| from.to_string()),
                })
            })
            .collect()
    }
}

impl From<Option<String>> for Heard {
    fn from(told: Option<String>) -> Self {
        Self { told, challenge: None, hearing: None }
    }
}

#[cfg(test)]
mod tests;
