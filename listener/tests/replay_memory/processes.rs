//! Several processes, killed ones, and ones with another clock.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::process::Stdio;
use std::time::Duration;

use fence_kdump_core::Disbelief;
use fence_kdump_listener::store::{Memory, StoreError};

use crate::again::{again, place, succeeds, unshare};
use crate::{heard, heard_at};

const AT_ONCE: u32 = 4;

/// Where all want the disk at once, one may have to wait for longer than it is patient.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..30 {
        match attempt() {
            Err(StoreError::Busy { .. }) => {}
            done => return done.unwrap(),
        }
    }
    panic!("others keep it busy");
}

/// All hear the same 100 replays at once, and each replay is believed by one of them alone.
#[test]
fn of_several_processes_one_believes_a_replay() {
    let name = "processes::of_several_processes_one_believes_a_replay";
    if let Some(dir) = place() {
        let mut memory = patiently(|| Memory::open(&dir));
        let process = std::process::id();
        for number in 0..100 {
            // In another order in each: 7 and 100 have no common divisor.
            let crash = u8::try_from((number * 7 + process) % 100).unwrap();
            let hearing = heard_at(crash, 1, 1_000_000_000 + u64::from(process));
            if patiently(|| memory.judge(&hearing)).is_ok() {
                // The test runner has begun a line.
                writeln!(stdout(), "\nbelieved {crash}").unwrap();
            }
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..AT_ONCE)
        .map(|_| again(&[], name, dir.path()).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut believed: BTreeMap<String, u32> = BTreeMap::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        for crash in text.lines().filter_map(|line| line.strip_prefix("believed ")) {
            *believed.entry(crash.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(believed.len(), 100, "{believed:?}");
    assert!(believed.values().all(|times| *times == 1), "{believed:?}");
}

/// Pacemaker kills agents at any moment.
#[test]
fn what_was_believed_is_remembered_by_those_who_come_after_a_killed_one() {
    let name = "processes::what_was_believed_is_remembered_by_those_who_come_after_a_killed_one";
    if let Some(dir) = place() {
        let mut memory = Memory::open(&dir).unwrap();
        let first = std::env::var("FIRST").unwrap().parse().unwrap();
        for sequence in first..u32::MAX {
            if memory.judge(&heard(1, sequence)).unwrap().is_ok() {
                writeln!(stdout(), "\nbelieved {sequence}").unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut first = 1;
    for round in 0..12_u32 {
        let mut command = again(&[], name, dir.path());
        command.env("FIRST", first.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let believed = |line: &str| -> Option<u32> {
            line.strip_prefix("believed ").and_then(|sequence| sequence.parse().ok())
        };
        let mut last = lines.by_ref().map(Result::unwrap).find_map(|line| believed(&line)).unwrap();
        std::thread::sleep(Duration::from_micros(u64::from(round * 4_321 % 25_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // The last line may be cut off.
        last =
            lines.map_while(Result::ok).filter_map(|line| believed(&line)).last().unwrap_or(last);
        let mut memory = Memory::open(dir.path()).unwrap();
        for sequence in [1, last] {
            let later = 1_000_000_000 * u64::from(last) + 1_000_000;
            let again = memory.judge(&heard_at(1, sequence, later)).unwrap();
            assert_eq!(again, Err(Disbelief::Replayed), "{sequence} in round {round}");
        }
        first = last + 1;
    }
}

/// A container with a time of its own shares the directory.
#[test]
fn a_crash_heard_by_another_clock_is_over() {
    let name = "processes::a_crash_heard_by_another_clock_is_over";
    if let Some(dir) = place() {
        let mut memory = Memory::open(&dir).unwrap();
        assert_eq!(memory.judge(&heard(1, 2)).unwrap(), Err(Disbelief::Over));
        return;
    }
    for offset in ["--boottime=100000", "--boottime=0"] {
        let namespaces = ["--time", offset, "--fork"];
        let Some(by) = unshare(&namespaces, name) else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(dir.path()).unwrap();
        assert_eq!(memory.judge(&heard(1, 1)).unwrap(), Ok(()));
        succeeds(again(&by, name, dir.path()));
        assert_eq!(memory.judge(&heard(1, 2)).unwrap(), Ok(()));
    }
}
