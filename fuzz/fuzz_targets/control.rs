//! Any packet on the control socket: it is understood or not; what is understood is understood again when
//! it is written; and no message comes out of it that a decoder refuses.
#![no_main]

use fence_kdump_listener::control::packet::{Reply, Request, hexadecimal, words, write};
use serde_json::from_slice;

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    if let Ok(request) = from_slice::<Request>(packet) {
        let again = write(&request);
        assert!(matches!(from_slice::<Request>(&again), Ok(same) if same == request));
    }
    if let Ok(reply) = from_slice::<Reply>(packet) {
        let again = write(&reply);
        assert!(matches!(from_slice::<Reply>(&again), Ok(same) if same == reply));
        if let Reply::Heard { bytes, .. } = &reply
            && let Ok(words) = words(bytes)
        {
            let said = words.as_bytes();
            assert!(fence_kdump_core::decode(said).is_ok(), "{bytes}");
            assert!(hexadecimal(said).eq_ignore_ascii_case(bytes));
        }
    }
});
