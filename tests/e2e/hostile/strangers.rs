//! Others on the same host and the same wires: programs that hold the port, interfaces that lead
//! elsewhere.

use crate::{FAMILIES, NEEDS, agent, assert_timed_out};
use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Cluster, Netns, Proc, Run, programs, requires};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use socket2::{Domain, SockAddr, Socket, Type};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Sends the message to the agent's host ten times a second until `agent` ends.
fn node_speaks_until_the_end_of(agent: &Proc, net: &Cluster, limit: Duration) {
    let (node, to) = FAMILIES[0];
    while agent.is_running() && agent.elapsed() < limit {
        net.node(2).send(node, to, &LITTLE);
        thread::sleep(Duration::from_millis(100));
    }
}

/// A program that is none of ours holds the port: whatever it hears is no evidence for the agent,
/// and the agent does not wait beyond its time for it. When it goes, the agent listens itself.
#[test]
fn a_stranger_holds_the_port() {
    if !requires(&NEEDS) {
        return;
    }
    let strangers: [fn(&Netns) -> Vec<UdpSocket>; 3] = [
        |node| vec![node.udp("0.0.0.0:7410")],
        |node| vec![node.udp("[::]:7410")],
        |node| vec![node.udp("0.0.0.0:7410"), node.udp("[::]:7410")],
    ];
    for (index, hold) in strangers.into_iter().enumerate() {
        let net = Cluster::new(2);
        let held = hold(net.node(1));
        let asked = |timeout| {
            let program = programs::ours("fence_kdump");
            Run::new(program)
                .args(["-n", "10.77.0.2", "-t", timeout])
                .inside(net.node(1))
                .spawn()
        };
        // Holding the port of one family need not hinder the other; of IPv4, in cases 0 and 2,
        // nothing can be heard.
        let refused = asked("2");
        if index != 1 {
            node_speaks_until_the_end_of(&refused, &net, Duration::from_secs(4));
            let refused = refused.wait_for(Duration::from_secs(3)).expect_failure();
            assert!(refused.elapsed < Duration::from_secs(3), "{refused}");
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(
                said.contains("7410"),
                "does not name the port that is held: {refused}"
            );
        }
        drop(held);
        let free = asked("10");
        free.wait_bound(PORT);
        node_speaks_until_the_end_of(&free, &net, Duration::from_secs(4));
        let _ = free.wait_for(Duration::from_secs(2)).expect_success();
    }
}

/// A link-local address says nothing without its interface: the same address on another segment
/// is another node.
#[test]
fn the_same_link_local_address_on_another_segment() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let elsewhere = Netns::new();
    net.node(1).ip(&format!(
        "link add eth1 type veth peer name eth0 netns {}",
        elsewhere.path()
    ));
    for (node, interface, address) in [(net.node(1), "eth1", 1), (&elsewhere, "eth0", 2)] {
        node.ip(&format!(
            "link set {interface} addrgenmode none\nlink set {interface} up\n\
             addr add fe80::{address}/64 dev {interface} nodad"
        ));
    }
    let program = programs::ours("fence_kdump");
    let from = |node: &Netns| {
        let index = node.interface("eth0");
        let sent = node.udp(&format!("[fe80::2%{index}]:0"));
        sent.send_to(&LITTLE, format!("[fe80::1%{index}]:7410"))
            .expect("a network that takes it");
    };
    let asked = agent(&program, &net, &["-n", "fe80::2%eth0", "-t", "2"]);
    from(&elsewhere);
    assert_timed_out(
        asked.wait_for(Duration::from_secs(5)),
        Duration::from_secs(2),
    );

    for (interface, node) in [("eth0", net.node(2)), ("eth1", &elsewhere)] {
        let name = format!("fe80::2%{interface}");
        let asked = agent(&program, &net, &["-n", &name, "-t", "10"]);
        from(node);
        let _ = asked.wait_for(Duration::from_secs(3)).expect_success();
    }
}

