//! Anything on the agent's standard input: options or one error that names its line; and what the fencer
//! says is heard wherever it stands.
#![no_main]

use fence_kdump_listener::options::stdin::{StdinError, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    match parse(bytes) {
        Ok(settings) => {
            // The last line wins.
            let more = [bytes, b"\nnodename=n7\naction=off\nTIMEOUT = 7\n"].concat();
            let again = parse(&more).expect("three right lines more");
            assert_eq!(again.timeout.as_secs(), 7);
            assert_eq!(again.family, settings.family, "what was not said again is as it was");
            // A remark changes nothing.
            let remark = parse(&[bytes, b"\n# action=off\n"].concat()).expect("a remark more");
            assert_eq!(format!("{remark:?}"), format!("{settings:?}"));
        }
        Err(StdinError::Value { line, error }) => {
            assert!((1..=lines).contains(&line));
            assert!(!error.to_string().is_empty());
        }
        Err(error) => panic!("{error}: nothing else can be wrong with so few bytes"),
    }
});
