//! Another host on the segment says that the peer is at its own card, all the time, and keeps or alters what it
//! gets that way. The cable is a hub here: what is sent to a third card is seen at the peer's end, and what leaves
//! there seems to come from anybody.

use super::hostile::{arp, raw};
use super::signed::{self, agent};
use super::{LIMIT, Lab, MAC, NEEDS, forget, heard};
use fence_kdump_tests::requires;
use socket2::Socket;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

const NODE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const TRUTH: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MALLORY: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// How often it lies without being asked.
const AGAIN: Duration = Duration::from_millis(20);

/// `fd07::2` is at Mallory's card, and that counts more than what was known.
fn advertisement() -> Vec<u8> {
    let address = |last| [&[0xfd, 7][..], &[0; 13], &[last]].concat();
    let mut frame = [&NODE[..], &MALLORY, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]].concat();
    frame.extend([address(2), address(1)].concat());
    frame.extend([136, 0, 0, 0, 0x60, 0, 0, 0]);
    frame.extend(address(2));
    frame.extend([&[2, 1][..], &MALLORY].concat());
    frame
}

/// What is done with the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Keep,
    Alter,
    PassOn,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Whether messages are passed on, altered unless `honest`.
    passes_on: AtomicBool,
    honest: AtomicBool,
    caught: AtomicU32,
}

/// The other host, until it is dropped.
struct Mallory {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Mallory {
    fn begin(lab: &Lab, deed: Deed) -> Self {
        let state = Arc::new(State::default());
        let (there, toward) = (raw(&lab.peer, "eth0"), raw(&lab.node, "net0"));
        there.set_read_timeout(Some(AGAIN)).expect("a time");
        let told = state.clone();
        let thread = Some(std::thread::spawn(move || lie(&there, &toward, &told)));
        let mallory = Self { state, thread };
        mallory.will(deed);
        mallory
    }

    fn will(&self, deed: Deed) {
        self.state.honest.store(deed == Deed::PassOn, Relaxed);
        self.state.passes_on.store(deed != Deed::Keep, Relaxed);
    }

    /// Until it has got so many messages.
    #[track_caller]
    fn wait(&self, count: u32) {
        let start = Instant::now();
        while self.state.caught.load(Relaxed) < count {
            assert!(start.elapsed() < LIMIT, "nobody believes the lie");
            sleep(AGAIN);
        }
    }
}

impl Drop for Mallory {
    fn drop(&mut self) {
        self.state.stop.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn lie(there: &Socket, toward: &Socket, state: &State) {
    let mut frame = [0; 2048];
    while !state.stop.load(Relaxed) {
        for lie in [arp([10, 7, 0, 2]), advertisement()] {
            // The card may be down for a moment.
            let _ = there.send(&lie);
        }
        let since = Instant::now();
        while since.elapsed() < AGAIN
            && let Ok(length) = (&mut &*there).read(&mut frame)
        {
            let frame = &mut frame[..length];
            if !frame.starts_with(&MALLORY) || frame[6..12] != NODE {
                continue;
            }
            state.caught.fetch_add(1, Relaxed);
            if state.passes_on.load(Relaxed) {
                frame[..6].copy_from_slice(&TRUTH);
                frame[6..12].copy_from_slice(&MALLORY);
                if !state.honest.load(Relaxed) {
                    // No checksum, and another last byte.
                    frame[40..42].fill(0);
                    frame[length - 1] ^= 1;
                }
                let _ = toward.send(frame);
            }
        }
    }
}

/// Neither the message nor the answer to a challenge is lost.
#[test]
fn whoever_shouts_silences_nobody() {
    if !requires(&NEEDS) {
        return;
    }
    for (to, from, prefix) in [("10.7.0.2", "10.7.0.1", 24), ("fd07::2", "fd07::1", 64)] {
        for policy in ["signed", "live"] {
            let lab = signed::lab();
            lab.node.ip("link set net0 up");
            let mallory = Mallory::begin(&lab, Deed::Keep);
            let sender = signed::sender(&lab, &format!("{from}/{prefix}"), to, &["-i1"]);
            sender.wait_stderr_line(" has moved to another card: ", LIMIT);
            mallory.wait(1);
            // Everything that it hears was sent while the lie was believed.
            let _ = agent(&lab, from, policy).wait_for(LIMIT).expect_success();
        }
    }
}

/// The peer itself does not say where it is, so everything goes to the other one. What that one alters is not
/// believed; what it passes on is; and when it has gone, the peer is found again.
#[test]
fn alone_with_a_liar() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = signed::lab();
    lab.node.ip("link set net0 up");
    lab.peer.ip("link set eth0 arp off");
    let mallory = Mallory::begin(&lab, Deed::Alter);
    let first = agent(&lab, "10.7.0.1", "signed");
    let _sender = signed::sender(&lab, "10.7.0.1/24", "10.7.0.2", &["-i1"]);
    mallory.wait(5);
    first.wait_stderr_line("10.7.0.1", LIMIT);
    sleep(Duration::from_millis(500));
    assert!(first.is_running(), "an altered message was believed: {}", first.stderr());
    mallory.will(Deed::PassOn);
    let _ = first.wait_for(LIMIT).expect_success();
    drop(mallory);
    lab.peer.ip("link set eth0 arp on");
    let second = agent(&lab, "10.7.0.1", "signed");
    let _ = second.wait_for(LIMIT).expect_success();
}

/// Hosts that are made up ask for this node, hundreds of them: nobody is forgotten over them.
#[test]
fn a_crowd_that_asks() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let liar = raw(&lab.peer, "eth0");
    let plan = format!("link eth0 mac {MAC} address 10.7.0.1/24");
    let sender = lab.sender(&plan, &["-i1", "10.7.0.2"]).spawn();
    heard(&socket, Instant::now());
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let crowd = std::thread::spawn(move || {
        while !told.load(Relaxed) {
            for last in 3..=250 {
                let mut question = arp([10, 7, 0, last]);
                question[21] = 1;
                for at in [10, 26] {
                    question[at] = last;
                }
                let _ = liar.send(&question);
            }
            sleep(Duration::from_millis(1));
        }
    });
    sleep(Duration::from_millis(200));
    forget(&socket);
    let start = Instant::now();
    for _ in 0..5 {
        heard(&socket, Instant::now());
    }
    let took = start.elapsed();
    stop.store(true, Relaxed);
    crowd.join().expect("it only sends");
    assert!(took < Duration::from_secs(9), "{took:?}: {}", sender.stderr());
    assert_eq!(sender.stderr().matches("no answer yet").count(), 1, "{}", sender.stderr());
}
