//! What is reached, with what stands in the plan.

use super::{LIMIT, Lab, MAC, NEEDS, agent_in, heard, next};
use fence_kdump_tests::datagram::BIG;
use fence_kdump_tests::{Need, Netns, Run, programs, requires};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The link-local address that the card makes itself, as the kernel would.
const OWN: &str = "fe80::ff:fe00:1%eth0";

/// Plan, destination, and who the agent believes to hear.
fn cases() -> Vec<(String, &'static str, &'static str)> {
    let link = |rest: &str| format!("link eth0 mac {MAC} {rest}");
    vec![
        (link("address 10.7.0.1/24"), "10.7.0.2", "10.7.0.1"),
        (link("address fd07::1/64"), "fd07::2", "fd07::1"),
        (link("address fe80::abcd/64"), "fe80::2%eth0", "fe80::abcd%eth0"),
        (link(""), "fe80::2", OWN),
        (link("address 10.7.0.1/24"), "10.7.0.255", "10.7.0.1"),
        (link("address 10.7.0.1/24"), "255.255.255.255", "10.7.0.1"),
    ]
}

#[test]
fn each_kind_of_address() {
    if !requires(&NEEDS) {
        return;
    }
    std::thread::scope(|scope| {
        for (plan, to, from) in cases() {
            scope.spawn(move || {
                let lab = Lab::new(&["10.7.0.2/24", "fd07::2/64", "fe80::2/64"]);
                let agent = lab.agent(from);
                let sender = lab.sender(&plan, &["-c1", to]).run(LIMIT).expect_success();
                assert!(sender.stderr.contains(": sent\n"), "{sender}");
                let _ = agent.wait_for(LIMIT).expect_success();
                lab.assert_unconfigured();
            });
        }
    });
}

#[test]
fn the_stock_agent_hears_it() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let agent = Run::new(programs::stock_agent()).args(["-n", "10.7.0.1", "-t", "20"]);
    let agent = agent.inside(&lab.peer).spawn();
    agent.wait_bound(7410);
    let plan = format!("link eth0 mac {MAC} address 10.7.0.1/24");
    let _ = lab.sender(&plan, &["-c2", "-i1", "10.7.0.2"]).run(LIMIT).expect_success();
    let _ = agent.wait_for(LIMIT).expect_success();
}

/// The words of the plan itself, and its names.
#[test]
fn a_plan_with_nodes() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24", "fd07::2/64"]);
    let sockets = [lab.peer.udp("10.7.0.2:7410"), lab.peer.udp("[fd07::2]:7410")];
    let plan = format!(
        "send -c 1 -i 5\nsend peer\nnode peer 10.7.0.2 fd07::2\n\
         link eth0 mac {MAC} address 10.7.0.1/24 address fd07::1/64"
    );
    let start = Instant::now();
    let output = lab.sender(&plan, &[]).run(LIMIT).expect_success();
    for socket in &sockets {
        heard(socket, start);
    }
    assert!(output.stderr.contains("peer 10.7.0.2: sent\n"), "{output}");
    // Nodes of the real command line take the place of the plan's, and its options count more.
    let output = lab.sender(&plan, &["-c2", "-i1", "10.7.0.2"]).run(LIMIT).expect_success();
    assert!(!output.stderr.contains("peer "), "{output}");
    assert_eq!(output.stderr.matches("10.7.0.2: sent\n").count(), 2, "{output}");
}

/// What is wrong with a plan is told, with its line, and costs nothing else.
#[test]
fn a_plan_that_is_wrong_in_parts() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let plan = format!("sent 10.7.0.9\nlink eth0 mac {MAC} vlan 5000 address 10.7.0.1/24");
    let output = lab.sender(&plan, &["-c1", "10.7.0.2"]).run(LIMIT).expect_success();
    for part in [
        "plan: line 2: 'sent' is not one of init, module, send, node, link\n",
        "plan: line 3: vlan: '5000' is not a VLAN's number from 1 to 4094\n",
    ] {
        assert_eq!(output.stderr.matches(part).count(), 1, "{part}: {output}");
    }
}

