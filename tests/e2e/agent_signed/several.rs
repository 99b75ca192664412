//! Several programs on one host that hear the same signed messages.

use super::{CLUSTER, Host, LIMIT, NEEDS, NODE};
use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Proc, Run, programs, requires};
use rustix::process::Signal;
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

fn daemon(host: &Host, options: &str) -> Proc {
    // Without keys it shares nothing.
    let state = host.path(if options.is_empty() { "of_daemon" } else { "state" });
    let daemon = Run::new(programs::ours("fence_kdumpd"))
        .args(["-v", "--node", &format!("n1={NODE}"), "--state-dir"])
        .arg(state)
        .args(options.split_whitespace())
        .inside(&host.net)
        .spawn();
    daemon.wait_bound(PORT);
    daemon
}

fn keys(host: &Host) -> String {
    format!("--key-file {}", host.path("cluster.key").display())
}

fn status(host: &Host) -> Value {
    let ctl = Run::new(programs::ours("fence_kdumpctl")).args(["status", "--json"]);
    let text = ctl.inside(&host.net).run(LIMIT).expect_success().stdout;
    let status: Value = serde_json::from_str(&text).expect("JSON");
    status["nodes"][0].clone()
}

/// Waits until the daemon knows so many messages of n1.
fn wait_for_messages(host: &Host, messages: u64) -> Value {
    let until = Instant::now() + LIMIT;
    loop {
        let node = status(host);
        if node["messages"] == messages {
            return node;
        }
        assert!(Instant::now() < until, "{node}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The same datagram is judged by the daemon and by each agent, all with one memory: it is no replay for
/// any of them. A daemon without keys serves them as well.
#[test]
fn one_message_counts_for_all_that_share_the_port() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    for options in [keys(&host), String::new()] {
        let daemon = daemon(&host, &options);
        let agents: Vec<_> = (0..3)
            .map(|_| {
                let agent = host.agent("-t 15").spawn();
                agent.wait_stderr_line("for this one, too", LIMIT);
                agent
            })
            .collect();
        let mut node = host.node("127.0.0.99");
        if options.is_empty() {
            node.said["crash_id"] = "22".repeat(16).into();
        }
        node.speak();
        for agent in agents {
            let output = agent.wait_for(LIMIT).expect_success();
            assert!(output.stderr.contains("heard, signed, after"), "{output}");
        }
        if options.is_empty() {
            assert_eq!(status(&host)["messages"], 0, "it knows n1 by its address alone");
        } else {
            daemon.wait_stderr_line("n1 (127.0.0.99, signed): started", LIMIT);
        }
    }
}

/// Each of several programs asks for an answer of its own, and an answer to one is no question to
/// the others: the conversation ends.
#[test]
fn several_that_challenge_come_to_an_end() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, &format!("{} --policy live", keys(&host)));
    let agents: Vec<_> = (0..2)
        .map(|_| {
            let agent = host.agent("-t 15 --policy live").spawn();
            agent.wait_stderr_line("for this one, too", LIMIT);
            agent
        })
        .collect();
    let mut node = host.node("127.0.0.99");
    node.speak();
    let nonces = [node.challenged(), node.challenged(), node.challenged()];
    node.answer(&nonces);
    for agent in agents {
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    daemon.wait_stderr_line("n1 (127.0.0.99, live): started", LIMIT);
    node.socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time");
    assert!(node.socket.recv(&mut [0; 100]).is_err(), "no further challenge");
}

#[test]
fn sessions_of_the_daemon_move_with_what_is_believed_alone() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, &keys(&host));
    let mut node = host.node(NODE);
    node.send(&LITTLE);
    let told = daemon.wait_stderr_line("does not count", LIMIT);
    assert!(told.contains("n1: a message from 127.0.0.11 does not count: not signed"), "{told}");
    assert_eq!(status(&host)["state"], "unheard");
    node.said["phase"] = 2.into();
    node.said["progress"] = serde_json::json!([1 << 20, 64 << 20]);
    node.speak();
    let known = wait_for_messages(&host, 1);
    for (field, value) in [
        ("policy", "signed"),
        ("proof", "signed"),
        ("phase", "dumping"),
        ("key_id", CLUSTER.0),
        ("from", NODE),
        ("state", "started"),
    ] {
        assert_eq!(known[field], value, "{field}: {known}");
    }
    assert_eq!((&known["done"], &known["total"]), (&(1 << 20).into(), &(64 << 20).into()));
    let nonce = node.challenged();
    node.answer(&[nonce]);
    assert_eq!(wait_for_messages(&host, 2)["proof"], "live");
    let again = node.sign();
    node.send(&again);
    daemon.wait_stderr_line("does not count: a replay", LIMIT);
    node.said["phase"] = 5.into();
    node.speak();
    daemon.wait_stderr_line("leaves its crash kernel", LIMIT);
    assert_eq!(status(&host)["state"], "rebooted");
}

/// The challenge comes from the port that listens, whoever of several reads it.
#[test]
fn one_who_waits_answers_through_the_port_of_the_other() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    // The holder has no keys.
    let holder = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "127.0.0.50", "-t", "30"])
        .inside(&host.net)
        .spawn();
    holder.wait_bound(PORT);
    let waiter = host.agent("-t 20 --policy live").spawn();
    waiter.wait_stderr_line("for this one, too", LIMIT);
    thread::sleep(Duration::from_millis(500));
    let mut node = host.node("127.0.0.99");
    node.speak();
    let nonce = node.challenged();
    // The holder is gone; whoever waited reads on, and its challenge still stands.
    drop(holder);
    node.answer(&[nonce]);
    let _ = waiter.wait_for(LIMIT).expect_success();
}

/// One who hangs is replaced, in asking as in hearing.
#[test]
fn one_who_reads_in_place_of_another_answers_too() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let holder = daemon(&host, "");
    let waiter = host.agent("-t 20 --policy live").spawn();
    waiter.wait_stderr_line("for this one, too", LIMIT);
    // It shares its socket right after that.
    thread::sleep(Duration::from_millis(500));
    holder.signal(Signal::STOP);
    waiter.wait_stderr_line("reading in its place", LIMIT);
    let mut node = host.node("127.0.0.99");
    node.speak();
    let nonce = node.challenged();
    node.answer(&[nonce]);
    let _ = waiter.wait_for(LIMIT).expect_success();
    holder.signal(Signal::CONT);
}
