//! Events and states in real NATS servers: nothing is lost, nothing is there twice, and every node's
//! key has its latest event, whichever servers die meanwhile.

mod cluster;
mod login;
mod proxy;
mod sites;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use cluster::{Servers, Stored, until};
use fence_kdump_listener::fleet::event::{Event, Kind};
use fence_kdump_listener::sink::{Counters, SinkConfig, Sinks, token};
use fence_kdump_tests::{Need, requires};
use proxy::Proxy;
use serde::Deserialize;

/// How many nodes the events are of.
const NODES: u64 = 300;

#[derive(Deserialize)]
struct Whole {
    sink: SinkConfig,
}

/// What a listener says to people, kept.
type Said = Arc<Mutex<Vec<String>>>;

/// A listener with nothing but NATS.
fn listener(servers: &str, more: &str) -> (Sinks, Said) {
    let said = Said::default();
    let kept = Arc::clone(&said);
    let text = format!("[sink.journal]\nenabled = false\n[sink.nats]\nservers = {servers}\n{more}");
    let config = toml::from_str::<Whole>(&text).unwrap().sink;
    let say = Arc::new(move |_, line: &str| kept.lock().unwrap().push(line.to_owned()));
    (Sinks::start(&config, say).unwrap(), said)
}

/// Event `number` of the listener `run`, at that time in milliseconds.
fn event(run: &str, number: u64, node: &str, time_ms: u64) -> Arc<Event> {
    let kinds = [Kind::Started, Kind::Dumping, Kind::Phase, Kind::Finished];
    Arc::new(Event {
        id: format!("{run}-{number}").as_str().into(),
        time_ms,
        node: node.into(),
        kind: kinds[usize::try_from(number / NODES % 4).unwrap()],
        session: format!("{run}-{}", number % NODES).as_str().into(),
        from: Some("192.0.2.7".parse().unwrap()),
        proof: None,
        phase: None,
        done: None,
        total: None,
        messages: 1,
    })
}

fn node(number: u64) -> String {
    format!("Node{}.example.org", number % NODES)
}

/// Tells the events of these numbers, one every `pause`.
fn tell(sinks: &Sinks, numbers: std::ops::RangeInclusive<u64>, pause: Duration) {
    for number in numbers {
        sinks.tell(&event("h-1", number, &node(number), 1_700_000_000_000 + number));
        std::thread::sleep(pause);
    }
}

fn counters(sinks: &Sinks) -> Counters {
    let counters = sinks.reader().counters().remove(0);
    let Counters { told, delivered, dropped, failed, waiting, .. } = counters;
    assert_eq!(told, delivered + dropped + failed + waiting);
    counters
}

fn wait_delivered(sinks: &Sinks, count: u64) {
    let start = Instant::now();
    while counters(sinks).delivered != count {
        let late = start.elapsed() > Duration::from_secs(120);
        assert!(!late, "not {count} in time: {:?}", counters(sinks));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn number(event: &Event) -> u64 {
    event.id.numbered().unwrap().1
}

/// Checks that exactly the events of `numbers` are stored, each once, those of a node in order, and that
/// the latest of each node is its state.
async fn check(servers: &Servers, numbers: std::ops::RangeInclusive<u64>) -> Stored {
    let told = usize::try_from(numbers.end() - numbers.start() + 1).unwrap();
    let stored = servers.stored(told).await;
    let mut seen = BTreeSet::new();
    let mut latest: BTreeMap<String, u64> = BTreeMap::new();
    for (event, subject) in stored.events.iter().zip(&stored.subjects) {
        let number = number(event);
        assert!(seen.insert(number), "{} is there twice", event.id);
        let expected = self::event("h-1", number, &node(number), 1_700_000_000_000 + number);
        assert_eq!(event, &*expected);
        let key = token(&event.node);
        assert_eq!(*subject, format!("fence_kdump.event.{key}.{}", event.kind));
        if let Some(before) = latest.insert(key, number) {
            assert!(before < number, "{}: {before} after {number}", event.node);
        }
    }
    let missing: Vec<_> = numbers.clone().filter(|number| !seen.contains(number)).collect();
    assert_eq!(missing, Vec::<u64>::new(), "these are not there");
    assert_eq!(seen.len(), told);
    let states = servers.states(latest.len()).await;
    let states: BTreeMap<_, _> =
        states.into_iter().map(|(key, event)| (key, self::number(&event))).collect();
    assert_eq!(states, latest);
    stored
}

fn block_on<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(task)
}

#[test]
fn servers_die_one_after_the_other_and_nothing_is_lost_or_there_twice() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let mut servers = Servers::start(3, "");
    let (sinks, _) = listener(&servers.urls(), "timeout = '2s'");
    let pause = Duration::from_millis(1);
    tell(&sinks, 1..=600, pause);
    // So that something is there when the first dies.
    until("some are delivered", || counters(&sinks).delivered > 0);
    let mut numbers = 601_u64;
    for _ in 0..3 {
        // The one that the listener is connected to, in the middle of its work.
        let connected = servers.wait_connected();
        tell(&sinks, numbers..=numbers + 199, pause);
        servers.kill(connected);
        tell(&sinks, numbers + 200..=numbers + 599, pause);
        servers.revive(connected);
        tell(&sinks, numbers + 600..=numbers + 799, pause);
        numbers += 800;
    }
    let told = numbers - 1;
    wait_delivered(&sinks, told);
    let Counters { dropped, failed, waiting, .. } = counters(&sinks);
    assert_eq!((dropped, failed, waiting), (0, 0, 0));
    let stored = block_on(check(&servers, 1..=told));
    assert_eq!(stored.replicas, 3);
    sinks.finish(Duration::from_secs(10));
}

