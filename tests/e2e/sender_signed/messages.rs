//! What a signed message says, and who gets which form of it.

use super::*;
use fence_kdump_tests::datagram::{BIG, LITTLE};
use fence_kdump_tests::requires;
use fence_kdump_tests::signed::field;
use std::time::{SystemTime, UNIX_EPOCH};

/// This machine's own plain message.
const NATIVE: [u8; 8] = if cfg!(target_endian = "big") { BIG } else { LITTLE };

fn uptime_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    (text.split(' ').next().unwrap().parse::<f64>().unwrap() * 1000.0) as u64
}

#[test]
fn every_message_is_signed_for_its_time() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let _sender = folder.sender(&net, &["-i", "7", "127.0.0.1"]).spawn();
    let mut crash_id = None;
    let mut sequence = 0;
    for at in 0..4 {
        let (message, _) = signed(&socket, &key);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert_eq!(message.plain, NATIVE);
        assert_eq!(message.bytes(field::NODE_NAME), b"n1");
        assert_eq!(message.bytes(field::PHASE), [1]);
        assert_eq!(message.bytes(field::KEY_ID), key.id);
        assert_eq!(
            (message.number(field::INTERVAL), message.bytes(field::INTERVAL).len()),
            (7000, 4)
        );
        assert!(uptime_ms().abs_diff(message.number(field::UPTIME)) < 1000, "{message:?}");
        assert!(!message.fields.contains_key(&field::ANSWER));
        let id = message.bytes(field::CRASH_ID).to_vec();
        assert_eq!(id.len(), 16);
        assert_eq!(crash_id.get_or_insert(id.clone()), &id, "one run, one id");
        assert!(message.number(field::SEQUENCE) > sequence);
        sequence = message.number(field::SEQUENCE);
        // The first message does without asking for it.
        if at > 0 {
            assert!(now.abs_diff(message.number(field::WALL_CLOCK)) < 1000, "{message:?}");
        }
    }
}

#[test]
fn every_run_has_an_id_of_its_own() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let mut ids = Vec::new();
    for _ in 0..5 {
        let sender = folder.sender(&net, &["127.0.0.1"]).spawn();
        let (message, _) = signed(&socket, &key);
        drop(sender);
        while next(&socket, Duration::from_millis(50)).is_some() {}
        ids.push(message.bytes(field::CRASH_ID).to_vec());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

/// Each destination gets its own form, and no two messages are the same.
#[test]
fn who_gets_which_form() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(2));
    let folder = Folder::with(&key);
    let hosts = ["127.0.0.2:7410", "127.0.0.3:7410", "127.0.0.4:7410", "[::1]:7410"];
    let sockets = hosts.map(|host| net.udp(host));
    for (mode, default) in [
        (&[][..], "signed"),
        (&["-m", "plain"], "plain"),
        (&["--message=Both"], "both"),
        (&["-m", "signed"], "signed"),
    ] {
        let nodes = ["plain:127.0.0.2", "Signed:127.0.0.3", "127.0.0.4", "both:::1"];
        let _ = folder.sender(&net, &["-c1"]).args(mode).args(nodes).run(LIMIT).expect_success();
        let mut sequences = Vec::new();
        for (socket, form) in sockets.iter().zip(["plain", "signed", default, "both"]) {
            let heard = all(socket, Duration::from_millis(100));
            let (plain, signed): (Vec<_>, Vec<_>) =
                heard.iter().partition(|bytes| bytes[..] == NATIVE);
            let expected = match form {
                "plain" => (1, 0),
                "signed" => (0, 1),
                _ => (1, 1),
            };
            assert_eq!((plain.len(), signed.len()), expected, "{mode:?} {form}");
            for bytes in signed {
                let message = Signed::read(bytes);
                assert!(message.is_by(&key));
                assert!(!message.fields.contains_key(&field::INTERVAL), "none comes after it");
                sequences.push(message.number(field::SEQUENCE));
            }
        }
        let count = sequences.len();
        sequences.sort();
        sequences.dedup();
        assert_eq!(sequences.len(), count);
    }
}

