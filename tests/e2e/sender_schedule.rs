//! When the sender speaks, what it does when it cannot, and what cannot hold it up.

use fence_kdump_tests::{Cluster, Need, Netns, Run, programs, requires};
use rustix::io::read;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(10);

fn sender<'net>(net: &'net Netns, args: &[&str]) -> Run<'net> {
    Run::new(programs::ours("fence_kdump_send")).args(args).inside(net)
}

/// The times at which messages come within `limit`, counted from the first.
fn times(socket: &UdpSocket, limit: Duration) -> Vec<u64> {
    let mut buffer = [0; 64];
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    if socket.recv(&mut buffer).ok() != Some(8) {
        return Vec::new();
    }
    let start = Instant::now();
    let mut times = vec![0];
    while let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        socket.set_read_timeout(Some(left)).unwrap();
        if socket.recv(&mut buffer).ok() == Some(8) {
            times.push(start.elapsed().as_millis() as u64);
        }
    }
    times
}

#[track_caller]
fn assert_times(times: &[u64], expected: &[u64]) {
    let near = |(time, expected): (&u64, &u64)| time.abs_diff(*expected) < 150;
    let right = times.len() == expected.len() && times.iter().zip(expected).all(near);
    assert!(right, "{times:?} ms instead of {expected:?}");
}

#[test]
fn bursts_and_intervals() {
    if !requires(&NEEDS) {
        return;
    }
    let cases: [(&[&str], &[u64]); 4] = [
        (&[], &[0, 200, 500, 1000, 2000]),
        (&["-i1"], &[0, 200, 500, 1000, 2000, 3000]),
        (&["-i1", "--burst=none"], &[0, 1000, 2000, 3000]),
        (&["-i2", "-b", "0,0.7,1.25"], &[0, 700, 1250, 2000]),
    ];
    std::thread::scope(|scope| {
        for (args, expected) in cases {
            scope.spawn(move || {
                let net = Netns::new();
                let socket = net.udp("127.0.0.1:7410");
                let _sender = sender(&net, args).arg("127.0.0.1").spawn();
                assert_times(&times(&socket, Duration::from_millis(3500)), expected);
            });
        }
    });
}

#[test]
fn a_count_is_exact() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (first, second) = (net.udp("127.0.0.1:7410"), net.udp("[::1]:7410"));
    let args = ["-c3", "-i1", "127.1", "::1", "127.1"];
    let run = sender(&net, &args).spawn();
    let heard = times(&second, Duration::from_millis(3500));
    assert_times(&heard, &[0, 1000, 2000]);
    let output = run.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_millis(2600), "no wait behind the last: {output}");
    assert_eq!(times(&first, Duration::from_millis(100)).len(), 6, "named twice, told twice");
}

/// Nothing is up: the exit code says so, and standard error names the nodes.
#[test]
fn nothing_sent_is_a_failure() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    net.ip("link set lo down");
    let line = |node: &str| format!("fence_kdump_send: {node}: nothing was sent\n");
    for nodes in [&["10.0.0.1"][..], &["2001:db8::1"], &["10.0.0.1", "fe80::1%eth9"]] {
        let output = sender(&net, &["-c2", "-i1"]).args(nodes).run(LIMIT).expect_failure();
        assert_eq!(output.code, Some(1));
        assert_eq!(output.stderr, nodes.iter().map(|node| line(node)).collect::<String>());
    }
    net.ip("link set lo up");
    let output = sender(&net, &["-c1", "10.0.0.1", "127.1"]).run(LIMIT).expect_success();
    assert_eq!(output.stderr, line("10.0.0.1"));
    // The other family is not what was asked for: nothing can ever be sent.
    let output = sender(&net, &["-f", "ipv6", "127.1"]).run(LIMIT).expect_failure();
    assert!(output.stderr.contains("127.1: is not of the family"), "{output}");
}

#[test]
fn errors_are_told_once_or_each_time() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let says = "fence_kdump_send: 10.0.0.1 10.0.0.1: the network is unreachable\n";
    let told = |level: &str| {
        let output = sender(&net, &["-c3", "-i1", level, "10.0.0.1"]).run(LIMIT).expect_failure();
        output.stderr.matches(says).count()
    };
    assert_eq!([told("-v0"), told("-v"), told("-v2")], [0, 1, 3]);
}

/// The network comes up while it runs: it speaks at once, and with the whole burst.
#[test]
fn a_network_that_comes_up_later() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let heard = net.node(2).udp("10.77.0.2:7410");
    let heard_v6 = net.node(2).udp("[fe80::2%2]:7410");
    net.node(1).ip("link set eth0 down\nlink set eth0 name later");
    let sender = sender(net.node(1), &["10.77.0.2", "fe80::2%eth0"]).spawn();
    std::thread::sleep(Duration::from_millis(1200));
    assert!(sender.is_running());
    net.node(1)
        .ip("link set later name eth0\nlink set eth0 up\naddr replace fe80::1/64 dev eth0 nodad");
    let start = Instant::now();
    let burst = times(&heard, Duration::from_millis(2500));
    assert!(start.elapsed() < Duration::from_millis(3500), "within a second of the network");
    assert_times(&burst, &[0, 200, 500, 1000, 2000]);
    assert_eq!(times(&heard_v6, Duration::from_millis(100)).len(), 5, "the same through the zone");
}

