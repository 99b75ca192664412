//! The memory on its own thread.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant as Timer};

use fence_kdump_core::Disbelief;
use rusqlite::Connection;
use tokio::time::timeout;

use super::super::{Hearing, Judged, News, Notary, ROOM, StoreError};
use super::{heard, replayed};

const LIMIT: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

async fn next<T>(notary: &mut Notary<T>) -> News<T> {
    timeout(LIMIT, notary.next()).await.expect("some news in time")
}

async fn judged<T: std::fmt::Debug>(notary: &mut Notary<T>) -> Judged<T> {
    match next(notary).await {
        News::Judged(judged) => judged,
        other => panic!("{other:?}"),
    }
}

/// A notary whose memory is open.
async fn begun(dir: &Path) -> Notary<u32> {
    let mut notary = Notary::start(dir).unwrap();
    assert!(matches!(next(&mut notary).await, News::Began(path) if path == dir.join("replay.db")));
    notary
}

fn live(hearing: Hearing) -> Hearing {
    Hearing { live: true, ..hearing }
}

#[test]
fn answers_come_in_order_with_what_they_are_about() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = begun(dir.path()).await;
        for sequence in 1..=80 {
            assert!(notary.submit(heard(1, sequence), sequence).is_none());
            assert!(notary.submit(heard(2, 1), 0).is_none(), "read by another program as well");
            // Captured on its way, and sent hours later.
            let late = replayed(&heard(2, 1 + sequence), 9_000);
            assert!(notary.submit(late, 1_000).is_none());
        }
        for sequence in 1..=80 {
            let Judged { ticket, result, trouble, .. } = judged(&mut notary).await;
            assert_eq!((ticket, result), (sequence, Ok(())));
            assert!(trouble.is_none());
            assert_eq!(judged(&mut notary).await.result, Ok(()));
            let Judged { ticket, result, .. } = judged(&mut notary).await;
            assert_eq!((ticket, result), (1_000, Err(Disbelief::Late)));
        }
        drop(notary);
        let mut notary: Notary<u32> = Notary::start(dir.path()).unwrap();
        assert!(notary.submit(replayed(&heard(1, 80), 1_081), 7).is_none());
        assert_eq!(judged(&mut notary).await.result, Err(Disbelief::Replayed), "a restart");
        assert!(timeout(Duration::from_millis(50), notary.next()).await.is_err(), "nothing left");
    });
}

/// The number of commits, as SQLite counts them (file format, 1.3.7).
fn commits(dir: &Path) -> u32 {
    let bytes = fs::read(dir.join("replay.db")).unwrap();
    u32::from_be_bytes(bytes[24..28].try_into().unwrap())
}

#[test]
fn those_who_wait_together_share_one_commit() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = begun(dir.path()).await;
        let before = commits(dir.path());
        let lock = Connection::open(dir.path().join("replay.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        for sequence in 1..=200 {
            assert!(notary.submit(heard(1, sequence), sequence).is_none());
        }
        lock.execute_batch("ROLLBACK").unwrap();
        for sequence in 1..=200 {
            let Judged { ticket, result, .. } = judged(&mut notary).await;
            assert_eq!((ticket, result), (sequence, Ok(())));
        }
        let taken = commits(dir.path()) - before;
        assert!((1..=4).contains(&taken), "{taken} commits for 200 messages");
    });
}

