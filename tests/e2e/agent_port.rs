//! Whoever holds the port serves the others, however it ends.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Proc, Run, programs, requires};
use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use std::thread;
use std::time::{Duration, Instant};

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(30);

/// What is told when the holder does not answer.
const HANGS: &str = "reading in its place";

fn agent(net: &Netns, node: u8, more: &str) -> Proc {
    Run::new(programs::ours("fence_kdump"))
        .args(["-v", "-n", &format!("127.0.0.{node}"), "-t", "25"])
        .args(more.split_whitespace())
        .inside(net)
        .spawn()
}

fn speak(net: &Netns, node: u8) {
    net.send(&format!("127.0.0.{node}"), "127.0.0.1:7410", &LITTLE);
}

/// The one that holds the port, and others that it serves.
fn several(net: &Netns, nodes: &[u8]) -> (Proc, Vec<(u8, Proc)>) {
    let holder = agent(net, 100, "");
    holder.wait_bound(PORT);
    let others: Vec<_> = nodes.iter().map(|&node| (node, agent(net, node, ""))).collect();
    for (_, other) in &others {
        other.wait_stderr_line("reads UDP port 7410 for this one", LIMIT);
    }
    (holder, others)
}

#[test]
fn the_holder_ends_and_another_takes_over() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (holder, others) = several(&net, &[11, 12, 13]);
    speak(&net, 100);
    let _ = holder.wait_for(LIMIT).expect_success();
    for (node, other) in others {
        assert!(other.is_running(), "{}", other.stderr());
        speak(&net, node);
        let output = other.wait_for(LIMIT).expect_success();
        assert!(output.elapsed < Duration::from_secs(15), "{output}");
    }
}

/// Messages that come while nobody reads are not lost: not even the one right after the kill.
#[test]
fn the_holder_is_killed_and_messages_come_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    for _ in 0..5 {
        let net = Netns::new();
        let (holder, others) = several(&net, &[11, 12, 13]);
        holder.signal(Signal::KILL);
        let killed = Instant::now();
        for node in [13, 11, 12] {
            speak(&net, node);
        }
        for (_, other) in others {
            let _ = other.wait_for(LIMIT).expect_success();
        }
        assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    }
}

/// One after the other is killed; the last one still hears.
#[test]
fn every_holder_is_killed() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (holder, mut others) = several(&net, &[11, 12, 13, 14, 15]);
    holder.signal(Signal::KILL);
    let last = others.pop().expect("there are some");
    for (_, other) in &others {
        other.signal(Signal::KILL);
        thread::sleep(Duration::from_millis(20));
    }
    speak(&net, last.0);
    let _ = last.1.wait_for(LIMIT).expect_success();
    for (_, other) in others {
        assert_eq!(other.wait_for(LIMIT).signal, Some(9));
    }
}

/// Who reads in place of one that hangs may never have been given the port's socket: then another one who
/// was gives it to him.
#[test]
fn one_that_was_never_served_reads_in_the_place_of_the_holder() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (holder, mut others) = several(&net, &[11]);
    let (_, served) = others.pop().expect("one");
    served.signal(Signal::STOP);
    holder.signal(Signal::STOP);
    let newcomer = agent(&net, 12, "");
    newcomer.wait_stderr_line(HANGS, LIMIT);
    thread::sleep(Duration::from_millis(500));
    served.signal(Signal::CONT);
    served.wait_stderr_line(HANGS, LIMIT);
    thread::sleep(Duration::from_secs(1));
    for (node, agent) in [(11, served), (12, newcomer)] {
        speak(&net, node);
        let output = agent.wait_for(LIMIT).expect_success();
        assert!(output.elapsed < Duration::from_secs(20), "{output}");
    }
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait_for(LIMIT).signal, Some(9));
}

/// Whoever comes while the port changes hands is served, too.
#[test]
fn newcomers_while_the_port_changes_hands() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (holder, others) = several(&net, &[11, 12]);
    holder.signal(Signal::KILL);
    let newcomers: Vec<_> = (21..27).map(|node| (node, agent(&net, node, ""))).collect();
    thread::sleep(Duration::from_secs(1));
    for (node, agent) in others.into_iter().chain(newcomers) {
        speak(&net, node);
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// A message counts only for the node that sent it, also among agents that share the port.
#[test]
fn nobody_takes_the_message_of_another_node() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let holder = agent(&net, 100, "-t 4");
    holder.wait_bound(PORT);
    let other = agent(&net, 11, "-t 4");
    other.wait_stderr_line("for this one", LIMIT);
    while holder.is_running() && other.is_running() {
        speak(&net, 12);
        thread::sleep(Duration::from_millis(100));
    }
    for agent in [holder, other] {
        assert_eq!(agent.wait_for(LIMIT).code, Some(1));
    }
}

fn connect(net: &Netns) -> Socket {
    net.enter(|| {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        let address = SockAddr::unix("\0fence_kdump/7410").expect("a short name");
        socket.connect(&address).expect("somebody sits there");
        socket
    })
}

/// Clients that say nothing, talk nonsense, say too much, or never read.
#[test]
fn bad_clients_hold_nobody_up() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (holder, others) = several(&net, &[11]);
    let silent: Vec<_> = (0..50).map(|_| connect(&net)).collect();
    let nonsense = connect(&net);
    nonsense.send(b"nonsense").expect("a packet");
    let large = connect(&net);
    large.send(&vec![b' '; 60_000]).expect("a packet");
    let deaf = connect(&net);
    deaf.set_write_timeout(Some(Duration::from_millis(200))).expect("a valid time");
    deaf.send(br#"{"type":"ask","addresses":["127.0.0.50"]}"#).expect("a packet");
    for _ in 0..2_000 {
        if deaf.send(br#"{"type":"ping"}"#).is_err() {
            break;
        }
        speak(&net, 50);
    }
    for (node, other) in others {
        speak(&net, node);
        let _ = other.wait_for(LIMIT).expect_success();
    }
    speak(&net, 100);
    let _ = holder.wait_for(LIMIT).expect_success();
    drop((silent, nonsense, large, deaf));
}
