//! Signed messages, for tests.

use fence_kdump_core::{ByteOrder, CrashId, Extension, Instant, Key, Nonce, Phase, sign};

use super::{Examiner, Packet};
use crate::keys::Ring;
use crate::socket::{Datagram, Words};
use fence_kdump_core::Challenge;

/// The cluster key number `number`.
pub(crate) fn cluster(number: u8) -> Key {
    Key::from_bytes(&[number; 32])
}

/// The key ring of a receiver that accepts these cluster keys.
pub(crate) fn ring(numbers: &[u8]) -> Ring {
    let line = |&number: &u8| {
        let key: String = [number; 32].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("cluster {} {key}\n", cluster(number).id())
    };
    Ring::parse(numbers.iter().map(line).collect::<String>().as_bytes()).unwrap()
}

/// One who accepts cluster key 1.
pub(crate) fn examiner() -> Examiner {
    Examiner::new(ring(&[1]))
}

/// What a signed message says, and with which key it is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Specimen<'a> {
    pub(crate) name: &'a str,
    /// The cluster key that it names,
    pub(crate) key_id: u8,
    /// and the one that its key comes from,
    pub(crate) cluster: u8,
    /// by this node's name.
    pub(crate) key_of: &'a str,
    pub(crate) crash: u8,
    pub(crate) sequence: u64,
    /// In milliseconds.
    pub(crate) uptime: u64,
    pub(crate) answer: Option<Nonce>,
    pub(crate) phase: Option<Phase>,
}

impl<'a> Specimen<'a> {
    /// A right one of the node `name`, its crash 1, with cluster key 1.
    pub(crate) fn of(name: &'a str, sequence: u64) -> Self {
        let (answer, phase, uptime) = (None, None, 1_000);
        let (key_id, cluster, key_of, crash) = (1, 1, name, 1);
        Self { name, key_id, cluster, key_of, crash, sequence, uptime, answer, phase }
    }

    /// That it arrived from `from` at `at`.
    pub(crate) fn arrived(&self, from: &str, at: Instant) -> Datagram {
        let extension = Extension {
            node_name: Some(self.name),
            crash_id: Some(CrashId([self.crash; 16])),
            sequence: Some(self.sequence),
            uptime: Some(self.uptime),
            answer: self.answer,
            phase: self.phase,
            key_id: Some(cluster(self.key_id).id()),
            ..Extension::default()
        };
        let key = cluster(self.cluster).derive(self.key_of).unwrap();
        let mut bytes = fence_kdump_core::Datagram::new();
        sign(ByteOrder::Little, &extension, &key, &mut bytes).unwrap();
        let said = Words::read(&bytes);
        Datagram { received_at: at, from: from.parse().unwrap(), port: 9, said }
    }
}

/// The nonce of a challenge of the node `name`, as its holder of the key from cluster key 1 reads it.
pub(crate) fn nonce(challenge: &Packet, name: &str) -> Nonce {
    let key = cluster(1).derive(name).unwrap();
    Challenge::decode(challenge).unwrap().open(&key).unwrap().nonce
}
