//! What a datagram costs a receiver.

use std::thread::sleep;
use std::time::Duration;

use crate::receiver::Receiver;
use crate::sys::Sender;
use crate::traffic::{self, Letter};

/// Fits any queue that the kernel gives without asking; the stock agent asks for no other.
pub const SMALL: u32 = 200;

/// Fits the queue that the daemon asks for.
pub const LARGE: u32 = 4_000;

/// One of those that are compared.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// The program.
    pub receiver: Receiver,
    /// To its port.
    pub sender: Sender,
    /// How many datagrams fit its queue.
    pub most: u32,
}

/// From a full queue, in nanoseconds for each datagram: what reading itself costs.
///
/// # Panics
/// When some do not fit the queue.
pub fn drain(peer: &Peer, mut letters: impl FnMut() -> Vec<Letter>) -> f64 {
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
    // All of them, where a filter of the receiver's is not to let any through.
    let lost = receiver.drops() - drops;
    assert!(lost == 0 || lost == count as u64, "{}: the queue was too small", peer.name);
    cpu.saturating_sub(nothing) as f64 / count as f64
}

/// As they come in one after the other, `rate` a second: nanoseconds, and wakeups, for each datagram.
#[must_use]
pub fn one_by_one(peer: &Peer, rate: u32, letters: &[Letter]) -> (f64, f64) {
    let time = Duration::from_millis(500);
    let measure = |receiver: &Receiver| (receiver.cpu(), receiver.wakeups());
    let before = measure(&peer.receiver);
    let count = traffic::stream(&peer.sender, letters, 1, rate, time) as f64;
    peer.receiver.wait_drained();
    sleep(Duration::from_millis(20));
    let after = measure(&peer.receiver);
    ((after.0 - before.0) as f64 / count, (after.1 - before.1) as f64 / count)
}

/// The one in the middle.
#[must_use]
pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Nothing happens to any node by what is measured next: all of them have been heard a moment ago, more than
/// once. `everybody` are their next messages.
pub fn refresh(peer: &Peer, mut everybody: impl FnMut() -> Vec<Letter>) {
    for _ in 0..3 {
        for part in everybody().chunks(SMALL as usize) {
            traffic::burst(&peer.sender, part);
            peer.receiver.wait_drained();
        }
    }
    sleep(Duration::from_millis(200));
}
