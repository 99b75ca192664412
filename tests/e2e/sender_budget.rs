//! What the sender may cost: bytes, pages, system calls and instructions until the first message.
//! Run with `--nocapture` to see the numbers beside those of the stock tool of this machine.
//!
//! The plain build, `udp/fence_kdump_send`, is measured by itself: it is for where every byte counts.
//! What the whole program may cost is its pages. The bytes of both are limited in `sizes`.

use fence_kdump_numbers::record;
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Need, Netns, Run, datagram, programs, requires};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

const LIMIT: Duration = Duration::from_secs(20);

/// The plain build.
fn ours() -> std::path::PathBuf {
    programs::ours("udp/fence_kdump_send")
}

/// The whole program, with early start and link mode.
fn whole() -> std::path::PathBuf {
    programs::ours("fence_kdump_send")
}

const KEY: fn() -> NodeKey = || NodeKey::of(7);

/// A key file, which is the owner's alone as every temporary file.
fn key_file() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(KEY().line("n1").as_bytes()).expect("our own file");
    file
}

fn word(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A value for the table of senders, and its limit.
fn note(row: &str, what: &str, value: u64, limit: Option<u64>) {
    record("sender", row, what, &[value as f64]);
    if let Some(limit) = limit {
        record("sender", row, &format!("{what} limit"), &[limit as f64]);
    }
}

/// What is not limited here, but in `sizes`: files, and the libraries that they need.
#[test]
fn sizes_beside_stock() {
    if !requires(&[Need::Stock]) {
        return;
    }
    let bytes = |path: &Path| std::fs::metadata(path).unwrap().len();
    let stock = programs::stock_sender();
    let needed = Run::new("ldd").arg(&stock).run(LIMIT).expect_success().stdout;
    let library =
        |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned);
    let libraries = needed.lines().filter_map(library).map(|path| bytes(Path::new(&path))).sum();
    println!("stock: {} bytes, and {libraries} of libraries", bytes(&stock));
    note("stock", "file", bytes(&stock), None);
    note("stock", "libraries", libraries, None);
    for (row, path) in [("udp", ours()), ("whole", whole())] {
        note(row, "file", bytes(&path), None);
        note(row, "libraries", 0, None);
    }
}

/// One program header maps the program, another says that the stack is not executable: no
/// interpreter, no dynamic section, nothing to relocate, and nothing that can be written to.
#[test]
fn a_static_program_of_one_piece() {
    let elf = std::fs::read(ours()).unwrap();
    assert_one_piece(&elf);
    let text = String::from_utf8_lossy(&elf);
    for part in ["/ld-", "libc", "GLIBC", "panicked", ".rs:"] {
        assert!(!text.contains(part), "{part} is in it");
    }
    assert_one_piece(&std::fs::read(whole()).unwrap());
}

fn assert_one_piece(elf: &[u8]) {
    const LOAD: u64 = 1;
    const GNU_STACK: u64 = 0x6474_e551;
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little-endian");
    assert_eq!(word(elf, 16, 2), 2, "ET_EXEC");
    let (start, size, count) = (word(elf, 32, 8), word(elf, 54, 2), word(elf, 56, 2));
    let headers = (0..count).map(|at| {
        let at = (start + at * size) as usize;
        (word(elf, at, 4), word(elf, at + 4, 4))
    });
    let headers: Vec<_> = headers.collect();
    assert_eq!(headers, [(LOAD, 0b101), (GNU_STACK, 0b110)], "type and flags");
}

fn traced(net: &Netns, program: &Path, args: &[&str]) -> Vec<String> {
    let run = Run::new("strace").arg(program).args(args).inside(net);
    let calls = run.run(LIMIT).expect_success().stderr;
    // The first line is strace's own call of the program.
    let calls: Vec<_> = calls.lines().skip(1).map(str::to_owned).collect();
    let first = calls.iter().position(|call| call.starts_with("sendto(")).expect("a message");
    calls[..=first].to_vec()
}

