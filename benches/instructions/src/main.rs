//! Does one thing so many times, for callgrind to count: `fence-kdump-instructions WHAT TIMES`.
//!
//! What one time costs is the difference between two counts, divided by how many times there were
//! between them; so whatever comes before and after does not matter.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use fence_kdump_core::{
    ByteOrder, Challenge, Crash, CrashId, Datagram, Extension, Instant, Key, KeyId, NodeId, Nonce,
    Phase, Progress, Proof, Question, Slot, Tracker, decode, encode, session::SILENCE, sign,
};

/// What can be counted: its name, a line of the baseline, and how to do it so many times.
type Counted = (&'static str, fn(u32));

const ALL: [Counted; 13] = [
    ("encode", |times| repeat(times, || encode(black_box(ByteOrder::NATIVE)))),
    ("decode-plain", |times| decoding(times, &encode(ByteOrder::NATIVE))),
    ("decode-foreign", |times| decoding(times, &[0; 8])),
    ("decode-signed", |times| decoding(times, &signed())),
    ("sign", signing),
    ("verify", |times| verifying(times, &signed())),
    ("verify-forgery", |times| {
        let mut forged = signed();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        verifying(times, &forged);
    }),
    ("judge-replay", judging),
    ("challenge", challenging),
    ("track-10", |times| tracking(times, 10)),
    ("track-1000", |times| tracking(times, 1_000)),
    ("track-1000000", |times| tracking(times, 1_000_000)),
    ("question-1000000", |times| asking(times, 1_000_000)),
];

fn repeat<T>(times: u32, mut once: impl FnMut() -> T) {
    for _ in 0..times {
        black_box(once());
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

fn decoding(times: u32, bytes: &[u8]) {
    repeat(times, || decode(black_box(bytes)).map(|message| message.byte_order));
}

fn signing(times: u32) {
    let (key, extension, mut room) = (key(), extension(), Datagram::new());
    repeat(times, || sign(ByteOrder::NATIVE, black_box(&extension), &key, &mut room).is_ok());
}

fn verifying(times: u32, bytes: &[u8]) {
    let key = key();
    repeat(times, || {
        let message = decode(black_box(bytes)).ok();
        message.and_then(|message| message.signed()).is_some_and(|signed| signed.verify(&key))
    });
}

fn judging(times: u32) {
    let known = Crash::judge_stamp(None, Instant::from_nanos(1 << 40), (1, 0), false).ok();
    let mut sequence = 1;
    repeat(times, || {
        sequence += 1;
        let at = Instant::from_nanos((1 << 40) + sequence * 1_000_000);
        Crash::judge_stamp(black_box(known.as_ref()), at, (sequence, sequence), false)
    });
}

fn challenging(times: u32) {
    let (key, nonce) = (key(), Nonce([4; 16]));
    let challenge = Challenge { key_id: KeyId([3; 4]), crash_id: CrashId([2; 16]), nonce };
    repeat(times, || {
        let bytes = black_box(&challenge).encode(&key);
        Challenge::decode(&bytes).and_then(|sealed| sealed.open(&key)).is_some()
    });
}

/// Each node in turn sends a message, and time passes, so that sessions also finish.
fn tracking(times: u32, nodes: u32) {
    let message = encode(ByteOrder::NATIVE);
    let mut tracker = Tracker::new(vec![Slot::EMPTY; nodes as usize], SILENCE);
    let (mut now, mut turn) = (Instant::from_nanos(0), 0_u32);
    repeat(times, || {
        turn = turn.wrapping_add(7_919);
        now = now.saturating_add(Duration::from_millis(20));
        let node = NodeId(turn % nodes);
        let outcome = tracker.handle(now, black_box(&message), |_| Ok((node, Proof::Plain)));
        (outcome, tracker.poll(now))
    });
}

fn asking(times: u32, nodes: u32) {
    let tracker = Tracker::new(vec![Slot::EMPTY; nodes as usize], SILENCE);
    let mut turn = 0_u32;
    repeat(times, || {
        turn = turn.wrapping_add(7_919);
        let now = Instant::from_nanos(u64::from(turn));
        let question = Question { not_before: Instant::from_nanos(0), now };
        tracker.verdict(NodeId(turn % nodes), black_box(question))
    });
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, times] = words.as_slice() else {
        for (name, _) in ALL {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let known = ALL.iter().find(|(name, _)| name == what);
    match (known, times.parse()) {
        (Some((_, count)), Ok(times)) => {
            count(times);
            ExitCode::SUCCESS
        }
        (None, _) => {
            eprintln!("{what}: not one of those that are listed without arguments");
            ExitCode::FAILURE
        }
        (_, Err(_)) => {
            eprintln!("times: '{times}' is not a number");
            ExitCode::FAILURE
        }
    }
}
