//! All nodes' sessions, beside each other.

use super::*;
use crate::codec::encode;
use crate::message::{ByteOrder, Progress};
use crate::session::{SILENCE, State};

fn s(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn hear(tracker: &mut Tracker<impl AsRef<[Slot]> + AsMut<[Slot]>>, at: u64, node: u32) {
    let outcome =
        tracker.handle(s(at), &encode(ByteOrder::Big), |_| Ok((NodeId(node), Proof::Plain)));
    assert!(matches!(outcome, Outcome::Heard { .. }), "{outcome:?}");
}

#[test]
fn a_slot_is_small() {
    assert!(size_of::<Slot>() <= 64, "{}", size_of::<Slot>());
}

#[test]
fn sessions_finish_in_the_order_in_which_they_were_last_heard() {
    let mut slots = [Slot::EMPTY; 4];
    let mut tracker = Tracker::new(&mut slots[..], SILENCE);
    for (at, node) in [(1, 0), (2, 1), (3, 2), (4, 0), (5, 3), (6, 2)] {
        hear(&mut tracker, at, node);
    }
    assert_eq!(tracker.poll_timeout(), Some(s(32)));
    assert_eq!(tracker.poll(s(31)), None);
    let finished: Vec<u32> = std::iter::from_fn(|| tracker.poll(s(100)))
        .map(|(node, event)| {
            assert_eq!(event, Event::Finished);
            node.0
        })
        .collect();
    assert_eq!(finished, [1, 0, 3, 2]);
    assert_eq!(tracker.poll_timeout(), None);
    hear(&mut tracker, 101, 1);
    assert_eq!(tracker.poll_timeout(), Some(s(131)));
}

#[test]
fn sessions_from_before_go_on() {
    let mut tracker = Tracker::new([Slot::EMPTY; 4], SILENCE);
    let earlier = Earlier {
        first: s(1),
        last: s(5),
        messages: 3,
        proof: Proof::Plain,
        phase: None,
        progress: Progress::default(),
    };
    hear(&mut tracker, 1000, 2);
    assert!(tracker.resume(NodeId(0), &earlier, s(1001), Some(SILENCE)));
    assert!(tracker.resume(NodeId(1), &earlier, s(1001), None));
    assert!(!tracker.resume(NodeId(2), &earlier, s(1001), Some(SILENCE)), "it was heard");
    assert!(tracker.resume(NodeId(3), &earlier, s(1001), Some(SILENCE * 2)));
    assert!(!tracker.resume(NodeId(4), &earlier, s(1001), Some(SILENCE)), "no such node");
    let state = |tracker: &Tracker<_>, node| tracker.session(NodeId(node)).unwrap().state(s(1002));
    assert_eq!((state(&tracker, 0), state(&tracker, 1)), (State::Dumping, State::Finished));
    let question = Question { not_before: s(900), now: s(1002) };
    assert!(matches!(tracker.verdict(NodeId(0), question), Verdict::NotKnown(_)), "no evidence");
    assert_eq!(tracker.poll_timeout(), Some(s(1030)));
    hear(&mut tracker, 1010, 0);
    assert_eq!(tracker.session(NodeId(0)).unwrap().first_heard(), Some(s(1)));
    let ends = std::iter::from_fn(|| tracker.poll(s(9999))).map(|(node, _)| node.0);
    assert_eq!(ends.collect::<Vec<_>>(), [2, 0, 3]);
}

#[test]
fn nodes_come_and_go() {
    let mut tracker = Tracker::new(vec![Slot::EMPTY; 2], SILENCE);
    for (at, node) in [(1, 0), (2, 1)] {
        hear(&mut tracker, at, node);
    }
    tracker.grow(|slots| slots.resize(3, Slot::EMPTY));
    hear(&mut tracker, 3, 2);
    assert_eq!(tracker.counters().heard(), 3);
    tracker.forget(NodeId(1));
    tracker.forget(NodeId(9));
    assert_eq!(tracker.session(NodeId(1)), Some(&Session::UNHEARD));
    let finished: Vec<_> = std::iter::from_fn(|| tracker.poll(s(100))).collect();
    assert_eq!(finished, [(NodeId(0), Event::Finished), (NodeId(2), Event::Finished)]);
}

#[test]
fn nothing_is_stored_for_strangers() {
    let mut tracker = Tracker::new([Slot::EMPTY; 1], SILENCE);
    let message = encode(ByteOrder::NATIVE);
    let nobody = Err(Disbelief::Stranger);
    for stranger in [nobody, Ok(NodeId(1)), Ok(NodeId(u32::MAX))] {
        let whose = stranger.map(|node| (node, Proof::Live));
        assert_eq!(
            tracker.handle(s(1), &message, |_| whose),
            Outcome::Disbelieved(Disbelief::Stranger)
        );
    }
    let refused = tracker.handle(s(1), &[], |_| unreachable!("no message, nobody's"));
    assert_eq!(refused, Outcome::Refused(DecodeError::Empty));
    assert_eq!(tracker.session(NodeId(0)).map(|node| node.state(s(1))), Some(State::Unheard));
    let counters = *tracker.counters();
    let (strangers, empty) =
        (counters.disbelieved(Disbelief::Stranger), counters.refused(DecodeError::Empty));
    assert_eq!((strangers, empty, counters.total()), (3, 1, 4));
    assert_eq!(counters.refused(DecodeError::BadNodeName), 0);
    assert_eq!(tracker.poll_timeout(), None);
}

/// What was written down by a clock that was ahead of this one holds nothing up: the node is heard, and
/// what it says counts.
#[test]
fn a_memory_from_the_future_hides_no_message() {
    let earlier = Earlier {
        first: s(5000),
        last: s(9000),
        messages: 7,
        proof: Proof::Live,
        phase: None,
        progress: crate::message::Progress::default(),
    };
    // While the session is expected to go on, and after.
    for at in [1010, 2000] {
        let mut tracker = Tracker::new([Slot::EMPTY], SILENCE);
        assert!(tracker.resume(NodeId(0), &earlier, s(1000), Some(SILENCE)));
        let question = Question { not_before: s(1001), now: s(at) };
        let said = |phase| Report { proof: Proof::Live, phase, ..Report::PLAIN };
        let _ = tracker.hear(s(at), NodeId(0), &said(None));
        assert!(matches!(tracker.verdict(NodeId(0), question), Verdict::InCrashKernel(_)));
        let _ = tracker.hear(s(at), NodeId(0), &said(Some(crate::message::Phase::Leaving)));
        let verdict = tracker.verdict(NodeId(0), question);
        assert!(matches!(verdict, Verdict::NotKnown(_)), "it said so");
    }
}
