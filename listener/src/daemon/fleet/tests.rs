//! Dumps, from start to end.

use super::*;
use crate::control::packet::NodeStatus;
use crate::daemon::Follow;
use crate::proof::specimen::{Specimen, examiner, nonce};
use crate::socket::Words;
use fence_kdump_core::{ByteOrder, Crash, Disbelief, Nonce, Phase, encode};

fn message(from: &str, second: u64) -> Datagram {
    Datagram {
        received_at: Instant::from_nanos(second * 1_000_000_000),
        from: from.parse().unwrap(),
        port: 9,
        said: Words::read(&encode(ByteOrder::Little)),
    }
}

fn registry(nodes: &[&str], policy: Policy) -> Result<Registry, String> {
    let nodes: Result<Vec<Follow>, _> = nodes.iter().map(|text| text.parse()).collect();
    let nodes = nodes.map_err(|error: super::super::follow::NotOfForm| error.to_string())?;
    super::super::follow::registry(&nodes, policy).map_err(|error| error.to_string())
}

fn fleet(nodes: &[&str]) -> Fleet {
    Fleet::new(registry(nodes, Policy::Plain).unwrap(), None)
}

fn fleet_with((policy, examiner): (Policy, Option<Examiner>), nodes: &[&str]) -> Fleet {
    Fleet::new(registry(nodes, policy).unwrap(), examiner)
}

/// As a line for people.
fn line(told: Option<Box<Told>>) -> Option<String> {
    told.map(|told| match *told {
        Told::Event(happened) => crate::daemon::told(&happened.event),
        Told::Disbelief(line) => line,
    })
}

fn status(fleet: &Fleet, second: u64) -> Vec<NodeStatus> {
    let all = fleet.show(0..fleet.places(), s(second));
    all.map(|view| NodeStatus::from(&view)).collect()
}

#[test]
fn a_dump_is_told_from_start_to_end() {
    let mut fleet = fleet(&["a=10.0.0.1,fd00::1", "b=10.0.0.2"]);
    let mut hear =
        |message: &Datagram| line(fleet.hear(message, message.received_at, || None).told);
    assert!(hear(&message("fd00::1", 10)).unwrap().starts_with("a (fd00::1): started"));
    assert!(hear(&message("10.0.0.1", 20)).unwrap().contains("dumping"));
    assert_eq!(hear(&message("10.0.0.1", 30)), None);
    assert_eq!(hear(&message("10.0.0.3", 30)), None, "a stranger");
    let now = Instant::from_nanos(31_000_000_000);
    let [a, b] = status(&fleet, 31).try_into().unwrap();
    assert_eq!(
        (a.state.as_str(), a.since_ms, a.last_heard_ms),
        ("dumping", Some(21_000), Some(1_000))
    );
    assert_eq!((b.state.as_str(), b.last_heard_ms), ("unheard", None));
    let later = Instant::from_nanos(60_000_000_000);
    assert_eq!(fleet.tick(now), None);
    assert_eq!(
        crate::daemon::told(&fleet.tick(later).unwrap().event),
        "a: finished, as silent as it is"
    );
    assert_eq!(status(&fleet, 61)[0].state, "finished");
    assert_eq!(fleet.tick(later), None);
}

