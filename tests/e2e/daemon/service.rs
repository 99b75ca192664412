//! Under a service manager, which is this test.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use super::*;

/// What the service manager was told until it was told `last`.
fn told(manager: &UnixDatagram, last: &str) -> String {
    manager.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let mut all = String::new();
    let mut words = [0; 4096];
    while !all.contains(last) {
        let length = manager.recv(&mut words).unwrap_or_else(|error| panic!("{error}: {all}"));
        all += &String::from_utf8_lossy(&words[..length]);
    }
    all
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("\n[[node]]\nname = \"n1\"\naddresses = [\"127.0.0.11\"]\n");
    let manager = UnixDatagram::bind(host.path("manager")).expect("a socket");
    let daemon = host
        .run()
        .env("NOTIFY_SOCKET", host.path("manager"))
        .env("WATCHDOG_USEC", "400000")
        .spawn();
    let ready = told(&manager, "READY=1");
    assert!(ready.contains("STATUS=listening on UDP port 7410 for 1 node, 0 in"), "{ready}");
    let _ = told(&manager, "WATCHDOG=1");
    assert!(host.net.is_bound(PORT), "ready is when it hears");
    let _ = told(&manager, "WATCHDOG=1");
    daemon.signal(Signal::HUP);
    let reloaded = told(&manager, "READY=1");
    assert!(reloaded.contains("RELOADING=1\nMONOTONIC_USEC="), "{reloaded}");
    // Its own loop says that it lives: one that is stopped does not.
    daemon.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(300));
    manager.set_nonblocking(true).expect("our own socket");
    while manager.recv(&mut [0; 4096]).is_ok() {}
    thread::sleep(Duration::from_secs(1));
    assert!(manager.recv(&mut [0; 4096]).is_err(), "nothing while it is stopped");
    manager.set_nonblocking(false).expect("our own socket");
    daemon.signal(Signal::CONT);
    let _ = told(&manager, "WATCHDOG=1");
    daemon.signal(Signal::TERM);
    let _ = told(&manager, "STOPPING=1");
    let ended = daemon.wait_for(LIMIT);
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// The daemon on a socket that this test keeps, as `fence_kdumpd.socket` does.
fn on_socket(host: &Host, socket: &UdpSocket) -> std::process::Child {
    let stdin = OwnedFd::from(socket.try_clone().expect("a descriptor"));
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh"]).arg(programs::ours("fence_kdumpd"));
    command.arg("--config").arg(host.path("fence_kdumpd.toml"));
    command.env("RUNTIME_DIRECTORY", host.net.folder()).stdin(stdin);
    command.stderr(fs::File::create(host.path("log")).expect("our own folder"));
    host.net.enter(move || command.spawn()).expect("sh")
}

fn wait_listening(host: &Host) {
    let begun = Instant::now();
    while !fs::read_to_string(host.path("log")).is_ok_and(|log| log.contains("listening on UDP")) {
        assert!(begun.elapsed() < LIMIT, "it does not listen");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_socket_that_the_service_manager_keeps_loses_no_datagram() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new("\n[[node]]\nname = \"n1\"\naddresses = [\"127.0.0.11\"]\n");
    let port = format!("0.0.0.0:{PORT}");
    let socket = host.net.enter(|| UdpSocket::bind(&port)).expect("a free port");
    // Nobody knows how old this is.
    host.speak("127.0.0.11");
    let mut daemon = on_socket(&host, &socket);
    wait_listening(&host);
    let log = fs::read_to_string(host.path("log")).expect("our own file");
    assert!(log.contains("1 datagrams from before the start are of unknown age"), "{log}");
    assert_eq!(host.state("n1").1, 0);
    host.speak("127.0.0.11");
    host.wait_state("n1", "started", 1);
    // Noted with the next beat at the latest.
    thread::sleep(Duration::from_secs(11));
    for time in 0..5 {
        daemon.kill().expect("our own child");
        daemon.wait().expect("our own child");
        host.speak("127.0.0.11");
        daemon = on_socket(&host, &socket);
        host.speak("127.0.0.11");
        wait_listening(&host);
        // Of a session, what its latest event said outlives the daemon: one message, and then two.
        let before = if time == 0 { 1 } else { 2 };
        host.wait_state("n1", "dumping", before + 2);
    }
    daemon.kill().expect("our own child");
    daemon.wait().expect("our own child");
}
