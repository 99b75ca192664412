mod disk;
mod kill;
mod limits;
mod load;

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn event(number: u64, node: &str, kind: Kind, session: &str) -> Event {
    Event {
        id: format!("host-1-{number}").as_str().into(),
        time_ms: 1_700_000_000_000 + number,
        node: node.into(),
        kind,
        session: session.into(),
        from: Some("192.0.2.7".parse().unwrap()),
        proof: Some(Proof::Signed),
        phase: None,
        done: Some(number),
        total: Some(u64::MAX),
        messages: 1,
    }
}

pub(super) fn heard(second: u64) -> Heard {
    let at = |second: u64| Instant::from_nanos(second * 1_000_000_000);
    Heard { first: at(second), last: at(second + 5), silence: Duration::from_secs(30) }
}

pub(super) fn start(dir: &Path) -> History {
    History::start(dir, Limits::default()).unwrap()
}

pub(super) async fn next(history: &mut History) -> News {
    timeout(PATIENCE, history.next()).await.expect("news")
}

/// All that is known from before, until it is open.
pub(super) async fn opened(history: &mut History) -> (Vec<Known>, bool) {
    let mut known = Vec::new();
    loop {
        match next(history).await {
            News::Known(more) => known.extend(more),
            News::Opened { is_new } => return (known, is_new),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn flushed(history: &History, number: Option<u64>) {
    let number = number.expect("there is room");
    let mut flushed = history.flushed();
    let wait = timeout(PATIENCE, flushed.wait_for(|done| *done >= number)).await;
    drop(wait.expect("in time").expect("the thread is there"));
}

pub(super) fn ids(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.event.id.to_string()).collect()
}

pub(super) fn page(most: u32) -> Page {
    Page { most, ..Page::default() }
}

pub(super) fn opening(dir: &Path) -> Opening {
    let file = rusqlite::Connection::open(dir.join(NAME)).unwrap();
    Opening(file.query_row("SELECT times FROM opened", [], |row| row.get(0)).unwrap())
}

#[tokio::test]
async fn what_is_told_is_there_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    assert_eq!(opened(&mut history).await, (Vec::new(), true));
    let mut last = None;
    let story = [
        (1, "n1", Kind::Started, "s1"),
        (2, "n2", Kind::Started, "s2"),
        (3, "N1", Kind::Dumping, "s1"),
        (4, "n2", Kind::Finished, "s2"),
        (5, "n3", Kind::Started, "s5"),
    ];
    for (number, node, kind, session) in story {
        last = history.tell(event(number, node, kind, session).into(), heard(number));
    }
    flushed(&history, last).await;

    let mut reader = Reader::open(dir.path()).unwrap();
    let all = reader.events(&page(10)).unwrap();
    assert_eq!(ids(&all), ["host-1-5", "host-1-4", "host-1-3", "host-1-2", "host-1-1"]);
    assert_eq!(all[1].event, event(4, "n2", Kind::Finished, "s2"));
    let first = reader.events(&page(2)).unwrap();
    let more = Page { before: Some(first[1].number), ..page(2) };
    assert_eq!(ids(&reader.events(&more).unwrap()), ["host-1-3", "host-1-2"]);
    let of_node = Page { node: Some("n1".into()), ..page(10) };
    assert_eq!(ids(&reader.events(&of_node).unwrap()), ["host-1-3", "host-1-1"]);
    let of_session = Page { session: Some("s2".into()), ..page(10) };
    assert_eq!(ids(&reader.events(&of_session).unwrap()), ["host-1-4", "host-1-2"]);
    let at = 1_700_000_000_000;
    let of_time = Page { since_ms: Some(at + 2), until_ms: Some(at + 4), ..page(10) };
    assert_eq!(ids(&reader.events(&of_time).unwrap()), ["host-1-3", "host-1-2"]);
    let number = reader.number("host-1-4").unwrap();
    let after = Page { after: number, ..page(10) };
    assert_eq!(ids(&reader.events(&after).unwrap()), ["host-1-5"]);
    assert_eq!(reader.number("host-1-9").unwrap(), None);
    let nobody = Page { node: Some("n9".into()), ..page(10) };
    assert_eq!(reader.events(&nobody).unwrap(), []);

    let sessions = reader.sessions(None, None, 2).unwrap();
    let names = |sessions: &[Session]| -> Vec<String> {
        sessions.iter().map(|session| session.id.to_string()).collect()
    };
    assert_eq!(names(&sessions), ["s5", "s2"]);
    assert_eq!(sessions[1].end, Some(Kind::Finished));
    let lately = reader.sessions(None, Some(at + 5), 9).unwrap();
    assert_eq!(names(&lately), ["s5", "s1"], "one began before another that is over, and goes on");
    assert_eq!(names(&reader.sessions(None, Some(at + 4), 9).unwrap()), ["s5", "s2", "s1"]);
    assert_eq!(names(&reader.sessions(Some("N2"), None, 9).unwrap()), ["s2"]);

    assert!(history.finish(PATIENCE).await);
    let mut history = start(dir.path());
    let (known, is_new) = opened(&mut history).await;
    assert!(!is_new);
    let told: Vec<_> =
        known.iter().map(|known| (&*known.session.node, known.session.end, known.heard)).collect();
    let (end, open) = (Some(Kind::Finished), None);
    let expected =
        [("n2", end, Some(heard(4))), ("n1", open, Some(heard(3))), ("n3", open, Some(heard(5)))];
    assert_eq!(told, expected);
    let n1 = &known[1].session;
    assert_eq!((n1.started_ms, n1.changed_ms, n1.done), (at + 1, at + 3, Some(3)));
}

#[tokio::test]
async fn a_session_that_was_heard_by_another_clock_is_no_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    let number = history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    flushed(&history, number).await;
    assert!(history.finish(PATIENCE).await);
    let other = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
    other.execute("UPDATE session SET clock = 'another boot'", []).unwrap();
    drop(other);
    let (known, _) = opened(&mut start(dir.path())).await;
    assert_eq!((known.len(), known[0].heard, known[0].session.end), (1, None, None));
}

