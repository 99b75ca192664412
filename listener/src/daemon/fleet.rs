//! The nodes and what is known of them.

mod candidates;
mod hear;
pub mod page;
mod seen;
mod signer;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use aligned_vec::{AVec, ConstAlign, avec};
use fence_kdump_core::{Counters, Instant, NodeId, Policy, Session, Slot, Tracker, session};

use super::by_node::ByNode;
use super::chronicle::{Chronicle, Happened, Happening};
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
use signer::Signer;

pub(super) use seen::Course;

/// The nodes and what is known of them.
#[derive(Debug)]
pub struct Fleet {
    registry: Registry,
    examiner: Option<Examiner>,
    /// Each slot in one line of the processor's cache.
    pub(super) tracker: Tracker<AVec<Slot, ConstAlign<64>>>,
    /// Only of nodes that were heard.
    pub(super) seen: ByNode<Seen>,
    pub(super) chronicle: Chronicle,
    sessions: u64,
    /// How many dumps go on.
    active: usize,
    candidates: Candidates,
    remembered: Remembered,
    /// The message that was heard last is among them.
    is_kept: bool,
    /// Only of nodes that may have signed something.
    signers: ByNode<Signer>,
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
    ///
    /// In a box, like the others: most datagrams have none of them, and each is handed on through here.
    pub told: Option<Box<Told>>,
    /// What is to be sent back to where it came from.
    pub challenge: Option<Box<Packet>>,
    /// What has to be remembered; [`Fleet::judged`] wants to know what became of it.
    pub hearing: Option<Box<(Hearing, Ticket)>>,
}

impl Fleet {
    /// The nodes of `registry`; `examiner` verifies what they sign.
    #[must_use]
    pub fn new(registry: Registry, examiner: Option<Examiner>) -> Self {
        let slots = avec![[64]| Slot::EMPTY; slots(&registry)];
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
            signers: ByNode::default(),
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
        for id in changes.removed.iter().chain(&changes.rekeyed) {
            drop(self.signers.remove(*id));
        }
        self.signers.iter_mut().for_each(Signer::rekey);
        for id in changes.removed.into_iter().chain(changes.rekeyed).chain(changed) {
            self.set_course(id, Course::None);
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

    pub(super) fn happened(&mut self, happening: Happening, node: NodeId) -> Option<Happened> {
        let kind = happening.kind;
        let course = if kind.is_end() { Course::Ended(kind) } else { Course::Active };
        self.set_course(node, course);
        let session = self.tracker.session(node)?;
        let seen = self.seen.of(node)?;
        if kind.is_end() {
            seen.short = None;
            self.remembered.forget(node);
        }
        if kind == Kind::Started {
            self.sessions = self.sessions.saturating_add(1);
        }
        let event = self.chronicle.write(happening, session, &mut seen.dump);
        Some(Happened { event: event.into(), heard: heard(session)? })
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
        let short = |node| {
            let seen = self.seen.get(node)?;
            Some(seen.short.as_ref()?.datagram(seen.from?))
        };
        let nodes = nodes.into_iter().map(|node| (NodeId(node), short(NodeId(node))));
        let mut found = self.remembered.of(nodes, now);
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

    pub(super) fn set_course(&mut self, node: NodeId, course: Course) {
        let Some(seen) = self.seen.get_mut(node) else { return };
        let before = std::mem::replace(&mut seen.course, course);
        match (before == Course::Active, course == Course::Active) {
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

impl From<Option<Box<Told>>> for Heard {
    fn from(told: Option<Box<Told>>) -> Self {
        Self { told, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
