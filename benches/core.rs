//! What one datagram, one tick and one question cost in core, alone and among many nodes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fence_kdump_core::{
    ByteOrder, CrashId, Datagram, Extension, Instant, Key, KeyId, NodeId, Phase, Progress, Proof,
    Question, Slot, Tracker, decode, encode, session::SILENCE, sign,
};

fn codec(c: &mut Criterion) {
    let message = encode(ByteOrder::NATIVE);
    let foreign = [0u8; 8];
    let mut group = c.benchmark_group("codec");
    group.bench_function("encode", |b| b.iter(|| encode(black_box(ByteOrder::NATIVE))));
    // What a receiver asks of a datagram first. Not the whole answer: copying it to nobody would be
    // most of what is measured.
    let read = |bytes: &[u8]| decode(bytes).map(|message| message.byte_order);
    group.bench_function("decode valid", |b| b.iter(|| read(black_box(&message))));
    group.bench_function("decode foreign", |b| b.iter(|| read(black_box(&foreign))));
    group.finish();
}

/// What a signed message costs: the usual one, with everything that a sender says.
fn signed(c: &mut Criterion) {
    let key = Key::from_bytes(&[1; 32]).derive("node-1").expect("a name");
    let extension = Extension {
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
    };
    let mut message = Datagram::new();
    sign(ByteOrder::NATIVE, &extension, &key, &mut message).expect("complete");
    let mut forged = message.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    let verify = |bytes: &[u8]| {
        decode(bytes).is_ok_and(|read| read.signed().is_some_and(|signed| signed.verify(&key)))
    };
    let mut group = c.benchmark_group("signed");
    group.throughput(criterion::Throughput::Bytes(message.len() as u64));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&message)).is_ok()));
    group.bench_function("decode and verify", |b| b.iter(|| verify(black_box(&message))));
    group.bench_function("decode and verify a forgery", |b| b.iter(|| verify(black_box(&forged))));
    let mut room = Datagram::new();
    group.bench_function("sign", |b| {
        b.iter(|| sign(ByteOrder::NATIVE, black_box(&extension), &key, &mut room));
    });
    let cluster = Key::from_bytes(&[1; 32]);
    group.bench_function("derive a key", |b| b.iter(|| cluster.derive(black_box("node-1"))));
    group.finish();
}

/// Each node in turn sends a message: the present moves on, so that sessions also finish.
fn tracker(c: &mut Criterion) {
    let message = encode(ByteOrder::NATIVE);
    let mut group = c.benchmark_group("tracker");
    for nodes in [10u32, 1_000, 100_000, 1_000_000] {
        let slots = vec![Slot::EMPTY; nodes as usize].into_boxed_slice();
        let mut tracker = Tracker::new(slots, SILENCE);
        let mut now = Instant::from_nanos(0);
        let mut turn = 0u32;
        group.bench_function(BenchmarkId::new("datagram and tick", nodes), |b| {
            b.iter(|| {
                // A stride that is prime to every size visits the nodes far apart in memory.
                turn = turn.wrapping_add(7_919);
                now = now.saturating_add(Duration::from_micros(10));
                let node = NodeId(turn % nodes);
                let outcome =
                    tracker.handle(now, black_box(&message), |_| Ok((node, Proof::Plain)));
                (outcome, tracker.poll(now))
            });
        });
        group.bench_function(BenchmarkId::new("question", nodes), |b| {
            b.iter(|| {
                turn = turn.wrapping_add(7_919);
                let question = Question { not_before: Instant::from_nanos(0), now };
                tracker.verdict(NodeId(turn % nodes), black_box(question))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codec, signed, tracker);
criterion_main!(benches);
