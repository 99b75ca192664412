//! The harness keeps its promises: without them the other tests prove nothing.

use fence_kdump_tests::datagram::{LITTLE, few_no_messages, no_messages};
use fence_kdump_tests::{Cluster, Need, Netns, Run, flood, requires};
use rustix::process::{Pid, test_kill_process};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    let deadline = Instant::now() + LIMIT;
    while test_kill_process(pid).is_ok() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    test_kill_process(pid).is_err()
}

#[test]
fn a_program_and_its_children_end_with_the_test() {
    let parent = Run::new("sh").args(["-c", "sleep 60 & echo $!; wait"]).spawn();
    let child = parent.wait_stdout_line("", LIMIT).parse().expect("the child's id");
    let pid = parent.pid();
    drop(parent);
    assert!(is_gone(pid), "the program outlived its test");
    assert!(is_gone(child), "its child outlived the test");
}

#[test]
fn a_program_that_takes_too_long_fails_the_test() {
    let slow = Run::new("sh").args(["-c", "echo so far >&2; exec sleep 60"]).spawn();
    let pid = slow.pid();
    let _ = slow.wait_stderr_line("so far", LIMIT);
    let waited = Duration::from_millis(200);
    let panic = catch_unwind(AssertUnwindSafe(|| slow.wait_for(waited))).expect_err("it panics");
    let text = panic.downcast_ref::<String>().expect("a formatted message");
    assert!(text.contains("so far"), "does not show the output: {text}");
    assert!(is_gone(pid), "not killed");
}

#[test]
fn the_end_of_a_program_is_told_exactly() {
    let script = "cat; echo err >&2; sleep 0.3; exit 7";
    let output = Run::new("sh").args(["-c", script]).stdin("in\n").run(LIMIT).expect_failure();
    assert_eq!((output.code, output.signal), (Some(7), None), "{output}");
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("in\n", "err\n"));
    assert!(output.elapsed >= Duration::from_millis(300), "{output}");
    let killed = Run::new("sh").args(["-c", "kill -9 $$"]).run(LIMIT);
    assert_eq!((killed.code, killed.signal), (None, Some(9)), "{killed}");
    assert!(catch_unwind(|| killed.expect_failure()).is_err(), "a signal is no answer");
}

#[test]
fn what_a_program_sees_differently_nobody_else_sees() {
    if !requires(&[Need::Root, Need::Netns]) {
        return;
    }
    let before = std::fs::read("/etc/hosts").expect("every machine has it");
    let reserved = "/sys/kernel/kexec_crash_size";
    let had_it = Path::new(reserved).exists();
    let output = Run::new("cat")
        .args(["/etc/hosts", "/sys/kernel/kexec_crash_loaded", reserved])
        .file("/etc/hosts", "10.77.0.2 n2\n")
        .file("/sys/kernel/kexec_crash_loaded", "1\n")
        .file(reserved, "268435456\n")
        .run(LIMIT)
        .expect_success();
    assert_eq!(output.stdout, "10.77.0.2 n2\n1\n268435456\n");
    assert_eq!(std::fs::read("/etc/hosts").expect("still there"), before);
    assert_eq!(Path::new(reserved).exists(), had_it);
}

#[test]
fn networks_are_real_and_apart() {
    if !requires(&[Need::Root, Need::Netns]) {
        return;
    }
    let (net, other) = (Cluster::new(3), Netns::new());
    let link_local = format!("[fe80::1%{}]:7410", net.node(1).interface("eth0"));
    let from_link = format!("[fe80::3%{}]:0", net.node(3).interface("eth0"));
    let ways = [
        ("10.77.0.1:7410", "10.77.0.3:0", "10.77.0.1:7410"),
        ("[fd00:77::1]:7410", "[fd00:77::3]:0", "[fd00:77::1]:7410"),
        (&link_local, &from_link, &link_local),
        ("0.0.0.0:7410", "10.77.0.3:0", "10.77.0.255:7410"),
    ];
    for (local, from, to) in ways {
        let hears = net.node(1).udp(local);
        let speaks = net.node(3).udp(from);
        let source = speaks.local_addr().expect("a bound socket");
        speaks.send_to(&LITTLE, to).expect("a network that takes it");
        let mut buffer = [0; 16];
        let (length, heard) = hears.recv_from(&mut buffer).expect("a datagram");
        assert_eq!((&buffer[..length], heard), (&LITTLE[..], source));
    }
    let lost = other.udp("127.0.0.1:0").send_to(&LITTLE, "10.77.0.1:7410");
    assert!(lost.is_err(), "a network of its own has no way to another");
    assert!(!net.node(1).is_bound(7410), "the sockets are closed");
}

#[test]
fn a_flood_is_bounded_in_number_and_time() {
    if !requires(&[Need::Root, Need::Netns]) {
        return;
    }
    let host = Netns::new();
    let to = "127.0.0.1:7410".parse().expect("an address");
    let start = Instant::now();
    let sent = flood(host.udp("127.0.0.1:0"), to, b"x", 500, Duration::from_millis(400)).join();
    assert_eq!(sent, 500);
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    let endless = flood(host.udp("127.0.0.1:0"), to, b"x", u32::MAX, Duration::from_millis(300));
    assert!(endless.join() > 500, "not much of a flood");
    assert!(start.elapsed() < Duration::from_secs(4), "took {:?}", start.elapsed());
}

/// The two true messages are not in the table, and no row stands there twice.
#[test]
fn the_table_of_no_messages_is_what_it_says() {
    let kinds = no_messages();
    let names: HashSet<_> = kinds.iter().map(|kind| &kind.name).collect();
    assert_eq!(names.len(), kinds.len(), "a name twice");
    for kind in kinds.iter().chain(&few_no_messages()) {
        let v1 = [[0x40, 0x2a, 0x30, 0x1b, 1, 0, 0, 0], [0x1b, 0x30, 0x2a, 0x40, 0, 0, 0, 1]];
        assert!(!v1.iter().any(|v1| kind.bytes == v1), "{} is the message", kind.name);
    }
    for length in (0..8).chain([9, 16, 2000, 65_507]) {
        assert!(kinds.iter().any(|kind| kind.bytes.len() == length), "none of {length} bytes");
    }
}
