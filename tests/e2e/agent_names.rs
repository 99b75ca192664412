//! Whose message counts: `nodename`, `port`, and what is known of them at the moment.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::fs;
use std::thread;
use std::time::Duration;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(20);

const HOSTS: &str = "127.0.0.1 localhost\n\
    127.0.0.11 a\n127.0.1.11 a\n::1 a6\n127.0.0.12 b\n127.0.1.11 alias\n\
    127.0.0.11 a.full full.a\n";

/// Asks with the lines `stdin`; the node speaks from `from` all the time.
fn asked(stdin: &str, from: &str) -> Output {
    let net = Netns::new();
    let agent = Run::new(programs::ours("fence_kdump"))
        .stdin(stdin)
        .inside(&net)
        .file("/etc/hosts", HOSTS)
        .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        .spawn();
    agent.wait_bound(PORT);
    let to = if from.contains(':') { "[::1]:7410" } else { "127.0.0.1:7410" };
    while agent.is_running() {
        net.send(from, to, &LITTLE);
        thread::sleep(Duration::from_millis(100));
    }
    agent.wait_for(LIMIT)
}

/// What is asked, who speaks, whether that is an answer, and what is said.
const CASES: [(&str, &str, bool, &str); 20] = [
    ("nodename=a", "127.0.0.11", true, "a (127.0.0.11) is in its crash kernel"),
    ("nodename=a", "127.0.1.11", true, ""),
    ("nodename=a", "127.0.0.12", false, "messages of other nodes (127.0.0.12:"),
    ("nodename=a,b", "127.0.0.12", true, ""),
    ("nodename=a,a6", "::1", true, ""),
    ("nodename=nosuch.invalid,a", "127.0.0.11", true, "nosuch.invalid: "),
    ("nodename=nosuch.invalid", "127.0.0.11", false, "no address was found for: nosuch.invalid"),
    ("port=a", "127.0.0.11", true, ""),
    ("nodename=a\nport=a", "127.0.1.11", true, ""),
    ("nodename=a\nport=alias", "127.0.0.11", true, ""),
    ("nodename=a\nport=b", "127.0.0.11", false, "pcmk_host_map=\"b:a\""),
    ("nodename=a\nport=b", "127.0.0.12", true, "looks like another node"),
    ("nodename=n4\nport=127.0.0.4", "127.0.0.4", true, ""),
    // A name that resolves is no answer for one that does not; an address was meant.
    ("nodename=a\nport=nosuch.invalid", "127.0.0.11", false, "pcmk_host_map"),
    ("nodename=127.0.0.11\nport=nosuch.invalid", "127.0.0.11", true, "pcmk_host_map"),
    ("nodename=a.full\nport=a.full.invalid", "127.0.0.11", false, "pcmk_host_map"),
    ("nodename=full.a\nport=full", "127.0.0.11", true, ""),
    ("nodename=a\nfamily=ipv6", "127.0.0.11", false, "no IPv6 address, and only those count"),
    ("nodename=::ffff:127.0.0.11", "127.0.0.11", true, ""),
    ("nodename=fe80::1", "127.0.0.11", false, "as in fe80::1%eth0"),
];

#[test]
fn whose_message_counts() {
    if !requires(&NEEDS) {
        return;
    }
    for group in CASES.chunks(6) {
        thread::scope(|scope| {
            for (lines, from, answer, said) in group {
                scope.spawn(move || {
                    let seconds = if *answer { 15 } else { 4 };
                    let output = asked(&format!("{lines}\ntimeout={seconds}\n"), from);
                    let code = Some(i32::from(!answer));
                    assert_eq!(output.code, code, "{lines} from {from}: {said}: {output}");
                    assert!(output.stderr.contains(said), "{lines}: {said}: {output}");
                });
            }
        });
    }
}

/// A name that is not there yet is looked up again, and a message that came before then counts.
#[test]
fn a_name_that_appears_while_waiting() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").expect("our own file");
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "late.invalid", "-t", "15"])
        .inside(&net)
        .bind(&hosts, "/etc/hosts")
        .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        .spawn();
    agent.wait_bound(PORT);
    agent.wait_stderr_line("late.invalid: ", LIMIT);
    net.send("127.0.0.21", "127.0.0.1:7410", &LITTLE);
    thread::sleep(Duration::from_millis(300));
    assert!(agent.is_running());
    fs::write(&hosts, "127.0.0.1 localhost\n127.0.0.21 late.invalid\n").expect("our own file");
    let output = agent.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(10), "{output}");
}

/// A device for a that is asked about b, whose name appears late: from then on a's messages, heard
/// before or after, are those of another node.
#[test]
fn a_target_that_is_found_late_is_not_mistaken() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.11 a\n").expect("our own file");
    let agent = Run::new(programs::ours("fence_kdump"))
        .stdin("nodename=a\nport=b.invalid\ntimeout=7\n")
        .inside(&net)
        .bind(&hosts, "/etc/hosts")
        .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        .spawn();
    agent.wait_bound(PORT);
    agent.wait_stderr_line("b.invalid: ", LIMIT);
    net.send("127.0.0.11", "127.0.0.1:7410", &LITTLE);
    thread::sleep(Duration::from_millis(300));
    assert!(agent.is_running(), "a's message says nothing about b");
    fs::write(&hosts, "127.0.0.11 a\n127.0.0.12 b.invalid\n").expect("our own file");
    agent.wait_stderr_line("looks like another node", LIMIT);
    net.send("127.0.0.11", "127.0.0.1:7410", &LITTLE);
    assert_eq!(agent.wait_for(LIMIT).code, Some(1));
}
