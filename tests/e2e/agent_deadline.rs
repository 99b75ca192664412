//! `-t` is a deadline that nothing stretches, and what nobody reads changes no exit code.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Proc, Run, flood, programs, requires};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(20);

/// What the machine may add to a deadline.
const LATE: Duration = Duration::from_millis(1500);

/// A pipe at `$0` that somebody holds open for reading and nobody reads: descriptor 3.
const UNREAD: &str = r#"mkfifo "$0"; sleep 30 <"$0" >/dev/null 2>&1 & exec 3>"$0"; "#;

/// A pipe at `$0` whose reader is gone: descriptor 3.
const BROKEN: &str = r#"mkfifo "$0"; true <"$0" & exec 3>"$0"; wait; "#;

fn agent<'net>(net: &'net Netns, line: &str) -> Run<'net> {
    Run::new(programs::ours("fence_kdump")).args(line.split_whitespace()).inside(net)
}

/// The agent, started by a shell that arranges its descriptors.
fn by_shell(net: &Netns, prepare: &str, line: &str) -> Proc {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = programs::ours("fence_kdump");
    let shell = Run::new("sh")
        .arg("-c")
        .arg(format!("{prepare} exec {} {line}", ours.display()))
        .arg(folder.path().join("pipe"))
        .inside(net)
        .spawn();
    shell.wait_bound(PORT);
    shell
}

fn speak(net: &Netns) {
    net.send("127.0.0.2", "127.0.0.1:7410", &LITTLE);
}

#[track_caller]
fn assert_timed_out(agent: Proc, timeout: Duration) {
    let output = agent.wait_for(LIMIT).expect_failure();
    let window = timeout.saturating_sub(Duration::from_millis(20))..timeout + LATE;
    assert!(window.contains(&output.elapsed), "{output}");
}

#[test]
fn nobody_reads_what_it_says() {
    if !requires(&NEEDS) {
        return;
    }
    for message in [false, true] {
        let net = Netns::new();
        let agent = by_shell(&net, UNREAD, "-n 127.0.0.2 -t 4 -v3 >&3 2>&3");
        let to = "127.0.0.1:7410".parse().expect("an address");
        // Every datagram is a line; the pipe takes some 600 of them.
        let noise = flood(net.udp("127.0.0.3:0"), to, b"noise", 6_000, Duration::from_secs(3));
        if message {
            thread::sleep(Duration::from_secs(1));
            speak(&net);
            let output = agent.wait_for(LIMIT).expect_success();
            assert!(output.elapsed < Duration::from_secs(4), "{output}");
        } else {
            assert_timed_out(agent, Duration::from_secs(4));
        }
        assert!(noise.stop() > 600);
    }
}

#[test]
fn outputs_that_are_closed_or_broken_change_no_exit_code() {
    if !requires(&NEEDS) {
        return;
    }
    let cases =
        [("", "<&- >&- 2>&-"), ("", "2>&-"), ("", ">/dev/full 2>/dev/full"), (BROKEN, ">&3 2>&3")];
    for (prepare, redirect) in cases {
        let net = Netns::new();
        let heard = by_shell(&net, prepare, &format!("-n 127.0.0.2 -t 10 -v {redirect}"));
        speak(&net);
        assert_eq!(heard.wait_for(LIMIT).code, Some(0), "{redirect}");
        let silent = by_shell(&net, prepare, &format!("-n 127.0.0.2 -t 1 -v {redirect}"));
        assert_eq!(silent.wait_for(LIMIT).code, Some(1), "{redirect}");
        let metadata =
            format!("{prepare} {} -o metadata {redirect}", programs::ours("fence_kdump").display());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shell = Run::new("sh").arg("-c").arg(metadata).arg(folder.path().join("pipe"));
        assert_eq!(shell.run(LIMIT).code, Some(0), "metadata {redirect}");
    }
}

#[test]
fn signals_neither_stretch_it_nor_succeed() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let pestered = agent(&net, "-n 127.0.0.2 -t 2").spawn();
    pestered.wait_bound(PORT);
    while pestered.is_running() {
        for signal in [Signal::WINCH, Signal::CHILD, Signal::URG, Signal::CONT] {
            pestered.signal(signal);
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_timed_out(pestered, Duration::from_secs(2));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::ALARM] {
        let ended = agent(&net, "-n 127.0.0.2 -t 10").spawn();
        ended.wait_bound(PORT);
        ended.signal(signal);
        let output = ended.wait_for(LIMIT);
        assert_ne!(output.code, Some(0), "{output}");
        assert!(output.elapsed < Duration::from_secs(8), "at once: {output}");
    }
}

/// A datagram that waits is no excuse for being late.
#[test]
fn an_agent_that_was_stopped_until_after_its_time_fails() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let stopped = agent(&net, "-n 127.0.0.2 -t 2").spawn();
    stopped.wait_bound(PORT);
    stopped.signal(Signal::STOP);
    speak(&net);
    thread::sleep(Duration::from_millis(2500).saturating_sub(stopped.elapsed()));
    stopped.signal(Signal::CONT);
    let output = stopped.wait_for(LIMIT);
    assert_eq!(output.code, Some(1), "{output}");
}

#[test]
fn an_agent_that_was_stopped_for_a_while_hears_what_came_meanwhile() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let stopped = agent(&net, "-n 127.0.0.2 -t 15").spawn();
    stopped.wait_bound(PORT);
    stopped.signal(Signal::STOP);
    speak(&net);
    thread::sleep(Duration::from_secs(1));
    stopped.signal(Signal::CONT);
    let output = stopped.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(6), "{output}");
}

/// The time that standard input takes is part of it.
#[test]
fn it_runs_from_the_start() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let mut slow = agent(&net, "").open_stdin().spawn();
    slow.write_stdin(b"nodename=127.0.0.2\ntimeout=3\n").expect("it reads");
    thread::sleep(Duration::from_millis(1500));
    slow.close_stdin();
    assert_timed_out(slow, Duration::from_secs(3));
}

/// The resolver waits 5 s for a name server that never answers; nothing else does.
#[test]
fn a_dead_name_server_holds_nothing_up() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    // It takes questions and answers none.
    let _dead = net.udp("127.0.0.53:53");
    let asks =
        |line: &str| agent(&net, line).file("/etc/resolv.conf", "nameserver 127.0.0.53\n").spawn();
    let hears = asks("-n slow.example,127.0.0.2 -t 10");
    hears.wait_bound(PORT);
    thread::sleep(Duration::from_millis(200));
    speak(&net);
    let output = hears.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(4), "{output}");
    assert_timed_out(asks("-n slow.example -t 2"), Duration::from_secs(2));
    let validates = asks("-o validate-all -n slow.example,127.0.0.2 -t 2").wait_for(LIMIT);
    let output = validates.expect_success();
    assert!(output.stderr.contains("slow.example: no answer in time"), "{output}");
}