#[test]
fn what_cannot_be_followed_is_told() {
    for (nodes, said) in [
        (&["a"][..], "NAME=ADDRESS"),
        (&["a="], "NAME=ADDRESS"),
        (&["=10.0.0.1"], "NAME=ADDRESS"),
        (&["a=224.0.0.1"], "multicast"),
        (&["a=10.0.0.1", "b=10.0.0.1"], "10.0.0.1 is an address of node a already"),
        (&["a=10.0.0.1", "A=10.0.0.2"], "name of another node"),
    ] {
        let error = registry(nodes, Policy::Plain).unwrap_err();
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
    let (_, ticket) = *heard.hearing?;
    line(heard.told.or_else(|| fleet.judged(&ticket, result)))
}

#[test]
fn a_session_moves_with_messages_that_are_believed_and_with_no_others() {
    let mut fleet = fleet_with((Policy::Signed, Some(examiner())), &["n1=10.0.0.1"]);
    let state = |fleet: &Fleet, second: u64| status(fleet, second).pop().unwrap();
    let plain = message("10.0.0.1", 10);
    let told = line(fleet.hear(&plain, s(10), || None).told).unwrap();
    assert!(told.starts_with("n1: a message from 10.0.0.1 does not count: not signed"), "{told}");
    assert!(fleet.hear(&plain, s(10), || None).told.is_none(), "told once");
    let forged = Specimen { key_of: "n2", ..Specimen::of("n1", 1) };
    assert_eq!(judge(&mut fleet, &forged, 10, Ok(())), None, "nothing to be remembered");
    let replayed = judge(&mut fleet, &Specimen::of("n1", 1), 10, Err(Disbelief::Replayed));
    assert!(replayed.unwrap().contains("a replay"));
    assert_eq!(state(&fleet, 11).state, "unheard");
    let told = judge(&mut fleet, &Specimen::of("N1", 2), 12, Ok(())).unwrap();
    assert!(told.starts_with("n1 (192.0.2.99, signed): started"), "{told}");
    assert!(fleet.hear(&plain, s(12), || None).told.is_none(), "it sends both");
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
    assert!(judge(&mut fleet, &end, 15, Ok(())).unwrap().contains("leaves its crash kernel"));
    assert_eq!(state(&fleet, 15).state, "rebooted");
}

/// It may be tried again; and whoever has said it still runs its crash kernel.
#[test]
fn a_dump_that_fails_is_shown_and_ends_nothing() {
    let mut fleet = fleet_with((Policy::Signed, Some(examiner())), &["n1=10.0.0.1"]);
    let phases = [
        (Phase::Dumping, "started, it is in its crash kernel"),
        (Phase::Failed, "dumping"),
        (Phase::Dumping, "dumping"),
        (Phase::Failed, "failed"),
        (Phase::Dumping, "dumping"),
        (Phase::Failed, "failed"),
    ];
    for (number, (phase, said)) in (1..).zip(phases) {
        let message = Specimen { phase: Some(phase), ..Specimen::of("n1", number) };
        let told = judge(&mut fleet, &message, 10 + number, Ok(())).unwrap();
        assert_eq!(told, format!("n1 (192.0.2.99, signed): {said}"));
        let node = status(&fleet, 10 + number).pop().unwrap();
        let state = if number == 1 { "started" } else { "dumping" };
        assert_eq!((node.state.as_str(), node.phase.as_deref()), (state, Some(phase.name())));
    }
    let end = Specimen { phase: Some(Phase::Leaving), ..Specimen::of("n1", 9) };
    assert!(judge(&mut fleet, &end, 19, Ok(())).unwrap().contains("leaves its crash kernel"));
}

#[test]
fn an_answer_is_believed_at_once_and_alone_under_live() {
    let mut fleet = fleet_with((Policy::Live, Some(examiner())), &["n1=10.0.0.1"]);
    let first = Specimen::of("n1", 1).arrived("10.0.0.1", s(10));
    let heard = fleet.hear(&first, s(10), || Some(Nonce([5; 16])));
    let (_, ticket) = *heard.hearing.unwrap();
    assert!(fleet.judged(&ticket, Ok(())).is_none(), "unproven");
    assert_eq!(status(&fleet, 10).pop().unwrap().state, "unheard");
    let answer = Some(nonce(&heard.challenge.unwrap(), "n1"));
    let live = Specimen { answer, ..Specimen::of("n1", 2) }.arrived("10.0.0.1", s(11));
    let heard = fleet.hear(&live, s(11), || None);
    assert!(line(heard.told).unwrap().contains("n1 (10.0.0.1, live): started"));
    let (_, ticket) = *heard.hearing.unwrap();
    assert!(fleet.judged(&ticket, Ok(())).is_none(), "it was heard already");
    let known = status(&fleet, 11).pop().unwrap();
    assert_eq!((known.messages, known.proof.as_deref()), (1, Some("live")));
    assert_eq!(fleet.without_key().count(), 0);
}

#[test]
fn under_plain_each_message_is_one_message() {
    let mut fleet = fleet_with((Policy::Plain, Some(examiner())), &["n1=10.0.0.1"]);
    for (sequence, result) in [(1, Ok(())), (2, Err(Disbelief::Unremembered))] {
        let datagram = Specimen::of("n1", sequence).arrived("10.0.0.1", s(10 + sequence));
        let (_, ticket) = *fleet.hear(&datagram, s(12), || None).hearing.unwrap();
        assert!(fleet.judged(&ticket, result).is_some());
    }
    let known = status(&fleet, 12).pop().unwrap();
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
    assert!(fleet.without_key().eq(["n2"]));
}

#[test]
fn who_says_what_it_does_is_lost_when_it_falls_silent() {
    let mut fleet = fleet_with((Policy::Signed, Some(examiner())), &["n1=10.0.0.1"]);
    let phase = Some(Phase::Dumping);
    assert!(judge(&mut fleet, &Specimen { phase, ..Specimen::of("n1", 1) }, 10, Ok(())).is_some());
    let event = fleet.tick(s(40)).unwrap().event;
    assert_eq!((event.kind, event.messages), (Kind::Lost, 1));
    assert_eq!(status(&fleet, 41)[0].state, "lost");
    let end = Specimen { phase: Some(Phase::Leaving), ..Specimen::of("n1", 2) };
    let datagram = end.arrived("10.0.0.1", s(50));
    let (_, ticket) = *fleet.hear(&datagram, s(50), || None).hearing.unwrap();
    let told = fleet.judged(&ticket, Ok(())).map(|told| *told);
    let Some(Told::Event(event)) = told else { panic!("no event") };
    assert_eq!(event.event.kind, Kind::Rebooted);
}

/// What was heard of a node that stays is still known with other keys, which are asked from then on; of one that goes,
/// nothing is, whoever has its number then.
#[test]
fn other_keys_and_other_nodes_know_nothing_of_what_was_signed() {
    let ring = |number| Examiner::new(crate::proof::specimen::ring(&[number]));
    let nodes = |names: &[&str]| registry(names, Policy::Signed).unwrap();
    let mut fleet = Fleet::new(nodes(&["n1=10.0.0.1", "n2=10.0.0.2"]), Some(ring(1)));
    let arrived = |name, key_id, sequence| {
        let cluster = key_id;
        let uptime = sequence * 1_000;
        let specimen = Specimen { key_id, cluster, uptime, ..Specimen::of(name, sequence) };
        specimen.arrived("10.0.0.1", s(10 + sequence))
    };
    let hear = |fleet: &mut Fleet, datagram: &Datagram| {
        fleet.hear(datagram, datagram.received_at, || None)
    };
    let first = arrived("n1", 1, 1);
    let (hearing, ticket) = *hear(&mut fleet, &first).hearing.unwrap();
    let message = first.message().unwrap();
    let judged = Crash::judge(None, first.received_at, &message.signed().unwrap(), false).unwrap();
    fleet.on_disk(&ticket, judged);
    assert!(fleet.judged(&ticket, Ok(())).is_some());
    drop(hearing);
    let asks_the_disk = |fleet: &mut Fleet, datagram| hear(fleet, &datagram).hearing.is_some();
    assert!(!asks_the_disk(&mut fleet, arrived("n1", 1, 2)));
    fleet.reload(nodes(&["n1=10.0.0.1"]), Some(ring(2)));
    assert!(hear(&mut fleet, &arrived("n1", 1, 3)).told.is_some(), "an unknown key");
    assert!(!asks_the_disk(&mut fleet, arrived("n1", 2, 3)));
    fleet.reload(nodes(&["n3=10.0.0.1"]), Some(ring(2)));
    fleet.on_disk(&ticket, judged);
    assert!(asks_the_disk(&mut fleet, arrived("n3", 2, 4)));
}

/// All events of a dump have the name of its first one.
#[test]
fn events_of_one_dump_belong_together() {
    let mut fleet = fleet(&["a=10.0.0.1"]);
    let mut events = Vec::new();
    for second in [10, 20, 90] {
        events.extend(fleet.tick(s(second)).map(|happened| happened.event));
        let told = fleet.hear(&message("10.0.0.1", second), s(second), || None).told;
        match told.map(|told| *told) {
            Some(Told::Event(happened)) => events.push(happened.event),
            told => panic!("{told:?}"),
        }
    }
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::Started, Kind::Dumping, Kind::Finished, Kind::Started]);
    let dumps: Vec<_> = events.iter().map(|event| &event.session).collect();
    assert_eq!(dumps, [&events[0].id, &events[0].id, &events[0].id, &events[3].id]);
    assert_eq!(fleet.sessions(), 2);
}

