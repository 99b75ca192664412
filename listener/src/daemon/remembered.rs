//! What each node said last, so that an agent that is started a moment later need not wait for the next message.
//!
//! The line remembers the latest senders, whoever they are ([`crate::control::recent`]); a flood of forged ones takes
//! their place. This is of nodes alone, and of what was believed of them or might prove itself when it is
//! challenged. Nothing here decides: the agent does, by the very messages, their times and its own keys.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;
use fence_kdump_core::{ByteOrder, Instant, MAX_AGE, NodeId, Proof, encode};

use crate::address::Address;
use crate::datagram::{Datagram, Words};

/// The most bytes that all messages take that have more than eight, with all that belongs to them.
const BYTES: usize = 6 * 1024 * 1024;

/// What a message takes besides its own bytes: its place in the table, which is never more than half empty
/// once it is large, and what the allocator adds.
const BESIDES: usize = 2 * size_of::<(Key, Kept)>() + 16;

/// How often, at most, all of it is searched for what is too old to be of use.
const SWEEP: Duration = Duration::from_secs(1);

/// What a message proves, as it matters here: one that only an address vouches for, one that is signed, or one that
/// is signed and answers a challenge. None may take the place of another: an answer is the latest that is known
/// to be no replay, but only what is none may be challenged (PROTOCOL.md §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Plain,
    Signed,
    Answer,
}

type Key = (u32, Kind);

/// A message of eight bytes. Whoever has it knows where it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    /// When it came, in halves, so that it takes no more room than its bytes.
    at: [u32; 2],
    port: u16,
    byte_order: ByteOrder,
}

/// Any other message.
#[derive(Debug)]
struct Kept {
    at: Instant,
    from: Address,
    port: u16,
    bytes: Box<[u8]>,
}

/// The latest messages of each node, one of each kind, within a bound: 6 MiB for whatever comes, and for each
/// node that was heard a message of eight bytes, which is in the caller's hands.
#[derive(Debug, Default)]
pub struct Remembered {
    kept: HashMap<Key, Kept, RandomState>,
    /// What `kept` takes.
    bytes: usize,
    /// How many of them are [`Kind::Plain`]: few, or none.
    plain: usize,
    swept: Option<Instant>,
}

impl Remembered {
    /// Looks at what is known of a node that signs, so that it is at hand when it is needed.
    pub(super) fn touch(&self, NodeId(node): NodeId) {
        std::hint::black_box(self.kept.get(&(node, Kind::Signed)).map(|kept| kept.at));
    }

    /// `datagram`, a message, is the latest of `node`, and this much of it is proven: that it is
    /// signed right is enough for [`Proof::Signed`]. `short` is the latest one of eight bytes so far, if it came from
    /// the same address, and becomes this one if this is such a one.
    pub(super) fn remember(
        &mut self,
        node: NodeId,
        proof: Proof,
        datagram: &Datagram,
        short: &mut Option<Short>,
    ) {
        let Ok(said) = &datagram.said else { return };
        let kind = match proof {
            Proof::Plain => Kind::Plain,
            Proof::Signed | Proof::Live if said.is_answer() => Kind::Answer,
            Proof::Signed | Proof::Live => Kind::Signed,
        };
        let is_later = |known: Instant| known > datagram.received_at;
        let key = (node.0, kind);
        // As it nearly always is with plain messages: not even looked for.
        let is_none = kind == Kind::Plain && self.plain == 0;
        let known = if is_none { None } else { self.kept.get_mut(&key) };
        if known.as_ref().is_some_and(|known| is_later(known.at)) {
            return;
        }
        if kind == Kind::Plain {
            if short.is_some_and(|known| is_later(known.received_at())) {
                return;
            }
            *short = said.short().map(|byte_order| Short::of(datagram, byte_order));
            if short.is_some() {
                if !is_none {
                    self.drop_kept(key);
                }
                return;
            }
        }
        let bytes = said.as_bytes();
        let Datagram { received_at: at, from, port, .. } = *datagram;
        match known {
            // As it nearly always is: its room is as large as it was.
            Some(known) if known.bytes.len() == bytes.len() => {
                known.bytes.copy_from_slice(bytes);
                (known.at, known.from, known.port) = (at, from, port);
            }
            _ => self.keep(key, Kept { at, from, port, bytes: bytes.into() }),
        }
    }

