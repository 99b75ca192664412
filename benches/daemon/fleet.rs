//! Large fleets: all of whose nodes crash at once, of a million nodes, and none at all but forged sources.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use fence_kdump_benches::cost::{LARGE, Peer, drain, median};
use fence_kdump_benches::files::Files;
use fence_kdump_benches::receiver::Receiver;
use fence_kdump_benches::sys::{Sender, come_first};
use fence_kdump_benches::{number, programs, traffic};

use crate::note;
use crate::question::{ask, quantile};

/// What is told of each fleet: how long its daemon took to start, and what memory it had then and at most.
fn note_needs(row: &str, daemon: &Receiver, memory_at_start: u64) {
    note(row, "start", &[milliseconds(daemon.started_in)]);
    note(row, "memory at start", &[memory_at_start as f64 * 1024.0]);
    note(row, "memory", &[daemon.kib("VmHWM") as f64 * 1024.0]);
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// 100,000 nodes that all crash at once, and send once a second from then on.
pub(crate) fn all_at_once(daemon: &Path) {
    const NODES: u32 = 100_000;
    const PORT: u16 = 17_420;
    let time = Duration::from_secs(number("CRASH", 10));
    let files = Files::new(NODES, PORT, None);
    let daemon = Receiver::start(daemon, &files.arguments(), PORT);
    let memory = daemon.kib("VmHWM");
    let sender = Sender::to(PORT);
    let letters = traffic::plain(NODES, NODES);
    let is_over = AtomicBool::new(false);
    let before = daemon.cpu();
    let (sent, times, failed) = scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut times, mut failed) = (Vec::new(), 0);
            come_first();
            // Everybody has been heard of.
            sleep(Duration::from_millis(1_500));
            for node in traffic::choose(NODES, u32::MAX) {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                match ask(PORT, traffic::address(node)) {
                    Ok(time) => times.push(time),
                    Err(_) => failed += 1,
                }
                sleep(Duration::from_millis(2));
            }
            (times, failed)
        });
        let sent = traffic::stream(&sender, &letters, 64, NODES, time);
        is_over.store(true, Ordering::Relaxed);
        let (times, failed) = asking.join().expect("no panic");
        (sent, times, failed)
    });
    daemon.wait_drained();
    let cpu = (daemon.cpu() - before) as f64 / 1e9 / time.as_secs_f64();
    let [events, dumps] = recorded(&files);
    println!("\n100,000 nodes crash at once and send once a second for {time:?}:\n");
    println!("| what | measured | goal |\n|------|---------:|-----:|");
    println!("| datagrams | {sent} | |");
    println!("| dropped | {} | 0 |", daemon.drops());
    println!("| processors | {cpu:.2} | ≤ 1 |");
    println!("| VmHWM, MiB | {:.1} | ≤ 32 |", daemon.kib("VmHWM") as f64 / 1024.0);
    println!("| RssAnon, MiB | {:.1} | |", daemon.kib("RssAnon") as f64 / 1024.0);
    for (part, goal) in [(0.5, ""), (0.99, ""), (0.999, "≤ 5 ms"), (1.0, "")] {
        println!("| answer, {part} of {} | {:.2?} | {goal} |", times.len(), quantile(&times, part));
    }
    println!("| questions without an answer | {failed} | 0 |");
    println!("| events in the history | {events} | {} |", 2 * NODES);
    println!("| dumps in the history | {dumps} | {NODES} |");
    println!("| threads | {} | |", daemon.threads());
    let row = "crash";
    note_needs(row, &daemon, memory);
    note(row, "memory limit", &[32.0 * 1_048_576.0]);
    note(row, "datagrams", &[sent as f64]);
    note(row, "dropped", &[daemon.drops() as f64]);
    note(row, "processors", &[cpu]);
    note(row, "unanswered", &[f64::from(failed)]);
    note(row, "events", &[events as f64]);
    note(row, "events limit", &[f64::from(2 * NODES)]);
    note(row, "dumps", &[dumps as f64]);
    note(row, "dumps limit", &[f64::from(NODES)]);
    note(row, "verdict", &[milliseconds(quantile(&times, 0.5))]);
    note(row, "late verdict", &[milliseconds(quantile(&times, 0.999))]);
    note(row, "late verdict limit", &[5.0]);
}