/// A node behind a router, for each family.
#[test]
fn through_a_gateway() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.254/24", "fe80::fe/64"]);
    let far = Netns::new();
    lab.peer.ip(&format!(
        "link add eth1 type veth peer name eth0 netns {}\nlink set eth1 up\n\
         addr add 10.9.0.254/24 dev eth1\naddr add fd09::fe/64 dev eth1 nodad\n\
         route add fd07::/64 dev eth0",
        far.path()
    ));
    lab.peer.enter(|| {
        for path in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{path}"), "1").expect("a router");
        }
    });
    far.ip("link set eth0 up\naddr add 10.9.0.3/24 dev eth0\naddr add fd09::3/64 dev eth0 nodad\n\
         route add default via 10.9.0.254\nroute add default via fd09::fe");
    let plan = format!(
        "link eth0 mac {MAC} address 10.7.0.1/24 route 10.9.0.0/16 10.7.0.254 \
         address fd07::1/64 route ::/0 fe80::fe"
    );
    for (to, from) in [("10.9.0.3", "10.7.0.1"), ("fd09::3", "fd07::1")] {
        let agent = agent_in(&far, from);
        let _ = lab.sender(&plan, &["-c1", to]).run(LIMIT).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    // No way there is told.
    let output = lab.sender(&plan, &["-c1", "-i1", "192.0.2.1"]).run(LIMIT).expect_failure();
    assert!(output.stderr.contains("192.0.2.1: the network is unreachable\n"), "{output}");
}

/// A host in VLAN 7 with 10.7.0.2, for kernels that know no VLANs: answers ARP, and says when it hears the
/// message. A packet socket is told of the tag beside the frame.
const VLAN_HOST: &str = r#"
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("eth0", 0))
s.setsockopt(263, 8, 1)
print("ready", flush=True)
while True:
    frame, besides, _, _ = s.recvmsg(2048, 256)
    tag = None
    for level, kind, data in besides:
        if (level, kind) == (263, 8):
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            tag = tci & 0xfff if status & 0x10 else None
    if tag != 7:
        continue
    me, ip = bytes([2, 0, 0, 0, 0, 2]), bytes([10, 7, 0, 2])
    if frame[12:14] == b"\x08\x06" and frame[38:42] == ip:
        asker = frame[6:12]
        s.send(asker + me + b"\x81\x00\x00\x07\x08\x06" + frame[14:20] + b"\0\2" + me + ip + frame[22:32])
    elif frame[12:14] == b"\x08\x00" and frame[36:38] == b"\x1c\xf2":
        print("heard", ".".join(map(str, frame[26:30])), flush=True)
"#;

#[test]
fn in_a_vlan() {
    if !requires(&[Need::Root, Need::Netns, Need::Python]) {
        return;
    }
    let lab = Lab::new(&[]);
    let host = Run::new("python3").args(["-c", VLAN_HOST]).inside(&lab.peer).spawn();
    host.wait_stdout_line("ready", LIMIT);
    let plan = |id| format!("link bond0.7 mac {MAC} vlan {id} address 10.7.0.1/24");
    let _ = lab.sender(&plan(8), &["-c1", "-i1", "10.7.0.2"]).run(LIMIT).expect_failure();
    assert!(!host.stdout().contains("heard"));
    let _ = lab.sender(&plan(7), &["-c1", "10.7.0.2"]).run(LIMIT).expect_success();
    host.wait_stdout_line("heard 10.7.0.1", LIMIT);
}

