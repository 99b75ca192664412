//! The nodes and what is known of them.

use std::collections::HashMap;
use std::sync::Arc;

use fence_kdump_core::{
    Counters, Disbelief, Instant, KeyId, Message, NodeId, Nonce, Outcome, Phase, Policy, Proof,
    Session, Slot, State, Tracker, session,
};

use super::chronicle::{Chronicle, Happening, ago};
use crate::address::Address;
use crate::control::packet::NodeStatus;
use crate::fleet::event::{Event, Kind, phase_name, proof_name};
use crate::fleet::registry::Registry;
use crate::proof::{Examiner, Packet};
use crate::socket::Datagram;
use crate::store::Hearing;

/// The nodes and what is known of them.
#[derive(Debug)]
pub struct Fleet {
    registry: Registry,
    examiner: Option<Examiner>,
    tracker: Tracker<Vec<Slot>>,
    /// Only of nodes that were heard.
    seen: HashMap<NodeId, Seen>,
    chronicle: Chronicle,
    sessions: u64,
    candidates: Candidates,
}

/// What is known of a node besides its session.
#[derive(Debug, Default)]
struct Seen {
    /// Where the latest message that was believed came from.
    from: Option<Address>,
    /// Of the latest one that proved it.
    key_id: Option<KeyId>,
    /// Causes of disbelief that were told since the last message that was believed; *unsigned*, in this
    /// session.
    told: Vec<Disbelief>,
    /// The name of its present or latest dump.
    dump: Option<Arc<str>>,
    /// How that ended.
    end: Option<Kind>,
}

/// Sources of messages that are nobody's, in discovery mode: shown, and never believed.
#[derive(Debug, Default)]
struct Candidates {
    most: usize,
    known: HashMap<Address, Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    first: Instant,
    last: Instant,
    messages: u32,
}

/// A message that is being remembered.
#[derive(Debug, Clone)]
pub struct Ticket {
    node: NodeId,
    /// Whose number that was then: it may be another one's when the answer comes.
    name: Arc<str>,
    datagram: Datagram,
    /// It was believed at once.
    is_live: bool,
}

/// What became of one datagram, as far as people and other programs want to know.
#[derive(Debug)]
pub enum Told {
    /// Something happened to a node.
    Event(Event),
    /// A message does not count: a line for the log.
    Disbelief(String),
}

/// What came of one datagram.
#[derive(Debug, Default)]
#[must_use]
pub struct Heard {
    /// What it changed; `None` when nothing that is worth a line.
    pub told: Option<Told>,
    /// What is to be sent back to where it came from.
    pub challenge: Option<Packet>,
    /// What has to be remembered; [`Fleet::judged`] wants to know what became of it.
    pub hearing: Option<(Hearing, Ticket)>,
}

impl Fleet {
    /// The nodes of `registry`; `examiner` verifies what they sign.
    #[must_use]
    pub fn new(registry: Registry, examiner: Option<Examiner>) -> Self {
        let slots = vec![Slot::EMPTY; slots(&registry)];
        Self {
            registry,
            examiner,
            tracker: Tracker::new(slots, session::SILENCE),
            seen: HashMap::new(),
            chronicle: Chronicle::new(),
            sessions: 0,
            candidates: Candidates::default(),
        }
    }

    /// So many sources that are nobody's are shown as candidates.
    pub fn discover(&mut self, most: usize) {
        self.candidates.most = most;
        if most == 0 {
            self.candidates.known.clear();
        }
    }

    /// The nodes of another configuration take the place of these; what is known of those that stay is
    /// kept, as long as they would still be believed.
    pub fn reload(&mut self, mut registry: Registry, examiner: Option<Examiner>) {
        let changes = registry.succeed(&self.registry);
        self.tracker.grow(|all| all.resize(all.len().max(slots(&registry)), Slot::EMPTY));
        let is_doubtful = |id: &NodeId| {
            let from = self.seen.get(id).and_then(|seen| seen.from);
            let proof = self.tracker.session(*id).and_then(Session::proof);
            let still = |(proof, from)| registry.still_believes(*id, proof, from);
            !proof.zip(from).is_some_and(still)
        };
        let changed: Vec<_> = changes.changed.iter().copied().filter(is_doubtful).collect();
        for id in changes.removed.into_iter().chain(changes.rekeyed).chain(changed) {
            self.tracker.forget(id);
            self.seen.remove(&id);
        }
        (self.registry, self.examiner) = (registry, examiner);
    }

