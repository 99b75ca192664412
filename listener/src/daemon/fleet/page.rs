//! What is known of the nodes, one page a packet.
//!
//! A page costs the same wherever it begins and however many nodes there are: the nodes come in the order
//! of their numbers, and no more than `LOOKED_AT` of them are looked at. After the nodes come the
//! candidates, by address.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use fence_kdump_core::{Instant, NodeId};

use super::Fleet;
use crate::address::Address;
use crate::control::packet::{self, Inquiry, NodeStatus, Setup, Status};

/// What a page has room for, in bytes: a packet, without what is said of the holder itself.
const ROOM: usize = packet::LARGEST - 1024;

/// So many nodes are looked at for one page, in some 100 µs. When none of them is to be told, it is empty.
const LOOKED_AT: u32 = 4096;

/// No more candidates fit a page.
const CANDIDATES: usize = 128;

/// Addresses are found by going through those of all nodes: what was found serves the pages that follow
/// at once.
const FRESH: Duration = Duration::from_secs(1);

/// Makes pages of what is known of the nodes.
#[derive(Debug, Default)]
pub struct Pages {
    latest: Option<Window>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// With the node of this number, or the next one after it: so it is no matter when that node is gone.
    Node(u32),
    /// After the candidate at this address, or with the first one.
    Candidate(Option<Address>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(number) => write!(f, "n{number}"),
            Self::Candidate(None) => f.write_str("c"),
            Self::Candidate(Some(address)) => write!(f, "c{address}"),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match (text.strip_prefix('n'), text.strip_prefix('c')) {
            (Some(number), _) => number.parse().map(Self::Node).map_err(drop),
            (None, Some("")) => Ok(Self::Candidate(None)),
            (None, Some(address)) => {
                address.parse().map(|address| Self::Candidate(Some(address))).map_err(drop)
            }
            (None, None) => Err(()),
        }
    }
}

/// A page that is being written.
struct Sheet {
    status: Status,
    room: usize,
}

impl Sheet {
    /// Whether it fits. The first one always does: a name, 48 addresses and 8 more names are far less than a
    /// packet.
    fn take(&mut self, node: NodeStatus) -> bool {
        let needed = packet::write(&node).len().saturating_add(1);
        if needed > self.room && !self.status.nodes.is_empty() {
            return false;
        }
        self.room = self.room.saturating_sub(needed);
        self.status.nodes.push(node);
        true
    }
}

impl Pages {
    /// The nodes of `fleet` at `now` that `inquiry` asks for: one page of them.
    #[must_use]
    pub fn page(&mut self, fleet: &Fleet, inquiry: &Inquiry, now: Instant) -> Status {
        let known = u64::try_from(fleet.registry.len()).ok();
        let mut sheet = Sheet { status: Status { known, ..Status::default() }, room: ROOM };
        if let Some(name) = &inquiry.node {
            let (id, candidate) = fleet.called(name);
            let node = match (id, candidate) {
                (Some(id), _) => self.node(fleet, id, (inquiry, 1), now),
                (None, Some(address)) => candidates(fleet, now, 1, |from| from == address).pop(),
                (None, None) => None,
            };
            sheet.status.nodes.extend(node);
            return sheet.status;
        }
        let next = match inquiry.after.as_deref().map_or(Ok(Place::Node(0)), str::parse) {
            Ok(Place::Node(first)) => self.nodes(fleet, (inquiry, first), now, &mut sheet),
            Ok(Place::Candidate(after)) => candidates_after(fleet, after, now, &mut sheet),
            // Nothing that was ever told.
            Err(()) => None,
        };
        sheet.status.next = next.map(|place| place.to_string());
        sheet.status
    }

    fn nodes(
        &mut self,
        fleet: &Fleet,
        (inquiry, first): (&Inquiry, u32),
        now: Instant,
        sheet: &mut Sheet,
    ) -> Option<Place> {
        let all = fleet.registry.slots();
        let end = all.min(first.saturating_add(LOOKED_AT));
        for number in first..end {
            let id = NodeId(number);
            let Some(session) = fleet.tracker.session(id) else { continue };
            if inquiry.heard && session.messages() == 0 {
                let is_there = fleet.registry.name(id).is_some();
                let left_out = &mut sheet.status.left_out;
                *left_out = left_out.saturating_add(is_there.into());
                continue;
            }
            let Some(node) = self.node(fleet, id, (inquiry, LOOKED_AT), now) else { continue };
            if !sheet.take(node) {
                return Some(Place::Node(number));
            }
        }
        if end < all {
            return Some(Place::Node(end));
        }
        // An empty page for none would be a packet in vain.
        (!fleet.candidates.known.is_empty()).then_some(Place::Candidate(None))
    }

