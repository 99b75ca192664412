//! The file, and a new one while the daemon runs.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::process::Signal;

use super::*;

const TWO: &str = "\n[[node]]\nname = \"n1\"\naddresses = [\"127.0.0.11\"]\n\n[[node]]\nname = \"n2\"\naddresses = [\"127.0.0.12\"]\n";

fn check(host: &Host, config: &str) -> Output {
    host.configure(config);
    Run::new(programs::ours("fence_kdumpd"))
        .arg("check-config")
        .arg(host.path("fence_kdumpd.toml"))
        .inside(&host.net)
        .run(LIMIT)
}

#[test]
fn a_file_is_checked_without_starting_anything() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("");
    let right = check(&host, TWO).expect_success();
    assert!(right.stdout.contains("2 nodes"), "{right}");
    for (config, place, said) in [
        ("port = 0\n", ":2:8:", "65535"),
        ("prot = 7410\n", ":2:1:", "prot"),
        ("policy = \"signed\"\n", ":2:10:", "key_file"),
        ("\n[[node]]\nname = \"n1\"\naddresses = [\"127.0.0.300\"]\n", ":6:14:", "127.0.0.300"),
        ("\n[[node]]\nname = \"n1\"\n\n[[node]]\nname = \"N1\"\n", ":8:8:", "another node"),
        ("nodes_file = \"/nowhere/nodes\"\n", ":2:14:", "No such file"),
        ("key_file = \"/nowhere/key\"\n", ":2:12:", "/nowhere/key"),
        (
            "\n[sink.nats]\nservers = [\"nats://127.0.0.1\"]\nuser = \"x\"\n",
            ":4:2:",
            "password_file",
        ),
    ] {
        let wrong = check(&host, config);
        assert_eq!(wrong.code, Some(1), "{config}: {wrong}");
        let place_and_more = wrong.stderr.contains(place) && wrong.stderr.contains(said);
        assert!(place_and_more, "{config}: {wrong}");
    }
    assert!(!host.path("state").exists(), "nothing was started");
    // The daemon says the same, and does not start.
    host.configure("port = 0\n");
    let wrong = host.run().run(LIMIT);
    assert!(wrong.code == Some(1) && wrong.stderr.contains(":2:8:"), "{wrong}");
}

#[test]
fn the_example_is_right_and_says_what_holds_without_it() {
    if !requires(&NEEDS) {
        return;
    }
    let example = programs::workspace().join("dist/fence_kdumpd.toml");
    let output =
        Run::new(programs::ours("fence_kdumpd")).arg("check-config").arg(&example).run(LIMIT);
    assert!(output.expect_success().stdout.contains("0 nodes"));
}

#[test]
fn a_new_file_loses_no_session_and_a_bad_one_changes_nothing() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new(TWO);
    let daemon = host.start();
    host.speak("127.0.0.11");
    host.wait_state("n1", "started", 1);
    host.configure(&format!("{TWO}\nnonsense\n"));
    daemon.signal(Signal::HUP);
    let said = daemon.wait_stderr_line("all stays as it was", LIMIT);
    assert!(said.contains("fence_kdumpd.toml:"), "{said}");
    assert_eq!(host.state("n1"), ("started".to_owned(), 1));
    host.configure(&TWO.replace("n2", "n3"));
    daemon.signal(Signal::HUP);
    daemon.wait_stderr_line("reloaded: listening on UDP port 7410 for 2 nodes", LIMIT);
    assert_eq!(host.state("n1"), ("started".to_owned(), 1));
    assert!(host.node("n2").is_none(), "it is gone");
    host.speak("127.0.0.11");
    host.speak("127.0.0.12");
    host.wait_state("n1", "dumping", 2);
    host.wait_state("n3", "started", 1);
    let events = host.wait_events(3);
    let kinds: Vec<_> = events.into_iter().map(|[kind, node, _]| (kind, node)).collect();
    let expected = [("started", "n1"), ("dumping", "n1"), ("started", "n3")];
    assert!(
        kinds.iter().map(|(kind, node)| (kind.as_str(), node.as_str())).eq(expected),
        "{kinds:?}"
    );
}

/// A page that cannot be where the new file wants it stays where it was.
#[test]
fn the_page_stays_where_it_was_when_it_cannot_move() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("\n[web]\nlisten = \"127.0.0.1:7412\"\n");
    let daemon = host.start();
    let taken = host.net.enter(|| TcpListener::bind("127.0.0.1:7413").expect("a free port"));
    host.configure("\n[web]\nlisten = \"127.0.0.1:7413\"\n");
    daemon.signal(Signal::HUP);
    daemon.wait_stderr_line("127.0.0.1:7413: Address already in use", LIMIT);
    daemon.wait_stderr_line("reloaded", LIMIT);
    let reach = |port: u16| host.net.enter(|| TcpStream::connect(("127.0.0.1", port)));
    drop(reach(7412).expect("the page is there"));
    drop(taken);
    daemon.signal(Signal::HUP);
    daemon.wait_stderr_line("web: listening on 127.0.0.1:7413", LIMIT);
    drop(reach(7413).expect("the page is there"));
    let _ = reach(7412).expect_err("and nowhere else");
}

#[test]
fn reloading_loses_no_datagram() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("");
    let config = fleet(&host, 2_000);
    host.configure(&config);
    let daemon = host.start();
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let socket = host.net.udp_from(&address(1));
            while !is_over.load(Ordering::Relaxed) {
                socket.send_to(&LITTLE, ("127.0.0.1", PORT)).expect("loopback");
                sent.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        for _ in 0..20 {
            daemon.signal(Signal::HUP);
            thread::sleep(Duration::from_millis(50));
        }
        daemon.wait_stderr_line("reloaded", LIMIT);
        is_over.store(true, Ordering::Relaxed);
    });
    host.wait_state("n1", "dumping", sent.into_inner());
}

#[test]
fn sources_that_nobody_configured_are_shown_and_never_fenced() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("\n[discovery]\nenabled = true\nmost = 2\n");
    let daemon = host.start();
    for number in 1..=5 {
        host.speak(&format!("127.0.0.{number}"));
    }
    let begun = Instant::now();
    while host.status().len() < 2 {
        assert!(begun.elapsed() < LIMIT, "{:?}", host.status());
    }
    let nodes = host.status();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node["state"] == "candidate"), "{nodes:?}");
    assert_eq!(host.events(), [] as [[String; 3]; 0]);
    let output = daemon.kill();
    assert!(!output.stderr.contains("started"), "{output}");
}
