//! One node's dump, step by step.

use super::*;

const HELLO: Report = Report::PLAIN;

fn says(phase: Phase) -> Report {
    Report { proof: Proof::Signed, phase: Some(phase), ..Report::PLAIN }
}

fn s(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn a_dump_from_the_first_message_to_the_reboot() {
    let mut session = Session::new();
    assert_eq!(session.state(s(0)), State::Unheard);
    assert_eq!(session.deadline(), None);
    assert_eq!(session.hear(s(10), &HELLO, SILENCE), Event::Started);
    assert_eq!(session.hear(s(20), &HELLO, SILENCE), Event::Dumping);
    assert_eq!(session.hear(s(30), &HELLO, SILENCE), Event::Heard);
    assert_eq!(session.deadline(), Some(s(60)));
    assert_eq!(session.tick(s(59)), None);
    assert_eq!(session.state(s(59)), State::Dumping);
    assert_eq!(session.state(s(60)), State::Finished);
    assert_eq!(session.tick(s(60)), Some(Event::Finished));
    assert_eq!(session.tick(s(61)), None, "told once");
    assert_eq!((session.first_heard(), session.last_heard()), (Some(s(10)), Some(s(30))));
    assert_eq!(session.messages(), 3);
}

#[test]
fn a_message_after_a_silence_begins_anew_without_a_tick() {
    let mut session = Session::new();
    session.hear(s(10), &HELLO, SILENCE);
    session.hear(s(20), &HELLO, SILENCE);
    assert_eq!(session.hear(s(50), &HELLO, SILENCE), Event::Started);
    assert_eq!((session.first_heard(), session.messages()), (Some(s(50)), 1));
}

#[test]
fn a_session_never_moves_backwards() {
    let mut session = Session::new();
    session.hear(s(20), &HELLO, SILENCE);
    assert_eq!(session.hear(s(10), &HELLO, SILENCE), Event::Dumping);
    assert_eq!((session.last_heard(), session.deadline()), (Some(s(20)), Some(s(50))));
}

#[test]
fn a_message_that_is_handed_in_late_counts_when_it_arrived() {
    let mut session = Session::new();
    session.hear(s(20), &HELLO, SILENCE);
    assert_eq!(session.tick(s(50)), Some(Event::Finished));
    assert_eq!(session.hear(s(15), &HELLO, SILENCE), Event::Heard);
    assert_eq!(session.state(s(50)), State::Finished, "an older message revives nothing");
    assert_eq!(session.tick(s(51)), None, "the end is told once");
    assert_eq!(session.hear(s(30), &HELLO, SILENCE), Event::Dumping, "it was no end");
    assert_eq!((session.first_heard(), session.last_heard()), (Some(s(20)), Some(s(30))));
    assert_eq!((session.state(s(59)), session.messages()), (State::Dumping, 3));
    assert_eq!(session.tick(s(60)), Some(Event::Finished));
    assert_eq!(session.hear(s(60), &HELLO, SILENCE), Event::Started);
    assert_eq!((session.first_heard(), session.messages()), (Some(s(60)), 1));
}

#[test]
fn what_the_node_says_of_itself_counts_when_it_is_proven() {
    let mut session = Session::new();
    let unproven = Report { proof: Proof::Plain, ..says(Phase::Leaving) };
    assert_eq!(session.hear(s(1), &unproven, SILENCE), Event::Started);
    assert_eq!((session.phase(), session.proof()), (None, Some(Proof::Plain)));
    assert_eq!(session.hear(s(2), &says(Phase::Booted), SILENCE), Event::Dumping);
    let phase = says(Phase::Dumping);
    let half = Report { progress: Progress { done: 1, total: 2 }, ..phase };
    assert_eq!(session.hear(s(3), &half, SILENCE), Event::Phase(Phase::Dumping));
    assert_eq!(session.hear(s(4), &half, SILENCE), Event::Heard);
    assert_eq!(session.progress(), Progress { done: 1, total: 2 });
    assert_eq!((session.phase(), session.proof()), (phase.phase, Some(Proof::Signed)));
}

#[test]
fn a_session_ends_when_the_node_says_so() {
    for end in [Phase::Finished, Phase::Leaving] {
        let mut session = Session::new();
        session.hear(s(1), &says(Phase::Dumping), SILENCE);
        assert_eq!(session.hear(s(5), &says(end), SILENCE), Event::Finished);
        assert_eq!((session.state(s(5)), session.deadline()), (State::Finished, None));
        assert_eq!(session.tick(s(99)), None, "it was told");
        assert_eq!(session.hear(s(4), &says(Phase::Dumping), SILENCE), Event::Heard);
        assert_eq!(session.hear(s(6), &says(Phase::Leaving), SILENCE), Event::Heard);
        assert_eq!((session.state(s(6)), session.messages()), (State::Finished, 4));
        assert_eq!(session.hear(s(7), &says(Phase::Booted), SILENCE), Event::Started);
        assert_eq!(session.phase(), Some(Phase::Booted), "a new crash");
    }
    let mut session = Session::new();
    assert_eq!(session.hear(s(1), &says(Phase::Leaving), SILENCE), Event::Finished);
    assert_eq!(session.state(s(1)), State::Finished, "the only message that came");
}

#[test]
fn one_from_before_goes_on_unless_nothing_more_is_heard() {
    let mut session = Session::new();
    session.hear(s(10), &says(Phase::Dumping), SILENCE);
    session.hear(s(20), &says(Phase::Dumping), SILENCE);
    let earlier = Earlier {
        first: s(10),
        last: s(20),
        messages: 2,
        proof: Proof::Signed,
        phase: Some(Phase::Dumping),
        progress: Progress::default(),
    };
    let resumed = Session::resumed(&earlier, s(50));
    let source = Source::written(Proof::Signed);
    assert_eq!(resumed, Session { source, ..session }, "as it was");
    let mut resumed = Session::resumed(&earlier, s(1030));
    assert_eq!(resumed.state(s(1029)), State::Dumping);
    assert_eq!(resumed.hear(s(1029), &says(Phase::Dumping), SILENCE), Event::Heard);
    assert_eq!((resumed.first_heard(), resumed.messages()), (Some(s(10)), 3));
    let mut resumed = Session::resumed(&earlier, s(1030));
    assert_eq!(resumed.tick(s(1030)), Some(Event::Finished));
    let once = Earlier { messages: 0, ..earlier };
    assert_eq!(Session::resumed(&once, s(50)).state(s(20)), State::Started);
    let left = Earlier { phase: Some(Phase::Leaving), ..earlier };
    let mut ended = Session::resumed(&left, s(50));
    assert_eq!(ended.deadline(), None);
    assert_eq!(ended.hear(s(30), &says(Phase::Booted), SILENCE), Event::Started);
    let mut over = Session::over(&earlier);
    assert_eq!((over.state(s(20)), over.tick(s(99))), (State::Finished, None));
    assert_eq!(over.hear(s(30), &HELLO, SILENCE), Event::Started);
}

/// The clock by which it was written down may have been another one.
#[test]
fn what_is_heard_is_newer_than_what_was_written_down() {
    let earlier = Earlier {
        first: s(100),
        last: s(25),
        messages: 2,
        proof: Proof::Signed,
        phase: Some(Phase::Dumping),
        progress: Progress::default(),
    };
    for before in [Session::over(&earlier), Session::resumed(&earlier, s(130))] {
        assert!(before.is_written());
        let mut session = before;
        assert_eq!(session.hear(s(99), &says(Phase::Leaving), SILENCE), Event::Finished);
        assert_eq!((session.state(s(99)), session.is_written()), (State::Finished, false));
        let mut session = before;
        session.hear(s(99), &says(Phase::Dumping), SILENCE);
        assert_eq!((session.first_heard(), session.last_heard()), (Some(s(99)), Some(s(99))));
    }
}

#[test]
fn how_far_it_was_proven_is_known_whether_heard_or_written() {
    for proof in [Proof::Plain, Proof::Signed, Proof::Live] {
        for (source, is_written) in [(Source::heard(proof), false), (Source::written(proof), true)]
        {
            assert_eq!((source.proof(), source.is_written()), (proof, is_written));
        }
    }
}

#[test]
fn the_latest_promise_counts() {
    let mut session = Session::new();
    session.hear(s(1), &HELLO, 2 * SILENCE);
    assert_eq!(session.deadline(), Some(s(61)));
    session.hear(s(2), &HELLO, SILENCE);
    assert_eq!(session.deadline(), Some(s(32)));
    session.hear(s(1), &HELLO, 2 * SILENCE);
    assert_eq!(session.deadline(), Some(s(61)), "handed in late");
}

/// Of the session that it ends, nothing else was heard.
#[test]
fn an_end_after_a_silence_is_of_a_session_of_its_own() {
    let mut session = Session::new();
    session.hear(s(1), &HELLO, SILENCE);
    assert_eq!(session.tick(s(31)), Some(Event::Finished));
    assert_eq!(session.hear(s(99), &says(Phase::Leaving), SILENCE), Event::Finished);
    assert_eq!((session.first_heard(), session.messages()), (Some(s(99)), 1));
}

#[test]
fn without_patience_each_message_is_a_session_of_its_own() {
    let mut session = Session::new();
    for _ in 0..2 {
        assert_eq!(session.hear(s(1), &HELLO, Duration::ZERO), Event::Started);
    }
}