#[test]
fn broadcast_multicast_and_the_interface() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let (here, there) = (net.node(1), net.node(2));
    // A second interface that a route prefers: without --device, multicast goes astray.
    here.ip("link add other type veth peer name beyond\nlink set other up\nlink set beyond up\naddr add 10.88.0.1/24 dev other\nroute add 224.0.0.0/4 dev other\nroute add 10.99.0.0/16 dev other");
    there.ip("addr add 10.99.0.2/32 dev eth0\nroute add 10.99.0.1/32 dev eth0");
    let any = there.udp("0.0.0.0:7410");
    let group = "239.192.0.1".parse().unwrap();
    there.enter(|| any.join_multicast_v4(&group, &"10.77.0.2".parse().unwrap())).unwrap();
    let any_v6 = there.udp("[::]:7410");
    let index = there.interface("eth0");
    any_v6.join_multicast_v6(&"ff12::1234".parse().unwrap(), index).unwrap();
    let count = |socket: &UdpSocket| {
        socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let mut buffer = [0; 64];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
    };
    for (args, v4, v6) in [
        (&["10.77.0.255"][..], 1, 0),
        (&["-d", "eth0", "255.255.255.255"], 1, 0),
        (&["239.192.0.1"], 0, 0),
        (&["--device=eth0", "239.192.0.1"], 1, 0),
        (&["ff12::1234%eth0"], 0, 1),
        (&["-d", "eth0", "ff12::1234"], 0, 1),
        (&["10.99.0.2"], 0, 0),
        (&["-d", "eth0", "10.99.0.2"], 1, 0),
    ] {
        let _ = sender(here, &["-c1"]).args(args).run(LIMIT).expect_success();
        assert_eq!((count(&any), count(&any_v6)), (v4, v6), "{args:?}");
    }
    let missing = sender(here, &["-c1", "-v", "-d", "eth7", "10.77.0.2"]).run(LIMIT);
    assert!(missing.expect_failure().stderr.contains("no such interface"));
}

/// The TTL and the hop limit are what was asked for, for one node and for many.
#[test]
fn hops_are_what_was_asked_for() {
    if !requires(&[Need::Root, Need::Netns, Need::Strace]) {
        return;
    }
    let net = Cluster::new(1);
    let traced = |args: &[&str]| {
        let run = Run::new("strace").args(["-e", "trace=setsockopt,sendto"]);
        let run = run.arg(programs::ours("fence_kdump_send")).args(args).inside(net.node(1));
        run.run(LIMIT).expect_success().stderr
    };
    let trace =
        traced(&["-c1", "--ttl", "7", "10.77.0.9", "239.1.1.1", "fd00:77::9", "-d", "eth0"]);
    for option in [
        "IP_TTL, [7]",
        "IP_MULTICAST_TTL, [7]",
        "IPV6_UNICAST_HOPS, [7]",
        "IPV6_MULTICAST_HOPS, [7]",
        "SO_BINDTODEVICE",
    ] {
        assert!(trace.contains(option), "{option}: {trace}");
    }
    assert!(!traced(&["-c1", "10.77.0.9"]).contains("setsockopt"), "not unasked");
}

/// A router in between: with a TTL of 1 the message ends there, with 2 it arrives.
#[test]
fn a_hop_limit_ends_at_the_router() {
    if !requires(&NEEDS) {
        return;
    }
    let (a, router, b) = (Netns::new(), Netns::new(), Netns::new());
    router.ip(&format!("link add left type veth peer name eth0 netns {}\nlink add right type veth peer name eth0 netns {}\nlink set left up\nlink set right up\naddr add 10.1.0.1/24 dev left\naddr add 10.2.0.1/24 dev right", a.path(), b.path()));
    router.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).unwrap();
    a.ip("link set eth0 up\naddr add 10.1.0.2/24 dev eth0\nroute add default via 10.1.0.1");
    b.ip("link set eth0 up\naddr add 10.2.0.2/24 dev eth0\nroute add default via 10.2.0.1");
    let socket = b.udp("10.2.0.2:7410");
    socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut buffer = [0; 64];
    let _ = sender(&a, &["-c1", "-t1", "10.2.0.2"]).run(LIMIT).expect_success();
    assert!(socket.recv(&mut buffer).is_err(), "it ends at the router");
    let _ = sender(&a, &["-c1", "-t2", "10.2.0.2"]).run(LIMIT).expect_success();
    assert_eq!(socket.recv(&mut buffer).ok(), Some(8));
}

