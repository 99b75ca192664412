//! What the daemon shows of itself: nodes and counters, as they were at one moment.

use std::sync::Arc;
use std::time::Duration;

use fence_kdump_core::{DecodeError, Disbelief, KeyId, Phase, Policy, Proof, tracker};

use crate::address::Address;
use crate::control::packet::NodeStatus;
use crate::fleet::event::phase_name;

/// What is shown of one node. Small, since there may be 100,000 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: Arc<str>,
    /// What it does.
    pub state: NodeState,
    /// How long ago the first message of its latest dump came.
    pub since: Option<Duration>,
    /// How long ago its latest message came.
    pub last_heard: Option<Duration>,
    /// How often it says that it speaks.
    pub interval: Option<Duration>,
    /// Messages of this dump that were believed.
    pub messages: u32,
    /// What its messages have to prove; nothing counts of one that is not configured.
    pub policy: Option<Policy>,
    /// What the latest believed message proved.
    pub proof: Option<Proof>,
    /// What the node says that it does.
    pub phase: Option<Phase>,
    /// How much of the dump is done, in bytes, if the node says so.
    pub done: Option<u64>,
    /// How much there is to dump, in bytes, if the node knows and says so.
    pub total: Option<u64>,
    /// From which cluster key the key of its latest signed message comes.
    pub key_id: Option<KeyId>,
    /// Where its latest believed message came from.
    pub from: Option<Address>,
}

impl NodeView {
    /// A node that was never heard.
    #[must_use]
    pub fn unheard(name: Arc<str>, policy: Policy) -> Self {
        Self {
            name,
            state: NodeState::Unheard,
            since: None,
            last_heard: None,
            interval: None,
            messages: 0,
            policy: Some(policy),
            proof: None,
            phase: None,
            done: None,
            total: None,
            key_id: None,
            from: None,
        }
    }
}

impl From<&NodeView> for NodeStatus {
    fn from(view: &NodeView) -> Self {
        let since = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        Self {
            name: view.name.to_string(),
            state: view.state.name().to_owned(),
            since_ms: since(view.since),
            last_heard_ms: since(view.last_heard),
            messages: view.messages,
            policy: view.policy.map(|policy| policy.to_string()),
            proof: view.proof.map(|proof| proof.name().to_owned()),
            phase: view.phase.and_then(phase_name).map(str::to_owned),
            done: view.done,
            total: view.total,
            key_id: view.key_id.map(|id| id.to_string()),
            from: view.from.map(|from| from.to_string()),
            interval_ms: since(view.interval),
            setup: None,
        }
    }
}

/// What a node does, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeState {
    /// Nothing was heard of it.
    Unheard,
    /// It is in its crash kernel: one message.
    Started,
    /// It writes its dump.
    Dumping,
    /// Its dump is over.
    Finished,
    /// It fell silent before it was done.
    Lost,
    /// It left its crash kernel, or crashed anew.
    Rebooted,
    /// Nobody configured it: what it says is shown, and never fences anything.
    Candidate,
}

impl NodeState {
    /// All of them, in the order in which people want to see them.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Dumping,
        Self::Lost,
        Self::Finished,
        Self::Rebooted,
        Self::Candidate,
        Self::Unheard,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::Started => "started",
            Self::Dumping => "dumping",
            Self::Finished => "finished",
            Self::Lost => "lost",
            Self::Rebooted => "rebooted",
            Self::Candidate => "candidate",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the node is in its crash kernel now, as far as is known.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Started | Self::Dumping)
    }

    /// Its place among [`Self::ALL`].
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Started => 0,
            Self::Dumping => 1,
            Self::Lost => 2,
            Self::Finished => 3,
            Self::Rebooted => 4,
            Self::Candidate => 5,
            Self::Unheard => 6,
        }
    }
}

/// Everything about the daemon that is not a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The UDP port.
    pub port: u16,
    /// Whether the daemon has that port.
    pub is_listening: bool,
    /// How many agents and other clients it serves.
    pub clients: usize,
    /// What became of each datagram.
    pub datagrams: tracker::Counters,
    /// Datagrams that the kernel threw away: by the filter of the socket, since they could not be
    /// messages, or since its queue was full.
    pub kernel_drops: u64,
    /// Dumps that were heard of, in all.
    pub sessions: u64,
    /// Where events go.
    pub sinks: Vec<SinkView>,
    /// The store of the history, if there is one.
    pub store: Option<StoreView>,
    /// What a person should look at, one sentence each; empty when all is well.
    pub troubles: Vec<String>,
}

/// Where events go, and how that goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkView {
    /// What it is called, as `journal` or `nats`; each sink its own name.
    pub name: Arc<str>,
    /// Whether the last attempt went well.
    pub is_up: bool,
    /// Events that it took.
    pub delivered: u64,
    /// Attempts that failed and are, or were, made again.
    pub failed: u64,
    /// Events that it will never get.
    pub dropped: u64,
    /// Events that wait for it now.
    pub waiting: u64,
}

/// The store of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreView {
    /// Whether the last write went well.
    pub is_up: bool,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Events that are in it.
    pub events: u64,
    /// Writes that failed.
    pub failed: u64,
    /// Events that were not written, for want of room in the queue.
    pub dropped: u64,
}

/// Everything that the daemon shows, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was complete: milliseconds since 1970-01-01 00:00 UTC. For people.
    pub time_ms: u64,
    /// When it was complete.
    pub taken: std::time::Instant,
    /// All nodes, in the daemon's order.
    pub nodes: Vec<NodeView>,
    /// Everything else.
    pub summary: Summary,
}

impl Snapshot {
    /// How many nodes are in which state, by [`NodeState::place`].
    pub(super) fn states(&self) -> [u64; NodeState::ALL.len()] {
        let mut states = [0_u64; NodeState::ALL.len()];
        for node in &self.nodes {
            if let Some(count) = states.get_mut(node.state.place()) {
                *count = count.saturating_add(1);
            }
        }
        states
    }
}

/// Each cause of disbelief and how many messages it cost, by the name in PROTOCOL.md §8.
pub(super) fn disbelieved(counters: &tracker::Counters) -> [(&'static str, u64); 9] {
    Disbelief::ALL.map(|cause| (cause.cause(), counters.disbelieved(cause)))
}

/// Each cause of refusal and how many datagrams it cost, by the name in PROTOCOL.md §7.
pub(super) fn refused(counters: &tracker::Counters) -> [(&'static str, u64); DecodeError::COUNT] {
    DecodeError::EACH.map(|error| (error.cause().1, counters.refused(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_there_once() {
        let counters = tracker::Counters::default();
        let mut causes: Vec<_> = refused(&counters).iter().map(|(cause, _)| *cause).collect();
        causes.extend(disbelieved(&counters).iter().map(|(cause, _)| *cause));
        let all = causes.len();
        causes.sort_unstable();
        causes.dedup();
        assert_eq!(causes.len(), all);
    }

    #[test]
    fn every_state_has_its_place() {
        for (place, state) in NodeState::ALL.into_iter().enumerate() {
            assert_eq!(state.place(), place);
            assert_eq!(NodeState::named(state.name()), Some(state));
        }
    }

    /// 100,000 nodes take 13 MB, and that only while somebody looks.
    #[test]
    fn a_node_is_small() {
        assert!(size_of::<NodeView>() <= 136, "{}", size_of::<NodeView>());
    }
}
