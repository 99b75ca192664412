//! Our agent as Pacemaker's own fencer runs it: a real `pacemaker-fenced`, stand-alone.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Cluster, Fencer, Need, Output, Proc, Run, programs, requires};
use std::thread;
use std::time::Duration;

const NEEDS: [Need; 4] = [Need::Root, Need::Netns, Need::Stock, Need::Pacemaker];

/// stonith_admin gives up by itself well before.
const LIMIT: Duration = Duration::from_secs(40);

/// The agent on node 1; the nodes to be fenced are the others.
const LISTENER: &str = "10.77.0.1:7410";

fn run(command: Run<'_>) -> Output {
    command.run(LIMIT)
}

/// The node says five times a second that its crash kernel runs, until the fencer has an answer.
fn node_speaks_until(net: &Cluster, number: u8, fencing: &Proc) {
    net.node(1).wait_bound(PORT);
    while fencing.is_running() && fencing.elapsed() < LIMIT {
        net.node(number).send(&Cluster::v4(number), LISTENER, &LITTLE);
        thread::sleep(Duration::from_millis(200));
    }
}

/// Fences with `args` while node `number` is in its crash kernel.
fn fence_speaking(net: &Cluster, fencer: &Fencer<'_>, number: u8, args: &[&str]) -> Output {
    let fencing = fencer.admin(args).spawn();
    node_speaks_until(net, number, &fencing);
    fencing.wait_for(LIMIT)
}

/// Pacemaker's exit code for a time that ran out.
const TIMED_OUT: Option<i32> = Some(124);

#[test]
fn off_follows_the_message_alone() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    let options = ["nodename=10.77.0.2", "pcmk_host_list=n2", "pcmk_monitor_action=metadata"];
    fencer.register("kd2", &options);
    let _ = run(fencer.admin(["-Q", "kd2"])).expect_success();

    let heard = fence_speaking(&net, &fencer, 2, &["-F", "n2", "-t", "20"]).expect_success();
    assert!(heard.elapsed < Duration::from_secs(5), "should not have waited: {heard}");

    // Silence, and then the message of a node that nobody asked about.
    let silent = run(fencer.admin(["-F", "n2", "-t", "3"])).expect_failure();
    assert_eq!(silent.code, TIMED_OUT, "{silent}\n{}", fencer.log());
    let other = fence_speaking(&net, &fencer, 3, &["-F", "n2", "-t", "3"]).expect_failure();
    assert_eq!(other.code, TIMED_OUT, "{other}\n{}", fencer.log());
}

#[test]
fn reboot_is_mapped_to_off() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd2", &["nodename=10.77.0.2", "pcmk_host_list=n2"]);
    let _ = fence_speaking(&net, &fencer, 2, &["-B", "n2", "-t", "20"]).expect_success();
    let mapped = "Remapping 'reboot' action targeting n2 using kd2 to 'off'";
    assert!(fencer.log().contains(mapped), "{}", fencer.log());
    let silent = run(fencer.admin(["-B", "n2", "-t", "3"])).expect_failure();
    assert_eq!(silent.code, TIMED_OUT, "{silent}");
}

/// With no `nodename` Pacemaker fills in the target.
#[test]
fn without_a_nodename_the_target_is_meant() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd", &["pcmk_host_list=10.77.0.2 10.77.0.3"]);
    for (number, other) in [(2, 3), (3, 2)] {
        let node = Cluster::v4(number);
        let _ = fence_speaking(&net, &fencer, number, &["-F", &node, "-t", "20"]).expect_success();
        let _ = fence_speaking(&net, &fencer, other, &["-F", &node, "-t", "3"]).expect_failure();
    }
}

/// Pacemaker then sends the name as `nodename` and the address as `port`; the name alone says
/// nothing here, since nobody can look it up.
#[test]
fn a_host_map_names_the_address() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd", &["pcmk_host_map=n2:10.77.0.2;n3:10.77.0.3"]);
    for (number, other) in [(2, 3), (3, 2)] {
        let node = format!("n{number}");
        let _ = fence_speaking(&net, &fencer, number, &["-F", &node, "-t", "20"]).expect_success();
        let _ = fence_speaking(&net, &fencer, other, &["-F", &node, "-t", "3"]).expect_failure();
    }
}

/// One device for each node, or one device for both: two agents at once on one port.
#[test]
fn two_nodes_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(4);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    for number in [2, 3, 4] {
        let (device, node) = (format!("kd{number}"), Cluster::v4(number));
        let (nodename, host) = (format!("nodename={node}"), format!("pcmk_host_list=n{number}"));
        fencer.register(&device, &[&nodename, &host]);
    }
    let start = |node: &str, limit: &str| fencer.admin(["-F", node, "-t", limit]).spawn();
    let (second, third, fourth) = (start("n2", "20"), start("n3", "20"), start("n4", "6"));
    fencer.wait_agents(3);
    // The later one first: whoever holds the port must not matter.
    node_speaks_until(&net, 3, &third);
    let _ = third.wait_for(LIMIT).expect_success();
    assert!(second.is_running(), "n2 has not said anything: {}", second.stderr());
    node_speaks_until(&net, 2, &second);
    let _ = second.wait_for(LIMIT).expect_success();
    let silent = fourth.wait_for(LIMIT).expect_failure();
    assert_eq!(silent.code, TIMED_OUT, "n4 never said anything: {silent}\n{}", fencer.log());
}

