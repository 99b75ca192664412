//! Tests of one link's protocols, on a cable that ends in the test.

use super::*;
use crate::link::fed::{Fed, MAC};
use crate::link::wire::parts;
use proptest::prelude::*;

const THEM: Mac = [2, 0, 0, 0, 0, 2];

fn to(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

/// Their answer: `ip` is at them.
fn arp(ip: [u8; 4]) -> std::vec::Vec<u8> {
    [&MAC[..], &THEM, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &THEM, &ip, &MAC, &[10, 0, 0, 1]].concat()
}

/// The protocols of all frames that have gone out.
fn out(fed: &mut Fed) -> std::vec::Vec<(Mac, u16)> {
    std::iter::from_fn(|| fed.next_frame())
        .map(|frame| {
            let (to, from, protocol, _) = parts(&frame).unwrap();
            assert_eq!(from, MAC);
            (to, protocol)
        })
        .collect()
}

#[test]
fn a_neighbour_is_asked_for_and_then_told() {
    let mut fed = Fed::new();
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    assert_eq!(out(&mut fed), [([0xff; 6], 0x806)]);
    fed.feed(&arp([10, 0, 0, 2]));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

/// However often a dead neighbour is asked for, the others are asked for at once.
#[test]
fn the_dead_hold_up_nobody() {
    let mut fed = Fed::new();
    for _ in 0..3 {
        for last in [2, 3, 4] {
            let message = fed.send(b"message!", &to(&format!("10.0.0.{last}")));
            assert_eq!(message, Err(Errno::SOUGHT));
            assert_eq!(out(&mut fed), [([0xff; 6], 0x806)], "{last}");
        }
        assert_eq!(fed.send(b"message!", &to("fd00::2")), Err(Errno::SOUGHT));
        assert_eq!(out(&mut fed), [([0x33, 0x33, 0xff, 0, 0, 2], 0x86dd)]);
    }
    fed.feed(&arp([10, 0, 0, 4]));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.4")), Ok(()));
}

#[test]
fn far_away_is_at_the_gateway() {
    let mut fed = Fed::new();
    fed.feed(&arp([10, 0, 0, 254]));
    out(&mut fed);
    for far in ["192.0.2.7", "8.8.8.8"] {
        assert_eq!(fed.send(b"message!", &to(far)), Ok(()), "{far}");
        assert_eq!(out(&mut fed), [(THEM, 0x800)]);
    }
    assert_eq!(fed.send(b"message!", &to("2001:db8::7")), Err(Errno::SOUGHT));
    assert_eq!(out(&mut fed), [([0x33, 0x33, 0xff, 0, 0, 0xfe], 0x86dd)]);
}

#[test]
fn all_and_groups_need_no_question() {
    let mut fed = Fed::new();
    for (ip, mac, protocol) in [
        ("255.255.255.255", [0xff; 6], 0x800),
        ("10.0.0.255", [0xff; 6], 0x800),
        ("239.1.2.3", [1, 0, 0x5e, 1, 2, 3], 0x800),
        ("ff02::1", [0x33, 0x33, 0, 0, 0, 1], 0x86dd),
    ] {
        assert_eq!(fed.send(b"message!", &to(ip)), Ok(()), "{ip}");
        assert_eq!(out(&mut fed), [(mac, protocol)]);
    }
}

/// A message that cannot be sent is told so; nothing panics over it.
#[test]
fn destinations_that_make_no_sense() {
    let mut fed = Fed::new();
    for ip in ["0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1", "fd00::1"] {
        assert!(fed.send(b"message!", &to(ip)).is_err(), "{ip}");
    }
    assert_eq!(fed.send(&[0; 600], &to("10.0.0.255")), Err(Errno::EMSGSIZE));
    assert_eq!(fed.send(&[0; 508], &to("10.0.0.255")), Ok(()));
}

#[test]
fn questions_for_this_node_are_answered() {
    let mut fed = Fed::new();
    let question = [
        &[0xff; 6][..],
        &THEM,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &THEM,
        &[10, 0, 0, 2],
        &[0; 6],
        &[10, 0, 0, 1],
    ];
    fed.feed(&question.concat());
    assert!(out(&mut fed).contains(&(THEM, 0x806)));
    // Whoever has asked needs not be asked for.
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
}

/// Another card says that it is them, again and again: both get the message, and all do.
#[test]
fn a_disputed_address() {
    const MALLORY: Mac = [2, 0, 0, 0, 0, 9];
    let mut fed = Fed::new();
    let mut lie = arp([10, 0, 0, 2]);
    for at in [6, 22] {
        lie[at..at + 6].copy_from_slice(&MALLORY);
    }
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    for truth_first in [true, false] {
        let truth = arp([10, 0, 0, 2]);
        let (first, second) = if truth_first { (&truth, &lie) } else { (&lie, &truth) };
        fed.feed(first);
        fed.feed(second);
        out(&mut fed);
        assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
        let mut cards = out(&mut fed);
        assert_eq!(cards.remove(0), ([0xff; 6], 0x806), "it is asked for each time");
        cards.sort_unstable();
        assert_eq!(cards, [(THEM, 0x800), (MALLORY, 0x800), ([0xff; 6], 0x800)]);
    }
    // He has gone.
    fed.pass(Millis::seconds(29));
    fed.feed(&arp([10, 0, 0, 2]));
    fed.pass(Millis::seconds(2));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

/// Hosts that are made up take nobody's place.
#[test]
fn a_crowd_of_strangers() {
    let mut fed = Fed::new();
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    fed.feed(&arp([10, 0, 0, 2]));
    for last in 3..=250 {
        fed.pass(Millis(10));
        fed.feed(&arp([10, 0, 0, last]));
    }
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

proptest! {
    /// The entry for fuzzing.
    #[test]
    fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(crate::link::fed::any_frames(&input), Ok(()));
    }

    /// Whatever comes in, a message to all goes out.
    #[test]
    fn any_frames(
        frames in proptest::collection::vec(
            (
                prop_oneof![Just(0x806u16), Just(0x800), Just(0x86dd), any::<u16>()],
                proptest::collection::vec(any::<u8>(), 0..120),
            ),
            0..20,
        ),
    ) {
        let mut fed = Fed::new();
        for (protocol, body) in frames {
            let frame = [&MAC[..], &THEM, &protocol.to_be_bytes(), &body].concat();
            fed.feed(&frame);
            fed.pass(Millis(500));
        }
        out(&mut fed);
        prop_assert_eq!(fed.send(b"message!", &to("255.255.255.255")), Ok(()));
        prop_assert_eq!(out(&mut fed), [([0xff; 6], 0x800)]);
    }
}

#[path = "judge_tests.rs"]
mod judge;
