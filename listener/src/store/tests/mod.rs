//! What the memory must withstand within one process; more in `tests/replay_memory.rs` of this package.

mod memory;
mod model;
mod notary;
mod refusals;

use fence_kdump_core::{CrashId, Instant, KeyId};

use super::Hearing;

const KEY: KeyId = KeyId([1; 4]);

/// Message `sequence` of crash `crash` of node `n1`, whose crash kernel started at 1,000 s: sent each
/// second, and heard at once.
fn heard(crash: u8, sequence: u32) -> Hearing {
    Hearing {
        node_name: "n1".to_owned(),
        key_id: KEY,
        crash_id: CrashId([crash; 16]),
        sequence: sequence.into(),
        uptime: u64::from(sequence) * 1_000,
        at: second(1_000 + sequence),
        live: false,
    }
}

/// `hearing`, captured, and sent again at `second`.
fn replayed(hearing: &Hearing, at: u32) -> Hearing {
    Hearing { at: second(at), ..hearing.clone() }
}

fn second(second: u32) -> Instant {
    Instant::from_nanos(u64::from(second) * 1_000_000_000)
}
