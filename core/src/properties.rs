//! What must always hold, as functions that panic when it does not.
//!
//! One home for the properties: proptest draws their inputs at random, the fuzz targets search for
//! inputs that break them, and a model checker can walk through all of them.
#![cfg_attr(not(test), expect(clippy::panic, reason = "a broken property is reported by a panic"))]

use core::time::Duration;

use crate::codec::{DecodeError, decode, encode};
use crate::message::ByteOrder;
use crate::session::SILENCE;
use crate::time::Instant;
use crate::tracker::{NodeId, Outcome, Slot, Tracker};
use crate::verdict::{Question, Verdict};

/// The two messages that exist, spelled out once more so that [`decoding`] has a second opinion.
const MESSAGES: [(ByteOrder, [u8; 8]); 2] = [
    (ByteOrder::Little, [0x40, 0x2a, 0x30, 0x1b, 0x01, 0x00, 0x00, 0x00]),
    (ByteOrder::Big, [0x1b, 0x30, 0x2a, 0x40, 0x00, 0x00, 0x00, 0x01]),
];

/// Every byte string is one of the two messages or has exactly one cause of refusal; what was
/// decoded encodes to the bytes that it was decoded from.
pub fn decoding(bytes: &[u8]) {
    let known = |len: usize| {
        MESSAGES.iter().any(|(_, message)| {
            bytes.get(..len).is_some_and(|head| Some(head) == message.get(..len))
        })
    };
    match decode(bytes) {
        Ok(message) => {
            assert_eq!(bytes, encode(message.byte_order));
            assert!(MESSAGES.contains(&(message.byte_order, encode(message.byte_order))));
        }
        Err(DecodeError::Empty) => assert!(bytes.is_empty()),
        Err(DecodeError::Truncated { len }) => {
            assert!(len == bytes.len() && (1..8).contains(&len));
        }
        Err(DecodeError::BadMagic { found }) => {
            assert!(bytes.len() >= 8 && bytes.starts_with(&found.to_le_bytes()) && !known(4));
        }
        Err(DecodeError::UnsupportedVersion { version }) => {
            assert!(version != 1 && bytes.len() >= 8 && known(4) && !known(8));
        }
        Err(DecodeError::TrailingBytes { extra }) => {
            assert!(extra > 0 && bytes.len().checked_sub(8) == Some(extra) && known(8));
        }
    }
}

/// How many nodes [`tracking`] has.
pub const NODES: usize = 4;

/// One step in the life of a tracker.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Step {
    /// A datagram of a node, or of a stranger when there are fewer nodes.
    Datagram {
        /// Whose.
        node: u8,
        /// How long it lay in the socket before it was read, in milliseconds.
        lay: u8,
        /// Its bytes.
        bytes: [u8; 9],
        /// How many of its bytes there are.
        len: u8,
    },
    /// A true message of a node.
    Message {
        /// Whose.
        node: u8,
    },
    /// Time passes, in milliseconds.
    Wait(u16),
    /// Is this node in its crash kernel?
    Ask {
        /// Which.
        node: u8,
        /// How long ago the question's `not_before` was, in milliseconds.
        since: u16,
    },
}