#[test]
fn all_servers_are_down_for_a_while_and_nothing_is_lost_or_there_twice() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let mut servers = Servers::start(3, "");
    let (sinks, said) = listener(&servers.urls(), "timeout = '2s'");
    tell(&sinks, 1..=1000, Duration::from_micros(500));
    until("some are delivered", || counters(&sinks).delivered > 0);
    for server in 0..3 {
        servers.kill(server);
    }
    let start = Instant::now();
    tell(&sinks, 1001..=3000, Duration::ZERO);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    until("people are told", || {
        said.lock().unwrap().iter().any(|line| line.contains("events wait"))
    });
    assert!(counters(&sinks).waiting >= 2000 && counters(&sinks).last_error.is_some());
    for server in 0..3 {
        servers.revive(server);
    }
    wait_delivered(&sinks, 3000);
    block_on(check(&servers, 1..=3000));
    until("people are told", || {
        said.lock().unwrap().iter().any(|line| line.contains("delivered again"))
    });
    sinks.finish(Duration::from_secs(10));
}

/// A server that is connected and says nothing is as good as dead.
#[test]
fn a_server_hangs_and_another_is_found() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(3, "");
    let (sinks, _) = listener(&servers.urls(), "timeout = '1s'");
    tell(&sinks, 1..=500, Duration::ZERO);
    wait_delivered(&sinks, 500);
    let connected = servers.wait_connected();
    servers.freeze(connected, "-STOP");
    tell(&sinks, 501..=1000, Duration::ZERO);
    wait_delivered(&sinks, 1000);
    servers.freeze(connected, "-CONT");
    block_on(check(&servers, 1..=1000));
}

/// The stream has events of which the listener cannot know it; so it sends them again.
#[test]
fn acknowledgements_are_lost_and_nothing_is_there_twice() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(1, "");
    let proxy = Proxy::to(servers.port(0));
    let (sinks, _) = listener(&proxy.url(), "timeout = '1s'");
    tell(&sinks, 1..=100, Duration::ZERO);
    wait_delivered(&sinks, 100);
    proxy.mute(true);
    tell(&sinks, 101..=150, Duration::ZERO);
    block_on(servers.stored(101));
    assert_eq!(counters(&sinks).delivered, 100);
    proxy.mute(false);
    tell(&sinks, 151..=200, Duration::ZERO);
    wait_delivered(&sinks, 200);
    block_on(check(&servers, 1..=200));
}

/// What does not fit while nobody takes it is counted; the latest are kept, in order.
#[test]
fn what_is_too_much_is_counted_and_the_latest_are_kept() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let mut servers = Servers::start(1, "");
    let (sinks, said) = listener(&servers.urls(), "queue = 400\ntimeout = '1s'");
    tell(&sinks, 1..=10, Duration::ZERO);
    wait_delivered(&sinks, 10);
    servers.kill(0);
    tell(&sinks, 11..=2000, Duration::ZERO);
    let Counters { dropped, waiting, .. } = counters(&sinks);
    // Those that were on their way come on top.
    assert!((400..=464).contains(&waiting) && dropped == 1990 - waiting, "{waiting}");
    servers.revive(0);
    wait_delivered(&sinks, 2000 - dropped);
    let stored = block_on(servers.stored(400));
    let numbers: Vec<_> = stored.events.iter().map(number).collect();
    assert!(numbers.ends_with(&(1601..=2000).collect::<Vec<_>>()));
    assert_eq!(stored.replicas, 1);
    let states = block_on(servers.states(300));
    assert_eq!(number(&states[&token(&node(2000))]), 2000);
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("events are lost: only 400 can wait"), "{said}");
}

