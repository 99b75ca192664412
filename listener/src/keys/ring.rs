//! The keys of one file.

use std::path::Path;

use fence_kdump_core::{Key, KeyId};

use super::error::{Fault, KeyFileError};
use super::file;
use super::line::Line;

/// A cluster key: with it, one can sign for every node.
#[derive(Debug, Clone)]
pub struct ClusterKey {
    /// Its KEY ID.
    pub id: KeyId,
    /// The key.
    pub key: Key,
}

/// A node key: with it, one can sign for that node.
#[derive(Debug, Clone)]
pub struct NodeKey {
    /// The KEY ID of the cluster key that it comes from.
    pub key_id: KeyId,
    /// The node's name as it was written.
    pub name: String,
    /// The key.
    pub key: Key,
}

/// The keys of one key file (PROTOCOL.md §5.1), wiped when dropped.
#[derive(Debug, Clone)]
pub struct Ring {
    clusters: Vec<ClusterKey>,
    nodes: Vec<NodeKey>,
}

impl Ring {
    /// Reads the key file `path`.
    ///
    /// # Errors
    /// When it cannot be read, others than root and this user can read it, or there is anything in it that is
    /// not as it should be.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let text = file::read(path)?;
        Self::parse(&text).map_err(|(line, fault)| KeyFileError {
            path: path.to_owned(),
            line,
            fault,
        })
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// The number of the line and what is wrong with it, or without a number, what is wrong with all.
    pub fn parse(text: &[u8]) -> Result<Self, (Option<usize>, Fault)> {
        // With all the room that they need from the start: growing would leave copies of keys behind.
        let nodes = text.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"node"));
        let nodes = Vec::with_capacity(nodes.count());
        let mut ring = Self { clusters: Vec::with_capacity(2), nodes };
        let mut numbers = Vec::new();
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let at = |fault| (Some(number), fault);
            match Line::read(line).map_err(at)? {
                None => {}
                Some(Line::Cluster { id, key }) => {
                    ring.add_cluster(ClusterKey { id, key }).map_err(at)?;
                }
                Some(Line::Node { key_id, key, name }) => {
                    numbers.push((number, name.to_ascii_lowercase(), key_id));
                    ring.nodes.push(NodeKey { key_id, name, key });
                }
            }
        }
        if ring.clusters.is_empty() && ring.nodes.is_empty() {
            return Err((None, Fault::Empty));
        }
        // Only now is every cluster key known that a node key may come from.
        for (node, &(number, ..)) in ring.nodes.iter().zip(&numbers) {
            let derived = ring.cluster(node.key_id).and_then(|from| from.key.derive(&node.name));
            if derived.is_some_and(|derived| derived.as_bytes() != node.key.as_bytes()) {
                let (name, key_id) = (node.name.clone(), node.key_id);
                return Err((Some(number), Fault::NotDerived { name, key_id }));
            }
        }
        numbers.sort_by(|one, other| (&one.1, one.2.0, one.0).cmp(&(&other.1, other.2.0, other.0)));
        for pair in numbers.windows(2) {
            if let [(_, one, id), (number, other, other_id)] = pair
                && (one, id) == (other, other_id)
            {
                let fault = Fault::SameNode { name: other.clone(), key_id: *id };
                return Err((Some(*number), fault));
            }
        }
        Ok(ring)
    }

    fn add_cluster(&mut self, new: ClusterKey) -> Result<(), Fault> {
        if self.cluster(new.id).is_some() {
            return Err(Fault::SameCluster(new.id));
        }
        if self.clusters.len() >= 2 {
            return Err(Fault::ThirdCluster);
        }
        self.clusters.push(new);
        Ok(())
    }

    fn cluster(&self, id: KeyId) -> Option<&ClusterKey> {
        self.clusters.iter().find(|cluster| cluster.id == id)
    }

    /// The cluster keys: the current one, and during a rotation the previous one.
    #[must_use]
    pub fn clusters(&self) -> &[ClusterKey] {
        &self.clusters
    }

    /// The node keys that stand in the file, in its order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeKey] {
        &self.nodes
    }

    /// The cluster key to derive new node keys from.
    #[must_use]
    pub fn current(&self) -> Option<&ClusterKey> {
        self.clusters.first()
    }

    /// The KEY IDs of all messages that could be verified, each once.
    #[must_use]
    pub fn key_ids(&self) -> Vec<KeyId> {
        let clusters = self.clusters.iter().map(|cluster| cluster.id);
        let mut ids = Vec::new();
        for id in clusters.chain(self.nodes.iter().map(|node| node.key_id)) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The key to verify a message with that has this KEY ID and NODE NAME; upper and lower case are the
    /// same. `None` when there is none for it: the message is not believed.
    ///
    /// Costs a derivation, some microseconds: a receiver asks once for each of its nodes and keys, not for
    /// each datagram.
    #[must_use]
    pub fn node_key(&self, key_id: KeyId, node_name: &str) -> Option<Key> {
        if let Some(cluster) = self.cluster(key_id) {
            return cluster.key.derive(node_name);
        }
        let is_it =
            |node: &&NodeKey| node.key_id == key_id && node.name.eq_ignore_ascii_case(node_name);
        self.nodes.iter().find(is_it).map(|node| node.key.clone())
    }
}