#[test]
fn a_memory_that_cannot_be_opened_is_told_at_once_and_with_each_answer() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a");
        fs::write(&dir, "no directory").unwrap();
        let mut notary = Notary::start(&dir).unwrap();
        assert!(matches!(next(&mut notary).await, News::Trouble(_)));
        assert!(notary.submit(heard(1, 1), 1).is_none());
        assert!(notary.submit(live(heard(1, 2)), 2).is_none());
        for (number, said) in [(1, Err(Disbelief::Unremembered)), (2, Ok(()))] {
            let Judged { ticket, result, trouble, .. } = judged(&mut notary).await;
            assert_eq!((ticket, result), (number, said));
            assert!(trouble.unwrap().to_string().contains(dir.to_str().unwrap()));
        }
        fs::remove_file(&dir).unwrap();
        assert!(notary.submit(heard(1, 3), 3).is_none());
        assert!(matches!(next(&mut notary).await, News::Began(_)), "repaired");
        assert_eq!(judged(&mut notary).await.result, Ok(()));
        // Lost again, it is not begun anew: what it knew is not known any more.
        fs::remove_file(dir.join("replay.db")).unwrap();
        for sequence in 4..7 {
            assert!(notary.submit(heard(1, sequence), 0).is_none());
            let Judged { result, trouble, .. } = judged(&mut notary).await;
            assert_eq!(result, Err(Disbelief::Unremembered));
            assert!(matches!(*trouble.unwrap(), StoreError::Moved { .. }));
        }
        assert!(!dir.join("replay.db").exists());
    });
}

/// Who sends captured messages again and again takes no place from a good one.
#[test]
fn a_flood_of_replays_does_not_wait() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = begun(dir.path()).await;
        assert!(notary.submit(heard(1, 50), 50).is_none());
        assert_eq!(judged(&mut notary).await.result, Ok(()));
        let lock = Connection::open(dir.path().join("replay.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        // Heard at this very moment, and not yet remembered.
        assert!(notary.submit(heard(1, 51), 51).is_none());
        let start = Timer::now();
        for round in 0..10_000 {
            let captured = replayed(&heard(1, 1 + round % 51), 2_000 + round);
            let judged = notary.submit(captured, 0).expect("no need to wait");
            assert_eq!(judged.result, Err(Disbelief::Replayed));
            assert!(judged.trouble.is_none());
        }
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(notary.submit(heard(1, 52), 52).is_none(), "there is room");
        assert!(notary.submit(live(replayed(&heard(1, 20), 1_060)), 20).is_none(), "it lives");
        lock.execute_batch("ROLLBACK").unwrap();
        for expected in [51, 52, 20] {
            let Judged { ticket, result, .. } = judged(&mut notary).await;
            assert_eq!((ticket, result), (expected, Ok(())));
        }
        assert_eq!(notary.overrun(), 0);
    });
}

/// Another process keeps the memory locked: nothing here waits for it.
#[test]
fn nothing_waits_for_a_memory_that_does_not_answer() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut notary = begun(dir.path()).await;
        let lock = Connection::open(dir.path().join("replay.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let start = Timer::now();
        assert!(notary.submit(live(heard(1, 1)), 0).is_none());
        assert!(notary.submit(heard(1, 2), 1).is_none());
        let mut refused = 0;
        for sequence in 3..3 * u32::try_from(ROOM).unwrap() {
            if let Some(judged) = notary.submit(heard(1, sequence), sequence) {
                refused += 1;
                assert_eq!(
                    (judged.ticket, judged.result),
                    (sequence, Err(Disbelief::Unremembered))
                );
                assert!(matches!(*judged.trouble.unwrap(), StoreError::Overrun { .. }));
            }
        }
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(refused > ROOM, "{refused} refused");
        assert_eq!(notary.overrun(), u64::try_from(refused).unwrap());
        let at_once = notary.submit(live(heard(1, 9_000)), 9).expect("no room");
        assert_eq!(at_once.result, Ok(()), "live messages count");
        let Judged { ticket, result, trouble, .. } = judged(&mut notary).await;
        assert_eq!((ticket, result), (0, Ok(())), "the live one first");
        assert!(matches!(*trouble.unwrap(), StoreError::Hangs { .. }));
        let waited = start.elapsed();
        assert!(waited < Duration::from_millis(1_900), "{waited:?}");
        lock.execute_batch("ROLLBACK").unwrap();
        let Judged { ticket, result, .. } = judged(&mut notary).await;
        assert_eq!((ticket, result), (1, Ok(())), "the others when the disk is back");
    });
}
