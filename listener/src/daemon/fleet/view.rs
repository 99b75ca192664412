//! What is shown of the nodes.

use std::ops::Range;
use std::time::Duration;

use fence_kdump_core::{Instant, NodeId, State};

use super::{Fleet, slots};
use crate::control::packet::NodeStatus;
use crate::fleet::event::Kind;
use crate::web::{NodeState, NodeView};

impl Fleet {
    /// What is shown of a node at `now`.
    #[must_use]
    pub fn view(&self, id: NodeId, now: Instant) -> Option<NodeView> {
        let name = self.registry.name(id)?;
        let unheard = NodeView::unheard(name.into(), self.policy(id));
        let session = self.tracker.session(id)?;
        let (Some(first), Some(last)) = (session.first_heard(), session.last_heard()) else {
            return Some(unheard);
        };
        let seen = self.seen.get(id);
        let state = match session.state(now) {
            State::Started => NodeState::Started,
            State::Dumping => NodeState::Dumping,
            State::Finished => match seen.and_then(|seen| seen.course.end()) {
                Some(Kind::Lost) => NodeState::Lost,
                Some(Kind::Rebooted) => NodeState::Rebooted,
                _ => NodeState::Finished,
            },
            _ => NodeState::Unheard,
        };
        let (done, total) = (session.progress().done, session.progress().total);
        let interval = seen.and_then(|seen| seen.interval);
        Some(NodeView {
            state,
            since: Some(now.saturating_since(first)),
            last_heard: Some(now.saturating_since(last)),
            interval: interval.map(|interval| Duration::from_millis(interval.get().into())),
            messages: session.messages(),
            proof: session.proof(),
            phase: session.phase(),
            done: (done > 0 || total > 0).then_some(done),
            total: Some(total).filter(|total| *total > 0),
            key_id: seen.and_then(|seen| seen.key_id),
            from: seen.and_then(|seen| seen.from),
            ..unheard
        })
    }

    /// How many places there are to [`Self::show`]: one for each node and each candidate.
    #[must_use]
    pub fn places(&self) -> usize {
        slots(&self.registry).saturating_add(self.candidates.known.len())
    }

    /// What is shown at `now` of the nodes at `places`, and after them of the candidates.
    pub fn show(&self, places: Range<usize>, now: Instant) -> impl Iterator<Item = NodeView> {
        let slots = slots(&self.registry);
        let id = |place: usize| u32::try_from(place).ok().map(NodeId);
        let nodes = places.start.min(slots)..places.end.min(slots);
        let nodes = nodes.filter_map(move |place| self.view(id(place)?, now));
        let first = places.start.saturating_sub(slots);
        let end = places.end.saturating_sub(slots);
        let candidates = self.candidates.show(now).skip(first).take(end.saturating_sub(first));
        nodes.chain(candidates)
    }

    /// The state of a node at `now`.
    #[must_use]
    pub fn node(&self, id: NodeId, now: Instant) -> Option<NodeStatus> {
        self.view(id, now).as_ref().map(NodeStatus::from)
    }
}
