//! Any bytes at all: decoding is total, exact, and agrees with a second statement of its rule; what is told
//! of it has words.
#![no_main]

use fence_kdump_core::{DecodeError, Extension, Phase, decode, properties};

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    properties::decoding(datagram);
    match decode(datagram) {
        Ok(message) => {
            let Extension { crash_id, answer, key_id, phase, .. } =
                message.extension.unwrap_or_default();
            let ids = [crash_id.map(|id| id.0), answer.map(|id| id.0)];
            let shown = [crash_id.map(|id| id.to_string()), answer.map(|id| id.to_string())];
            for (id, shown) in ids.into_iter().zip(shown) {
                let number = shown.map(|shown| u128::from_str_radix(&shown, 16));
                assert_eq!(number, id.map(|id| Ok(u128::from_be_bytes(id))));
            }
            assert!(format!("{key_id:?}").len() >= 4);
            let name = phase.map(Phase::name);
            let registered = phase.is_none_or(|phase| (1..=5).contains(&phase.number()));
            assert_eq!(name != Some("unregistered"), registered);
        }
        Err(error) => {
            let (place, cause) = error.cause();
            assert!(place < DecodeError::COUNT && !cause.is_empty());
            assert!(error.to_string().contains(' '));
        }
    }
});
