//! The sender with a key: what it says of the end, and what it costs.

use super::{LIMIT, NEEDS, Root, assert_gone, hears, sender_of};
use fence_kdump_tests::signed::phase::{BOOTED, FINISHED, LEAVING};
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Netns, Run, datagram, programs, requires};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

/// The key of n1 is there.
fn has_key(root: &Root) -> NodeKey {
    let key = NodeKey::of(7);
    let path = root.write("key", &key.line("n1"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    key
}

/// Where the sender signs, and what with.
fn signing() -> (Root, NodeKey) {
    let root = Root::new();
    let key = has_key(&root);
    // In a crash kernel it would be /proc/vmcore.
    root.write("vmcore", "memory");
    root.plan("send -k /key -C /vmcore -i600 127.0.0.1");
    (root, key)
}

/// What the next message says that the node does.
#[track_caller]
fn phase(socket: &UdpSocket, key: &NodeKey) -> u64 {
    let message = Signed::read(&datagram::next(socket));
    assert!(message.is_by(key));
    message.number(field::PHASE)
}

/// Signed messages say that the node is about to reboot when process 1 has become systemd's last program; and
/// nothing else after that, although process 1 goes on to that of the initrd.
#[test]
fn the_end_is_seen_coming() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (root, key) = signing();
    root.program("systemd-shutdown", "#!/bin/sh\nread -r line\nexec /usr/bin/sleep 60\n");
    root.program("init", "#!/bin/sh\nread -r line\nexec /systemd-shutdown\n");
    let socket = hears(&net);
    let phase = || phase(&socket, &key);
    let mut first = root.start(&net, &[], "/sender").spawn();
    for _ in 0..5 {
        assert_eq!(phase(), BOOTED);
    }
    first.write_stdin(b"go on\n").expect("it reads");
    for _ in 0..5 {
        assert_eq!(phase(), LEAVING, "with a burst of its own");
    }
    first.write_stdin(b"go on\n").expect("it reads");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("our own socket");
    assert!(socket.recv(&mut [0; 600]).is_err(), "nothing else is said");
}

/// A dump that is written, as kdump-utils tell the dracut module's script, is called finished when everything ends, and no
/// sooner.
#[test]
fn what_is_written_is_finished_at_the_end() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (root, key) = signing();
    root.program("systemd-shutdown", "#!/bin/sh\nread -r line\n");
    root.program("init", "#!/bin/sh\nread -r line\nexec /systemd-shutdown\n");
    root.plan("send -k /key -C /vmcore -i1 -b0 127.0.0.1");
    let socket = hears(&net);
    let phase = || phase(&socket, &key);
    let mut first = root.start(&net, &[], "/sender").spawn();
    assert_eq!(phase(), BOOTED);
    // Its own view of the image; process 1 sees this machine's /usr there.
    fs::create_dir_all(root.path().join("usr/libexec")).expect("our own folder");
    fs::create_dir(root.path().join("run")).expect("our own folder");
    let sender = root.path().join("usr/libexec/fence_kdump_send");
    fs::copy(programs::ours("fence_kdump_send"), sender).expect("a copy");
    let script = programs::workspace().join("dist/dracut/99fence-kdump/dumped.sh");
    let script = Run::new("sh").arg(script).arg("0").env("FENCE_KDUMP_ROOT", root.path());
    let output = script.inside(&net).run(LIMIT).expect_success();
    assert_eq!(output.stderr, "");
    for _ in 0..3 {
        assert_eq!(phase(), BOOTED, "scripts may have something to do yet");
    }
    first.write_stdin(b"go on\n").expect("it reads");
    let start = Instant::now();
    while phase() != FINISHED {
        assert!(start.elapsed() < LIMIT, "finished");
    }
    for _ in 0..2 {
        assert_eq!(phase(), FINISHED, "and nothing else after that");
    }
}

/// The same when process 1 ends all processes, as busybox's init does; anybody else ends just the sender.
#[test]
fn who_ends_everything() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (root, key) = signing();
    root.program(
        "init",
        "#!/bin/sh\ntrap : TERM\nread -r line\nkill -TERM -1\nwhile sleep 0.1; do :; done\n",
    );
    let socket = hears(&net);
    let phase = || phase(&socket, &key);
    let mut first = root.start(&net, &[], "/sender").spawn();
    for _ in 0..5 {
        assert_eq!(phase(), BOOTED);
    }
    first.write_stdin(b"go on\n").expect("it reads");
    for _ in 0..5 {
        assert_eq!(phase(), LEAVING, "with a burst of its own");
    }
    let sender = sender_of(&first);
    let process = sender.file_name().and_then(|name| name.to_str()).expect("a number");
    let kill = Run::new("kill").args(["-TERM", process]).run(LIMIT);
    let _ = kill.expect_success();
    assert_gone(&first);
}

/// What it costs while it speaks over a link, asks for an address, listens to routers, and signs: what was only
/// needed to begin is given back.
#[test]
fn memory() {
    const MAC: &str = "02:00:00:00:00:01";
    if !requires(&NEEDS) {
        return;
    }
    let (net, peer) = (Netns::new(), Netns::new());
    let to = peer.path();
    net.ip(&format!("link add net0 address {MAC} type veth peer name eth0 netns {to}"));
    peer.ip("link set eth0 up\naddr add 10.7.0.2/24 dev eth0");
    let root = Root::new();
    let key = has_key(&root);
    root.plan(&format!(
        "link eth0 mac {MAC} address 10.7.0.1/24 dhcp4 slaac\nsend -v -i1 -k /key both:10.7.0.2"
    ));
    let socket = peer.udp("10.7.0.2:7410");
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let first = root.start(&net, &[], "/sender").spawn();
    let mut signed = 0;
    while signed < 3 {
        let message = datagram::next(&socket);
        signed += usize::from(message.len() > 8 && Signed::read(&message).is_by(&key));
    }
    let rollup = fs::read_to_string(sender_of(&first).join("smaps_rollup")).expect("it runs");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a sum");
    let kib: u32 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("early sender over a link: {kib} KiB of 112 resident");
    assert!(kib <= 112, "{kib} KiB");
}
