//! What one datagram, one tick and one question cost in core, alone and among many nodes.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fence_kdump_core::{
    ByteOrder, Instant, NodeId, Proof, Question, Slot, Tracker, decode, encode, session::SILENCE,
};

fn codec(c: &mut Criterion) {
    let message = encode(ByteOrder::NATIVE);
    let foreign = [0u8; 8];
    let mut group = c.benchmark_group("codec");
    group.bench_function("encode", |b| b.iter(|| encode(black_box(ByteOrder::NATIVE))));
    group.bench_function("decode valid", |b| b.iter(|| decode(black_box(&message))));
    group.bench_function("decode foreign", |b| b.iter(|| decode(black_box(&foreign))));
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

criterion_group!(benches, codec, tracker);
criterion_main!(benches);
