//! What is remembered.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant as Timer};

use fence_kdump_core::{Disbelief, Instant, KeyId};
use rusqlite::Connection;

use super::super::{CRASHES_PER_NODE, Hearing, Memory, StoreError};
use super::{KEY, heard, replayed};

#[test]
fn nothing_counts_twice_and_nothing_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = Memory::open(dir.path()).unwrap();
    assert!(memory.is_new());
    for sequence in [1, 2, 5] {
        assert_eq!(memory.judge(&heard(1, sequence)).unwrap(), Ok(()));
    }
    assert_eq!(memory.judge(&heard(2, 1)).unwrap(), Ok(()), "another crash");
    for _ in 0..3 {
        drop(memory);
        memory = Memory::open(dir.path()).unwrap();
        assert!(!memory.is_new());
        for sequence in [1, 2, 3, 5] {
            let again = memory.judge(&replayed(&heard(1, sequence), 1_006)).unwrap();
            assert_eq!(again, Err(Disbelief::Replayed), "{sequence}");
        }
        // Captured on its way, never heard, and sent when the node has long rebooted.
        let late = memory.judge(&replayed(&heard(1, 6), 1_200)).unwrap();
        assert_eq!(late, Err(Disbelief::Late));
    }
    assert_eq!(memory.judge(&heard(1, 6)).unwrap(), Ok(()));
}

#[test]
fn nodes_are_told_apart_by_name_without_regard_to_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = Memory::open(dir.path()).unwrap();
    let of = |name: &str| {
        let key = fence_kdump_core::Key::from_bytes(&[7; 32]);
        let mut datagram = fence_kdump_core::Datagram::new();
        let extension = fence_kdump_core::Extension {
            node_name: Some(name),
            crash_id: Some(fence_kdump_core::CrashId([9; 16])),
            sequence: Some(u64::MAX),
            uptime: Some(5_000),
            key_id: Some(KEY),
            ..Default::default()
        };
        let order = fence_kdump_core::ByteOrder::NATIVE;
        fence_kdump_core::sign(order, &extension, &key, &mut datagram).unwrap();
        let message = fence_kdump_core::decode(&datagram).unwrap();
        Hearing::new(super::second(1_000), &message.signed().unwrap(), false)
    };
    assert_eq!(memory.judge(&of("Node-A")).unwrap(), Ok(()));
    assert_eq!(memory.judge(&of("node-b")).unwrap(), Ok(()));
    let again = memory.judge(&replayed(&of("nODE-a"), 1_001)).unwrap();
    assert_eq!(again, Err(Disbelief::Replayed), "the greatest number there is was kept whole");
}

#[test]
fn a_datagram_that_several_programs_read_is_no_replay() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = Memory::open(dir.path()).unwrap();
    let mut other = Memory::open(dir.path()).unwrap();
    assert_eq!(one.judge(&heard(1, 3)).unwrap(), Ok(()));
    assert_eq!(other.judge(&heard(1, 3)).unwrap(), Ok(()));
    let mut copy = heard(1, 3);
    copy.at = Instant::from_nanos(copy.at.as_nanos() + 1);
    for memory in [&mut one, &mut other] {
        assert_eq!(memory.judge(&copy).unwrap(), Err(Disbelief::Replayed));
    }
}

fn change(dir: &Path, sql: &str) {
    let file = Connection::open(dir.join("replay.db")).unwrap();
    file.execute_batch(sql).unwrap();
}

#[test]
fn a_crash_from_before_the_boot_is_over_unless_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = Memory::open(dir.path()).unwrap();
    assert_eq!(memory.judge(&heard(1, 7)).unwrap(), Ok(()));
    change(dir.path(), "UPDATE crash SET clock = 'another boot'");
    for message in [heard(1, 7), heard(1, 8), replayed(&heard(1, 9), 5)] {
        assert_eq!(memory.judge(&message).unwrap(), Err(Disbelief::Over));
    }
    // The host was started while the node was still in its crash kernel.
    let live = Hearing { live: true, ..replayed(&heard(1, 8), 20) };
    assert_eq!(memory.judge(&live).unwrap(), Ok(()));
    assert_eq!(memory.judge(&replayed(&heard(1, 9), 21)).unwrap(), Ok(()));
    assert_eq!(memory.judge(&replayed(&heard(1, 7), 21)).unwrap(), Err(Disbelief::Replayed));
    assert_eq!(memory.judge(&replayed(&heard(1, 12), 28)).unwrap(), Err(Disbelief::Late));
}

