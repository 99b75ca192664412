//! Our programs and the stock ones understand each other, in both directions.

use fence_kdump_tests::datagram::{BIG, LITTLE, PORT};
use fence_kdump_tests::{Cluster, Need, Netns, Output, Proc, Run, programs, requires};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Stock];

/// Longer than any of these programs takes when it works.
const LIMIT: Duration = Duration::from_secs(8);

fn our_agent() -> PathBuf {
    programs::ours("fence_kdump")
}

fn our_sender() -> PathBuf {
    programs::ours("fence_kdump_send")
}

/// An agent on node 1 that listens, with 6 s to hear something.
fn listening(program: &Path, net: &Cluster, args: &[&str]) -> Proc {
    listening_on(net.node(1), Run::new(program).args(args))
}

fn listening_on<'net>(node: &'net Netns, agent: Run<'net>) -> Proc {
    let agent = agent.args(["-t", "6"]).inside(node).spawn();
    agent.wait_bound(PORT);
    agent
}

/// The sender on node 2 says once, to everything in `args`, that its crash kernel runs.
fn says(program: &Path, net: &Cluster, args: &[&str]) -> Output {
    let sender = Run::new(program).args(["-c", "1", "-i", "1"]).args(args).inside(net.node(2));
    sender.run(LIMIT)
}

/// `sender` on node 2 is heard by `agent` on node 1: over either family, named in any way.
fn hears(agent: &Path, sender: &Path) {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["-n", "10.77.0.2"], &["10.77.0.1"]),
        (&["-n", "fd00:77::2"], &["fd00:77::1"]),
        (&["-n", "10.77.0.2", "-f", "ipv4"], &["-f", "ipv4", "10.77.0.1"]),
        (&["-n", "fd00:77::2", "-f", "ipv6"], &["-f", "ipv6", "fd00:77::1"]),
        (&["-n", "10.77.0.9,10.77.0.2"], &["10.77.0.8", "10.77.0.1"]),
        (&["-n", "fd00:77::9,fd00:77::2"], &["fd00:77::8", "fd00:77::1"]),
    ];
    std::thread::scope(|scope| {
        for (asked, told) in cases {
            scope.spawn(move || {
                let net = Cluster::new(2);
                let agent = listening(agent, &net, asked);
                let sent = says(sender, &net, told);
                let _ = agent.wait_for(LIMIT).expect_success();
                let _ = sent.expect_success();
            });
        }
    });
}

/// The control: what the stock tools do with each other, so that the others mean something.
#[test]
fn stock_hears_stock() {
    if requires(&NEEDS) {
        hears(&programs::stock_agent(), &programs::stock_sender());
    }
}

#[test]
fn stock_hears_our_sender() {
    if requires(&NEEDS) {
        hears(&programs::stock_agent(), &our_sender());
    }
}

#[test]
fn our_agent_hears_stock() {
    if requires(&NEEDS) {
        hears(&our_agent(), &programs::stock_sender());
    }
}

#[test]
fn our_agent_hears_our_sender() {
    if requires(&NEEDS) {
        hears(&our_agent(), &our_sender());
    }
}

