//! `fence_kdumpd` as an administrator and a service manager have it: its configuration, its restarts, and
//! what is thrown at it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, requires};
use serde_json::Value;

#[path = "daemon/configuration.rs"]
mod configuration;
#[path = "daemon/killed.rs"]
mod killed;
#[path = "daemon/service.rs"]
mod service;
#[path = "daemon/thrown.rs"]
mod thrown;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(30);

/// A host with a daemon that has a configuration file, and a journal that the test reads.
struct Host {
    net: Netns,
    journal: UnixDatagram,
}

impl Host {
    /// With this configuration, besides where everything is.
    fn new(config: &str) -> Self {
        let net = Netns::new();
        let journal = UnixDatagram::bind(net.folder().join("journal")).expect("a socket");
        journal.set_nonblocking(true).expect("our own socket");
        let host = Self { net, journal };
        host.configure(config);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.net.folder().join(name)
    }

    /// Writes the configuration; tables come after everything else in it.
    fn configure(&self, config: &str) {
        let folder = self.net.folder().display();
        let (top, tables) = match config.find("\n[") {
            Some(at) => config.split_at(at),
            None if config.starts_with('[') => ("", config),
            None => (config, ""),
        };
        let text = format!(
            "state_dir = \"{folder}/state\"\n{top}\n{tables}\n[sink.journal]\nsocket = \"{folder}/journal\"\n"
        );
        fs::write(self.path("fence_kdumpd.toml"), text).expect("our own folder");
    }

    fn run(&self) -> Run<'_> {
        Run::new(programs::ours("fence_kdumpd"))
            .arg("--config")
            .arg(self.path("fence_kdumpd.toml"))
            .inside(&self.net)
    }

    /// The daemon, once it hears.
    fn start(&self) -> Proc {
        let daemon = self.run().spawn();
        daemon.wait_stderr_line("listening on UDP port", LIMIT);
        daemon
    }

    /// `host` of 127.0.x.y sends a message.
    fn speak(&self, address: &str) {
        self.net.send(address, &format!("127.0.0.1:{PORT}"), &LITTLE);
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        Run::new(programs::ours("fence_kdumpctl")).args(arguments).inside(&self.net).run(LIMIT)
    }

    /// What is known of all nodes.
    fn status(&self) -> Vec<Value> {
        let text = self.ctl(&["status", "--json"]).expect_success().stdout;
        let status: Value = serde_json::from_str(&text).expect("JSON");
        status["nodes"].as_array().expect("a list").clone()
    }

    fn node(&self, name: &str) -> Option<Value> {
        self.status().into_iter().find(|node| node["name"] == name)
    }

    /// State and number of messages of a node.
    fn state(&self, name: &str) -> (String, u64) {
        let node = self.node(name).unwrap_or_else(|| panic!("{name} is not known"));
        let state = node["state"].as_str().expect("a word").to_owned();
        (state, node["messages"].as_u64().expect("a number"))
    }

    /// Waits until a node is in this state after so many messages.
    fn wait_state(&self, name: &str, state: &str, messages: u64) {
        let begun = Instant::now();
        loop {
            let found = self.state(name);
            if found == (state.to_owned(), messages) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{name} is {found:?}, not {state} after {messages}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// All events that the journal has got by now: kind, node, session.
    fn events(&self) -> Vec<[String; 3]> {
        let mut events = Vec::new();
        let mut entry = vec![0; 65_536];
        while let Ok(length) = self.journal.recv(&mut entry) {
            let text = String::from_utf8_lossy(&entry[..length]).into_owned();
            let field = |name: &str| {
                let start = format!("FENCE_KDUMP_{name}=");
                let value = text.lines().find_map(|line| line.strip_prefix(&start));
                value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
            };
            events.push(["KIND", "NODE", "SESSION"].map(field));
        }
        events
    }

    /// The events of the journal, once there are so many.
    fn wait_events(&self, count: usize) -> Vec<[String; 3]> {
        let begun = Instant::now();
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.events());
            assert!(begun.elapsed() < LIMIT, "{events:?}");
            thread::sleep(Duration::from_millis(20));
        }
        events
    }
}

/// A file of nodes n0, n1 … at 127.1.x.y, and its line in the configuration.
fn fleet(host: &Host, nodes: usize) -> String {
    let line = |node: usize| format!("n{node} {}\n", address(node));
    let path = host.path("nodes");
    fs::write(&path, (0..nodes).map(line).collect::<String>()).expect("our own folder");
    format!("nodes_file = \"{}\"\n", path.display())
}

fn address(node: usize) -> String {
    format!("127.1.{}.{}", node / 200, node % 200 + 1)
}
