//! The JSON API, as programs see it.

use std::time::{Duration, Instant};

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::{NodeState, PastError};

use super::client::{Follower, get};
use super::fake::Fake;

#[test]
fn the_fleet_page_by_page() {
    let fake = Fake::start();
    fake.add((0..250).map(|number| format!("n{number:03}")));
    fake.happen("n200", Kind::Started);
    fake.happen("n100", Kind::Started);
    let mut names = Vec::new();
    for offset in (0..300).step_by(100) {
        let page = get(fake.address, &format!("/api/v1/fleet?offset={offset}&limit=100")).json();
        assert_eq!((&page["matching"], &page["states"]["started"]), (&250.into(), &2.into()));
        names.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["name"].clone()));
    }
    assert_eq!(names.len(), 250);
    assert_eq!(names[..4], ["n100", "n200", "n000", "n001"]);
    let found = get(fake.address, "/api/v1/fleet?q=N10&state=active").json();
    assert_eq!(found["nodes"][0]["name"], "n100");
    assert_eq!((&found["matching"], &found["nodes"][0]["key_id"]), (&1.into(), &"dead1001".into()));
    let beyond = get(fake.address, "/api/v1/fleet?offset=18446744073709551615").json();
    assert_eq!((&beyond["offset"], beyond["nodes"].as_array().unwrap().len()), (&250.into(), 0));
}

#[test]
fn the_history_page_by_page() {
    let fake = Fake::start();
    fake.add(["a", "b"]);
    for _ in 0..5 {
        for node in ["a", "b"] {
            fake.happen(node, Kind::Started);
            fake.happen(node, Kind::Finished);
        }
    }
    let mut ids = Vec::new();
    let mut path = "/api/v1/history?node=A&limit=3".to_owned();
    loop {
        let page = get(fake.address, &path).json();
        let events = page["events"].as_array().unwrap();
        assert!(events.iter().all(|event| event["node"] == "a"));
        ids.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/history?node=A&limit=3&before={next}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 10);
    assert_eq!((ids[0].as_str(), ids[9].as_str()), ("fake-1-18", "fake-1-1"));
    let exact = get(fake.address, "/api/v1/history?node=a&limit=10").json();
    assert!(exact.get("next").is_none(), "there are no older ones");
    fake.world().past_fails = Some(PastError::Off);
    let off = get(fake.address, "/api/v1/history");
    assert_eq!(off.status, 404);
    assert!(off.json()["detail"].as_str().unwrap().contains("without a store"));
}

/// A store that hangs costs those who ask for the history some seconds, and nobody else.
#[test]
fn a_store_that_hangs() {
    let fake = Fake::start();
    let address = fake.address;
    fake.world().past_hangs = true;
    let asked: Vec<_> =
        (0..20).map(|_| std::thread::spawn(move || get(address, "/api/v1/history"))).collect();
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    assert_eq!(get(address, "/api/v1/fleet").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(2));
    for asked in asked {
        let answer = asked.join().unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.json()["detail"].as_str().unwrap().contains("no answer within 5 s"));
    }
}

#[test]
fn events_as_they_happen_and_what_was_missed() {
    let fake = Fake::start();
    fake.add(["a"]);
    let mut first = Follower::start(fake.address, None);
    fake.happen("a", Kind::Started);
    let frame = first.next();
    assert_eq!(frame[0], "id: fake-1-1");
    assert!(frame[1].starts_with("data: {\"id\":\"fake-1-1\""), "{frame:?}");
    drop(first);
    for kind in [Kind::Dumping, Kind::Phase, Kind::Finished] {
        fake.happen("a", kind);
    }
    let mut again = Follower::start(fake.address, Some("fake-1-1"));
    for id in ["fake-1-2", "fake-1-3", "fake-1-4"] {
        assert_eq!(again.event()["id"], id);
    }
    // From before the server was started, or of too long ago: nobody knows what was missed.
    let mut stranger = Follower::start(fake.address, Some("fake-0-77"));
    assert_eq!(stranger.next(), ["id: fake-1-4", "event: reload", "data: {}"]);
    fake.happen("a", Kind::Started);
    assert_eq!(stranger.event()["id"], "fake-1-5");
    assert_eq!(again.event()["id"], "fake-1-5");
}

#[test]
fn health_says_what_is_wrong() {
    let mut fake = Fake::start();
    let ask = |path: &str| {
        let answer = get(fake.address, path);
        (answer.status, answer.json()["reasons"].to_string())
    };
    assert_eq!(ask("/healthz"), (200, "[]".to_owned()));
    assert_eq!(ask("/readyz"), (200, "[]".to_owned()));
    fake.world().summary.is_listening = false;
    fake.world().summary.troubles.push("The store is full.".to_owned());
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(ask("/healthz"), (200, "[\"The store is full.\"]".to_owned()));
    let (status, reasons) = ask("/readyz");
    assert_eq!(status, 503);
    assert!(reasons.contains("does not have UDP port 7410"), "{reasons}");
    fake.hang(Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(1100));
    let (status, reasons) = ask("/healthz");
    assert_eq!(status, 503);
    assert!(reasons.contains("has not answered"), "{reasons}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(ask("/healthz").0, 200, "it answers again");
    fake.die();
    std::thread::sleep(Duration::from_millis(1100));
    let answer = get(fake.address, "/healthz");
    assert_eq!(answer.status, 503);
}

/// 100,000 nodes, all in a dump: a page of them comes at once, and the daemon's loop is never kept long.
#[test]
fn a_hundred_thousand_nodes() {
    let fake = Fake::start();
    fake.add((0..100_000).map(|number| format!("node-{number:06}.example.org")));
    {
        let mut world = fake.world();
        let now = Instant::now();
        for node in &mut world.nodes {
            node.view.state = NodeState::Dumping;
            node.view.from = Some("192.0.2.9".parse().unwrap());
            (node.begun, node.heard) = (Some(now), Some(now));
        }
    }
    for path in ["/api/v1/fleet?limit=1000&offset=50000", "/api/v1/fleet?q=node-099999", "/metrics"]
    {
        let begin = Instant::now();
        let answer = get(fake.address, path);
        assert_eq!(answer.status, 200);
        // Far less in a program that was built for speed.
        assert!(begin.elapsed() < Duration::from_secs(3), "{path}: {:?}", begin.elapsed());
    }
}
