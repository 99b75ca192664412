//! Link mode: the sender where the kernel has no network configuration, and IPv6 switched off besides;
//! what hears it is the built agent, or the stock one, in another network namespace.

#[path = "sender_link/hostile.rs"]
mod hostile;
#[path = "sender_link/learnt.rs"]
mod learnt;
#[path = "sender_link/poisoned.rs"]
mod poisoned;
#[path = "sender_link/reach.rs"]
mod reach;
#[path = "sender_link/several.rs"]
mod several;
#[path = "sender_link/signed.rs"]
mod signed;

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Proc, Run, programs, requires};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

/// How long anything may take here. Most of it takes a tenth of a second.
const LIMIT: Duration = Duration::from_secs(30);

/// The card of the crashed node.
const MAC: &str = "02:00:00:00:00:01";
/// That of its peer.
const PEER: &str = "02:00:00:00:00:02";

/// A crashed node with the card `net0`, which is down, and at the other end a peer with the card `eth0`.
struct Lab {
    node: Netns,
    peer: Netns,
}

/// Runs `action` with the kernel's IPv6 switched off for cards to come.
fn without_ipv6(net: &Netns) {
    net.enter(|| {
        for scope in ["all", "default"] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
        }
    });
}

impl Lab {
    /// `addresses` are the peer's, with their prefixes.
    fn new(addresses: &[&str]) -> Self {
        let lab = Self { node: Netns::new(), peer: Netns::new() };
        without_ipv6(&lab.node);
        lab.cable("net0", MAC, "eth0", PEER);
        lab.peer_has("eth0", addresses);
        lab
    }

    /// One more cable. The peer's end is up.
    fn cable(&self, name: &str, mac: &str, peer: &str, peer_mac: &str) {
        self.node.ip(&format!(
            "link add {name} address {mac} type veth peer name {peer} address {peer_mac} netns {}",
            self.peer.path()
        ));
        self.peer.ip(&format!("link set {peer} addrgenmode none\nlink set {peer} up"));
    }

    fn peer_has(&self, card: &str, addresses: &[&str]) {
        for address in addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            self.peer.ip(&format!("addr add {address} dev {card} {nodad}"));
        }
    }

    /// Writes a plan.
    fn plan(&self, lines: &str) -> PathBuf {
        let path = self.node.folder().join("plan");
        std::fs::write(&path, format!("fence_kdump_plan 1\n{lines}\n")).expect("our own folder");
        path
    }

    /// The sender with a plan of these lines, and more words.
    fn sender(&self, lines: &str, words: &[&str]) -> Run<'_> {
        Run::new(programs::ours("fence_kdump_send"))
            .args(["-v", "--plan"])
            .arg(self.plan(lines))
            .args(words)
            .inside(&self.node)
    }

    /// An agent at the peer that waits for a message from `address`.
    fn agent(&self, address: &str) -> Proc {
        agent_in(&self.peer, address)
    }

    /// The kernel of the node has nothing to send from.
    fn assert_unconfigured(&self) {
        let show = Run::new("ip").args(["-o", "addr"]).inside(&self.node).run(LIMIT);
        let text = show.expect_success().stdout;
        let others: Vec<_> = text.lines().filter(|line| !line.contains(": lo ")).collect();
        assert!(others.is_empty(), "{text}");
    }
}

fn agent_in(net: &Netns, address: &str) -> Proc {
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", address, "-t", "30"])
        .args(["--state-dir".into(), net.folder().join(address.replace(':', "_"))])
        .inside(net)
        .spawn();
    agent.wait_bound(PORT);
    agent
}

/// The next datagram, within [`LIMIT`], and where it came from.
#[track_caller]
fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 600];
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => return (buffer[..length].to_vec(), from),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no message: {error}"),
        }
    }
}

/// How long it took until the first message came to `socket`, at most [`LIMIT`].
#[track_caller]
fn heard(socket: &UdpSocket, since: Instant) -> Duration {
    assert_eq!(next(socket).0, LITTLE);
    since.elapsed()
}

/// Whatever came to `socket` is forgotten.
fn forget(socket: &UdpSocket) {
    socket.set_nonblocking(true).expect("our own socket");
    while socket.recv(&mut [0; 600]).is_ok() {}
    socket.set_nonblocking(false).expect("our own socket");
}

/// What it costs while it speaks over two links.
#[test]
fn memory() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    lab.cable("net1", "02:00:00:00:01:01", "eth1", "02:00:00:00:01:02");
    let socket = lab.peer.udp("10.7.0.2:7410");
    let plan = format!(
        "link eth0 mac {MAC} address 10.7.0.1/24 dhcp4 slaac\n\
         link eth1 mac 02:00:00:00:01:01 dhcp4 slaac vlan 7"
    );
    let sender = lab.sender(&plan, &["-i1", "10.7.0.2"]).spawn();
    heard(&socket, Instant::now());
    heard(&socket, Instant::now());
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", sender.pid()));
    let rollup = rollup.expect("it runs");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a sum");
    let kib: u32 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("sender over links: {kib} KiB of 112 resident");
    assert!(kib <= 112, "{kib} KiB");
}

#[test]
fn the_man_page_is_sound() {
    if !requires(&[Need::Mandoc]) {
        return;
    }
    let page = programs::workspace().join("dist/man/fence_kdump.plan.5");
    let lint = Run::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).run(LIMIT);
    assert!(lint.stdout.is_empty(), "{lint}");
}