#[test]
fn only_its_owner_can_read_it() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state");
    let mut memory = Memory::open(&dir).unwrap();
    assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.contains(&dir.join("replay.db")), "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Who copies, restores or keeps this one file has everything.
#[test]
fn the_one_file_is_the_whole_memory() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut memory = Memory::open(dir.path()).unwrap();
    for sequence in 1..50 {
        assert_eq!(memory.judge(&heard(1, sequence)).unwrap(), Ok(()));
        let name = "replay.db";
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        let mut copied = Memory::open(copy.path()).unwrap();
        let again = copied.judge(&replayed(&heard(1, sequence), 2_000)).unwrap();
        assert_eq!(again, Err(Disbelief::Replayed), "{sequence}");
    }
}

#[test]
fn a_stolen_node_key_fills_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = Memory::open(dir.path()).unwrap();
    assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
    let many = format!(
        "WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < {CRASHES_PER_NODE})
         INSERT INTO crash SELECT 'n1', x'01010101', randomblob(16), 1, 1, 1, 'clock' FROM number"
    );
    change(dir.path(), &many);
    match memory.judge(&heard(2, 1)) {
        Err(StoreError::Crowded { node, crashes, .. }) => {
            assert_eq!((node.as_str(), crashes), ("n1", CRASHES_PER_NODE));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(memory.judge(&heard(1, 2)).unwrap(), Ok(()), "a crash that is known already");
    let new_key = Hearing { key_id: KeyId([2; 4]), ..heard(3, 1) };
    assert_eq!(memory.judge(&new_key).unwrap(), Ok(()), "after a rotation");
    let other = Hearing { node_name: "n2".to_owned(), ..heard(4, 1) };
    assert_eq!(memory.judge(&other).unwrap(), Ok(()), "another node");
    let size = fs::metadata(memory.path()).unwrap().len();
    assert!(size < 4 << 20, "{size} bytes for one node");
    let start = Timer::now();
    drop(Memory::open(dir.path()).unwrap());
    assert!(start.elapsed() < Duration::from_secs(2), "opened in {:?}", start.elapsed());
}

/// A daemon wrote down the first message of a crash, heard the next ones, and was killed at 1,004.5 s.
#[test]
fn what_a_killed_program_may_have_heard_counts_only_when_it_is_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let mut memory = Memory::open(dir.path()).unwrap();
    assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
    drop(memory);
    let since = Instant::from_nanos(1_004_500_000_000);
    let open = || Memory::open(dir.path()).unwrap().lagging(Some(since));
    let late = |sequence: u32, millis: u64| {
        let hearing = heard(1, sequence);
        let at = Instant::from_nanos(hearing.at.as_nanos() + millis * 1_000_000);
        Hearing { at, ..hearing }
    };
    let mut memory = open();
    // Captured before, and sent again at once after the start.
    for sequence in [2, 3, 4] {
        let replayed = Hearing { at: since, ..heard(1, sequence) };
        assert_eq!(memory.judge(&replayed).unwrap(), Err(Disbelief::Replayed));
    }
    assert_eq!(memory.judge(&late(4, 101)).unwrap(), Err(Disbelief::Replayed));
    // It lay in the queue of the port meanwhile.
    assert_eq!(memory.judge(&late(4, 100)).unwrap(), Ok(()));
    // Sent after the start: as late as any.
    assert_eq!(memory.judge(&late(5, 1_900)).unwrap(), Ok(()));
    drop(memory);
    let mut memory = open();
    assert_eq!(memory.judge(&late(5, 1_950)).unwrap(), Err(Disbelief::Replayed));
    assert_eq!(memory.judge(&late(6, 1_950)).unwrap(), Ok(()));
    // Who has not heard of the crash knows nothing, and who answers is live.
    assert_eq!(memory.judge(&heard(2, 1)).unwrap(), Ok(()));
    let live = Hearing { live: true, ..late(6, 1_980) };
    assert_eq!(memory.judge(&live).unwrap(), Ok(()));
}
