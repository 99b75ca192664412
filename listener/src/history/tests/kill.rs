//! Killed at any moment: what was acknowledged is there.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use super::*;

/// In the process that is killed: where it writes.
const WRITE_TO: &str = "HISTORY_TEST_WRITES_TO";

/// How often it is killed.
const KILLS: u64 = 40;

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    const NAME: &str = "history::tests::kill::what_was_acknowledged_is_there_after_a_kill";
    if let Some(dir) = env::var_os(WRITE_TO) {
        return write_for_good(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(WRITE_TO, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = || {
            lines.by_ref().map_while(Result::ok).find_map(|line| {
                let (_, number) = line.rsplit_once("ACK ")?;
                number.parse::<u64>().ok()
            })
        };
        // It has said so, and then some more time passes: none, or up to some commits.
        acknowledged = told().expect("it writes").max(acknowledged);
        thread::sleep(Duration::from_micros(round * 7_919 % 30_000));
        child.kill().unwrap();
        while let Some(number) = told() {
            acknowledged = number;
        }
        child.wait().unwrap();
        let mut reader = Reader::open(dir.path()).unwrap();
        let newest = reader.events(&page(1)).unwrap();
        let (newest, count) = (newest[0].number, newest[0].event.done.unwrap());
        assert_eq!(newest, count, "none is missing before it");
        assert!(newest >= acknowledged, "round {round}: {newest} of {acknowledged}");
        // Of a hundred nodes, each session that is known goes on or has ended as the last event says.
        let known = reader.known().unwrap();
        let expected = usize::try_from(newest.min(100)).unwrap();
        assert_eq!(known.len(), expected);
        for Known { session, heard } in known {
            let done = session.done.unwrap();
            assert!(done + 100 > newest, "{session:?} is older than it could be");
            assert_eq!(session.end.is_some(), done % 300 >= 200, "{session:?}");
            assert_eq!(heard, Some(super::heard(done)));
        }
    }
    let integrity = rusqlite::Connection::open(dir.path().join(super::NAME)).unwrap();
    let integrity: String =
        integrity.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

/// Goes on where the process before was killed: event number N says that it is N.
#[tokio::main(flavor = "current_thread")]
async fn write_for_good(dir: &Path) {
    let mut history = start(dir);
    let (known, _) = opened(&mut history).await;
    let mut number = known.iter().filter_map(|known| known.session.done).max().unwrap_or(0);
    let mut done = history.flushed();
    let before = number;
    loop {
        for _ in 0..50 {
            number += 1;
            let node = number % 100;
            let round = number / 300;
            let kind = match number % 300 / 100 {
                0 => Kind::Started,
                1 => Kind::Dumping,
                _ => Kind::Finished,
            };
            let session = format!("s{node}-{round}");
            let event = event(number, &format!("n{node}"), kind, &session);
            history.tell(event.into(), heard(number)).unwrap();
        }
        let told = number - before;
        let part = told.saturating_sub(20);
        drop(done.wait_for(|done| *done >= part).await.unwrap());
        let line = format!("ACK {}\n", before + *done.borrow());
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}
