//! How the nodes are.

use super::{LIMIT, Scene};
use fence_kdump_tests::{Need, requires};

#[test]
fn a_node_is_followed_and_its_exit_status_says_how_it_is() {
    let Some(scene) = Scene::of_two() else { return };
    let daemon = scene.daemon();
    for node in ["one", "ONE", "127.0.1.11"] {
        let unheard = scene.run(&format!("status {node}"));
        assert_eq!(unheard.code, Some(3), "{unheard}");
        assert!(unheard.stdout.contains("one\n  state       unheard\n"), "{unheard}");
        assert!(unheard.stdout.contains("127.0.0.11, 127.0.1.11"), "{unheard}");
    }
    let all = scene.run("status").expect_success();
    assert!(all.stdout.ends_with("2 nodes were never heard: one, two\n"), "{all}");
    scene.speak("127.0.1.11");
    daemon.wait_stderr_line("one (127.0.1.11): started", LIMIT);
    let one = scene.run("status one").expect_success();
    assert!(one.stdout.contains("state       started"), "{one}");
    assert!(one.stdout.contains("ago from 127.0.1.11"), "{one}");
    let all = scene.run("status").expect_success();
    let lines: Vec<_> = all.stdout.lines().collect();
    assert!(lines[0].starts_with("fence_kdumpd (process "), "{all}");
    assert!(lines[1].starts_with("NODE  STATE") && lines[2].starts_with("one   started"), "{all}");
    assert_eq!(lines[3], "1 node was never heard: two");
    let both = scene.run("status --all").expect_success();
    assert!(
        both.stdout.lines().last().is_some_and(|line| line.starts_with("two   unheard")),
        "{both}"
    );
    assert!(!all.stdout.contains('\x1b'), "no colour in a file");
    let unknown = scene.run("status three");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(4), ""), "{unknown}");
    assert!(unknown.stderr.contains("\"three\": no such node"), "{unknown}");
    assert!(unknown.stderr.contains("knows one, two"), "{unknown}");
    assert_eq!(scene.run("status one two").code, Some(2));
}

#[test]
fn for_programs_there_is_one_object() {
    let Some(scene) = Scene::of_two() else { return };
    let daemon = scene.daemon();
    scene.speak("127.0.0.12");
    daemon.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    let status = scene.json("status --json");
    assert_eq!(status["program"], "fence_kdumpd");
    assert_eq!(status["pid"], daemon.pid());
    assert_eq!(
        (&status["port"], &status["listening"], &status["known"]),
        (&7410.into(), &true.into(), &2.into())
    );
    assert!(status.get("next").is_none());
    let nodes = status["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), 2);
    let [one, two] =
        ["one", "two"].map(|name| nodes.iter().find(|node| node["name"] == name).expect(name));
    assert_eq!(
        (&one["state"], &one["last_heard_ms"]),
        (&"unheard".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (&two["state"], &two["proof"], &two["policy"]),
        (&"started".into(), &"plain".into(), &"plain".into())
    );
    assert!(two["since_ms"].is_u64() && two["last_heard_ms"].is_u64());
    for name in ["phase", "done", "total", "key_id", "interval_ms"] {
        assert_eq!(two.get(name), Some(&serde_json::Value::Null), "{name}");
    }
    let two = scene.json("status two --json");
    assert_eq!(two["nodes"][0]["setup"]["addresses"], serde_json::json!(["127.0.0.12"]));
    assert_eq!(two["nodes"].as_array().map(Vec::len), Some(1));
}

/// Far more than one packet has room for.
#[test]
fn five_thousand_nodes_are_all_told() {
    let Some(scene) = Scene::new("nodes_file = \"nodes\"\n") else { return };
    let nodes: String =
        (0..5_000).map(|it| format!("node{it} 127.1.{}.{}\n", it / 250, it % 250 + 1)).collect();
    scene.write("nodes", &nodes);
    let text = std::fs::read_to_string(scene.path("daemon.toml")).expect("our own file");
    let nodes = scene.path("nodes");
    scene.write("daemon.toml", &text.replace("\"nodes\"", &format!("{nodes:?}")));
    let daemon = scene.daemon();
    scene.speak("127.1.19.250");
    daemon.wait_stderr_line("node4999 (127.1.19.250): started", LIMIT);
    let status = scene.json("status --json");
    let names =
        status["nodes"].as_array().expect("a list").iter().map(|node| node["name"].as_str());
    let expected: Vec<_> = (0..5_000).map(|it| format!("node{it}")).collect();
    assert!(names.eq(expected.iter().map(|name| Some(name.as_str()))));
    let table = scene.run("status").expect_success();
    let lines: Vec<_> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[2].starts_with("node4999  started"), "{table}");
    assert_eq!(lines[3], "4999 nodes were never heard (--all shows them)");
    assert_eq!(scene.run("status --all").expect_success().stdout.lines().count(), 5_002);
    let unknown = scene.run("status node5000");
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.stderr.contains("and 4995 more"), "{unknown}");
}

#[test]
fn a_table_is_no_wider_than_the_terminal() {
    if !requires(&[Need::Terminal]) {
        return;
    }
    let Some(scene) = Scene::of_two() else { return };
    let daemon = scene.daemon();
    scene.speak("127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): started", LIMIT);
    for (width, has_source) in [(30_u16, false), (60, true), (120, true)] {
        let shown = scene.on_terminal("status --all", (width, 20)).run(LIMIT).expect_success();
        assert!(shown.stdout.contains("\x1b[1m\x1b[33mstarted\x1b[0m"), "{shown:?}");
        let plain = without_colours(&shown.stdout);
        let table: Vec<_> =
            plain.lines().filter(|line| !line.starts_with("fence_kdumpd")).collect();
        assert_eq!(table.len(), 3, "{shown:?}");
        assert!(table.iter().all(|line| line.len() <= width.into()), "{plain}");
        assert_eq!(plain.contains("127.0.0.11"), has_source, "{plain}");
    }
    let uncoloured = scene.on_terminal("status", (80, 20)).env("NO_COLOR", "1").run(LIMIT);
    assert!(
        uncoloured.stdout.contains("started") && !uncoloured.stdout.contains('\x1b'),
        "{uncoloured:?}"
    );
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or("", |(_, rest)| rest)).collect::<String>()
}

/// A script must not take half an answer, or none, for the whole.
#[test]
fn what_cannot_be_written_is_no_success() {
    let Some(scene) = Scene::of_two() else { return };
    let _daemon = scene.daemon();
    let program = fence_kdump_tests::programs::ours("fence_kdumpctl");
    for (words, code) in [("status --json >/dev/full", 1), ("status --json | :", 0)] {
        let line = format!("{} {words}", program.display());
        let output = fence_kdump_tests::Run::new("sh").args(["-c", &line]);
        let output = output.inside(&scene.net).run(LIMIT);
        assert_eq!(output.code, Some(code), "{output}");
        assert_eq!(output.stderr.contains("standard output: No space left"), code == 1, "{output}");
    }
}
