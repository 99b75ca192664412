//! Messages of many nodes, and when they are sent.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fence_kdump_core::{
    ByteOrder, CrashId, Datagram, Extension, Key, KeyId, Phase, Progress, encode, sign,
};

use crate::sys::{Parcel, Sender};

/// The address of a node: all of 127.0.0.0/8 is on this host.
pub fn address(node: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x7f01_0000 + node)
}

/// Its name.
pub fn name(node: u32) -> String {
    format!("node-{node:06}")
}

/// `count` of `nodes` nodes, far apart from each other, each once unless there are fewer.
pub fn choose(nodes: u32, count: u32) -> impl Iterator<Item = u32> {
    // A stride that is prime to every number of nodes.
    (0..count).map(move |turn| (u64::from(turn) * 7_919 % u64::from(nodes)) as u32)
}

/// What is sent, with its source.
pub type Letter = (Ipv4Addr, Vec<u8>);

/// The plain messages of `count` of `nodes` nodes.
pub fn plain(nodes: u32, count: u32) -> Vec<Letter> {
    let message = encode(ByteOrder::NATIVE).to_vec();
    choose(nodes, count).map(|node| (address(node), message.clone())).collect()
}

/// A plain message.
#[must_use]
pub fn message() -> Vec<u8> {
    encode(ByteOrder::NATIVE).to_vec()
}

/// The plain messages of `count` hosts that are no node.
#[must_use]
pub fn strangers(count: u32) -> Vec<Letter> {
    choose(10_000, count).map(|host| (address(5_000_000 + host), message())).collect()
}

/// The key file of a sender.
#[must_use]
pub fn node_key_line() -> String {
    let check = Key::from_bytes(&[7; 32]).id();
    format!("node {} {} {check} {}\n", KeyId([3; 4]), "07".repeat(32), name(0))
}

/// What cannot be a message.
pub fn noise(count: u32) -> Vec<Letter> {
    let kinds: [&[u8]; 4] = [&[0; 8], b"", &[0x55; 300], &[0x40, 0x2a, 0x30, 0x1b, 2, 0, 0, 0]];
    let kinds = kinds.into_iter().cycle();
    choose(10_000, count).zip(kinds).map(|(node, kind)| (address(node), kind.to_vec())).collect()
}

/// Nodes that sign what they say.
pub struct Signers {
    cluster: Key,
    keys: Vec<Key>,
    begin: Instant,
    sequence: u64,
}

impl Signers {
    /// So many.
    pub fn new(nodes: u32) -> Self {
        let cluster = Key::from_bytes(&[7; 32]);
        let key = |node| cluster.derive(&name(node)).expect("a name");
        Self { keys: (0..nodes).map(key).collect(), cluster, begin: Instant::now(), sequence: 0 }
    }

    /// The line of a key file.
    pub fn key_line(&self) -> String {
        format!("cluster {} {}\n", self.cluster.id(), "07".repeat(32))
    }

    /// The next messages of `count` of them.
    pub fn speak(&mut self, count: u32) -> Vec<Letter> {
        let nodes = u32::try_from(self.keys.len()).expect("some nodes");
        let uptime =
            u64::try_from(self.begin.elapsed().as_millis()).expect("a few minutes") + 5_000;
        self.sequence += 1;
        let say = |node: u32| {
            let name = name(node);
            let extension = Extension {
                node_name: Some(&name),
                crash_id: Some(CrashId([3; 16])),
                sequence: Some(self.sequence),
                uptime: Some(uptime),
                interval: Some(10_000),
                phase: Some(Phase::Dumping),
                progress: Some(Progress { done: self.sequence, total: 1 << 36 }),
                key_id: Some(self.cluster.id()),
                ..Extension::default()
            };
            let mut bytes = Datagram::new();
            let key = &self.keys[node as usize];
            sign(ByteOrder::NATIVE, &extension, key, &mut bytes).expect("complete");
            (address(node), bytes.to_vec())
        };
        choose(nodes, count).map(say).collect()
    }
}

fn parcels(letters: &[Letter]) -> Vec<Parcel<'_>> {
    letters.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect()
}

/// All at once.
pub fn burst(sender: &Sender, letters: &[Letter]) {
    sender.send(&parcels(letters));
}

/// `rate` a second, in groups of `group`, for `time`; how many were sent. `letters` again and again.
pub fn stream(sender: &Sender, letters: &[Letter], group: usize, rate: u32, time: Duration) -> u64 {
    let all = parcels(letters);
    let begin = Instant::now();
    let (mut at, mut sent) = (0, 0_u64);
    while begin.elapsed() < time {
        let due = begin.elapsed().as_nanos() * u128::from(rate) / 1_000_000_000;
        if let Some(early) = u128::from(sent).checked_sub(due).filter(|early| *early > 0) {
            // In large groups there is time to leave the processor to others, such as those that ask.
            let pause = early * 1_000_000_000 / u128::from(rate);
            match u64::try_from(pause) {
                Ok(pause) if pause > 100_000 => std::thread::sleep(Duration::from_nanos(pause)),
                _ => std::hint::spin_loop(),
            }
            continue;
        }
        let end = (at + group).min(all.len());
        sender.send(&all[at..end]);
        sent += (end - at) as u64;
        at = if end == all.len() { 0 } else { end };
    }
    sent
}
