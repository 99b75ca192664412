//! What the daemon remembers of nodes that sign, at an agent that is started a moment later.

use super::{Host, LIMIT, NEEDS, NODE, Node, assert_refused};
use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Output, Proc, Run, programs, requires};
use serde_json::json;
use std::thread;
use std::time::Duration;

/// No agent that need not wait takes longer, on a machine however busy.
const AT_ONCE: Duration = Duration::from_secs(5);

/// What came longer than that ago is no evidence any more.
const OLD: Duration = Duration::from_millis(10_200);

fn daemon(host: &Host, policy: &str) -> Proc {
    let daemon = Run::new(programs::ours("fence_kdumpd"))
        .args(["--node", &format!("n1={NODE}"), "--policy", policy, "--key-file"])
        .arg(host.path("cluster.key"))
        .arg("--state-dir")
        .arg(host.path("state"))
        .inside(&host.net)
        .spawn();
    daemon.wait_bound(PORT);
    daemon
}

#[track_caller]
fn assert_known_at_once(output: Output) {
    let output = output.expect_success();
    assert!(output.stderr.contains("s before this run began"), "{output}");
    assert!(!output.stderr.contains("does not count"), "no doubts are told: {output}");
    assert!(output.elapsed < AT_ONCE, "{output}");
}

fn says(node: &mut Node, phase: u8) {
    node.said["phase"] = json!(phase);
    node.speak();
}

/// The agent reads the same datagram as the daemon: it is no replay for it. Neither is the answer to
/// the daemon, nor what the next agent is told.
#[test]
fn a_signed_message_that_the_daemon_heard_counts_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, "signed");
    let mut node = host.node("127.0.0.99");
    node.speak();
    daemon.wait_stderr_line("n1 (127.0.0.99, signed): started", LIMIT);
    let nonce = node.challenged();
    for _ in 0..2 {
        assert_known_at_once(host.agent("-t 20").spawn().wait_for(LIMIT));
    }
    node.answer(&[nonce]);
    daemon.wait_stderr_line("n1 (127.0.0.99, live): dumping", LIMIT);
    assert_known_at_once(host.agent("-t 20").spawn().wait_for(LIMIT));
}

/// The node says that it leaves, and then crashes once more.
#[test]
fn a_dump_that_is_over_is_no_evidence_and_a_new_one_is() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, "signed");
    let mut node = host.node(NODE);
    says(&mut node, 2);
    daemon.wait_stderr_line("started", LIMIT);
    says(&mut node, 5);
    daemon.wait_stderr_line("leaves its crash kernel", LIMIT);
    let left = host.agent("-t 2").spawn().wait_for(LIMIT);
    assert_eq!(left.code, Some(1), "{left}");
    let mut again = host.node(NODE);
    again.said["crash_id"] = json!("22".repeat(16));
    says(&mut again, 1);
    // A dump that begins is told as the first one was, which the line with its name does not show.
    assert_known_at_once(host.agent("-t 20").spawn().wait_for(LIMIT));
}

/// Who sends plain messages side by side with signed ones sends one more with the very last: no agent takes
/// it for a new dump, whether it can read what the other one says or not.
#[test]
fn a_plain_message_beside_the_last_one_is_no_evidence() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, "plain");
    let mut node = host.node(NODE);
    node.send(&LITTLE);
    says(&mut node, 5);
    node.send(&LITTLE);
    daemon.wait_stderr_line("started", LIMIT);
    // What is the last to be said of this node depends on how soon the memory answers.
    thread::sleep(Duration::from_millis(500));
    let keyless = Run::new(programs::ours("fence_kdump")).args(["-n", NODE, "-t", "2"]);
    let keyless = keyless.inside(&host.net).run(LIMIT);
    assert_eq!(keyless.code, Some(1), "{keyless}");
    let plain = host.agent("-t 2 --policy plain").spawn().wait_for(LIMIT);
    assert_eq!(plain.code, Some(1), "{plain}");
}

/// Whoever sends what he captured makes the daemon remember nothing, and the agent believe nothing.
#[test]
fn what_was_captured_is_not_remembered() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = daemon(&host, "signed");
    let mut node = host.node(NODE);
    let captured = node.next();
    node.send(&captured);
    daemon.wait_stderr_line("started", LIMIT);
    thread::sleep(OLD);
    host.net.send("127.0.0.77", "127.0.0.1:7410", &captured);
    daemon.wait_stderr_line("does not count: a replay", LIMIT);
    let told = host.agent("-t 2").spawn().wait_for(LIMIT);
    assert_eq!(told.code, Some(1), "{told}");
    // The node itself is believed at once.
    node.speak();
    assert_known_at_once(host.agent("-t 20").spawn().wait_for(LIMIT));
}

/// Under live nothing that is remembered is believed, but the node is asked before it speaks again; also when
/// the daemon itself has been answered already, and however long ago it spoke.
#[test]
fn under_live_a_node_that_is_remembered_is_asked_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    for policy in ["live", "signed"] {
        let host = Host::new();
        let daemon = daemon(&host, policy);
        let mut node = host.node("127.0.0.99");
        node.speak();
        let nonce = node.challenged();
        node.answer(&[nonce]);
        daemon.wait_stderr_line("live): ", LIMIT);
        if policy == "live" {
            thread::sleep(OLD);
        }
        let agent = host.agent("-t 20 --policy live").spawn();
        let nonce = node.challenged();
        assert!(agent.is_running(), "{policy}: nothing was answered yet");
        node.answer(&[nonce]);
        let output = agent.wait_for(LIMIT).expect_success();
        assert!(output.stderr.contains("heard, signed and live, after"), "{output}");
        // Nobody answers: nothing counts.
        assert_refused(
            &host.agent("-t 2 --policy live").spawn().wait_for(LIMIT),
            "and no answer to a challenge",
        );
    }
}
