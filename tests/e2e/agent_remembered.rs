//! An agent that is started a moment after the message need not wait for the next; and whatever becomes of the
//! daemon, the agent hears.

use fence_kdump_tests::datagram::{BIG, LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, requires};
use rustix::process::Signal;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(30);

/// No agent that need not wait takes longer, on a machine however busy.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The node that the daemon follows.
const NODE: &str = "127.0.0.11";

/// A host, and where its daemon writes.
struct Host {
    net: Netns,
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { net: Netns::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn daemon(&self) -> Proc {
        let daemon = Run::new(programs::ours("fence_kdumpd"))
            .args(["--node", &format!("one={NODE}"), "--state-dir"])
            .arg(self.folder.path().join("state"))
            .inside(&self.net)
            .spawn();
        daemon.wait_bound(PORT);
        daemon
    }
}

fn agent(net: &Netns, timeout: &str) -> Proc {
    let agent = Run::new(programs::ours("fence_kdump"));
    agent.args(["-v", "-n", NODE, "-t", timeout]).inside(net).spawn()
}

fn speak(net: &Netns, bytes: &[u8]) {
    net.send(NODE, "127.0.0.1:7410", bytes);
}

#[track_caller]
fn assert_not_known(output: &Output) {
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("is not known to be in its crash kernel"), "{output}");
}

#[track_caller]
fn assert_known_at_once(output: Output) {
    let output = output.expect_success();
    assert!(output.stderr.contains("before this run began"), "{output}");
    assert!(output.elapsed < AT_ONCE, "{output}");
}

/// Messages from this many other addresses.
fn others(net: &Netns, count: u16) {
    net.enter(|| {
        for number in 0..count {
            let [high, low] = number.to_be_bytes();
            let from = UdpSocket::bind((Ipv4Addr::new(127, 9, high, low), 0))
                .expect("loopback has them all");
            from.send_to(&LITTLE, ("127.0.0.1", PORT)).expect("loopback is up");
            if number.is_multiple_of(64) {
                thread::sleep(Duration::from_millis(2));
            }
        }
    });
}

/// Also when far more strangers have spoken since than anybody remembers.
#[test]
fn a_node_that_is_known_is_known_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let (net, daemon) = (&host.net, host.daemon());
    speak(net, &BIG);
    daemon.wait_stderr_line("started", LIMIT);
    assert_known_at_once(agent(net, "20").wait_for(LIMIT));
    speak(net, &BIG);
    daemon.wait_stderr_line("dumping", LIMIT);
    others(net, 4_500);
    assert_known_at_once(agent(net, "20").wait_for(LIMIT));
    let stranger = Run::new(programs::ours("fence_kdump")).args(["-n", "127.0.0.12", "-t", "1"]);
    assert_not_known(&stranger.inside(net).run(LIMIT));
}

/// Nobody has to prove it to make the agent doubt.
#[test]
fn who_has_left_its_crash_kernel_is_not_known_to_be_in_it() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let (net, _daemon) = (&host.net, host.daemon());
    // PROTOCOL.md §4: the mark of an extension, and PHASE, which is *leaving*.
    let leaving = [&LITTLE[..], b"KDX1", &[8, 1, 5]].concat();
    for bytes in [&LITTLE[..], &leaving] {
        speak(net, bytes);
    }
    assert_not_known(&agent(net, "2").wait_for(LIMIT));
    // Back in it, and it says so while the agent waits.
    let waiting = agent(net, "20");
    waiting.wait_stderr_line("for this one", LIMIT);
    speak(net, &LITTLE);
    let _ = waiting.wait_for(LIMIT).expect_success();
}

/// What may become of the daemon while an agent waits.
#[derive(Debug, Clone, Copy)]
enum Fate {
    NeverThere,
    Killed,
    KilledWithTheMessageUnread,
    Hangs,
    Restarted,
    Ends,
}

#[test]
fn whatever_becomes_of_the_daemon_the_agent_hears() {
    if !requires(&NEEDS) {
        return;
    }
    use Fate::{Ends, Hangs, Killed, KilledWithTheMessageUnread, NeverThere, Restarted};
    let fates = [NeverThere, Killed, KilledWithTheMessageUnread, Hangs, Restarted, Ends];
    thread::scope(|scope| {
        for fate in fates {
            scope.spawn(move || hears(fate));
        }
    });
}

fn hears(fate: Fate) {
    let host = Host::new();
    let net = &host.net;
    let before = (!matches!(fate, Fate::NeverThere)).then(|| host.daemon());
    let waiting = agent(net, "25");
    if before.is_some() {
        // It shares its socket right after that.
        drop(waiting.wait_stderr_line("for this one", LIMIT));
    }
    waiting.wait_holds(PORT);
    let mut after = None;
    match (fate, before) {
        (Fate::Killed, Some(before)) => drop(before.kill()),
        (Fate::KilledWithTheMessageUnread, Some(before)) => {
            before.signal(Signal::STOP);
            speak(net, &LITTLE);
            drop(before.kill());
        }
        (Fate::Hangs, Some(before)) => {
            before.signal(Signal::STOP);
            after = Some(before);
        }
        (Fate::Restarted, Some(before)) => {
            drop(before.kill());
            after = Some(host.daemon());
        }
        (Fate::Ends, Some(before)) => {
            before.signal(Signal::TERM);
            drop(before.wait_for(LIMIT));
        }
        (_, _) => {}
    }
    if !matches!(fate, Fate::KilledWithTheMessageUnread) {
        assert!(waiting.is_running(), "{fate:?}: {}", waiting.stderr());
        speak(net, &LITTLE);
    }
    let output = waiting.wait_for(LIMIT);
    assert_eq!(output.code, Some(0), "{fate:?}: {output}");
    assert!(output.elapsed < Duration::from_secs(20), "{fate:?}: {output}");
    if let Some(after) = after {
        after.signal(Signal::CONT);
    }
}
