//! What counts, and what does not.

use super::*;
use crate::nodes::Known;
use crate::options::Family;
use crate::socket::Words;
use fence_kdump_core::{ByteOrder, DecodeError, Extension, encode, encode_extended};
use proptest::prelude::*;

fn s(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn at(address: &str) -> Known {
    Known::At(vec![address.parse().unwrap()])
}

fn message(from: &str, second: u64) -> Datagram {
    Datagram {
        received_at: s(second),
        from: from.parse().unwrap(),
        port: 9,
        said: Words::read(&encode(ByteOrder::Big)),
    }
}

fn hear(asked: &mut Inquiry, datagram: &Datagram) -> Found {
    asked.hear(datagram, datagram.received_at, || None).found
}

fn inquiry(nodename: &[&str], port: Option<&str>) -> Inquiry {
    let names: Vec<_> = nodename.iter().map(|&name| name.to_owned()).collect();
    let node = Node::new(&names, port, Family::Any);
    let mut inquiry = Inquiry::new(node, (Policy::Plain, None), s(100), s(160));
    inquiry.learn(|node| node.learn("a", &at("10.0.0.1")));
    inquiry
}

#[test]
fn a_message_of_the_node_between_start_and_deadline() {
    let mut asked = inquiry(&["a"], None);
    assert_eq!(asked.standing(s(101)), Standing::Open);
    hear(&mut asked, &message("10.0.0.1", 110));
    let (from, heard_at, proof) = ("10.0.0.1".parse().unwrap(), s(110), Proof::Plain);
    assert_eq!(asked.standing(s(111)), Standing::InCrashKernel { from, heard_at, proof });
    assert_eq!(asked.standing(s(109)), Standing::Open, "from the future");
    assert!(matches!(asked.standing(s(120)), Standing::InCrashKernel { .. }));
    assert_eq!(asked.standing(s(121)), Standing::Open, "by now it may have rebooted");
    assert_eq!(asked.standing(s(141)), Standing::Open, "silent for too long");
    assert_eq!(asked.standing(s(160)), Standing::TooLate);
}

#[test]
fn nothing_else_counts() {
    let mut asked = inquiry(&["a"], None);
    hear(&mut asked, &message("10.0.0.1", 89));
    hear(&mut asked, &message("10.0.0.2", 110));
    hear(&mut asked, &Datagram { said: Err(DecodeError::Empty), ..message("10.0.0.1", 111) });
    assert_eq!(asked.standing(s(112)), Standing::Open);
    assert_eq!(asked.heard.len(), 1, "nothing is kept of strangers");
}

#[test]
fn a_message_that_came_while_names_were_looked_up_counts_as_they_turn_out() {
    let mut asked = inquiry(&["a"], Some("b"));
    hear(&mut asked, &message("10.0.0.1", 110));
    assert_eq!(asked.standing(s(111)), Standing::Open, "b may be another node");
    let mut same = inquiry(&["a"], Some("b"));
    hear(&mut same, &message("10.0.0.1", 110));
    assert!(same.learn(|node| node.learn("b", &at("10.0.0.1"))));
    assert!(matches!(same.standing(s(111)), Standing::InCrashKernel { .. }));
    assert!(asked.learn(|node| node.learn("b", &at("10.0.0.2"))));
    assert_eq!(asked.standing(s(111)), Standing::Open, "b is another node");
    hear(&mut asked, &message("10.0.0.2", 112));
    assert!(matches!(asked.standing(s(113)), Standing::InCrashKernel { .. }));
}

/// With what a message says besides, unproven.
fn saying(from: &str, second: u64, phase: Option<Phase>, interval: Option<u32>) -> Datagram {
    let extension = Extension { phase, interval, ..Extension::default() };
    let mut bytes = fence_kdump_core::Datagram::new();
    encode_extended(ByteOrder::Little, &extension, &mut bytes).unwrap();
    Datagram { said: Words::read(&bytes), ..message(from, second) }
}

#[test]
fn a_remembered_message_counts_as_long_as_it_is_fresh() {
    let is_known = |said: &[Datagram], second| {
        let mut asked = inquiry(&["a"], None);
        for datagram in said {
            hear(&mut asked, datagram);
        }
        matches!(asked.standing(s(second)), Standing::InCrashKernel { .. })
    };
    let plain = message("10.0.0.1", 95);
    for second in 100..=105 {
        assert!(is_known(std::slice::from_ref(&plain), second), "{second}");
    }
    assert!(!is_known(std::slice::from_ref(&plain), 106), "its age when it is decided counts");
    assert!(!is_known(&[message("10.0.0.1", 89)], 100));
    assert!(!is_known(&[message("10.0.0.2", 95)], 100), "not its address");
    let often = saying("10.0.0.1", 95, None, Some(5_000));
    assert!(is_known(std::slice::from_ref(&often), 101));
    assert!(!is_known(&[often], 102), "the next one was due");
    let seldom = saying("10.0.0.1", 95, None, Some(60_000));
    assert!(is_known(std::slice::from_ref(&seldom), 105));
    assert!(!is_known(&[seldom], 106), "never longer");
    for end in [Phase::Finished, Phase::Leaving] {
        let end = saying("10.0.0.1", 96, Some(end), None);
        assert!(!is_known(std::slice::from_ref(&end), 100), "it is over");
        assert!(!is_known(&[plain.clone(), end.clone()], 100), "it said so since");
        assert!(!is_known(&[end.clone(), message("10.0.0.1", 97)], 100), "it said so just before");
        assert!(is_known(&[end, message("10.0.0.1", 100)], 100), "no memory");
        let long_ago = saying("10.0.0.1", 85, Some(Phase::Leaving), None);
        assert!(is_known(&[long_ago, message("10.0.0.1", 96)], 100), "it crashed again");
        let stranger = saying("10.0.0.2", 96, Some(Phase::Leaving), None);
        assert!(is_known(&[stranger, plain.clone()], 100), "somebody else said so");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Hear { end: u8, second: u64, valid: bool },
    Learn { name: &'static str, ends: Vec<u8> },
}

fn any_step() -> impl Strategy<Value = Step> {
    let hear = (1u8..6, 90u64..170, any::<bool>());
    let names = prop_oneof![Just("a"), Just("a2"), Just("b")];
    let learn = (names, prop::collection::vec(1u8..6, 0..3));
    prop_oneof![
        hear.prop_map(|(end, second, valid)| Step::Hear { end, second, valid }),
        learn.prop_map(|(name, ends)| Step::Learn { name, ends }),
    ]
}

proptest! {
    /// Whatever comes in whatever order: nobody is taken to be in its crash kernel without a valid
    /// message, that came by now and in the last 10 s, from an address that counts now.
    #[test]
    fn no_success_without_a_message(
        steps in prop::collection::vec(any_step(), 0..20),
        port in prop::option::of(Just("b")),
        now in 100u64..170,
    ) {
        let names = ["a".to_owned(), "a2".to_owned()];
        let node = Node::new(&names, port, Family::Any);
        let mut asked = Inquiry::new(node, (Policy::Plain, None), s(100), s(160));
        let mut said = Vec::new();
        for step in steps {
            match step {
                Step::Hear { end, second, valid } => {
                    let from = format!("10.0.0.{end}");
                    let mut datagram = message(&from, second);
                    if !valid {
                        datagram.said = Err(DecodeError::Truncated { len: 7 });
                    }
                    said.push((datagram.from, second, valid));
                    hear(&mut asked, &datagram);
                }
                Step::Learn { name, ends } => {
                    let at = ends.iter().map(|end| format!("10.0.0.{end}").parse().unwrap());
                    let known = match at.collect::<Vec<_>>() {
                        none if none.is_empty() => Known::Failed("none".to_owned()),
                        some => Known::At(some),
                    };
                    asked.learn(|node| node.learn(name, &known));
                }
            }
        }
        if let Standing::InCrashKernel { from, .. } = asked.standing(s(now)) {
            prop_assert!(now < 160);
            prop_assert!(asked.believed().addresses.contains(&from));
            let spoke = said.iter().any(|&(address, second, valid)| {
                address == from && valid && second <= now && second + 10 >= now
            });
            prop_assert!(spoke, "nobody spoke from {}", from);
        }
    }
}
