//! Something that is kept of some nodes, found by their numbers without a hash.

use std::ops::Range;

use fence_kdump_core::NodeId;

/// What is kept of those nodes that were heard. A node of which nothing is kept takes four bytes if a
/// larger number is in use, and otherwise none.
#[derive(Debug)]
pub(super) struct ByNode<T> {
    /// For each number, one more than the place in `kept`; 0: nothing is kept.
    places: Vec<u32>,
    kept: Vec<(NodeId, T)>,
}

impl<T> Default for ByNode<T> {
    fn default() -> Self {
        Self { places: Vec::new(), kept: Vec::new() }
    }
}

impl<T> ByNode<T> {
    fn place(&self, node: NodeId) -> Option<usize> {
        let place = *self.places.get(usize::try_from(node.0).ok()?)?;
        usize::try_from(place.checked_sub(1)?).ok()
    }

    /// What is kept of `node`.
    pub(super) fn get(&self, node: NodeId) -> Option<&T> {
        self.kept.get(self.place(node)?).map(|(_, kept)| kept)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, node: NodeId) -> Option<&mut T> {
        let place = self.place(node)?;
        self.kept.get_mut(place).map(|(_, kept)| kept)
    }

    /// Of how many nodes something is kept.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Nodes of which something is kept, in an order that only [`Self::remove`] changes.
    pub(super) fn keys(&self, places: Range<usize>) -> impl Iterator<Item = NodeId> {
        self.kept.get(places).unwrap_or_default().iter().map(|(node, _)| *node)
    }

    /// What is kept of all nodes, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.kept.iter_mut().map(|(_, kept)| kept)
    }

    /// From now on, this is kept of `node`, in place of what was.
    pub(super) fn insert(&mut self, node: NodeId, kept: T) {
        if let Some(known) = self.get_mut(node) {
            *known = kept;
            return;
        }
        let Ok(number) = usize::try_from(node.0) else { return };
        self.kept.push((node, kept));
        if self.places.len() <= number {
            self.places.resize(number.saturating_add(1), 0);
        }
        self.set(node, self.kept.len());
    }

    fn set(&mut self, node: NodeId, place: usize) {
        let slot = usize::try_from(node.0).ok().and_then(|number| self.places.get_mut(number));
        if let (Some(slot), Ok(place)) = (slot, u32::try_from(place)) {
            *slot = place;
        }
    }

    /// Nothing is kept of `node` any more; what was.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<T> {
        let place = self.place(node)?;
        self.set(node, 0);
        let (_, gone) = self.kept.swap_remove(place);
        if let Some(&(moved, _)) = self.kept.get(place) {
            self.set(moved, place.saturating_add(1));
        }
        Some(gone)
    }
}

impl<T: Default> ByNode<T> {
    /// What is kept of `node`, and what stands for nothing from now on if it is nothing.
    pub(super) fn of(&mut self, node: NodeId) -> Option<&mut T> {
        if self.place(node).is_none() {
            self.insert(node, T::default());
        }
        self.get_mut(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0..20_u32, 0..3_u8, any::<u8>()), 0..200)) {
            let mut kept = ByNode::default();
            let mut model = BTreeMap::new();
            for (number, step, value) in steps {
                let node = NodeId(number);
                match step {
                    0 => {
                        kept.insert(node, value);
                        model.insert(number, value);
                    }
                    1 => prop_assert_eq!(kept.remove(node), model.remove(&number)),
                    _ => {
                        *kept.of(node).unwrap() ^= value;
                        *model.entry(number).or_default() ^= value;
                    }
                }
                prop_assert_eq!(kept.len(), model.len());
                for number in 0..20 {
                    prop_assert_eq!(kept.get(NodeId(number)), model.get(&number));
                }
                let mut keys: Vec<_> = kept.keys(0..kept.len()).map(|node| node.0).collect();
                keys.sort_unstable();
                prop_assert!(keys.iter().eq(model.keys()));
            }
        }
    }
}