/// Names are told in all forms too, and what cannot be a node is told.
#[test]
fn a_form_before_a_name() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(2));
    let folder = Folder::with(&key);
    let sockets = [net.udp("127.0.0.2:7410"), net.udp("[::1]:7410")];
    let run = folder.sender(&net, &["-c1", "-v", "both:node1", "singed:node1", "plain:"]);
    let run = run.file("/etc/hosts", "127.0.0.2 node1\n::1 node1\n");
    let output = run.run(LIMIT).expect_success();
    for socket in sockets {
        assert_eq!(all(&socket, Duration::from_millis(100)).len(), 2);
    }
    assert!(output.stderr.contains(" node1 127.0.0.2: sent, signed\n"), "{output}");
    for wrong in ["singed:node1", "plain:"] {
        let line = format!(" {wrong}: is neither an address nor a name\n");
        assert!(output.stderr.contains(&line), "{output}");
    }
}

/// What comes after a message is promised in it, as long as something does.
#[test]
fn the_last_message_promises_nothing() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(2));
    let socket = net.udp("127.0.0.1:7410");
    let _ = Folder::with(&key).sender(&net, &["-c3", "-i1", "127.1"]).run(LIMIT).expect_success();
    let promises = (0..3).map(|_| signed(&socket, &key).0);
    let promises: Vec<_> =
        promises.map(|message| message.fields.get(&field::INTERVAL).cloned()).collect();
    let second = Some(vec![0, 0, 3, 0xe8]);
    assert_eq!(promises, [second.clone(), second, None]);
}

/// Neither its command line nor anything it says gives the key away.
#[test]
fn the_key_is_never_shown() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(3));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let sender = folder.sender(&net, &["-v2", "127.0.0.1", "10.0.0.1"]).spawn();
    let (bytes, _) = next(&socket, LIMIT).unwrap();
    sender.wait_stderr_line("10.0.0.1: ", LIMIT);
    let line = std::fs::read(format!("/proc/{}/cmdline", sender.pid())).unwrap();
    let environment = std::fs::read(format!("/proc/{}/environ", sender.pid())).unwrap();
    let output = sender.kill();
    for shown in [&bytes, &line, &environment, output.stderr.as_bytes(), output.stdout.as_bytes()] {
        for part in key.key.windows(4) {
            let digits = fence_kdump_tests::signed::hex(part);
            assert!(!shown.windows(4).any(|bytes| bytes == part), "{digits}");
            assert!(!String::from_utf8_lossy(shown).contains(&digits), "{digits}");
        }
    }
}

/// The same on other machines, where the first eight bytes may be the other way round, and nothing
/// else.
#[test]
fn other_machines_sign_alike() {
    if !requires(&[Need::Root, Need::Netns, Need::QemuUser, Need::Senders]) {
        return;
    }
    for (machine, emulator, plain) in [
        ("aarch64", "qemu-aarch64-static", LITTLE),
        ("powerpc64le", "qemu-ppc64le-static", LITTLE),
        ("s390x", "qemu-s390x-static", BIG),
    ] {
        let (net, key) = (Netns::new(), NodeKey::of(4));
        let folder = Folder::new();
        folder.write(&key.line("n1"), 0o644);
        let socket = net.udp("[::1]:7410");
        let run =
            Run::new(emulator).arg(programs::sender_for(machine)).arg("-k").arg(folder.file());
        let sender = run.args(["-v", "-c1", "::1"]).inside(&net).spawn();
        let (message, from) = signed(&socket, &key);
        assert_eq!(message.plain, plain, "{machine}");
        assert_eq!(message.bytes(field::NODE_NAME), b"n1", "{machine}");
        assert!(uptime_ms().abs_diff(message.number(field::UPTIME)) < 2000, "{machine}");
        let nonce = [7; 16];
        let challenge = key.challenge(message.bytes(field::CRASH_ID), nonce);
        socket.send_to(&challenge, from).unwrap();
        let (answer, _) = signed(&socket, &key);
        assert_eq!(answer.bytes(field::ANSWER), nonce, "{machine}");
        let output = sender.wait_for(LIMIT).expect_success();
        assert!(output.stderr.contains("::1 0:0:0:0:0:0:0:1: heard\n"), "{machine}: {output}");
        assert!(output.stderr.contains("others can read it"), "{machine}: {output}");
    }
}