/// Whether the fencer has seen a `monitor` of kd2 fail. `stonith_admin -Q` does not say: after a
/// `monitor` that fails it tries `list`, and is content with that.
fn monitor_failed(fencer: &Fencer<'_>) -> bool {
    let log = fencer.log();
    let mut lines = log.lines().filter(|line| line.contains("Operation 'monitor'"));
    lines.any(|line| line.contains("using kd2 returned 1"))
}

/// Without `pcmk_monitor_action` Pacemaker monitors with `monitor`, which asks this host's kernel: not
/// ready here, ready there.
#[test]
fn monitor_asks_this_host() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd2", &["nodename=10.77.0.2", "pcmk_host_list=n2"]);
    let _ = run(fencer.admin(["-Q", "kd2", "-t", "10"]));
    assert!(monitor_failed(&fencer), "{}", fencer.log());
    drop(fencer);

    let fencer = Fencer::with_crash_kernel(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd2", &["nodename=10.77.0.2", "pcmk_host_list=n2"]);
    let _ = run(fencer.admin(["-Q", "kd2", "-t", "10"])).expect_success();
    assert!(!monitor_failed(&fencer), "{}", fencer.log());
}

/// An agent that has no answer when its time is up is killed; the answer stays "not fenced", and
/// nothing of the agent stays behind.
#[test]
fn a_timeout_leaves_nothing_behind() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    // More patience than Pacemaker has: it kills the agent's whole process group.
    fencer.register("kd2", &["nodename=10.77.0.2", "pcmk_host_list=n2", "pcmk_off_timeout=2s"]);
    let silent = run(fencer.admin(["-F", "n2", "-t", "8"])).expect_failure();
    assert!(silent.elapsed < Duration::from_secs(9), "{silent}\n{}", fencer.log());
    thread::sleep(Duration::from_millis(200));
    assert!(!net.node(1).is_bound(PORT), "somebody still listens: {}", fencer.log());
    // And the next try starts from nothing.
    let _ = fence_speaking(&net, &fencer, 2, &["-F", "n2", "-t", "20"]).expect_success();
}

#[test]
fn the_metadata_satisfies_stonith_admin() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(1);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    let metadata = fencer.admin(["-M", "-a", "fence_kdump", "--output-as=xml"]);
    let metadata = run(metadata).expect_success().stdout;
    for part in ["<action name=\"off\"", "<parameter name=\"nodename\""] {
        assert!(metadata.contains(part), "no {part}: {metadata}");
    }
    assert!(!metadata.contains("<action name=\"reboot\""), "it cannot reboot: {metadata}");
    let valid = ["-K", "-a", "fence_kdump", "-o", "nodename=10.77.0.2"];
    let _ = run(fencer.admin(valid)).expect_success();
    let invalid = ["-K", "-a", "fence_kdump", "-o", "nodename=10.77.0.2", "-o", "ipport=0"];
    let _ = run(fencer.admin(invalid)).expect_failure();
}

/// With `dynamic-list` Pacemaker asks the agent itself which nodes it knows: those configured.
#[test]
fn a_dynamic_list_names_the_configured_node() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    fencer.register("kd2", &["nodename=10.77.0.2", "pcmk_host_check=dynamic-list"]);
    let targets = run(fencer.admin(["-s", "kd2", "-t", "10"])).expect_success();
    assert!(targets.stdout.lines().any(|line| line.trim() == "10.77.0.2"), "{targets}");
    assert!(!targets.stdout.contains("10.77.0.3"), "{targets}");
    let fence = ["-F", "10.77.0.2", "-t", "20"];
    let _ = fence_speaking(&net, &fencer, 2, &fence).expect_success();
    let _ = run(fencer.admin(["-F", "10.77.0.3", "-t", "3"])).expect_failure();
}

#[test]
fn pcs_describes_it() {
    if !requires(&[&NEEDS[..], &[Need::Pcs]].concat()) {
        return;
    }
    let net = Cluster::new(1);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    let pcs = fencer.beside("pcs").args(["stonith", "describe", "fence_kdump", "--full"]);
    let text = run(pcs).expect_success();
    for option in ["nodename", "ipport", "family", "timeout"] {
        assert!(text.stdout.contains(&format!("  {option}")), "no {option}: {text}");
    }
}

#[test]
fn crmsh_describes_it() {
    if !requires(&[&NEEDS[..], &[Need::Crmsh]].concat()) {
        return;
    }
    let net = Cluster::new(1);
    let fencer = Fencer::new(net.node(1), &programs::ours("fence_kdump"));
    let crm = fencer.beside("crm").args(["ra", "info", "stonith:fence_kdump"]);
    let text = run(crm).expect_success();
    for option in ["nodename", "ipport", "family", "timeout"] {
        assert!(text.stdout.contains(option), "no {option}: {text}");
    }
}
