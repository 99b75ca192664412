//! What of core is measured, listed once: `benches/core.rs` takes the time of each with criterion, and
//! the program of this package has its instructions counted.

use std::hint::black_box;
use std::time::Duration;

use fence_kdump_core::{
    ByteOrder, Challenge, Crash, CrashId, Datagram, Extension, Instant, Key, KeyId, NodeId, Nonce,
    Phase, Progress, Proof, Question, Slot, Tracker, decode, encode, session::SILENCE, sign,
};

/// How many nodes are tracked.
pub const FLEETS: [u32; 4] = [10, 1_000, 100_000, 1_000_000];

/// Whoever measures.
pub trait Meter {
    /// Measures what `prepare` has made, or leaves it, and then does not call `prepare`: that may take
    /// long. `what` is its name; `bytes` are those of the message, or of all nodes' memory.
    fn measure<T, F: FnMut() -> T>(
        &mut self,
        what: &str,
        bytes: usize,
        prepare: impl FnOnce() -> F,
    );
}

/// Everything that is measured.
pub fn all(meter: &mut impl Meter) {
    messages(meter);
    secrets(meter);
    for nodes in FLEETS {
        fleet(meter, nodes);
    }
}

fn key() -> Key {
    Key::from_bytes(&[1; 32])
}

/// The usual message, with everything that a sender says.
fn extension() -> Extension<'static> {
    Extension {
        node_name: Some("node-1"),
        crash_id: Some(CrashId([2; 16])),
        sequence: Some(7),
        wall_clock: Some(1_800_000_000_000),
        uptime: Some(4_200),
        interval: Some(10_000),
        phase: Some(Phase::Dumping),
        progress: Some(Progress { done: 1 << 30, total: 1 << 36 }),
        key_id: Some(KeyId([3; 4])),
        ..Extension::default()
    }
}

fn signed() -> Datagram {
    let mut message = Datagram::new();
    // Complete, as the counts show: what could not be signed would be empty.
    let _ = sign(ByteOrder::NATIVE, &extension(), &key(), &mut message);
    message
}

fn messages(meter: &mut impl Meter) {
    let plain = encode(ByteOrder::NATIVE);
    meter.measure("encode", plain.len(), || || encode(black_box(ByteOrder::NATIVE)));
    let signed = signed();
    let foreign = [0; 8];
    for (what, bytes) in
        [("decode-plain", &plain[..]), ("decode-foreign", &foreign), ("decode-signed", &signed)]
    {
        // What a receiver asks first. Not the whole answer: copying it to nobody would be most of what is
        // measured.
        let read = || decode(black_box(bytes)).map(|message| message.byte_order);
        meter.measure(what, bytes.len(), || read);
    }
}

fn secrets(meter: &mut impl Meter) {
    let message = signed();
    let bytes = message.len();
    meter.measure("sign", bytes, || {
        let (key, extension, mut room) = (key(), extension(), Datagram::new());
        move || sign(ByteOrder::NATIVE, black_box(&extension), &key, &mut room).is_ok()
    });
    let mut forged = message.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    for (what, message) in [("verify", &message), ("verify-forgery", &forged)] {
        meter.measure(what, bytes, || {
            let key = key();
            move || {
                let message = decode(black_box(message)).ok();
                message.and_then(|read| read.signed()).is_some_and(|signed| signed.verify(&key))
            }
        });
    }
    meter.measure("judge-replay", bytes, || {
        let known = Crash::judge_stamp(None, Instant::from_nanos(1 << 40), (1, 0), false).ok();
        let mut sequence = 1;
        move || {
            sequence += 1;
            let at = Instant::from_nanos((1 << 40) + sequence * 1_000_000);
            Crash::judge_stamp(black_box(known.as_ref()), at, (sequence, sequence), false)
        }
    });
    let challenge =
        Challenge { key_id: KeyId([3; 4]), crash_id: CrashId([2; 16]), nonce: Nonce([4; 16]) };
    meter.measure("challenge", challenge.encode(&key()).len(), || {
        let key = key();
        move || {
            let bytes = black_box(&challenge).encode(&key);
            Challenge::decode(&bytes).and_then(|sealed| sealed.open(&key)).is_some()
        }
    });
    meter.measure("derive-key", 32, || {
        let key = key();
        move || key.derive(black_box("node-1"))
    });
}

/// All nodes, and the one whose turn it is.
struct Fleet {
    tracker: Tracker<Box<[Slot]>>,
    message: [u8; 8],
    nodes: u32,
    turn: u32,
    now: Instant,
}

impl Fleet {
    /// Everybody was heard a moment ago.
    fn new(nodes: u32) -> Self {
        let slots = vec![Slot::EMPTY; nodes as usize].into_boxed_slice();
        let tracker = Tracker::new(slots, SILENCE);
        let message = encode(ByteOrder::NATIVE);
        let mut fleet = Self { tracker, message, nodes, turn: 0, now: Instant::from_nanos(1) };
        for _ in 0..nodes {
            fleet.hear(Duration::ZERO);
        }
        fleet
    }

    /// A stride that is prime to every size visits the nodes far apart in memory.
    fn next(&mut self) -> NodeId {
        self.turn = (self.turn + 7_919) % self.nodes;
        NodeId(self.turn)
    }

    fn hear(&mut self, later: Duration) {
        let node = self.next();
        self.now = self.now.saturating_add(later);
        let message = black_box(&self.message);
        let _ = black_box(self.tracker.handle(self.now, message, |_| Ok((node, Proof::Plain))));
    }
}

fn fleet(meter: &mut impl Meter, nodes: u32) {
    let memory = nodes as usize * size_of::<Slot>();
    meter.measure(&format!("hear-{nodes}"), memory, || {
        let mut fleet = Fleet::new(nodes);
        move || fleet.hear(Duration::from_nanos(100))
    });
    meter.measure(&format!("tick-{nodes}"), memory, || {
        let mut fleet = Fleet::new(nodes);
        move || fleet.tracker.poll(black_box(fleet.now))
    });
    // Everybody's turn comes when his session has been over for as long as it lasted.
    meter.measure(&format!("hear-and-end-{nodes}"), memory, || {
        let mut fleet = Fleet::new(nodes);
        let step = SILENCE * 2 / nodes;
        move || {
            fleet.hear(step);
            fleet.tracker.poll(fleet.now)
        }
    });
    meter.measure(&format!("verdict-{nodes}"), memory, || {
        let mut fleet = Fleet::new(nodes);
        move || {
            let question = Question { not_before: Instant::from_nanos(0), now: fleet.now };
            let node = fleet.next();
            fleet.tracker.verdict(node, black_box(question))
        }
    });
}
