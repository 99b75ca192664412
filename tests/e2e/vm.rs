//! A real kernel panics into a real crash kernel, and the agent on the host hears of it — or must not.
//!
//! Every good case has twins that differ in one thing and must fail. A twin also shows that its
//! machine did what it was to do, so that it does not fail for another reason.
//!
//! `FENCE_KDUMP_VM_RUNS=N` repeats the good cases, for the medians of the timing table.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fence_kdump_tests::vm::{
    Assets, Crash, Datagram, Image, Machine, Moment, Row, Sender, Timings,
};
use fence_kdump_tests::{Need, Netns, Proc, Run, datagram, programs, requires};

static TIMINGS: Timings = Timings::new();
/// Tests in this file: the last one to end prints the table.
const TESTS: usize = 9;
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// The host, as seen from inside the machine.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The machine, as seen by the agent.
const NODE: &str = "127.0.0.1";

#[test]
fn our_sender_is_heard_by_our_agent() {
    good("ours -> ours", || after_network(our_sender()), our_agent);
}

#[test]
fn our_sender_is_heard_by_the_stock_agent() {
    good_beside_stock("ours -> stock", || after_network(our_sender()), programs::stock_agent);
}

#[test]
fn the_stock_sender_is_heard_by_our_agent() {
    good_beside_stock("stock -> ours", || after_network(programs::stock_sender()), our_agent);
}

/// A crash kernel's drivers come when they come. The sender was there first.
#[test]
fn our_sender_started_before_the_network_is_heard() {
    good("ours, before the network -> ours", || before_network(our_sender()), our_agent);
}

/// The control: its second message comes an interval later.
#[test]
fn the_stock_sender_started_before_the_network_is_heard() {
    good_beside_stock(
        "stock, before the network -> stock",
        || before_network(programs::stock_sender()),
        programs::stock_agent,
    );
}

/// The control: what the stock tools do, so that the other rows of the table mean something.
#[test]
fn the_stock_sender_is_heard_by_the_stock_agent() {
    good_beside_stock(
        "stock -> stock",
        || after_network(programs::stock_sender()),
        programs::stock_agent,
    );
}

/// A crash alone is no evidence: somebody has to say so.
#[test]
fn a_crash_kernel_without_a_sender_is_not_fenced() {
    let _turn = Turn;
    let Some(node) = Node::new("none -> ours", None) else {
        return;
    };
    let seen = node.crashes_unheard();
    assert!(seen.iter().all(|d| d.to.port() != datagram::PORT), "nobody was to speak: {seen:?}");
}

#[test]
fn a_sender_with_another_port_is_not_heard() {
    let _turn = Turn;
    let other = (datagram::PORT + 1).to_string();
    let mut sender = after_network(our_sender());
    sender.arguments.extend(["-p".to_owned(), other.clone()]);
    let Some(node) = Node::new("ours, port 7411 -> ours", Some(sender)) else {
        return;
    };
    let seen = node.crashes_unheard();
    let told = |port| seen.iter().filter(|d| d.to == SocketAddrV4::new(HOST, port)).count();
    assert!(told(datagram::PORT + 1) > 0, "the sender was to speak to port {other}: {seen:?}");
    assert_eq!(told(datagram::PORT), 0, "the sender was to leave this port alone: {seen:?}");
}

/// What must never happen is success here: the production kernel runs all along.
#[test]
fn a_node_that_is_merely_silent_is_not_fenced() {
    let _turn = Turn;
    let Some(mut node) =
        Node::new("silent, never crashed -> ours", Some(after_network(our_sender())))
    else {
        return;
    };
    let agent = node.agent(our_agent(), node.patience());
    let end = refused(agent, node.patience());
    node.machine.ping_production();
    node.record(None, end, String::new());
}

fn our_sender() -> PathBuf {
    programs::ours("fence_kdump_send")
}

fn our_agent() -> PathBuf {
    programs::ours("fence_kdump")
}

fn after_network(program: PathBuf) -> Sender {
    let arguments = vec!["-v".to_owned(), HOST.to_string()];
    Sender { program, arguments, moment: Moment::AfterNetwork }
}

fn before_network(program: PathBuf) -> Sender {
    Sender { moment: Moment::BeforeNetwork, ..after_network(program) }
}

/// A booted node beside the network its agent listens in. Fields end in this order.
struct Node {
    machine: Machine,
    sender_bytes: usize,
    scenario: &'static str,
    booted_in: Duration,
    net: Netns,
}