#[test]
fn nodes_that_stay_keep_what_is_known_of_them() {
    let mut fleet = fleet(&["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.3"]);
    for from in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        let _ = fleet.hear(&message(from, 10), s(10), || None);
    }
    let nodes = ["d=10.0.0.1", "c=10.0.0.3", "b=10.0.0.9"];
    fleet.reload(registry(&nodes, Policy::Plain).unwrap(), None);
    let mut known: Vec<_> =
        status(&fleet, 11).into_iter().map(|node| (node.name, node.state)).collect();
    known.sort();
    let expected = [("b", "started"), ("c", "started"), ("d", "unheard")];
    assert!(known.iter().map(|(name, state)| (name.as_str(), state.as_str())).eq(expected));
    fleet.reload(registry(&nodes, Policy::Live).unwrap(), Some(examiner()));
    assert!(status(&fleet, 11).iter().all(|node| node.state == "unheard"), "nothing is proven");
    assert!(fleet.tick(s(99)).is_none());
}

#[test]
fn candidates_are_shown_and_are_no_nodes() {
    let mut fleet = fleet(&["a=10.0.0.1"]);
    let _ = fleet.hear(&message("10.0.0.7", 10), s(10), || None);
    assert_eq!(status(&fleet, 11).len(), 1, "nobody asked for them");
    fleet.discover(2);
    for host in [7, 8, 9, 7] {
        let _ = fleet.hear(&message(&format!("10.0.0.{host}"), 10), s(10), || None);
    }
    let nodes = status(&fleet, 12);
    let found = nodes.iter().filter(|node| node.state == "candidate");
    assert_eq!(found.map(|node| node.messages).sum::<u32>(), 3, "{nodes:?}");
    assert_eq!(fleet.sessions(), 0);
}

