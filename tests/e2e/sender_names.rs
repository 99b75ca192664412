//! What the sender makes of names: hosts, DNS, several addresses, dead servers, late answers.

#[path = "sender_names/server.rs"]
mod server;

use fence_kdump_tests::{Cluster, Need, Netns, Proc, Run, programs, requires};
use server::{Entry, Server};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(20);
const HOSTS: &str = "127.0.0.1 localhost\n";

/// The sender in `net`, with these hosts and this resolver.
fn sender<'net>(net: &'net Netns, hosts: &str, resolver: &str, args: &[&str]) -> Run<'net> {
    let program = programs::ours("fence_kdump_send");
    let run = Run::new(program).args(args).inside(net);
    run.file("/etc/hosts", hosts).file("/etc/resolv.conf", resolver)
}

/// Waits for one message, at most `limit`.
#[track_caller]
fn hears(socket: &UdpSocket, limit: Duration) -> Duration {
    let start = Instant::now();
    socket.set_read_timeout(Some(limit)).unwrap();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer);
    let length = length.unwrap_or_else(|error| panic!("nothing within {limit:?}: {error}"));
    assert_eq!(length, 8);
    start.elapsed()
}

/// Counts the messages that are there.
fn count(socket: &UdpSocket) -> usize {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 64];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
}

const HALF: Duration = Duration::from_millis(500);

#[test]
fn every_address_in_hosts_gets_every_message() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    net.ip("addr add fe80::5/64 dev lo nodad");
    let all = [
        net.udp("127.0.0.2:7410"),
        net.udp("127.0.0.3:7410"),
        net.udp("[::1]:7410"),
        net.udp("[fe80::5%1]:7410"),
    ];
    let hosts = "127.0.0.2 node1.example Node1 # node9\n127.0.0.3 other NODE1\n::1 node1\nfe80::5%lo node1\n127.0.0.4 node\n";
    let resolver = "nameserver 127.0.0.9\n";
    let run = sender(&net, hosts, resolver, &["-c2", "-i1", "node1"]);
    let _ = run.run(LIMIT).expect_success();
    assert_eq!(all.map(|socket| count(&socket)), [2; 4]);
}

#[test]
fn the_family_decides_which_addresses() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let zone = [("node1", Entry::with(&["127.0.0.2", "::1"]))];
    let server = Server::new(&net, "127.0.0.53:53", &zone);
    let all = [net.udp("127.0.0.2:7410"), net.udp("[::1]:7410")];
    for (hosts, resolver) in [("127.0.0.2 node1\n::1 node1\n", ""), ("", "nameserver 127.0.0.53\n")]
    {
        for (family, expected) in [("ipv4", [1, 0]), ("ipv6", [0, 1]), ("auto", [1, 1])] {
            let run = sender(&net, hosts, resolver, &["-c1", "-f", family, "node1"]);
            let _ = run.run(LIMIT).expect_success();
            let heard = [0, 1].map(|place| count(&all[place]));
            assert_eq!(heard, expected, "{family} {hosts:?}");
        }
    }
    assert_eq!(server.asked(), 4, "only what is wanted");
}

#[test]
fn every_address_in_dns_gets_every_message() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let alias = Entry { alias: Some("host"), ..Entry::with(&["127.0.0.2", "127.0.0.3", "::1"]) };
    let server = Server::new(&net, "127.0.0.53:53", &[("node1.b.example", alias)]);
    let all = [net.udp("127.0.0.2:7410"), net.udp("127.0.0.3:7410"), net.udp("[::1]:7410")];
    for (resolver, name) in [
        ("nameserver 127.0.0.53\nsearch a.example b.example\n", "node1"),
        ("nameserver 127.0.0.53\ndomain b.example\noptions ndots:2\n", "Node1"),
        ("nameserver 127.0.0.53\nsearch a.example\n", "node1.b.example"),
        ("nameserver 127.0.0.53\nsearch a.example\n", "node1.b.example."),
    ] {
        let run = sender(&net, HOSTS, resolver, &["-c1", name]);
        let _ = run.run(LIMIT).expect_success();
        let heard = [0, 1, 2].map(|place| count(&all[place]));
        assert_eq!(heard, [1; 3], "{resolver:?} {name}");
    }
    assert!(server.asked() >= 4 * 2);
}

#[test]
fn servers_over_either_family() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let zone = [("node1", Entry::with(&["127.0.0.2"]))];
    let _server = Server::new(&net, "[::1]:53", &zone);
    let socket = net.udp("127.0.0.2:7410");
    let _sender = sender(&net, HOSTS, "nameserver ::1\n", &["node1"]).spawn();
    assert!(hears(&socket, LIMIT) < Duration::from_secs(1));
}

/// A DNS server that never answers: node 2 of a cluster, which has no server running.
fn with_dead_server(args: &[&str], check: impl FnOnce(&Cluster, Proc)) {
    let net = Cluster::new(3);
    let sender = sender(net.node(1), HOSTS, "nameserver 10.77.0.99\nnameserver 10.77.0.2\n", args);
    // Nothing must come back from there, not even a refusal.
    let _mute = net.node(2).udp("10.77.0.2:53");
    check(&net, sender.spawn());
}

