//! Any hosts file and any resolv.conf: what they say, as a second reader has it, and never too much.
#![no_main]

use fence_kdump_sender::address::Address;
use fence_kdump_sender::hosts;
use fence_kdump_sender::resolv_conf::{SEARCH, SERVERS, Settings};

/// hosts(5) once more, in the plainest way.
fn addresses(text: &[u8], name: &[u8]) -> Vec<Address> {
    let mut found = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words =
            line.split(|byte| b" \t\r\x0b\x0c".contains(byte)).filter(|w| !w.is_empty());
        let address = words.next().and_then(Address::parse);
        let names = words.filter(|word| word.eq_ignore_ascii_case(name)).count();
        found.extend(address.filter(|_| names > 0));
    }
    found
}

libfuzzer_sys::fuzz_target!(|input: (&[u8], &[u8])| {
    let (name, text) = input;
    let mut found = Vec::new();
    hosts::each(text, name, |address| found.push(address));
    let printable = |byte: &u8| byte.is_ascii_graphic() || b" \t\n".contains(byte);
    if text.iter().all(printable)
        && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    {
        let mut once = addresses(text, name);
        once.dedup_by(|a, b| a == b);
        let mut same = found.clone();
        same.dedup_by(|a, b| a == b);
        assert_eq!(format!("{same:?}"), format!("{once:?}"), "{}", text.escape_ascii());
    }
    let mut settings = Settings::new();
    settings.parse(text);
    assert!(settings.servers.len() <= SERVERS && settings.search.len() <= SEARCH);
    assert!(settings.attempts <= 5 && settings.dots <= 15, "resolv.conf(5) has these limits");
});
