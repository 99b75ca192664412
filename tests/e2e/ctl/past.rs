//! What was.

use super::{LIMIT, Scene, until};
use rustix::process::Signal;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::PathBuf;

#[test]
fn the_past_is_told_while_the_daemon_runs_and_after() {
    let Some(scene) = Scene::of_two() else { return };
    let history =
        |words: &str| format!("history --state-dir {} {words}", scene.state_dir().display());
    let none = scene.run(&history(""));
    assert_eq!(none.code, Some(1), "{none}");
    assert!(none.stderr.contains("state"), "{none}");
    let daemon = scene.daemon();
    scene.speak("127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): started", LIMIT);
    scene.speak("127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): dumping", LIMIT);
    scene.speak("127.0.0.12");
    daemon.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    // It is written aside, so a moment later.
    until("three events", || {
        let events = scene.run(&history("--events --json")).stdout;
        events.matches("\"kind\"").count() == 3
    });
    let told = |is_after: bool| {
        let events = scene.json(&history("one --events --json"));
        let kinds: Vec<_> =
            events["events"].as_array().expect("a list").iter().map(|it| &it["kind"]).collect();
        assert_eq!(kinds, ["dumping", "started"], "the latest first");
        let sessions = scene.json(&history("--json"));
        let sessions = sessions["sessions"].as_array().expect("a list");
        let nodes: Vec<_> = sessions.iter().map(|it| &it["node"]).collect();
        assert_eq!(nodes, ["two", "one"]);
        assert!(sessions.iter().all(|it| it["id"].is_string() && it["started_ms"].is_u64()));
        let table = scene.run(&history("")).expect_success().stdout;
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[0].starts_with("NODE  STARTED (UTC)"), "{table}");
        assert!(lines[1].starts_with("two   20") && lines[1].contains("plain"), "{table}");
        assert!(is_after || lines[1].contains("goes on"), "{table}");
        let one = scene.run(&history("--limit 1")).expect_success().stdout;
        assert!(one.lines().count() == 2 && one.contains("two"), "{one}");
        let events = scene.run(&history("--events -n 2")).expect_success().stdout;
        assert_eq!(events.lines().count(), 3, "{events}");
        let none = scene.run(&history("nobody")).expect_success().stdout;
        assert_eq!(none, "nothing was heard of nobody\n");
        let recent = scene.json(&history("--since 1h --json"));
        assert_eq!(recent["sessions"].as_array().map(Vec::len), Some(2));
    };
    told(false);
    daemon.signal(Signal::TERM);
    let _ = daemon.wait_for(LIMIT);
    told(true);
    assert_eq!(scene.run(&history("--since yesterday")).code, Some(2));
    assert_eq!(scene.run(&history("--limit 0")).code, Some(2));
}

#[test]
fn a_history_that_is_none_is_named() {
    let Some(scene) = Scene::of_two() else { return };
    std::fs::create_dir(scene.state_dir()).expect("our own folder");
    let missing = scene.run(&format!("history --state-dir {}", scene.state_dir().display()));
    assert_eq!(missing.code, Some(1), "{missing}");
    assert!(missing.stderr.contains("history.db: it is not there"), "{missing}");
    scene.write("state/history.db", "no database at all, and long enough to be looked at");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(scene.path("state/history.db"), mode).expect("our own file");
    let damaged = scene.run(&format!("history --state-dir {}", scene.state_dir().display()));
    assert_eq!(damaged.code, Some(1), "{damaged}");
    assert!(damaged.stderr.contains("history.db"), "{damaged}");
}

/// As a service, the daemon has a user of its own, and root has given it the directory.
#[test]
fn root_reads_what_the_daemons_own_user_wrote() {
    let Some(scene) = Scene::of_two() else { return };
    let given = Given::new();
    let text = std::fs::read_to_string(scene.path("daemon.toml")).expect("our own file");
    let state = given.0.join("state");
    let there = text.replace(&format!("{:?}", scene.state_dir()), &format!("{state:?}"));
    scene.write("daemon.toml", &there);
    let daemon = scene.daemon();
    scene.speak("127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): started", LIMIT);
    daemon.signal(Signal::TERM);
    let _ = daemon.wait_for(LIMIT);
    let files = std::fs::read_dir(&state).expect("the daemon made it");
    let files = files.map(|file| file.expect("a file").path()).chain([state.clone()]);
    for file in files {
        chown(file, Some(USER), Some(USER)).expect("root can");
    }
    let words = format!("history --state-dir {} --json", state.display());
    assert_eq!(scene.json(&words)["sessions"][0]["node"], "one");
    for file in std::fs::read_dir(&state).expect("a folder").flatten() {
        assert_eq!(file.metadata().expect("a file").uid(), USER, "{file:?}: root left it there");
    }
    // Whoever could have made the directory himself was given nothing.
    chown(&given.0, Some(USER), Some(USER)).expect("root can");
    let refused = scene.run(&words);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("it belongs to user 61234"), "{refused}");
}

const USER: u32 = 61_234;

/// A folder that only root can have made.
struct Given(PathBuf);

impl Given {
    fn new() -> Self {
        let path = PathBuf::from(format!("/run/fence_kdump-ctl-{}", std::process::id()));
        std::fs::create_dir(&path).expect("root can");
        Self(path)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
