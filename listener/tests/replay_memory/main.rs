//! The replay memory on disks that are full, read-only, frozen or lose power, and in several processes.
//!
//! Each test that needs a disk of its own runs itself again in a mount namespace, where it makes one;
//! nothing outside ever sees that.

mod again;
mod disks;
mod processes;

use fence_kdump_core::{ByteOrder, CrashId, Datagram, Extension, Instant, Key, KeyId};
use fence_kdump_core::{decode, sign};
use fence_kdump_listener::store::Hearing;

/// Message `sequence` of crash `crash` of node `n1`: signed as it would be on the wire, and heard at once.
fn heard(crash: u8, sequence: u32) -> Hearing {
    heard_at(crash, sequence, u64::from(sequence) * 1_000_000_000)
}

/// The same, heard so many nanoseconds after its crash kernel has started, at 1,000 s.
fn heard_at(crash: u8, sequence: u32, nanoseconds: u64) -> Hearing {
    hearing(crash, sequence, 1_000_000_000_000 + nanoseconds, false)
}

fn hearing(crash: u8, sequence: u32, at: u64, live: bool) -> Hearing {
    let key = Key::from_bytes(&[7; 32]).derive("n1").unwrap();
    let said = Extension {
        node_name: Some("n1"),
        crash_id: Some(CrashId([crash; 16])),
        sequence: Some(sequence.into()),
        uptime: Some(u64::from(sequence) * 1_000),
        key_id: Some(KeyId([1; 4])),
        ..Extension::default()
    };
    let mut datagram = Datagram::new();
    sign(ByteOrder::NATIVE, &said, &key, &mut datagram).unwrap();
    let message = decode(&datagram).unwrap();
    Hearing::new(Instant::from_nanos(at), &message.signed().unwrap(), live)
}
