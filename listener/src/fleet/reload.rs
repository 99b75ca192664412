//! From one configuration to the next, without losing a session.
//!
//! A node that stays keeps its number: whatever is kept by number, such as the sessions of a tracker, stays where
//! it is and only has to be made larger. A number that becomes free is not given to another node at
//! once but at the earliest with the reload after, so that whatever is still under way with it is nobody's.

use fence_kdump_core::NodeId;

use super::registry::Registry;
use crate::address::Address;

/// What a new configuration changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// How many nodes stay.
    pub kept: usize,
    /// Nodes that are new, by their new numbers.
    pub added: Vec<NodeId>,
    /// Nodes that are gone, by their old numbers: what is known of them has to be forgotten.
    pub removed: Vec<NodeId>,
    /// Nodes that stay, and whose messages have to prove something else now, or are signed by another name:
    /// what is known of them is to be believed only if [`Registry::still_believes`] says so, or not at all for
    /// [`Self::rekeyed`].
    pub changed: Vec<NodeId>,
    /// Nodes that stay, and sign by another name now: what was signed by the old one proves nothing any more.
    pub rekeyed: Vec<NodeId>,
}

impl Registry {
    /// Takes the place of `old`: nodes of the same name get the same number, and names that were looked up
    /// keep what was found until they are looked up again. Numbers that this registry gave
    /// before, also those of [`Registry::to_look_up`], are void.
    pub fn succeed(&mut self, old: &Self) -> Changes {
        let mut changes = Changes::default();
        let mut free = (0..old.slots()).filter(|&id| old.name(NodeId(id)).is_none());
        let mut next = old.slots();
        let mut stays = vec![false; usize::try_from(old.slots()).unwrap_or(0)];
        let mut numbers = Vec::with_capacity(self.len());
        for id in (0..self.slots()).map(NodeId) {
            let before = self.name(id).and_then(|name| old.named(name));
            let number = before.unwrap_or_else(|| {
                NodeId(free.next().unwrap_or_else(|| {
                    next = next.saturating_add(1);
                    next.saturating_sub(1)
                }))
            });
            numbers.push(number.0);
            let Some(before) = before else {
                changes.added.push(number);
                continue;
            };
            if let Some(stays) =
                usize::try_from(before.0).ok().and_then(|place| stays.get_mut(place))
            {
                *stays = true;
            }
            changes.kept = changes.kept.saturating_add(1);
            let (new_key, old_key) = (self.key_name(id), old.key_name(before));
            let is_rekeyed = !new_key.zip(old_key).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
            if is_rekeyed {
                changes.rekeyed.push(number);
            }
            if is_rekeyed || self.policy(id) != old.policy(before) {
                changes.changed.push(number);
            }
        }
        let has_gone = |id: &NodeId| {
            let stays = usize::try_from(id.0).ok().and_then(|place| stays.get(place));
            !stays.copied().unwrap_or(false)
        };
        changes.removed.extend(old.ids().filter(has_gone));
        changes.added.sort_unstable();
        self.renumber(&numbers);
        self.inherit(old);
        changes
    }

    /// Every node gets the number that is in its place.
    fn renumber(&mut self, numbers: &[u32]) {
        let number = |id: u32| {
            let place = usize::try_from(id).unwrap_or(usize::MAX);
            numbers.get(place).copied().unwrap_or(id)
        };
        let slots = numbers.iter().max().map_or(0, |largest| largest.saturating_add(1));
        self.names.renumber(slots, number);
        self.addresses.renumber(number);
        for source in &mut self.sources {
            source.node = number(source.node);
        }
        self.sources.sort_by_key(|source| source.node);
    }

    /// What was found by the names that are still to be looked up.
    fn inherit(&mut self, old: &Self) {
        let known: Vec<_> = self
            .to_look_up()
            .filter_map(|(lookup, text)| {
                let (id, _) = self.looked_up(lookup)?;
                Some((lookup, old.found_by(id, text)?.to_vec()))
            })
            .collect();
        for (lookup, found) in known {
            // Whoever shares an address has been told so before.
            drop(self.found(lookup, &found));
        }
    }

    fn found_by(&self, id: NodeId, text: &str) -> Option<&[Address]> {
        let first = self.sources.partition_point(|source| source.node < id.0);
        let of_node = self.sources.iter().skip(first).take_while(|source| source.node == id.0);
        let mut same = of_node.filter(|source| {
            source.text.is_some_and(|span| self.names.read(span).eq_ignore_ascii_case(text))
        });
        same.next().map(|source| &*source.found).filter(|found| !found.is_empty())
    }
}
