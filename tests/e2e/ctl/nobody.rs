//! Nobody there, or somebody who does not answer, or nonsense.

use super::{LIMIT, Scene};
use fence_kdump_tests::{Run, programs};
use rustix::process::Signal;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

const COMMANDS: [&str; 4] = ["status", "status one", "nodes", "wait one --timeout 1"];

#[test]
fn nobody_is_told() {
    let Some(scene) = Scene::of_two() else { return };
    for words in COMMANDS {
        let nobody = scene.run(words);
        assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""), "{nobody}");
        let last = nobody.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(
            last.starts_with("fence_kdumpctl: nobody of fence_kdump reads UDP port 7410"),
            "{nobody}"
        );
    }
    // Another port is another daemon's.
    let daemon = scene.daemon();
    assert_eq!(scene.run("status --ipport 7411").code, Some(1));
    daemon.signal(Signal::STOP);
    let hangs = scene.run("status one");
    daemon.signal(Signal::CONT);
    assert_eq!(hangs.code, Some(1), "{hangs}");
    assert!(hangs.stderr.contains("did not answer within"), "{hangs}");
}

/// An agent reads the port and knows no nodes: that is no answer about any node.
#[test]
fn an_agent_is_no_daemon() {
    let Some(scene) = Scene::of_two() else { return };
    let agent = Run::new(programs::ours("fence_kdump")).args(["-n", "127.0.0.11", "-t", "60"]);
    let agent = agent.inside(&scene.net).spawn();
    agent.wait_bound(7410);
    let status = scene.run("status").expect_success();
    assert!(status.stdout.starts_with("fence_kdump (process "), "{status}");
    for words in ["status one", "nodes", "wait one --timeout 1"] {
        let none = scene.run(words);
        assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none}");
        assert!(
            none.stderr.contains("(fence_kdump) reads UDP port 7410 and knows no nodes"),
            "{none}"
        );
    }
}

/// Sits where the daemon would, and answers each packet with `reply`, or never.
fn impostor(scene: &Scene, reply: Option<Vec<u8>>) {
    let socket = scene.net.enter(|| {
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None).expect("a socket");
        let name = SockAddr::unix("\0fence_kdump/7410").expect("an abstract name");
        socket.bind(&name).expect("nobody has the name");
        socket.listen(16).expect("a bound socket");
        socket
    });
    socket.set_read_timeout(Some(LIMIT)).expect("a valid time");
    // Ends with the test's process; whoever it serves is bounded by the test.
    thread::spawn(move || {
        while let Ok((mut client, _)) = socket.accept() {
            let reply = reply.clone();
            thread::spawn(move || {
                let mut packet = [0; 20_000];
                while client.read(&mut packet).is_ok_and(|length| length > 0) {
                    match &reply {
                        Some(reply) => drop(client.write_all(reply)),
                        None => thread::sleep(Duration::from_millis(10)),
                    }
                }
            });
        }
    });
}

