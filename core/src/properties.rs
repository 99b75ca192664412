//! What must always hold, as functions that panic when it does not.
//!
//! One home for the properties: proptest draws their inputs at random, the fuzz targets search for
//! inputs that break them, and a model checker can walk through all of them.
#![cfg_attr(not(test), expect(clippy::panic, reason = "a broken property is reported by a panic"))]

use core::time::Duration;

use crate::auth::Key;
use crate::codec::{DecodeError, decode, encode, encode_extended, sign};
use crate::message::{ByteOrder, Datagram, Extension, Message};
use crate::policy::Proof;
use crate::session::{Event, SILENCE};
use crate::time::Instant;
use crate::tracker::{NodeId, Outcome, Slot, Tracker};
use crate::verdict::{Question, Verdict};

/// The two messages that exist, spelled out once more so that [`decoding`] has a second opinion.
const MESSAGES: [(ByteOrder, [u8; 8]); 2] = [
    (ByteOrder::Little, [0x40, 0x2a, 0x30, 0x1b, 0x01, 0x00, 0x00, 0x00]),
    (ByteOrder::Big, [0x1b, 0x30, 0x2a, 0x40, 0x00, 0x00, 0x00, 0x01]),
];

/// Every byte string is a message or has exactly one cause of refusal. A plain message encodes to the
/// bytes that it was decoded from; one with an extension says the same when it is written anew and read
/// again.
pub fn decoding(bytes: &[u8]) {
    let known = |len: usize| {
        MESSAGES.iter().any(|(_, message)| {
            bytes.get(..len).is_some_and(|head| Some(head) == message.get(..len))
        })
    };
    match decode(bytes) {
        Ok(message) => {
            assert!(bytes.starts_with(&encode(message.byte_order)));
            assert!(MESSAGES.contains(&(message.byte_order, encode(message.byte_order))));
            match message.extension {
                None => assert_eq!(bytes.len(), 8),
                Some(extension) => rewriting(bytes, &message, &extension),
            }
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
            assert!(bytes.get(8..12) != Some(b"KDX1"));
        }
        Err(DecodeError::TooLong { len }) => assert!(len == bytes.len() && len > 508),
        Err(_) => {
            assert!(known(8) && bytes.get(8..12) == Some(b"KDX1"));
            assert!((14..=508).contains(&bytes.len()) || bytes.len() == 13);
        }
    }
}

fn rewriting(bytes: &[u8], message: &Message<'_>, extension: &Extension<'_>) {
    assert!((12..=508).contains(&bytes.len()));
    let key = Key::from_bytes(&[0x5a; 32]);
    let mut anew = Datagram::new();
    assert_eq!(encode_extended(message.byte_order, extension, &mut anew), Ok(()));
    let unsigned = decode(&anew).map(|message| (message.extension, message.signed()));
    assert_eq!(unsigned, Ok((Some(*extension), None)));
    let signed = sign(message.byte_order, extension, &key, &mut anew);
    assert!(message.signed().is_none() || signed.is_ok(), "a signed message has all it needs");
    if signed.is_ok() {
        let Ok(again) = decode(&anew) else { panic!("{anew:?} is no message") };
        assert_eq!(again.extension, Some(*extension));
        assert!(again.signed().is_some_and(|signed| signed.verify(&key)));
    }
    if let Some(signed) = message.signed() {
        assert!(!signed.verify(&key), "nobody guesses a MAC");
    }
}

/// A signed message is refused or disbelieved as soon as a bit of it is flipped, or it is cut or longer.
pub fn signing(extension: &Extension<'_>, order: ByteOrder, bit: usize, len: usize) {
    let key = Key::from_bytes(&[0xa5; 32]);
    let mut datagram = Datagram::new();
    if sign(order, extension, &key, &mut datagram).is_err() {
        return;
    }
    let is_true = |bytes: &[u8]| {
        decode(bytes).is_ok_and(|m| m.signed().is_some_and(|signed| signed.verify(&key)))
    };
    assert!(is_true(&datagram));
    let mut flipped = datagram.clone();
    let (byte, mask) = (bit / 8, 1_u8 << (bit % 8));
    if let Some(byte) = flipped.get_mut(byte) {
        *byte ^= mask;
        assert!(!is_true(&flipped), "bit {bit} of {datagram:?}");
    }
    let mut other_length = datagram.clone();
    if len != datagram.len() && other_length.resize(len, 0).is_ok() {
        assert!(!is_true(&other_length), "{len} bytes of {datagram:?}");
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
        /// How long before the question's present its `not_before` was, in milliseconds.
        since: u16,
        /// How long ago the question's present was, in milliseconds.
        ago: u8,
    },
}

