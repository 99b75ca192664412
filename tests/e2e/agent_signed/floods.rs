//! Many messages that do not count, and one that does.

use super::{Host, LIMIT, NEEDS, NODE, Node};
use fence_kdump_tests::datagram::PORT;
use fence_kdump_tests::{Run, programs, requires};
use std::thread;
use std::time::{Duration, Instant};

/// Sends `bytes` from the node's own address, 10,000 a second, while the node speaks once; how long that
/// takes to be an answer.
fn delayed_by(host: &Host, node: &mut Node, bytes: &[u8]) -> Duration {
    let agent = host.waiting("-t 15");
    thread::sleep(Duration::from_millis(300));
    let to = "127.0.0.1:7410".parse().expect("an address");
    let source = host.net.udp_from(NODE);
    let flood = fence_kdump_tests::flood(source, to, bytes, 40_000, Duration::from_secs(4));
    thread::sleep(Duration::from_secs(1));
    let good = node.next();
    let sent = Instant::now();
    node.send(&good);
    let output = agent.wait_for(LIMIT).expect_success();
    let took = sent.elapsed();
    assert!(flood.stop() > 2_000, "a flood");
    assert!(output.stderr.lines().count() < 20, "few lines: {output}");
    took
}

#[test]
fn a_flood_of_forged_or_captured_messages_delays_nothing() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let mut node = host.node("127.0.0.99");
    let captured = node.next();
    let mut forged = captured.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let took = delayed_by(&host, &mut node, &forged);
    assert!(took < Duration::from_secs(1), "forged: {took:?}");
    // Its crash is known by now.
    let took = delayed_by(&host, &mut node, &captured);
    assert!(took < Duration::from_secs(1), "captured: {took:?}");
    // Told by another process, who cannot tell them apart.
    let reader = Run::new(programs::ours("fence_kdumpd")).arg("--state-dir");
    let reader = reader.arg(host.path("of_reader")).inside(&host.net).spawn();
    reader.wait_bound(PORT);
    for (kind, bytes) in [("forged", &forged), ("captured", &captured)] {
        let took = delayed_by(&host, &mut node, bytes);
        assert!(took < Duration::from_secs(1), "{kind}, through another process: {took:?}");
    }
}
