//! What is signed here, the protocol crate has to believe; what it asks, has to be heard here.

use super::*;
use fence_kdump_core::{ByteOrder, Phase};
use fence_kdump_core::{Challenge, CrashId, Key, KeyId, Nonce, decode};
use proptest::prelude::*;

const KEY: [u8; 32] = [0x5a; 32];
const KEY_ID: [u8; 4] = [1, 2, 3, 4];

fn signer(name: &str, random: u8, boot: u64) -> Signer {
    let mut signer = Signer::new();
    assert!(!signer.is_ready());
    signer.secret[..4].copy_from_slice(&KEY_ID);
    signer.secret[4..36].copy_from_slice(&KEY);
    signer.speak_as(name.as_bytes(), &[random; 16], boot);
    assert!(signer.is_ready());
    signer
}

fn crash_id(signer: &mut Signer) -> CrashId {
    let message = signer.sign(&Moment::default(), 0, &[]).to_vec();
    decode(&message).unwrap().extension.unwrap().crash_id.unwrap()
}

proptest! {
    #[test]
    fn what_is_signed_is_believed(
        name in "[!-~]{1,253}",
        boot in 0u64..1 << 62,
        wall in 0u64..1 << 62,
        next: u32,
        nonce: Option<[u8; 16]>,
    ) {
        let mut signer = signer(&name, 7, boot);
        let answer = nonce.as_ref().map_or(&[][..], |nonce| nonce);
        let mut earlier = None;
        for boot in [boot, boot, boot + 1_000_000, boot] {
            let bytes = signer.sign(&Moment { boot, wall }, next, answer).to_vec();
            prop_assert!(bytes.len() <= DATAGRAM_MAX);
            let message = decode(&bytes).unwrap();
            prop_assert_eq!(message.byte_order, ByteOrder::NATIVE);
            let said = message.extension.unwrap();
            prop_assert_eq!(said.node_name, Some(name.as_str()));
            prop_assert_eq!(said.wall_clock, (wall > 0).then_some(wall / 1_000_000));
            prop_assert_eq!(said.uptime, Some(boot / 1_000_000));
            prop_assert_eq!(said.interval, (next > 0).then_some(next));
            prop_assert_eq!(said.phase, Some(Phase::Booted));
            prop_assert_eq!(said.answer, nonce.map(Nonce));
            prop_assert_eq!(said.key_id, Some(KeyId(KEY_ID)));
            let signed = message.signed().unwrap();
            prop_assert!(signed.verify(&Key::from_bytes(&KEY)));
            prop_assert!(!signed.verify(&Key::from_bytes(&[0; 32])));
            prop_assert!(earlier < Some(signed.sequence) && boot <= signed.sequence);
            earlier = Some(signed.sequence);
        }
    }

    #[test]
    fn a_challenge_is_heard_as_it_is(nonce: [u8; 16], flip in 0usize..CHALLENGE_LEN * 8) {
        let mut signer = signer("n1", 7, 1);
        let crash_id = crash_id(&mut signer);
        let challenge = Challenge { key_id: KeyId(KEY_ID), crash_id, nonce: Nonce(nonce) };
        let right = challenge.encode(&Key::from_bytes(&KEY));
        prop_assert_eq!(signer.asked(&right), Some(&nonce));
        let mut wrong = right;
        wrong[flip / 8] ^= 1 << (flip % 8);
        prop_assert_eq!(signer.asked(&wrong), None);
        for length in 0..right.len() {
            prop_assert_eq!(signer.asked(&right[..length]), None);
        }
        let longer = [&right[..], &[0]].concat();
        prop_assert_eq!(signer.asked(&longer), None);
    }

    #[test]
    fn any_bytes_are_a_challenge_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(signer("n1", 7, 1).asked(&bytes), None);
    }
}

#[test]
fn a_challenge_to_another_run_or_by_another_key_is_none() {
    let mut signer = signer("n1", 7, 1);
    let own =
        Challenge { key_id: KeyId(KEY_ID), crash_id: crash_id(&mut signer), nonce: Nonce([9; 16]) };
    let asked = |challenge: Challenge, key: [u8; 32]| {
        signer.asked(&challenge.encode(&Key::from_bytes(&key))).is_some()
    };
    assert!(asked(own, KEY));
    assert!(!asked(own, [0; 32]));
    assert!(!asked(Challenge { crash_id: CrashId([0; 16]), ..own }, KEY));
    assert!(!asked(Challenge { key_id: KeyId([0; 4]), ..own }, KEY));
}

#[test]
fn two_crashes_differ_by_chance_by_time_or_by_key() {
    let mut ids = Vec::<CrashId, 4>::new();
    for (random, boot) in [(0, 5), (0, 6), (1, 5)] {
        let _ = ids.push(crash_id(&mut signer("n1", random, boot)));
    }
    let mut other = Signer::new();
    other.speak_as(b"n1", &[0; 16], 5);
    let _ = ids.push(crash_id(&mut other));
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{id}");
    }
    assert_eq!(crash_id(&mut signer("n1", 0, 5)), ids[0], "and nothing else is in it");
}

#[test]
fn the_key_is_forgotten_and_never_shown() {
    let mut signer = signer("n1", 7, 1);
    assert_eq!(format!("{signer:?}"), "Signer { is_ready: true, .. }");
    signer.forget();
    assert!(!signer.is_ready() && signer.secret == [0; 40]);
}
