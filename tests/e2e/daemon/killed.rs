//! Killed at any moment, and started again.

use super::*;

/// How often. At some 100 ms each.
const TIMES: u32 = 200;

/// A small generator of numbers, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        // Numerical Recipes' linear congruential generator.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[test]
fn killed_at_random_moments_it_knows_every_session_that_it_told_of() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("");
    host.configure(&fleet(&host, 1_000));
    let mut dice = Dice(20_261_122);
    let mut told: Vec<[String; 3]> = Vec::new();
    let (mut spoke, mut most) = (0, 0);
    for time in 0..TIMES {
        let daemon = host.run().spawn();
        let life = Duration::from_millis(30 + dice.below(120));
        let begun = Instant::now();
        while begun.elapsed() < life {
            let node = usize::try_from(dice.below(1_000)).expect("small");
            host.speak(&address(node));
            spoke += 1;
            thread::sleep(Duration::from_micros(dice.below(3_000)));
        }
        drop(daemon.kill());
        told.extend(host.events());
        // Each tenth life is looked at; what was told of in any before must be known in it.
        if time % 10 == 9 {
            let daemon = host.start();
            // The history is read after the port was opened.
            let begun = Instant::now();
            loop {
                let nodes = host.status();
                let unknown: Vec<_> =
                    told.iter().filter(|[_, node, _]| is_unknown(&nodes, node)).collect();
                if unknown.is_empty() {
                    most = most.max(nodes.iter().filter(|node| node["messages"] != 0).count());
                    break;
                }
                assert!(begun.elapsed() < LIMIT, "told of and not known: {unknown:?}");
                thread::sleep(Duration::from_millis(50));
            }
            drop(daemon.kill());
            told.extend(host.events());
        }
    }
    assert!(!told.is_empty() && most > 0, "of {spoke} messages none was told of");
    println!("{spoke} messages, {} events, {most} sessions", told.len());
    // Each session was told of under one name only, however often it was taken up again.
    let mut sessions: Vec<_> = told.iter().map(|[_, node, session]| (node, session)).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let starts = told.iter().filter(|[kind, ..]| kind == "started").count();
    assert!(starts <= sessions.len(), "{starts} starts of {} sessions", sessions.len());
}

fn is_unknown(nodes: &[Value], name: &str) -> bool {
    let node = nodes.iter().find(|node| node["name"] == name);
    node.is_none_or(|node| node["state"] == "unheard")
}

#[test]
fn a_session_goes_on_after_a_restart() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("");
    host.configure(&fleet(&host, 3));
    let daemon = host.start();
    host.speak(&address(0));
    host.wait_state("n0", "started", 1);
    let _ = host.wait_events(1);
    drop(daemon.kill());
    let daemon = host.start();
    host.wait_state("n0", "started", 1);
    host.speak(&address(0));
    host.wait_state("n0", "dumping", 2);
    daemon.signal(rustix::process::Signal::TERM);
    let ended = daemon.wait_for(LIMIT);
    assert_eq!(ended.code, Some(0), "{ended}");
    let daemon = host.start();
    host.wait_state("n0", "dumping", 2);
    drop(daemon.kill());
}