#[test]
fn system_calls_until_the_first_message() {
    if !requires(&[Need::Root, Need::Netns, Need::Strace, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    let stock = traced(&net, &programs::stock_sender(), &["-c1", "127.0.0.1"]).len();
    for args in [
        &["-c1", "127.0.0.1"][..],
        &["-c1", "-p7410", "-f", "auto", "-i", "10", "::1"],
        &["-c1", "-v", "127.0.0.1", "127.0.0.2", "nosuch"],
    ] {
        let calls = traced(&net, &ours(), args);
        println!("sender: {} system calls of 3, stock {stock}: {args:?}", calls.len());
        assert!(calls.len() <= 3, "{calls:#?}");
    }
    let count = |program: &Path, args: &[&str]| traced(&net, program, args).len() as u64;
    note("stock", "calls", stock as u64, None);
    note("udp", "calls", count(&ours(), &["-c1", "127.0.0.1"]), Some(3));
    note("whole", "calls", count(&whole(), &["-c1", "127.0.0.1"]), None);
    // With a key, to open and to read its file.
    let file = key_file();
    let path = file.path().to_str().expect("a path in UTF-8");
    for args in [&["-c1", "-k", path, "127.0.0.1"][..], &["-v", "-c1", "-k", path, "both:::1"]] {
        let calls = traced(&net, &ours(), args);
        println!("sender: {} system calls of 5, with a key", calls.len());
        assert!(calls.len() <= 5, "{calls:#?}");
    }
    let args = ["-c1", "-k", path, "127.0.0.1"];
    note("udp-key", "calls", count(&ours(), &args), Some(5));
    note("whole-key", "calls", count(&whole(), &args), None);
}

/// All instructions of a run that sends one message and ends, which is more than those before it.
fn instructions(net: &Netns, program: &Path, args: &[&str]) -> u64 {
    let run = Run::new("valgrind").args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = run.arg(program).args(args).inside(net).run(LIMIT).expect_success();
    let line = output.stderr.lines().find(|line| line.contains("Collected"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("callgrind's count")
}

#[test]
fn instructions_until_the_first_message() {
    if !requires(&[Need::Root, Need::Netns, Need::Valgrind, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    net.ip("addr add fd00:77::1/64 dev lo nodad");
    let stock = instructions(&net, &programs::stock_sender(), &["-c1", "127.0.0.1"]);
    for args in [&["-c1", "127.0.0.1"][..], &["-c1", "-p", "7410", "fd00:77::1"]] {
        let count = instructions(&net, &ours(), args);
        println!("sender: {count} instructions of 5000, stock {stock}: {args:?}");
        assert!(count <= 5000, "{count}: {args:?}");
    }
    let args = ["-c1", "127.0.0.1"];
    note("stock", "instructions", stock, None);
    note("udp", "instructions", instructions(&net, &ours(), &args), Some(5000));
    note("whole", "instructions", instructions(&net, &whole(), &args), None);
    let file = key_file();
    let path = file.path().to_str().expect("a path in UTF-8");
    let count = instructions(&net, &ours(), &["-c1", "-k", path, "127.0.0.1"]);
    println!("sender: {count} instructions of 150000, with a key");
    assert!(count <= 150_000, "{count}");
    note("udp-key", "instructions", count, Some(150_000));
    let count = instructions(&net, &whole(), &["-c1", "-k", path, "127.0.0.1"]);
    note("whole-key", "instructions", count, None);
}

#[test]
fn memory() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    let resident = |program: &Path, nodes: &[&str]| {
        let running = Run::new(program).args(nodes).inside(&net);
        let running = running.file("/etc/resolv.conf", "nameserver 127.0.0.53\n").spawn();
        std::thread::sleep(Duration::from_millis(1500));
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", running.pid()));
        let rollup = rollup.unwrap();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let stock = resident(&programs::stock_sender(), &["127.0.0.1"]);
    note("stock", "resident", stock << 10, None);
    for nodes in [&["127.0.0.1"][..], &["127.0.0.1", "nosuch", "localhost", "::1"]] {
        let kib = resident(&ours(), nodes);
        println!("sender: {kib} KiB of 48 resident, stock {stock}: {nodes:?}");
        if nodes.len() == 1 {
            note("udp", "resident", kib << 10, Some(48 << 10));
        }
        assert!(kib <= 48, "{kib} KiB: {nodes:?}");
        let kib = resident(&whole(), nodes);
        println!("whole sender: {kib} KiB of 112 resident: {nodes:?}");
        if nodes.len() == 1 {
            note("whole", "resident", kib << 10, Some(112 << 10));
        }
        assert!(kib <= 112, "{kib} KiB: {nodes:?}");
    }
    // With a key, and a challenge answered.
    let (file, key) = (key_file(), KEY());
    let path = file.path().to_str().expect("a path in UTF-8");
    for nodes in [&["127.0.0.1"][..], &["127.0.0.1", "nosuch", "localhost", "::1"]] {
        let socket = net.udp("127.0.0.1:7410");
        let answer = std::thread::spawn(move || {
            let mut buffer = [0; 600];
            let (length, from) = socket.recv_from(&mut buffer).expect("a message");
            let message = Signed::read(&buffer[..length]);
            let challenge = key.challenge(message.bytes(field::CRASH_ID), [1; 16]);
            socket.send_to(&challenge, from).expect("loopback");
            let mut answered = |_| {
                let length = socket.recv(&mut buffer).expect("another message");
                Signed::read(&buffer[..length]).fields.contains_key(&field::ANSWER)
            };
            assert!((0..4).any(&mut answered), "the challenge was not answered");
        });
        let kib = resident(&ours(), &[&["-k", path], nodes].concat());
        answer.join().expect("a message, and an answer");
        println!("sender: {kib} KiB of 48 resident, with a key: {nodes:?}");
        if nodes.len() == 1 {
            note("udp-key", "resident", kib << 10, Some(48 << 10));
        }
        assert!(kib <= 48, "{kib} KiB: {nodes:?}");
    }
}

/// The same source on other machines: what they send is in their own byte order, and all that is
/// different between machines (system calls, entry) is used.
#[test]
fn other_machines() {
    if !requires(&[Need::Root, Need::Netns, Need::QemuUser, Need::Senders]) {
        return;
    }
    for (machine, emulator, message) in [
        ("aarch64", "qemu-aarch64-static", datagram::LITTLE),
        ("powerpc64le", "qemu-ppc64le-static", datagram::LITTLE),
        ("s390x", "qemu-s390x-static", datagram::BIG),
    ] {
        let net = Netns::new();
        let sockets = [net.udp("127.0.0.1:7410"), net.udp("[::1]:7410")];
        let dns = net.udp("127.0.0.53:53");
        let program = programs::sender_for(machine);
        let nodes: Vec<_> = (0..40).map(|at| format!("127.0.1.{at}")).collect();
        let run =
            Run::new(emulator).arg(program).args(["-v", "-c1", "-t9", "node1", "127.1", "node2"]);
        let run = run.args(nodes).inside(&net).file("/etc/hosts", "::1 node1\n");
        let sender = run.file("/etc/resolv.conf", "nameserver 127.0.0.53\n").spawn();
        let mut buffer = [0; 600];
        for socket in &sockets {
            assert_eq!(socket.recv(&mut buffer).ok(), Some(8), "{machine}");
            assert_eq!(buffer[..8], message, "{machine}");
        }
        let (length, from) = dns.recv_from(&mut buffer).expect("a question");
        let mut answer = buffer[..length].to_vec();
        answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 0, 0, 1]);
        dns.send_to(&answer, from).unwrap();
        assert_eq!(sockets[0].recv(&mut buffer).ok(), Some(8), "{machine}");
        sender.wait_stderr_line("node1 0:0:0:0:0:0:0:1: sent", LIMIT);
        let (length, from) = dns.recv_from(&mut buffer).expect("the other question");
        buffer[2..4].copy_from_slice(&[0x81, 0x80]);
        dns.send_to(&buffer[..length], from).unwrap();
        let _ = sender.wait_for(LIMIT).expect_success();
    }
}
