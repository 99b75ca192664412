//! Signed messages from end to end, built programs alone: keys, sender, agent, the stock agent beside them,
//! and somebody in the middle who sees everything, keeps it, and sends what he likes.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Cluster, Need, Output, Proc, Run, programs, requires};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(20);

/// Node 1 receives, node 2 crashes, node 3 is the attacker's.
struct Scene {
    net: Cluster,
    folder: TempDir,
}

impl Scene {
    /// With the two commands that it takes.
    fn new() -> Self {
        let scene = Self { net: Cluster::new(3), folder: tempfile::tempdir().expect("a folder") };
        scene.ctl(&["new", "--out", "cluster.key"]);
        scene.ctl(&["derive", "n2", "--key-file", "cluster.key", "--out", "node.key"]);
        scene
    }

    fn ctl(&self, args: &[&str]) {
        let ctl = Run::new(programs::ours("fence_kdumpctl")).arg("key").args(args);
        let _ = ctl.folder(self.folder.path()).run(LIMIT).expect_success();
    }

    /// The agent on node 1, asked about n2, once it can hear.
    fn waiting(&self, seconds: &str, policy: &str) -> Proc {
        let agent = Run::new(programs::ours("fence_kdump"))
            .args([
                "-v",
                "-n",
                "n2",
                "-t",
                seconds,
                "--policy",
                policy,
                "--key-file",
                "cluster.key",
            ])
            .args(["--state-dir", "state"])
            .folder(self.folder.path())
            .file("/etc/hosts", format!("127.0.0.1 localhost\n{} n2\n", Cluster::v4(2)))
            .inside(self.net.node(1))
            .spawn();
        agent.wait_bound(PORT);
        agent
    }

    /// The sender on node 2, which has just started its kernel.
    fn sender(&self, key_file: &str, args: &[&str]) -> Run<'_> {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("this is Linux");
        let seconds = uptime.split('.').next().unwrap_or_default();
        Run::new("unshare")
            .args(["--time", &format!("--boottime=-{seconds}")])
            .arg(programs::ours("fence_kdump_send"))
            .args(["-v", "-k", key_file])
            .args(args)
            .folder(self.folder.path())
            .inside(self.net.node(2))
    }

    /// The attacker's socket, on the port that he lets the node send to.
    fn middle(&self) -> Middle {
        let socket = self.net.node(3).udp(&format!("{}:{PORT}", Cluster::v4(3)));
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
        Middle { socket, victim: format!("{}:{PORT}", Cluster::v4(1)).parse().expect("an address") }
    }

    /// One crash of node 2, which speaks to the attacker `count` times: what he has seen of it.
    fn crash(&self, middle: &Middle, count: usize) -> (Proc, Vec<Vec<u8>>) {
        middle.forget();
        let destination = Cluster::v4(3);
        let sender = self.sender("node.key", &["-i", "1", &destination]).spawn();
        let of_node =
            |(bytes, from): (Vec<u8>, SocketAddr)| (from != middle.victim).then_some(bytes);
        let seen =
            std::iter::repeat_with(|| middle.see()).filter_map(of_node).take(count).collect();
        (sender, seen)
    }
}

/// Somebody whom the node takes for a receiver.
struct Middle {
    socket: UdpSocket,
    victim: SocketAddr,
}

impl Middle {
    fn see(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; 2000];
        let (length, from) = self.socket.recv_from(&mut bytes).expect("a message of the node");
        bytes.truncate(length);
        (bytes, from)
    }

    /// Whatever came by now is not looked at.
    fn forget(&self) {
        self.socket.set_nonblocking(true).expect("our own socket");
        while self.socket.recv_from(&mut [0; 2000]).is_ok() {}
        self.socket.set_nonblocking(false).expect("our own socket");
    }

    fn play(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.victim).expect("the network is up");
    }
}

#[track_caller]
fn assert_refused(output: &Output, why: &str) {
    assert_eq!(output.code, Some(1), "{output}");
    let last = output.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(why), "{why:?} is not in the last line: {output}");
}

/// One message is enough: the agent asks back, and the answer comes within milliseconds.
#[test]
fn turned_on_with_two_commands_it_works_under_every_policy() {
    if !requires(&NEEDS) {
        return;
    }
    let scene = Scene::new();
    for policy in ["plain", "signed", "live"] {
        let agent = scene.waiting("15", policy);
        let sent = scene.sender("node.key", &["-c", "1", &Cluster::v4(1)]).run(LIMIT);
        let sent = sent.expect_success();
        assert!(sent.stderr.contains(": heard"), "the acknowledgement: {sent}");
        let heard = agent.wait_for(LIMIT).expect_success();
        assert!(heard.elapsed < Duration::from_secs(5), "{heard}");
        let proof = if policy == "plain" { "n2" } else { "live" };
        assert!(policy == "signed" || heard.stderr.contains(proof), "{heard}");
    }
}

/// What stock receivers, oVirt's listener (the first 8 of at most 32 bytes) and one that wants exactly 8
/// bytes are sent, side by side.
#[test]
fn receivers_that_know_of_no_keys_go_on_working() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let scene = Scene::new();
    let stock = Run::new(programs::stock_agent());
    let stock = stock.args(["-n", &Cluster::v4(2), "-t", "15"]).inside(scene.net.node(1)).spawn();
    stock.wait_bound(PORT);
    let middle = scene.middle();
    let both = format!("both:{}", Cluster::v4(3));
    let sent = scene.sender("node.key", &["-c", "1", &Cluster::v4(1), &both]).run(LIMIT);
    let _ = sent.expect_success();
    let _ = stock.wait_for(LIMIT).expect_success();
    let mut seen = [middle.see().0, middle.see().0];
    seen.sort_by_key(Vec::len);
    let [plain, signed] = seen;
    assert_eq!(plain, LITTLE);
    assert!((80..=256).contains(&signed.len()), "{} bytes", signed.len());
    let mut prefix = signed;
    prefix.truncate(32);
    assert_eq!(prefix[..8], LITTLE, "what oVirt's listener reads of it");
    let plain = format!("plain:{}", Cluster::v4(3));
    let _ = scene.sender("node.key", &["-c", "1", &plain]).run(LIMIT).expect_success();
    assert_eq!(middle.see().0, LITTLE);
}

