use super::*;
use crate::sink::fields::tests::event;
use crate::sink::tests::{only, start, tell, until};
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram as Socket;

/// Reads one entry as a journal does.
fn parse(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !entry.is_empty() {
        let line = entry.iter().position(|&byte| byte == b'\n').unwrap();
        let (name, value);
        if let Some(sign) = entry[..line].iter().position(|&byte| byte == b'=') {
            (name, value) = (&entry[..sign], &entry[sign + 1..line]);
            entry = &entry[line + 1..];
        } else {
            let length = u64::from_le_bytes(entry[line + 1..line + 9].try_into().unwrap());
            let end = line + 9 + usize::try_from(length).unwrap();
            (name, value) = (&entry[..line], &entry[line + 9..end]);
            assert_eq!(entry[end], b'\n');
            entry = &entry[end + 1..];
        }
        let [name, value] = [name, value].map(|text| String::from_utf8(text.to_vec()).unwrap());
        assert!(
            name.len() <= 64
                && name.bytes().all(|byte| b"_ABCDEFGHIJKLMNOPQRSTUVWXYZ".contains(&byte))
        );
        assert_eq!(fields.insert(name, value), None);
    }
    fields
}

fn read(socket: &Socket) -> BTreeMap<String, String> {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 65536];
    let length = socket.recv(&mut buffer).unwrap();
    parse(&buffer[..length])
}

fn configured(socket: &Path, more: &str) -> String {
    format!("[sink.journal]\nsocket = '{}'\n{more}", socket.display())
}

#[test]
fn everything_that_is_known_has_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = Socket::bind(&path).unwrap();
    let (sinks, _) = start(&configured(&path, ""));
    sinks.tell(&Arc::new(event(3, "n1", Kind::Lost)));
    let found = read(&socket);
    let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        found,
        [
            ("FENCE_KDUMP_DONE", "5"),
            ("FENCE_KDUMP_FROM", "192.0.2.7"),
            ("FENCE_KDUMP_ID", "h-1-3"),
            ("FENCE_KDUMP_KIND", "lost"),
            ("FENCE_KDUMP_MESSAGES", "2"),
            ("FENCE_KDUMP_NODE", "n1"),
            ("FENCE_KDUMP_PROOF", "live"),
            ("FENCE_KDUMP_SESSION", "h-1-n1"),
            ("FENCE_KDUMP_TIME_MS", "1700000000003"),
            ("MESSAGE", "n1 fell silent before its dump was done (192.0.2.7)"),
            ("MESSAGE_ID", "5ed512516623468590d063fc982345ec"),
            ("PRIORITY", "4"),
            ("SYSLOG_FACILITY", "3"),
            ("SYSLOG_IDENTIFIER", "fence_kdumpd"),
        ]
    );
    until("counted", || only(&sinks).delivered == 1);
}

#[test]
fn each_kind_has_an_id_of_its_own_for_good() {
    let ids: Vec<_> = Kind::ALL.into_iter().map(message_id).collect();
    assert_eq!(
        ids,
        [
            "4c4aff9368804c2c9fa5cb172dd61204",
            "e670639323364f91b7d237edbab1f421",
            "caa34636f9404f7e84acc226428f4d34",
            "84a23c651c5742eabb519f35a4c84e24",
            "5ed512516623468590d063fc982345ec",
            "3c1a79c2b0eb42bd94cc2ce6c6bb1ba0",
        ]
    );
}

/// No name of a node makes a field of its own, nor a line.
#[test]
fn hostile_names_stay_values() {
    let name = "n1\nPRIORITY=0\n\u{1b}[2J=";
    let fields = parse(&entry(&event(1, name, Kind::Started)));
    assert_eq!(fields["FENCE_KDUMP_NODE"], name);
    assert_eq!(fields["PRIORITY"], "4");
    assert!(!fields["MESSAGE"].contains(char::is_control), "{}", fields["MESSAGE"]);
}

#[test]
fn where_there_is_no_journal_there_is_no_sink() {
    let dir = tempfile::tempdir().unwrap();
    let (sinks, said) = start(&configured(&dir.path().join("none"), ""));
    tell(&sinks, 2);
    assert_eq!(sinks.reader().counters(), []);
    sinks.finish(Duration::from_secs(5));
    assert!(said.lock().unwrap().is_empty());
}

#[test]
fn a_journal_that_restarts_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = Socket::bind(&path).unwrap();
    let (sinks, said) = start(&configured(&path, ""));
    sinks.tell(&Arc::new(event(1, "n1", Kind::Started)));
    assert_eq!(read(&socket)["FENCE_KDUMP_ID"], "h-1-1");
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    for number in 2..=5 {
        sinks.tell(&Arc::new(event(number, "n1", Kind::Dumping)));
    }
    until("it is missed", || said.lock().unwrap().iter().any(|line| line.contains("No such file")));
    assert_eq!(only(&sinks).waiting, 4);
    let socket = Socket::bind(&path).unwrap();
    let ids: Vec<_> = (2..=5).map(|_| read(&socket)["FENCE_KDUMP_ID"].clone()).collect();
    assert_eq!(ids, ["h-1-2", "h-1-3", "h-1-4", "h-1-5"]);
    until("counted", || only(&sinks).delivered == 5);
    assert!(said.lock().unwrap().iter().any(|line| line.contains("again")), "{said:?}");
}

#[test]
fn a_journal_that_does_not_read_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = Socket::bind(&path).unwrap();
    let (sinks, _) = start(&configured(&path, "queue = 100"));
    tell(&sinks, 5000);
    until("full", || only(&sinks).dropped > 0);
    let before = only(&sinks);
    assert!(before.waiting <= 100 + 32, "{before:?}");
    // It reads again: the latest are there.
    let mut last = String::new();
    while last != "h-1-5000" {
        last = read(&socket)["FENCE_KDUMP_ID"].clone();
    }
    until("all are settled", || only(&sinks).waiting == 0);
    assert_eq!(only(&sinks).dropped, before.dropped);
}