    /// As far as there is room.
    fn keep(&mut self, key: Key, kept: Kept) {
        self.drop_kept(key);
        let needed = kept.bytes.len().saturating_add(BESIDES);
        if self.bytes.saturating_add(needed) > BYTES {
            self.sweep(kept.at);
        }
        if self.bytes.saturating_add(needed) <= BYTES {
            self.bytes = self.bytes.saturating_add(needed);
            self.plain = self.plain.saturating_add(usize::from(key.1 == Kind::Plain));
            self.kept.insert(key, kept);
        }
    }

    /// What `node` said is of no use any more: its dump is over, or it is no node any more.
    pub fn forget(&mut self, node: NodeId) {
        for kind in [Kind::Plain, Kind::Signed, Kind::Answer] {
            self.drop_kept((node.0, kind));
        }
    }

    /// What is remembered of `nodes` at `now`, in the order of arrival, with what the caller has of each. What is too
    /// old to be evidence is there as well if it may be challenged, or has only eight bytes: then it tells why there
    /// is no evidence.
    #[must_use]
    pub fn of(
        &self,
        nodes: impl IntoIterator<Item = (NodeId, Option<Datagram>)>,
        now: Instant,
    ) -> Vec<Datagram> {
        let is_young = |at: Instant| now.saturating_since(at) <= MAX_AGE;
        let mut found: Vec<Datagram> = Vec::new();
        for (NodeId(node), short) in nodes {
            found.extend(short);
            for kind in [Kind::Plain, Kind::Signed, Kind::Answer] {
                let kept = self.kept.get(&(node, kind));
                let kept = kept.filter(|kept| kind == Kind::Signed || is_young(kept.at));
                found.extend(kept.map(Kept::datagram));
            }
        }
        found.sort_by_key(|datagram| datagram.received_at);
        found
    }

    fn drop_kept(&mut self, key: Key) {
        if !self.kept.is_empty()
            && let Some(kept) = self.kept.remove(&key)
        {
            let freed = kept.bytes.len().saturating_add(BESIDES);
            self.bytes = self.bytes.saturating_sub(freed);
            self.plain = self.plain.saturating_sub(usize::from(key.1 == Kind::Plain));
        }
    }

    /// Forgets what is too old, unless that was done just now.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_since(swept) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        self.kept.retain(|_, kept| now.saturating_since(kept.at) <= MAX_AGE);
        let kept = self.kept.values().map(|kept| kept.bytes.len().saturating_add(BESIDES));
        self.bytes = kept.sum();
        self.plain = self.kept.keys().filter(|(_, kind)| *kind == Kind::Plain).count();
    }
}

impl Kept {
    fn datagram(&self) -> Datagram {
        let Self { at, from, port, bytes } = self;
        Datagram { received_at: *at, from: *from, port: *port, said: Words::read(bytes) }
    }
}

impl Short {
    fn of(datagram: &Datagram, byte_order: ByteOrder) -> Self {
        let nanos = datagram.received_at.as_nanos();
        let halves = [nanos >> 32, nanos & u64::from(u32::MAX)];
        let at = halves.map(|half| u32::try_from(half).unwrap_or_default());
        Self { at, port: datagram.port, byte_order }
    }

    fn received_at(&self) -> Instant {
        let [high, low] = self.at.map(u64::from);
        Instant::from_nanos(high << 32 | low)
    }

