//! Any attack by one who sees and sends everything: nothing old counts as new, nothing counts twice.
#![no_main]

use fence_kdump_core::properties::{self, Move};

libfuzzer_sys::fuzz_target!(|moves: Vec<Move>| properties::proving(&moves));
