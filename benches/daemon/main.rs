//! What the daemon costs, beside a loop that throws every datagram away and beside the stock agent, all in
//! the same run: `make bench`, or `cargo bench -p fence-kdump-benches --bench daemon` after `make dist`.
//!
//! | variable | |
//! |---|---|
//! | `FENCE_KDUMP_DIST` | where the built programs are, instead of target/dist |
//! | `ROUNDS` | how often everything is measured; medians are shown (5) |
//! | `CRASH` | for how many seconds 100,000 nodes send (10) |
//! | `ONLY` | one part alone: `crash`, `million`, `flood`; or, for a profiler, the full queue of `plain` or `signed`, after the process id |
//! | `FENCE_KDUMP_BENCH_LOG` | what the programs say is shown |
//! | `FLOOD` | how many seconds the flood from forged sources takes (10) |

mod fleet;
mod question;

use std::path::Path;

use fence_kdump_benches::cost::{LARGE, Peer, SMALL, drain, median, one_by_one, refresh};
use fence_kdump_benches::files::Files;
use fence_kdump_benches::receiver::{Receiver, stay_on_own_processor};
use fence_kdump_benches::sys::Sender;
use fence_kdump_benches::traffic::{self, Signers};
use fence_kdump_benches::{bare, number, programs};

/// Where the nodes of the daemon send to, and where the others do.
const PORTS: [u16; 4] = [17_410, 17_411, 17_412, 17_413];

/// How many nodes are configured.
const NODES: u32 = 10_000;

/// How many datagrams come each second, one by one.
const RATE: u32 = 50_000;

/// Where in target/numbers the large fleets go.
const SECTION: &str = "fleet";

/// Writes down what was measured of the fleet `row`, for the README.
fn note(row: &str, column: &str, measured: &[f64]) {
    fence_kdump_numbers::record(SECTION, row, column, measured);
}

fn main() {
    bare::become_it_when_asked();
    let daemon = programs::ours("fence_kdumpd");
    stay_on_own_processor();
    let only = std::env::var("ONLY").ok();
    let is_wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if is_wanted("plain") || is_wanted("signed") {
        println!("\nThe daemon's receiving path: CPU time of the whole process for each datagram.");
        side_by_side(&daemon, only.as_deref());
    }
    if only.is_none() {
        fence_kdump_numbers::begin(SECTION);
    }
    type Part = fn(&Path);
    let parts: [(&str, Part); 3] = [
        ("crash", fleet::all_at_once),
        ("million", fleet::a_million),
        ("flood", fleet::forged_flood),
    ];
    for (_, part) in parts.into_iter().filter(|(name, _)| is_wanted(name)) {
        part(&daemon);
    }
}

fn side_by_side(daemon: &Path, only: Option<&str>) {
    let [nothing, plain, signed, stock] = PORTS;
    let mut signers = Signers::new(NODES);
    let files = Files::new(NODES, plain, None);
    let signing = Files::new(NODES, signed, Some(&signers.key_line()));
    let mut peers = vec![
        ("bare recvmmsg", bare::start(nothing), nothing, LARGE),
        ("fence_kdumpd", Receiver::start(daemon, &files.arguments(), plain), plain, LARGE),
        ("signed", Receiver::start(daemon, &signing.arguments(), signed), signed, LARGE),
    ];
    if let Some(stock_agent) = programs::stock_agent() {
        let port = stock.to_string();
        let arguments = ["-n", "127.255.0.1", "-p", &port, "-t", "86400"];
        let receiver = Receiver::start(stock_agent, &arguments, stock);
        peers.push(("stock agent", receiver, stock, SMALL));
    } else {
        println!("SKIPPED: the stock agent, which is not installed");
    }
    let peer =
        |(name, receiver, port, most)| Peer { name, receiver, sender: Sender::to(port), most };
    let peers: Vec<Peer> = peers.into_iter().map(peer).collect();
    let letters = |count| traffic::plain(NODES, count);
    let rounds = number("ROUNDS", 5);
    let mut drained = vec![Vec::new(); peers.len()];
    let mut streamed = vec![Vec::new(); peers.len()];
    let mut noisy = Vec::new();
    if let Some(name) = only {
        let is_signed = name == "signed";
        let peer = if is_signed { &peers[2] } else { &peers[1] };
        let mut next = |count| if is_signed { signers.speak(count) } else { letters(count) };
        refresh(peer, || next(NODES));
        println!("{}", peer.receiver.id());
        for _ in 0..rounds {
            println!("{}", drain(peer, || next(LARGE)));
        }
        return;
    }
    for _ in 0..rounds {
        for (peer, (drained, streamed)) in peers.iter().zip(drained.iter_mut().zip(&mut streamed)) {
            refresh(peer, || match peer.name {
                "signed" => signers.speak(NODES),
                _ => letters(NODES),
            });
            if peer.name == "signed" {
                drained.push(drain(peer, || signers.speak(peer.most)));
                streamed.push(one_by_one(peer, RATE, &signers.speak(NODES)).0);
            } else {
                drained.push(drain(peer, || letters(peer.most)));
                streamed.push(one_by_one(peer, RATE, &letters(NODES)).0);
            }
        }
        noisy.push(one_by_one(&peers[1], RATE, &traffic::noise(NODES)));
    }
    println!("\n{NODES} nodes, median of {rounds} rounds, in ns for each datagram:\n");
    println!("| receiver       | full queue | × bare | 50,000 a second, one by one | × bare |");
    println!("|----------------|-----------:|-------:|----------------------------:|-------:|");
    let ratio = |one: &[f64], other: &[f64]| {
        median(one.iter().zip(other).map(|(one, other)| one / other).collect())
    };
    for ((peer, drain), stream) in peers.iter().zip(&drained).zip(&streamed) {
        println!(
            "| {:14} | {:10.0} | {:6.2} | {:27.0} | {:6.2} |",
            peer.name,
            median(drain.clone()),
            ratio(drain, &drained[0]),
            median(stream.clone()),
            ratio(stream, &streamed[0]),
        );
    }
    println!(
        "\n| goal | full queue | one by one | goal |\n|------|-----------:|-----------:|-----:|"
    );
    let goal = |what: &str, full: f64, one: f64, goal: &str| {
        println!("| {what} | {full:.2} | {one:.2} | {goal} |");
    };
    let both = |one: usize, other: usize| {
        (ratio(&drained[one], &drained[other]), ratio(&streamed[one], &streamed[other]))
    };
    let (full, one) = both(1, 0);
    goal("daemon / bare", full, one, "≤ 1.25");
    if peers.len() > 3 {
        let (full, one) = both(1, 3);
        goal("daemon / stock agent", full, one, "≤ 0.70");
    }
    let more = |all: &[Vec<f64>]| (median(all[2].clone()) - 1.25 * median(all[0].clone())) / 1000.0;
    goal("signed - 1.25 × bare, µs", more(&drained), more(&streamed), "≤ 0.60");
    let cost = median(noisy.iter().map(|(cost, _)| *cost).collect());
    let wakeups = median(noisy.iter().map(|(_, wakeups)| *wakeups).collect());
    println!("\nWhat cannot be a message: {cost:.1} ns and {wakeups:.4} wakeups each (goal: 0).");
    println!("Threads of the daemon: {}.", peers[1].receiver.threads());
}
