//! Addresses that are learnt on the link: from routers, and by DHCP.

use super::{LIMIT, Lab, MAC, NEEDS, heard, next};
use fence_kdump_tests::{Need, Netns, Proc, Run, requires};
use std::time::{Duration, Instant};

/// dnsmasq at the peer, without a file or a port 53, its leases in the test's own folder.
fn dnsmasq(net: &Netns, words: &[&str]) -> Proc {
    let folder = net.folder();
    Run::new("dnsmasq")
        .args(["--keep-in-foreground", "--no-daemon", "--port=0", "--conf-file=/dev/null"])
        .args(["--interface=eth0", "--bind-dynamic", "--log-dhcp", "--user=root", "--group=root"])
        .arg(format!("--dhcp-leasefile={}", folder.join("leases").display()))
        .arg(format!("--pid-file={}", folder.join("dnsmasq.pid").display()))
        .args(words)
        .inside(net)
        .spawn()
}

#[test]
fn by_dhcp() {
    if !requires(&[Need::Root, Need::Netns, Need::Dnsmasq]) {
        return;
    }
    let lab = Lab::new(&["10.7.0.254/24"]);
    lab.peer.ip("addr add 10.9.0.3/32 dev eth0");
    let host = format!("--dhcp-host={MAC},10.7.0.77");
    let server = ["--dhcp-range=10.7.0.50,10.7.0.99,1h", &host, "--dhcp-option=3,10.7.0.254"];
    let server = dnsmasq(&lab.peer, &server);
    server.wait_bound(67);
    let agent = lab.agent("10.7.0.77");
    let sender = lab.sender(&format!("link eth0 mac {MAC} dhcp4"), &["10.9.0.3"]).spawn();
    sender.wait_stderr_line("link eth0: 10.7.0.77 is an address here", LIMIT);
    let _ = agent.wait_for(LIMIT).expect_success();
    server.wait_stderr_line("DHCPACK", LIMIT);
    lab.assert_unconfigured();
}

/// The server comes when the client has asked for a while, and answers nonsense before that.
#[test]
fn by_dhcp_that_is_late_and_odd() {
    if !requires(&[Need::Root, Need::Netns, Need::Dnsmasq]) {
        return;
    }
    let lab = Lab::new(&["10.7.0.254/24"]);
    let socket = lab.peer.udp("10.7.0.254:7410");
    let odd = lab.peer.udp("0.0.0.0:67");
    let plan = format!("link eth0 mac {MAC} dhcp4");
    let sender = lab.sender(&plan, &["10.7.0.254"]).spawn();
    // One that offers what no host can have. The peer's kernel may lose what is sent in the moment in which its
    // carrier comes, so each question is answered.
    for _ in 0..4 {
        let (mut answer, _) = next(&odd);
        answer[0] = 2;
        answer[16..20].copy_from_slice(&[127, 0, 0, 1]);
        answer[242] = 2;
        odd.send_to(&answer, "10.7.0.255:68").expect("a link");
        std::thread::sleep(Duration::from_millis(300));
        if sender.stderr().contains("nonsense") {
            break;
        }
    }
    sender.wait_stderr_line("link eth0: DHCP answers nonsense", LIMIT);
    // And then only silence, for a while.
    drop(odd);
    sender.wait_stderr_line("link eth0: DHCP does not answer", LIMIT);
    let server = dnsmasq(&lab.peer, &["--dhcp-range=10.7.0.50,10.7.0.99,1h"]);
    heard(&socket, Instant::now());
    assert!(sender.is_running() && server.is_running());
}

/// As long as DHCP is silent, the address of the plan is used.
#[test]
fn without_dhcp() {
    if !requires(&NEEDS) {
        return;
    }
    let lab = Lab::new(&["10.7.0.2/24"]);
    let agent = lab.agent("10.7.0.1");
    let plan = format!("link eth0 mac {MAC} dhcp4 address 10.7.0.1/24");
    let _sender = lab.sender(&plan, &["10.7.0.2"]).spawn();
    let output = agent.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(10), "{output}");
}

/// What routers say, from a real daemon: prefix and gateway.
#[test]
fn by_routers() {
    if !requires(&[Need::Root, Need::Netns, Need::Dnsmasq]) {
        return;
    }
    let lab = Lab::new(&["fd07::fe/64", "fe80::fe/64"]);
    lab.peer.ip("addr add fd09::3/128 dev lo");
    let words = ["--enable-ra", "--dhcp-range=fd07::,ra-only,64,1h", "--ra-param=eth0,2,1800"];
    let server = dnsmasq(&lab.peer, &words);
    let agent = lab.agent("fd07::ff:fe00:1");
    let plan = format!("link eth0 mac {MAC} slaac");
    let sender = lab.sender(&plan, &["fd09::3"]).spawn();
    sender.wait_stderr_line("fd07:0:0:0:0:ff:fe00:1 is an address here", LIMIT);
    let _ = agent.wait_for(LIMIT).expect_success();
    assert!(server.is_running());
    lab.assert_unconfigured();
}