/// Whatever happens to its output, the messages go on: all of them, in time, and exit code 0.
#[test]
fn nothing_holds_up_the_messages() {
    if !requires(&NEEDS) {
        return;
    }
    let program = programs::ours("fence_kdump_send");
    let program = program.to_str().unwrap();
    // Closed; a pipe without a reader; a pipe that nobody empties, filled to the brim first.
    let shells = [
        "exec \"$0\" -c3 -i1 --verbose=2 127.1 <&- >&- 2>&-",
        "{ sleep 0.3; exec \"$0\" -c3 -i1 --verbose=2 127.1 2>&1 >/dev/null; } | true",
        "mkfifo \"$1/pipe\"; exec 9<>\"$1/pipe\"; dd if=/dev/zero of=\"$1/pipe\" bs=4096 count=16 2>/dev/null; exec \"$0\" -c3 -i1 --verbose=2 127.1 2>&9",
        "exec \"$0\" -c3 -i1 --verbose=2 127.1 2>/dev/full",
    ];
    std::thread::scope(|scope| {
        for shell in shells {
            scope.spawn(move || {
                let net = Netns::new();
                let folder = tempfile::tempdir().unwrap();
                let socket = net.udp("127.0.0.1:7410");
                let shell = ["-c", shell, program, folder.path().to_str().unwrap()];
                let run =
                    Run::new("bash").args(["-o", "pipefail"]).args(shell).inside(&net).spawn();
                assert_times(&times(&socket, Duration::from_millis(2500)), &[0, 1000, 2000]);
                let _ = run.wait_for(LIMIT).expect_success();
            });
        }
    });
}

/// A terminal that nobody reads: while it has room for one byte it says that it can be written to.
#[test]
fn a_terminal_that_nobody_reads_holds_up_nothing() {
    if !requires(&NEEDS) {
        return;
    }
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let net = Netns::new();
    let socket = net.udp("127.0.0.1:7410");
    // Some 130 KB of lines, twice what a terminal keeps.
    let nodes: Vec<_> = (0..500).map(|at| format!("10.9.{}.{}", at / 250, at % 250)).collect();
    let shell = "exec \"$0\" \"$@\" 2>\"$TERMINAL\"";
    let run = Run::new("sh").args(["-c", shell]).arg(programs::ours("fence_kdump_send"));
    let run = run.args(["-c4", "-i1", "-v2", "127.0.0.1"]).args(nodes).env("TERMINAL", path);
    let run = run.inside(&net).spawn();
    assert_times(&times(&socket, Duration::from_millis(3500)), &[0, 1000, 2000, 3000]);
    let _ = run.wait_for(LIMIT).expect_success();
    let mut line = [0; 18];
    assert_eq!(read(&terminal, &mut line), Ok(18), "it was told as long as there was room");
    assert_eq!(line, *b"fence_kdump_send: ");
}

/// The sockets of a process without standard streams must not become its standard error: not the
/// first ones, nor those for servers that it asks later.
#[test]
fn nothing_meant_for_people_goes_to_the_network() {
    if !requires(&NEEDS) {
        return;
    }
    for closed in ["<&- >&- 2>&-", "2>&-"] {
        let net = Netns::new();
        let dns = net.udp("127.0.0.53:53");
        let shell = format!("exec \"$0\" --verbose=2 node1 {closed}");
        let run = Run::new("sh").args(["-c", &shell]).arg(programs::ours("fence_kdump_send"));
        let run = run.inside(&net).file("/etc/resolv.conf", "nameserver 127.0.0.53\n");
        let sender = run.spawn();
        let mut buffer = [0; 600];
        dns.set_read_timeout(Some(LIMIT)).unwrap();
        // Each two questions are a lookup, and each end of one is told to nobody.
        for _ in 0..10 {
            let (length, from) = dns.recv_from(&mut buffer).unwrap();
            let said = String::from_utf8_lossy(&buffer[..length]);
            assert_eq!(buffer[2..6], [1, 0, 0, 1], "{closed}: {said:?}");
            // No such name.
            buffer[2..4].copy_from_slice(&[0x81, 0x83]);
            dns.send_to(&buffer[..length], from).unwrap();
        }
        assert!(sender.is_running());
    }
}

/// No limit on nodes that silences any: far more than the program has storage of its own for.
#[test]
fn many_nodes() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let socket = net.udp("0.0.0.0:7410");
    socket.set_read_timeout(Some(LIMIT)).expect("a time");
    let nodes: Vec<_> =
        (0..5000).map(|at| format!("127.2.{}.{}", at / 250, at % 250 + 1)).collect();
    // As many at once as the kernel gives a socket room for.
    for nodes in nodes.chunks(250) {
        let _ = sender(&net, &["-c1"]).args(nodes).run(LIMIT).expect_success();
        let mut buffer = [0; 64];
        for _ in nodes {
            assert_eq!(socket.recv(&mut buffer).expect("each gets one"), 8);
        }
    }
    let trace = Run::new("strace").args(["-c", "-e", "trace=sendto"]);
    let trace = trace.arg(programs::ours("fence_kdump_send")).arg("-c1").args(&nodes);
    let output = trace.inside(&net).run(LIMIT).expect_success();
    assert!(output.stderr.contains(" 5000 "), "{output}");
}
