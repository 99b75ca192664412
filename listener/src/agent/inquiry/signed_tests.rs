//! What signed messages count for.

use super::*;
use crate::nodes::Known;
use crate::options::Family;
use crate::proof::specimen::{Specimen, examiner, nonce};
use proptest::prelude::*;

fn s(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn at(address: &str) -> Known {
    Known::At(vec![address.parse().unwrap()])
}

/// From 100 s to 160 s about a, which is 10.0.0.1; or about `port`, of which nothing is known yet.
fn inquiry(policy: Policy, port: Option<&str>) -> Inquiry {
    let node = Node::new(&["a".to_owned()], port, Family::Any);
    let mut inquiry = Inquiry::new(node, (policy, Some(examiner())), s(100), s(160));
    inquiry.learn(|node| node.learn("a", &at("10.0.0.1")));
    inquiry
}

fn hear(asked: &mut Inquiry, specimen: &Specimen<'_>, from: &str, second: u64) -> Heard {
    let random = u8::try_from(second).unwrap();
    asked.hear(&specimen.arrived(from, s(second)), s(second), || Some(Nonce([random; 16])))
}

/// Heard, and the memory has nothing against it.
fn hear_and_remember(
    asked: &mut Inquiry,
    specimen: &Specimen<'_>,
    from: &str,
    second: u64,
) -> Found {
    let heard = hear(asked, specimen, from, second);
    assert!(heard.hearing.is_some(), "{heard:?}");
    asked.judged(&specimen.arrived(from, s(second)), Ok(()))
}

fn is_known(asked: &Inquiry, second: u64) -> Option<Proof> {
    match asked.standing(s(second)) {
        Standing::InCrashKernel { proof, .. } => Some(proof),
        Standing::Open | Standing::TooLate => None,
    }
}

#[test]
fn a_signed_message_counts_once_it_is_remembered_wherever_it_came_from() {
    for from in ["10.0.0.1", "192.0.2.99"] {
        let mut asked = inquiry(Policy::Signed, None);
        let message = Specimen::of("A", 1);
        let heard = hear(&mut asked, &message, from, 110);
        assert_eq!(heard.found, Found::Right);
        assert!(heard.challenge.is_some());
        assert_eq!(is_known(&asked, 111), None, "not remembered yet");
        let arrived = message.arrived(from, s(110));
        for refused in [Disbelief::Replayed, Disbelief::Late, Disbelief::Unremembered] {
            assert_eq!(asked.judged(&arrived, Err(refused)), Found::Disbelieved(refused));
            assert_eq!(is_known(&asked, 111), None, "{refused}");
        }
        assert_eq!(asked.judged(&arrived, Ok(())), Found::Counts(Proof::Signed));
        assert_eq!(is_known(&asked, 111), Some(Proof::Signed));
        assert_eq!(is_known(&asked, 109), None, "from the future");
        assert_eq!(is_known(&asked, 140), None, "silent for too long");
        assert_eq!(asked.standing(s(160)), Standing::TooLate);
    }
}

#[test]
fn an_answer_counts_at_once_and_under_live_nothing_else_does() {
    for policy in [Policy::Plain, Policy::Signed, Policy::Live] {
        let mut asked = inquiry(policy, None);
        let from = "192.0.2.99";
        let heard = hear(&mut asked, &Specimen::of("a", 1), from, 110);
        let answer = Some(nonce(&heard.challenge.unwrap(), "a"));
        let arrived = Specimen::of("a", 1).arrived(from, s(110));
        let judged = asked.judged(&arrived, Ok(()));
        if policy == Policy::Live {
            assert_eq!(judged, Found::Disbelieved(Disbelief::Unproven));
            assert_eq!(is_known(&asked, 111), None);
        }
        let wrong = Specimen { answer: Some(Nonce([7; 16])), ..Specimen::of("a", 2) };
        let _ = hear_and_remember(&mut asked, &wrong, from, 111);
        if policy == Policy::Live {
            assert_eq!(is_known(&asked, 111), None);
        }
        let live = hear(&mut asked, &Specimen { answer, ..Specimen::of("a", 3) }, from, 111);
        assert_eq!(live.found, Found::Counts(Proof::Live));
        assert_eq!(is_known(&asked, 111), Some(Proof::Live), "{policy}");
        assert!(live.hearing.is_some(), "it must not count again");
        assert!(is_known(&asked, 113).is_some(), "{policy}");
        // Whoever is held up for longer is told nothing by it.
        assert_eq!(is_known(&asked, 114).is_some(), policy != Policy::Live);
        assert_eq!(is_known(&asked, 122), None, "{policy}");
    }
}

#[test]
fn there_is_no_downgrade() {
    for policy in [Policy::Signed, Policy::Live] {
        let mut asked = inquiry(policy, None);
        let good = Specimen::of("a", 1);
        let from = "10.0.0.1";
        for (specimen, found) in [
            (Specimen { key_of: "b", ..good }, Found::Disbelieved(Disbelief::BadMac)),
            (Specimen { cluster: 2, ..good }, Found::Disbelieved(Disbelief::BadMac)),
            (Specimen { key_id: 2, cluster: 2, ..good }, Found::Disbelieved(Disbelief::UnknownKey)),
            (Specimen { name: "b", key_of: "b", ..good }, Found::SignedAs("b".to_owned())),
        ] {
            let heard = hear(&mut asked, &specimen, from, 110);
            assert_eq!(heard, Heard::from(found));
        }
        let whole = good.arrived(from, s(110));
        let bytes = whole.said.as_ref().unwrap().as_bytes();
        // The MAC cut off, and the whole extension.
        for length in [bytes.len() - 35, 12, 8] {
            let said = crate::socket::Words::read(&bytes[..length]);
            let heard = asked.hear(&Datagram { said, ..whole.clone() }, s(110), || None);
            assert_eq!(heard.found, Found::Disbelieved(Disbelief::Unsigned), "{length}");
        }
        assert_eq!(is_known(&asked, 111), None);
        let stranger = hear(&mut asked, &Specimen { name: "b", ..good }, "10.0.0.2", 110);
        assert_eq!(stranger.found, Found::Disbelieved(Disbelief::Stranger));
        assert_eq!(asked.proven.len(), 0, "nothing is kept");
    }
}

#[test]
fn an_old_message_is_no_evidence_but_is_challenged() {
    let mut asked = inquiry(Policy::Signed, None);
    let heard = hear(&mut asked, &Specimen::of("a", 1), "10.0.0.1", 89);
    let _ = asked.judged(&Specimen::of("a", 1).arrived("10.0.0.1", s(89)), Ok(()));
    assert_eq!(is_known(&asked, 101), None);
    assert!(heard.challenge.is_some(), "an answer would be evidence");
}

/// As [`super::tests::a_remembered_message_counts_as_long_as_it_is_fresh`], under a policy that asks for more.
#[test]
fn a_remembered_message_has_to_prove_as_much_as_any_other() {
    let from = "10.0.0.1";
    let one = Specimen::of("a", 1);
    let mut asked = inquiry(Policy::Signed, None);
    let _ = hear(&mut asked, &one, from, 95);
    assert_eq!(is_known(&asked, 101), None, "nobody has said yet that it is no replay");
    assert_eq!(asked.judged(&one.arrived(from, s(95)), Err(Disbelief::Replayed)), {
        Found::Disbelieved(Disbelief::Replayed)
    });
    assert_eq!(is_known(&asked, 101), None, "it is a replay");
    let _ = hear_and_remember(&mut asked, &Specimen::of("a", 2), from, 96);
    assert_eq!(is_known(&asked, 106), Some(Proof::Signed));
    assert_eq!(is_known(&asked, 107), None, "too old by now");
    let end = Specimen { phase: Some(Phase::Leaving), ..Specimen::of("a", 3) };
    let _ = hear_and_remember(&mut asked, &end, from, 97);
    assert_eq!(is_known(&asked, 101), None, "it has left");
    let next = Specimen { crash: 2, ..Specimen::of("a", 1) };
    let _ = hear_and_remember(&mut asked, &next, from, 99);
    assert_eq!(is_known(&asked, 101), Some(Proof::Signed), "and crashed again, as it has proven");

    let mut asked = inquiry(Policy::Live, None);
    let heard = hear(&mut asked, &one, from, 95);
    let _ = asked.judged(&one.arrived(from, s(95)), Ok(()));
    assert_eq!(is_known(&asked, 101), None, "an answer to this one is needed");
    assert!(heard.challenge.is_some());
}

#[test]
fn names_count_as_they_turn_out() {
    let a = Specimen::of("a", 1);
    let b = Specimen::of("b", 1);
    let mut asked = inquiry(Policy::Signed, Some("b"));
    let _ = hear_and_remember(&mut asked, &a, "10.0.0.1", 110);
    assert_eq!(is_known(&asked, 111), None, "b may be another node");
    let mut other = inquiry(Policy::Signed, Some("b"));
    let _ = hear_and_remember(&mut other, &a, "10.0.0.1", 110);
    assert_eq!(hear_and_remember(&mut other, &b, "10.0.0.1", 110), Found::Counts(Proof::Signed));
    assert!(is_known(&other, 111).is_some(), "the name itself needs no address");
    asked.learn(|node| node.learn("b", &at("10.0.0.1")));
    assert!(is_known(&asked, 111).is_some(), "it is the same node");
    let mut another = inquiry(Policy::Signed, Some("b"));
    let _ = hear_and_remember(&mut another, &a, "10.0.0.1", 110);
    another.learn(|node| node.learn("b", &at("10.0.0.2")));
    assert_eq!(is_known(&another, 111), None, "it is another node");
    let heard = hear(&mut another, &a, "10.0.0.2", 112);
    assert_eq!(heard.found, Found::SignedAs("a".to_owned()));
}

#[test]
fn a_node_that_says_that_it_reboots_is_not_in_its_crash_kernel() {
    for policy in [Policy::Plain, Policy::Signed] {
        for phase in [Some(Phase::Finished), Some(Phase::Leaving)] {
            let mut asked = inquiry(policy, None);
            let (one, from) = (Specimen::of("a", 1), "10.0.0.1");
            let _ = hear(&mut asked, &one, from, 110);
            let end = Specimen { phase, ..Specimen::of("a", 2) };
            let _ = hear(&mut asked, &end, from, 112);
            // The memory gets round to it only now.
            let _ = asked.judged(&one.arrived(from, s(110)), Ok(()));
            assert_eq!(is_known(&asked, 113), None, "{policy}: it has said so since");
            let _ = asked.judged(&end.arrived(from, s(112)), Ok(()));
            assert_eq!(is_known(&asked, 113), None, "{policy}");
            let again = Specimen { crash: 2, ..Specimen::of("a", 1) };
            let _ = hear_and_remember(&mut asked, &again, from, 120);
            assert!(is_known(&asked, 121).is_some(), "{policy}: another crash");
        }
    }
}

#[test]
fn under_plain_an_address_is_enough() {
    let mut asked = inquiry(Policy::Plain, None);
    let forged = Specimen { key_of: "b", ..Specimen::of("a", 1) };
    assert_eq!(hear(&mut asked, &forged, "10.0.0.1", 110).found, Found::Counts(Proof::Plain));
    assert_eq!(is_known(&asked, 111), Some(Proof::Plain));
    let mut asked = inquiry(Policy::Plain, None);
    let away = hear_and_remember(&mut asked, &Specimen::of("a", 1), "192.0.2.99", 110);
    assert_eq!(away, Found::Counts(Proof::Signed), "what proves more is enough, too");
    let mut keyless = Inquiry::new(asked.node.clone(), (Policy::Plain, None), s(100), s(160));
    let heard = hear(&mut keyless, &Specimen::of("a", 1), "10.0.0.1", 110);
    assert_eq!(heard, Found::Counts(Proof::Plain).into());
}

/// One datagram, and what the memory will say of it.
#[derive(Debug, Clone)]
struct Step {
    name: &'static str,
    right_key: bool,
    known_key: bool,
    crash: u8,
    sequence: u64,
    end: u8,
    second: u64,
    /// With the nonce of the latest challenge of that name.
    answers: bool,
    remembered: Result<(), Disbelief>,
}

fn any_step() -> impl Strategy<Value = Step> {
    let names = prop_oneof![Just("a"), Just("b"), Just("c")];
    let result = prop_oneof![3 => Just(Ok(())), 1 => Just(Err(Disbelief::Replayed))];
    let good = prop::bool::weighted(0.8);
    (names, good, good, 0u8..3, 0u64..20, 1u8..4, 95u64..150, any::<bool>(), result).prop_map(
        |(name, right_key, known_key, crash, sequence, end, second, answers, remembered)| Step {
            name,
            right_key,
            known_key,
            crash,
            sequence,
            end,
            second,
            answers,
            remembered,
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Plain), Just(Policy::Signed), Just(Policy::Live)]
}

proptest! {
    /// A node is known to be in its crash kernel if and only if the latest of the messages that count
    /// arrived by now, and at most 10 s ago, or 2 s when it has to be live. A message counts when its name or
    /// its address does, its MAC is right, the memory has nothing against it or it answers the
    /// outstanding challenge, as far as the policy asks for it.
    #[test]
    fn evidence_is_what_the_policy_asks_for(
        steps in prop::collection::vec(any_step(), 0..25),
        policy in any_policy(),
        port in prop_oneof![Just(None), Just(Some(1u8)), Just(Some(2)), Just(Some(9))],
        now in 100u64..165,
    ) {
        // The target b: not asked about, at the address of a, at another, or at none known.
        let mut asked = inquiry(policy, port.map(|_| "b"));
        if let Some(end @ 1..=2) = port {
            asked.learn(|node| node.learn("b", &at(&format!("10.0.0.{end}"))));
        }
        let (names, ends): (&[&str], &[u8]) = match port {
            None => (&["a"], &[1]),
            Some(1) => (&["a", "b"], &[1]),
            Some(2) => (&["b"], &[2]),
            Some(_) => (&["b"], &[]),
        };
        let mut counting: Vec<u64> = Vec::new();
        let mut outstanding: std::collections::HashMap<&str, (Nonce, u64)> = Default::default();
        for (number, step) in steps.into_iter().enumerate() {
            let Step { name, right_key, known_key, crash, sequence, end, second, .. } = step;
            let answer = step.answers.then(|| outstanding.get(name).copied()).flatten();
            let specimen = Specimen {
                key_id: if known_key { 1 } else { 2 },
                key_of: if right_key { name } else { "x" },
                crash,
                answer: answer.map(|(nonce, _)| nonce),
                ..Specimen::of(name, sequence)
            };
            let datagram = specimen.arrived(&format!("10.0.0.{end}"), s(second));
            let random = Nonce([u8::try_from(number).unwrap(); 16]);
            let heard = asked.hear(&datagram, s(second), || Some(random));
            let right = right_key && known_key;
            let may_count = name != "c" && (names.contains(&name) || port == Some(9));
            prop_assert_eq!(heard.hearing.is_some(), right && may_count);
            prop_assert!(heard.challenge.is_none() || right && may_count && answer.is_none());
            let live = right && may_count
                && answer.is_some_and(|(_, since)| second < since + 2);
            if live {
                outstanding.remove(name);
            }
            if let Some(challenge) = &heard.challenge {
                let nonce = nonce(challenge, name);
                // The first one counts, as long as it can be answered.
                if outstanding.get(name).is_none_or(|known| known.0 != nonce) {
                    outstanding.insert(name, (nonce, second));
                }
            }
            let signed = right && may_count && step.remembered.is_ok();
            if heard.hearing.is_some() && !live {
                let _ = asked.judged(&datagram, step.remembered);
            }
            let counts = match policy {
                Policy::Live => live,
                Policy::Signed => live || signed,
                Policy::Plain => live || signed || ends.contains(&end),
            };
            let is_whose = names.contains(&name) || policy == Policy::Plain && ends.contains(&end);
            if counts && is_whose {
                counting.push(second);
            }
        }
        let last = counting.into_iter().max();
        let oldest = if policy == Policy::Live { 2 } else { 10 };
        let expected =
            now < 160 && last.is_some_and(|last| last <= now && now <= last + oldest);
        prop_assert_eq!(is_known(&asked, now).is_some(), expected);
    }
}