/// Several listeners, each with its own view and speed, and one bucket.
#[test]
fn an_older_event_never_overwrites_a_newer_one() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(3, "");
    // One after the other, so that both find the stream and the bucket of the first.
    let (one, _) = listener(&servers.urls(), "");
    one.tell(&event("one-1", 1, "n1", 5000));
    wait_delivered(&one, 1);
    let (other, _) = listener(&servers.urls(), "");
    for (sinks, event, expected) in [
        (&other, event("other-1", 1, "n1", 4000), "one-1-1"),
        (&other, event("other-1", 2, "n1", 6000), "other-1-2"),
        (&one, event("one-1", 2, "n1", 5500), "other-1-2"),
        // Its clock was set back: its own order counts.
        (&other, event("other-1", 3, "n1", 3000), "other-1-3"),
        (&one, event("one-1", 3, "N1", 3001), "one-1-3"),
    ] {
        sinks.tell(&event);
        until("it is delivered", || counters(sinks).waiting == 0);
        let states = block_on(servers.states(1));
        assert_eq!(states.len(), 1);
        assert_eq!(states["n1"].id, expected);
    }
    // Many at once, from both: the latest by the clock wins, since each has a node once.
    let mut latest = BTreeMap::new();
    for number in 0..200 {
        let (mine, others) = (9000 + number * 7 % 13, 9000 + number * 5 % 11);
        let name = format!("m{number}");
        let id = if mine > others { "one-1" } else { "other-1" };
        if mine != others {
            latest.insert(name.clone(), format!("{id}-{}", 100 + number));
        }
        one.tell(&event("one-1", 100 + number, &name, mine));
        other.tell(&event("other-1", 100 + number, &name, others));
    }
    until("all are delivered", || counters(&one).waiting == 0 && counters(&other).waiting == 0);
    let states = block_on(servers.states(201));
    for (name, id) in latest {
        assert_eq!(states[&name].id, id.as_str(), "{name}");
    }
    let stored = block_on(servers.stored(406));
    assert_eq!(stored.events.len(), 6 + 400);
}

/// What somebody removed, or wrote there by hand, is no obstacle.
#[test]
fn a_key_that_was_removed_or_is_no_event_is_written_again() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(1, "");
    let (sinks, _) = listener(&servers.urls(), "");
    tell(&sinks, 1..=3, Duration::ZERO);
    wait_delivered(&sinks, 3);
    block_on(async {
        let context = jetstream::new(servers.client().await);
        let bucket = context.get_key_value("fence_kdump_nodes").await.unwrap();
        bucket.delete(token(&node(1))).await.unwrap();
        bucket.purge(token(&node(2))).await.unwrap();
        bucket.put(token(&node(3)), "by hand".into()).await.unwrap();
    });
    tell(&sinks, NODES + 1..=NODES + 3, Duration::ZERO);
    wait_delivered(&sinks, 6);
    let states = block_on(servers.states(3));
    let numbers: Vec<_> = states.values().map(number).collect();
    assert_eq!(numbers, [NODES + 1, NODES + 2, NODES + 3]);
}

/// Both are made anew when somebody removes them.
#[test]
fn a_stream_and_a_bucket_that_are_removed_come_again() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(1, "");
    let (sinks, _) = listener(&servers.urls(), "timeout = '1s'\nreplicas = 1");
    tell(&sinks, 1..=5, Duration::ZERO);
    wait_delivered(&sinks, 5);
    for stream in ["KV_fence_kdump_nodes", "FENCE_KDUMP"] {
        block_on(async {
            let context = jetstream::new(servers.client().await);
            context.delete_stream(stream).await.unwrap();
        });
        let before = counters(&sinks).delivered;
        tell(&sinks, before + 1..=before + 5, Duration::ZERO);
        wait_delivered(&sinks, before + 5);
    }
    let numbers: Vec<_> = block_on(servers.stored(5)).events.iter().map(number).collect();
    assert_eq!(numbers, [11, 12, 13, 14, 15]);
    assert_eq!(block_on(servers.states(10)).len(), 10);
}

/// A stream that somebody made before stays as it is.
#[test]
fn what_is_there_already_is_left_alone() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let servers = Servers::start(1, "");
    block_on(async {
        let context = jetstream::new(servers.client().await);
        let config = jetstream::stream::Config {
            name: "FENCE_KDUMP".into(),
            subjects: vec!["fence_kdump.>".into()],
            max_age: Duration::from_secs(3600),
            duplicate_window: Duration::from_secs(60),
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
    });
    let (sinks, said) = listener(&servers.urls(), "");
    tell(&sinks, 1..=5, Duration::ZERO);
    wait_delivered(&sinks, 5);
    block_on(check(&servers, 1..=5));
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("stream FENCE_KDUMP knows the ids of events for 1m only"), "{said}");
    block_on(async {
        let context = jetstream::new(servers.client().await);
        let stream = context.get_stream("FENCE_KDUMP").await.unwrap();
        assert_eq!(stream.cached_info().config.max_age, Duration::from_secs(3600));
    });
}
