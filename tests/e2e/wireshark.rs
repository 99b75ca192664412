//! The Wireshark dissector, by `tshark`: on datagrams written out here, on thousands of good and bad
//! ones beside the Python program, and on a capture of our own programs' traffic.

#[path = "wireshark/capture.rs"]
mod capture;
#[path = "wireshark/many.rs"]
mod many;
#[path = "wireshark/traffic.rs"]
mod traffic;

use capture::{Packet, shown, summaries, tshark};
use fence_kdump_tests::datagram::{BIG, LITTLE, PORT};
use fence_kdump_tests::{Need, requires};

/// A port at which nobody would look for the protocol.
const ELSEWHERE: u16 = 50_123;

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a field's value");
    [&[kind, length], value].concat()
}

/// A message with every field of PROTOCOL.md, section 4.2, an unknown one, and a MAC that nobody
/// checks here.
fn full(start: [u8; 8]) -> Vec<u8> {
    let mut message = [&start[..], b"KDX1"].concat();
    message.extend(field(0x01, b"n1.example.com"));
    message.extend(field(0x02, &[0xa1; 16]));
    message.extend(field(0x03, &[0xa2; 16]));
    message.extend(field(0x04, &u64::MAX.to_be_bytes()));
    // 2025-11-24 16:00:00.123 UTC.
    message.extend(field(0x05, &1_764_000_000_123_u64.to_be_bytes()));
    message.extend(field(0x06, &12_345_u64.to_be_bytes()));
    message.extend(field(0x07, &10_000_u32.to_be_bytes()));
    message.extend(field(0x08, &[2]));
    message.extend(field(0x09, &[&5_u64.to_be_bytes()[..], &(1_u64 << 40).to_be_bytes()].concat()));
    message.extend(field(0x0a, &[0xa3; 16]));
    message.extend(field(0x0b, &[0xde, 0xad, 0xbe, 0xef]));
    message.extend(field(0x61, b"\x00\xff?"));
    message.extend(field(0xff, &[&[1][..], &[0xa4; 32]].concat()));
    message
}

fn challenge() -> Vec<u8> {
    [b"KDC1", &[0xde, 0xad, 0xbe, 0xef][..], &[0xa2; 16], &[0xa3; 16], &[0xa5; 32]].concat()
}

#[test]
fn every_field_has_its_name_and_value() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    for (start, order) in [(LITTLE, "little"), (BIG, "big")] {
        let packet = &shown(&[Packet::to(PORT, full(start))])[0];
        let expected = [
            ("fence_kdump.magic", "0x1b302a40"),
            ("fence_kdump.version", "1"),
            ("fence_kdump.byte_order", order),
            ("fence_kdump.mark", "KDX1"),
            ("fence_kdump.node_name", "n1.example.com"),
            ("fence_kdump.machine_id", &["a1"; 16].join(":")),
            ("fence_kdump.crash_id", &["a2"; 16].join(":")),
            ("fence_kdump.sequence", "18446744073709551615"),
            ("fence_kdump.wall_clock", "Nov 24, 2025 16:00:00.123000000 UTC"),
            ("fence_kdump.wall_clock_ms", "1764000000123"),
            ("fence_kdump.uptime", "12345"),
            ("fence_kdump.interval", "10000"),
            ("fence_kdump.phase", "2"),
            ("fence_kdump.progress.done", "5"),
            ("fence_kdump.progress.total", "1099511627776"),
            ("fence_kdump.answer", &["a3"; 16].join(":")),
            ("fence_kdump.key_id", "de:ad:be:ef"),
            ("fence_kdump.unknown.type", "0x61"),
            ("fence_kdump.unknown.value", "00:ff:3f"),
            ("fence_kdump.mac.algorithm", "1"),
            ("fence_kdump.mac", &["a4"; 32].join(":")),
        ];
        for (name, value) in expected {
            assert_eq!(packet.values(name), [value], "{order}: {name}");
        }
        assert_eq!(packet.values("fence_kdump.field.type").len(), 13, "{order}");
        assert!(packet.values("fence_kdump.refused").is_empty(), "{order}");
        assert!(packet.values("_ws.expert.message").is_empty(), "{order}");
    }
}

#[test]
fn plain_messages_and_those_without_mac_are_called_unproven() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    let extended = [&LITTLE[..], b"KDX1", &field(0x01, b"n1"), &field(0x08, &[99])].concat();
    let packets = [LITTLE.to_vec(), BIG.to_vec(), extended].map(|bytes| Packet::to(PORT, bytes));
    let shown = shown(&packets);
    for (packet, order) in shown.iter().zip(["little", "big", "little"]) {
        assert_eq!(packet.values("fence_kdump.byte_order"), [order]);
        assert_eq!(packet.values("fence_kdump.version"), ["1"]);
        assert!(packet.values("fence_kdump.mac").is_empty());
        assert!(packet.values("_ws.expert.message").iter().any(|said| said.starts_with("No MAC")));
    }
    assert_eq!(shown[2].values("fence_kdump.node_name"), ["n1"]);
    // Passed over by a receiver, but what was sent is shown.
    assert_eq!(shown[2].values("fence_kdump.phase"), ["99"]);
    assert_eq!(shown[2].values("_ws.expert.message").len(), 2, "the phase is remarked on");
}