/// One sender, both families in one list, three listeners of both makes.
#[test]
fn one_sender_tells_many_nodes() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(4);
    let agents = [
        (1, our_agent(), "10.77.0.2"),
        (3, programs::stock_agent(), "fd00:77::2"),
        (4, our_agent(), "fd00:77::2"),
    ]
    .map(|(number, agent, node)| {
        listening_on(net.node(number), Run::new(agent).args(["-n", node]))
    });
    let list = ["10.77.0.1", "fd00:77::3", "fd00:77::4", "10.77.0.99"];
    let _ = says(&our_sender(), &net, &list).expect_success();
    for agent in agents {
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// Both families in one list, which the stock agent refuses.
#[test]
fn our_agent_takes_both_families_in_one_list() {
    if !requires(&NEEDS) {
        return;
    }
    for (list, told) in [
        ("10.77.0.2,fd00:77::2", "10.77.0.1"),
        ("10.77.0.2,fd00:77::2", "fd00:77::1"),
        ("fd00:77::9,10.77.0.9,10.77.0.2", "10.77.0.1"),
        ("10.77.0.9,fd00:77::9,fd00:77::2", "fd00:77::1"),
    ] {
        let net = Cluster::new(2);
        let agent = listening(&our_agent(), &net, &["-n", list]);
        let _ = says(&programs::stock_sender(), &net, &[told]).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// Every address of a name counts, not the first alone.
#[test]
fn our_agent_hears_every_address_of_a_name() {
    if !requires(&NEEDS) {
        return;
    }
    let hosts = "127.0.0.1 localhost\n10.77.0.9 n2\n10.77.0.2 n2\nfd00:77::2 n2 also-n2\n";
    for told in ["10.77.0.1", "fd00:77::1"] {
        let net = Cluster::new(2);
        let agent = Run::new(our_agent()).args(["-n", "n2"]).file("/etc/hosts", hosts);
        let agent = listening_on(net.node(1), agent);
        let _ = says(&programs::stock_sender(), &net, &[told]).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    // The twin: an address that the name does not have.
    let net = Cluster::new(3);
    let agent = Run::new(our_agent()).args(["-n", "n2", "-t", "2"]).file("/etc/hosts", hosts);
    let agent = agent.inside(net.node(1)).spawn();
    agent.wait_bound(PORT);
    net.node(3).send("10.77.0.3", "10.77.0.1:7410", &LITTLE);
    let _ = agent.wait_for(LIMIT).expect_failure();
}

fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).expect("a datagram within the time limit");
    buffer[..length].to_vec()
}

/// Every address of a name gets the message, and it is the eight bytes the stock agent wants.
#[test]
fn our_sender_tells_every_address_of_a_name() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let hosts = "10.77.0.1 listener\n10.77.0.3 listener\nfd00:77::1 listener\n";
    let listeners = [
        net.node(1).udp("10.77.0.1:7410"),
        net.node(3).udp("10.77.0.3:7410"),
        net.node(1).udp("[fd00:77::1]:7410"),
    ];
    let sender = Run::new(our_sender())
        .args(["-c", "1", "-i", "1", "listener"])
        .file("/etc/hosts", hosts)
        .inside(net.node(2));
    let _ = sender.run(LIMIT).expect_success();
    let native = if cfg!(target_endian = "big") { BIG } else { LITTLE };
    for listener in &listeners {
        assert_eq!(received(listener), native);
        listener.set_nonblocking(true).expect("a socket");
        let more = listener.recv_from(&mut [0; 64]);
        assert!(more.is_err(), "told to send one message, sent another: {more:?}");
    }
}

/// Link-local addresses need the interface named, on both sides.
#[test]
fn link_local_addresses_with_their_zone() {
    if !requires(&NEEDS) {
        return;
    }
    for sender in [our_sender(), programs::stock_sender()] {
        let net = Cluster::new(2);
        let agent = listening(&our_agent(), &net, &["-n", "fe80::2%eth0"]);
        let _ = says(&sender, &net, &["fe80::1%eth0"]).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// One datagram for the whole segment, which is the first limit in the stock sender's man page.
#[test]
fn one_datagram_tells_the_whole_segment() {
    if !requires(&NEEDS) {
        return;
    }
    for (told, node) in [
        (&["10.77.0.255"][..], "10.77.0.2"),
        (&["-f", "ipv4", "224.0.0.1"], "10.77.0.2"),
        (&["ff02::1%eth0"], "fe80::2%eth0"),
    ] {
        let net = Cluster::new(3);
        // 224.0.0.1 needs a way out; a real node has a default route.
        net.node(2).ip("route add default dev eth0");
        let agents = [(1, our_agent()), (3, programs::stock_agent())].map(|(number, agent)| {
            listening_on(net.node(number), Run::new(agent).args(["-n", node]))
        });
        let _ = says(&our_sender(), &net, told).expect_success();
        for agent in agents {
            let _ = agent.wait_for(LIMIT).expect_success();
        }
    }
}

#[test]
fn another_port() {
    if !requires(&NEEDS) {
        return;
    }
    let pairs = [
        (our_agent(), our_sender()),
        (our_agent(), programs::stock_sender()),
        (programs::stock_agent(), our_sender()),
    ];
    for (agent, sender) in pairs {
        let net = Cluster::new(2);
        let agent = Run::new(agent).args(["-n", "10.77.0.2", "-p", "7777", "-t", "6"]);
        let agent = agent.inside(net.node(1)).spawn();
        agent.wait_bound(7777);
        let _ = says(&sender, &net, &["-p", "7777", "10.77.0.1"]).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// What an s390x sends, byte by byte: the stock agent on this machine does not know it, ours does.
#[test]
fn our_agent_hears_big_endian() {
    if !requires(&NEEDS) {
        return;
    }
    for (node, to) in [("10.77.0.2", "10.77.0.1:7410"), ("fd00:77::2", "[fd00:77::1]:7410")] {
        let net = Cluster::new(2);
        let agent = listening(&our_agent(), &net, &["-n", node]);
        net.node(2).send(node, to, &BIG);
        let _ = agent.wait_for(LIMIT).expect_success();
    }
}

/// Our senders for other machines, under qemu-user: the s390x one speaks big-endian.
#[test]
fn senders_of_other_machines_are_heard() {
    if !requires(&[&NEEDS[..], &[Need::QemuUser, Need::Senders]].concat()) {
        return;
    }
    let machines = [
        ("s390x", "s390x", BIG),
        ("aarch64", "aarch64", LITTLE),
        ("powerpc64le", "ppc64le", LITTLE),
    ];
    for (machine, emulator, bytes) in machines {
        let sender = programs::sender_for(machine);
        let net = Cluster::new(2);
        let says = || {
            Run::new(format!("qemu-{emulator}-static"))
                .arg(&sender)
                .args(["-c", "1", "-i", "1", "10.77.0.1", "fd00:77::1"])
                .inside(net.node(2))
                .run(LIMIT)
        };
        let listeners = [net.node(1).udp("10.77.0.1:7410"), net.node(1).udp("[fd00:77::1]:7410")];
        let _ = says().expect_success();
        for listener in &listeners {
            assert_eq!(received(listener), bytes, "{machine}");
        }
        drop(listeners);
        for node in ["10.77.0.2", "fd00:77::2"] {
            let agent = listening(&our_agent(), &net, &["-n", node]);
            let _ = says().expect_success();
            let _ = agent.wait_for(LIMIT).expect_success();
        }
    }
}
