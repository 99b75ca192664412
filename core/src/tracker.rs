//! All nodes' sessions, over storage that the caller owns.
//!
//! The cost of a datagram, of a tick and of a question does not depend on the number of nodes:
//! sessions that can finish stand in a list in the order in which they were last heard, so that the
//! next to finish is always the first.

use core::time::Duration;

use crate::codec::{DecodeError, decode};
use crate::message::Message;
use crate::session::{Event, Session};
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
    waiting: bool,
}

impl Slot {
    /// A node of which nothing was heard.
    pub const EMPTY: Self =
        Self { session: Session::UNHEARD, earlier: None, later: None, waiting: false };
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
    /// It was a message of nobody that is known here. Nothing was stored.
    Stranger,
    /// It was no message. Nothing was stored.
    Refused(DecodeError),
}

/// How many datagrams had which outcome. Counters stay at their maximum once there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Messages of known nodes.
    pub heard: u64,
    /// Messages of nobody that is known here.
    pub strangers: u64,
    /// Refused as [`DecodeError::Empty`].
    pub empty: u64,
    /// Refused as [`DecodeError::Truncated`].
    pub truncated: u64,
    /// Refused as [`DecodeError::BadMagic`].
    pub bad_magic: u64,
    /// Refused as [`DecodeError::UnsupportedVersion`].
    pub unsupported_version: u64,
    /// Refused as [`DecodeError::TrailingBytes`].
    pub trailing_bytes: u64,
}

