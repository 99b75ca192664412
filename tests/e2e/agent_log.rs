//! What the agent says: one line an event, to standard error and to syslog, and never a flood.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Proc, Run, flood, programs, requires};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(20);

/// The agent, with the socket at `$0` as its `/dev/log`.
const WITH_LOG: &str =
    r#"mount -t tmpfs none /dev && : >/dev/log && mount --bind "$0" /dev/log && exec "$@""#;

fn with_log(net: &Netns, log: &std::path::Path, args: &[&str]) -> Proc {
    let agent = Run::new("unshare")
        .args(["--mount", "sh", "-c", WITH_LOG])
        .arg(log)
        .arg(programs::ours("fence_kdump"))
        .args(args)
        .inside(net)
        .spawn();
    agent.wait_bound(PORT);
    agent
}

fn noise(net: &Netns, count: u32) {
    let to = "127.0.0.1:7410".parse().expect("an address");
    let sent = flood(net.udp("127.0.0.3:0"), to, b"noise", count, Duration::from_secs(1));
    assert!(sent.join() > 500, "a flood");
}

#[test]
fn one_line_an_event() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("log");
    let log = UnixDatagram::bind(&path).expect("our own folder");
    log.set_read_timeout(Some(Duration::from_secs(5))).expect("a valid time");
    let agent = with_log(&net, &path, &["-n", "127.0.0.2", "-t", "15"]);
    net.send("127.0.0.3", "127.0.0.1:7410", &LITTLE);
    net.send("127.0.0.2", "127.0.0.1:7410", b"");
    net.send("127.0.0.2", "127.0.0.1:7410", &LITTLE);
    let output = agent.wait_for(LIMIT).expect_success();
    let said = [
        (30, "waiting up to 15 s for a message of 127.0.0.2 on UDP port 7410"),
        (30, "heard a message from 127.0.0.3, which is not known to be 127.0.0.2"),
        (28, "refused a datagram from 127.0.0.2: empty datagram"),
        (30, "127.0.0.2 is in its crash kernel: heard after "),
    ];
    assert_eq!(output.stderr.lines().count(), said.len(), "{output}");
    for ((priority, said), line) in said.into_iter().zip(output.stderr.lines()) {
        assert!(line.starts_with(&format!("fence_kdump: {said}")), "{line}");
        let mut bytes = [0; 1000];
        let length = log.recv(&mut bytes).expect("a line to syslog");
        let logged = String::from_utf8_lossy(&bytes[..length]);
        assert!(logged.starts_with(&format!("<{priority}>fence_kdump[")), "{logged}");
        assert!(logged.contains(said), "{logged}");
    }
}

#[test]
fn a_flood_of_nonsense_is_told_in_a_few_lines_and_counted() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    for (verbose, most) in [(&[][..], 6), (&["-v"], 110)] {
        let agent = Run::new(programs::ours("fence_kdump"))
            .args(["-n", "127.0.0.2", "-t", "3"])
            .args(verbose)
            .inside(&net)
            .spawn();
        agent.wait_bound(PORT);
        noise(&net, 2_000);
        let output = agent.wait_for(LIMIT);
        assert_eq!(output.code, Some(1), "{output}");
        let lines = output.stderr.lines().count();
        assert!((4..=most).contains(&lines), "{lines} lines: {output}");
        let last = output.stderr.lines().last().expect("some lines");
        let counted = last.split("heard instead: ").nth(1).expect("what came instead");
        let count: u32 = counted.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        assert!(count > 500, "{last}");
        assert!(counted.contains("truncated; 0 of them from the node"), "{last}");
    }
}

/// A system log that takes no more lines blocks whoever writes to it.
#[test]
fn a_system_log_that_hangs_holds_nothing_up() {
    if !requires(&NEEDS) {
        return;
    }
    for message in [false, true] {
        let net = Netns::new();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        let log = UnixDatagram::bind(&path).expect("our own folder");
        let filler = UnixDatagram::unbound().expect("a socket");
        filler.set_nonblocking(true).expect("a socket");
        let mut filled = 0;
        while filled < 10_000 && filler.send_to(b"full", &path).is_ok() {
            filled += 1;
        }
        assert!(filled < 10_000, "a queue has an end");
        let agent = with_log(&net, &path, &["-n", "127.0.0.2", "-t", "3"]);
        if message {
            net.send("127.0.0.2", "127.0.0.1:7410", &LITTLE);
        }
        let output = agent.wait_for(LIMIT);
        assert_eq!(output.code, Some(i32::from(!message)), "{output}");
        let limit = if message { 2_500 } else { 4_500 };
        assert!(output.elapsed < Duration::from_millis(limit), "{output}");
        drop(log);
    }
}