#[test]
fn one_line_says_what_matters() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    let leaving = [&BIG[..], b"KDX1", &field(0x08, &[5])].concat();
    let said = [
        (LITTLE.to_vec(), "Crash kernel runs: plain"),
        (BIG.to_vec(), "Crash kernel runs: plain, big-endian"),
        (
            full(LITTLE),
            "Crash kernel runs: signed, n1.example.com, sequence 18446744073709551615, dumping, \
             5 of 1099511627776 bytes, answers a challenge",
        ),
        (leaving, "Crash kernel runs: extended, unsigned, leaving"),
        (challenge(), "Challenge, nonce a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3"),
        (LITTLE[..7].to_vec(), "Refused: truncated (7 bytes)"),
        (b"KDC1....".to_vec(), "Refused: bad magic (0x3143444b)"),
        ([full(LITTLE), vec![0]].concat(), "Refused: MAC not last (Unknown field 0x00)"),
    ];
    let packets = said.clone().map(|(bytes, _)| Packet::to(PORT, bytes));
    assert_eq!(
        summaries(&packets, &[]),
        said.map(|(_, summary)| ("fence_kdump".into(), summary.into()))
    );
}

#[test]
fn on_other_ports_the_magic_number_tells() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    let ours = [LITTLE.to_vec(), BIG.to_vec(), full(BIG), challenge(), LITTLE.repeat(2)];
    let others = [b"hello, world".to_vec(), LITTLE[..7].to_vec(), b"KDC1 is no challenge".to_vec()];
    let elsewhere = |bytes: &Vec<u8>| Packet::between(ELSEWHERE, ELSEWHERE + 1, bytes.clone());
    let packets: Vec<Packet> = ours.iter().chain(&others).map(elsewhere).collect();
    let protocols = |packets: &[Packet], options: &[&str]| -> Vec<String> {
        summaries(packets, options).into_iter().map(|(protocol, _)| protocol).collect()
    };
    let expected = [&["fence_kdump"; 5][..], &["UDP"; 3]].concat();
    assert_eq!(protocols(&packets, &[]), expected);

    // At the protocol's own port, everything is ours, but not what another protocol puts there.
    let at_port = |bytes: &[u8]| Packet::to(PORT, bytes.to_vec());
    let rtps = b"RTPS\x02\x03\x01\x0f0123456789ab";
    let packets = [at_port(b"hello, world"), at_port(rtps)];
    let found = protocols(&packets, &[]);
    assert_eq!(found[0], "fence_kdump");
    assert_ne!(found[1], "fence_kdump", "DDS discovery is not ours");

    // Where the port is another, a preference says so.
    let moved = [Packet::to(7777, b"hello, world".to_vec()), at_port(b"hello, world")];
    let found = protocols(&moved, &["-o", "fence_kdump.ports:7777"]);
    assert_eq!(found, ["fence_kdump", "UDP"]);
}

/// A challenge goes from the receiver's port to wherever the message came from.
#[test]
fn a_challenge_is_shown_by_its_parts() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    let ways = [(PORT, ELSEWHERE), (ELSEWHERE, PORT), (ELSEWHERE, ELSEWHERE + 1)];
    for packet in shown(&ways.map(|(from, to)| Packet::between(from, to, challenge()))) {
        let expected = [
            ("fence_kdump.challenge.mark", "KDC1"),
            ("fence_kdump.challenge.key_id", "de:ad:be:ef"),
            ("fence_kdump.challenge.crash_id", &["a2"; 16].join(":")),
            ("fence_kdump.challenge.nonce", &["a3"; 16].join(":")),
            ("fence_kdump.challenge.mac", &["a5"; 32].join(":")),
        ];
        for (name, value) in expected {
            assert_eq!(packet.values(name), [value], "{name}");
        }
        assert!(packet.values("fence_kdump.magic").is_empty(), "a challenge is no message");
    }
}

/// A capture that kept only the beginning of each datagram: nothing is called refused for that, and
/// nothing goes wrong at any length.
#[test]
fn a_capture_that_is_cut_is_no_refusal() {
    if !requires(&[Need::Tshark]) {
        return;
    }
    let cut = |bytes: &Vec<u8>, kept| Packet { kept, ..Packet::to(PORT, bytes.clone()) };
    let packets: Vec<Packet> = [LITTLE.to_vec(), full(BIG), challenge()]
        .iter()
        .flat_map(|bytes| (1..bytes.len()).map(|kept| cut(bytes, kept)).collect::<Vec<_>>())
        .collect();
    let text = capture::write(&packets, |file| tshark(file, &["-V"]));
    assert!(!text.contains("Refused"), "{text}");
    let said = "The capture has not the whole datagram";
    let remarks = text.lines().filter(|line| line.trim_start().starts_with(&format!("[{said}")));
    assert_eq!(remarks.count(), packets.len(), "one a packet: {text}");
}
