//! Several links, several cards of one link, cards that come and go and are renamed.

use super::{LIMIT, Lab, MAC, NEEDS, forget, heard, next};
use fence_kdump_tests::requires;
use std::time::{Duration, Instant};

const SECOND: &str = "02:00:00:00:01:01";
const SECOND_PEER: &str = "02:00:00:00:01:02";

/// With a second cable between both.
fn two(addresses: &[&str], second: &[&str]) -> Lab {
    let lab = Lab::new(addresses);
    lab.cable("net1", SECOND, "eth1", SECOND_PEER);
    lab.peer_has("eth1", second);
    lab
}

/// The first one has no carrier, or nobody at the other end answers: the other one speaks at once.
#[test]
fn one_of_two_links_is_dead() {
    if !requires(&NEEDS) {
        return;
    }
    for dead in ["link set eth0 down", "addr flush dev eth0"] {
        let lab = two(&["10.7.0.2/24"], &["10.8.0.2/24"]);
        lab.peer.ip(dead);
        let socket = lab.peer.udp("10.8.0.2:7410");
        let plan = format!(
            "node peer 10.7.0.2 10.8.0.2\nlink eth0 mac {MAC} address 10.7.0.1/24\n\
             link eth1 mac {SECOND} address 10.8.0.1/24"
        );
        let start = Instant::now();
        let sender = lab.sender(&plan, &["peer"]).spawn();
        assert!(heard(&socket, start) < Duration::from_secs(3), "{}", sender.stderr());
    }
}

/// A message to all leaves through all links.
#[test]
fn all_links_that_work() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = two(&["10.7.0.2/24"], &["10.8.0.2/24"]);
    let socket = lab.peer.udp("0.0.0.0:7410");
    let plan = format!(
        "link eth0 mac {MAC} address 10.7.0.1/24\nlink eth1 mac {SECOND} address 10.8.0.1/24"
    );
    let sender = lab.sender(&plan, &["255.255.255.255"]).spawn();
    let mut from = std::collections::BTreeSet::new();
    while from.len() < 2 {
        from.insert(next(&socket).1.ip().to_string());
    }
    assert!(from.iter().map(String::as_str).eq(["10.7.0.1", "10.8.0.1"]));
    // Or through the one that is named.
    drop(sender);
    forget(&socket);
    let words = ["-c1", "-d", "eth1", "255.255.255.255"];
    let _ = lab.sender(&plan, &words).run(LIMIT).expect_success();
    assert_eq!(next(&socket).1.ip().to_string(), "10.8.0.1");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
    assert!(socket.recv_from(&mut [0; 600]).is_err(), "only there");
}

/// A bond's cards are tried in turn: the first has no carrier, later the first one works and then the
/// second, and one that is up while nobody answers behind it gives way.
#[test]
fn cards_of_a_bond() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = two(&[], &["10.7.0.2/24"]);
    let socket = lab.peer.udp("10.7.0.2:7410");
    let plan = format!("link bond0 mac {MAC},{SECOND} address 10.7.0.1/24");
    let start = Instant::now();
    let sender = lab.sender(&plan, &["-i1", "10.7.0.2"]).spawn();
    // The first one is silent.
    assert!(heard(&socket, start) < Duration::from_secs(15), "{}", sender.stderr());
    sender.wait_stderr_line(&format!("net0 {MAC}: silent; the next one is tried"), LIMIT);
    sender.wait_stderr_line(&format!("net1 {SECOND}: taken"), LIMIT);
    // Now the second one loses its carrier, and the first one gets the address.
    lab.peer.ip("link set eth1 down\naddr del 10.7.0.2/24 dev eth1\naddr add 10.7.0.2/24 dev eth0");
    sender.wait_stderr_line(&format!("net1 {SECOND}: no carrier"), LIMIT);
    forget(&socket);
    assert!(heard(&socket, Instant::now()) < Duration::from_secs(15), "{}", sender.stderr());
}

/// The card appears after the sender, is renamed while it speaks, goes, and comes back with another
/// number.
#[test]
fn a_card_that_comes_and_goes() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    lab.node.ip("link del net0");
    let plan = format!("link eth0 mac {MAC} address 10.7.0.1/24");
    let sender = lab.sender(&plan, &["-i1", "10.7.0.2"]).spawn();
    sender.wait_stderr_line("10.7.0.2: no such interface", LIMIT);
    for name in ["late0", "late1"] {
        lab.cable(name, MAC, "eth0", "02:00:00:00:00:02");
        lab.peer_has("eth0", &["10.7.0.2/24"]);
        let socket = lab.peer.udp("10.7.0.2:7410");
        heard(&socket, Instant::now());
        sender.wait_stderr_line(&format!("link eth0: {name} {MAC}: carrier"), LIMIT);
        // Nobody can rename a card that is up, on kernels before 6.2.
        lab.node.ip(&format!("link set {name} down\nlink set {name} name new{name}"));
        sender.wait_stderr_line(&format!("new{name} {MAC}: "), LIMIT);
        forget(&socket);
        // It is brought up again, though not at once.
        heard(&socket, Instant::now());
        lab.node.ip(&format!("link del new{name}"));
        sender.wait_stderr_line(&format!("new{name} {MAC}: gone"), LIMIT);
    }
}