    /// As it came in, `from` there.
    pub(super) fn datagram(&self, from: Address) -> Datagram {
        let said = Words::read(&encode(self.byte_order));
        Datagram { received_at: self.received_at(), from, port: self.port, said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::specimen::Specimen;
    use fence_kdump_core::Nonce;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    fn plain(at: u64, byte_order: ByteOrder) -> Datagram {
        let said = Words::read(&encode(byte_order));
        let from = "fe80::7%3".parse().unwrap();
        Datagram { received_at: Instant::from_nanos(at), from, port: 7, said }
    }

    fn signed(node: &str, sequence: u64, at: Instant) -> Datagram {
        Specimen::of(node, sequence).arrived("10.0.0.1", at)
    }

    fn answer(node: &str, sequence: u64, at: Instant) -> Datagram {
        let answer = Some(Nonce([7; 16]));
        Specimen { answer, ..Specimen::of(node, sequence) }.arrived("10.0.0.1", at)
    }

    /// Beside what each node said last in eight bytes.
    #[derive(Default)]
    struct Scene {
        remembered: Remembered,
        short: HashMap<u32, Option<Short>>,
    }

    impl Scene {
        fn hear(&mut self, node: NodeId, proof: Proof, datagram: &Datagram) {
            let short = self.short.entry(node.0).or_default();
            self.remembered.remember(node, proof, datagram, short);
        }

        fn of<const N: usize>(&self, nodes: [NodeId; N], now: Instant) -> Vec<Datagram> {
            let from = "fe80::7%3".parse().unwrap();
            let short = |node: NodeId| Some(self.short.get(&node.0)?.as_ref()?.datagram(from));
            self.remembered.of(nodes.map(|node| (node, short(node))), now)
        }
    }

    #[test]
    fn the_latest_of_each_kind_comes_back_as_it_came() {
        let mut scene = Scene::default();
        let (one, other) = (NodeId(1), NodeId(2));
        let at = ms(5_000_000_000).as_nanos() + 123_456_789;
        let first = plain(at, ByteOrder::Little);
        let second = plain(at + 1, ByteOrder::Big);
        scene.hear(one, Proof::Plain, &first);
        scene.hear(one, Proof::Plain, &second);
        let now = Instant::from_nanos(at + 5);
        let was_signed = signed("n1", 1, Instant::from_nanos(at + 2));
        let was_answer = answer("n1", 2, Instant::from_nanos(at + 3));
        scene.hear(one, Proof::Live, &was_answer);
        scene.hear(one, Proof::Signed, &was_signed);
        let all = [second, was_signed.clone(), was_answer];
        assert_eq!(scene.of([one], now), all, "in the order of arrival");
        assert!(scene.of([other], now).is_empty());
        // What a key does not vouch for is plain, whatever it says.
        scene.hear(other, Proof::Plain, &was_signed);
        assert_eq!(scene.of([other], now), std::slice::from_ref(&was_signed));
        scene.hear(other, Proof::Plain, &first);
        assert_eq!(scene.of([other], now), std::slice::from_ref(&was_signed), "what came later");
        let last = plain(at + 4, ByteOrder::Little);
        for datagram in [&last, &was_signed, &first] {
            scene.hear(other, Proof::Plain, datagram);
            assert_eq!(scene.of([other], now), std::slice::from_ref(&last));
        }
        assert_eq!(scene.of([one, other], now).len(), 4);
        for node in [one, other] {
            scene.remembered.forget(node);
            scene.short.remove(&node.0);
        }
        assert!(scene.of([one, other], now).is_empty());
        assert_eq!((scene.remembered.bytes, scene.remembered.plain), (0, 0));
    }

    #[test]
    fn of_what_is_too_old_an_answer_is_of_no_use() {
        let mut scene = Scene::default();
        let node = NodeId(1);
        let one = signed("n1", 1, ms(1_000));
        scene.hear(node, Proof::Plain, &plain(ms(1_000).as_nanos(), ByteOrder::Big));
        scene.hear(node, Proof::Signed, &one);
        scene.hear(node, Proof::Live, &answer("n1", 2, ms(1_000)));
        assert_eq!(scene.of([node], ms(11_000)).len(), 3);
        let old = scene.of([node], ms(11_001));
        assert_eq!(old.iter().filter(|datagram| **datagram == one).count(), 1);
        assert!(
            old.len() == 2
                && old.iter().any(|datagram| !datagram.said.as_ref().unwrap().is_signed())
        );
    }

    #[test]
    fn it_takes_no_more_than_its_bound() {
        let mut scene = Scene::default();
        let many = 100_000;
        for number in 0..many {
            let datagram = signed("n1", number.into(), ms(2_000));
            let proof = if number % 2 == 0 { Proof::Signed } else { Proof::Plain };
            scene.hear(NodeId(number), proof, &datagram);
        }
        assert!(scene.remembered.plain > 5_000);
        assert!(scene.remembered.bytes <= BYTES && scene.remembered.kept.len() > 10_000);
        assert!(scene.of([NodeId(many)], ms(2_000)).is_empty());
        // What is too old makes room.
        let young = signed("n1", 1, ms(20_000));
        scene.hear(NodeId(many), Proof::Signed, &young);
        assert_eq!(scene.of([NodeId(many)], ms(20_000)), [young]);
        assert_eq!((scene.remembered.kept.len(), scene.remembered.plain), (1, 0));
    }
}
