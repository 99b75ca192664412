//! Floods of each kind, bounded, and the deadline and the message under them.

use crate::{FAMILIES, NEEDS, agent, assert_timed_out, at_once};
use fence_kdump_tests::datagram::{BIG, LITTLE, few_no_messages};
use fence_kdump_tests::{Cluster, Output, Proc, flood, programs, requires};
use std::thread;
use std::time::Duration;

/// 5,000 datagrams a second: some hundred times what a real network of crashed nodes sends, and
/// little enough for two cores that also run the agents.
const FLOOD: (u32, Duration) = (15_000, Duration::from_secs(3));

/// The floods: who sends what. Node 3 is the wrong one.
fn floods() -> Vec<(String, u8, Vec<u8>)> {
    let mut floods: Vec<_> = few_no_messages()
        .into_iter()
        .map(|kind| (kind.name, 2, kind.bytes))
        .collect();
    floods.push(("the message of another node".into(), 3, LITTLE.into()));
    floods.push((
        "the big-endian message of another node".into(),
        3,
        BIG.into(),
    ));
    floods
}

fn under_flood(
    from: u8,
    bytes: &[u8],
    args: &[&str],
    then: impl FnOnce(&Cluster, &Proc),
) -> (Output, u32) {
    let net = Cluster::new(3);
    let agent = agent(&programs::ours("fence_kdump"), &net, args);
    let socket = net.node(from).udp(&format!("{}:0", Cluster::v4(from)));
    let to = FAMILIES[0].1.parse().expect("an address");
    let flood = flood(socket, to, bytes, FLOOD.0, FLOOD.1);
    then(&net, &agent);
    let output = agent.wait_for(Duration::from_secs(12));
    (output, flood.stop())
}

#[test]
fn no_flood_makes_a_success_or_moves_the_deadline() {
    if !requires(&NEEDS) {
        return;
    }
    let cases = floods()
        .into_iter()
        .flat_map(|kind| [(kind.clone(), false), (kind, true)]);
    at_once(
        3,
        &cases.collect::<Vec<_>>(),
        |((name, from, bytes), verbose)| {
            let mut args = vec!["-n", "10.77.0.2", "-t", "2"];
            args.extend(verbose.then_some("-v"));
            let (output, sent) = under_flood(*from, bytes, &args, |_, _| ());
            println!("{name}{}", if *verbose { ", -v" } else { "" });
            assert!(
                sent > FLOOD.0 / 4,
                "no flood on this machine: {sent} datagrams"
            );
            if !verbose {
                let written = output.stdout.len() + output.stderr.len();
                assert!(
                    written < 16 << 10,
                    "a flood of output: {written} bytes: {output}"
                );
            }
            assert_timed_out(output, Duration::from_secs(2));
        },
    );
}

/// The twin: the message gets through the flood. It is sent again until it does, as a crash
/// kernel sends it, since a receive buffer that overflows loses any datagram.
#[test]
fn the_message_gets_through_every_flood() {
    if !requires(&NEEDS) {
        return;
    }
    let cases = floods()
        .into_iter()
        .flat_map(|kind| [(kind.clone(), false), (kind, true)]);
    at_once(
        3,
        &cases.collect::<Vec<_>>(),
        |((name, from, bytes), verbose)| {
            let mut args = vec!["-n", "10.77.0.2", "-t", "10"];
            args.extend(verbose.then_some("-v"));
            let (output, _) = under_flood(*from, bytes, &args, |net, agent| {
                thread::sleep(Duration::from_millis(300));
                while agent.is_running() && agent.elapsed() < Duration::from_secs(3) {
                    net.node(2).send("10.77.0.2", FAMILIES[0].1, &LITTLE);
                    thread::sleep(Duration::from_millis(100));
                }
            });
            println!(
                "{name}{}: after {:?}",
                if *verbose { ", -v" } else { "" },
                output.elapsed
            );
            let _ = output.expect_success();
        },
    );
}
