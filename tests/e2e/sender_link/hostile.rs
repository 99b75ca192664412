//! Surroundings that do what they can to keep the sender from speaking, or to make it despair.

use super::{LIMIT, Lab, MAC, NEEDS, forget, heard};
use fence_kdump_tests::{Netns, Run, requires};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, Type};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PLAN: &str = "link eth0 mac 02:00:00:00:00:01 address 10.7.0.1/24";

/// No carrier for ten seconds, and then one: the message leaves as soon as it is there.
#[test]
fn no_carrier_for_long() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    lab.peer.ip("link set eth0 down");
    let sender = lab.sender(PLAN, &["10.7.0.2"]).spawn();
    sender.wait_stderr_line(&format!("net0 {MAC}: no carrier yet"), LIMIT);
    sender.wait_stderr_line("10.7.0.2: the interface is down", LIMIT);
    sleep(Duration::from_secs(10));
    lab.peer.ip("link set eth0 up");
    let took = heard(&socket, Instant::now());
    assert!(took < Duration::from_millis(1500), "{took:?}: {}", sender.stderr());
    sender.wait_stderr_line(&format!("net0 {MAC}: carrier"), LIMIT);
}

/// Whatever asks where the peer is gets lost, for the first seconds.
#[test]
fn the_first_packets_are_dropped() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    lab.peer.ip("link set eth0 arp off");
    let sender = lab.sender(PLAN, &["10.7.0.2"]).spawn();
    sender.wait_stderr_line("10.7.0.2: asked which card that is, no answer yet", LIMIT);
    sleep(Duration::from_secs(2));
    assert!(!sender.stderr().contains("sent"), "{}", sender.stderr());
    lab.peer.ip("link set eth0 arp on");
    let took = heard(&socket, Instant::now());
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

/// The link goes down and comes back, ever again.
#[test]
fn a_link_that_flaps() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let sender = lab.sender(PLAN, &["-i1", "10.7.0.2"]).spawn();
    heard(&socket, Instant::now());
    for _ in 0..40 {
        lab.peer.ip("link set eth0 down\nlink set eth0 up");
    }
    forget(&socket);
    let took = heard(&socket, Instant::now());
    assert!(took < Duration::from_secs(3), "{took:?}");
    for what in ["no carrier", "carrier"] {
        sender.wait_stderr_line(&format!("net0 {MAC}: {what}"), LIMIT);
    }
}

/// A raw socket on one end of a cable.
pub(super) fn raw(net: &Netns, card: &str) -> Socket {
    let index = net.interface(card);
    net.enter(|| {
        // Of all protocols, in the network's byte order.
        let all = 3u16.to_be();
        let protocol = Protocol::from(i32::from(all));
        let socket =
            Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("packet sockets");
        let mut place = SockAddrStorage::zeroed();
        // SAFETY: `sockaddr_ll` is a family, a protocol, an interface, and numbers that stay zero.
        let bytes = unsafe { place.view_as::<[u8; 20]>() };
        bytes[..2].copy_from_slice(&17u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&all.to_ne_bytes());
        bytes[4..8].copy_from_slice(&index.to_ne_bytes());
        // SAFETY: as above, 20 bytes.
        socket.bind(&unsafe { SockAddr::new(place, 20) }).expect("its card");
        socket
    })
}

/// ARP from a third card: `ip` is there.
pub(super) fn arp(ip: [u8; 4]) -> Vec<u8> {
    let mallory = [2, 0, 0, 0, 0, 9];
    let node = [2, 0, 0, 0, 0, 1];
    [&node[..], &mallory, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &mallory, &ip, &node, &[10, 7, 0, 1]]
        .concat()
}

/// Somebody else has the node's address, and somebody says that the peer is at another card. Both are told;
/// and as the real one says where it is, the message comes there again.
#[test]
fn addresses_that_others_claim() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let liar = raw(&lab.peer, "eth0");
    let sender = lab.sender(PLAN, &["-i1", "10.7.0.2"]).spawn();
    heard(&socket, Instant::now());
    liar.send(&arp([10, 7, 0, 1])).expect("the card is up");
    sender.wait_stderr_line(
        "link eth0: 10.7.0.1 is this node's, and somebody else's: 02:00:00:00:00:09",
        LIMIT,
    );
    liar.send(&arp([10, 7, 0, 2])).expect("the card is up");
    sender.wait_stderr_line(
        "link eth0: 10.7.0.2 has moved to another card: 02:00:00:00:00:09",
        LIMIT,
    );
    forget(&socket);
    // A host that is asked for, or asks, says so itself.
    let mut truth = arp([10, 7, 0, 2]);
    for at in [6, 22] {
        truth[at..at + 6].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    }
    liar.send(&truth).expect("the card is up");
    let took = heard(&socket, Instant::now());
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// The card's ring is full: its queue holds one frame, and lets a byte go in a second.
#[test]
fn a_full_ring() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let tc = |words: &str| {
        let run = Run::new("tc").args(words.split(' ')).inside(&lab.node).run(LIMIT);
        let _ = run.expect_success();
    };
    lab.node.ip("link set net0 up");
    let sender = lab.sender(PLAN, &["-i1", "10.7.0.2", "10.7.0.255"]).spawn();
    heard(&socket, Instant::now());
    tc("qdisc add dev net0 root tbf rate 8bit burst 64 limit 64");
    sender.wait_stderr_line("link eth0: the card's ring is full", LIMIT);
    sender.wait_stderr_line("no buffer left", LIMIT);
    tc("qdisc del dev net0 root");
    forget(&socket);
    let took = heard(&socket, Instant::now());
    assert!(took < Duration::from_secs(5), "{took:?}: {}", sender.stderr());
}

/// Any bytes at all, thousands of frames of them.
#[test]
fn a_flood_of_nonsense() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let liar = raw(&lab.peer, "eth0");
    let plan = format!("{PLAN} dhcp4 slaac");
    let sender = lab.sender(&plan, &["-i1", "10.7.0.2"]).spawn();
    heard(&socket, Instant::now());
    let mut seed = 1u32;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed
    };
    let heads: [&[u8]; 4] = [
        &[8, 6, 0, 1, 8, 0, 6, 4, 0],
        &[8, 0, 0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17],
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 100, 58, 255, 0xfe, 0x80],
        &[
            8, 0, 0x45, 0, 1, 0, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 67,
            0, 68,
        ],
    ];
    for round in 0..20_000u32 {
        let head = heads[(next() % 4) as usize];
        let mut frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], head].concat();
        for _ in 0..next() % 300 {
            frame.push(next() as u8);
        }
        frame.resize(frame.len().max(60), 0);
        // A full queue of the peer's is not what this is about.
        let _ = liar.send(&frame);
        if round % 4000 == 0 {
            forget(&socket);
            heard(&socket, Instant::now());
        }
    }
    forget(&socket);
    heard(&socket, Instant::now());
    assert!(sender.is_running(), "{}", sender.stderr());
}
