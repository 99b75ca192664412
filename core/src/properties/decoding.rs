//! Bytes ⇄ message.

use super::MESSAGES;
use crate::auth::Key;
use crate::codec::{DecodeError, decode, encode, encode_extended, sign};
use crate::message::{ByteOrder, Datagram, Extension, Message};

/// Every byte string is a message or has exactly one cause of refusal. A plain message encodes to the
/// bytes that it was decoded from; one with an extension says the same when it is written anew and read
/// again.
pub fn decoding(bytes: &[u8]) {
    let known = |len: usize| {
        MESSAGES.iter().any(|(_, message)| {
            bytes.get(..len).is_some_and(|head| Some(head) == message.get(..len))
        })
    };
    match decode(bytes) {
        Ok(message) => {
            assert!(bytes.starts_with(&encode(message.byte_order)));
            assert!(MESSAGES.contains(&(message.byte_order, encode(message.byte_order))));
            match message.extension {
                None => assert_eq!(bytes.len(), 8),
                Some(extension) => rewriting(bytes, &message, &extension),
            }
        }
        Err(DecodeError::Empty) => assert!(bytes.is_empty()),
        Err(DecodeError::Truncated { len }) => {
            assert!(len == bytes.len() && (1..8).contains(&len));
        }
        Err(DecodeError::BadMagic { found }) => {
            assert!(bytes.len() >= 8 && bytes.starts_with(&found.to_le_bytes()) && !known(4));
        }
        Err(DecodeError::UnsupportedVersion { version }) => {
            assert!(version != 1 && bytes.len() >= 8 && known(4) && !known(8));
        }
        Err(DecodeError::TrailingBytes { extra }) => {
            assert!(extra > 0 && bytes.len().checked_sub(8) == Some(extra) && known(8));
            assert!(bytes.get(8..12) != Some(b"KDX1"));
        }
        Err(DecodeError::TooLong { len }) => assert!(len == bytes.len() && len > 508),
        Err(_) => {
            assert!(known(8) && bytes.get(8..12) == Some(b"KDX1"));
            assert!((14..=508).contains(&bytes.len()) || bytes.len() == 13);
        }
    }
}

fn rewriting(bytes: &[u8], message: &Message<'_>, extension: &Extension<'_>) {
    assert!((12..=508).contains(&bytes.len()));
    let key = Key::from_bytes(&[0x5a; 32]);
    let mut anew = Datagram::new();
    assert_eq!(encode_extended(message.byte_order, extension, &mut anew), Ok(()));
    let unsigned = decode(&anew).map(|message| (message.extension, message.signed()));
    assert_eq!(unsigned, Ok((Some(*extension), None)));
    let signed = sign(message.byte_order, extension, &key, &mut anew);
    assert!(message.signed().is_none() || signed.is_ok(), "a signed message has all it needs");
    if signed.is_ok() {
        let Ok(again) = decode(&anew) else { panic!("{anew:?} is no message") };
        assert_eq!(again.extension, Some(*extension));
        assert!(again.signed().is_some_and(|signed| signed.verify(&key)));
    }
    if let Some(signed) = message.signed() {
        assert!(!signed.verify(&key), "nobody guesses a MAC");
    }
}

