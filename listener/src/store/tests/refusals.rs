//! What is no memory, or one no longer, is said so, and nothing is believed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Timer};

use rusqlite::Connection;

use super::super::{Memory, StoreError};
use super::heard;

struct State {
    folder: tempfile::TempDir,
}

impl State {
    /// A memory with `crashes` crashes in it, closed.
    fn with(crashes: u8) -> Self {
        let state = Self { folder: tempfile::tempdir().unwrap() };
        let mut memory = Memory::open(&state.dir()).unwrap();
        let heard: Vec<_> = (0..crashes).map(|crash| heard(crash, 1)).collect();
        assert!(memory.judge_all(&heard).unwrap().iter().all(|judged| matches!(judged, Ok(Ok(_)))));
        state
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn file(&self) -> PathBuf {
        self.dir().join("replay.db")
    }

    /// Why it is not opened; what a person reads names the path and contains `said`.
    #[track_caller]
    fn refused(&self, path: &Path, said: &str) -> StoreError {
        let error = Memory::open(&self.dir()).expect_err("must not be opened");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains(said), "{text}");
        error
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_memory_that_others_can_change_is_refused() {
    let state = State::with(1);
    for (path, mode, said) in [
        (state.dir(), 0o770, "lets others write"),
        (state.dir(), 0o702, "lets others write"),
        (state.file(), 0o644, "lets others read"),
        (state.file(), 0o620, "lets others write"),
    ] {
        let before = path.metadata().unwrap().permissions();
        set_mode(&path, mode);
        let error = state.refused(&path, said);
        assert!(matches!(error, StoreError::Unsafe { .. }), "{error:?}");
        fs::set_permissions(&path, before).unwrap();
    }
    drop(Memory::open(&state.dir()).unwrap());
    // Only root can give files away; everybody else has nothing to fear from that.
    if nix::unistd::geteuid().is_root() {
        for path in [state.dir(), state.file()] {
            chown(&path, Some(4711), None).unwrap();
            drop(state.refused(&path, "belongs to user 4711"));
            chown(&path, Some(0), None).unwrap();
        }
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let state = State::with(1);
    let elsewhere = state.folder.path().join("elsewhere");
    fs::rename(state.file(), &elsewhere).unwrap();
    symlink(&elsewhere, state.file()).unwrap();
    drop(state.refused(&state.file(), "no regular file"));
    fs::remove_file(state.file()).unwrap();
    fs::create_dir(state.file()).unwrap();
    drop(state.refused(&state.file(), "no regular file"));
    fs::remove_dir(state.file()).unwrap();
    fs::remove_dir_all(state.dir()).unwrap();
    fs::write(state.dir(), "a file").unwrap();
    drop(state.refused(&state.dir(), "not a directory"));
    let nowhere = Memory::open(&state.folder.path().join("a/b")).unwrap_err();
    assert!(matches!(nowhere, StoreError::Directory { .. }), "{nowhere}");
}

#[test]
fn a_damaged_memory_is_refused_wherever_the_damage_is() {
    let noise = |seed: u64, length| -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..length).map(|_| next()).collect()
    };
    let size = State::with(200).file().metadata().unwrap().len();
    for page in 0..size / 4096 {
        let state = State::with(200);
        let file = File::options().write(true).open(state.file()).unwrap();
        file.write_all_at(&noise(page + 7, 4096), page * 4096).unwrap();
        let error = state.refused(&state.file(), "rotate the cluster key");
        assert!(matches!(error, StoreError::Damaged { .. }), "page {page}: {error:?}");
    }
    for length in [1, 100, 4095, 4096, size - 4096, size - 1] {
        let state = State::with(200);
        File::options().write(true).open(state.file()).unwrap().set_len(length).unwrap();
        let error = state.refused(&state.file(), "damaged: ");
        assert!(matches!(error, StoreError::Damaged { .. }), "{length} bytes: {error:?}");
    }
    let state = State::with(1);
    fs::write(state.file(), "text that somebody saved here").unwrap();
    drop(state.refused(&state.file(), "damaged"));
}

#[test]
fn damage_while_it_is_open_is_no_yes() {
    let state = State::with(200);
    let mut memory = Memory::open(&state.dir()).unwrap();
    let size = state.file().metadata().unwrap().len();
    let file = File::options().write(true).open(state.file()).unwrap();
    file.write_all_at(&vec![0xa5; usize::try_from(size).unwrap()], 0).unwrap();
    let error = memory.judge(&heard(201, 1)).expect_err("nothing can be remembered");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
}

#[test]
fn an_emptied_memory_is_one_that_knows_nothing_and_says_so() {
    let state = State::with(1);
    File::options().write(true).open(state.file()).unwrap().set_len(0).unwrap();
    assert!(Memory::open(&state.dir()).unwrap().is_new());
}

#[test]
fn databases_of_others_and_of_later_versions_are_refused() {
    let change = |state: &State, sql: &str| {
        Connection::open(state.file()).unwrap().execute_batch(sql).unwrap();
    };
    let state = State::with(1);
    change(&state, "PRAGMA application_id = 1");
    assert!(matches!(state.refused(&state.file(), "no replay memory"), StoreError::Foreign { .. }));
    let state = State::with(1);
    change(&state, "PRAGMA user_version = 2");
    let newer = state.refused(&state.file(), "of format 2, but this program knows format 1");
    assert!(matches!(newer, StoreError::Newer { .. }));
    let state = State::with(1);
    change(&state, "PRAGMA user_version = 0");
    drop(state.refused(&state.file(), "damaged"));
    let state = State::with(1);
    fs::remove_file(state.file()).unwrap();
    change(&state, "CREATE TABLE notes (text)");
    set_mode(&state.file(), 0o600);
    drop(state.refused(&state.file(), "no replay memory"));
}

#[test]
fn a_memory_that_is_taken_away_is_no_yes() {
    let remove = |state: &State| fs::remove_file(state.file()).unwrap();
    let rename = |state: &State| {
        fs::rename(state.file(), state.folder.path().join("aside")).unwrap();
    };
    let replace = |state: &State| {
        let copy = state.dir().join("copy");
        fs::copy(state.file(), &copy).unwrap();
        fs::rename(copy, state.file()).unwrap();
    };
    let rename_directory = |state: &State| {
        fs::rename(state.dir(), state.folder.path().join("aside")).unwrap();
    };
    let ways: [&dyn Fn(&State); 4] = [&remove, &rename, &replace, &rename_directory];
    for take_away in ways {
        let state = State::with(1);
        let mut memory = Memory::open(&state.dir()).unwrap();
        assert_eq!(memory.judge(&heard(0, 2)).unwrap(), Ok(()));
        take_away(&state);
        for _ in 0..2 {
            let error = memory.judge(&heard(0, 3)).expect_err("nothing can be remembered");
            assert!(matches!(error, StoreError::Moved { .. }), "{error:?}");
        }
    }
    let state = State::with(1);
    let lost = Memory::reopen(&state.dir()).map(|_| remove(&state));
    lost.expect("it is there");
    let error = Memory::reopen(&state.dir()).expect_err("it is not begun anew");
    assert!(matches!(error, StoreError::Moved { .. }), "{error:?}");
}

/// With each commit, everything has come to the one file.
#[test]
fn what_lies_beside_the_file_can_go() {
    let state = State::with(1);
    let mut memory = Memory::open(&state.dir()).unwrap();
    for sequence in 2..10 {
        assert_eq!(memory.judge(&heard(0, sequence)).unwrap(), Ok(()));
        for beside in fs::read_dir(state.dir()).unwrap() {
            let beside = beside.unwrap().path();
            if beside != state.file() {
                fs::remove_file(beside).unwrap();
            }
        }
        let mut other = Memory::open(&state.dir()).unwrap();
        let again = other.judge(&super::replayed(&heard(0, sequence), 3_000)).unwrap();
        assert!(again.is_err());
    }
}

#[test]
fn a_lock_that_is_not_released_is_waited_for_but_not_for_ever() {
    let state = State::with(1);
    let mut memory = Memory::open(&state.dir()).unwrap();
    let other = Connection::open(state.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Timer::now();
    let error = memory.judge(&heard(0, 2)).expect_err("locked");
    assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(memory.judge(&heard(0, 2)).unwrap(), Ok(()));
}
