//! What must never be taken for the message of a crashed node, and that the message still comes
//! through after it.

use fence_kdump_tests::datagram::{BIG, LITTLE, PORT, no_messages};
use fence_kdump_tests::{Cluster, Need, Output, Proc, Run, flood, programs, requires};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

mod hostile {
    mod floods;
    mod several;
    pub(crate) mod situations;
    mod strangers;
}
use hostile::situations::{Situation, situations};

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

/// Beyond its own `-t`, what an agent may take to notice the time on two busy cores.
const LATE: Duration = Duration::from_millis(900);

/// The two families: the node's address, the agent's address, and the agent's socket address.
const FAMILIES: [(&str, &str); 2] =
    [("10.77.0.2", "10.77.0.1:7410"), ("fd00:77::2", "[fd00:77::1]:7410")];

fn agent(program: &Path, net: &Cluster, args: &[&str]) -> Proc {
    let agent = Run::new(program).args(args).inside(net.node(1)).spawn();
    agent.wait_bound(PORT);
    agent
}

/// Does `action` to every item, `width` of them at a time: they mostly wait.
fn at_once<T: Sync, R: Send>(width: usize, items: &[T], action: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut results = Vec::new();
    for group in items.chunks(width) {
        thread::scope(|scope| {
            let running: Vec<_> = group.iter().map(|item| scope.spawn(|| action(item))).collect();
            for one in running {
                results.push(one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
        });
    }
    results
}

/// The agent ended by itself, not successfully, at its own deadline and not later.
#[track_caller]
fn assert_timed_out(output: Output, timeout: Duration) {
    let output = output.expect_failure();
    let window = timeout.saturating_sub(Duration::from_millis(20))..timeout + LATE;
    assert!(window.contains(&output.elapsed), "should have ended after {timeout:?}: {output}");
}

/// Every no-message of the table from the right node, one after the other, and each also right
/// after a true message from the wrong node: a buffer that is not cleared would hold that one.
fn every_no_message(net: &Cluster, agent: &Proc, node: &str, to: &str) {
    let wrong_node = node.replace('2', "3");
    let (right, wrong) = (net.node(2).udp_from(node), net.node(3).udp_from(&wrong_node));
    for kind in no_messages() {
        right.send_to(&kind.bytes, to).expect("a network that takes it");
        for message in [LITTLE, BIG] {
            wrong.send_to(&message, to).expect("a network that takes it");
            right.send_to(&kind.bytes, to).expect("a network that takes it");
        }
        thread::sleep(Duration::from_millis(3));
        assert!(agent.is_running(), "ended at: {}", kind.name);
    }
}

#[test]
fn no_datagram_of_the_table_is_the_message() {
    if !requires(&NEEDS) {
        return;
    }
    let cases = FAMILIES.map(|family| [(family, None), (family, Some("-v"))]).concat();
    at_once(4, &cases, |((node, to), verbose)| {
        let net = Cluster::new(3);
        let mut args = vec!["-n", node, "-t", "4"];
        args.extend(verbose);
        let agent = agent(&programs::ours("fence_kdump"), &net, &args);
        every_no_message(&net, &agent, node, to);
        assert!(agent.elapsed() < Duration::from_secs(4), "the machine is too slow for this test");
        assert_timed_out(agent.wait_for(Duration::from_secs(10)), Duration::from_secs(4));
    });
}

/// The twin: after all that, one true message from the right node is enough.
#[test]
fn after_the_whole_table_the_message_counts() {
    if !requires(&NEEDS) {
        return;
    }
    let cases = FAMILIES.map(|family| [(family, None), (family, Some("-v"))]).concat();
    at_once(4, &cases, |((node, to), verbose)| {
        let net = Cluster::new(3);
        let mut args = vec!["-n", node, "-t", "20"];
        args.extend(verbose);
        let agent = agent(&programs::ours("fence_kdump"), &net, &args);
        every_no_message(&net, &agent, node, to);
        net.node(2).send(node, to, &LITTLE);
        let _ = agent.wait_for(Duration::from_secs(3)).expect_success();
    });
}

/// One situation, acted out for one program; whether it exited 0.
fn acted_out(program: &Path, situation: &Situation, verbose: bool) -> Output {
    let net = Cluster::new(3);
    if let Some(before) = situation.before {
        before(&net);
    }
    let timeout = if situation.is_true { "5" } else { "1" };
    let mut args = vec!["-n", situation.configured, "-t", timeout];
    if verbose {
        args.push("-v");
    }
    let agent = Run::new(program).args(args).inside(net.node(1)).spawn();
    // The stock agent refuses some lists at once, and then never binds the port.
    let deadline = Instant::now() + Duration::from_secs(5);
    while agent.is_running() && !net.node(1).is_bound(PORT) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    (situation.after)(&net);
    agent.wait_for(Duration::from_secs(8))
}

/// Ours must be right in every row. What the stock agent does in the same row is printed beside
/// it: with `--nocapture` this test is the comparison.
#[test]
fn every_situation_is_judged_right() {
    if !requires(&[NEEDS[0], NEEDS[1], Need::Stock]) {
        return;
    }
    let (ours, stock) = (programs::ours("fence_kdump"), programs::stock_agent());
    let situations = situations();
    let rows = at_once(4, &situations, |situation| {
        let runs = [(&ours, false), (&ours, true), (&stock, false)];
        let outputs = at_once(3, &runs, |(program, v)| acted_out(program, situation, *v));
        <[Output; 3]>::try_from(outputs).expect("an output for each of the three")
    });
    let word = |output: &Output| {
        if output.code == Some(0) { "fenced" } else { "not known" }
    };
    println!("| {:58} | {:9} | {:9} | {:9} |", "situation", "right", "ours", "stock");
    println!("|{}|{1}|{1}|{1}|", "-".repeat(60), "-".repeat(11));
    for (situation, [quiet, _, stock]) in situations.iter().zip(&rows) {
        let right = if situation.is_true { "fenced" } else { "not known" };
        let name = &situation.name;
        println!("| {name:58} | {right:9} | {:9} | {:9} |", word(quiet), word(stock));
    }
    for (situation, [quiet, verbose, _]) in situations.iter().zip(rows) {
        println!("{}", situation.name);
        for output in [quiet, verbose] {
            if situation.is_true {
                let _ = output.expect_success();
            } else {
                let _ = output.expect_failure();
            }
        }
    }
}

/// A flood that fills the time until the very moment of the start.
#[test]
fn a_flood_until_the_start_does_not_count() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let (node, to) = FAMILIES[0];
    let socket = net.node(2).udp("10.77.0.2:0");
    let to = to.parse().expect("an address");
    let before = flood(socket, to, &LITTLE, 20_000, Duration::from_secs(2));
    thread::sleep(Duration::from_millis(500));
    before.stop();
    let program = programs::ours("fence_kdump");
    let agent = Run::new(program).args(["-n", node, "-t", "2"]).inside(net.node(1));
    assert_timed_out(agent.run(Duration::from_secs(5)), Duration::from_secs(2));
}