/// A signed message is refused or disbelieved as soon as a bit of it is flipped, or it is cut or longer;
/// whether or not its key was made ready.
pub fn signing(extension: &Extension<'_>, order: ByteOrder, bit: usize, len: usize) {
    let key = Key::from_bytes(&[0xa5; 32]);
    let mut datagram = Datagram::new();
    if sign(order, extension, &key, &mut datagram).is_err() {
        return;
    }
    let ready = key.ready();
    let is_true = |bytes: &[u8]| {
        let Ok(Some(signed)) = decode(bytes).map(|message| message.signed()) else { return false };
        let is_true = signed.verify(&key);
        assert_eq!(signed.verify(&ready), is_true, "a ready key is the same key");
        is_true
    };
    assert!(is_true(&datagram));
    let mut flipped = datagram.clone();
    let (byte, mask) = (bit / 8, 1_u8 << (bit % 8));
    if let Some(byte) = flipped.get_mut(byte) {
        *byte ^= mask;
        assert!(!is_true(&flipped), "bit {bit} of {datagram:?}");
    }
    let mut other_length = datagram.clone();
    if len != datagram.len() && other_length.resize(len, 0).is_ok() {
        assert!(!is_true(&other_length), "{len} bytes of {datagram:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CrashId, KeyId, Nonce, Phase, Progress};
    use proptest::prelude::*;

    fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
        let message = prop_oneof![Just(encode(ByteOrder::Little)), Just(encode(ByteOrder::Big))];
        (message, any::<Option<(prop::sample::Index, u8)>>(), 0..=8usize, 0..3usize).prop_map(
            |(message, flip, keep, extra)| {
                let mut bytes = message.to_vec();
                if let Some((at, bits)) = flip {
                    bytes[at.index(8)] ^= bits;
                }
                bytes.truncate(keep);
                bytes.extend(std::iter::repeat_n(0, extra));
                bytes
            },
        )
    }

    /// Fields of which each is nearly right: the types that exist with the lengths that they have.
    fn nearly_extended() -> impl Strategy<Value = Vec<u8>> {
        let known = prop_oneof![
            (Just(1_u8), prop::collection::vec(0x20..0x7f_u8, 0..20)),
            (prop_oneof![Just(2_u8), Just(3), Just(9), Just(10)], any_bytes(16)),
            (4..7_u8, any_bytes(8)),
            (prop_oneof![Just(7_u8), Just(11)], any_bytes(4)),
            (Just(8_u8), any_bytes(1)),
            any_bytes(33).prop_map(|mut mac| {
                mac[0] %= 3;
                (0xff, mac)
            }),
        ];
        let any_field = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40));
        let field = prop_oneof![20 => known, 1 => any_field];
        let fields = prop::collection::vec(field, 0..10);
        (fields, any::<bool>(), 0..60_usize).prop_map(|(mut fields, orderly, cut)| {
            if orderly {
                fields.sort();
                fields.dedup_by_key(|field| field.0);
            }
            let mut bytes = [&MESSAGES[0].1[..], b"KDX1"].concat();
            for (kind, value) in fields {
                bytes.extend([kind, value.len() as u8]);
                bytes.extend(value);
            }
            if cut < 5 {
                bytes.truncate(bytes.len() - cut);
            }
            bytes
        })
    }

    fn any_bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), len)
    }

    prop_compose! {
        fn extension()(
            machine_id: Option<[u8; 16]>,
            crash_id: [u8; 16],
            sequence: u64,
            wall_clock: Option<u64>,
            uptime: u64,
            interval: Option<u32>,
            phase: Option<u8>,
            progress: Option<(u64, u64)>,
            answer: Option<[u8; 16]>,
            key_id: [u8; 4],
        ) -> Extension<'static> {
            Extension {
                node_name: Some("node-1.example.com"),
                machine_id,
                crash_id: Some(CrashId(crash_id)),
                sequence: Some(sequence),
                wall_clock,
                uptime: Some(uptime),
                interval,
                phase: phase.map(Phase::of),
                progress: progress.map(|(done, total)| Progress { done, total }),
                answer: answer.map(Nonce),
                key_id: Some(KeyId(key_id)),
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let extension = Extension {
            node_name: Some("n1"),
            crash_id: Some(CrashId([1; 16])),
            sequence: Some(1),
            uptime: Some(2),
            key_id: Some(KeyId([3; 4])),
            ..Extension::default()
        };
        for order in [ByteOrder::Little, ByteOrder::Big] {
            (0..1000).step_by(crate::STRIDE).for_each(|at| signing(&extension, order, at, at));
        }
    }

    proptest! {
        #[test]
        fn decoding_is_total_and_exact(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            decoding(&bytes);
            decoding(&[&MESSAGES[1].1[..], b"KDX1", &bytes].concat());
        }

        #[test]
        fn decoding_is_exact_near_a_plain_message(bytes in nearly_plain()) {
            decoding(&bytes);
        }

        #[test]
        fn decoding_is_exact_near_an_extended_message(bytes in nearly_extended()) {
            decoding(&bytes);
        }

        #[test]
        fn only_what_was_signed_is_true(
            extension in extension(), little: bool, bit in 0..4000_usize, len in 0..508_usize,
        ) {
            let order = if little { ByteOrder::Little } else { ByteOrder::Big };
            let mut datagram = Datagram::new();
            encode_extended(order, &extension, &mut datagram).unwrap();
            decoding(&datagram);
            signing(&extension, order, bit, len);
        }
    }
}