/// Any user of the host can bind a port above 1023 and speak from the host's own addresses. That
/// user is believed about no other node.
#[test]
fn a_user_of_the_host_speaks_for_nobody() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let asked = agent(
        &programs::ours("fence_kdump"),
        &net,
        &["-n", "10.77.0.2", "-t", "2"],
    );
    for (from, to) in [
        ("127.0.0.1", "127.0.0.1:7410"),
        ("127.0.0.2", "127.0.0.1:7410"),
        ("10.77.0.1", "10.77.0.1:7410"),
        ("::1", "[::1]:7410"),
        ("fd00:77::1", "[fd00:77::1]:7410"),
    ] {
        net.node(1).send(from, to, &LITTLE);
    }
    assert_timed_out(
        asked.wait_for(Duration::from_secs(5)),
        Duration::from_secs(2),
    );
}

/// The seat where agents on one host find each other (`unix(7)`, abstract), and what sits there says
/// that the message was heard this very moment.
struct Liar {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Liar {
    /// Sits down in the network of `node` as the user `uid`.
    fn new(node: &Netns, uid: u32) -> Self {
        let seat = node.enter(|| {
            // Of this thread alone, which ends here; the kernel notes who listens.
            let uid = Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
            let seat = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
            let name = SockAddr::unix("\0fence_kdump/7410").expect("a short name");
            seat.bind(&name).expect("a free seat");
            seat.listen(16).expect("a bound socket");
            seat.set_nonblocking(true).expect("a socket");
            seat
        });
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || lie(&seat, &seen));
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// How many came and were lied to.
    fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("stopped once");
        thread.join().expect("the liar does not panic")
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// At most for 20 s.
fn lie(seat: &Socket, stop: &AtomicBool) -> u32 {
    let mut clients: Vec<Socket> = Vec::new();
    for _ in 0..400 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let now = now.tv_sec * 1_000_000_000 + now.tv_nsec;
        while let Ok((client, _)) = seat.accept() {
            let welcome = json!({ "type": "welcome", "pid": 1, "now": now, "listening": true });
            let _ = client.send(welcome.to_string().as_bytes());
            clients.push(client);
        }
        let from = FAMILIES[0].0;
        let heard =
            json!({ "type": "heard", "from": from, "at": now, "bytes": "402a301b01000000" });
        for client in &clients {
            let _ = client.send(heard.to_string().as_bytes());
        }
        thread::sleep(Duration::from_millis(50));
    }
    u32::try_from(clients.len()).expect("few")
}

/// Agents of one host tell each other what they heard. A user who takes their seat and tells them
/// lies is not believed, and does not keep them from hearing the message themselves.
#[test]
fn a_user_who_takes_the_seat_is_not_believed() {
    if !requires(&NEEDS) {
        return;
    }
    const NOBODY: u32 = 65_534;
    let net = Cluster::new(2);
    let asked = |timeout| {
        let program = programs::ours("fence_kdump");
        Run::new(program)
            .args(["-n", FAMILIES[0].0, "-t", timeout])
            .inside(net.node(1))
            .spawn()
    };
    let liar = Liar::new(net.node(1), NOBODY);
    assert_timed_out(
        asked("3").wait_for(Duration::from_secs(6)),
        Duration::from_secs(3),
    );
    let free = asked("10");
    free.wait_bound(PORT);
    node_speaks_until_the_end_of(&free, &net, Duration::from_secs(4));
    let _ = free.wait_for(Duration::from_secs(2)).expect_success();
    drop(liar);

    // The twin: the same words from root are those of a holder, so this test speaks the language.
    let net = Cluster::new(1);
    let root = Liar::new(net.node(1), 0);
    let program = programs::ours("fence_kdump");
    let asked = Run::new(program)
        .args(["-n", FAMILIES[0].0, "-t", "5"])
        .inside(net.node(1));
    let _ = asked.run(Duration::from_secs(8)).expect_success();
    assert!(root.stop() > 0, "nobody came to the seat");
}