#[test]
fn a_dead_server_delays_no_other_node() {
    if !requires(&NEEDS) {
        return;
    }
    let args = ["nobody-knows-me", "10.77.0.3", "nor-me"];
    let net = Cluster::new(3);
    let heard = net.node(3).udp("10.77.0.3:7410");
    let resolver = "nameserver 10.77.0.99\nnameserver 10.77.0.2\n";
    let _mute = net.node(2).udp("10.77.0.2:53");
    let _sender = sender(net.node(1), HOSTS, resolver, &args).spawn();
    // The limit is for the start of the processes; the burst shows that it goes on in time.
    hears(&heard, Duration::from_secs(2));
    let start = Instant::now();
    for at in [200, 500, 1000, 2000] {
        hears(&heard, Duration::from_secs(2));
        let off = start.elapsed().abs_diff(Duration::from_millis(at));
        assert!(off < Duration::from_millis(150), "{at} ms: off by {off:?}");
    }
}

#[test]
fn a_dead_server_costs_nothing_beside_a_living_one() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(3);
    let zone = [("node3", Entry::with(&["10.77.0.3"]))];
    let _server = Server::new(net.node(2), "10.77.0.2:53", &zone);
    let _mute = net.node(3).udp("10.77.0.3:53");
    let heard = net.node(3).udp("10.77.0.3:7410");
    let resolver = "nameserver 10.77.0.99\nnameserver 10.77.0.3\nnameserver 10.77.0.2\n";
    let _sender = sender(net.node(1), HOSTS, resolver, &["node3"]).spawn();
    assert!(hears(&heard, LIMIT) < Duration::from_secs(1));
}

#[test]
fn an_unanswered_question_is_repeated_soon() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let lossy = Entry { ignored: 2, ..Entry::with(&["127.0.0.2"]) };
    let server = Server::new(&net, "127.0.0.53:53", &[("node1", lossy)]);
    let heard = net.udp("127.0.0.2:7410");
    let _sender = sender(&net, HOSTS, "nameserver 127.0.0.53\n", &["node1"]).spawn();
    let after = hears(&heard, LIMIT);
    assert!(after > Duration::from_millis(900) && after < Duration::from_millis(1700), "{after:?}");
    // The answer about one family is used before the server comes to the other question.
    hears(&heard, LIMIT);
    assert_eq!(server.asked(), 4);
}

#[test]
fn a_name_that_is_known_later_gets_its_burst() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let server = Server::new(&net, "127.0.0.53:53", &[]);
    let heard = net.udp("127.0.0.2:7410");
    let failing = Entry { code: 2, ..Entry::default() };
    server.tell("node1", failing);
    let sender = sender(&net, HOSTS, "nameserver 127.0.0.53\n", &["-v", "node1"]).spawn();
    sender.wait_stderr_line("node1: has no address yet", LIMIT);
    assert_eq!(count(&heard), 0);
    server.tell("node1", Entry::with(&["127.0.0.2"]));
    assert!(hears(&heard, LIMIT) < Duration::from_millis(2500));
    for _ in 0..4 {
        hears(&heard, Duration::from_millis(1500));
    }
    // It stays in use although the server forgets it.
    server.tell("node1", Entry { code: 3, ..Entry::default() });
    assert!(sender.is_running());
}

#[test]
fn files_are_read_again_while_a_name_has_no_address() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let folder = tempfile::tempdir().unwrap();
    let (hosts, resolver) = (folder.path().join("hosts"), folder.path().join("resolv.conf"));
    std::fs::write(&hosts, "").unwrap();
    std::fs::write(&resolver, "").unwrap();
    let _server = Server::new(&net, "127.0.0.53:53", &[("node2", Entry::with(&["127.0.0.3"]))]);
    let (first, second) = (net.udp("127.0.0.2:7410"), net.udp("127.0.0.3:7410"));
    let program = programs::ours("fence_kdump_send");
    let run = Run::new(program).args(["-v", "node1", "node2"]).inside(&net);
    let sender = run.bind(&hosts, "/etc/hosts").bind(&resolver, "/etc/resolv.conf").spawn();
    sender.wait_stderr_line("node2: has no address yet", LIMIT);
    std::fs::write(&hosts, "127.0.0.2 node1\n").unwrap();
    assert!(hears(&first, LIMIT) < Duration::from_millis(2500));
    std::fs::write(&resolver, "nameserver 127.0.0.53\n").unwrap();
    assert!(hears(&second, LIMIT) < Duration::from_millis(2500));
}