/// Whoever is in the middle can pass messages on, and that is all he can do with them.
#[test]
fn what_was_captured_never_counts_again() {
    if !requires(&NEEDS) {
        return;
    }
    let scene = Scene::new();
    let middle = scene.middle();
    let (first_crash, seen) = scene.crash(&middle, 4);
    let agent = scene.waiting("15", "signed");
    middle.play(&seen[0]);
    let _ = agent.wait_for(LIMIT).expect_success();
    // The receiver starts anew; the same and later messages of that crash, which it never saw. They were
    // under way for more than 2 s longer than the one that was passed on, which had waited for 1 s.
    thread::sleep(Duration::from_millis(4_500));
    let agent = scene.waiting("3", "signed");
    seen.iter().for_each(|message| middle.play(message));
    assert_refused(&agent.wait_for(LIMIT), "of n2");
    // The node has rebooted, and crashes again.
    let _ = first_crash.kill();
    let (second_crash, again) = scene.crash(&middle, 2);
    let agent = scene.waiting("3", "signed");
    seen.iter().for_each(|message| middle.play(message));
    assert!(agent.is_running(), "of the crash before");
    assert_refused(&agent.wait_for(LIMIT), "of n2");
    let agent = scene.waiting("15", "signed");
    middle.play(&again[0]);
    let _ = agent.wait_for(LIMIT).expect_success();
    // Under live, nothing that was ever captured counts, of whichever crash.
    let agent = scene.waiting("3", "live");
    seen.iter().chain(&again).for_each(|message| middle.play(message));
    assert_refused(&agent.wait_for(LIMIT), "no answer to a challenge");
    let _ = second_crash.kill();
}

/// He can pass challenges on as well; then the node has answered, and it is true.
#[test]
fn a_challenge_that_is_passed_on_is_answered() {
    if !requires(&NEEDS) {
        return;
    }
    let scene = Scene::new();
    let middle = scene.middle();
    let destination = Cluster::v4(3);
    let sender = scene.sender("node.key", &["-i", "1", &destination]).spawn();
    let (message, node) = middle.see();
    let agent = scene.waiting("15", "live");
    middle.play(&message);
    let end = Instant::now() + LIMIT;
    while agent.is_running() && Instant::now() < end {
        let (bytes, from) = middle.see();
        if from == middle.victim {
            middle.socket.send_to(&bytes, node).expect("the network is up");
        } else {
            middle.play(&bytes);
        }
    }
    let _ = agent.wait_for(LIMIT).expect_success();
    let _ = sender.kill();
}

/// No other key will do: of another node, of another cluster, or of yesterday.
#[test]
fn no_other_key_will_do() {
    if !requires(&NEEDS) {
        return;
    }
    let scene = Scene::new();
    scene.ctl(&["derive", "n3", "--key-file", "cluster.key", "--out", "other-node.key"]);
    scene.ctl(&["new", "--out", "other.key"]);
    scene.ctl(&["derive", "n2", "--key-file", "other.key", "--out", "other-cluster.key"]);
    let says = |key_file: &str| {
        let sender = scene.sender(key_file, &["-c", "1", &Cluster::v4(1)]);
        let _ = sender.run(LIMIT).expect_success();
    };
    for (key_file, why) in
        [("other-node.key", "signed as n3"), ("other-cluster.key", "a key that is not known here")]
    {
        let agent = scene.waiting("2", "signed");
        says(key_file);
        let output = agent.wait_for(LIMIT);
        assert_eq!(output.code, Some(1), "{output}");
        assert!(output.stderr.contains(why), "{why:?}: {output}");
    }
    // While the key is changed both count, and the old one no longer when that is done.
    scene.ctl(&["rotate", "--key-file", "cluster.key"]);
    scene.ctl(&["derive", "n2", "--key-file", "cluster.key", "--out", "new.key"]);
    for key_file in ["node.key", "new.key"] {
        let agent = scene.waiting("15", "live");
        says(key_file);
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    // The old node key still lies beside the new one, so it has to be meant.
    scene.ctl(&["rotate", "--finish", "--force", "--key-file", "cluster.key"]);
    let agent = scene.waiting("2", "live");
    says("node.key");
    let output = agent.wait_for(LIMIT);
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("a key that is not known here"), "{output}");
}

/// Taking the signature away makes nobody believe anything, and nor does the plain message.
#[test]
fn there_is_no_downgrade() {
    if !requires(&NEEDS) {
        return;
    }
    let scene = Scene::new();
    let middle = scene.middle();
    let (sender, seen) = scene.crash(&middle, 1);
    for policy in ["signed", "live"] {
        let agent = scene.waiting("2", policy);
        let stripped = [&seen[0][..8], &seen[0][..seen[0].len() - 35]];
        stripped.into_iter().for_each(|message| middle.play(message));
        // From the node's own address, too.
        let plain = scene.sender("node.key", &["-c", "1", &format!("plain:{}", Cluster::v4(1))]);
        let _ = plain.run(LIMIT).expect_success();
        assert_refused(&agent.wait_for(LIMIT), "of n2");
    }
    let _ = sender.kill();
}
