//! Which nodes are shown, and in which order.

use std::cmp::Ordering;

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::super::view::{NodeState, NodeView, Snapshot};

/// The most nodes, or events, in one answer.
pub(super) const MOST: usize = 1000;

/// How many there are when nobody says.
pub(super) const USUAL: usize = 100;

/// No search is longer, in bytes.
const SEARCH_MAX: usize = 256;

/// Which nodes are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FleetQuery {
    /// Only nodes in such a state; all if not given.
    #[serde(default)]
    #[param(required = false, inline)]
    state: Filter,
    /// Only nodes whose name, or latest address, contains this, in any case.
    #[serde(default)]
    #[param(required = false, max_length = 256)]
    q: String,
    /// How many to pass over.
    #[serde(default)]
    #[param(required = false)]
    offset: usize,
    /// How many at most; 100 if not given.
    #[serde(default = "usual")]
    #[param(required = false, minimum = 1, maximum = 1000)]
    limit: usize,
}

fn usual() -> usize {
    USUAL
}

/// A state, or several under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Filter {
    /// Every node.
    #[default]
    All,
    /// In a dump: started or dumping.
    Active,
    /// All that were ever heard.
    Heard,
    /// In no configuration.
    Candidate,
    /// As [`NodeState::Started`].
    Started,
    /// As [`NodeState::Dumping`].
    Dumping,
    /// As [`NodeState::Lost`].
    Lost,
    /// As [`NodeState::Finished`].
    Finished,
    /// As [`NodeState::Rebooted`].
    Rebooted,
    /// As [`NodeState::Unheard`].
    Unheard,
}

impl Filter {
    fn takes(self, node: &NodeView) -> bool {
        let state = match self {
            Self::All => return true,
            Self::Active => return node.state.is_active(),
            Self::Heard => return node.state != NodeState::Unheard,
            Self::Started => NodeState::Started,
            Self::Dumping => NodeState::Dumping,
            Self::Candidate => NodeState::Candidate,
            Self::Lost => NodeState::Lost,
            Self::Finished => NodeState::Finished,
            Self::Rebooted => NodeState::Rebooted,
            Self::Unheard => NodeState::Unheard,
        };
        node.state == state
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// How many nodes are as was asked for.
    pub(super) matching: usize,
    /// How many of those were passed over.
    pub(super) offset: usize,
    /// Those that are to be shown.
    pub(super) nodes: Vec<&'a NodeView>,
}

impl FleetQuery {
    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<String> {
        if !(1..=MOST).contains(&self.limit) {
            return Some(format!("limit: {} is not a number from 1 to {MOST}", self.limit));
        }
        (self.q.len() > SEARCH_MAX)
            .then(|| format!("q: {} bytes, and {SEARCH_MAX} are the most", self.q.len()))
    }

    pub(super) fn find<'a>(&self, snapshot: &'a Snapshot) -> Found<'a> {
        let matches = |node: &&NodeView| self.state.takes(node) && contains(node, &self.q);
        let mut nodes: Vec<_> = snapshot.nodes.iter().filter(matches).collect();
        let matching = nodes.len();
        let offset = self.offset.min(matching);
        let end = offset.saturating_add(self.limit).min(matching);
        // Of a large fleet, only what is shown is put into full order.
        if end < matching {
            nodes.select_nth_unstable_by(end, |a, b| order(a, b));
            nodes.truncate(end);
        }
        nodes.sort_unstable_by(|a, b| order(a, b));
        nodes.drain(..offset);
        Found { matching, offset, nodes }
    }
}

fn contains(node: &NodeView, searched: &str) -> bool {
    let searched = searched.as_bytes();
    let within = |text: &str| {
        let mut parts = text.as_bytes().windows(searched.len().max(1));
        searched.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(searched))
    };
    within(&node.name) || node.from.is_some_and(|from| within(&from.to_string()))
}

/// Those in a dump first, the latest first; then the lost; then all others that were heard; then by name.
fn order(a: &NodeView, b: &NodeView) -> Ordering {
    let rank = |node: &NodeView| match node.state {
        NodeState::Started | NodeState::Dumping => 0,
        NodeState::Lost => 1,
        NodeState::Finished | NodeState::Rebooted => 2,
        NodeState::Candidate => 3,
        NodeState::Unheard => 4,
    };
    let since = |node: &NodeView| node.since.unwrap_or(std::time::Duration::MAX);
    rank(a).cmp(&rank(b)).then_with(|| since(a).cmp(&since(b))).then_with(|| a.name.cmp(&b.name))
}

#[cfg(test)]
mod tests {
    use super::super::super::view::Summary;
    use super::*;
    use fence_kdump_core::Policy;
    use std::time::{Duration, Instant};

    fn fleet(all: usize) -> Snapshot {
        let nodes = (0..all).map(|index| {
            let mut node = NodeView::unheard(format!("Node-{index:06}").into(), Policy::Plain);
            if index % 10 == 3 {
                node.state = NodeState::ALL[index / 10 % 5];
                node.since = Some(Duration::from_secs(u64::try_from(index).unwrap()));
                node.from = Some("192.0.2.77".parse().unwrap());
            }
            node
        });
        let nodes = nodes.collect();
        Snapshot { time_ms: 0, taken: Instant::now(), nodes, summary: Summary::default() }
    }

    fn query(state: Filter, q: &str, offset: usize, limit: usize) -> FleetQuery {
        FleetQuery { state, q: q.into(), offset, limit }
    }

    #[test]
    fn pages_put_together_are_the_whole() {
        let fleet = fleet(1003);
        let whole = query(Filter::All, "", 0, 2000).find(&fleet);
        assert!(whole.nodes.is_sorted_by(|a, b| order(a, b) == Ordering::Less));
        assert!(whole.nodes[0].state.is_active());
        let mut pages = Vec::new();
        for offset in (0..1100).step_by(90) {
            let page = query(Filter::All, "", offset, 90).find(&fleet);
            assert_eq!(page.matching, 1003);
            pages.extend(page.nodes);
        }
        assert_eq!(pages, whole.nodes);
    }

    #[test]
    fn what_is_searched_is_found() {
        let fleet = fleet(1000);
        let count = |state, q| query(state, q, 0, 10).find(&fleet).matching;
        assert_eq!(count(Filter::All, ""), 1000);
        assert_eq!(count(Filter::All, "nODE-000123"), 1);
        assert_eq!(count(Filter::All, "192.0.2.77"), 100);
        assert_eq!(count(Filter::Heard, ""), 100);
        assert_eq!(count(Filter::Active, ""), 40);
        assert_eq!(count(Filter::Lost, ""), 20);
        assert_eq!(count(Filter::Unheard, "node"), 900);
        assert_eq!(count(Filter::Candidate, ""), 0);
        assert_eq!(count(Filter::All, "no such node, whose name is long"), 0);
    }

    #[test]
    fn what_cannot_be_answered_is_told() {
        assert!(query(Filter::All, "", 0, 0).trouble().unwrap().contains("1 to 1000"));
        assert!(query(Filter::All, "", 0, 1001).trouble().is_some());
        assert!(query(Filter::All, &"x".repeat(257), 0, 1).trouble().is_some());
        assert_eq!(query(Filter::All, "x", usize::MAX, 1).trouble(), None);
        assert!(query(Filter::All, "", usize::MAX, 5).find(&fleet(3)).nodes.is_empty());
    }
}
