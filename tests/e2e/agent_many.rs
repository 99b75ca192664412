//! Ten thousand agents that ask at once, and a daemon that has no descriptors left.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Proc, Run, programs, requires};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::Read as _;
use std::time::{Duration, Instant};
use std::{fs, thread};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(60);

/// So many clients of the control socket; a process for each would take this test too long.
const MANY: usize = 10_000;

const NODE: &str = "127.0.0.11";

/// What an agent says first, and then; as frozen as the datagrams are.
const HELLO: &str = r#"{"type":"hello"}"#;
const ASK: &str = r#"{"type":"ask","addresses":["127.0.0.11"]}"#;
/// As many addresses and names as a real one may ask for.
const ASK_NAMES: &str =
    r#"{"type":"ask","addresses":[],"names":["one","one.example.com","1.one"]}"#;

/// What is told of the one message.
const HEARD: &str = r#""bytes":"402a301b01000000""#;

struct Host {
    net: Netns,
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { net: Netns::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// With `wrapper` before its command line.
    fn daemon(&self, wrapper: &[&str]) -> Proc {
        let program = programs::ours("fence_kdumpd");
        let run = match wrapper {
            [] => Run::new(program),
            [first, rest @ ..] => Run::new(first).args(rest).arg(program),
        };
        let nodes = ["--node", "one=127.0.0.11", "--node", "two=127.0.0.12", "--state-dir"];
        let state = self.folder.path().join("state");
        let daemon = run.args(nodes).arg(state).inside(&self.net).spawn();
        daemon.wait_bound(PORT);
        daemon
    }

    fn agent(&self) -> Proc {
        let agent = Run::new(programs::ours("fence_kdump"));
        agent.args(["-v", "-n", NODE, "-t", "120"]).inside(&self.net).spawn()
    }

    /// So many clients, none of which reads anything yet.
    fn clients(&self, count: usize) -> Vec<Socket> {
        self.net.enter(|| {
            let address = SockAddr::unix("\0fence_kdump/7410").expect("a short name");
            let connect = |_| {
                let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
                socket.set_write_timeout(Some(LIMIT)).expect("a time");
                socket.connect(&address).expect("there is room, or it is waited for");
                socket.set_read_timeout(Some(LIMIT)).expect("a time");
                for packet in [HELLO, ASK, ASK_NAMES] {
                    socket.send(packet.as_bytes()).expect("nobody is sent away");
                }
                socket
            };
            (0..count).map(connect).collect()
        })
    }
}

/// This process has to have a descriptor for each of them.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let enough = maximum.is_none_or(|maximum| maximum > 10_500);
    assert!(enough, "RLIMIT_NOFILE is {maximum:?} at most, and 10500 are needed: ulimit -Hn");
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("not more than that");
}

/// Reads until the message is told; what was told before it.
#[track_caller]
fn told(socket: &Socket) -> usize {
    let mut bytes = vec![0; 16 * 1024];
    for before in 0..20 {
        let length = (&mut &*socket).read(&mut bytes).expect("it is told within the limit");
        assert!(length > 0, "the connection has ended after {before} packets");
        let packet = String::from_utf8_lossy(&bytes[..length]).into_owned();
        assert!(!packet.contains("refused"), "{packet}");
        if packet.contains(HEARD) {
            return before;
        }
    }
    panic!("many other things were told");
}

/// Resident memory of a process, in KiB.
fn resident(process: &Proc) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn ten_thousand_that_ask_at_once_are_all_told() {
    if !requires(&NEEDS) {
        return;
    }
    allow_descriptors();
    let host = Host::new();
    let daemon = host.daemon(&[]);
    let idle = resident(&daemon);
    let early = host.agent();
    early.wait_stderr_line("for this one", LIMIT);
    // The queue of those that the daemon has not got round to fills up: agents come again.
    daemon.signal(rustix::process::Signal::STOP);
    let (clients, agents) = thread::scope(|scope| {
        let clients = scope.spawn(|| host.clients(MANY));
        thread::sleep(Duration::from_secs(1));
        let agents = [host.agent(), host.agent()];
        // So long that they try the port themselves, which is in use.
        for agent in &agents {
            agent.wait_stderr_line("trying again until the time is up", LIMIT);
        }
        daemon.signal(rustix::process::Signal::CONT);
        (clients.join().expect("all of them have asked"), agents)
    });
    let late = host.agent();
    for agent in agents.iter().chain([&late]) {
        agent.wait_stderr_line("for this one", LIMIT);
    }
    let served = resident(&daemon);
    host.net.send(NODE, "127.0.0.1:7410", &LITTLE);
    let sent = Instant::now();
    for client in &clients {
        assert!(told(client) >= 2, "a welcome and a socket come first");
    }
    for agent in agents.into_iter().chain([early, late]) {
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    println!("told after {:?}; resident: {idle} KiB, then {served} KiB", sent.elapsed());
    assert!(sent.elapsed() < LIMIT, "{:?}", sent.elapsed());
    assert!(served < idle + 48 * 1024, "{idle} KiB, and with them {served} KiB");
    // They leave all at once, and whoever comes then is served.
    drop(clients);
    let next = host.agent();
    let _ = next.wait_for(LIMIT).expect_success();
    assert!(daemon.is_running());
}

/// It hears on, serves those that it has, and the others once there is room.
#[test]
fn a_daemon_without_descriptors_goes_on() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let daemon = host.daemon(&["prlimit", "--nofile=64:64"]);
    let first = host.clients(1);
    let more = host.clients(100);
    daemon.wait_stderr_line("control socket", LIMIT);
    host.net.send("127.0.0.12", "127.0.0.1:7410", &LITTLE);
    daemon.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    host.net.send(NODE, "127.0.0.1:7410", &LITTLE);
    assert!(told(&first[0]) >= 2);
    drop(more);
    let late = host.agent();
    let _ = late.wait_for(LIMIT).expect_success();
    assert!(daemon.is_running());
}
