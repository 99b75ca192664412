//! Those whom nobody configured.

use std::collections::HashMap;
use std::time::Duration;

use fence_kdump_core::{Instant, Policy};

use crate::address::Address;
use crate::socket::Datagram;
use crate::web::{NodeState, NodeView};

/// Sources of messages that are nobody's, in discovery mode: shown, and never believed.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// So many are shown; 0: none.
    pub(super) most: usize,
    pub(super) known: HashMap<Address, Candidate>,
    /// When those that had fallen silent last made room.
    cleared: Option<Instant>,
}

/// A candidate that was silent for so long makes room for another.
const FORGOTTEN: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    first: Instant,
    last: Instant,
    messages: u32,
}

impl Candidates {
    /// A message that is nobody's.
    pub(super) fn hear(&mut self, datagram: &Datagram) {
        let at = datagram.received_at;
        if datagram.said.is_err() || self.most == 0 {
            return;
        }
        if self.known.len() >= self.most && !self.known.contains_key(&datagram.from) {
            // Not for each of a flood.
            let soon = self.cleared.is_some_and(|last| at.saturating_since(last).as_secs() < 1);
            if !soon {
                self.cleared = Some(at);
                self.known.retain(|_, known| at.saturating_since(known.last) < FORGOTTEN);
            }
            if self.known.len() >= self.most {
                return;
            }
        }
        let new = Candidate { first: at, last: at, messages: 0 };
        let known = self.known.entry(datagram.from).or_insert(new);
        known.last = known.last.max(at);
        known.messages = known.messages.saturating_add(1);
    }

    /// What is shown of them at `now`.
    pub(super) fn show(&self, now: Instant) -> impl Iterator<Item = NodeView> {
        self.known.iter().map(move |(from, candidate)| candidate.view(*from, now))
    }
}

impl Candidate {
    /// What is shown of it at `now`.
    pub(super) fn view(&self, from: Address, now: Instant) -> NodeView {
        NodeView {
            state: NodeState::Candidate,
            since: Some(now.saturating_since(self.first)),
            last_heard: Some(now.saturating_since(self.last)),
            messages: self.messages,
            policy: None,
            from: Some(from),
            ..NodeView::unheard(from.to_string().into(), Policy::Plain)
        }
    }
}
