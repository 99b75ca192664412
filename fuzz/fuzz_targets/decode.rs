//! Any bytes at all: decoding is total, exact, and agrees with a second statement of its rule.
#![no_main]

use fence_kdump_core::properties;

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| properties::decoding(datagram));
