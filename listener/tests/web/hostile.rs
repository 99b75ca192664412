//! The web server and clients that mean harm: it goes on answering those who do not, and its memory stays
//! as it is. A program of its own, since memory is that of a whole process.

#[expect(dead_code, reason = "other tests need more of it")]
mod client;
#[expect(dead_code, reason = "other tests need more of it")]
mod fake;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{Follower, connect, get};
use fake::Fake;
use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::WebConfig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const MIB: u64 = 1024 * 1024;

/// One test at a time, so that memory is that of the test; and as many descriptors as there may be.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    alone
}

fn fake(connections: u16) -> Fake {
    let listen = "127.0.0.1:0".parse().unwrap();
    let fake = Fake::start_as(WebConfig { listen, connections, ..WebConfig::default() }).unwrap();
    fake.add(["a"]);
    fake
}

/// One number of `/metrics`.
fn number(address: SocketAddr, name: &str) -> u64 {
    let text = get(address, "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    // A gauge is written with a point.
    line.split('.').next().unwrap().parse().unwrap()
}

/// Answers soon.
fn assert_answers(address: SocketAddr) {
    let begin = Instant::now();
    assert_eq!(get(address, "/api/v1/fleet").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

/// How long the server takes to close `stream`, and what it says before; at most `most`.
fn closed(stream: &mut TcpStream, most: Duration) -> (Duration, String) {
    let begin = Instant::now();
    stream.set_read_timeout(Some(most)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed within {most:?}: {error}"),
    }
    (begin.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

/// Thousands connect and say nothing: whoever asks is answered all the same.
#[test]
fn thousands_who_say_nothing() {
    let _alone = alone();
    let fake = fake(64);
    let before = get(fake.address, "/metrics");
    assert_eq!(before.status, 200);
    let mut silent = Vec::new();
    for batch in 0..20 {
        silent.extend((0..100).map(|_| connect(fake.address)));
        if batch % 5 == 0 {
            assert_answers(fake.address);
        }
    }
    assert!(number(fake.address, "fence_kdump_web_open_connections") <= 64);
    assert!(number(fake.address, "fence_kdump_web_turned_away_total") >= 1900);
    assert!(number(fake.address, "process_open_fds") < 2200, "only the test's own ends are open");
    // The last of them are left alone for a while, and then closed.
    let mut last = silent.pop().unwrap();
    drop(silent);
    let (time, said) = closed(&mut last, Duration::from_secs(20));
    assert!(time > Duration::from_secs(5), "{time:?}");
    assert_eq!(said, "");
    assert_answers(fake.address);
}

/// Each byte just in time does not help.
#[test]
fn who_is_too_slow_is_left() {
    let _alone = alone();
    let fake = fake(16);
    let mut slow = connect(fake.address);
    let begin = Instant::now();
    let request =
        format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: {}", fake.address, "x".repeat(200));
    let mut sent = 0;
    for byte in request.bytes() {
        if slow.write_all(&[byte]).is_err() {
            break;
        }
        sent += 1;
        if begin.elapsed() > Duration::from_secs(20) {
            panic!("still there after {sent} bytes");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(sent > 10 && sent < request.len(), "{sent} bytes");
    // Nor does it help to ask once, and then to be silent.
    let mut idle = connect(fake.address);
    idle.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", fake.address).as_bytes())
        .unwrap();
    let (time, said) = closed(&mut idle, Duration::from_secs(30));
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(time > Duration::from_secs(2), "there is time for another request: {time:?}");
    assert_answers(fake.address);
}

/// Too much of everything: refused or cut off, and memory stays as it is.
#[test]
fn who_says_too_much() {
    let _alone = alone();
    let fake = fake(64);
    let address = fake.address;
    assert_answers(address);
    let before = number(address, "process_resident_memory_bytes");
    let host = format!("Host: {address}\r\n");
    let long = "x".repeat(1 << 20);
    let many = "X-A: b\r\n".repeat(5000);
    for (what, text, refused) in [
        ("a long path", format!("GET /{long} HTTP/1.1\r\n{host}\r\n"), "HTTP/1.1 4"),
        ("a long header", format!("GET / HTTP/1.1\r\n{host}X: {long}\r\n\r\n"), "HTTP/1.1 431"),
        ("many headers", format!("GET / HTTP/1.1\r\n{host}{many}\r\n"), "HTTP/1.1 431"),
        ("no HTTP", "\0\x01\x02 nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (
            "another length",
            format!("GET / HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            "HTTP/1.1 400",
        ),
        (
            "two lengths",
            format!("GET / HTTP/1.1\r\n{host}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            "HTTP/1.1 400",
        ),
    ] {
        let mut stream = connect(address);
        // The answer may come, and the end, before all is said.
        drop(stream.write_all(text.as_bytes()));
        let (_, said) = closed(&mut stream, Duration::from_secs(20));
        assert!(said.is_empty() || said.starts_with(refused), "{what}: {said}");
    }
    // Bodies that nobody wants: the connection ends, and they are never kept.
    let bodies = ["Content-Length: 10000000000\r\n", "Transfer-Encoding: chunked\r\n"];
    for (method, body) in
        ["GET", "POST"].iter().flat_map(|method| bodies.map(|body| (method, body)))
    {
        let mut stream = connect(address);
        let head = format!("{method} /api/v1/fleet HTTP/1.1\r\n{host}{body}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece =
            if body.starts_with('T') { format!("100000\r\n{long}\r\n") } else { long.clone() };
        let refused = (0..200).any(|_| stream.write_all(piece.as_bytes()).is_err());
        assert!(refused, "200 MiB were taken after {method} with {body}");
    }
    // Requests without end, by one who reads no answer.
    let mut greedy = connect(address);
    greedy.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let request = format!("GET /app.js HTTP/1.1\r\n{host}\r\n").repeat(1000);
    let stuck = (0..2000).any(|_| greedy.write_all(request.as_bytes()).is_err());
    assert!(stuck, "2,000,000 requests were taken from one who reads no answer");
    assert_answers(address);
    let after = number(address, "process_resident_memory_bytes");
    assert!(after < before + 32 * MIB, "{before} before, {after} after");
}

/// Who follows the events and does not read them gets no more than his share, and is told.
#[test]
fn followers_who_do_not_read() {
    const EVENTS: usize = 60_000;
    let _alone = alone();
    let fake = fake(64);
    let address = fake.address;
    let mut lazy: Vec<_> = (0..20).map(|_| Follower::start(address, None)).collect();
    assert_eq!(number(address, "fence_kdump_web_followers"), 20);
    let before = number(address, "process_resident_memory_bytes");
    for batch in 0..EVENTS / 100 {
        for _ in 0..100 {
            fake.happen("a", Kind::Phase);
        }
        // Those who look at the fleet meanwhile see it.
        if batch % 100 == 0 {
            assert_answers(address);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut diligent = Follower::start(address, None);
    fake.happen("a", Kind::Finished);
    assert_eq!(diligent.event()["kind"], "finished");
    let after = number(address, "process_resident_memory_bytes");
    // The test itself keeps each event, in less than 500 bytes.
    let own = u64::try_from(EVENTS).unwrap() * 500;
    assert!(after < before + own + 32 * MIB, "{before} before, {after} after");
    for follower in &mut lazy {
        let mut frames = std::iter::from_fn(|| Some(follower.next()));
        let reload = frames
            .by_ref()
            .take(EVENTS)
            .any(|frame| frame.iter().any(|line| line == "event: reload"));
        assert!(reload, "never told that events are missing");
    }
    assert!(number(address, "fence_kdump_web_reloads_total") >= 20);
    drop(lazy);
    fake.happen("a", Kind::Started);
    assert_eq!(diligent.event()["kind"], "started");
}

/// Those who go away leave nothing behind.
#[test]
fn who_vanishes_is_gone() {
    let _alone = alone();
    let fake = fake(64);
    let address = fake.address;
    assert_answers(address);
    let before = number(address, "process_open_fds");
    for path in ["/api/v1/events", "/api/v1/fleet", "/", "/api/v1/history"] {
        for _ in 0..200 {
            let mut stream = connect(address);
            let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
        }
        assert_answers(address);
    }
    let until = Instant::now() + Duration::from_secs(20);
    while number(address, "process_open_fds") > before + 3
        || number(address, "fence_kdump_web_followers") > 0
    {
        assert!(Instant::now() < until, "{}", get(address, "/metrics").body);
        std::thread::sleep(Duration::from_millis(200));
    }
    // More than can follow: the next is told so, and can as soon as one has gone.
    let mut followers: Vec<_> = (0..32).map(|_| Follower::start(address, None)).collect();
    let refused = get(address, "/api/v1/events");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
    assert_answers(address);
    followers.pop();
    let until = Instant::now() + Duration::from_secs(20);
    while number(address, "fence_kdump_web_followers") > 31 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(200));
    }
    followers.push(Follower::start(address, None));
    // All connections are busy, half of them following: whoever comes then is turned away, not served late.
    fake.world().past_hangs = true;
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = connect(address);
            let text = format!("GET /api/v1/history HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let (time, said) = closed(&mut connect(address), Duration::from_secs(5));
    assert!(said.is_empty() && time < Duration::from_secs(1), "{time:?} {said}");
    drop(asking);
    fake.world().past_hangs = false;
    std::thread::sleep(Duration::from_millis(500));
    assert_answers(address);
}

/// Without free descriptors nobody gets in; when there are some again, everybody does.
#[test]
fn no_descriptor_is_free() {
    let _alone = alone();
    let fake = fake(64);
    let address = fake.address;
    assert_answers(address);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let open = number(address, "process_open_fds");
    setrlimit(Resource::RLIMIT_NOFILE, open + 8, hard).unwrap();
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.extend(TcpStream::connect(address));
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(500));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!((1..9).contains(&streams.len()), "{} connections", streams.len());
    assert_answers(address);
}
