//! The nodes and what is known of them.

mod candidates;
pub mod page;
mod seen;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use fence_kdump_core::{
    Counters, Crash, Disbelief, Instant, Message, NodeId, Nonce, Outcome, Phase, Policy, Proof,
    Session, Slot, Tracker, session,
};

use super::by_node::ByNode;
use super::chronicle::{Chronicle, Happened, Happening};
use super::ledger::Ledger;
use super::remembered::Remembered;
use crate::address::Address;
use crate::control::recent::named;
use crate::fleet::event::Kind;
use crate::fleet::registry::Registry;
use crate::history;
use crate::proof::{Examiner, Packet};
use crate::socket::Datagram;
use crate::store::Hearing;
use candidates::Candidates;
use seen::{Causes, Seen};

/// The nodes and what is known of them.
#[derive(Debug)]
pub struct Fleet {
    registry: Registry,
    examiner: Option<Examiner>,
    pub(super) tracker: Tracker<Vec<Slot>>,
    /// Only of nodes that were heard.
    pub(super) seen: ByNode<Seen>,
    pub(super) chronicle: Chronicle,
    sessions: u64,
    /// How many dumps go on.
    active: usize,
    candidates: Candidates,
    remembered: Remembered,
    /// The message that is being heard is among them.
    is_kept: bool,
    ledger: Ledger,
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
    Event(Happened),
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
    ///
    /// In a box, like the next one: most datagrams need neither, and each is handed on through here.
    pub challenge: Option<Box<Packet>>,
    /// What has to be remembered; [`Fleet::judged`] wants to know what became of it.
    pub hearing: Option<Box<(Hearing, Ticket)>>,
    /// [`Fleet::remembered`] knows it.
    pub is_kept: bool,
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
            seen: ByNode::default(),
            chronicle: Chronicle::new(),
            sessions: 0,
            active: 0,
            candidates: Candidates::default(),
            remembered: Remembered::default(),
            is_kept: false,
            ledger: Ledger::default(),
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
            let from = self.seen.get(*id).and_then(|seen| seen.from);
            let proof = self.tracker.session(*id).and_then(Session::proof);
            let still = |(proof, from)| registry.still_believes(*id, proof, from);
            !proof.zip(from).is_some_and(still)
        };
        let changed: Vec<_> = changes.changed.iter().copied().filter(is_doubtful).collect();
        for id in changes.removed.into_iter().chain(changes.rekeyed).chain(changed) {
            self.set_active(id, false);
            self.tracker.forget(id);
            self.remembered.forget(id);
            drop(self.seen.remove(id));
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

    /// From whose addresses these came, in their order.
    ///
    /// All of them at once, and a look at what is known of each, so that the processor waits for its memory once for
    /// many and not for each when it is heard.
    pub(super) fn look_up(&self, batch: &[Datagram]) -> Vec<Option<NodeId>> {
        let whose: Vec<_> = batch.iter().map(|datagram| self.registry.at(datagram.from)).collect();
        for node in whose.iter().flatten() {
            std::hint::black_box(self.tracker.session(*node).copied());
            std::hint::black_box(self.seen.get(*node).map(|seen| seen.is_active));
        }
        whose
    }

    /// A datagram came; it is `now`. `random` gives the nonce of a new challenge.
    pub fn hear(
        &mut self,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        self.hear_from(self.registry.at(datagram.from), datagram, now, random)
    }

    /// The same of one that came from an address of `whose`.
    pub(super) fn hear_from(
        &mut self,
        whose: Option<NodeId>,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        self.is_kept = false;
        let mut heard = self.look_at(whose, datagram, now, random);
        heard.is_kept = self.is_kept;
        heard
    }

    fn look_at(
        &mut self,
        whose: Option<NodeId>,
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
            return self.plain((whose, datagram), by_name, Disbelief::Unsigned).into();
        };
        let Some(examiner) = &mut self.examiner else {
            return self.plain((whose, datagram), by_name, Disbelief::UnknownKey).into();
        };
        match examiner.examine(datagram.received_at, now, &signed, random) {
            Ok(right) => {
                let (is_live, at) = (right.is_live, datagram.received_at);
                let is_end =
                    message.extension.and_then(|said| said.phase).is_some_and(Phase::is_end);
                let known = self.ledger.judge(at, &signed, is_live, is_end);
                let told = match (is_live, known) {
                    (true, _) => Some(self.proven(node, datagram, &message, Proof::Live)),
                    (false, Some(Ok(()))) => {
                        Some(self.proven(node, datagram, &message, Proof::Signed))
                    }
                    (false, Some(Err(disbelief))) => {
                        Some(self.plain((whose, datagram), Some(node), disbelief))
                    }
                    (false, None) => None,
                };
                if known.is_some() {
                    let challenge = right.challenge.map(Box::new);
                    return Heard { told: told.flatten(), challenge, ..Heard::default() };
                }
                let name = self.name(node);
                let ticket = Ticket { node, name, datagram: datagram.clone(), is_live };
                let hearing = Hearing::new(at, &signed, is_live);
                let challenge = right.challenge.map(Box::new);
                let hearing = Some(Box::new((hearing, ticket)));
                Heard { told: told.flatten(), challenge, hearing, is_kept: false }
            }
            Err(disbelief) => self.plain((whose, datagram), by_name, disbelief).into(),
        }
    }

    /// This much of the crash of a message that [`Fleet::hear`] wanted to have remembered is on the disk.
    pub fn on_disk(&mut self, ticket: &Ticket, crash: Crash) {
        let Ticket { datagram, .. } = ticket;
        if let Some(signed) = datagram.message().ok().and_then(|message| message.signed()) {
            self.ledger.written(datagram.received_at, &signed, crash);
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
            (said, Err(disbelief)) => {
                if let (Ok(message), Disbelief::Unremembered) = (said, disbelief) {
                    // An agent may challenge it.
                    self.remember(*node, Proof::Signed, (datagram, &message));
                }
                let whose = self.registry.at(datagram.from);
                self.plain((whose, datagram), Some(*node), disbelief)
            }
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
            Err(disbelief) => {
                // An agent may challenge it, or ask for less.
                self.remember(node, proof, (datagram, message));
                self.disbelieve(Some(node), datagram, disbelief)
            }
        }
    }

    /// A message proved nothing but where it came from, for want of what `disbelief` says.
    fn plain(
        &mut self,
        (by_address, datagram): (Option<NodeId>, &Datagram),
        by_name: Option<NodeId>,
        disbelief: Disbelief,
    ) -> Option<Told> {
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
        self.remember(node, proof, (datagram, message));
        let key_id = message.signed().filter(|_| proof > Proof::Plain).map(|signed| signed.key_id);
        let seen = self.seen.of(node)?;
        seen.from = Some(*from);
        seen.key_id = key_id.or(seen.key_id);
        seen.interval = report.interval;
        // A node may well send plain messages beside signed ones.
        seen.told.keep(Disbelief::Unsigned);
        let kind = match event {
            E::Started => Kind::Started,
            E::Dumping | E::Phase(Phase::Dumping) => Kind::Dumping,
            E::Phase(_) => Kind::Phase,
            E::Finished if report.phase == Some(Phase::Leaving) => Kind::Rebooted,
            E::Finished => Kind::Finished,
            _ => return None,
        };
        let happening = Happening { node: self.name(node), kind, from: Some(*from) };
        self.happened(happening, node).map(Told::Event)
    }

    fn remember(&mut self, node: NodeId, proof: Proof, said: (&Datagram, &Message<'_>)) {
        self.is_kept = true;
        self.remembered.remember(node, proof, said);
    }

    pub(super) fn happened(&mut self, happening: Happening, node: NodeId) -> Option<Happened> {
        self.set_active(node, !happening.kind.is_end());
        let session = self.tracker.session(node)?;
        let seen = self.seen.of(node)?;
        seen.end = happening.kind.is_end().then_some(happening.kind);
        if happening.kind.is_end() {
            self.remembered.forget(node);
        }
        if happening.kind == Kind::Started {
            self.sessions = self.sessions.saturating_add(1);
        }
        let event = self.chronicle.write(happening, session, &mut seen.dump);
        Some(Happened { event: event.into(), heard: heard(session)? })
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
        let seen = self.seen.of(node)?;
        // Each message that is no answer is unproven; whether an answer follows, shows.
        if cause == Disbelief::Unproven || !seen.told.add(cause) {
            return None;
        }
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
    pub fn tick(&mut self, now: Instant) -> Option<Happened> {
        loop {
            let (node, _) = self.tracker.poll(now)?;
            if let Some(seen) = self.seen.get_mut(node) {
                seen.told = Causes::default();
            }
            // Who says what it does and then says nothing any more has not said that it is done.
            let said = self.tracker.session(node).and_then(Session::phase);
            let kind = if said.is_some() { Kind::Lost } else { Kind::Finished };
            let happening = Happening { node: self.name(node), kind, from: None };
            if let Some(happened) = self.happened(happening, node) {
                return Some(happened);
            }
        }
    }

    /// The latest messages of the nodes that somebody asks about, which came from one of these `addresses` or
    /// have one of these `names`: see [`super::remembered`].
    #[must_use]
    pub fn remembered(
        &self,
        addresses: &[Address],
        names: &[String],
        now: Instant,
    ) -> Vec<Datagram> {
        let at = addresses.iter().filter_map(|address| self.registry.at(*address));
        let called = names.iter().filter_map(|name| self.registry.signed_as(name));
        let nodes: BTreeSet<u32> = at.chain(called).map(|node| node.0).collect();
        let mut found = self.remembered.of(nodes.into_iter().map(NodeId), now);
        let is_asked = |name: &String| names.iter().any(|one| one.eq_ignore_ascii_case(name));
        found.retain(|one| {
            addresses.contains(&one.from) || named(one).is_some_and(|name| is_asked(&name))
        });
        found
    }

    /// How many datagrams had which outcome.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.tracker.counters()
    }

    pub(super) fn set_active(&mut self, node: NodeId, is_active: bool) {
        let Some(seen) = self.seen.get_mut(node) else { return };
        match (std::mem::replace(&mut seen.is_active, is_active), is_active) {
            (false, true) => self.active = self.active.saturating_add(1),
            (true, false) => self.active = self.active.saturating_sub(1),
            (true, true) | (false, false) => {}
        }
    }

    /// How many dumps go on.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    /// How many dumps were heard of.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }
}

/// When the messages of a session came; `None` when there were none.
pub(super) fn heard(session: &Session) -> Option<history::Heard> {
    let (first, last) = (session.first_heard()?, session.last_heard()?);
    let silence = session.deadline().map_or(session::SILENCE, |end| end.saturating_since(last));
    Some(history::Heard { first, last, silence })
}

fn slots(registry: &Registry) -> usize {
    usize::try_from(registry.slots()).unwrap_or(usize::MAX)
}

impl From<Option<Told>> for Heard {
    fn from(told: Option<Told>) -> Self {
        Self { told, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
