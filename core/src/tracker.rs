//! All nodes' sessions, over storage that the caller owns.
//!
//! The cost of a datagram, of a tick and of a question does not depend on the number of nodes:
//! sessions that can finish stand in lists in the order in which they were last heard, one list for
//! each time of silence that there is, so that the next to finish is always the first of one.

use core::time::Duration;

use crate::codec::{DecodeError, decode};
use crate::message::{Message, Report, three_times};
use crate::policy::{Disbelief, Proof};
use crate::session::{Earlier, Event, Session};
use crate::time::Instant;
use crate::verdict::{Question, Verdict};

/// A node: the index of its [`Slot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Room for one node.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    session: Session,
    earlier: Option<Link>,
    later: Option<Link>,
    /// The list that it stands in.
    patience: Option<Patience>,
}

impl Slot {
    /// A node of which nothing was heard.
    pub const EMPTY: Self =
        Self { session: Session::UNHEARD, earlier: None, later: None, patience: None };
}

impl Default for Slot {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// What became of one datagram: exactly one of these, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It was a message of a node.
    Heard {
        /// Whose.
        node: NodeId,
        /// What it changed.
        event: Event,
    },
    /// It was a message that is not believed. Nothing was stored.
    Disbelieved(Disbelief),
    /// It was no message. Nothing was stored.
    Refused(DecodeError),
}

/// How many datagrams had which outcome. Counters stay at their maximum once there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    heard: u64,
    disbelieved: [u64; Disbelief::ALL.len()],
    refused: [u64; DecodeError::COUNT],
}

impl Counters {
    /// Counts one datagram.
    pub fn count(&mut self, outcome: &Outcome) {
        let counter = match *outcome {
            Outcome::Heard { .. } => Some(&mut self.heard),
            Outcome::Disbelieved(cause) => self.disbelieved.get_mut(cause.place()),
            Outcome::Refused(error) => self.refused.get_mut(error.cause().0),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
    }

    /// Messages that were believed.
    #[must_use]
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    /// Messages that were not believed for this cause.
    #[must_use]
    pub fn disbelieved(&self, cause: Disbelief) -> u64 {
        self.disbelieved.get(cause.place()).copied().unwrap_or(0)
    }

    /// Datagrams that were no message for the cause of `error`, whatever its details.
    #[must_use]
    pub fn refused(&self, error: DecodeError) -> u64 {
        self.refused.get(error.cause().0).copied().unwrap_or(0)
    }

    /// How many datagrams there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        let others = self.disbelieved.iter().chain(&self.refused);
        others.copied().fold(self.heard, u64::saturating_add)
    }
}

/// The sessions of the nodes `0..slots.len()`.
///
/// `S` is any storage that the caller owns: `[Slot; 3]`, `&mut [Slot]`, `Box<[Slot]>`.
#[derive(Debug, Clone)]
pub struct Tracker<S> {
    slots: S,
    silence: Duration,
    counters: Counters,
    lists: [List; Patience::ALL.len()],
}

/// The ends of a list.
#[derive(Debug, Clone, Copy, Default)]
struct List {
    first: Option<Link>,
    last: Option<Link>,
}

/// How long a node may be silent: the tracker's time of silence, doubled so often (PROTOCOL.md §11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Once,
    Twice,
    FourTimes,
    EightTimes,
}

impl Patience {
    const ALL: [Self; 4] = [Self::Once, Self::Twice, Self::FourTimes, Self::EightTimes];

    /// Enough for three of the promised intervals, or as much as there is.
    fn with(interval: Option<u32>, silence: Duration) -> Self {
        let needed = three_times(interval.unwrap_or(0));
        let enough = |patience: &Self| patience.times(silence) >= needed;
        Self::ALL.into_iter().find(enough).unwrap_or(Self::EightTimes)
    }

