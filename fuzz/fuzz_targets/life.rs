//! Any life of a receiver with a few nodes: what it resumes, forgets and makes room for, beside what it
//! hears; and whatever it tells people has words.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use fence_kdump_core::session::SILENCE;
use fence_kdump_core::{
    ByteOrder, Datagram, Disbelief, Earlier, Extension, Instant, NodeId, Outcome, Phase, Policy,
    Progress, Proof, Question, Session, Slot, State, Tracker, Verdict, decode, encode_extended,
    max_age,
};

#[derive(Arbitrary, Debug)]
enum Step {
    Datagram {
        node: u8,
        policy: u8,
        proof: u8,
        lay: u16,
        bytes: Vec<u8>,
    },
    /// A message that says something, and how far that is proven.
    Said {
        node: u8,
        proof: u8,
        phase: Option<u8>,
        interval: Option<u32>,
        done: Option<u64>,
        lay: u16,
    },
    Wait(u16),
    Resume {
        node: u8,
        first: u32,
        last: u32,
        messages: u32,
        phase: Option<u8>,
        silence: Option<u32>,
    },
    Forget(u8),
    Grow(u8),
    Ask {
        node: u8,
        started: u32,
        age: u16,
    },
    Word(u8, String),
    Cause(u8),
}

const PROOFS: [Proof; 3] = [Proof::Plain, Proof::Signed, Proof::Live];
const POLICIES: [Policy; 3] = [Policy::Plain, Policy::Signed, Policy::Live];

fn ms(milliseconds: u32) -> Instant {
    Instant::from_nanos(u64::from(milliseconds) * 1_000_000)
}

