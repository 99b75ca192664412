//! Any words on the agent's command line: it is told what to do, tells something, or says what is wrong.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use fence_kdump_listener::options::argv::{Asked, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    match parse(words) {
        Asked::Run(settings) => assert!((1..=u64::MAX).contains(&settings.timeout.as_secs())),
        Asked::Tell(text) | Asked::Wrong(text) => assert!(!text.trim().is_empty()),
    }
});
