//! Sessions and verdicts.

use core::time::Duration;

use super::MESSAGES;
use crate::codec::encode;
use crate::message::{ByteOrder, Phase, Report};
use crate::policy::Proof;
use crate::session::{Event, SILENCE};
use crate::time::Instant;
use crate::tracker::{NodeId, Outcome, Slot, Tracker};
use crate::verdict::{Question, Verdict};

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
    /// A proven message of a node that says what it does, and when it speaks again.
    Said {
        /// Whose.
        node: u8,
        /// The number of its phase.
        phase: u8,
        /// Milliseconds.
        interval: u32,
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
    /// When its silence is over.
    end: Instant,
    /// Whether it has said that its dump is over.
    said_end: bool,
    /// Whether the end of its session is still to be told.
    open: bool,
}

impl Model {
    const UNHEARD: Self =
        Self { last: None, end: Instant::from_nanos(0), said_end: false, open: false };

    fn hear(&mut self, at: Instant, report: &Report) {
        let is_end = report.phase == Some(Phase::Finished) || report.phase == Some(Phase::Leaving);
        if self.last.is_some_and(|last| at <= last) && self.said_end {
            return;
        }
        // What lay in the queue is as old as it is: it changes nothing that came later.
        if self.last.is_some_and(|last| at < last || (at == last && !self.open)) {
            return;
        }
        let mut silence = SILENCE;
        for _ in 0..3 {
            if silence < Duration::from_millis(u64::from(report.interval.unwrap_or(0)) * 3) {
                silence = silence.saturating_mul(2);
            }
        }
        let end = at.saturating_add(silence);
        *self = Self { last: Some(at), end, said_end: is_end, open: !is_end };
    }

    fn in_crash_kernel(self, not_before: Instant, now: Instant) -> bool {
        let within = |last: Instant| last >= not_before && last <= now && now < self.end;
        self.open && self.last.is_some_and(within)
    }
}

/// Drives a [`Tracker`] beside the plainest model of it: per node, when it was last truly heard.
///
/// - "in its crash kernel" is said if and only if a true message of that very node arrived between
///   `not_before` and the question's present, less than the time of silence before the latter, and did
///   not say that the dump is over;
/// - every datagram is counted exactly once;
/// - the end of each session is told exactly once: never early, and late only by as much as the
///   times were out of order; [`Tracker::poll_timeout`] says when.
pub fn tracking(steps: &[Step]) {
    let mut tracker = Tracker::new([Slot::EMPTY; NODES], SILENCE);
    let mut models = [Model::UNHEARD; NODES];
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
            Step::Said { node, phase, interval } => {
                let (interval, phase) = (Some(interval), Some(Phase::of(phase)));
                let report = Report { proof: Proof::Live, interval, phase, ..Report::PLAIN };
                let outcome = tracker.hear(now, NodeId(node.into()), &report);
                let model = models.get_mut(usize::from(node));
                assert_eq!(matches!(outcome, Outcome::Heard { .. }), model.is_some());
                if let Some(model) = model {
                    model.hear(now, &report);
                }
                datagrams = datagrams.saturating_add(1);
            }
            Step::Wait(millis) => {
                now = now.saturating_add(Duration::from_millis(millis.into()));
                while let Some((NodeId(node), event)) = tracker.poll(now) {
                    let model = usize::try_from(node).ok().and_then(|node| models.get_mut(node));
                    let Some(model) = model else { panic!("there is no node {node}") };
                    assert!(model.open && event == Event::Finished, "node {node}: {event:?}");
                    assert!(now >= model.end, "node {node}: early");
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
        let open = models.iter().filter(|model| model.open).map(|model| model.end);
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
    if let Some(model) = model {
        model.hear(at, &Report::PLAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step() -> impl Strategy<Value = Step> {
        let node = 0..5u8;
        prop_oneof![
            (node.clone(), any::<u8>(), any::<bool>(), any::<Option<(prop::sample::Index, u8)>>())
                .prop_map(|(node, lay, short, flip)| {
                    let mut bytes = [0; 9];
                    bytes[..8].copy_from_slice(&encode(ByteOrder::Big));
                    if let Some((at, bits)) = flip {
                        bytes[at.index(8)] ^= bits;
                    }
                    Step::Datagram { node, lay, bytes, len: if short { 8 } else { 9 } }
                }),
            node.clone().prop_map(|node| Step::Message { node }),
            (node.clone(), 0..7u8, 0..120_000u32).prop_map(|(node, phase, interval)| Step::Said {
                node,
                phase,
                interval
            }),
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
        fn the_tracker_agrees_with_the_plainest_model(
            steps in prop::collection::vec(step(), 0..200)
        ) {
            tracking(&steps);
        }
    }
}
