//! Signed messages over a link, with challenge and answer, also while somebody lies about who is where.

use super::{LIMIT, Lab, MAC, NEEDS};
use fence_kdump_tests::datagram::PORT;
use fence_kdump_tests::{Proc, Run, programs, requires};

/// The lab with a key of the cluster at the peer, and the node's own at the node.
pub(super) fn lab() -> Lab {
    let lab = Lab::new(&["10.7.0.2/24", "fd07::2/64"]);
    for words in [
        &["new", "--out", "cluster.key"][..],
        &["derive", "n1", "--key-file", "cluster.key", "--out", "node.key"],
    ] {
        let ctl = Run::new(programs::ours("fence_kdumpctl")).arg("key").args(words);
        let _ = ctl.folder(lab.node.folder()).run(LIMIT).expect_success();
    }
    lab
}

pub(super) fn agent(lab: &Lab, address: &str, policy: &str) -> Proc {
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-v", "-n", "n1", "-t", "25", "--policy", policy, "--key-file", "cluster.key"])
        .args(["--state-dir", "state"])
        .folder(lab.node.folder())
        .file("/etc/hosts", format!("127.0.0.1 localhost\n{address} n1\n"))
        .inside(&lab.peer)
        .spawn();
    agent.wait_bound(PORT);
    agent
}

/// The sender on a machine that has just booted, with an address and its prefix.
pub(super) fn sender(lab: &Lab, address: &str, to: &str, words: &[&str]) -> Proc {
    let key = lab.node.folder().join("node.key");
    let plan = format!("send --key-file {}\nlink eth0 mac {MAC} address {address}", key.display());
    let uptime = std::fs::read_to_string("/proc/uptime").expect("this is Linux");
    let seconds = uptime.split('.').next().unwrap_or_default();
    Run::new("unshare")
        .args(["--time", &format!("--boottime=-{seconds}")])
        .arg(programs::ours("fence_kdump_send"))
        .args(["-v", "--plan"])
        .arg(lab.plan(&plan))
        .args(words)
        .arg(to)
        .inside(&lab.node)
        .spawn()
}

#[test]
fn signed_and_live() {
    if !requires(&NEEDS) {
        return;
    }
    for (to, from, prefix) in [("10.7.0.2", "10.7.0.1", 24), ("fd07::2", "fd07::1", 64)] {
        for policy in ["signed", "live"] {
            let lab = lab();
            // The address is not the node's: what counts is who has signed.
            let agent = agent(&lab, if policy == "live" { from } else { "10.7.0.99" }, policy);
            let sender = sender(&lab, &format!("{from}/{prefix}"), to, &[]);
            if policy == "live" {
                sender.wait_stderr_line(": heard", LIMIT);
            }
            let _ = agent.wait_for(LIMIT).expect_success();
            lab.assert_unconfigured();
        }
    }
}