    fn times(self, silence: Duration) -> Duration {
        silence.saturating_mul(match self {
            Self::Once => 1,
            Self::Twice => 2,
            Self::FourTimes => 4,
            Self::EightTimes => 8,
        })
    }
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>> Tracker<S> {
    /// Tracks one node per slot; a session has finished when nothing was heard for `silence`
    /// (usually [`crate::session::SILENCE`]), doubled for nodes that have promised to speak less
    /// often. What the slots held before is forgotten.
    ///
    /// Slots beyond the first 2³² − 1 are never used.
    pub fn new(mut slots: S, silence: Duration) -> Self {
        slots.as_mut().fill(Slot::EMPTY);
        Self { slots, silence, counters: Counters::default(), lists: [List::default(); 4] }
    }

    /// A whole datagram arrived at `at`. `identify` says whose message it is, by its source address
    /// or its own words, and how far that is proven; it is called only for a valid message. A node that
    /// has no slot is a stranger.
    ///
    /// When that cannot be said at once, [`decode`] first and end with one of [`Self::hear`],
    /// [`Self::disbelieve`] and [`Self::refuse`].
    pub fn handle(
        &mut self,
        at: Instant,
        datagram: &[u8],
        identify: impl FnOnce(&Message<'_>) -> Result<(NodeId, Proof), Disbelief>,
    ) -> Outcome {
        match decode(datagram) {
            Err(error) => self.refuse(error),
            Ok(message) => match identify(&message) {
                Ok((node, proof)) => self.hear(at, node, &message.report(proof)),
                Err(cause) => self.disbelieve(cause),
            },
        }
    }

    /// A message of `node` arrived at `at`, and is believed.
    pub fn hear(&mut self, at: Instant, node: NodeId, report: &Report) -> Outcome {
        let outcome = match self.update(at, node, report) {
            Some(event) => Outcome::Heard { node, event },
            None => Outcome::Disbelieved(Disbelief::Stranger),
        };
        self.counted(outcome)
    }

    /// A message came that is not believed.
    pub fn disbelieve(&mut self, cause: Disbelief) -> Outcome {
        self.counted(Outcome::Disbelieved(cause))
    }

    /// A datagram came that is no message.
    pub fn refuse(&mut self, error: DecodeError) -> Outcome {
        self.counted(Outcome::Refused(error))
    }

    fn counted(&mut self, outcome: Outcome) -> Outcome {
        self.counters.count(&outcome);
        outcome
    }

    /// The next session that has finished by `now`; call until it answers `None`.
    ///
    /// When the times handed to [`Self::handle`] were not in order, a session may be told to have
    /// finished late by as much, never early. Verdicts do not wait for this call.
    pub fn poll(&mut self, now: Instant) -> Option<(NodeId, Event)> {
        Patience::ALL.into_iter().find_map(|patience| {
            let link = self.list(patience).first?;
            let event = self.slot(link)?.session.tick(now)?;
            self.unlink(link);
            Some((link.node(), event))
        })
    }

    /// When [`Self::poll`] next has something to tell, unless a message comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ends =
            self.lists.iter().filter_map(|list| self.session(list.first?.node())?.deadline());
        ends.min()
    }

    /// Whether `node` is in its crash kernel. A node without a slot was never heard.
    pub fn verdict(&self, node: NodeId, question: Question) -> Verdict {
        Verdict::of(self.session(node).unwrap_or(&Session::UNHEARD), question)
    }

    /// The session of `node`, if it has a slot.
    #[must_use]
    pub fn session(&self, node: NodeId) -> Option<&Session> {
        let slot = self.slots.as_ref().get(Link::to(node)?.index()?)?;
        Some(&slot.session)
    }

    /// How many datagrams had which outcome.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Makes room for more nodes: `grow` may add [`Slot::EMPTY`] at the end of the storage, and leaves
    /// the slots that are there where they are.
    pub fn grow(&mut self, grow: impl FnOnce(&mut S)) {
        grow(&mut self.slots);
    }

    /// Forgets everything that was heard of `node`, as when it has become another one's number.
    pub fn forget(&mut self, node: NodeId) {
        let Some(link) = Link::to(node) else {
            return;
        };
        self.unlink(link);
        if let Some(slot) = self.slot(link) {
            *slot = Slot::EMPTY;
        }
    }

    /// `node` had a session before this program was started, which goes on unless nothing is heard for
    /// `silence` from `now` on, or is over if that is `None`. Not if something was heard of it meanwhile.
    /// Whether it has a session by this now.
    pub fn resume(
        &mut self,
        node: NodeId,
        earlier: &Earlier,
        now: Instant,
        silence: Option<Duration>,
    ) -> bool {
        let shortest = self.silence;
        let enough = |patience: &Patience| {
            silence.is_some_and(|silence| patience.times(shortest) >= silence)
        };
        let patience = Patience::ALL.into_iter().find(enough).unwrap_or(Patience::EightTimes);
        let Some(link) = Link::to(node) else {
            return false;
        };
        let Some(slot) = self.slot(link).filter(|slot| slot.session.messages() == 0) else {
            return false;
        };
        // A time yet to come was of another clock. Taken at its word, it would let nothing that is
        // heard now be the latest, so that no message could tell that the dump is over.
        let earlier =
            &Earlier { first: earlier.first.min(now), last: earlier.last.min(now), ..*earlier };
        slot.session = match silence {
            Some(_) => Session::resumed(earlier, now.saturating_add(patience.times(shortest))),
            None => Session::over(earlier),
        };
        if slot.session.deadline().is_some() {
            self.append(link, patience);
        }
        true
    }

    fn update(&mut self, at: Instant, node: NodeId, report: &Report) -> Option<Event> {
        let patience = Patience::with(report.interval, self.silence);
        let silence = patience.times(self.silence);
        let link = Link::to(node)?;
        let slot = self.slot(link)?;
        let event = slot.session.hear(at, report, silence);
        let can_finish = slot.session.deadline().is_some();
        // One that was handed in late does not change how long the node may be silent.
        let is_latest = slot.session.last_heard() == Some(at);
        let patience = slot.patience.filter(|_| !is_latest).unwrap_or(patience);
        self.unlink(link);
        if can_finish {
            self.append(link, patience);
        }
        Some(event)
    }

    fn slot(&mut self, link: Link) -> Option<&mut Slot> {
        self.slots.as_mut().get_mut(link.index()?)
    }

    fn list(&mut self, patience: Patience) -> &mut List {
        let [once, twice, four_times, eight_times] = &mut self.lists;
        match patience {
            Patience::Once => once,
            Patience::Twice => twice,
            Patience::FourTimes => four_times,
            Patience::EightTimes => eight_times,
        }
    }

    fn append(&mut self, link: Link, patience: Patience) {
        let previous = self.list(patience).last.replace(link);
        match previous.and_then(|previous| self.slot(previous)) {
            Some(slot) => slot.later = Some(link),
            None => self.list(patience).first = Some(link),
        }
        if let Some(slot) = self.slot(link) {
            (slot.earlier, slot.later, slot.patience) = (previous, None, Some(patience));
        }
    }

    fn unlink(&mut self, link: Link) {
        let Some(slot) = self.slot(link) else {
            return;
        };
        let Some(patience) = slot.patience.take() else {
            return;
        };
        let (earlier, later) = (slot.earlier.take(), slot.later.take());
        match earlier.and_then(|earlier| self.slot(earlier)) {
            Some(slot) => slot.later = later,
            None => self.list(patience).first = later,
        }
        match later.and_then(|later| self.slot(later)) {
            Some(slot) => slot.earlier = earlier,
            None => self.list(patience).last = earlier,
        }
    }
}

/// A node's place in the list. Never zero, so that an `Option` of it takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link(core::num::NonZeroU32);

impl Link {
    fn to(node: NodeId) -> Option<Self> {
        node.0.checked_add(1).and_then(core::num::NonZeroU32::new).map(Self)
    }

    const fn node(self) -> NodeId {
        NodeId(self.0.get().saturating_sub(1))
    }

    fn index(self) -> Option<usize> {
        usize::try_from(self.node().0).ok()
    }
}

#[cfg(test)]
mod tests;