#[test]
fn candidates_that_fell_silent_make_room() {
    let mut fleet = fleet(&["a=10.0.0.1"]);
    fleet.discover(2);
    let mut hear = |host: u32, second| {
        let _ = fleet.hear(&message(&format!("10.0.0.{host}"), second), s(second), || None);
        let mut known: Vec<_> =
            status(&fleet, second).into_iter().skip(1).map(|it| it.name).collect();
        known.sort();
        known
    };
    hear(7, 10);
    hear(8, 200);
    assert_eq!(hear(9, 300), ["10.0.0.7", "10.0.0.8"], "there is no room");
    assert_eq!(hear(9, 311), ["10.0.0.8", "10.0.0.9"]);
}

/// As the history has it.
fn known(fleet: &Fleet, second: u64) -> Vec<crate::history::Known> {
    let all = fleet.ongoing(0..fleet.heard(), s(second));
    let known = |(session, heard)| crate::history::Known { session, heard: Some(heard) };
    all.map(known).collect()
}

#[test]
fn sessions_go_on_after_a_restart() {
    let nodes = ["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.3"];
    let mut before = fleet(&nodes);
    for (from, second) in [("10.0.0.1", 10), ("10.0.0.1", 20), ("10.0.0.2", 25)] {
        let _ = before.hear(&message(from, second), s(second), || None);
    }
    assert_eq!(before.active(), 2);
    let mut after = fleet(&nodes);
    let _ = after.hear(&message("10.0.0.2", 99), s(99), || None);
    for known in known(&before, 30) {
        assert_eq!(after.resume(known, s(100)), None);
    }
    assert_eq!(after.active(), 2);
    let states: Vec<_> =
        status(&after, 101).into_iter().map(|it| (it.state, it.messages)).collect();
    let expected = [("dumping", 2), ("started", 1), ("unheard", 0)];
    assert!(states.iter().map(|(state, messages)| (state.as_str(), *messages)).eq(expected));
    let told = after.hear(&message("10.0.0.1", 110), s(110), || None).told;
    assert!(told.is_none(), "it goes on: {told:?}");
    let [_, second] = std::array::from_fn(|_| after.tick(s(999)).unwrap());
    assert_eq!((&*second.event.node, second.event.kind), ("a", Kind::Finished));
    assert!(known(&before, 30).iter().any(|known| known.session.id == second.event.session));
    assert_eq!(after.active(), 0);
}