impl Node {
    /// Boots a node up to the point where its crash kernel is loaded.
    fn new(scenario: &'static str, sender: Option<Sender>) -> Option<Self> {
        if !requires(&[Need::Root, Need::Netns, Need::Qemu]) {
            return None;
        }
        let file_name = scenario.replace(" -> ", "-to-").replace(", ", "-").replace(' ', "-");
        let assets = Assets::get();
        let image = Image::build(&file_name, &assets, sender.as_ref()).expect("an image");
        let net = Netns::new();
        let start = Instant::now();
        let mut machine = Machine::boot(&net, &file_name, &assets, &image).expect("qemu starts");
        machine.wait_until_up();
        Some(Self {
            machine,
            sender_bytes: image.sender_bytes(),
            scenario,
            booted_in: start.elapsed(),
            net,
        })
    }

    /// A deadline well after what a crash takes on this host today: the crash kernel boots about
    /// as fast as the production kernel just did.
    fn patience(&self) -> Duration {
        Duration::from_secs(15 + 3 * self.booted_in.as_secs())
    }

    /// Starts an agent that waits for this node for `limit`, and waits until it can hear.
    fn agent(&self, program: PathBuf, limit: Duration) -> Proc {
        let agent = Run::new(program)
            .args(["-n", NODE, "-t", &limit.as_secs().to_string(), "-v"])
            .inside(&self.net)
            .spawn();
        agent.wait_bound(datagram::PORT);
        agent
    }

    /// Crashes while our agent listens, which must not take it for an answer. Returns every UDP
    /// datagram the node's network card saw.
    fn crashes_unheard(mut self) -> Vec<Datagram> {
        let agent = self.agent(our_agent(), self.patience());
        let crash = self.machine.crash();
        let needed = crash.sender - crash.panic;
        let end = refused(agent, self.patience());
        // Otherwise the deadline, and not the silence, would be the reason.
        assert!(
            end.0.saturating_duration_since(crash.sender) > needed.max(Duration::from_secs(5)),
            "inconclusive: the crash kernel needed {needed:?}, the agent had only {:?}",
            self.patience()
        );
        let seen = self.machine.datagrams().expect("qemu's capture");
        self.record(Some(crash), end, String::new());
        seen
    }

    fn record(&self, crash: Option<Crash>, end: (Instant, i32), memory: String) {
        TIMINGS.record(Row { scenario: self.scenario, crash, end, memory });
    }
}

/// A good case in which one of the two programs is the stock one.
fn good_beside_stock(
    scenario: &'static str,
    find_sender: fn() -> Sender,
    find_agent: fn() -> PathBuf,
) {
    if requires(&[Need::Stock]) {
        good(scenario, find_sender, find_agent);
    } else {
        drop(Turn);
    }
}

/// Each of the two programs is looked for when the test runs, not before.
fn good(scenario: &'static str, find_sender: fn() -> Sender, find_agent: fn() -> PathBuf) {
    let _turn = Turn;
    let runs = std::env::var("FENCE_KDUMP_VM_RUNS").ok();
    let runs: usize = runs.map_or(1, |n| n.parse().expect("FENCE_KDUMP_VM_RUNS is a number"));
    for _ in 0..runs {
        let Some(mut node) = Node::new(scenario, Some(find_sender())) else {
            return;
        };
        // Generous: nothing here is a statement on speed.
        let agent = node.agent(find_agent(), Duration::from_secs(90));
        let start = Instant::now() - agent.elapsed();
        let crash = node.machine.crash();
        let output = agent.wait_for(Duration::from_secs(100)).expect_success();
        let heard = start + output.elapsed;
        assert!(heard > crash.kernel, "success before the crash kernel ran: {output}");
        let (_, memory) = node.machine.wait_for("vm: memory: ");
        let memory = memory.split("vm: memory: ").last().unwrap_or_default();
        let memory = format!("{} bytes in the image, {memory}", node.sender_bytes);
        // What convinced the agent was the message, and nothing else that came from the node.
        let seen = node.machine.datagrams().expect("qemu's capture");
        assert!(!seen.is_empty(), "heard, but nothing was sent: {output}");
        for datagram in &seen {
            assert_eq!(datagram.to, SocketAddrV4::new(HOST, datagram::PORT));
            assert_eq!(datagram.payload, datagram::LITTLE);
        }
        node.record(Some(crash), (heard, 0), memory);
    }
}

/// Waits for an agent that must say no, at its deadline and not before.
fn refused(agent: Proc, deadline: Duration) -> (Instant, i32) {
    let start = Instant::now() - agent.elapsed();
    let output = agent.wait_for(deadline + Duration::from_secs(10)).expect_failure();
    assert!(
        output.elapsed + Duration::from_millis(100) >= deadline,
        "it was to wait until its deadline: {output}"
    );
    (start + output.elapsed, output.code.expect("an exit code"))
}

/// Held by each test while it runs; the last one prints the table.
struct Turn;

impl Drop for Turn {
    fn drop(&mut self) {
        if ENDED.fetch_add(1, Ordering::SeqCst) + 1 == TESTS {
            println!("\n{}", TIMINGS.table());
        }
    }
}
