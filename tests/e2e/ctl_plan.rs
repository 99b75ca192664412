//! `fence_kdumpctl plan` in networks of all kinds: what it finds out is what the sender will need.

use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(30);

/// A host, and beside it another one on each of its cables.
struct Host {
    net: Netns,
    beside: Netns,
}

impl Host {
    /// With cables `eth0` to `eth<count - 1>`, whose Ethernet addresses end in their number plus one.
    fn new(count: u8) -> Option<Self> {
        if !requires(&NEEDS) {
            return None;
        }
        let host = Self { net: Netns::new(), beside: Netns::new() };
        for number in 0..count {
            let end = number + 1;
            host.net.ip(&format!(
                "link add eth{number} address 02:00:00:00:00:{end:02x} type veth \
                 peer name port{number} netns {}",
                host.beside.path()
            ));
            host.beside.ip(&format!("link set port{number} up"));
        }
        Some(host)
    }

    /// Runs it with the interfaces of this host in /sys, and `hosts` in /etc/hosts.
    fn plan(&self, words: &str, hosts: &str) -> Output {
        // Both are of this process and what it becomes alone.
        let program = programs::ours("fence_kdumpctl");
        let script = format!("mount -t sysfs none /sys && exec {} plan {words}", program.display());
        let run = Run::new("sh").args(["-c", &script]).inside(&self.net);
        run.file("/etc/hosts", format!("127.0.0.1 localhost\n{hosts}")).run(LIMIT)
    }

    /// The `link` lines of a plan that was made without a complaint.
    fn links(&self, words: &str) -> Vec<String> {
        let output = self.plan(words, "").expect_success();
        assert_eq!(output.stderr, "", "{output}");
        lines(&output.stdout, "link")
    }
}

fn lines(plan: &str, key: &str) -> Vec<String> {
    let rest = plan.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    rest.map(str::to_owned).collect()
}

#[test]
fn a_node_on_the_same_cable_and_one_behind_a_gateway() {
    let Some(host) = Host::new(2) else {
        return;
    };
    host.net.ip("link set eth0 up\nlink set eth1 up\n\
         addr add 10.1.0.1/24 dev eth0\naddr add fd00:1::1/64 dev eth0 nodad\n\
         addr add 10.2.0.1/16 dev eth1\n\
         route add default via 10.1.0.254\nroute add 10.9.0.0/16 via 10.2.0.254\n\
         route add 10.8.0.0/24 dev eth1\nroute add fd00:9::/48 via fd00:1::fe");
    assert_eq!(
        host.links("10.1.0.2 fd00:1::2"),
        ["eth0 mac 02:00:00:00:00:01 address 10.1.0.1/24 address fd00:1::1/64"]
    );
    assert_eq!(
        host.links("10.9.1.2 192.0.2.7 10.9.3.4"),
        [
            "eth1 mac 02:00:00:00:00:02 address 10.2.0.1/16 route 10.9.0.0/16 10.2.0.254",
            "eth0 mac 02:00:00:00:00:01 address 10.1.0.1/24 route 0.0.0.0/0 10.1.0.254",
        ]
    );
    // Beside this host, though no address of it says so.
    assert_eq!(
        host.links("10.8.0.3 fd00:9::3"),
        [
            "eth1 mac 02:00:00:00:00:02 address 10.2.0.1/16 route 10.8.0.3/32 10.8.0.3",
            "eth0 mac 02:00:00:00:00:01 address fd00:1::1/64 route fd00:9::/48 fd00:1::fe",
        ]
    );
    assert_eq!(
        host.links("--mode kernel 10.1.0.255 224.0.0.9"),
        ["eth0 mac 02:00:00:00:00:01 address 10.1.0.1/24 mode kernel"],
        "broadcast and multicast need no gateway"
    );
}

#[test]
fn names_are_resolved_now_and_this_host_is_left_out() {
    let Some(host) = Host::new(1) else {
        return;
    };
    host.net
        .ip("link set eth0 addrgenmode none\nlink set eth0 up\naddr add 10.1.0.1/24 dev eth0\n\
         addr add fe80::1/64 dev eth0 nodad\naddr add fd00:1::1/64 dev eth0 nodad");
    let hosts = "10.1.0.1 one\n10.1.0.2 two\nfd00:1::2 two\n10.1.0.3 three\n";
    let words = "-p 7410 -i 5 one two both:three fe80::2%eth0 lost.invalid";
    let output = host.plan(words, hosts).expect_success();
    let plan = &output.stdout;
    assert_eq!(lines(plan, "fence_kdump_plan"), ["1"]);
    assert_eq!(lines(plan, "send"), ["-p 7410 -i 5 two both:three fe80::2%eth0 lost.invalid"]);
    let mut nodes = lines(plan, "node");
    assert_eq!(nodes.pop().as_deref(), Some("three 10.1.0.3"));
    assert!(["two 10.1.0.2 fd00:1::2", "two fd00:1::2 10.1.0.2"].contains(&nodes[0].as_str()));
    assert_eq!(nodes.len(), 1, "addresses need no names: {plan}");
    let link = lines(plan, "link").concat();
    for address in ["10.1.0.1/24", "fd00:1::1/64", "fe80::1/64"] {
        assert!(link.contains(&format!(" address {address}")), "{plan}");
    }
    assert!(lines(plan, "module").is_empty(), "a virtual cable needs no driver: {plan}");
    for remark in ["one: is this host itself", "lost.invalid: "] {
        assert!(output.stderr.contains(remark), "{output}");
    }
    let output = host.plan("-f ipv6 two", hosts).expect_success();
    assert_eq!(lines(&output.stdout, "node"), ["two fd00:1::2"]);
    assert_eq!(lines(&output.stdout, "link"), ["eth0 mac 02:00:00:00:00:01 address fd00:1::1/64"]);
}

