//! Others on the same host and the same wires: programs that hold the port, interfaces that lead
//! elsewhere.

use crate::{FAMILIES, NEEDS, agent, assert_timed_out};
use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Cluster, Netns, Proc, Run, programs, requires};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::Permissions;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
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
            Run::new(program).args(["-n", "10.77.0.2", "-t", timeout]).inside(net.node(1)).spawn()
        };
        // Holding the port of one family need not hinder the other; of IPv4, in cases 0 and 2,
        // nothing can be heard.
        let refused = asked("2");
        if index != 1 {
            node_speaks_until_the_end_of(&refused, &net, Duration::from_secs(4));
            let refused = refused.wait_for(Duration::from_secs(3)).expect_failure();
            assert!(refused.elapsed < Duration::from_secs(3), "{refused}");
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(said.contains("7410"), "does not name the port that is held: {refused}");
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
    net.node(1).ip(&format!("link add eth1 type veth peer name eth0 netns {}", elsewhere.path()));
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
        sent.send_to(&LITTLE, format!("[fe80::1%{index}]:7410")).expect("a network that takes it");
    };
    let asked = agent(&program, &net, &["-n", "fe80::2%eth0", "-t", "2"]);
    from(&elsewhere);
    assert_timed_out(asked.wait_for(Duration::from_secs(5)), Duration::from_secs(2));

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
    let asked = agent(&programs::ours("fence_kdump"), &net, &["-n", "10.77.0.2", "-t", "2"]);
    for (from, to) in [
        ("127.0.0.1", "127.0.0.1:7410"),
        ("127.0.0.2", "127.0.0.1:7410"),
        ("10.77.0.1", "10.77.0.1:7410"),
        ("::1", "[::1]:7410"),
        ("fd00:77::1", "[fd00:77::1]:7410"),
    ] {
        net.node(1).send(from, to, &LITTLE);
    }
    assert_timed_out(asked.wait_for(Duration::from_secs(5)), Duration::from_secs(2));
}

/// The user that every Linux has for those who may nothing.
const NOBODY: u32 = 65_534;

fn asked<'net>(net: &'net Cluster, timeout: &str) -> Run<'net> {
    let program = programs::ours("fence_kdump");
    Run::new(program).args(["-n", FAMILIES[0].0, "-t", timeout]).inside(net.node(1))
}

/// Whoever holds the port tells the other agents of the host what it heard, which is why a user
/// who holds it could tell them anything. So they do not believe an agent that runs as another
/// user, even when it says the truth.
#[test]
fn a_users_own_agent_is_not_believed() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let program = programs::ours("fence_kdump");
    let holder = |uid: u32| {
        // A copy where every user may run it.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path().join("fence_kdump");
        std::fs::copy(&program, &copy).expect("a readable program");
        for path in [folder.path(), copy.as_path()] {
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own");
        }
        let held = Run::new("setpriv")
            .args(["--reuid", &uid.to_string(), "--clear-groups"])
            .arg(copy)
            .args(["-n", "10.77.0.9", "-t", "30"])
            .inside(net.node(1))
            .spawn();
        held.wait_bound(PORT);
        (held, folder)
    };
    let nobodys = holder(NOBODY);
    let refused = asked(&net, "3").spawn();
    node_speaks_until_the_end_of(&refused, &net, Duration::from_secs(5));
    assert_timed_out(refused.wait_for(Duration::from_secs(3)), Duration::from_secs(3));
    drop(nobodys);

    // The twin: the same agent run by root is believed.
    let roots = holder(0);
    let served = asked(&net, "10").spawn();
    node_speaks_until_the_end_of(&served, &net, Duration::from_secs(5));
    let _ = served.wait_for(Duration::from_secs(2)).expect_success();
    drop(roots);
}

/// A user who takes the name by which agents find each other (`unix(7)`, abstract), but not the port,
/// keeps nobody from hearing the message.
#[test]
fn a_user_who_takes_the_seat_hinders_nobody() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let seat = net.node(1).enter(|| {
        // Of this thread alone, which ends here; the kernel notes who listens.
        let uid = Uid::from_raw(NOBODY);
        set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
        let seat = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        let name = SockAddr::unix("\0fence_kdump/7410").expect("a short name");
        seat.bind(&name).expect("a free seat");
        seat.listen(16).expect("a bound socket");
        seat
    });
    let free = asked(&net, "10").spawn();
    free.wait_bound(PORT);
    node_speaks_until_the_end_of(&free, &net, Duration::from_secs(8));
    let _ = free.wait_for(Duration::from_secs(2)).expect_success();
    drop(seat);
}
