//! Any text as a key file: the listener, the sender and the C library read the same out of it.
#![no_main]

use fence_kdump_capi::key::{NodeKey, fence_kdump_key_line};
use fence_kdump_listener::keys::Ring;
use fence_kdump_listener::keys::line::Line;
use fence_kdump_sender::key_file;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    for line in text.split(|byte| *byte == b'\n') {
        let mut read = NodeKey::NONE;
        // SAFETY: both are variables of this function.
        let code = unsafe { fence_kdump_key_line(line.as_ptr().cast(), line.len(), &mut read) };
        match Line::read(line) {
            Ok(Some(Line::Node { key_id, key, name })) => {
                assert_eq!((code, read.key_id, &read.key), (0, key_id.0, key.as_bytes()));
                let same = name.bytes().chain([0]).zip(read.node_name).all(|(a, b)| a == b as u8);
                assert!(same, "{name}");
                let again = Line::read(line).expect("it was right").expect("it is a key").text();
                let again = Line::read(again.trim_end().as_bytes()).expect("what was written");
                assert!(matches!(again, Some(Line::Node { name: same, .. }) if same == name));
            }
            _ => assert_ne!(code, 0, "{}", line.escape_ascii()),
        }
    }
    let mut secret: key_file::Secret = [0; 40];
    let alone = key_file::read(text, b"", &mut secret);
    if let Ok(ring) = Ring::parse(text)
        && let ([], [node]) = (ring.clusters(), ring.nodes())
    {
        // One node's key and nothing else, as it lies in a crash kernel's image.
        assert_eq!(alone, Ok(node.name.as_bytes()));
        assert_eq!(key_file::key(&secret), node.key.as_bytes());
    }
});
