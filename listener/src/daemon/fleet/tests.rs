//! Dumps, from start to end.

use super::*;
use crate::proof::specimen::{Specimen, examiner, nonce};
use crate::socket::Words;
use fence_kdump_core::{ByteOrder, Phase, encode};

fn message(from: &str, second: u64) -> Datagram {
    Datagram {
        received_at: Instant::from_nanos(second * 1_000_000_000),
        from: from.parse().unwrap(),
        port: 9,
        said: Words::read(&encode(ByteOrder::Little)),
    }
}

fn fleet(nodes: &[&str]) -> Result<Fleet, FollowError> {
    fleet_with((Policy::Plain, None), nodes)
}

fn fleet_with(proof: (Policy, Option<Examiner>), nodes: &[&str]) -> Result<Fleet, FollowError> {
    let nodes: Result<Vec<Follow>, _> = nodes.iter().map(|text| text.parse()).collect();
    Fleet::new(&nodes?, proof)
}

#[test]
fn a_dump_is_told_from_start_to_end() {
    let mut fleet = fleet(&["a=10.0.0.1,fd00::1", "b=10.0.0.2"]).unwrap();
    let mut hear = |message: &Datagram| fleet.hear(message, message.received_at, || None).told;
    assert!(hear(&message("fd00::1", 10)).unwrap().starts_with("a (fd00::1): started"));
    assert!(hear(&message("10.0.0.1", 20)).unwrap().contains("dumping"));
    assert_eq!(hear(&message("10.0.0.1", 30)), None);
    assert_eq!(hear(&message("10.0.0.3", 30)), None, "a stranger");
    let now = Instant::from_nanos(31_000_000_000);
    let [a, b] = fleet.status(now).try_into().unwrap();
    assert_eq!(
        (a.state.as_str(), a.since_ms, a.last_heard_ms),
        ("dumping", Some(21_000), Some(1_000))
    );
    assert_eq!((b.state.as_str(), b.last_heard_ms), ("unheard", None));
    let later = Instant::from_nanos(60_000_000_000);
    assert_eq!(fleet.tick(now), None);
    assert!(fleet.tick(later).unwrap().starts_with("a: finished"));
    assert_eq!(fleet.tick(later), None);
}