#[test]
fn to_groups() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24", "fe80::2/64"]);
    let v4 = lab.peer.udp("0.0.0.0:7410");
    let group = Ipv4Addr::new(239, 1, 2, 3);
    v4.join_multicast_v4(&group, &Ipv4Addr::new(10, 7, 0, 2)).expect("a group");
    let v6 = lab.peer.udp("[::]:7410");
    let group = "ff02::1:2".parse::<Ipv6Addr>().expect("a group");
    v6.join_multicast_v6(&group, lab.peer.interface("eth0")).expect("a group");
    let plan = format!("link eth0 mac {MAC} address 10.7.0.1/24");
    let start = Instant::now();
    let nodes = ["-c1", "239.1.2.3", "ff02::1:2%eth0"];
    let _ = lab.sender(&plan, &nodes).run(LIMIT).expect_success();
    heard(&v4, start);
    heard(&v6, start);
    // To where no link of that name is, nothing goes.
    let nodes = ["-c1", "-i1", "ff02::1:2%eth1"];
    let output = lab.sender(&plan, &nodes).run(LIMIT).expect_failure();
    assert!(output.stderr.contains("no such interface"), "{output}");
}

/// A switch that forgets within three seconds who listens to what, unless it is told again whenever it asks: it still
/// knows where the node's address is asked for.
#[test]
fn behind_a_switch_that_asks() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&[]);
    let far = Netns::new();
    lab.peer.ip(&format!(
        "link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_query_interval 100 \
         mcast_startup_query_interval 50 mcast_query_response_interval 50 mcast_membership_interval 300\n\
         link add eth1 type veth peer name eth0 netns {}\n\
         link set eth0 master br0\nlink set eth1 master br0\nlink set eth1 up\nlink set br0 up",
        far.path()
    ));
    far.ip("link set eth0 up\naddr add fd07::2/64 dev eth0 nodad");
    let socket = far.udp("[fd07::2]:7410");
    let plan = format!("link eth0 mac {MAC} address fd07::1/64");
    let sender = lab.sender(&plan, &["fd07::2"]).spawn();
    heard(&socket, Instant::now());
    sleep(Duration::from_secs(6));
    let show = Run::new("bridge").args(["mdb", "show"]).inside(&lab.peer).run(LIMIT);
    assert!(show.stdout.contains("port eth0 grp ff02::1:ff00:1 "), "{show}: {}", sender.stderr());
}

/// The small step: the kernel gets the addresses and routes, and sends.
#[test]
fn mode_kernel() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24", "fd07::2/64"]);
    lab.peer.ip("addr add 10.9.0.3/32 dev eth0");
    lab.node.enter(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0").expect("IPv6");
    });
    let plan = format!(
        "link eth0 mac {MAC} mode kernel address 10.7.0.1/24 address fd07::1/64 route 10.9.0.0/16 10.7.0.2"
    );
    for (to, from) in [("10.7.0.2", "10.7.0.1"), ("fd07::2", "fd07::1"), ("10.9.0.3", "10.7.0.1")] {
        let agent = lab.agent(from);
        let _ = lab.sender(&plan, &["-c1", to]).run(LIMIT).expect_success();
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    let show = Run::new("ip").args(["-o", "addr"]).inside(&lab.node).run(LIMIT).expect_success();
    for address in ["10.7.0.1/24", "fd07::1/64"] {
        assert!(show.stdout.contains(address), "{show}");
    }
}

/// The same source on a machine of the other byte order, whose emulator knows neither socket filters nor
/// memberships: it speaks without them.
#[test]
fn on_another_machine() {
    if !requires(&[Need::Root, Need::Netns, Need::QemuUser, Need::Senders]) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24", "fd07::2/64"]);
    let sockets = [lab.peer.udp("10.7.0.2:7410"), lab.peer.udp("[fd07::2]:7410")];
    let plan = format!(
        "send -c 2 -i 2 peer\nnode peer 10.7.0.2 fd07::2\n\
         link eth0 mac {MAC} address 10.7.0.1/24 address fd07::1/64"
    );
    let sender = Run::new("qemu-s390x-static")
        .arg(programs::sender_for("s390x"))
        .args(["-v", "--plan"])
        .arg(lab.plan(&plan))
        .inside(&lab.node);
    let _ = sender.run(LIMIT).expect_success();
    for socket in &sockets {
        assert_eq!(next(socket).0, BIG);
    }
}
