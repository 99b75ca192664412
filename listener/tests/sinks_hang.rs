//! Whatever its sinks do, whoever tells an event does not notice.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fence_kdump_core::{Phase, Proof};
use fence_kdump_listener::fleet::event::{Event, Kind};
use fence_kdump_listener::sink::{Counters, SinkConfig, Sinks};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// How many events are told.
const EVENTS: u64 = 100_000;

#[derive(Deserialize)]
struct Whole {
    sink: SinkConfig,
}

/// What is measured is the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn event(number: u64) -> Arc<Event> {
    Arc::new(Event {
        id: format!("host-1-{number}").as_str().into(),
        time_ms: number,
        node: format!("node{}.example.org", number % 20_000).into(),
        kind: Kind::ALL[usize::try_from(number % 6).unwrap()],
        session: format!("host-1-{number}").as_str().into(),
        from: Some("192.0.2.7".parse().unwrap()),
        proof: Some(Proof::Signed),
        phase: Some(Phase::Dumping),
        done: Some(number),
        total: Some(EVENTS),
        messages: 3,
    })
}

/// The memory of this process that is there now, in KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// What this thread has used of the processor.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(time.tv_sec().try_into().unwrap(), time.tv_nsec().try_into().unwrap())
}

fn counters_of(sinks: &Sinks, kind: &str) -> Counters {
    sinks.reader().counters().into_iter().find(|counters| counters.kind == kind).unwrap()
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells all events, one sink of each kind, and measures.
fn flood(case: &str, config: &str) -> Sinks {
    let config = toml::from_str::<Whole>(config).unwrap().sink;
    let sinks = Sinks::start(&config, Arc::new(|_, _| {})).unwrap();
    // So that they hang already.
    sinks.tell(&event(0));
    std::thread::sleep(Duration::from_millis(500));
    let events: Vec<_> = (1..1001).map(event).collect();
    let before = resident();
    let (begin, worked_before) = (Instant::now(), worked());
    let mut slowest = Duration::ZERO;
    for number in 1..=EVENTS {
        // As few allocations as possible in what is measured, but not the same event all the time.
        let event = &events[usize::try_from(number % 1000).unwrap()];
        let start = Instant::now();
        sinks.tell(event);
        slowest = slowest.max(start.elapsed());
    }
    let (took, worked) = (begin.elapsed(), worked() - worked_before);
    let counters = sinks.reader().counters();
    let each = took / u32::try_from(EVENTS).unwrap();
    let worked_each = worked / u32::try_from(EVENTS).unwrap();
    let grown = resident().saturating_sub(before);
    println!(
        "{case}: {EVENTS} events to {} sinks: {each:?} each ({worked_each:?} of processor), the slowest \
         {slowest:?}, {grown} KiB more memory",
        counters.len()
    );
    assert!(worked_each < Duration::from_micros(50), "{worked_each:?}");
    // Nothing that takes as long as a second was waited for, however busy the machine.
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
    for Counters { kind, told, delivered, dropped, failed, waiting, last_error, .. } in counters {
        println!(
            "  {kind}: told {told}, delivered {delivered}, dropped {dropped}, failed {failed}, waiting {waiting}, {last_error:?}"
        );
        assert_eq!(told, EVENTS + 1);
        assert_eq!(told, delivered + dropped + failed + waiting);
        assert!(waiting <= 1000 + 64, "{kind}: {waiting}");
    }
    // Four queues of a thousand, not a hundred thousand events.
    assert!(grown < 16 * 1024, "{grown} KiB");
    sinks
}

#[test]
fn every_sink_hangs() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let journal_socket = UnixDatagram::bind(&journal).unwrap();
    // Accept, since the system does so for them, and never say a word.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let nats = TcpListener::bind("127.0.0.1:0").unwrap();
    let pids = dir.path().join("pids");
    fs::create_dir(&pids).unwrap();
    let config = format!(
        "[sink.journal]\nsocket = '{}'\nqueue = 1000\n\
         [[sink.command]]\nargv = ['/bin/sh', '-c', '> {}/$$; exec sleep 60']\nqueue = 1000\nat_once = 4\n\
         [[sink.webhook]]\nurl = 'http://{}/'\ntimeout = '1m'\nqueue = 1000\n\
         [sink.nats]\nservers = ['nats://{}']\ntimeout = '1m'\nqueue = 1000\n",
        journal.display(),
        pids.display(),
        web.local_addr().unwrap(),
        nats.local_addr().unwrap(),
    );
    let sinks = flood("hanging", &config);
    let running = || fs::read_dir(&pids).unwrap().count();
    wait("commands run", || running() == 4);
    for kind in ["command", "webhook", "nats"] {
        assert_eq!(counters_of(&sinks, kind).delivered, 0);
    }
    // Whoever wants the end does not wait for them either.
    let begin = Instant::now();
    sinks.finish(Duration::from_millis(500));
    assert!(begin.elapsed() < Duration::from_secs(5));
    for pid in fs::read_dir(&pids).unwrap() {
        let pid = pid.unwrap().file_name().into_string().unwrap();
        let ended = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(ended.success());
    }
    drop((journal_socket, web, nats));
}

#[test]
fn every_sink_refuses_or_is_gone() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    drop(UnixDatagram::bind(&journal).unwrap());
    let closed = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[sink.journal]\nsocket = '{}'\nqueue = 1000\n\
         [[sink.command]]\nargv = ['/nonesuch']\nqueue = 1000\n\
         [[sink.webhook]]\nurl = 'http://{}/'\nqueue = 1000\n\
         [sink.nats]\nservers = ['nats://{}', 'nats://nosuchname.invalid']\nqueue = 1000\n",
        journal.display(),
        closed(),
        closed(),
    );
    let sinks = flood("refusing", &config);
    for kind in ["journal", "webhook", "nats"] {
        wait("it is known why", || counters_of(&sinks, kind).last_error.is_some());
        assert_eq!(counters_of(&sinks, kind).delivered, 0);
    }
    wait("all failed", || counters_of(&sinks, "command").waiting == 0);
}

#[test]
fn every_sink_is_slow() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let journal_socket = UnixDatagram::bind(&journal).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while journal_socket.recv(&mut buffer).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    // Takes a connection, and a second later closes it.
    let slow = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::sleep(Duration::from_secs(1));
                drop(stream);
            }
        });
        address
    };
    let config = format!(
        "[sink.journal]\nsocket = '{}'\nqueue = 1000\n\
         [[sink.command]]\nargv = ['/bin/sleep', '0.5']\nqueue = 1000\n\
         [[sink.webhook]]\nurl = 'http://{}/'\nqueue = 1000\n\
         [sink.nats]\nservers = ['nats://{}']\nqueue = 1000\n",
        journal.display(),
        slow(),
        slow(),
    );
    let before = threads();
    let sinks = flood("slow", &config);
    // One for the sinks, and those that start programs and look names up.
    assert!(threads() <= before + 1 + 8, "{} threads, {before} before", threads());
    for kind in ["journal", "command"] {
        wait("some arrive", || counters_of(&sinks, kind).delivered > 0);
    }
}
