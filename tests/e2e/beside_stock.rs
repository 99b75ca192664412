//! Where our programs and the stock ones differ, row by row as the README's tables have it: each
//! row is run with both, and both must do what the table says. `hostile` and `sender_options` hold
//! the rest: datagrams that are no messages, and command lines.

use fence_kdump_tests::datagram::{BIG, LITTLE, PORT};
use fence_kdump_tests::{Cluster, Need, Netns, Run, programs, requires};
use rustix::process::Signal;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Stock];
const LIMIT: Duration = Duration::from_secs(30);

fn senders() -> [PathBuf; 2] {
    [programs::stock_sender(), programs::ours("fence_kdump_send")]
}

fn agents() -> [PathBuf; 2] {
    [programs::stock_agent(), programs::ours("fence_kdump")]
}

/// How many datagrams have come by now.
fn arrived(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).expect("a socket");
    std::iter::repeat_with(|| socket.recv(&mut [0; 64])).take_while(Result::is_ok).count()
}

/// What `observe` sees, for the stock program and for ours, is what the table says.
fn row<T: PartialEq + std::fmt::Debug>(
    what: &str,
    programs: [PathBuf; 2],
    says: [T; 2],
    observe: impl Fn(PathBuf) -> T,
) {
    let seen = programs.map(observe);
    println!("{what}: stock {:?}, here {:?}", seen[0], seen[1]);
    assert_eq!(seen, says, "{what}");
}

#[test]
fn senders_beside_each_other() {
    if !requires(&NEEDS) {
        return;
    }
    row("addresses of a name that are told", senders(), [1, 3], |sender| {
        let net = Netns::new();
        let sockets = ["127.0.0.1:7410", "127.0.0.2:7410", "[::1]:7410"].map(|at| net.udp(at));
        let run = Run::new(sender).args(["-c1", "-i1", "n"]).inside(&net);
        let _ = run.file("/etc/hosts", "127.0.0.1 n\n127.0.0.2 n\n::1 n\n").run(LIMIT);
        sockets.iter().map(arrived).sum::<usize>()
    });
    row("a name that resolves later is told", senders(), [false, true], |sender| {
        let net = Netns::new();
        let socket = net.udp("127.0.0.1:7410");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, "127.0.0.3 other\n").expect("our own file");
        let run = Run::new(sender).args(["-i1", "n", "127.0.0.9"]).inside(&net);
        let run = run.bind(&hosts, "/etc/hosts").file("/etc/resolv.conf", "").spawn();
        std::thread::sleep(Duration::from_millis(1500));
        std::fs::write(&hosts, "127.0.0.1 n\n").expect("our own file");
        std::thread::sleep(Duration::from_secs(4));
        let _ = run.kill();
        arrived(&socket) > 0
    });
    row("told within 5 s beside a dead DNS server", senders(), [false, true], |sender| {
        let net = Netns::new();
        let socket = net.udp("127.0.0.1:7410");
        // Bound and never answering: nothing comes back, not even that the port is closed.
        let _dead = net.udp("127.0.0.53:53");
        let run = Run::new(sender).args(["n.example", "127.0.0.1"]).inside(&net);
        let run = run.file("/etc/resolv.conf", "nameserver 127.0.0.53\n").spawn();
        std::thread::sleep(Duration::from_secs(4));
        let _ = run.kill();
        arrived(&socket) > 0
    });
    row("messages in the first 3.5 s", senders(), [1, 5], |sender| {
        let net = Netns::new();
        let socket = net.udp("127.0.0.1:7410");
        let run = Run::new(sender).arg("127.0.0.1").inside(&net).spawn();
        std::thread::sleep(Duration::from_millis(3500));
        let _ = run.kill();
        arrived(&socket)
    });
    row("told within 4 s of a network that comes late", senders(), [false, true], |sender| {
        let net = Cluster::new(2);
        net.node(2).ip("link set eth0 down");
        let socket = net.node(1).udp("10.77.0.1:7410");
        let run = Run::new(sender).arg("10.77.0.1").inside(net.node(2)).spawn();
        std::thread::sleep(Duration::from_secs(1));
        net.node(2).ip("link set eth0 up");
        std::thread::sleep(Duration::from_secs(4));
        let _ = run.kill();
        arrived(&socket) > 0
    });
    row("broadcast is sent, multicast is sent", senders(), [[0, 1], [1, 1]], |sender| {
        ["10.77.0.255", "224.0.0.1"].map(|to| {
            let net = Cluster::new(2);
            net.node(2).ip("route add default dev eth0");
            let socket = net.node(1).udp("0.0.0.0:7410");
            let _ = Run::new(&sender).args(["-c1", "-i1", to]).inside(net.node(2)).run(LIMIT);
            arrived(&socket)
        })
    });
    row("exit code when nothing was sent", senders(), [0, 1], |sender| {
        let net = Netns::new();
        let run = Run::new(sender).args(["-c1", "-i1", "192.0.2.1"]).inside(&net);
        run.run(LIMIT).code.expect("no signal")
    });
}

