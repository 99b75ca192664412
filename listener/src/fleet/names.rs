//! Which node a name is of.

use std::hash::{BuildHasher as _, Hasher as _};

use ahash::RandomState;
use fence_kdump_core::{NodeId, Policy};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// In the index: not the node's name, but the name by which it signs.
const KEY_NAME: u32 = 1 << 31;

/// Nodes have smaller numbers.
pub(super) const MOST: u32 = KEY_NAME - 1;

/// Where in [`Names::text`] a name is. No name is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    at: u32,
    length: u8,
}

/// One node. Eight bytes.
#[derive(Debug, Clone, Copy)]
struct Node {
    at: u32,
    length: u8,
    /// It signs by another name, which is in [`Names::key_names`].
    has_key_name: bool,
}

const VACANT: Node = Node { at: 0, length: 0, has_key_name: false };

impl Node {
    fn name(&self) -> Span {
        Span { at: self.at, length: self.length }
    }
}

/// The nodes by name: one text that holds all names, and an index without regard to the case of ASCII letters.
#[derive(Debug, Default)]
pub(super) struct Names {
    keys: RandomState,
    text: String,
    nodes: Vec<Node>,
    /// Of each node. By itself, since it is all that is wanted of a node with each of its messages.
    policies: Vec<Option<Policy>>,
    vacant: usize,
    /// Numbers of nodes, with [`KEY_NAME`] where it is of that.
    index: HashTable<u32>,
    /// In the order of the nodes; few have one.
    key_names: Vec<(u32, Span)>,
}

impl Names {
    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.nodes.len().saturating_sub(self.vacant)
    }

    /// How many numbers are in use, with those of nodes that are gone.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// The numbers of all nodes that are there.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        let nodes = (0_u32..).zip(&self.nodes).filter(|(_, node)| node.length > 0);
        nodes.map(|(id, _)| NodeId(id))
    }

    /// Room for a name.
    ///
    /// `None` when all names together have more than 4 GiB, or this one more than 255 bytes.
    pub(super) fn write(&mut self, name: &str) -> Option<Span> {
        let span = Span {
            at: u32::try_from(self.text.len()).ok()?,
            length: u8::try_from(name.len()).ok()?,
        };
        self.text.push_str(name);
        Some(span)
    }

    /// What was written.
    pub(super) fn read(&self, span: Span) -> &str {
        let at = usize::try_from(span.at).unwrap_or(usize::MAX);
        self.text.get(at..at.saturating_add(span.length.into())).unwrap_or_default()
    }

    fn node(&self, id: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(id).ok()?).filter(|node| node.length > 0)
    }

    /// The name of a node.
    pub(super) fn name(&self, id: NodeId) -> Option<&str> {
        Some(self.read(self.span(id)?))
    }

    pub(super) fn span(&self, id: NodeId) -> Option<Span> {
        self.node(id.0).map(Node::name)
    }

    /// The name by which a node signs.
    pub(super) fn key_name(&self, id: NodeId) -> Option<&str> {
        let node = self.node(id.0)?;
        if !node.has_key_name {
            return Some(self.read(node.name()));
        }
        let place = self.key_names.binary_search_by_key(&id.0, |&(id, _)| id).ok()?;
        self.key_names.get(place).map(|&(_, span)| self.read(span))
    }

    pub(super) fn policy(&self, id: NodeId) -> Option<Policy> {
        self.policies.get(usize::try_from(id.0).ok()?).copied().flatten()
    }

    /// What an entry of the index says.
    fn indexed(&self, entry: u32) -> &str {
        let id = NodeId(entry & !KEY_NAME);
        let name = if entry & KEY_NAME == 0 { self.name(id) } else { self.key_name(id) };
        name.unwrap_or_default()
    }

    fn find(&self, name: &str) -> Option<u32> {
        let hash = hash(&self.keys, name);
        self.index.find(hash, |&entry| self.indexed(entry).eq_ignore_ascii_case(name)).copied()
    }

    /// The node that has this name, or signs by it.
    pub(super) fn known(&self, name: &str) -> Option<NodeId> {
        self.find(name).map(|entry| NodeId(entry & !KEY_NAME))
    }

    /// The node of this name.
    pub(super) fn named(&self, name: &str) -> Option<NodeId> {
        self.find(name).filter(|entry| entry & KEY_NAME == 0).map(NodeId)
    }

    /// The node that signs by this name.
    pub(super) fn signed_as(&self, name: &str) -> Option<NodeId> {
        let entry = self.find(name)?;
        let id = entry & !KEY_NAME;
        let signs_so = entry != id || !self.node(id)?.has_key_name;
        signs_so.then_some(NodeId(id))
    }

    /// A new node, with a name (and one to sign by) that no other has: see [`Self::known`].
    ///
    /// `None` when there is no room for it.
    pub(super) fn add(
        &mut self,
        name: &str,
        key_name: Option<&str>,
        policy: Policy,
    ) -> Option<NodeId> {
        let id = Some(self.len()).filter(|&id| id < MOST)?;
        let span = self.write(name)?;
        let key_name = match key_name.filter(|other| !other.eq_ignore_ascii_case(name)) {
            None => None,
            Some(other) => Some(self.write(other)?),
        };
        let (Span { at, length }, has_key_name) = (span, key_name.is_some());
        self.nodes.push(Node { at, length, has_key_name });
        self.policies.push(Some(policy));
        self.enter(id);
        if let Some(span) = key_name {
            self.key_names.push((id, span));
            self.enter(id | KEY_NAME);
        }
        Some(NodeId(id))
    }

    fn enter(&mut self, entry: u32) {
        let mut index = std::mem::take(&mut self.index);
        let of = |entry: &u32| hash(&self.keys, self.indexed(*entry));
        // Whoever calls has looked whether it is there already.
        if let Entry::Vacant(vacant) = index.entry(of(&entry), |_| false, of) {
            vacant.insert(entry);
        }
        self.index = index;
    }

    /// Every node gets another number, below `len`, and none the same.
    pub(super) fn renumber(&mut self, len: u32, number: impl Fn(u32) -> u32) {
        let len = usize::try_from(len).unwrap_or(0);
        let (mut nodes, mut policies) = (vec![VACANT; len], vec![None; len]);
        for (id, (node, policy)) in (0_u32..).zip(self.nodes.iter().zip(&self.policies)) {
            let place = usize::try_from(number(id)).unwrap_or(usize::MAX);
            let places = nodes.get_mut(place).zip(policies.get_mut(place));
            if let Some(places) = places.filter(|_| node.length > 0) {
                (*places.0, *places.1) = (*node, *policy);
            }
        }
        self.vacant = nodes.iter().filter(|node| node.length == 0).count();
        (self.nodes, self.policies) = (nodes, policies);
        for entry in self.index.iter_mut() {
            *entry = number(*entry & !KEY_NAME) | (*entry & KEY_NAME);
        }
        for (id, _) in &mut self.key_names {
            *id = number(*id);
        }
        self.key_names.sort_unstable_by_key(|&(id, _)| id);
    }

    /// Gives back memory that was taken in advance.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.nodes.shrink_to_fit();
        self.policies.shrink_to_fit();
        self.key_names.shrink_to_fit();
    }

    /// Bytes in use.
    pub(super) fn size(&self) -> usize {
        let key_names = self.key_names.capacity().saturating_mul(size_of::<(u32, Span)>());
        let nodes = self.nodes.capacity().saturating_mul(size_of::<Node>());
        let nodes = nodes.saturating_add(self.policies.capacity());
        [self.text.capacity(), nodes, key_names, self.index.allocation_size()].into_iter().sum()
    }
}

