//! A capture of what our own programs say to each other.

use super::capture::{Shown, shown_of};
use fence_kdump_tests::datagram::PORT;
use fence_kdump_tests::{Cluster, Need, Run, programs, requires};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Tshark];

const LIMIT: Duration = Duration::from_secs(15);

const HOSTS: &str = "127.0.0.1 localhost\n10.77.0.1 n1\n10.77.0.2 n2\n";

/// A cluster key and node n2's key derived from it, as files in `folder`.
fn make_keys(folder: &Path) {
    let ctl = |args: &[&str]| {
        let run = Run::new(programs::ours("fence_kdumpctl")).folder(folder).arg("key").args(args);
        let _ = run.run(LIMIT).expect_success();
    };
    ctl(&["new", "--out", "cluster.key"]);
    ctl(&["derive", "n2", "--key-file", "cluster.key", "--out", "node.key"]);
}

/// What `tshark` shows of all UDP datagrams on the way to and from node 1 while `action` runs.
fn captured(net: &Cluster, folder: &Path, action: impl FnOnce()) -> Vec<Shown> {
    let file = folder.join("traffic.pcap");
    let dumpcap = Run::new(programs::system("dumpcap").expect("Need::Tshark was asked for"))
        .args(["-q", "-P", "-i", "eth0", "-f", "udp", "-w"])
        .arg(&file)
        .inside(net.node(1))
        .spawn();
    let _ = dumpcap.wait_stderr_line("File:", LIMIT);
    action();
    // The last packets are still on their way to the file.
    std::thread::sleep(Duration::from_millis(500));
    dumpcap.signal(Signal::INT);
    let _ = dumpcap.wait_for(LIMIT);
    assert!(fs::metadata(&file).is_ok_and(|file| file.len() > 24), "nothing was captured");
    shown_of(&file)
}

/// The only value of a field.
#[track_caller]
fn value(packet: &Shown, name: &str) -> Option<String> {
    let mut values = packet.values(name);
    assert!(values.len() < 2, "{name}: {values:?}");
    values.pop()
}

/// Signed over IPv4, plain over IPv6, challenged and answered: each by its fields.
#[test]
fn our_traffic_is_shown() {
    if !requires(&NEEDS) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    make_keys(folder.path());
    let net = Cluster::new(2);
    let packets = captured(&net, folder.path(), || {
        let agent = Run::new(programs::ours("fence_kdump"))
            .args(["-n", "n2", "-t", "8", "--policy", "live", "--key-file"])
            .arg(folder.path().join("cluster.key"))
            .arg("--state-dir")
            .arg(folder.path())
            .file("/etc/hosts", HOSTS)
            .inside(net.node(1))
            .spawn();
        agent.wait_bound(PORT);
        let sender = Run::new(programs::ours("fence_kdump_send"))
            .args(["-c", "2", "-i", "1", "-k"])
            .arg(folder.path().join("node.key"))
            .args(["10.77.0.1", "plain:fd00:77::1"])
            .inside(net.node(2))
            .spawn();
        let _ = agent.wait_for(LIMIT).expect_success();
        let _ = sender.wait_for(LIMIT).expect_success();
    });
    let refused: Vec<_> = packets.iter().flat_map(|p| p.values("fence_kdump.refused")).collect();
    assert!(refused.is_empty(), "our own messages are valid: {refused:?}");

    let (v4, v6): (Vec<_>, Vec<_>) =
        packets.iter().partition(|packet| value(packet, "ip.version").is_some_and(|v| v == "4"));
    assert_eq!(v6.len(), 2, "two plain messages were sent");
    for plain in &v6 {
        assert_eq!(value(plain, "fence_kdump.version").as_deref(), Some("1"));
        assert_eq!(value(plain, "fence_kdump.mark"), None, "plain means eight bytes");
    }

    let (signed, challenges): (Vec<_>, Vec<_>) =
        v4.iter().partition(|packet| value(packet, "fence_kdump.challenge.nonce").is_none());
    let crash_id = value(signed[0], "fence_kdump.crash_id").expect("a signed message has one");
    let mut last = None;
    for message in &signed {
        assert_eq!(value(message, "fence_kdump.node_name").as_deref(), Some("n2"));
        assert_eq!(value(message, "fence_kdump.crash_id").as_ref(), Some(&crash_id));
        assert_eq!(value(message, "fence_kdump.mac.algorithm").as_deref(), Some("1"));
        assert!(value(message, "fence_kdump.uptime").is_some(), "a signed message has one");
        let sequence = value(message, "fence_kdump.sequence").map(|text| text.parse::<u64>());
        let sequence = sequence.expect("a signed message has one").expect("a number");
        assert!(Some(sequence) > last, "{sequence} after {last:?}");
        last = Some(sequence);
    }
    let nonces: Vec<_> =
        challenges.iter().filter_map(|p| value(p, "fence_kdump.challenge.nonce")).collect();
    let answers: Vec<_> =
        signed.iter().filter_map(|packet| value(packet, "fence_kdump.answer")).collect();
    assert!(!answers.is_empty(), "the agent was satisfied, so there was an answer");
    assert!(answers.iter().all(|answer| nonces.contains(answer)), "{answers:?} to {nonces:?}");
    for challenge in &challenges {
        assert_eq!(value(challenge, "fence_kdump.challenge.crash_id").as_ref(), Some(&crash_id));
        let key_id = value(challenge, "fence_kdump.challenge.key_id");
        assert_eq!(key_id, value(signed[0], "fence_kdump.key_id"));
    }
    println!("{} plain, {} signed, {} challenges", v6.len(), signed.len(), challenges.len());
}

/// What an s390x says: the first eight bytes in its own byte order, the rest as all others do.
#[test]
fn big_endian_traffic_is_shown() {
    if !requires(&[&NEEDS[..], &[Need::QemuUser, Need::Senders]].concat()) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    make_keys(folder.path());
    let net = Cluster::new(2);
    let packets = captured(&net, folder.path(), || {
        // Somebody who hears, so that nothing but the messages is captured.
        let _listener = net.node(1).udp("10.77.0.1:7410");
        let _ = Run::new("qemu-s390x-static")
            .arg(programs::sender_for("s390x"))
            .args(["-c", "1", "-i", "1", "-m", "both", "-k"])
            .arg(folder.path().join("node.key"))
            .arg("10.77.0.1")
            .inside(net.node(2))
            .run(LIMIT)
            .expect_success();
    });
    let said = |name: &str| packets.iter().map(|p| value(p, name)).collect::<Vec<_>>();
    assert_eq!(packets.len(), 2, "both: a plain message and a signed one");
    assert_eq!(said("fence_kdump.byte_order"), vec![Some("big".to_owned()); 2]);
    assert_eq!(said("fence_kdump.version"), vec![Some("1".to_owned()); 2]);
    assert_eq!(said("fence_kdump.refused"), [None, None]);
    let mut names = said("fence_kdump.node_name");
    names.sort();
    assert_eq!(names, [None, Some("n2".to_owned())]);
    assert_eq!(said("fence_kdump.mac").iter().flatten().count(), 1, "one is signed");
}
