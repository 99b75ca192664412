//! Any words on the sender's command line: every word is an option, a node, or wrong; none is lost.
#![no_main]

use fence_kdump_sender::args::{Options, What, Words};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let letters: usize = words.iter().map(|word| word.len() + 1).sum();
    let mut options = Options::default();
    let mut nodes = 0;
    for (count, word) in Words::new(words.iter().copied()).enumerate() {
        assert!(count <= letters, "it does not end");
        match word.what {
            What::Option(name) => {
                let _ = options.take(name, word.text);
            }
            What::Node => {
                assert!(words.contains(&word.text));
                nodes += 1;
            }
            What::Wrong(_) => {}
        }
    }
    assert!(nodes <= words.len());
    assert!(options.port > 0);
    // Behind `--` there are only nodes.
    let plain = [&b"--"[..]].into_iter().chain(words.iter().copied());
    assert_eq!(
        Words::new(plain).filter(|word| matches!(word.what, What::Node)).count(),
        words.len()
    );
});
