//! What others do with the same datagrams, all in the same run: `make bench`, or
//! `cargo bench -p fence-kdump-benches --bench peers` after `make dist`, as root.
//!
//! Everything happens on the loopback interface of a network namespace of its own. Those that are compared
//! take turns in each round, on a processor that they do not share with this program.
//!
//! | variable | |
//! |---|---|
//! | `FENCE_KDUMP_DIST` | where the built programs are, instead of target/dist |
//! | `ROUNDS` | how often everything is measured (5) |
//! | `ONLY` | one part alone: `costs`, `needs`, `times`, `senders` |
//! | `FENCE_KDUMP_BENCH_LOG` | what the programs say is shown |

mod calls;
mod contenders;
mod costs;
mod needs;
mod senders;
mod times;

use std::process::Command;

use fence_kdump_benches::receiver::stay_on_own_processor;
use fence_kdump_benches::{bare, number};
use nix::sched::{CloneFlags, unshare};

/// How many nodes are configured where more than one can be.
const NODES: u32 = 10_000;

/// Where in target/numbers it all goes.
const SECTION: &str = "peers";

/// Writes down what was measured, and prints its median.
fn note(row: &str, column: &str, measured: &[f64]) {
    fence_kdump_numbers::record(SECTION, row, column, measured);
    let value = fence_kdump_numbers::Value::of(measured).expect("measured");
    println!("{row:13} {column:24} {:12.3}", value.median());
}

fn main() {
    bare::become_it_when_asked();
    unshare(CloneFlags::CLONE_NEWNET).expect("root, who may make a network namespace");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.expect("ip, of iproute2").success(), "a loopback interface");
    stay_on_own_processor();
    let rounds = number("ROUNDS", 5);
    let only = std::env::var("ONLY").ok();
    let is_wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if only.is_none() {
        fence_kdump_numbers::begin(SECTION);
    }
    if is_wanted("costs") || is_wanted("needs") {
        let contenders = contenders::all();
        if is_wanted("costs") {
            println!("\nWhat a datagram costs, in ns and as a multiple of the bare loop's.\n");
            costs::measure(&contenders, rounds);
        }
        if is_wanted("needs") {
            println!("\nWhat receivers need, in bytes, and system calls for each datagram.\n");
            needs::measure(&contenders);
        }
    }
    println!("\nHow long it takes, in ms.\n");
    if is_wanted("times") {
        times::measure(rounds * 4);
    }
    if is_wanted("senders") {
        senders::measure(rounds * 20);
    }
}
