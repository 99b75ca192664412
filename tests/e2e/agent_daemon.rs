//! The daemon on the port: agents are served by it and outlive it, and it tells what it knows.

use fence_kdump_tests::datagram::{BIG, LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, requires};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(20);

/// The daemon, which writes down what happens where no other test does.
fn daemon(net: &Netns, folder: &TempDir) -> Proc {
    Run::new(programs::ours("fence_kdumpd"))
        .args(["--node", "one=127.0.0.11,127.0.1.11", "--node", "two=127.0.0.12", "--state-dir"])
        .arg(folder.path().join("state"))
        .inside(net)
        .spawn()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn agent(net: &Netns, node: &str, timeout: &str) -> Proc {
    Run::new(programs::ours("fence_kdump"))
        .args(["-v", "-n", node, "-t", timeout])
        .inside(net)
        .spawn()
}

fn status(net: &Netns, more: &[&str]) -> Output {
    Run::new(programs::ours("fence_kdumpctl")).arg("status").args(more).inside(net).run(LIMIT)
}

fn state(net: &Netns, node: &str) -> (String, u64) {
    let text = status(net, &["--json"]).expect_success().stdout;
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status["program"], "fence_kdumpd", "{text}");
    let nodes = status["nodes"].as_array().expect("a list");
    let node = nodes.iter().find(|one| one["name"] == node).expect("a known node");
    let state = node["state"].as_str().expect("a word");
    (state.to_owned(), node["messages"].as_u64().expect("a number"))
}

fn speak(net: &Netns, from: &str) {
    net.send(from, "127.0.0.1:7410", &BIG);
}

#[test]
fn the_daemon_follows_nodes_and_serves_agents() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, folder) = (Netns::new(), folder());
    let daemon = daemon(&net, &folder);
    daemon.wait_bound(PORT);
    assert_eq!(state(&net, "one"), ("unheard".to_owned(), 0));
    // One of its own nodes, one that it does not know, and one that never speaks.
    let known = agent(&net, "127.0.0.11", "15");
    let unknown = agent(&net, "127.0.0.99", "15");
    let silent = agent(&net, "127.0.0.12", "3");
    for agent in [&known, &unknown, &silent] {
        agent.wait_stderr_line("for this one", LIMIT);
    }
    speak(&net, "127.0.1.11");
    daemon.wait_stderr_line("one (127.0.1.11): started", LIMIT);
    assert!(known.is_running(), "127.0.1.11 is no address of the agent's node");
    speak(&net, "127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): dumping", LIMIT);
    speak(&net, "127.0.0.99");
    let _ = known.wait_for(LIMIT).expect_success();
    let _ = unknown.wait_for(LIMIT).expect_success();
    assert_eq!(silent.wait_for(LIMIT).code, Some(1));
    assert_eq!(state(&net, "one"), ("dumping".to_owned(), 2));
    let table = status(&net, &[]).expect_success();
    assert!(table.stdout.contains("NODE") && table.stdout.contains("two"), "{table}");
}

/// What the daemon heard long before an agent started is no evidence for that agent.
#[test]
fn the_past_of_the_daemon_is_no_evidence() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, folder) = (Netns::new(), folder());
    let daemon = daemon(&net, &folder);
    daemon.wait_bound(PORT);
    speak(&net, "127.0.0.11");
    daemon.wait_stderr_line("started", LIMIT);
    thread::sleep(Duration::from_millis(10_200));
    let late = agent(&net, "127.0.0.11", "2").wait_for(LIMIT);
    assert_eq!(late.code, Some(1), "{late}");
    assert!(late.stderr.contains("before this run began"), "{late}");
}

#[test]
fn agents_outlive_the_daemon_and_the_daemon_comes_back() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, folder) = (Netns::new(), folder());
    let first = daemon(&net, &folder);
    first.wait_bound(PORT);
    let waiting = agent(&net, "127.0.0.13", "20");
    waiting.wait_stderr_line("for this one", LIMIT);
    let hears = agent(&net, "127.0.0.11", "20");
    hears.wait_stderr_line("for this one", LIMIT);
    first.signal(Signal::KILL);
    speak(&net, "127.0.0.11");
    let _ = hears.wait_for(LIMIT).expect_success();
    let second = daemon(&net, &folder);
    second.wait_stderr_line("serves this one", LIMIT);
    speak(&net, "127.0.0.12");
    second.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    speak(&net, "127.0.0.13");
    let _ = waiting.wait_for(LIMIT).expect_success();
    second.wait_stderr_line("listening on UDP port 7410", LIMIT);
    net.send("127.0.0.12", "127.0.0.1:7410", &LITTLE);
    second.wait_stderr_line("two (127.0.0.12): dumping", LIMIT);
    assert_eq!(state(&net, "two"), ("dumping".to_owned(), 2));
}

#[test]
fn nobody_there_is_told() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let nobody = status(&net, &[]);
    assert_eq!(nobody.code, Some(1), "{nobody}");
    assert!(nobody.stderr.contains("nobody"), "{nobody}");
    let alone = agent(&net, "127.0.0.11", "10");
    alone.wait_bound(PORT);
    let agents = status(&net, &[]).expect_success();
    assert!(agents.stdout.starts_with("fence_kdump (process "), "{agents}");
    let stopped = alone;
    stopped.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(50));
    let hangs = status(&net, &[]);
    assert_eq!(hangs.code, Some(1), "{hangs}");
    assert!(hangs.stderr.contains("did not answer"), "{hangs}");
    stopped.signal(Signal::CONT);
}
