//! What is too old, or too much, goes.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A node that crashes again and again, with time stamps that grow by `step_ms` up to now.
async fn crashes(history: &mut History, numbers: std::ops::Range<u64>, step_ms: u64) {
    let (now, end) = (now_ms(), numbers.end);
    for number in numbers {
        let kind = if number % 2 == 0 { Kind::Started } else { Kind::Finished };
        let mut event =
            event(number, &format!("n{}", number / 2 % 50), kind, &format!("s{}", number / 2));
        event.time_ms = now - (end - number) * step_ms;
        let event = Arc::new(event);
        let told = loop {
            if let Some(told) = history.tell(Arc::clone(&event), heard(1)) {
                break told;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        if number % 1_000 == 0 {
            flushed(history, Some(told)).await;
        }
    }
    let number = history.settle(Opening(0));
    flushed(history, number).await;
}

#[tokio::test]
async fn the_oldest_goes_when_there_is_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { keep: Duration::MAX, most: Limits::LEAST };
    let mut history = History::start(dir.path(), limits).unwrap();
    opened(&mut history).await;
    // Goes on all the while.
    history.tell(event(999_999, "forever", Kind::Started, "forever").into(), heard(1));
    let mut largest = 0;
    for round in 0..16 {
        crashes(&mut history, round * 2_500..(round + 1) * 2_500, 1).await;
        let size: u64 = dir
            .path()
            .read_dir()
            .unwrap()
            .filter_map(|file| file.unwrap().metadata().ok())
            .map(|file| file.len())
            .sum();
        largest = largest.max(size);
    }
    // The index of the log is not counted: it is no larger than a hundredth of it, and never written to the disk.
    assert!(largest <= limits.most + 128 * 1024, "{largest}");
    assert_eq!(history.health().lost, 0);
    let mut reader = Reader::open(dir.path()).unwrap();
    let all = reader.events(&page(u32::MAX)).unwrap();
    assert!((5_000..39_000).contains(&all.len()), "{}", all.len());
    assert_eq!(all[0].event.id, "host-1-39999", "the newest are there");
    let sessions = reader.sessions(None, None, u32::MAX).unwrap();
    assert!(sessions.len() <= all.len() / 2 + 600, "{} of {}", sessions.len(), all.len());
    let known = reader.known().unwrap();
    let last = known.last().unwrap();
    assert_eq!((&*last.session.node, last.session.end), ("forever", None));
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let dir = tempfile::tempdir().unwrap();
    let hour = 3_600_000;
    let mut history = start(dir.path());
    opened(&mut history).await;
    crashes(&mut history, 0..1_000, hour).await;
    assert!(history.finish(PATIENCE).await);
    let limits = Limits { keep: Duration::from_secs(100 * 3600), most: Limits::default().most };
    let mut history = History::start(dir.path(), limits).unwrap();
    opened(&mut history).await;
    let mut reader = Reader::open(dir.path()).unwrap();
    let began = std::time::Instant::now();
    loop {
        let left = reader.events(&page(u32::MAX)).unwrap().len();
        if left <= 101 {
            assert!(left == 101, "{left}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{left} are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_empty_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    opened(&mut history).await;
    // By a clock that is far behind today's: nothing newer says that it is so late.
    let mut last = None;
    for number in 0..100 {
        last = history.tell(event(number, "n1", Kind::Phase, "s1").into(), heard(1));
    }
    flushed(&history, last).await;
    assert!(history.finish(PATIENCE).await);
    let limits = Limits { keep: Duration::from_secs(60), most: Limits::default().most };
    let mut history = History::start(dir.path(), limits).unwrap();
    opened(&mut history).await;
    let number = history.tell(event(100, "n1", Kind::Phase, "s1").into(), heard(1));
    flushed(&history, number).await;
    assert!(history.finish(PATIENCE).await);
    assert_eq!(Reader::open(dir.path()).unwrap().events(&page(999)).unwrap().len(), 101);
}

#[tokio::test]
async fn a_reader_that_never_ends_fills_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { keep: Duration::MAX, most: Limits::LEAST };
    let mut history = History::start(dir.path(), limits).unwrap();
    opened(&mut history).await;
    let other = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM event").unwrap();
    let mut number = 0;
    let trouble = loop {
        number += 1;
        let node = format!("n{}", number % 5_000);
        let event = event(number, &node, Kind::Started, &format!("s{number}"));
        let _ = history.tell(event.into(), heard(1));
        match timeout(Duration::from_micros(10), history.next()).await {
            Ok(News::Trouble(trouble)) => match &*trouble {
                HistoryError::HeldUp { .. } => break trouble,
                HistoryError::Overrun { .. } => {}
                other => panic!("{other}"),
            },
            Ok(other) => panic!("{other:?}"),
            Err(_) => assert!(number < 500_000, "it is written and written"),
        }
    };
    assert!(trouble.to_string().contains("some process has been reading it"), "{trouble}");
    let log = dir.path().join(format!("{NAME}-wal")).metadata().unwrap().len();
    assert!(log < 16 * 1024 * 1024, "{log}");
    other.execute_batch("ROLLBACK").unwrap();
    loop {
        if let News::Again { .. } = next(&mut history).await {
            break;
        }
    }
}
