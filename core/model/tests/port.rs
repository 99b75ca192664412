//! No two programs share a port in such a way that one of them is deaf.

use fence_kdump_model::check::{Firsts, exhaust};
use fence_kdump_model::seat::{Port, show};

fn port(name: &str, programs: u8, most: [u8; 3], stopped: usize) {
    let large = std::env::var_os("FENCE_KDUMP_MODEL").is_some_and(|size| size == "large");
    let most = if large { most.map(|most| most + 1) } else { most };
    let found = exhaust(name, Port { programs, most, stopped, firsts: Firsts::default() }, show);
    println!("  cut off:\n{}", found.way("cut off").expect("the check has looked for it"));
}

#[test]
fn nobody_who_shares_a_port_stays_deaf() {
    port("a port, three programs", 3, [5, 3, 3], 1);
    port("a port, two of four stopped", 4, [4, 2, 2], 2);
}
