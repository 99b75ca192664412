//! What is on the wire, and the bytes that it stands for.

use fence_kdump_core::wire::{CHALLENGE_LEN, MESSAGE_LEN};
use fence_kdump_core::{
    ByteOrder, Challenge, CrashId, Datagram, Extension, Key, KeyId, Nonce, Phase, encode, sign,
};

use crate::Tick;

/// The name of a node of the model.
#[must_use]
pub fn name(node: u8) -> &'static str {
    ["n0", "n1", "n2"].get(usize::from(node)).copied().unwrap_or("nobody")
}

/// The cluster key and the keys of the nodes, derived once.
#[derive(Debug)]
pub struct Keys {
    id: KeyId,
    nodes: Vec<Key>,
}

impl Default for Keys {
    fn default() -> Self {
        let cluster = Key::from_bytes(&[7; 32]);
        let nodes = (0..3).filter_map(|node| cluster.derive(name(node))).collect();
        Self { id: cluster.id(), nodes }
    }
}

impl Keys {
    /// The key of `node`.
    ///
    /// # Panics
    /// When the model has no such node.
    #[must_use]
    pub fn of(&self, node: u8) -> &Key {
        &self.nodes[usize::from(node)]
    }
}

/// Something that was said once; whoever listens to the network has it for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Packet {
    /// By a node.
    Message(Said),
    /// By the receiver, to a node.
    Challenge(Asked),
}

/// A message of a crash kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Said {
    /// When it was said, in truth.
    pub at: Tick,
    /// By whom.
    pub node: u8,
    /// In which of its crashes.
    pub crash: u8,
    /// The how manieth of this crash.
    pub number: u8,
    /// UPTIME by the node's own clock, in milliseconds.
    pub uptime: u32,
    /// INTERVAL, in milliseconds.
    pub interval: u32,
    /// The challenge that it answers.
    pub answer: Option<u8>,
    /// Whether it says that the node is about to reboot.
    pub leaving: bool,
    /// Whether it has an extension and a MAC.
    pub signed: bool,
}

/// A challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asked {
    /// When it was sent.
    pub at: Tick,
    /// To which node.
    pub node: u8,
    /// In which of its crashes.
    pub crash: u8,
    /// The how manieth of all challenges: it stands for 16 bytes that nobody can guess.
    pub nonce: u8,
}

/// The CRASH ID of a crash.
#[must_use]
pub fn crash_id(node: u8, crash: u8) -> CrashId {
    let mut id = [0xc5; 16];
    (id[0], id[1]) = (node, crash);
    CrashId(id)
}

/// The bytes that a nonce stands for.
#[must_use]
pub fn nonce(number: u8) -> Nonce {
    Nonce([number; 16])
}

impl Said {
    /// Its bytes, signed with the key of `signer`, who ought to be the node itself.
    ///
    /// # Panics
    /// When a message of the model cannot be signed.
    #[must_use]
    pub fn bytes(&self, keys: &Keys, signer: u8) -> Datagram {
        let mut datagram = Datagram::new();
        if !self.signed {
            datagram.extend_from_slice(&plain()).expect("room for 8 bytes");
            return datagram;
        }
        let extension = Extension {
            node_name: Some(name(self.node)),
            crash_id: Some(crash_id(self.node, self.crash)),
            sequence: Some(u64::from(self.number) + 1),
            // Nobody may decide by it: it jumps by years, to and fro.
            wall_clock: Some(1 << (self.at % 60)),
            uptime: Some(self.uptime.into()),
            interval: Some(self.interval),
            phase: Some(if self.leaving { Phase::Leaving } else { Phase::Booted }),
            answer: self.answer.map(nonce),
            key_id: Some(keys.id),
            ..Extension::default()
        };
        let order = ByteOrder::NATIVE;
        sign(order, &extension, keys.of(signer), &mut datagram).expect("a whole message");
        datagram
    }
}

impl Asked {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self, keys: &Keys) -> [u8; CHALLENGE_LEN] {
        let crash_id = crash_id(self.node, self.crash);
        Challenge { key_id: keys.id, crash_id, nonce: nonce(self.nonce) }.encode(keys.of(self.node))
    }
}

/// What anybody can say.
#[must_use]
pub fn plain() -> [u8; MESSAGE_LEN] {
    encode(ByteOrder::NATIVE)
}