/// Drives a [`Tracker`] beside the plainest model of it: per node, when it was last truly heard.
///
/// - "in its crash kernel" is said if and only if a true message of that very node arrived at or
///   after `not_before` and no longer than [`SILENCE`] ago;
/// - every datagram is counted exactly once;
/// - each session that was heard finishes once, at its time, and [`Tracker::poll_timeout`] says
///   when.
pub fn tracking(steps: &[Step]) {
    let mut tracker = Tracker::new([Slot::EMPTY; NODES], SILENCE);
    let mut heard: [Option<Instant>; NODES] = [None; NODES];
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut datagrams: u64 = 0;
    for step in steps {
        match *step {
            Step::Datagram { node, lay, bytes, len } => {
                let bytes = bytes.get(..usize::from(len)).unwrap_or(&bytes);
                let at = now.saturating_sub(Duration::from_millis(lay.into()));
                datagram(&mut tracker, &mut heard, at, node, bytes);
                datagrams = datagrams.saturating_add(1);
            }
            Step::Message { node } => {
                datagram(&mut tracker, &mut heard, now, node, &encode(ByteOrder::Little));
                datagrams = datagrams.saturating_add(1);
            }
            Step::Wait(millis) => {
                now = now.saturating_add(Duration::from_millis(millis.into()));
                while let Some((NodeId(node), _)) = tracker.poll(now) {
                    let last = usize::try_from(node).ok().and_then(|node| heard.get(node).copied());
                    let Some(Some(last)) = last else { panic!("node {node} was never heard") };
                    assert!(now >= last.saturating_add(SILENCE), "node {node} finished early");
                }
            }
            Step::Ask { node, since } => {
                let not_before = now.saturating_sub(Duration::from_millis(since.into()));
                let question = Question { not_before, now };
                let expected = heard.get(usize::from(node)).copied().flatten().is_some_and(|at| {
                    at >= not_before && at <= now && now < at.saturating_add(SILENCE)
                });
                let said = match tracker.verdict(NodeId(node.into()), question) {
                    Verdict::InCrashKernel(evidence) => {
                        assert!(evidence.heard_at >= not_before && evidence.heard_at <= now);
                        true
                    }
                    Verdict::NotKnown(_) => false,
                };
                assert_eq!(said, expected, "node {node}, since {since} ms");
            }
        }
        assert_eq!(tracker.counters().total(), datagrams);
        let waiting = heard.iter().flatten().any(|at| now < at.saturating_add(SILENCE));
        assert!(!waiting || tracker.poll_timeout().is_some(), "a session would never finish");
    }
}

fn datagram(
    tracker: &mut Tracker<[Slot; NODES]>,
    heard: &mut [Option<Instant>; NODES],
    at: Instant,
    node: u8,
    bytes: &[u8],
) {
    let outcome = tracker.handle(at, bytes, |_| Some(NodeId(node.into())));
    let true_message = MESSAGES.iter().any(|(_, message)| bytes == message);
    let slot = heard.get_mut(usize::from(node)).filter(|_| true_message);
    assert_eq!(matches!(outcome, Outcome::Heard { .. }), slot.is_some());
    if let Some(last) = slot {
        // A message after a silence begins anew; within a session the latest arrival counts.
        *last = Some(last.map_or(at, |last| last.max(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
        let message = prop_oneof![Just(encode(ByteOrder::Little)), Just(encode(ByteOrder::Big))];
        (message, any::<Option<(prop::sample::Index, u8)>>(), 0..=8usize, 0..3usize).prop_map(
            |(message, flip, keep, extra)| {
                let mut bytes = message.to_vec();
                if let Some((at, bits)) = flip {
                    bytes[at.index(8)] ^= bits;
                }
                bytes.truncate(keep);
                bytes.extend(std::iter::repeat_n(0, extra));
                bytes
            },
        )
    }

    fn step() -> impl Strategy<Value = Step> {
        let node = 0..5u8;
        prop_oneof![
            (node.clone(), any::<u8>(), nearly_a_message()).prop_map(|(node, lay, near)| {
                let mut bytes = [0; 9];
                let len = near.len().min(9);
                bytes[..len].copy_from_slice(&near[..len]);
                Step::Datagram { node, lay, bytes, len: u8::try_from(len).unwrap_or(9) }
            }),
            node.clone().prop_map(|node| Step::Message { node }),
            any::<u16>().prop_map(Step::Wait),
            (node, any::<u16>()).prop_map(|(node, since)| Step::Ask { node, since }),
        ]
    }

    proptest! {
        #[test]
        fn decoding_is_total_and_exact(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            decoding(&bytes);
        }

        #[test]
        fn decoding_is_exact_near_a_message(bytes in nearly_a_message()) {
            decoding(&bytes);
        }

        #[test]
        fn the_tracker_agrees_with_the_plainest_model(
            steps in prop::collection::vec(step(), 0..200)
        ) {
            tracking(&steps);
        }
    }
}
