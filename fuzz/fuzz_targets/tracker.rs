//! Any life of a tracker: its verdicts agree with the plainest model of what was heard.
#![no_main]

use fence_kdump_core::properties::{self, Step};

libfuzzer_sys::fuzz_target!(|steps: Vec<Step>| properties::tracking(&steps));