/// A DNS server that says nothing keeps no correction of the files from being seen for longer than
/// one form of the name takes, 11 s, however many forms there are.
#[test]
fn files_are_read_again_after_silence() {
    if !requires(&NEEDS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for (place, file) in ["hosts", "resolv.conf"].into_iter().enumerate() {
            let folder = folder.path().join(place.to_string());
            scope.spawn(move || {
                std::fs::create_dir(&folder).unwrap();
                let (hosts, resolver) = (folder.join("hosts"), folder.join("resolv.conf"));
                let search = "search a.example b.example c.example\n";
                std::fs::write(&hosts, "").unwrap();
                std::fs::write(&resolver, format!("nameserver 127.0.0.54\n{search}")).unwrap();
                let net = Netns::new();
                let mute = net.udp("127.0.0.54:53");
                let node = Entry::with(&["127.0.0.2"]);
                let _server = Server::new(&net, "127.0.0.53:53", &[("node1.c.example", node)]);
                let heard = net.udp("127.0.0.2:7410");
                let run = Run::new(programs::ours("fence_kdump_send")).arg("node1").inside(&net);
                let run = run.bind(&hosts, "/etc/hosts").bind(&resolver, "/etc/resolv.conf");
                let _sender = run.spawn();
                mute.set_read_timeout(Some(LIMIT)).unwrap();
                assert!(mute.recv(&mut [0; 600]).is_ok(), "a question");
                std::thread::sleep(Duration::from_secs(2));
                if place == 0 {
                    std::fs::write(&hosts, "127.0.0.2 node1\n").unwrap();
                } else {
                    let text = format!("nameserver 127.0.0.53\n{search}");
                    std::fs::write(&resolver, text).unwrap();
                }
                let after = hears(&heard, Duration::from_secs(30));
                assert!(after < Duration::from_secs(12), "{file}: {after:?}");
            });
        }
    });
}

/// A name with one family answered and the other one not: what is known is told at once.
#[test]
fn half_an_answer_is_used_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Cluster::new(2);
    let node = net.node(2);
    let socket = node.udp("10.77.0.2:53");
    let heard = node.udp("10.77.0.2:7410");
    let run = sender(net.node(1), HOSTS, "nameserver 10.77.0.2\n", &["node2"]);
    let _sender = run.spawn();
    // By hand: the question for A is answered, the one for AAAA is not.
    let mut buffer = [0; 600];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    let mut packet = buffer[..length].to_vec();
    assert_eq!(packet[length - 4..], [0, 1, 0, 1], "A comes first");
    packet[2..4].copy_from_slice(&[0x81, 0x80]);
    packet[7] = 1;
    packet.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 77, 0, 2]);
    // Another number, somebody else's answer, rubbish: none of it may be believed.
    let mut other = packet.clone();
    other[1] ^= 1;
    other[length + 15] = 9;
    socket.send_to(&other, from).unwrap();
    socket.send_to(&other[..7], from).unwrap();
    socket.send_to(&[], from).unwrap();
    let stranger = node.udp("10.77.0.2:0");
    stranger.send_to(&other, from).unwrap();
    assert_eq!(count(&heard), 0);
    socket.send_to(&packet, from).unwrap();
    assert!(hears(&heard, LIMIT) < HALF);
}

/// With a count, a name that stays unknown ends the program after its rounds, not before.
#[test]
fn a_count_ends_also_without_an_address() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let run = |args: &[&str]| sender(&net, HOSTS, "nameserver 127.0.0.53\n", args).run(LIMIT);
    let _server = Server::new(&net, "127.0.0.53:53", &[]);
    let output = run(&["-c3", "-i1", "node1"]).expect_failure();
    assert!(output.elapsed > Duration::from_millis(1900), "{output}");
    assert!(output.elapsed < Duration::from_millis(3500), "{output}");
    assert_eq!(output.stderr, "fence_kdump_send: node1: nothing was sent\n");
    let output = run(&["-c1", "node1", "127.0.0.1"]).expect_success();
    assert_eq!(output.stderr, "fence_kdump_send: node1: nothing was sent\n");
}

#[test]
fn a_dead_server_ends_a_count_in_time() {
    if !requires(&NEEDS) {
        return;
    }
    with_dead_server(&["-c1", "node1"], |_, sender| {
        let output = sender.wait_for(LIMIT).expect_failure();
        let seconds = output.elapsed.as_secs_f64();
        assert!((10.0..14.0).contains(&seconds), "1 + 5 + 5 s: {output}");
    });
}

/// More names than fit into the program's own storage, all at once.
#[test]
fn many_names() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let names: Vec<_> = (0..300).map(|at| format!("node{at}")).collect();
    let address = |at: usize| format!("127.1.{}.{}", at / 100, at % 100 + 1);
    let zone: Vec<_> =
        (0..300).map(|at| (names[at].as_str(), Entry::with(&[&address(at)]))).collect();
    let _server = Server::new(&net, "127.0.0.53:53", &zone);
    let socket = net.udp("0.0.0.0:7410");
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut args = vec!["-c1"];
    args.extend(names.iter().map(String::as_str));
    let sender = sender(&net, HOSTS, "nameserver 127.0.0.53\n", &args).spawn();
    let mut buffer = [0; 64];
    for heard in 0..300 {
        assert_eq!(socket.recv(&mut buffer).ok(), Some(8), "message {heard}");
    }
    let _ = sender.wait_for(LIMIT).expect_success();
}