    /// Who the nodes are.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who the nodes are, to tell what their names were found to be.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The strictest thing that any node's messages have to prove.
    #[must_use]
    pub fn has_signed(&self) -> bool {
        self.registry.ids().any(|id| self.policy(id) == Policy::Signed)
    }

    /// Nodes that have to sign what they say, and for which there is no key: they are never believed.
    pub fn without_key(&self) -> impl Iterator<Item = &str> {
        let known = |name: &str| self.examiner.as_ref().is_some_and(|known| known.knows(name));
        let signing = self.registry.ids().filter(|id| self.policy(*id) != Policy::Plain);
        let keyless = signing.filter(move |id| !self.registry.key_name(*id).is_some_and(known));
        keyless.filter_map(|id| self.registry.name(id))
    }

    fn policy(&self, id: NodeId) -> Policy {
        // Of a node that is not there, nothing is believed.
        self.registry.policy(id).unwrap_or(Policy::Live)
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
        let by_name = claimed.and_then(|name| self.registry.signed_as(name));
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
                let name = self.name(node);
                let ticket = Ticket { node, name, datagram: datagram.clone(), is_live };
                let hearing = Hearing::new(datagram.received_at, &signed, is_live);
                let (challenge, hearing) = (right.challenge, Some((hearing, ticket)));
                Heard { told: told.flatten(), challenge, hearing }
            }
            Err(disbelief) => self.plain(datagram, by_name, disbelief).into(),
        }
    }

    /// What the memory says of a message that [`Fleet::hear`] wanted to have remembered: what that
    /// changed.
    pub fn judged(&mut self, ticket: &Ticket, result: Result<(), Disbelief>) -> Option<Told> {
        let Ticket { node, name, datagram, is_live } = ticket;
        if *is_live || self.registry.name(*node) != Some(name) {
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
    ) -> Option<Told> {
        match self.policy(node).admit(proof) {
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
    ) -> Option<Told> {
        let by_address = self.registry.at(datagram.from);
        let believed = by_address.filter(|id| self.policy(*id).admit(Proof::Plain).is_ok());
        match (believed, datagram.message()) {
            (Some(node), Ok(message)) => self.believe(node, datagram, &message, Proof::Plain),
            _ => {
                let signing = |id: &NodeId| self.policy(*id) != Policy::Plain;
                let whose = by_name.filter(signing).or(by_address);
                let cause = if whose.is_some() { disbelief } else { Disbelief::Stranger };
                self.disbelieve(whose, datagram, cause)
            }
        }
    }

    fn believe(
        &mut self,
        node: NodeId,
        datagram: &Datagram,
        message: &Message<'_>,
        proof: Proof,
    ) -> Option<Told> {
        use fence_kdump_core::Event as E;
        let Datagram { received_at, from, .. } = datagram;
        let report = message.report(proof);
        let Outcome::Heard { event, .. } = self.tracker.hear(*received_at, node, &report) else {
            return None;
        };
        let key_id = message.signed().filter(|_| proof > Proof::Plain).map(|signed| signed.key_id);
        let seen = self.seen.entry(node).or_default();
        seen.from = Some(*from);
        seen.key_id = key_id.or(seen.key_id);
        // A node may well send plain messages beside signed ones.
        seen.told.retain(|cause| *cause == Disbelief::Unsigned);
        let kind = match event {
            E::Started => Kind::Started,
            E::Dumping | E::Phase(Phase::Dumping) => Kind::Dumping,
            E::Phase(_) => Kind::Phase,
            E::Finished if report.phase == Some(Phase::Leaving) => Kind::Rebooted,
            E::Finished => Kind::Finished,
            _ => return None,
        };
        self.happened(node, kind, Some(*from)).map(Told::Event)
    }

    fn happened(&mut self, node: NodeId, kind: Kind, from: Option<Address>) -> Option<Event> {
        let name = self.name(node);
        let session = self.tracker.session(node)?;
        let seen = self.seen.entry(node).or_default();
        seen.end = kind.is_end().then_some(kind);
        if kind == Kind::Started {
            self.sessions = self.sessions.saturating_add(1);
        }
        let happening = Happening { node: name, kind, from };
        Some(self.chronicle.write(happening, session, &mut seen.dump))
    }

    /// Told once for each cause, until something is believed again.
    fn disbelieve(
        &mut self,
        node: Option<NodeId>,
        datagram: &Datagram,
        cause: Disbelief,
    ) -> Option<Told> {
        let _ = self.tracker.disbelieve(cause);
        let Some(node) = node else {
            self.candidates.hear(datagram);
            return None;
        };
        let seen = self.seen.entry(node).or_default();
        // Each message that is no answer is unproven; whether an answer follows, shows.
        if cause == Disbelief::Unproven || seen.told.contains(&cause) {
            return None;
        }
        seen.told.push(cause);
        let (name, from) = (self.name(node), datagram.from);
        Some(Told::Disbelief(format!("{name}: a message from {from} does not count: {cause}")))
    }

    fn name(&self, id: NodeId) -> Arc<str> {
        self.registry.name(id).unwrap_or("?").into()
    }

    /// When [`Fleet::tick`] next has something to tell, unless a message comes first.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.tracker.poll_timeout()
    }

    /// Time has passed: the next thing that has ended by `now`.
    pub fn tick(&mut self, now: Instant) -> Option<Event> {
        loop {
            let (node, _) = self.tracker.poll(now)?;
            if let Some(seen) = self.seen.get_mut(&node) {
                seen.told.clear();
            }
            // Who says what it does and then says nothing any more has not said that it is done.
            let said = self.tracker.session(node).and_then(Session::phase);
            let kind = if said.is_some() { Kind::Lost } else { Kind::Finished };
            if let Some(event) = self.happened(node, kind, None) {
                return Some(event);
            }
        }
    }

    /// How many datagrams had which outcome.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.tracker.counters()
    }

    /// How many dumps were heard of.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// The state of a node at `now`.
    #[must_use]
    pub fn node(&self, id: NodeId, now: Instant) -> Option<NodeStatus> {
        let name = self.registry.name(id)?.to_owned();
        let session = self.tracker.session(id)?;
        let seen = self.seen.get(&id);
        let state = match session.state(now) {
            State::Unheard => "unheard",
            State::Started => "started",
            State::Dumping => "dumping",
            State::Finished => seen.and_then(|seen| seen.end).map_or("finished", Kind::name),
            _ => "unknown",
        };
        let (done, total) = (session.progress().done, session.progress().total);
        Some(NodeStatus {
            name,
            state: state.to_owned(),
            since_ms: session.first_heard().map(|at| ago(at, now)),
            last_heard_ms: session.last_heard().map(|at| ago(at, now)),
            messages: session.messages(),
            policy: Some(self.policy(id).to_string()),
            proof: session.proof().map(proof_name),
            phase: session.phase().and_then(phase_name),
            done: (done > 0 || total > 0).then_some(done),
            total: Some(total).filter(|total| *total > 0),
            key_id: seen.and_then(|seen| seen.key_id).map(|id| id.to_string()),
            from: seen.and_then(|seen| seen.from).map(|from| from.to_string()),
        })
    }

    /// The state of all nodes at `now`, and after them the candidates.
    pub fn status(&self, now: Instant) -> impl Iterator<Item = NodeStatus> {
        let nodes = self.registry.ids().filter_map(move |id| self.node(id, now));
        nodes.chain(self.candidates.status(now))
    }
}

