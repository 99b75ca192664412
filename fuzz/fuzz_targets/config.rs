//! Any text as the daemon's configuration file: it is right, or what is wrong with it is told.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // What `web` and `sink` name is looked at on the disk: nothing of that is for a fuzzer to find.
    if text.contains('/') {
        return;
    }
    if let Err(error) = fence_kdump_listener::config::parse(Path::new("fence_kdumpd.toml"), text) {
        let told = error.to_string();
        assert!(told.contains("fence_kdumpd.toml"), "{told}");
    }
});
