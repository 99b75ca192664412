//! Daemons as they are built, at two sites, and one view of all nodes.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::sink::token;
use fence_kdump_tests::{Need, Proc, Run, datagram, requires};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::block_on;
use crate::cluster::{Servers, until};

const PATIENCE: Duration = Duration::from_secs(120);

/// How many nodes a site has of its own.
const NODES: u8 = 40;

/// A daemon with all that is its own.
struct Site {
    dir: TempDir,
    number: u8,
    port: u16,
    daemon: Option<Proc>,
}

impl Site {
    /// The first site or the second, whose events go to `servers`. One node, *both*, is heard at both of them.
    fn start(number: u8, servers: &Servers) -> Self {
        let held = UdpSocket::bind("[::]:0").unwrap();
        let port = held.local_addr().unwrap().port();
        drop(held);
        let dir = tempfile::tempdir().unwrap();
        let mut nodes = format!("both {}\n", address(0, 1));
        for node in 1..=NODES {
            nodes.push_str(&format!("{} {}\n", name(number, node), address(number, node)));
        }
        let path = |name: &str| dir.path().join(name);
        fs::write(path("nodes"), nodes).unwrap();
        let config = format!(
            "port = {port}\nstate_dir = {:?}\nnodes_file = {:?}\n\
             [sink.nats]\nservers = {}\ntimeout = '2s'\n",
            path("state"),
            path("nodes"),
            servers.urls()
        );
        fs::write(path("config"), config).unwrap();
        let mut site = Self { dir, number, port, daemon: None };
        site.begin();
        site
    }

    fn begin(&mut self) {
        let daemon = Run::new(env!("CARGO_BIN_EXE_fence_kdumpd"));
        let daemon = daemon.arg("--config").arg(self.dir.path().join("config")).spawn();
        daemon.wait_stderr_line("listening on UDP port", PATIENCE);
        self.daemon = Some(daemon);
    }

    /// It is told to end, and does.
    fn end(&mut self) {
        let daemon = self.daemon.take().expect("it runs");
        daemon.signal(Signal::TERM);
        drop(daemon.wait_for(PATIENCE).expect_success());
    }

    /// These nodes of the site send a message.
    fn speak(&self, nodes: impl IntoIterator<Item = u8>) {
        nodes.into_iter().for_each(|node| self.send(address(self.number, node)));
    }

    fn send(&self, from: Ipv4Addr) {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.send_to(&datagram::LITTLE, ("127.0.0.1", self.port)).unwrap();
    }
}

fn name(site: u8, node: u8) -> String {
    format!("site{site}-n{node}")
}

fn address(site: u8, node: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, site, node)
}

#[test]
fn two_sites_give_one_view_while_a_server_dies_and_a_daemon_is_restarted() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let mut servers = Servers::start(3, "");
    let mut one = Site::start(1, &servers);
    let two = Site::start(2, &servers);
    let all = 1..=NODES;
    // Each is in its crash kernel, and then dumps.
    one.speak(1..=10);
    two.speak(1..=10);
    let events = |count: usize| block_on(servers.stored(count)).events.len();
    until("what both say is stored", || events(20) >= 20);
    let connected = servers.wait_connected();
    one.speak(11..=20);
    two.speak(11..=20);
    servers.kill(connected);
    one.speak(21..=NODES);
    two.speak(21..=NODES);
    servers.revive(connected);
    // The same node, heard at both sites.
    one.send(address(0, 1));
    two.send(address(0, 1));
    let told = usize::from(NODES) * 2 + 2;
    assert_eq!(block_on(servers.stored(told)).events.len(), told);
    // A daemon that is restarted knows what it had told, and goes on.
    one.end();
    two.speak(all.clone());
    one.begin();
    one.speak(all.clone());
    one.send(address(0, 1));
    two.send(address(0, 1));
    let told = told * 2;
    let stored = block_on(servers.stored(told));
    assert_eq!(stored.replicas, 3);
    let ids: BTreeSet<_> = stored.events.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(
        (stored.events.len(), ids.len()),
        (told, told),
        "none is missing, none is there twice"
    );
    let of = |name: &str| -> Vec<Kind> {
        stored.events.iter().filter(|event| *event.node == *name).map(|event| event.kind).collect()
    };
    for (site, node) in
        [1, 2].into_iter().flat_map(|site| all.clone().map(move |node| (site, node)))
    {
        assert_eq!(of(&name(site, node)), [Kind::Started, Kind::Dumping], "{site}, {node}");
    }
    assert_eq!(of("both").iter().filter(|kind| **kind == Kind::Started).count(), 2);
    // One view: a key for each node, with what it did last.
    let keys = usize::from(NODES) * 2 + 1;
    until("the view is that of the latest events", || {
        let states = block_on(servers.states(keys));
        assert_eq!(states.len(), keys);
        states.values().all(|event| event.kind == Kind::Dumping)
    });
    let states = block_on(servers.states(keys));
    assert_eq!(*states[&token("both")].node, *"both");
}
