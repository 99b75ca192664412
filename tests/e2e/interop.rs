//! Our programs and the stock ones understand each other, in both directions.

use fence_kdump_tests::{Cluster, Need, Run, datagram, programs, requires};
use std::time::Duration;

/// The control: what the stock tools do with each other, so that the other tests mean something.
#[test]
fn stock_hears_stock() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let net = Cluster::new(2);
    let agent = Run::new(programs::stock_agent())
        .args(["-n", "10.77.0.2", "-t", "5"])
        .inside(net.node(1))
        .spawn();
    agent.wait_bound(datagram::PORT);
    let sender = Run::new(programs::stock_sender())
        .args(["-c", "1", "-i", "1", "10.77.0.1"])
        .inside(net.node(2))
        .spawn();
    let _ = agent.wait_for(Duration::from_secs(6)).expect_success();
    let _ = sender.wait_for(Duration::from_secs(6)).expect_success();
}
