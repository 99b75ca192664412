//! The web page of a daemon that hears nothing: nodes crash by themselves, so that there is something to
//! see. `cargo run -p fence-kdump --example web [NODES]`, then open the address that it says.

#[path = "../tests/web/fake.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod fake;

use std::thread::sleep;
use std::time::Duration;

use fake::Fake;
use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::WebConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nodes: usize = std::env::args().nth(1).map_or(Ok(40), |nodes| nodes.parse())?;
    let fake = Fake::start_as(WebConfig::default())?;
    let name = |node: usize| format!("node-{node:05}.example.org");
    fake.add((0..nodes).map(name));
    println!("http://{}/", fake.address);
    for (hours, node) in
        [(50, 3), (30, 3), (20, 5), (2, 3)].map(|(hours, node)| (hours, name(node % nodes)))
    {
        for (seconds, kind) in
            [(600, Kind::Started), (590, Kind::Dumping), (400 - 40 * hours / 10, Kind::Finished)]
        {
            fake.world().behind = Duration::from_secs(hours * 3600 + seconds);
            fake.happen(&node, kind);
        }
    }
    fake.world().behind = Duration::ZERO;
    for turn in 0_usize.. {
        let node = name(turn * 7 % nodes);
        for kind in [Kind::Started, Kind::Dumping, Kind::Phase] {
            fake.happen(&node, kind);
            sleep(Duration::from_secs(4));
        }
        let ends = [Kind::Finished, Kind::Lost, Kind::Rebooted];
        fake.happen(&node, ends[turn % ends.len()]);
    }
    Ok(())
}
