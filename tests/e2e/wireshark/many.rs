//! The dissector beside the Python program: the same fields, and the same cause of refusal.

use super::capture::{Packet, tshark, write};
use fence_kdump_tests::datagram::PORT;
use fence_kdump_tests::{Need, python, requires};
use serde_json::Value;
use std::collections::BTreeMap;

/// The dissector's fields, and how the Python program calls the same thing.
const FIELDS: [(&str, &str); 19] = [
    ("fence_kdump.refused", "/refused"),
    ("fence_kdump.byte_order", "/message/byte_order"),
    ("fence_kdump.node_name", "/message/node_name"),
    ("fence_kdump.machine_id", "/message/machine_id"),
    ("fence_kdump.crash_id", "/message/crash_id"),
    ("fence_kdump.sequence", "/message/sequence"),
    ("fence_kdump.wall_clock_ms", "/message/wall_clock_ms"),
    ("fence_kdump.uptime", "/message/uptime_ms"),
    ("fence_kdump.interval", "/message/interval_ms"),
    ("fence_kdump.phase", "/message/phase"),
    ("fence_kdump.progress.done", "/message/progress/0"),
    ("fence_kdump.progress.total", "/message/progress/1"),
    ("fence_kdump.answer", "/message/answer"),
    ("fence_kdump.key_id", "/message/key_id"),
    ("fence_kdump.mac", "/message/mac"),
    ("fence_kdump.challenge.key_id", "/challenge/key_id"),
    ("fence_kdump.challenge.crash_id", "/challenge/crash_id"),
    ("fence_kdump.challenge.nonce", "/challenge/nonce"),
    ("_ws.expert.message", ""),
];

/// The bytes of a line in hexadecimal; `None` when it is none.
fn bytes(line: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    line.as_bytes().chunks(2).map(byte).collect()
}

/// Panics when what `tshark` shows, in the order of [`FIELDS`], is not what the Python program says.
fn compare(line: &str, shown: &[&str], said: &Value) {
    for ((name, pointer), shown) in FIELDS.iter().zip(shown) {
        let expected = match said.pointer(pointer) {
            _ if *name == "_ws.expert.message" => {
                let refused = shown.contains("Receivers refuse this datagram");
                assert_eq!(refused, said.get("refused").is_some(), "{line}\n{said}\n{shown}");
                continue;
            }
            Some(Value::String(mac)) if *name == "fence_kdump.mac" => {
                assert_eq!(shown.is_empty(), mac == "none", "{line}\n{said}");
                continue;
            }
            Some(Value::String(text)) => text.clone(),
            Some(number) => number.to_string(),
            // Of a refused message, the dissector shows the fields before what is wrong with it.
            None if said.get("message").is_none() => continue,
            None => String::new(),
        };
        assert_eq!(*shown, expected, "{name} of {line}\n{said}");
    }
}

#[test]
fn it_agrees_with_the_independent_decoder() {
    if !requires(&[Need::Tshark, Need::Python]) {
        return;
    }
    let lines = python::output("mutants.py", &["datagrams", "--seed", "5"], "");
    // An empty datagram is nothing that Wireshark calls a dissector for.
    let datagrams = lines.lines().filter_map(|line| Some((line, bytes(line)?)));
    let datagrams: Vec<_> = datagrams.filter(|(_, bytes)| !bytes.is_empty()).collect();
    let lines: String = datagrams.iter().map(|(line, _)| format!("{line}\n")).collect();
    let packets: Vec<_> =
        datagrams.iter().map(|(_, bytes)| Packet::to(PORT, bytes.clone())).collect();

    let columns = FIELDS.iter().flat_map(|(name, _)| ["-e", name]);
    let args: Vec<&str> = ["-T", "fields"].into_iter().chain(columns).collect();
    let shown = write(&packets, |file| tshark(file, &args));
    let said = python::decode(&lines, None);
    assert_eq!(shown.lines().count(), said.len(), "one line a packet");

    let mut counts = BTreeMap::<&str, u32>::new();
    for ((line, shown), said) in lines.lines().zip(shown.lines()).zip(&said) {
        let shown: Vec<&str> = shown.split('\t').collect();
        assert_eq!(shown.len(), FIELDS.len(), "{line}: {shown:?}");
        compare(line, &shown, said);
        let kind = if said.get("message").is_some() { "message" } else { "challenge" };
        *counts.entry(said["refused"].as_str().unwrap_or(kind)).or_default() += 1;
    }
    println!("compared: {counts:#?}");
    // 13 of the 14 causes, messages and challenges.
    assert_eq!(counts.len(), 15, "not every kind of datagram was compared: {counts:?}");
}