/// Nobody can tell how long ago it was.
#[test]
fn a_session_from_before_the_host_was_started_is_lost() {
    let mut before = fleet(&["a=10.0.0.1"]);
    let _ = before.hear(&message("10.0.0.1", 10), s(10), || None);
    let [known] = known(&before, 11).try_into().unwrap();
    let mut after = fleet(&["a=10.0.0.1"]);
    let unknown = crate::history::Known { heard: None, ..known.clone() };
    let told = after.resume(unknown.clone(), s(5)).unwrap().event;
    assert_eq!((told.kind, &told.session), (Kind::Lost, &known.session.id));
    assert_eq!((after.active(), after.tick(s(9999))), (0, None));
    assert_eq!(after.resume(unknown, s(6)), None, "once");
    let told = line(after.hear(&message("10.0.0.1", 7), s(7), || None).told);
    assert!(told.unwrap().contains("started"));
    let mut later = fleet(&["b=10.0.0.1"]);
    assert_eq!(later.resume(known, s(12)), None, "no such node any more");
}

/// What an agent is told that asks a moment later.
#[test]
fn what_may_be_evidence_is_remembered_until_the_dump_is_over() {
    let names = ["N1".to_owned()];
    let from = |text: &str| [text.parse::<Address>().unwrap()];
    let mut plain = fleet(&["n1=10.0.0.1,10.0.0.9", "n2=10.0.0.2"]);
    let (one, stranger) = (message("10.0.0.1", 10), message("10.0.0.3", 10));
    for heard in [&one, &stranger] {
        let _ = plain.hear(heard, s(10), || None);
    }
    assert_eq!(plain.remembered(&from("10.0.0.1"), &[], s(20)), [one]);
    assert_eq!(plain.remembered(&from("10.0.0.1"), &[], s(21)).len(), 1, "it tells why not");
    for other in ["10.0.0.2", "10.0.0.3", "10.0.0.9"] {
        assert!(plain.remembered(&from(other), &[], s(10)).is_empty(), "{other}");
    }

    let proven = |policy| fleet_with((policy, Some(examiner())), &["n1=10.0.0.1"]);
    let first = Specimen::of("n1", 1);
    for policy in [Policy::Signed, Policy::Live] {
        for (result, is_kept) in [
            (Ok(()), true),
            // It may still answer a challenge.
            (Err(Disbelief::Unremembered), true),
            (Err(Disbelief::Replayed), false),
        ] {
            let mut fleet = proven(policy);
            let _ = judge(&mut fleet, &first, 10, result);
            let found = fleet.remembered(&[], &names, s(10));
            assert_eq!(found.is_empty(), !is_kept, "{policy} {result:?}");
            let forged = Specimen { key_of: "n2", ..Specimen::of("n1", 2) };
            let _ = judge(&mut fleet, &forged, 11, Ok(()));
            assert_eq!(fleet.remembered(&[], &names, s(11)), found, "the right one stays");
        }
    }
    let mut fleet = proven(Policy::Signed);
    let _ = judge(&mut fleet, &first, 10, Ok(()));
    let end = Specimen { phase: Some(Phase::Leaving), ..Specimen::of("n1", 2) };
    let _ = judge(&mut fleet, &end, 11, Ok(()));
    assert!(fleet.remembered(&[], &names, s(11)).is_empty(), "it has left");
    let _ = judge(&mut fleet, &Specimen { crash: 2, ..first }, 12, Ok(()));
    assert_eq!(fleet.remembered(&[], &names, s(12)).len(), 1);
    let _ = fleet.tick(s(42));
    assert!(fleet.remembered(&[], &names, s(42)).is_empty(), "it was silent for too long");
}