/// The same for names that differ only in the case of ASCII letters.
fn hash(keys: &RandomState, name: &str) -> u64 {
    let mut lower = [0; 255];
    let mut hasher = keys.build_hasher();
    match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            hasher.write(lower);
        }
        // Longer than any name.
        None => hasher.write(&[]),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 8);
    }

    #[test]
    fn names_in_any_case_and_names_to_sign_by() {
        let mut names = Names::default();
        let n1 = names.add("Node1", None, Policy::Plain).unwrap();
        let n2 = names.add("node2", Some("n2.example.com"), Policy::Signed).unwrap();
        let n3 = names.add("node3", Some("NODE3"), Policy::Live).unwrap();
        assert_eq!((names.named("nODE1"), names.signed_as("NODE1")), (Some(n1), Some(n1)));
        assert_eq!((names.named("node2"), names.signed_as("node2")), (Some(n2), None));
        let by_key = "N2.example.com";
        assert_eq!((names.named(by_key), names.signed_as(by_key)), (None, Some(n2)));
        assert_eq!(names.known(by_key), Some(n2));
        assert_eq!(
            (names.key_name(n2), names.key_name(n3)),
            (Some("n2.example.com"), Some("node3"))
        );
        assert_eq!(names.named(&"x".repeat(300)), None);
        names.renumber(5, |id| 4 - id);
        assert_eq!(
            (names.named("node1"), names.signed_as(by_key)),
            (Some(NodeId(4)), Some(NodeId(3)))
        );
        assert_eq!(names.key_name(NodeId(3)), Some("n2.example.com"));
        assert_eq!(names.ids().collect::<Vec<_>>(), [NodeId(2), NodeId(3), NodeId(4)]);
        assert_eq!((names.name(NodeId(0)), names.policy(NodeId(0))), (None, None));
    }
}
