//! Many at once.

use super::*;

#[tokio::test]
async fn readers_and_the_writer_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    opened(&mut history).await;
    let folder = dir.path().to_owned();
    let number = history.tell(event(0, "n0", Kind::Started, "s0").into(), heard(1));
    flushed(&history, number).await;
    let reader = std::thread::spawn(move || {
        let mut reader = Reader::open(&folder).unwrap();
        let mut most = 0;
        while most < 5_000 {
            let entries = reader.events(&page(100)).unwrap();
            let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
            assert!(numbers.is_sorted_by(|newer, older| newer > older));
            most = numbers[0];
        }
    });
    let mut last = None;
    for number in 1..5_000 {
        let node = format!("n{number}");
        last = history
            .tell(event(number, &node, Kind::Started, &format!("s{number}")).into(), heard(1));
    }
    flushed(&history, last).await;
    reader.join().unwrap();
    assert_eq!(history.health().lost, 0);
    assert!(history.finish(PATIENCE).await);
    let (known, _) = opened(&mut start(dir.path())).await;
    assert_eq!(known.len(), 5_000);
}

#[tokio::test]
async fn the_web_server_asks_the_archive() {
    use crate::web::past::{Past as _, PastError, Wanted};

    let dir = tempfile::tempdir().unwrap();
    let mut history = start(dir.path());
    let archive = Archive::start(&history).unwrap();
    let number = (1..=9)
        .map(|number| {
            let node = format!("n{}", number % 2);
            history.tell(event(number, &node, Kind::Phase, "s1").into(), heard(1))
        })
        .last();
    flushed(&history, number.unwrap()).await;
    let ask = async |node: Option<&str>, before: Option<&str>| {
        let (node, before) = (node.map(str::to_owned), before.map(str::to_owned));
        let wanted = Wanted { node, before, limit: 2 };
        let found = timeout(PATIENCE, archive.history(wanted)).await.unwrap();
        found.map(|events| events.into_iter().map(|event| event.id).collect::<Vec<_>>())
    };
    assert_eq!(ask(None, None).await.unwrap(), ["host-1-9", "host-1-8"]);
    assert_eq!(ask(Some("N1"), Some("host-1-7")).await.unwrap(), ["host-1-5", "host-1-3"]);
    let nowhere = Err(PastError::NoEvent("x".to_owned()));
    assert_eq!(ask(None, Some("x")).await, nowhere);
    std::fs::remove_file(dir.path().join(NAME)).unwrap();
    assert!(matches!(ask(None, None).await, Err(PastError::Failed(_))));
    let number = history.tell(event(10, "n1", Kind::Started, "s2").into(), heard(1));
    flushed(&history, number).await;
    assert_eq!(ask(None, None).await.unwrap(), ["host-1-10"], "and anew");
}