#[test]
fn nonsense_is_told_and_ends() {
    let head = r#"{"type":"status","program":"p","pid":1,"port":7410,"listening":true,"clients":0,"known":1,"nodes":[]"#;
    let replies: [(Vec<u8>, &str); 6] = [
        (b"nonsense".to_vec(), "no answer of fence_kdump"),
        (b"{}".to_vec(), "no answer of fence_kdump"),
        (vec![b' '; 17_000], "no answer of fence_kdump"),
        (br#"{"type":"status","program":5}"#.to_vec(), "no answer of fence_kdump"),
        (format!("{head},\"next\":\"n1\"}}").into_bytes(), "have no end"),
        (br#"{"type":"refused","why":"full"}"#.to_vec(), "refuses: full"),
    ];
    for (reply, said) in replies {
        let Some(scene) = Scene::of_two() else { return };
        impostor(&scene, Some(reply));
        for words in ["status", "nodes"] {
            let told = scene.run(words);
            assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{told}");
            assert!(told.stderr.contains(said), "{told}");
        }
    }
}

/// Packets of other kinds are passed over, but not for ever.
#[test]
fn silence_is_told_and_ends() {
    for reply in [None, Some(br#"{"type":"pong"}"#.to_vec())] {
        let Some(scene) = Scene::of_two() else { return };
        impostor(&scene, reply);
        for words in COMMANDS {
            let told = scene.run(words);
            assert_eq!(told.code, Some(1), "{told}");
            assert!(told.stderr.contains("did not answer within"), "{told}");
        }
    }
}

/// Names that would command the terminal.
#[test]
fn no_answer_commands_the_terminal() {
    let Some(scene) = Scene::of_two() else { return };
    let node = r#"{"name":"\u001b[2Jx","state":"\u001b]0;y\u0007","since_ms":1,"last_heard_ms":1,"messages":1}"#;
    let reply = format!(
        r#"{{"type":"status","program":"\u001b[1mp","pid":1,"port":7410,"listening":true,"clients":0,"nodes":[{node}]}}"#
    );
    impostor(&scene, Some(reply.into_bytes()));
    for words in ["status", "status --all", "nodes"] {
        let told = scene.run(words).expect_success();
        assert!(told.stdout.contains("?[2Jx") && !told.stdout.contains('\x1b'), "{told:?}");
    }
}

/// One that knows no choice tells of all nodes, whichever is asked for: another node's crash kernel is no
/// answer.
#[test]
fn what_an_older_daemon_tells_of_other_nodes_is_no_answer() {
    let Some(scene) = Scene::of_two() else { return };
    let node = |name: &str, state: &str, from: &str| {
        format!(
            r#"{{"name":"{name}","state":"{state}","since_ms":5,"last_heard_ms":5,"messages":1,"from":{from}}}"#
        )
    };
    let nodes =
        [node("one", "started", r#""127.0.0.11""#), node("two", "unheard", "null")].join(",");
    let reply = format!(
        r#"{{"type":"status","program":"fence_kdumpd","pid":1,"port":7410,"listening":true,"clients":0,"nodes":[{nodes}]}}"#
    );
    impostor(&scene, Some(reply.into_bytes()));
    for (words, code) in [
        ("status one", 0),
        ("status ONE", 0),
        ("status 127.0.0.11", 0),
        ("status two", 3),
        ("status three", 1),
        ("status 127.0.0.12", 1),
        ("wait one --timeout 0", 0),
        ("wait two --timeout 0", 3),
        ("wait three --timeout 0", 1),
        ("wait 127.0.0.12 --timeout 0", 1),
        ("status", 0),
    ] {
        let told = scene.run(words);
        assert_eq!(told.code, Some(code), "{told}");
    }
}

/// A user, on any machine, who is nobody.
const USER: &str = "61234";

/// The program as that user, in a copy that everybody may run.
fn as_user<'net>(scene: &'net Scene, name: &str) -> Run<'net> {
    let copy = scene.path(name);
    std::fs::copy(programs::ours(name), &copy).expect("our own folder");
    for path in [&scene.path("."), &copy] {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own");
    }
    let run = Run::new("setpriv").args(["--reuid", USER, "--clear-groups"]);
    run.arg(copy).inside(&scene.net)
}

#[test]
fn who_may_not_ask_is_told_why() {
    let Some(scene) = Scene::of_two() else { return };
    let _daemon = scene.daemon();
    for words in [&["status"][..], &["nodes"], &["status", "one"], &["wait", "one", "-t", "0"]] {
        let refused = as_user(&scene, "fence_kdumpctl").args(words).run(LIMIT);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused}");
        assert!(refused.stderr.contains(" refuses: only root"), "{refused}");
    }
    let _ = scene.run("status").expect_success();
}

/// Anybody could say anything of the nodes.
#[test]
fn who_may_not_be_believed_is_not_asked() {
    let Some(scene) = Scene::of_two() else { return };
    let agent = as_user(&scene, "fence_kdump").args(["-n", "127.0.0.11", "-t", "60"]).spawn();
    agent.wait_bound(7410);
    for words in COMMANDS {
        let refused = scene.run(words);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused}");
        let said = format!("process {} of user {USER}, who is not believed", agent.pid());
        assert!(refused.stderr.contains(&said), "{refused}");
    }
}