/// The exit code of the agent with these lines on its standard input, when `says` has spoken.
fn fenced(agent: &PathBuf, stdin: &str, says: &[(&str, &[u8])]) -> i32 {
    let net = Netns::new();
    let hosts = "127.0.0.11 a\n127.0.1.11 a\n127.0.0.12 b\n";
    let run = Run::new(agent).stdin(format!("{stdin}\ntimeout=3\n")).inside(&net);
    let agent = run.file("/etc/hosts", hosts).file("/etc/resolv.conf", "").spawn();
    // Until it listens, or has refused to.
    while agent.is_running() && !net.is_bound(PORT) && agent.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(10));
    }
    for (from, bytes) in says {
        let to = if from.contains(':') { "[::1]:7410" } else { "127.0.0.1:7410" };
        net.send(from, to, bytes);
    }
    agent.wait_for(LIMIT).code.expect("no signal")
}

#[test]
fn agents_beside_each_other() {
    if !requires(&NEEDS) {
        return;
    }
    let exit = |what: &str, says: [i32; 2], stdin: &str, heard: &[(&str, &[u8])]| {
        row(what, agents(), says, |agent| fenced(&agent, stdin, heard));
    };
    exit("a message", [0, 0], "nodename=a", &[("127.0.0.11", &LITTLE)]);
    exit("no message", [1, 1], "nodename=a", &[]);
    exit("a big-endian message", [1, 0], "nodename=a", &[("127.0.0.11", &BIG)]);
    exit("a message from the second address", [1, 0], "nodename=a", &[("127.0.1.11", &LITTLE)]);
    exit("both families in one list", [1, 0], "nodename=127.0.0.9,::1", &[("::1", &LITTLE)]);
    exit("pcmk_host_map", [1, 0], "nodename=n4\nport=127.0.0.4", &[("127.0.0.4", &LITTLE)]);
    let asked = "nodename=a\nport=b";
    exit("a's message when asked about b", [0, 1], asked, &[("127.0.0.11", &LITTLE)]);
    let empty: &[(&str, &[u8])] = &[("127.0.0.12", &LITTLE), ("127.0.0.11", &[])];
    exit("an empty datagram after another node's message", [0, 1], "nodename=a", empty);
    let longer = [&LITTLE[..], &[0]].concat();
    exit("a message with a byte behind it", [0, 1], "nodename=a", &[("127.0.0.11", &longer)]);
    let lost = "action=validate-all\nnodename=nosuch.invalid";
    exit("validate-all of a name that does not exist", [0, 1], lost, &[]);
    exit("list", [1, 0], "action=list\nnodename=a", &[]);

    row("a second agent on the host is served", agents(), [false, true], |agent| {
        let net = Netns::new();
        let run = |node| Run::new(&agent).args(["-n", node, "-t", "5"]).inside(&net).spawn();
        let first = run("127.0.0.11");
        first.wait_bound(PORT);
        let second = run("127.0.0.12");
        std::thread::sleep(Duration::from_millis(700));
        net.send("127.0.0.12", "127.0.0.1:7410", &LITTLE);
        let served = second.wait_for(LIMIT).code == Some(0);
        let _ = first.kill();
        served
    });
    row("a message after the timeout, to a stopped agent", agents(), [0, 1], |agent| {
        let net = Netns::new();
        let agent = Run::new(agent).args(["-n", "127.0.0.11", "-t", "2"]).inside(&net).spawn();
        agent.wait_bound(PORT);
        agent.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(3));
        net.send("127.0.0.11", "127.0.0.1:7410", &LITTLE);
        agent.signal(Signal::CONT);
        agent.wait_for(LIMIT).code.expect("no signal")
    });
    let monitor = |cmdline: &str, loaded: &str| {
        let (cmdline, loaded) = (cmdline.to_owned(), loaded.to_owned());
        move |agent: PathBuf| {
            let run = Run::new(agent).args(["-o", "monitor"]).file("/proc/cmdline", &cmdline);
            let run = run.file("/sys/kernel/kexec_crash_size", "268435456\n");
            run.file("/sys/kernel/kexec_crash_loaded", &loaded).run(LIMIT).code
        }
    };
    let reserved = "crashkernel=256M quiet\n";
    let says = [Some(0), Some(1)];
    row("monitor: reserved, not loaded", agents(), says, monitor(reserved, "0\n"));
    row("monitor: reserved and loaded", agents(), [Some(0), Some(0)], monitor(reserved, "1\n"));
}