    /// With its addresses, if they are asked for; those of so many nodes from `id` on are found with them.
    fn node(
        &mut self,
        fleet: &Fleet,
        id: NodeId,
        (inquiry, many): (&Inquiry, u32),
        now: Instant,
    ) -> Option<NodeStatus> {
        let mut node = fleet.node(id, now)?;
        if inquiry.setup {
            let window = self.latest.take().filter(|window| window.serves(id, now));
            let window = window.unwrap_or_else(|| Window::new(fleet, id, many, now));
            node.setup = window.setup(fleet, id);
            self.latest = Some(window);
        }
        Some(node)
    }
}

fn candidates_after(
    fleet: &Fleet,
    after: Option<Address>,
    now: Instant,
    sheet: &mut Sheet,
) -> Option<Place> {
    let all = candidates(fleet, now, CANDIDATES, |from| Some(from) > after);
    let mut is_whole = all.len() < CANDIDATES;
    let mut latest = None;
    for node in all {
        // Its name is its address.
        let place = node.name.parse().ok().map(|address| Place::Candidate(Some(address)));
        if !sheet.take(node) {
            is_whole = false;
            break;
        }
        latest = place;
    }
    latest.filter(|_| !is_whole)
}

/// The first of those that are `wanted`, by address.
fn candidates(
    fleet: &Fleet,
    now: Instant,
    most: usize,
    wanted: impl Fn(Address) -> bool,
) -> Vec<NodeStatus> {
    let all = fleet.candidates.known.iter().map(|(&from, candidate)| (from, candidate));
    let mut all: Vec<_> = all.filter(|(from, _)| wanted(*from)).collect();
    if most < all.len() {
        all.select_nth_unstable_by_key(most, |(from, _)| *from);
        all.truncate(most);
    }
    all.sort_unstable_by_key(|(from, _)| *from);
    let shown = all.into_iter().map(|(from, one)| NodeStatus::from(&one.view(from, now)));
    shown.collect()
}

/// What is configured of some nodes, as it was a moment ago.
#[derive(Debug)]
struct Window {
    nodes: Range<u32>,
    at: Instant,
    addresses: HashMap<u32, Vec<Address>>,
    contested: HashSet<Address>,
    unresolved: HashMap<u32, Vec<String>>,
}

impl Window {
    fn new(fleet: &Fleet, first: NodeId, many: u32, at: Instant) -> Self {
        let nodes = first.0..first.0.saturating_add(many);
        let mut addresses: HashMap<u32, Vec<Address>> = HashMap::new();
        for (address, id) in fleet.registry.addresses() {
            if nodes.contains(&id.0) {
                addresses.entry(id.0).or_default().push(address);
            }
        }
        addresses.values_mut().for_each(|all| all.sort_unstable());
        let mut unresolved: HashMap<u32, Vec<String>> = HashMap::new();
        for (lookup, name) in fleet.registry.to_look_up() {
            let whose = fleet.registry.looked_up(lookup).filter(|(_, found)| found.is_empty());
            if let Some((id, _)) = whose.filter(|(id, _)| nodes.contains(&id.0)) {
                unresolved.entry(id.0).or_default().push(name.to_owned());
            }
        }
        let contested = fleet.registry.contested().map(|(address, _)| address).collect();
        Self { nodes, at, addresses, contested, unresolved }
    }

    fn serves(&self, id: NodeId, now: Instant) -> bool {
        self.nodes.contains(&id.0) && now.saturating_since(self.at) < FRESH
    }

    fn setup(&self, fleet: &Fleet, id: NodeId) -> Option<Setup> {
        let key_name = fleet.registry.key_name(id)?;
        // It may have been taken from the node meanwhile, or given to another one.
        let is_claimed = |address: &&Address| match fleet.registry.at(**address) {
            Some(owner) => owner == id,
            None => self.contested.contains(*address),
        };
        let addresses = self.addresses.get(&id.0).map_or(&[][..], |all| all);
        let addresses: Vec<_> = addresses.iter().filter(is_claimed).collect();
        let unresolved = self.unresolved.get(&id.0).map_or(&[][..], |all| all);
        let more = addresses.len().saturating_sub(Setup::MOST);
        let more = more.saturating_add(unresolved.len().saturating_sub(Setup::MOST_NAMES));
        let told = addresses.iter().take(Setup::MOST);
        let contested = told.clone().filter(|address| fleet.registry.at(***address).is_none());
        Some(Setup {
            key_name: key_name.to_owned(),
            has_key: fleet.examiner.as_ref().is_some_and(|known| known.knows(key_name)),
            addresses: told.map(ToString::to_string).collect(),
            contested: contested.map(ToString::to_string).collect(),
            unresolved: unresolved.iter().take(Setup::MOST_NAMES).cloned().collect(),
            more: u64::try_from(more).unwrap_or(u64::MAX),
        })
    }
}

impl Fleet {
    /// The node that `name` means: one of that name, or that has this address; or else the candidate.
    fn called(&self, name: &str) -> (Option<NodeId>, Option<Address>) {
        let address: Option<Address> = name.parse().ok();
        let node = self.registry.named(name);
        let node = node.or_else(|| self.registry.at(address?));
        (node, address.filter(|address| self.candidates.known.contains_key(address)))
    }
}

#[cfg(test)]
mod tests;