fn slots(registry: &Registry) -> usize {
    usize::try_from(registry.slots()).unwrap_or(usize::MAX)
}

impl Candidates {
    /// A message that is nobody's.
    fn hear(&mut self, datagram: &Datagram) {
        let has_room = self.known.len() < self.most;
        let at = datagram.received_at;
        if datagram.said.is_err() || (!has_room && !self.known.contains_key(&datagram.from)) {
            return;
        }
        let new = Candidate { first: at, last: at, messages: 0 };
        let known = self.known.entry(datagram.from).or_insert(new);
        known.last = known.last.max(at);
        known.messages = known.messages.saturating_add(1);
    }

    fn status(&self, now: Instant) -> impl Iterator<Item = NodeStatus> {
        self.known.iter().map(move |(from, candidate)| NodeStatus {
            name: from.to_string(),
            state: "candidate".to_owned(),
            since_ms: Some(ago(candidate.first, now)),
            last_heard_ms: Some(ago(candidate.last, now)),
            messages: candidate.messages,
            policy: None,
            proof: None,
            phase: None,
            done: None,
            total: None,
            key_id: None,
            from: Some(from.to_string()),
        })
    }
}

impl From<Option<Told>> for Heard {
    fn from(told: Option<Told>) -> Self {
        Self { told, challenge: None, hearing: None }
    }
}

#[cfg(test)]
mod tests;