libfuzzer_sys::fuzz_target!(|steps: Vec<Step>| {
    let mut tracker = Tracker::new(vec![Slot::default(); 2], SILENCE);
    let mut nodes = 2;
    let mut now = ms(1_000_000);
    let mut datagrams = 0;
    for step in steps {
        match step {
            Step::Datagram { node, policy, proof, lay, bytes } => {
                let at = now.saturating_sub(Duration::from_millis(lay.into()));
                let proof = PROOFS[usize::from(proof) % 3];
                let policy = POLICIES[usize::from(policy) % 3];
                let outcome = tracker.handle(at, &bytes, |message| {
                    assert!(message.signed().is_none() || message.extension.is_some());
                    Ok((NodeId(node.into()), policy.admit(proof)?))
                });
                datagrams += 1;
                match outcome {
                    Outcome::Heard { node: NodeId(heard), .. } => {
                        assert!(heard == u32::from(node) && heard < nodes && proof >= PROOFS[0]);
                        assert!(policy.admit(proof).is_ok() && decode(&bytes).is_ok());
                        assert!(
                            max_age(&decode(&bytes).expect("it was heard"))
                                <= Duration::from_secs(10)
                        );
                    }
                    Outcome::Disbelieved(Disbelief::Stranger) => assert!(u32::from(node) >= nodes),
                    Outcome::Disbelieved(cause) => {
                        assert!(policy.admit(proof) == Err(cause) && cause.to_string().len() > 9);
                        assert!(tracker.counters().disbelieved(cause) > 0);
                    }
                    Outcome::Refused(error) => {
                        assert!(
                            error.to_string().contains(' ')
                                && tracker.counters().refused(error) > 0
                        );
                    }
                }
            }
            Step::Said { node, proof, phase, interval, done, lay } => {
                let at = now.saturating_sub(Duration::from_millis(lay.into()));
                let progress = done.map(|done| Progress { done, total: 7 });
                let phase = phase.map(Phase::of);
                let extension = Extension { phase, interval, progress, ..Extension::default() };
                let mut datagram = Datagram::new();
                let written = encode_extended(ByteOrder::Big, &extension, &mut datagram);
                assert_eq!(written, Ok(()));
                let proof = PROOFS[usize::from(proof) % 3];
                let node = NodeId(node.into());
                let outcome = tracker.handle(at, &datagram, |_| Ok((node, proof)));
                datagrams += 1;
                let heard = tracker.counters().heard();
                let Some(session) = tracker.session(node) else { continue };
                assert!(matches!(outcome, Outcome::Heard { .. }) && heard > 0);
                assert!(session.last_heard() >= Some(at) && session.messages() > 0);
                let is_end = phase.is_some_and(Phase::is_end) && proof != Proof::Plain;
                if is_end && session.last_heard() == Some(at) {
                    assert_eq!(session.state(at), State::Finished, "it said so");
                }
                let age = max_age(&decode(&datagram).expect("it was heard"));
                assert_eq!(age.is_zero(), phase.is_some_and(Phase::is_end));
            }
            Step::Cause(which) => {
                let cause = Disbelief::ALL[usize::from(which) % Disbelief::ALL.len()];
                let before = tracker.counters().disbelieved(cause);
                assert_eq!(tracker.disbelieve(cause), Outcome::Disbelieved(cause));
                assert_eq!(tracker.counters().disbelieved(cause), before + 1);
                assert!(cause.to_string().len() > cause.cause().len());
                datagrams += 1;
            }
            Step::Wait(millis) => {
                now = now.saturating_add(Duration::from_millis(millis.into()));
                while let Some((node, _)) = tracker.poll(now) {
                    let session = tracker.session(node).expect("it was told");
                    assert_eq!(session.state(now), State::Finished);
                }
                assert!(tracker.poll_timeout().is_none_or(|next| next > now));
            }
            Step::Resume { node, first, last, messages, phase, silence } => {
                let id = NodeId(node.into());
                let before = tracker.session(id).map(Session::messages);
                let earlier = Earlier {
                    first: ms(first),
                    last: ms(last),
                    messages,
                    proof: Proof::Signed,
                    phase: phase.map(Phase::of),
                    progress: Progress { done: 1, total: 2 },
                };
                let silence = silence.map(|silence| Duration::from_millis(silence.into()));
                let done = tracker.resume(id, &earlier, now, silence);
                assert_eq!(done, before == Some(0));
                if let Some(session) = tracker.session(id).filter(|_| done) {
                    assert!(
                        session.messages() > 0 && session.first_heard() <= session.last_heard()
                    );
                    assert!(
                        session.progress().total == 2 && session.phase() == phase.map(Phase::of)
                    );
                    assert!(silence.is_some() || session.state(now) == State::Finished);
                }
            }
            Step::Forget(node) => {
                let id = NodeId(node.into());
                tracker.forget(id);
                let question = Question { not_before: ms(0), now };
                assert!(matches!(tracker.verdict(id, question), Verdict::NotKnown(_)));
            }
            Step::Grow(more) if nodes < 40 => {
                let more = u32::from(more % 8);
                nodes += more;
                tracker.grow(|slots| slots.resize(nodes as usize, Slot::EMPTY));
            }
            Step::Grow(_) => {}
            Step::Ask { node, started, age } => {
                let age = Duration::from_millis(age.into());
                let question = Question::since(ms(started), now, age);
                match tracker.verdict(NodeId(node.into()), question) {
                    Verdict::InCrashKernel(evidence) => {
                        let session = tracker.session(NodeId(node.into())).expect("it is known");
                        assert!(matches!(session.state(now), State::Started | State::Dumping));
                        assert_eq!(Some(evidence.heard_at), session.last_heard());
                        assert!(
                            evidence.heard_at >= question.not_before && evidence.heard_at <= now
                        );
                        assert!(evidence.heard_at >= ms(started) || evidence.age <= age);
                        assert!(session.proof().is_some() && !session.is_written());
                    }
                    Verdict::NotKnown(doubt) => assert!(doubt.to_string().contains(' ')),
                }
            }
            Step::Word(which, word) => {
                match word.parse::<Policy>() {
                    Ok(policy) => assert!(policy.to_string().eq_ignore_ascii_case(&word)),
                    Err(error) => assert!(error.to_string().contains("live")),
                }
                let which = usize::from(which) % 3;
                let word = PROOFS[which].to_string();
                assert_eq!(
                    (word.parse(), word),
                    (Ok(POLICIES[which]), POLICIES[which].to_string())
                );
            }
        }
        assert_eq!(tracker.counters().total(), datagrams);
    }
});