/// How late a session may be told to have finished: as much as times may be out of order, which is
/// the longest that a [`Step::Datagram`] lies in the socket.
const DISORDER: Duration = Duration::from_millis(u8::MAX as u64);

/// What the plainest model knows of one node.
#[derive(Debug, Clone, Copy)]
struct Model {
    /// When the latest true message arrived.
    last: Option<Instant>,
    /// Whether the end of its session is still to be told.
    open: bool,
}

impl Model {
    fn end(self) -> Option<Instant> {
        self.last.map(|last| last.saturating_add(SILENCE))
    }

    fn in_crash_kernel(self, not_before: Instant, now: Instant) -> bool {
        let within =
            |last: Instant| last >= not_before && last <= now && now < last.saturating_add(SILENCE);
        self.open && self.last.is_some_and(within)
    }
}

/// Drives a [`Tracker`] beside the plainest model of it: per node, when it was last truly heard.
///
/// - "in its crash kernel" is said if and only if a true message of that very node arrived between
///   `not_before` and the question's present, and less than [`SILENCE`] before the latter;
/// - every datagram is counted exactly once;
/// - the end of each session is told exactly once: never early, and late only by as much as the
///   times were out of order; [`Tracker::poll_timeout`] says when.
pub fn tracking(steps: &[Step]) {
    let mut tracker = Tracker::new([Slot::EMPTY; NODES], SILENCE);
    let mut models = [Model { last: None, open: false }; NODES];
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut datagrams: u64 = 0;
    for step in steps {
        match *step {
            Step::Datagram { node, lay, bytes, len } => {
                let bytes = bytes.get(..usize::from(len)).unwrap_or(&bytes);
                let at = now.saturating_sub(Duration::from_millis(lay.into()));
                datagram(&mut tracker, &mut models, at, node, bytes);
                datagrams = datagrams.saturating_add(1);
            }
            Step::Message { node } => {
                datagram(&mut tracker, &mut models, now, node, &encode(ByteOrder::Little));
                datagrams = datagrams.saturating_add(1);
            }
            Step::Wait(millis) => {
                now = now.saturating_add(Duration::from_millis(millis.into()));
                while let Some((NodeId(node), event)) = tracker.poll(now) {
                    let model = usize::try_from(node).ok().and_then(|node| models.get_mut(node));
                    let Some(model) = model else { panic!("there is no node {node}") };
                    assert!(model.open && event == Event::Finished, "node {node}: {event:?}");
                    assert!(model.end().is_some_and(|end| now >= end), "node {node}: early");
                    model.open = false;
                }
            }
            Step::Ask { node, since, ago } => {
                let asked = now.saturating_sub(Duration::from_millis(ago.into()));
                let not_before = asked.saturating_sub(Duration::from_millis(since.into()));
                let question = Question { not_before, now: asked };
                let model = models.get(usize::from(node));
                let expected = model.is_some_and(|model| model.in_crash_kernel(not_before, asked));
                let said = match tracker.verdict(NodeId(node.into()), question) {
                    Verdict::InCrashKernel(evidence) => {
                        assert!(evidence.heard_at >= not_before && evidence.heard_at <= asked);
                        true
                    }
                    Verdict::NotKnown(_) => false,
                };
                assert_eq!(said, expected, "node {node}, since {since} ms, {ago} ms ago");
            }
        }
        assert_eq!(tracker.counters().total(), datagrams);
        let open = models.iter().filter(|model| model.open).filter_map(|model| model.end());
        match (open.min(), tracker.poll_timeout()) {
            (None, None) => {}
            (Some(end), Some(told)) => {
                assert!(told >= end && told <= end.saturating_add(DISORDER), "{told:?}, {end:?}");
                let waited = matches!(step, Step::Wait(_));
                assert!(!waited || now < end.saturating_add(DISORDER), "an end was not told");
            }
            (end, told) => panic!("the next end is at {end:?}, said was {told:?}"),
        }
    }
}

fn datagram(
    tracker: &mut Tracker<[Slot; NODES]>,
    models: &mut [Model; NODES],
    at: Instant,
    node: u8,
    bytes: &[u8],
) {
    let outcome = tracker.handle(at, bytes, |_| Ok((NodeId(node.into()), Proof::Plain)));
    let true_message = MESSAGES.iter().any(|(_, message)| bytes == message);
    let model = models.get_mut(usize::from(node)).filter(|_| true_message);
    assert_eq!(matches!(outcome, Outcome::Heard { .. }), model.is_some());
    let Some(model) = model else { return };
    if model.last.is_none_or(|last| at > last) {
        *model = Model { last: Some(at), open: true };
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
            (node, any::<u16>(), any::<u8>()).prop_map(|(node, since, ago)| Step::Ask {
                node,
                since,
                ago
            }),
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