#[test]
fn what_cannot_be_followed_is_told() {
    for (nodes, said) in [
        (&["a"][..], "NAME=ADDRESS"),
        (&["a="], "NAME=ADDRESS"),
        (&["=10.0.0.1"], "NAME=ADDRESS"),
        (&["a=224.0.0.1"], "multicast"),
        (&["a=10.0.0.1", "b=10.0.0.1"], "10.0.0.1 is an address of a and of b"),
        (&["a=10.0.0.1", "A=10.0.0.2"], "named twice"),
    ] {
        let error = fleet(nodes).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

fn s(second: u64) -> Instant {
    Instant::from_nanos(second * 1_000_000_000)
}

/// Hears it, and has it judged.
fn judge(
    fleet: &mut Fleet,
    specimen: &Specimen<'_>,
    second: u64,
    result: Result<(), Disbelief>,
) -> Option<String> {
    let datagram = specimen.arrived("192.0.2.99", s(second));
    let heard = fleet.hear(&datagram, s(second), || None);
    let (_, ticket) = heard.hearing?;
    heard.told.or_else(|| fleet.judged(&ticket, result))
}

#[test]
fn a_session_moves_with_messages_that_are_believed_and_with_no_others() {
    let mut fleet = fleet_with((Policy::Signed, Some(examiner())), &["n1=10.0.0.1"]).unwrap();
    let state = |fleet: &Fleet, second: u64| fleet.status(s(second)).pop().unwrap();
    let plain = message("10.0.0.1", 10);
    let told = fleet.hear(&plain, s(10), || None).told.unwrap();
    assert!(told.starts_with("n1: a message from 10.0.0.1 does not count: not signed"), "{told}");
    assert_eq!(fleet.hear(&plain, s(10), || None).told, None, "told once");
    let forged = Specimen { key_of: "n2", ..Specimen::of("n1", 1) };
    assert_eq!(judge(&mut fleet, &forged, 10, Ok(())), None, "nothing to be remembered");
    let replayed = judge(&mut fleet, &Specimen::of("n1", 1), 10, Err(Disbelief::Replayed));
    assert!(replayed.unwrap().contains("a replay"));
    assert_eq!(state(&fleet, 11).state, "unheard");
    let told = judge(&mut fleet, &Specimen::of("N1", 2), 12, Ok(())).unwrap();
    assert!(told.starts_with("n1 (192.0.2.99, signed): started"), "{told}");
    assert_eq!(fleet.hear(&plain, s(12), || None).told, None, "it sends both");
    let replayed = judge(&mut fleet, &Specimen::of("n1", 1), 12, Err(Disbelief::Replayed));
    assert!(replayed.is_some(), "told anew");
    let phase = Some(Phase::Dumping);
    let _ = judge(&mut fleet, &Specimen { phase, ..Specimen::of("n1", 3) }, 13, Ok(()));
    let known = state(&fleet, 14);
    assert_eq!((known.state.as_str(), known.messages), ("dumping", 2));
    let told = [&known.policy, &known.proof, &known.phase, &known.from, &known.key_id];
    let key_id = crate::proof::specimen::cluster(1).id().to_string();
    let expected = ["signed", "signed", "dumping", "192.0.2.99", &key_id];
    assert_eq!(told.map(|text| text.as_deref().unwrap()), expected);
    let end = Specimen { phase: Some(Phase::Leaving), ..Specimen::of("n1", 4) };
    assert!(judge(&mut fleet, &end, 15, Ok(())).unwrap().contains("finished"));
    assert_eq!(state(&fleet, 15).state, "finished");
}

#[test]
fn an_answer_is_believed_at_once_and_alone_under_live() {
    let mut fleet = fleet_with((Policy::Live, Some(examiner())), &["n1=10.0.0.1"]).unwrap();
    let first = Specimen::of("n1", 1).arrived("10.0.0.1", s(10));
    let heard = fleet.hear(&first, s(10), || Some(Nonce([5; 16])));
    let (_, ticket) = heard.hearing.unwrap();
    assert_eq!(fleet.judged(&ticket, Ok(())), None, "unproven");
    assert_eq!(fleet.status(s(10)).pop().unwrap().state, "unheard");
    let answer = Some(nonce(&heard.challenge.unwrap(), "n1"));
    let live = Specimen { answer, ..Specimen::of("n1", 2) }.arrived("10.0.0.1", s(11));
    let heard = fleet.hear(&live, s(11), || None);
    assert!(heard.told.unwrap().contains("n1 (10.0.0.1, live): started"));
    let (_, ticket) = heard.hearing.unwrap();
    assert_eq!(fleet.judged(&ticket, Ok(())), None, "it was heard already");
    let known = fleet.status(s(11)).pop().unwrap();
    assert_eq!((known.messages, known.proof.as_deref()), (1, Some("live")));
    assert!(fleet.without_key().is_empty());
}

#[test]
fn under_plain_each_message_is_one_message() {
    let mut fleet = fleet_with((Policy::Plain, Some(examiner())), &["n1=10.0.0.1"]).unwrap();
    for (sequence, result) in [(1, Ok(())), (2, Err(Disbelief::Unremembered))] {
        let datagram = Specimen::of("n1", sequence).arrived("10.0.0.1", s(10 + sequence));
        let (_, ticket) = fleet.hear(&datagram, s(12), || None).hearing.unwrap();
        assert!(fleet.judged(&ticket, result).is_some());
    }
    let known = fleet.status(s(12)).pop().unwrap();
    assert_eq!((known.messages, known.proof.as_deref()), (2, Some("plain")));
}

#[test]
fn nodes_without_a_key_are_known() {
    let node_key = crate::proof::specimen::cluster(1).derive("n1").unwrap();
    let hex: String = node_key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = crate::proof::specimen::cluster(1).id();
    let text = format!("node {id} {hex} {} n1", node_key.id());
    let examiner = Examiner::new(crate::keys::Ring::parse(text.as_bytes()).unwrap());
    let fleet = fleet_with((Policy::Live, Some(examiner)), &["N1=10.0.0.1", "n2=10.0.0.2"]);
    assert_eq!(fleet.unwrap().without_key(), ["n2"]);
}
