//! What is thrown at it. After each: it listens, it has lost no session, and it says nothing that is not so.

use std::net::UdpSocket;
use std::os::fd::AsFd as _;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

use super::*;

/// A host whose daemon knows that n0 dumps and n1 does not.
fn busy(more: &str) -> Host {
    let host = Host::new("");
    host.configure(&format!("{}{more}", fleet(&host, 50)));
    host
}

fn begin(host: &Host) {
    host.speak(&address(0));
    host.speak(&address(0));
    host.wait_state("n0", "dumping", 2);
}

/// It still does what it is there for.
fn is_well(host: &Host) {
    let before = host.state("n0").1;
    host.speak(&address(0));
    host.wait_state("n0", "dumping", before + 1);
    assert_eq!(host.state("n1"), ("unheard".to_owned(), 0));
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", &address(1), "-t", "2"])
        .inside(&host.net)
        .run(LIMIT);
    assert_eq!(agent.code, Some(1), "{agent}");
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", &address(0), "-t", "20"])
        .inside(&host.net)
        .run(LIMIT);
    assert_eq!(agent.code, Some(0), "{agent}");
}

#[test]
fn every_kind_of_malformed_datagram() {
    if !requires(&NEEDS) {
        return;
    }
    let host = busy("");
    let daemon = host.start();
    begin(&host);
    let vectors = programs::workspace().join("core/vectors.txt");
    let text = fs::read_to_string(vectors).expect("the vectors");
    let bytes = |word: &str| -> Option<Vec<u8>> {
        let is_hex = word.len() >= 16 && word.len().is_multiple_of(2);
        let pairs = (0..word.len()).step_by(2).map(|at| word.get(at..at + 2));
        is_hex.then(|| pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect())?
    };
    let datagrams: Vec<_> = text.split_whitespace().filter_map(bytes).collect();
    assert!(datagrams.len() > 50, "only {}", datagrams.len());
    // Of a node, what can be no message whatever follows; of a stranger, everything.
    let node = host.net.udp_from(&address(1));
    let socket = host.net.udp_from(&address(60));
    let to = ("127.0.0.1", PORT);
    for (number, datagram) in datagrams.iter().enumerate() {
        for cut in 0..datagram.len() {
            drop(socket.send_to(&datagram[..cut], to));
            let mut flipped = datagram.clone();
            flipped[cut] ^= 1 << (number % 8);
            drop(socket.send_to(&flipped, to));
            if cut < 8 {
                drop(node.send_to(&flipped, to));
                drop(node.send_to(&datagram[..cut], to));
            }
        }
        if number % 20 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    drop(node.send_to(&[0; 60_000], to));
    is_well(&host);
    drop(daemon.kill());
}

/// One that connects to the control socket; `None` when it is not let in.
fn client() -> Option<std::os::fd::OwnedFd> {
    let kind = SocketType::SEQPACKET;
    let client = socket_with(AddressFamily::UNIX, kind, SocketFlags::NONBLOCK, None);
    let client = client.expect("a socket");
    let name = format!("fence_kdump/{PORT}");
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("a name");
    connect(&client, &address).ok().map(|()| client)
}

/// Clients of the control socket that say nothing, too much, nonsense, or vanish.
#[test]
fn clients_of_every_kind() {
    if !requires(&NEEDS) {
        return;
    }
    let host = busy("");
    let daemon = host.start();
    begin(&host);
    let clients = host.net.enter(|| {
        let mut clients = Vec::new();
        for number in 0..400_u32 {
            let Some(client) = client() else { continue };
            let words: &[u8] = match number % 5 {
                0 => b"",
                1 => b"nonsense",
                2 => br#"{"type":"status"}"#,
                3 => br#"{"type":"ask-everything"}"#,
                _ => &[b'x'; 16_000],
            };
            for _ in 0..20 {
                let _ = send(client.as_fd(), words, rustix::net::SendFlags::empty());
            }
            // Every other one vanishes; the others never read.
            if number % 2 == 0 {
                clients.push(client);
            }
        }
        clients
    });
    assert!(clients.len() > 50, "only {} came in", clients.len());
    is_well(&host);
    drop(clients);
    is_well(&host);
    drop(daemon.kill());
}

/// Without descriptors nobody new is served, and everything that was goes on.
#[test]
fn no_descriptors_left() {
    if !requires(&NEEDS) {
        return;
    }
    let host = busy("");
    let script = "ulimit -n 64; exec \"$@\"";
    let daemon = Run::new("sh")
        .args(["-c", script, "sh"])
        .arg(programs::ours("fence_kdumpd"))
        .arg("--config")
        .arg(host.path("fence_kdumpd.toml"))
        .inside(&host.net)
        .spawn();
    daemon.wait_stderr_line("listening on UDP port", LIMIT);
    begin(&host);
    let clients: Vec<_> =
        host.net.enter(|| std::iter::repeat_with(client).take(200).flatten().collect());
    daemon.wait_stderr_line("control socket", LIMIT);
    for _ in 0..10 {
        host.speak(&address(0));
    }
    thread::sleep(Duration::from_millis(300));
    drop(clients);
    host.wait_state("n0", "dumping", 12);
    is_well(&host);
    drop(daemon.kill());
}

/// A disk that cannot be written, and one from which everything is deleted: told, and nothing stops.
#[test]
fn the_store_is_gone() {
    if !requires(&NEEDS) {
        return;
    }
    let host = busy("");
    fs::write(host.path("state"), "no directory").expect("our own folder");
    let daemon = host.start();
    daemon.wait_stderr_line("history: ", LIMIT);
    begin(&host);
    is_well(&host);
    drop(daemon.kill());
    fs::remove_file(host.path("state")).expect("our own file");
    let _ = host.events();
    let daemon = host.start();
    begin(&host);
    let begun = Instant::now();
    while !host.path("state/history.db").exists() {
        assert!(begun.elapsed() < LIMIT, "no history was begun");
        thread::sleep(Duration::from_millis(20));
    }
    fs::remove_dir_all(host.path("state")).expect("our own folder");
    host.speak(&address(2));
    daemon.wait_stderr_line("history: ", LIMIT);
    is_well(&host);
    let nodes: Vec<_> = host.events().into_iter().map(|[_, node, _]| node).collect();
    assert!(nodes.contains(&"n2".to_owned()), "a disk holds up no event: {nodes:?}");
    drop(daemon.kill());
}

/// More crash while the disk cannot be written than can wait for it: events are missing in the history then, and
/// counted, but no session is, and none is over that is not.
#[test]
fn more_than_can_wait_for_the_disk() {
    const NODES: usize = 16_000;
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("");
    host.configure(&fleet(&host, NODES));
    fs::write(host.path("state"), "no directory").expect("our own folder");
    let daemon = host.start();
    host.net.enter(|| {
        for node in 0..NODES {
            let socket = UdpSocket::bind((address(node), 0)).expect("loopback");
            let _ = socket.send_to(&LITTLE, ("127.0.0.1", PORT)).expect("loopback");
        }
    });
    host.wait_state(&format!("n{}", NODES - 1), "started", 1);
    fs::remove_file(host.path("state")).expect("our own file");
    daemon.wait_stderr_line("events are missing in it", LIMIT);
    let state = host.path("state").display().to_string();
    let begun = Instant::now();
    loop {
        let past = host.ctl(&["history", "--json", "-n", "99999", "--state-dir", &state]);
        let past: Value = serde_json::from_str(&past.expect_success().stdout).expect("JSON");
        let sessions = past["sessions"].as_array().expect("a list");
        let over = sessions.iter().find(|session| !session["end"].is_null());
        assert_eq!(over, None, "all go on; there are {}", sessions.len());
        if sessions.len() == NODES {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{} sessions", sessions.len());
        thread::sleep(Duration::from_millis(200));
    }
    drop(daemon.kill());
    let daemon = host.start();
    for node in [0, NODES / 2, NODES - 1] {
        host.wait_state(&format!("n{node}"), "started", 1);
    }
    drop(daemon.kill());
}

/// Each time it has another number, which is part of a link-local address.
#[test]
fn an_interface_goes_and_comes() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new(
        "\n[[node]]\nname = \"n1\"\naddresses = [\"192.0.2.7\"]\n\n[[node]]\nname = \"n2\"\naddresses = [\"fe80::7%veth9\"]\n",
    );
    let daemon = host.start();
    for messages in 1..=3 {
        host.net.ip("link add veth8 type veth peer name veth9\n\
             addr add 192.0.2.7/24 dev veth8\n\
             addr add fe80::7/64 dev veth8 nodad\n\
             addr add fe80::9/64 dev veth9 nodad\n\
             link set veth8 up\nlink set veth9 up");
        let state = if messages == 1 { "started" } else { "dumping" };
        host.net.send("192.0.2.7", &format!("192.0.2.7:{PORT}"), &LITTLE);
        host.wait_state("n1", state, messages);
        let (out, own) = (host.net.interface("veth8"), host.net.interface("veth9"));
        let begun = Instant::now();
        while host.node("n2").expect("it is configured")["messages"] != messages {
            assert!(begun.elapsed() < LIMIT, "fe80::7%{own}: {}", host.ctl(&["nodes"]));
            let sent = host.net.udp_from(&format!("fe80::7%{out}"));
            drop(sent.send_to(&LITTLE, format!("[fe80::9%{out}]:{PORT}")));
            thread::sleep(Duration::from_millis(300));
        }
        host.net.ip("link del veth8");
    }
    drop(daemon.kill());
}

/// A command that hangs and a web server that does not answer.
#[test]
fn sinks_that_hang() {
    if !requires(&NEEDS) {
        return;
    }
    let silent = "\n[[sink.command]]\nname = \"hangs\"\nargv = [\"/bin/sleep\", \"600\"]\n\n[[sink.webhook]]\nname = \"silent\"\nurl = \"http://127.0.0.1:9/\"\n\n[sink.nats]\nservers = [\"nats://127.0.0.1:10\"]\n";
    let host = busy(silent);
    let daemon = host.start();
    begin(&host);
    for node in 2..50 {
        host.speak(&address(node));
    }
    host.wait_state("n49", "started", 1);
    is_well(&host);
    let begun = Instant::now();
    daemon.signal(rustix::process::Signal::TERM);
    let ended = daemon.wait_for(LIMIT);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stderr.contains("were not delivered"), "after {:?}: {ended}", begun.elapsed());
}
