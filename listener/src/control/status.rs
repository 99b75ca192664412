//! What is asked of whoever holds the port, and what it answers: how the nodes are, one page a packet.
//!
//! The answer may be longer than a packet, so it comes in pages: each names the next one in
//! [`Status::next`]. A holder that knows no pages answers everything at once, as far as it fits; so whoever
//! asks has to choose again from what it gets.

use serde::{Deserialize, Serialize};

/// Which nodes are asked for, and how much of each. By default: all of them, from the first one on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inquiry {
    /// Only this one: its name, in any case, or an address of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where the page begins: [`Status::next`] of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Only nodes that were heard, and candidates; the others are counted in [`Status::left_out`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub heard: bool,
    /// With what is configured of each node: [`NodeStatus::setup`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub setup: bool,
}

fn is_false(it: &bool) -> bool {
    !*it
}

fn is_zero(it: &u64) -> bool {
    *it == 0
}

/// What the holder of a port knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// The program that holds the port.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The UDP port.
    pub port: u16,
    /// Whether it has the UDP port.
    pub listening: bool,
    /// How many others it serves.
    pub clients: usize,
    /// How many nodes it knows by name, whichever were asked for; `None` when it keeps no list, as an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// The nodes that were asked for, as many as fit; an agent knows none.
    pub nodes: Vec<NodeStatus>,
    /// How many nodes between the beginning of this page and the next one are not told because they were not
    /// heard: [`Inquiry::heard`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
    /// Where the next page begins: a word that means nothing to anybody else. `None`: this was the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is known of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name; of a candidate, the address.
    pub name: String,
    /// `unheard`, `started`, `dumping`, `finished`, `lost`, `rebooted` or `candidate`.
    pub state: String,
    /// How long ago its first message of this dump came, in milliseconds.
    pub since_ms: Option<u64>,
    /// How long ago its latest message came, in milliseconds.
    pub last_heard_ms: Option<u64>,
    /// Messages of this dump that were believed.
    pub messages: u32,
    /// What its messages have to prove: `plain`, `signed` or `live`.
    #[serde(default)]
    pub policy: Option<String>,
    /// What the latest believed message proved: `plain`, `signed` or `live`.
    #[serde(default)]
    pub proof: Option<String>,
    /// What the node says that it does: `booted`, `dumping`, `finished`, `failed` or `leaving`.
    #[serde(default)]
    pub phase: Option<String>,
    /// How much of the dump is done, in bytes, if the node says so.
    #[serde(default)]
    pub done: Option<u64>,
    /// How much there is to dump, in bytes, if the node knows and says so.
    #[serde(default)]
    pub total: Option<u64>,
    /// The id of the cluster key from which the key of the latest signed message comes, in
    /// hexadecimal.
    #[serde(default)]
    pub key_id: Option<String>,
    /// The address that the latest believed message came from.
    #[serde(default)]
    pub from: Option<String>,
    /// How often it promised to speak, in milliseconds, if it did.
    #[serde(default)]
    pub interval_ms: Option<u64>,
    /// What is configured of it, when [`Inquiry::setup`] was asked for; a candidate is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Setup>,
}

/// What is configured of a node, and what that was found to mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Setup {
    /// The name in its signed messages.
    pub key_name: String,
    /// Whether there is a key to verify them with.
    pub has_key: bool,
    /// Its addresses, in order; at most [`Self::MOST`].
    pub addresses: Vec<String>,
    /// Those of them that another node has as well, so that their messages count for neither.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<String>,
    /// Its names that were looked up, and for which no address is known; at most [`Self::MOST_NAMES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<String>,
    /// How many more addresses and names there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

impl Setup {
    /// So many addresses are told, so that a node fits a packet.
    pub const MOST: usize = 48;

    /// So many names are told, likewise.
    pub const MOST_NAMES: usize = 8;
}
