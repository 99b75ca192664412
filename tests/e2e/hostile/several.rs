//! Several agents on one port: what one of them heard, or has not read yet, must not become
//! another one's evidence.

use crate::{FAMILIES, NEEDS, agent, assert_timed_out};
use fence_kdump_tests::datagram::LITTLE;
use fence_kdump_tests::{Cluster, Proc, Run, programs, requires};
use rustix::process::Signal;
use std::thread;
use std::time::Duration;

/// Long enough for an agent to start and to ask whoever holds the port.
const STARTED: Duration = Duration::from_millis(500);

/// What came longer than that ago is no evidence for anybody, whoever remembers it.
const OLD: Duration = Duration::from_millis(10_200);

fn second_agent(net: &Cluster, timeout: &str) -> Proc {
    let program = programs::ours("fence_kdump");
    Run::new(program).args(["-n", FAMILIES[0].0, "-t", timeout]).inside(net.node(1)).spawn()
}

fn holder(net: &Cluster) -> Proc {
    agent(&programs::ours("fence_kdump"), net, &["-n", "10.77.0.9", "-t", "40"])
}

fn node_speaks(net: &Cluster) {
    net.node(2).send(FAMILIES[0].0, FAMILIES[0].1, &LITTLE);
}

/// A message that came long before the agent started, while another agent held the port, is no
/// evidence for the later one either; a message after its start is.
#[test]
fn a_message_from_long_before_a_second_agent_does_not_count_for_it() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let program = programs::ours("fence_kdump");
    let holder = agent(&program, &net, &["-n", "10.77.0.3", "-t", "18"]);
    let (node, to) = FAMILIES[0];
    for _ in 0..3 {
        net.node(2).send(node, to, &LITTLE);
    }
    thread::sleep(OLD);
    let second = |timeout| Run::new(&program).args(["-n", node, "-t", timeout]).inside(net.node(1));
    assert_timed_out(second("2").run(Duration::from_secs(5)), Duration::from_secs(2));

    // The twin. The second agent has no port of its own to look for: it is told several times.
    let twin = second("5").spawn();
    while twin.is_running() {
        assert!(twin.elapsed() < Duration::from_secs(6), "should have ended");
        thread::sleep(Duration::from_millis(200));
        net.node(2).send(node, to, &LITTLE);
    }
    let _ = twin.wait_for(Duration::from_secs(1)).expect_success();
    assert_timed_out(holder.wait_for(Duration::from_secs(20)), Duration::from_secs(18));
}

/// The twin of those around it: whoever comes a moment after the message is told of it by the one that heard it, or
/// finds it unread, and need not wait for the next.
#[test]
fn a_message_of_a_moment_ago_counts_for_a_later_agent() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let holder = holder(&net);
    node_speaks(&net);
    let _ = second_agent(&net, "8").wait_for(Duration::from_secs(12)).expect_success();
    let net = Cluster::new(2);
    let hanging = self::holder(&net);
    hanging.signal(Signal::STOP);
    node_speaks(&net);
    let second = second_agent(&net, "9");
    thread::sleep(STARTED);
    hanging.signal(Signal::CONT);
    let _ = second.wait_for(Duration::from_secs(12)).expect_success();
    drop(holder);
}

/// The holder does not get to run while the message comes and the second agent starts: the message
/// is read after that start, and yet it came long before it.
#[test]
fn a_message_that_waited_unread_does_not_count_for_a_later_agent() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let holder = holder(&net);
    holder.signal(Signal::STOP);
    node_speaks(&net);
    thread::sleep(OLD);
    let second = second_agent(&net, "3");
    thread::sleep(STARTED);
    holder.signal(Signal::CONT);
    assert_timed_out(second.wait_for(Duration::from_secs(8)), Duration::from_secs(3));
}

/// The same, but the holder never runs again: whoever takes its place finds what it left unread.
#[test]
fn a_message_left_unread_by_a_killed_agent_does_not_count_for_a_later_one() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let first = holder(&net);
    // Somebody to whom the socket may already have been handed.
    let waiting = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "10.77.0.8", "-t", "30"])
        .inside(net.node(1))
        .spawn();
    thread::sleep(STARTED);
    first.signal(Signal::STOP);
    waiting.signal(Signal::STOP);
    node_speaks(&net);
    thread::sleep(OLD);
    let second = second_agent(&net, "3");
    thread::sleep(STARTED);
    drop(first.kill());
    waiting.signal(Signal::CONT);
    assert_timed_out(second.wait_for(Duration::from_secs(8)), Duration::from_secs(3));
}

/// The twin of both: what came after the start counts, however late it is read, and also when the
/// holder is killed.
#[test]
fn a_message_that_waited_unread_counts_for_an_agent_that_was_there() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let first = holder(&net);
    let second = second_agent(&net, "15");
    thread::sleep(STARTED);
    first.signal(Signal::STOP);
    node_speaks(&net);
    thread::sleep(STARTED);
    first.signal(Signal::CONT);
    let _ = second.wait_for(Duration::from_secs(5)).expect_success();

    let third = second_agent(&net, "15");
    thread::sleep(STARTED);
    drop(first.kill());
    // As a crash kernel does: once more and once more.
    while third.is_running() && third.elapsed() < Duration::from_secs(8) {
        node_speaks(&net);
        thread::sleep(Duration::from_millis(200));
    }
    let _ = third.wait_for(Duration::from_secs(2)).expect_success();
}

/// A holder that never runs again, though it lives: an agent that waited with it hears all the same,
/// and one that comes later is not taken in by what lay in the queue before it came.
#[test]
fn a_holder_that_hangs_neither_hides_a_message_nor_makes_an_old_one_new() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let hanging = holder(&net);
    let program = programs::ours("fence_kdump");
    let other =
        Run::new(&program).args(["-n", "10.77.0.3", "-t", "30"]).inside(net.node(1)).spawn();
    let second = second_agent(&net, "20");
    thread::sleep(STARTED);
    hanging.signal(Signal::STOP);
    node_speaks(&net);
    let _ = second.wait_for(Duration::from_secs(8)).expect_success();
    thread::sleep(OLD);
    let later = second_agent(&net, "5");
    assert_timed_out(later.wait_for(Duration::from_secs(8)), Duration::from_secs(5));
    net.node(3).send("10.77.0.3", FAMILIES[0].1, &LITTLE);
    let _ = other.wait_for(Duration::from_secs(8)).expect_success();
    hanging.signal(Signal::CONT);
}

/// Agents for the same node and for others, started while messages come in all the time: each
/// judges for itself.
#[test]
fn many_agents_each_judge_for_themselves() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(4);
    let start = |number: u8| {
        let node = Cluster::v4(number);
        let program = programs::ours("fence_kdump");
        (number, Run::new(program).args(["-n", &node, "-t", "4"]).inside(net.node(1)).spawn())
    };
    // Node 2 speaks all the time, node 3 once before any agent starts, node 4 never.
    net.node(3).send("10.77.0.3", FAMILIES[0].1, &LITTLE);
    let agents: Vec<_> = [4, 2, 3, 2, 4, 3, 2].into_iter().map(start).collect();
    for _ in 0..40 {
        node_speaks(&net);
        thread::sleep(Duration::from_millis(100));
    }
    for (number, agent) in agents {
        let output = agent.wait_for(Duration::from_secs(6));
        if number == 2 {
            let _ = output.expect_success();
        } else {
            assert_timed_out(output, Duration::from_secs(4));
        }
    }
}
