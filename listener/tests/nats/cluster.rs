//! Real NATS servers with JetStream, on loopback, for one test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use fence_kdump_listener::fleet::event::Event;
use fence_kdump_tests::{Proc, Run, programs};
use tempfile::TempDir;

/// How long to wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Servers; they end, and what they kept is gone, when this is dropped.
pub(crate) struct Servers {
    dir: TempDir,
    ports: Vec<Ports>,
    running: Vec<Option<Proc>>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    cluster: u16,
    monitor: u16,
}

/// What the stream holds: each event with the id under which it is known there.
pub(crate) struct Stored {
    pub(crate) events: Vec<Event>,
    pub(crate) subjects: Vec<String>,
    pub(crate) replicas: usize,
}

/// Ports that nobody has at the moment.
fn free<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Servers {
    /// A cluster of `count`, or one that is alone, with `more` in the configuration of each.
    pub(crate) fn start(count: usize, more: &str) -> Self {
        let ports: Vec<_> = (0..count)
            .map(|_| free())
            .map(|[client, cluster, monitor]| Ports { client, cluster, monitor })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let mut servers = Self { dir, ports, running: Vec::new() };
        for number in 0..count {
            let text = servers.configuration(number, more);
            fs::write(servers.file(number), text).unwrap();
            servers.running.push(None);
            servers.revive(number);
        }
        servers
    }

    fn file(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("n{number}.conf"))
    }

    fn configuration(&self, number: usize, more: &str) -> String {
        let Ports { client, cluster, monitor } = self.ports[number];
        let store = self.dir.path().join(format!("n{number}"));
        let mut text = format!(
            "server_name: n{number}\nlisten: 127.0.0.1:{client}\nhttp: 127.0.0.1:{monitor}\n\
             jetstream {{ store_dir: '{}', max_mem: 64M, max_file: 1G }}\n{more}\n",
            store.display()
        );
        if self.ports.len() > 1 {
            let routes =
                self.ports.iter().map(|other| format!("nats://127.0.0.1:{}", other.cluster));
            let routes: Vec<_> = routes.collect();
            text.push_str(&format!(
                "cluster {{ name: test, listen: 127.0.0.1:{cluster}, routes: [{}] }}\n",
                routes.join(", ")
            ));
        }
        text
    }

    /// Kills server `number` as a power cut would.
    pub(crate) fn kill(&mut self, number: usize) {
        drop(self.running[number].take().expect("it runs").kill());
    }

    /// Starts server `number`, with what it kept.
    pub(crate) fn revive(&mut self, number: usize) {
        let server = programs::system("nats-server").expect("asked for");
        let running = Run::new(server).arg("-c").arg(self.file(number)).spawn();
        running.wait_stderr_line("Server is ready", Duration::from_secs(30));
        self.running[number] = Some(running);
    }

    /// Stops server `number` where it is, or lets it go on: connected, and silent.
    pub(crate) fn freeze(&self, number: usize, signal: &str) {
        let pid = self.running[number].as_ref().expect("it runs").pid().to_string();
        let done = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(done.success());
    }

    /// Where server `number` listens.
    pub(crate) fn port(&self, number: usize) -> u16 {
        self.ports[number].client
    }

    /// The URLs, as the configuration of a sink has them.
    pub(crate) fn urls(&self) -> String {
        let urls = self.ports.iter().map(|ports| format!("'nats://127.0.0.1:{}'", ports.client));
        format!("[{}]", urls.collect::<Vec<_>>().join(", "))
    }

    /// Which servers listeners are connected to.
    pub(crate) fn connected(&self) -> Vec<usize> {
        let mut connected = Vec::new();
        for (number, ports) in self.ports.iter().enumerate() {
            let said = get(ports.monitor, "/connz").unwrap_or_default();
            if said.contains(r#""name": "fence_kdumpd""#) {
                connected.push(number);
            }
        }
        connected
    }

    /// Waits until one is connected: which server to.
    pub(crate) fn wait_connected(&self) -> usize {
        let mut connected = Vec::new();
        until("a listener is connected", || {
            connected = self.connected();
            !connected.is_empty()
        });
        connected[0]
    }

    /// For looking, not for the listener.
    pub(crate) async fn client(&self) -> async_nats::Client {
        self.client_as(async_nats::ConnectOptions::new()).await
    }

    pub(crate) async fn client_as(
        &self,
        options: async_nats::ConnectOptions,
    ) -> async_nats::Client {
        let urls: Vec<_> =
            self.ports.iter().map(|ports| format!("nats://127.0.0.1:{}", ports.client)).collect();
        options.connect(urls).await.unwrap()
    }

    /// Reads the whole stream back, which has at least so many events as soon as its servers agree again.
    pub(crate) async fn stored(&self, at_least: usize) -> Stored {
        let context = jetstream::new(self.client().await);
        let start = Instant::now();
        loop {
            let stored = read_stream(&context).await;
            match stored {
                Some(stored) if stored.events.len() >= at_least => return stored,
                _ => assert!(start.elapsed() < PATIENCE, "not {at_least} events in time"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Reads the whole bucket back, by key; it has at least so many as soon as its servers agree again.
    pub(crate) async fn states(&self, at_least: usize) -> BTreeMap<String, Event> {
        let context = jetstream::new(self.client().await);
        let start = Instant::now();
        loop {
            let states = read_bucket(&context).await;
            match states {
                Some(states) if states.len() >= at_least => return states,
                _ => assert!(start.elapsed() < PATIENCE, "not {at_least} keys in time"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// `None` while the servers have no answer.
async fn read_stream(context: &jetstream::Context) -> Option<Stored> {
    let stream = context.get_stream("FENCE_KDUMP").await.ok()?;
    let info = stream.cached_info();
    let mut stored =
        Stored { events: Vec::new(), subjects: Vec::new(), replicas: info.config.num_replicas };
    for sequence in 1..=info.state.last_sequence {
        let message = stream.get_raw_message(sequence).await.ok()?;
        let event: Event = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), event.id.to_string());
        stored.events.push(event);
        stored.subjects.push(message.subject.to_string());
    }
    Some(stored)
}

/// `None` while the servers have no answer.
async fn read_bucket(context: &jetstream::Context) -> Option<BTreeMap<String, Event>> {
    let stream = context.get_stream("KV_fence_kdump_nodes").await.ok()?;
    let mut states = BTreeMap::new();
    let state = &stream.cached_info().state;
    for sequence in state.first_sequence..=state.last_sequence {
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            // The older values of a key are gone.
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => continue,
            Err(_) => return None,
        };
        let key = message.subject.as_str().strip_prefix("$KV.fence_kdump_nodes.").unwrap();
        let event = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(states.insert(key.to_owned(), event), None);
    }
    Some(states)
}

impl Drop for Servers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (number, running) in self.running.iter().enumerate() {
                let said = running.as_ref().map(Proc::stderr).unwrap_or_default();
                let from = said.len().saturating_sub(3000);
                eprintln!("n{number} said ...{}", said.get(from..).unwrap_or_default());
            }
        }
    }
}

fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
