//! Floods of each kind, bounded, and the deadline and the message under them.

use crate::{FAMILIES, NEEDS, agent, assert_timed_out, at_once};
use fence_kdump_tests::datagram::{BIG, LITTLE, few_no_messages};
use fence_kdump_tests::{Cluster, Output, Proc, flood, programs, requires};
use std::thread;
use std::time::Duration;

/// 5,000 datagrams a second: some hundred times what a real network of crashed nodes sends, and
/// little enough for two cores that also run the agents.
const FLOOD: (u32, Duration) = (15_000, Duration::from_secs(3));

/// Fewer would be no flood. The largest datagrams take a busy machine the longest: each is 45 frames.
const FLOOD_AT_LEAST: u32 = 500;

/// What an agent without `-v` may write while it is flooded, in bytes.
const QUIET: usize = 16 << 10;

/// One flood: who sends what over which family, and whether the agent is to speak of it.
struct Case {
    name: String,
    from: u8,
    bytes: Vec<u8>,
    verbose: bool,
    family: (&'static str, &'static str),
}

/// Every kind with and without `-v`, one over IPv4 and the other over IPv6. Node 3 is the wrong one.
fn cases() -> Vec<Case> {
    let kinds = few_no_messages().into_iter().map(|kind| (kind.name, 2, kind.bytes));
    let others = [LITTLE, BIG].map(|bytes| ("another node's message".into(), 3, bytes.into()));
    let kinds: Vec<(String, u8, Vec<u8>)> = kinds.chain(others).collect();
    let mut cases = Vec::new();
    for (index, (name, from, bytes)) in kinds.iter().enumerate() {
        for verbose in [false, true] {
            let family = FAMILIES[(index + usize::from(verbose)) % 2];
            let name = format!("{name}, to {}{}", family.1, if verbose { ", -v" } else { "" });
            cases.push(Case { name, from: *from, bytes: bytes.clone(), verbose, family });
        }
    }
    cases
}

impl Case {
    /// The end of an agent under this flood, and the number of datagrams it was sent.
    fn run(&self, timeout: &str, then: impl FnOnce(&Cluster, &Proc)) -> (Output, u32) {
        let net = Cluster::new(3);
        let (node, to) = self.family;
        let mut args = vec!["-n", node, "-t", timeout];
        args.extend(self.verbose.then_some("-v"));
        let agent = agent(&programs::ours("fence_kdump"), &net, &args);
        let local =
            if node.contains(':') { Cluster::v6(self.from) } else { Cluster::v4(self.from) };
        let socket = net.node(self.from).udp_from(&local);
        let to = to.parse().expect("an address");
        let flood = flood(socket, to, &self.bytes, FLOOD.0, FLOOD.1);
        then(&net, &agent);
        let output = agent.wait_for(Duration::from_secs(12));
        println!("{}: ended after {:?}", self.name, output.elapsed);
        (output, flood.stop())
    }
}

#[test]
fn no_flood_makes_a_success_or_moves_the_deadline() {
    if !requires(&NEEDS) {
        return;
    }
    at_once(3, &cases(), |case| {
        let (output, sent) = case.run("2", |_, _| ());
        assert!(sent > FLOOD_AT_LEAST, "no flood on this machine: {sent} datagrams");
        let written = output.stdout.len() + output.stderr.len();
        assert!(case.verbose || written < QUIET, "a flood of output, {written} bytes: {output}");
        assert_timed_out(output, Duration::from_secs(2));
    });
}

/// The twin: the message gets through the flood. It is sent again until it does, as a crash
/// kernel sends it, since a receive buffer that overflows loses any datagram.
#[test]
fn the_message_gets_through_every_flood() {
    if !requires(&NEEDS) {
        return;
    }
    at_once(3, &cases(), |case| {
        let (output, _) = case.run("10", |net, agent| {
            thread::sleep(Duration::from_millis(300));
            assert!(agent.is_running(), "{}: ended before the message", case.name);
            while agent.is_running() && agent.elapsed() < Duration::from_secs(3) {
                net.node(2).send(case.family.0, case.family.1, &LITTLE);
                thread::sleep(Duration::from_millis(100));
            }
        });
        let _ = output.expect_success();
    });
}
