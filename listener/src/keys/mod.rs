//! Key files (PROTOCOL.md §5.1): read with suspicion, written so that no half of one is ever seen, and
//! wiped from memory after use.
//!
//! - [`Ring`]: the keys of one file, and which of them a message is to be verified with.
//! - [`file`](mod@file): how a file is read, and whose it has to be; [`write`](mod@write): how it is written.
//! - [`line`](mod@line): one line of it.
//! - [`rotation`]: how a new cluster key takes the place of the old one.
//!
//! No error, no `Debug` and no log line contains a key: what names one is its id.

pub mod error;
pub mod file;
pub mod line;
pub mod ring;
pub mod rotation;
pub mod write;

pub use error::{Fault, KeyFileError};
pub use ring::{ClusterKey, NodeKey, Ring};

/// Where receivers have the cluster key unless configured otherwise.
pub const CLUSTER_KEY_FILE: &str = "/etc/fence_kdump/cluster.key";

/// Where a node has its own key, for its crash kernel's image.
pub const NODE_KEY_FILE: &str = "/etc/fence_kdump/node.key";

/// The largest key file, in bytes: room for more than 7,000 nodes.
pub const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests;