/// How many events and how many dumps are in the history, once nothing more is written to it.
fn recorded(files: &Files) -> [usize; 2] {
    let count = |what: &str, options: &[&str]| {
        let mut program = programs::command(programs::ours("fence_kdumpctl"));
        program.args(["history", "--json", "--limit", "10000000"]).args(options);
        program.arg("--state-dir").arg(files.state_dir());
        let output = program.output().expect("it runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        told[what].as_array().expect("a list").len()
    };
    let mut before = [0; 2];
    loop {
        let now = [count("events", &["--events"]), count("sessions", &[])];
        if before == now {
            return now;
        }
        before = now;
        sleep(Duration::from_secs(1));
    }
}

/// A million configured nodes: how long the daemon takes to start, and what a datagram costs beside ten.
pub(crate) fn a_million(daemon: &Path) {
    const PORTS: [u16; 2] = [17_430, 17_431];
    let [few, many] = [(10, PORTS[0]), (1_000_000, PORTS[1])].map(|(nodes, port)| {
        let files = Files::new(nodes, port, None);
        let receiver = Receiver::start(daemon, &files.arguments(), port);
        let peer = Peer { name: "daemon", receiver, sender: Sender::to(port), most: LARGE };
        (nodes, peer, files)
    });
    let memory = many.1.receiver.kib("VmHWM");
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..number("ROUNDS", 5) {
        for ((nodes, peer, _), costs) in [&few, &many].into_iter().zip(&mut costs) {
            let letters = traffic::plain(*nodes, peer.most);
            // They are known already.
            traffic::burst(&peer.sender, &letters);
            peer.receiver.wait_drained();
            costs.push(drain(peer, || letters.clone()));
        }
    }
    let ratios: Vec<f64> = costs[1].iter().zip(&costs[0]).map(|(many, few)| many / few).collect();
    let row = "million";
    note_needs(row, &many.1.receiver, memory);
    note(row, "start limit", &[3000.0]);
    note(row, "dropped", &[many.1.receiver.drops() as f64]);
    note(row, "cost", &costs[1]);
    note(row, "ratio", &ratios);
    note(row, "ratio limit", &[1.5]);
    let [few_cost, many_cost] = costs.map(median);
    let started_in = many.1.receiver.started_in;
    println!("\n1,000,000 configured nodes:\n");
    println!("| what | measured | goal |\n|------|---------:|-----:|");
    println!("| until the port is read | {started_in:.2?} | ≤ 3 s |");
    println!("| VmHWM, MiB | {:.1} | |", many.1.receiver.kib("VmHWM") as f64 / 1024.0);
    println!("| ns for each datagram, of 10 nodes | {few_cost:.0} | |");
    println!("| ns for each datagram, of 1,000,000 | {many_cost:.0} | |");
    println!("| ratio | {:.2} | ≤ 1.5 |", median(ratios));
}

/// Memory while messages come from a million sources that are no node's.
pub(crate) fn forged_flood(daemon: &Path) {
    const PORT: u16 = 17_440;
    let time = Duration::from_secs(number("FLOOD", 10));
    let files = Files::new(10, PORT, None);
    let daemon = Receiver::start(daemon, &files.arguments(), PORT);
    let sender = Sender::to(PORT);
    let letters = traffic::plain(1_000_000, 1_000_000);
    let threads = daemon.threads();
    let at_start = daemon.kib("VmHWM");
    let mut memory = Vec::new();
    let mut sent = 0;
    for _ in 0..5 {
        memory.push(daemon.kib("VmRSS"));
        sent += traffic::stream(&sender, &letters, 64, 200_000, time / 5);
    }
    memory.push(daemon.kib("VmRSS"));
    println!(
        "\nA flood from a million forged sources for {time:?}: {sent} datagrams, {} of them",
        daemon.drops()
    );
    println!("dropped. VmRSS in KiB, at the beginning and after each fifth: {memory:?}.");
    println!("Threads before and after: {threads}, {}.", daemon.threads());
    let row = "flood";
    note_needs(row, &daemon, at_start);
    note(row, "datagrams", &[sent as f64]);
    note(row, "dropped", &[daemon.drops() as f64]);
}