/// Bonds and VLANs, which not every kernel has, are planned in the machine of `vm_images`.
#[test]
fn bridges_lead_to_their_cards() {
    let Some(host) = Host::new(3) else {
        return;
    };
    host.net.ip("link add br0 type bridge\nlink set eth0 master br0\nlink set eth1 master br0\n\
         link set br0 up\naddr add 10.7.0.1/24 dev br0\n\
         link add br1 type bridge\nlink set br1 up\naddr add 10.8.0.1/24 dev br1\n\
         link add mv0 link eth2 type macvlan mode bridge\nlink set eth2 up\nlink set mv0 up\n\
         addr add 10.11.0.1/24 dev mv0");
    assert_eq!(
        host.links("10.7.0.2"),
        ["br0 mac 02:00:00:00:00:01,02:00:00:00:00:02 address 10.7.0.1/24"]
    );
    assert_eq!(host.links("10.11.0.2"), ["mv0 mac 02:00:00:00:00:03 address 10.11.0.1/24"]);
    let output = host.plan("10.8.0.2", "").expect_failure();
    assert!(output.stderr.contains("not planned: br1: no network card"), "{output}");
    assert!(output.stderr.contains("no node can be reached"), "{output}");
}

#[test]
fn what_was_lent_is_asked_for_again() {
    let Some(host) = Host::new(1) else {
        return;
    };
    host.net
        .ip("link set eth0 up\naddr add 10.1.0.1/24 dev eth0 valid_lft 3600 preferred_lft 3600\n\
         addr add fd00:1::1/64 dev eth0 nodad valid_lft 3600 preferred_lft 3600");
    let link = "eth0 mac 02:00:00:00:00:01 address";
    assert_eq!(host.links("10.1.0.2"), [format!("{link} 10.1.0.1/24 dhcp4")]);
    assert_eq!(host.links("fd00:1::2"), [format!("{link} fd00:1::1/64 slaac")]);
}

#[test]
fn what_cannot_be_planned_is_told_with_its_reason() {
    let Some(host) = Host::new(1) else {
        return;
    };
    host.net.ip("link set eth0 up\naddr add 10.1.0.1/24 dev eth0\n\
         tuntap add name tun0 mode tun\nlink set tun0 up\naddr add 10.2.0.1/24 dev tun0\n\
         route add unreachable 10.3.0.0/16\nroute add blackhole 10.4.0.0/16");
    let output = host.plan("10.1.0.2 10.2.0.2 10.3.0.2 10.4.0.2 10.5.0.2 fd00:5::1", "");
    let output = output.expect_success();
    assert_eq!(lines(&output.stdout, "link").len(), 1, "{output}");
    // They stay in the command line: the distribution may find a way that nobody could plan.
    assert_eq!(
        lines(&output.stdout, "send"),
        ["10.1.0.2 10.2.0.2 10.3.0.2 10.4.0.2 10.5.0.2 fd00:5::1"]
    );
    for remark in [
        "10.2.0.2: not planned: tun0: ",
        "10.3.0.2: not planned: ",
        "10.4.0.2: not planned: ",
        "10.5.0.2: not planned: no route there",
        "fd00:5::1: not planned: ",
    ] {
        assert!(output.stderr.contains(remark), "{remark}: {output}");
    }
    let output = host.plan("--kernel no.such.kernel 10.1.0.2", "").expect_failure();
    assert!(output.stderr.contains("/lib/modules/no.such.kernel/modules.dep"), "{output}");
    let output = host.plan("", "").expect_failure();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("NODE"), "{output}");
}

/// The plan names the node's key, so it is for nobody else's eyes either; and no other key gets into an
/// image.
#[test]
fn the_key_is_the_nodes_own_and_the_file_is_roots() {
    let Some(host) = Host::new(1) else {
        return;
    };
    host.net.ip("link set eth0 up\naddr add 10.1.0.1/24 dev eth0");
    let path = |name: &str| host.net.folder().join(name).display().to_string();
    let ctl = |words: String| {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        Run::new(programs::ours("fence_kdumpctl")).args(words).run(LIMIT)
    };
    let (cluster, node, plan) = (path("cluster.key"), path("node.key"), path("plan"));
    let _ = ctl(format!("key new -o {cluster}")).expect_success();
    let _ = ctl(format!("key derive me -k {cluster} -o {node}")).expect_success();
    // Twice: an image is built again and again.
    for _ in 0..2 {
        let output = host.plan(&format!("-k {node} -o {plan} 10.1.0.2"), "").expect_success();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    }
    let text = fs::read_to_string(&plan).expect("the plan");
    assert_eq!(lines(&text, "send"), [format!("-k {node} 10.1.0.2")]);
    let mode = fs::metadata(&plan).expect("the plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = host.plan(&format!("-k {cluster} 10.1.0.2"), "").expect_failure();
    assert!(output.stderr.contains("holds no key of a node"), "{output}");
    let output = host.plan(&format!("-k {node}.gone 10.1.0.2"), "").expect_failure();
    assert!(output.stderr.contains("no such file"), "{output}");
}
