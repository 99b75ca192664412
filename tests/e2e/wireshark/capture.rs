//! Captures written by the test, and what `tshark` says of them.

use fence_kdump_tests::{Run, programs};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

const LIMIT: Duration = Duration::from_secs(60);

/// Link type of a packet that begins with its IP header.
const RAW: u32 = 101;

/// A UDP datagram over IPv4, from 10.0.0.2 to 10.0.0.1.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Its source port.
    pub(crate) from: u16,
    /// Its destination port.
    pub(crate) to: u16,
    /// Its payload.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes of the payload the capture has, at most.
    pub(crate) kept: usize,
}

impl Packet {
    /// From a port that means nothing.
    pub(crate) fn to(to: u16, bytes: Vec<u8>) -> Self {
        Self::between(40_123, to, bytes)
    }

    /// From one port to another.
    pub(crate) fn between(from: u16, to: u16, bytes: Vec<u8>) -> Self {
        Self { from, to, bytes, kept: usize::MAX }
    }

    /// IPv4 (RFC 791) and UDP (RFC 768) headers without checksums, then the payload.
    fn with_headers(&self) -> Vec<u8> {
        let udp = u16::try_from(8 + self.bytes.len()).expect("fits a datagram");
        let total = (20 + udp).to_be_bytes();
        let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend([10, 0, 0, 2, 10, 0, 0, 1]);
        for word in [self.from, self.to, udp, 0] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(&self.bytes);
        packet
    }
}

/// Writes a capture file with these packets, and hands it to `read`.
pub(crate) fn write<T>(packets: &[Packet], read: impl FnOnce(&Path) -> T) -> T {
    let mut file = vec![];
    let words = |file: &mut Vec<u8>, words: &[u32]| {
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // The format's magic number, its version 2.4, time zone, accuracy, longest packet, link type.
    words(&mut file, &[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, RAW]);
    for packet in packets {
        let bytes = packet.with_headers();
        let length = u32::try_from(bytes.len()).expect("fits a datagram");
        let captured =
            u32::try_from(packet.kept.saturating_add(28)).unwrap_or(u32::MAX).min(length);
        words(&mut file, &[0, 0, captured, length]);
        file.extend(&bytes[..captured as usize]);
    }
    let mut path = NamedTempFile::new().expect("a temporary file");
    path.write_all(&file).expect("a writable temporary file");
    read(path.path())
}

/// What `tshark` with our dissector prints of a capture file.
#[track_caller]
pub(crate) fn tshark(file: &Path, args: &[&str]) -> String {
    let script = programs::workspace().join("dist/wireshark/fence_kdump.lua");
    let output = Run::new(programs::system("tshark").expect("Need::Tshark was asked for"))
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .arg("-n")
        .arg("-r")
        .arg(file)
        .args(args)
        // No settings of the person who runs the tests.
        .env("WIRESHARK_CONFIG_DIR", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .run(LIMIT)
        .expect_success();
    let broken = output.stderr.contains("Lua") || output.stdout.contains("Lua Error");
    assert!(!broken, "the dissector went wrong: {output}");
    output.stdout
}

/// What the dissector shows of one packet.
pub(crate) struct Shown(Value);

impl Shown {
    /// The values of all fields with this name, wherever in the tree they stand.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        fn search(value: &Value, name: &str, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    for (key, value) in members {
                        if key == name {
                            leaves(value, found);
                        } else {
                            search(value, name, found);
                        }
                    }
                }
                Value::Array(values) => values.iter().for_each(|value| search(value, name, found)),
                _ => {}
            }
        }
        fn leaves(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::String(text) => found.push(text.clone()),
                Value::Array(values) => values.iter().for_each(|value| leaves(value, found)),
                other => panic!("{other}: no value of a field"),
            }
        }
        let mut found = vec![];
        search(&self.0, name, &mut found);
        found
    }
}

/// What is shown of every packet of a capture file.
#[track_caller]
pub(crate) fn shown_of(file: &Path) -> Vec<Shown> {
    let text = tshark(file, &["-T", "json", "--no-duplicate-keys"]);
    let packets: Vec<Value> = serde_json::from_str(&text).expect("JSON, as was asked for");
    packets.into_iter().map(|mut packet| Shown(packet["_source"]["layers"].take())).collect()
}

/// What is shown of each of these packets.
#[track_caller]
pub(crate) fn shown(packets: &[Packet]) -> Vec<Shown> {
    let shown = write(packets, shown_of);
    assert_eq!(shown.len(), packets.len());
    shown
}

/// The columns *Protocol* and *Info* of each of these packets.
#[track_caller]
pub(crate) fn summaries(packets: &[Packet], options: &[&str]) -> Vec<(String, String)> {
    let columns = ["-T", "fields", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info"];
    let text = write(packets, |file| tshark(file, &[&columns[..], options].concat()));
    let columns = |line: &str| {
        let (protocol, info) = line.split_once('\t').expect("two columns");
        (protocol.to_owned(), info.to_owned())
    };
    text.lines().map(columns).collect()
}