impl Counters {
    /// Counts one datagram.
    pub fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Heard { .. } => &mut self.heard,
            Outcome::Stranger => &mut self.strangers,
            Outcome::Refused(DecodeError::Empty) => &mut self.empty,
            Outcome::Refused(DecodeError::Truncated { .. }) => &mut self.truncated,
            Outcome::Refused(DecodeError::BadMagic { .. }) => &mut self.bad_magic,
            Outcome::Refused(DecodeError::UnsupportedVersion { .. }) => {
                &mut self.unsupported_version
            }
            Outcome::Refused(DecodeError::TrailingBytes { .. }) => &mut self.trailing_bytes,
        };
        *counter = counter.saturating_add(1);
    }

    /// How many datagrams were no message.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let Self {
            heard: _,
            strangers: _,
            empty,
            truncated,
            bad_magic,
            unsupported_version,
            trailing_bytes,
        } = *self;
        [empty, truncated, bad_magic, unsupported_version, trailing_bytes]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// How many datagrams there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.heard.saturating_add(self.strangers).saturating_add(self.refused())
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
    first: Option<Link>,
    last: Option<Link>,
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>> Tracker<S> {
    /// Tracks one node per slot; a session has finished when nothing was heard for `silence`
    /// (usually [`crate::session::SILENCE`]). What the slots held before is forgotten.
    ///
    /// Slots beyond the first 2³² − 1 are never used.
    pub fn new(mut slots: S, silence: Duration) -> Self {
        slots.as_mut().fill(Slot::EMPTY);
        Self { slots, silence, counters: Counters::default(), first: None, last: None }
    }

    /// A whole datagram arrived at `at`. `identify` says whose message it is, by its source address
    /// or its own words; it is called only for a valid message. A node that has no slot is a stranger.
    pub fn handle(
        &mut self,
        at: Instant,
        datagram: &[u8],
        identify: impl FnOnce(&Message) -> Option<NodeId>,
    ) -> Outcome {
        let outcome = match decode(datagram) {
            Err(error) => Outcome::Refused(error),
            Ok(message) => identify(&message)
                .and_then(|node| self.hear(at, &message, node))
                .unwrap_or(Outcome::Stranger),
        };
        self.counters.count(&outcome);
        outcome
    }

    /// The next session that has finished by `now`; call until it answers `None`.
    ///
    /// When the times handed to [`Self::handle`] were not in order, a session may be told to have
    /// finished late by as much, never early. Verdicts do not wait for this call.
    pub fn poll(&mut self, now: Instant) -> Option<(NodeId, Event)> {
        let link = self.first?;
        let event = self.slot(link)?.session.tick(now)?;
        self.unlink(link);
        Some((link.node(), event))
    }

    /// When [`Self::poll`] next has something to tell, unless a message comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.session(self.first?.node())?.deadline()
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

    fn hear(&mut self, at: Instant, message: &Message, node: NodeId) -> Option<Outcome> {
        let silence = self.silence;
        let link = Link::to(node)?;
        let session = &mut self.slot(link)?.session;
        let event = session.hear(at, message, silence);
        let can_finish = session.deadline().is_some();
        self.unlink(link);
        if can_finish {
            self.append(link);
        }
        Some(Outcome::Heard { node, event })
    }

    fn slot(&mut self, link: Link) -> Option<&mut Slot> {
        self.slots.as_mut().get_mut(link.index()?)
    }

    fn append(&mut self, link: Link) {
        let previous = self.last.replace(link);
        match previous.and_then(|previous| self.slot(previous)) {
            Some(slot) => slot.later = Some(link),
            None => self.first = Some(link),
        }
        if let Some(slot) = self.slot(link) {
            (slot.earlier, slot.later, slot.waiting) = (previous, None, true);
        }
    }

    fn unlink(&mut self, link: Link) {
        let Some(slot) = self.slot(link).filter(|slot| slot.waiting) else {
            return;
        };
        let (earlier, later) = (slot.earlier.take(), slot.later.take());
        slot.waiting = false;
        match earlier.and_then(|earlier| self.slot(earlier)) {
            Some(slot) => slot.later = later,
            None => self.first = later,
        }
        match later.and_then(|later| self.slot(later)) {
            Some(slot) => slot.earlier = earlier,
            None => self.last = earlier,
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
mod tests {
    use super::*;
    use crate::codec::encode;
    use crate::message::ByteOrder;
    use crate::session::{SILENCE, State};

    fn s(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn hear(tracker: &mut Tracker<impl AsRef<[Slot]> + AsMut<[Slot]>>, at: u64, node: u32) {
        let outcome = tracker.handle(s(at), &encode(ByteOrder::Big), |_| Some(NodeId(node)));
        assert!(matches!(outcome, Outcome::Heard { .. }), "{outcome:?}");
    }

    #[test]
    fn a_slot_is_small() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn sessions_finish_in_the_order_in_which_they_were_last_heard() {
        let mut slots = [Slot::EMPTY; 4];
        let mut tracker = Tracker::new(&mut slots[..], SILENCE);
        for (at, node) in [(1, 0), (2, 1), (3, 2), (4, 0), (5, 3), (6, 2)] {
            hear(&mut tracker, at, node);
        }
        assert_eq!(tracker.poll_timeout(), Some(s(32)));
        assert_eq!(tracker.poll(s(31)), None);
        let finished: Vec<u32> = std::iter::from_fn(|| tracker.poll(s(100)))
            .map(|(node, event)| {
                assert_eq!(event, Event::Finished);
                node.0
            })
            .collect();
        assert_eq!(finished, [1, 0, 3, 2]);
        assert_eq!(tracker.poll_timeout(), None);
        hear(&mut tracker, 101, 1);
        assert_eq!(tracker.poll_timeout(), Some(s(131)));
    }

    #[test]
    fn nothing_is_stored_for_strangers() {
        let mut tracker = Tracker::new([Slot::EMPTY; 1], SILENCE);
        let message = encode(ByteOrder::NATIVE);
        for stranger in [None, Some(NodeId(1)), Some(NodeId(u32::MAX))] {
            assert_eq!(tracker.handle(s(1), &message, |_| stranger), Outcome::Stranger);
        }
        let refused = tracker.handle(s(1), &[], |_| unreachable!("no message, nobody's"));
        assert_eq!(refused, Outcome::Refused(DecodeError::Empty));
        assert_eq!(tracker.session(NodeId(0)).map(|node| node.state(s(1))), Some(State::Unheard));
        let counters = *tracker.counters();
        assert_eq!((counters.strangers, counters.empty, counters.total()), (3, 1, 4));
        assert_eq!(tracker.poll_timeout(), None);
    }
}