#[tokio::test]
async fn how_a_session_stands_is_kept_without_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    opened(&mut history).await;
    history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    history.tell(event(2, "n2", Kind::Started, "s2").into(), heard(2));
    let number = history.tell(event(3, "n3", Kind::Started, "s3").into(), heard(3));
    flushed(&history, number).await;
    assert!(history.finish(PATIENCE).await);

    let mut history = start(dir.path());
    let (known, _) = opened(&mut history).await;
    let mut session = known[1].session.clone();
    session.messages = 77;
    history.keep(session.clone(), heard(9));
    let Opening(now) = opening(dir.path());
    let number = history.settle(Opening(now - 1));
    flushed(&history, number).await;
    let sessions = Reader::open(dir.path()).unwrap().sessions(None, None, 9).unwrap();
    assert!(sessions.iter().all(|session| session.end != Some(Kind::Lost)), "that was before");
    let number = history.settle(Opening(now));
    flushed(&history, number).await;
    let known = Reader::open(dir.path()).unwrap().known().unwrap();
    let open: Vec<_> = known.iter().filter(|known| known.session.end.is_none()).collect();
    assert_eq!(open, [&Known { session, heard: Some(heard(9)) }]);
    let ended = known.iter().filter(|known| known.session.end == Some(Kind::Lost));
    assert_eq!(ended.count(), 2, "nobody said that they go on");
}

#[tokio::test]
async fn a_node_has_one_session_at_a_time_and_an_event_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    history.tell(event(1, "n1", Kind::Started, "s1").into(), heard(1));
    let number = history.tell(event(2, "n1", Kind::Started, "s2").into(), heard(2));
    flushed(&history, number).await;
    let mut reader = Reader::open(dir.path()).unwrap();
    assert_eq!(ids(&reader.events(&page(9)).unwrap()), ["host-1-2", "host-1-1"]);
    let ends: Vec<_> =
        reader.sessions(None, None, 9).unwrap().iter().map(|session| session.end).collect();
    assert_eq!(ends, [None, Some(Kind::Lost)]);
    // It had not ended after all.
    let mut again = history.tell(event(3, "n1", Kind::Finished, "s2").into(), heard(2));
    flushed(&history, again).await;
    again = history.tell(event(4, "n1", Kind::Dumping, "s2").into(), heard(2));
    flushed(&history, again).await;
    assert_eq!(reader.sessions(None, None, 1).unwrap()[0].end, None);
}

#[tokio::test]
async fn a_disk_that_hangs_costs_what_does_not_fit_and_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    opened(&mut history).await;
    // Another writer is in the middle of something, and takes its time.
    let other = rusqlite::Connection::open(dir.path().join(NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let story: Arc<Event> = event(1, "n1", Kind::Phase, "s1").into();
    let began = std::time::Instant::now();
    let told = (0..ROOM + 5_000).filter(|_| history.tell(Arc::clone(&story), heard(1)).is_some());
    let told = told.count();
    assert!(began.elapsed() < Duration::from_secs(1), "nothing waits: {:?}", began.elapsed());
    assert!((ROOM..=ROOM + writer::BATCH).contains(&told), "{told}");
    let mut troubles = Vec::new();
    while troubles.len() < 2 {
        match next(&mut history).await {
            News::Trouble(trouble) => troubles.push(trouble.to_string()),
            other => panic!("{other:?}"),
        }
    }
    for said in ["another process keeps it locked", "events are waiting"] {
        assert!(troubles.iter().any(|trouble| trouble.contains(said)), "{troubles:?}");
    }
    let health = history.health();
    assert_eq!(health.lost, u64::try_from(ROOM + 5_000 - told).unwrap());
    assert!(health.trouble.is_some() && health.waiting > 0);
    other.execute_batch("ROLLBACK").unwrap();
    match next(&mut history).await {
        News::Again { lost, .. } => assert!(lost <= health.lost, "{lost}"),
        other => panic!("{other:?}"),
    }
    flushed(&history, Some(u64::try_from(told).unwrap())).await;
    let number = history.tell(event(2, "n2", Kind::Started, "s2").into(), heard(1));
    flushed(&history, number).await;
    assert!(history.health().trouble.is_none());
    assert!(history.health().failed > 0);
}

#[tokio::test]
async fn how_many_events_there_are_is_known_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    // The last one is told twice.
    let numbers = (0..7).chain([6]);
    let told =
        numbers.map(|one| history.tell(event(one, "n1", Kind::Phase, "s1").into(), heard(1)));
    let last = told.last().unwrap();
    flushed(&history, last).await;
    assert!(history.finish(Duration::from_secs(60)).await);
    let mut history = start(dir.path());
    opened(&mut history).await;
    let begun = std::time::Instant::now();
    while history.health().events != 7 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", history.health());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
