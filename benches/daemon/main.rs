//! What the daemon costs, beside a loop that throws every datagram away and beside the stock agent, all in
//! the same run: `make bench`, or `cargo bench -p fence-kdump-benches --bench daemon` after `make dist`.
//!
//! | variable | |
//! |---|---|
//! | `FENCE_KDUMP_DIST` | where the built programs are, instead of target/dist |
//! | `ROUNDS` | how often everything is measured; medians are shown (5) |
//! | `CRASH` | for how many seconds 100,000 nodes send (10) |
//! | `ONLY` | the plain daemon's full queue alone, after its process id: for a profiler |
//! | `FENCE_KDUMP_BENCH_LOG` | what the programs say is shown |
//! | `FLOOD` | how many seconds the flood from forged sources takes (10) |

mod fleet;
mod question;
mod receiver;
mod sys;
mod traffic;

use std::net::{Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use fleet::Files;
use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt};
use receiver::Receiver;
use socket2::{Domain, Socket, Type};
use sys::Sender;
use traffic::{Letter, Signers};

/// Where the nodes of the daemon send to, and where the others do.
const PORTS: [u16; 4] = [17_410, 17_411, 17_412, 17_413];

/// How many nodes are configured.
const NODES: u32 = 10_000;

/// Fits any queue that the kernel gives without asking; the stock agent asks for no other.
const SMALL: u32 = 200;

/// Fits the queue that the daemon asks for.
const LARGE: u32 = 4_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, port] = arguments.as_slice()
        && first == "--discard"
    {
        discard(port.parse().expect("a port"));
    }
    let dist = std::env::var_os("FENCE_KDUMP_DIST").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist"),
        PathBuf::from,
    );
    let daemon = dist.join("fence_kdumpd");
    assert!(daemon.exists(), "{} is not there: make dist", daemon.display());
    // The receivers are alone on the other processor.
    let mut own = nix::sched::CpuSet::new();
    own.set(0).expect("a first processor");
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &own).expect("a first processor");
    println!("\nThe daemon's receiving path: CPU time of the whole process for each datagram.");
    side_by_side(&daemon);
    if std::env::var_os("ONLY").is_some() {
        return;
    }
    fleet::all_at_once(&daemon);
    fleet::a_million(&daemon);
    fleet::forged_flood(&daemon);
}

/// The loop with which the daemon is compared: the same socket, and nothing done with what comes.
fn discard(port: u16) -> ! {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
    socket.set_only_v6(false).expect("both families");
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(&socket, sockopt::Timestamping, &flags).expect("stamps");
    let queue = 4 << 20;
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &queue)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &queue));
    socket.bind(&std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).expect("a port");
    sys::discard(&UdpSocket::from(socket))
}

/// One of those that are compared.
struct Peer {
    name: &'static str,
    receiver: Receiver,
    sender: Sender,
    /// What fits its queue.
    most: u32,
}

/// From a full queue, in nanoseconds for each datagram: what reading itself costs.
fn drain(peer: &Peer, mut letters: impl FnMut() -> Vec<Letter>) -> f64 {
    let Peer { receiver, sender, .. } = peer;
    let cycles = 10;
    let cost = |send: &mut dyn FnMut() -> usize| {
        let (mut cpu, mut count) = (0, 0);
        for _ in 0..cycles {
            let mut before = 0;
            receiver.stopped(|| {
                count += send();
                before = receiver.cpu();
            });
            receiver.wait_drained();
            sleep(Duration::from_millis(20));
            cpu += receiver.cpu() - before;
        }
        (cpu, count)
    };
    // Being stopped costs something, too.
    let (nothing, _) = cost(&mut || 0);
    let drops = receiver.drops();
    let (cpu, count) = cost(&mut || {
        let letters = letters();
        traffic::burst(sender, &letters);
        letters.len()
    });
    assert_eq!(receiver.drops(), drops, "{}: the queue was too small", peer.name);
    cpu.saturating_sub(nothing) as f64 / count as f64
}

/// As they come in one after the other: nanoseconds, and wakeups, for each datagram.
fn one_by_one(peer: &Peer, letters: &[Letter]) -> (f64, f64) {
    let time = Duration::from_millis(500);
    let rate = 50_000;
    let measure = |receiver: &Receiver| (receiver.cpu(), receiver.wakeups());
    let before = measure(&peer.receiver);
    let count = traffic::stream(&peer.sender, letters, 1, rate, time) as f64;
    peer.receiver.wait_drained();
    sleep(Duration::from_millis(20));
    let after = measure(&peer.receiver);
    ((after.0 - before.0) as f64 / count, (after.1 - before.1) as f64 / count)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Nothing happens to any node by what is measured next: all of them have been heard a moment ago, more than
/// once.
fn refresh(peer: &Peer, signers: &mut Signers) {
    for _ in 0..3 {
        let is_signed = peer.name == "signed";
        let letters = if is_signed { signers.speak(NODES) } else { traffic::plain(NODES, NODES) };
        for part in letters.chunks(SMALL as usize) {
            traffic::burst(&peer.sender, part);
            peer.receiver.wait_drained();
        }
    }
    sleep(Duration::from_millis(200));
}

fn side_by_side(daemon: &Path) {
    let [bare, plain, signed, stock] = PORTS;
    let mut signers = Signers::new(NODES);
    let files = Files::new(NODES, plain, None);
    let signing = Files::new(NODES, signed, Some(&signers.key_line()));
    let own = std::env::current_exe().expect("this program");
    let port = bare.to_string();
    let mut peers = vec![
        ("bare recvmmsg", Receiver::start(&own, &["--discard", &port], bare), bare, LARGE),
        ("fence_kdumpd", Receiver::start(daemon, &files.arguments(), plain), plain, LARGE),
        ("signed", Receiver::start(daemon, &signing.arguments(), signed), signed, LARGE),
    ];
    let stock_agent = Path::new("/usr/sbin/fence_kdump");
    if stock_agent.exists() {
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
    if std::env::var_os("ONLY").is_some() {
        refresh(&peers[1], &mut signers);
        println!("{}", peers[1].receiver.id());
        for _ in 0..rounds {
            println!("{}", drain(&peers[1], || letters(LARGE)));
        }
        return;
    }
    for _ in 0..rounds {
        for (peer, (drained, streamed)) in peers.iter().zip(drained.iter_mut().zip(&mut streamed)) {
            refresh(peer, &mut signers);
            if peer.name == "signed" {
                drained.push(drain(peer, || signers.speak(peer.most)));
                streamed.push(one_by_one(peer, &signers.speak(NODES)).0);
            } else {
                drained.push(drain(peer, || letters(peer.most)));
                streamed.push(one_by_one(peer, &letters(NODES)).0);
            }
        }
        noisy.push(one_by_one(&peers[1], &traffic::noise(NODES)));
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
    let more = |all: &[Vec<f64>]| (median(all[2].clone()) - median(all[0].clone())) / 1000.0;
    goal("signed - bare, µs", more(&drained), more(&streamed), "≤ 0.60");
    let cost = median(noisy.iter().map(|(cost, _)| *cost).collect());
    let wakeups = median(noisy.iter().map(|(_, wakeups)| *wakeups).collect());
    println!("\nWhat cannot be a message: {cost:.1} ns and {wakeups:.4} wakeups each (goal: 0).");
    println!("Threads of the daemon: {}.", peers[1].receiver.threads());
}
