//! A process without descriptors delivers its events once it has some again.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fence_kdump_listener::fleet::event::{Event, Kind};
use fence_kdump_listener::sink::{Counters, SinkConfig, Sinks};
use nix::sys::resource::{Resource, setrlimit};
use serde::Deserialize;

#[derive(Deserialize)]
struct Whole {
    sink: SinkConfig,
}

fn event(number: u64) -> Arc<Event> {
    Arc::new(Event {
        id: format!("host-1-{number}").as_str().into(),
        time_ms: number,
        node: format!("n{number}").into(),
        kind: Kind::Started,
        session: "s".into(),
        from: None,
        proof: None,
        phase: None,
        done: None,
        total: None,
        messages: 1,
    })
}

// Alone in its program: what it takes away, it takes from the whole process.
#[test]
fn without_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let journal_socket = UnixDatagram::bind(&journal).unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    std::thread::spawn(move || {
        loop {
            // Without a descriptor there is no connection yet.
            let Ok((mut stream, _)) = web.accept() else {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let told = dir.path().join("told");
    let text = format!(
        "[sink.journal]\nsocket = '{}'\n\
         [[sink.command]]\nargv = ['/bin/sh', '-c', 'echo x >> {}']\n\
         [[sink.webhook]]\nurl = 'http://{address}/'\n",
        journal.display(),
        told.display(),
    );
    let config = toml::from_str::<Whole>(&text).unwrap().sink;
    let sinks = Sinks::start(&config, Arc::new(|_, _| {})).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut all = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        all.push(file);
    }
    assert!(!all.is_empty());
    for number in 1..=4 {
        sinks.tell(&event(number));
    }
    std::thread::sleep(Duration::from_millis(700));
    for Counters { kind, delivered, waiting, .. } in sinks.reader().counters() {
        assert_eq!((delivered, waiting), (0, 4), "{kind}");
    }
    drop(all);
    let start = Instant::now();
    while sinks.reader().counters().iter().any(|counters| counters.delivered < 4) {
        let late = start.elapsed() > Duration::from_secs(60);
        assert!(!late, "not in time: {:?}", sinks.reader());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_to_string(told).unwrap().lines().count(), 4);
    drop(journal_socket);
}
