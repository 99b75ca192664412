//! What was.

use super::{LIMIT, Scene, until};
use rustix::process::Signal;

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
