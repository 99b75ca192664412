//! What is configured.

use super::{LIMIT, Scene, until};
use fence_kdump_tests::{Run, programs};

#[test]
fn policies_keys_and_addresses_are_told_and_what_is_wrong_with_them() {
    let Some(scene) = Scene::new(
        "key_file = \"KEY\"\n\
        [[node]]\nname = \"plain\"\naddresses = [\"name-a\", \"127.0.0.11\"]\npolicy = \"plain\"\n\
        [[node]]\nname = \"other\"\naddresses = [\"name-b\"]\npolicy = \"plain\"\n\
        [[node]]\nname = \"lost\"\naddresses = [\"no-such.invalid\"]\npolicy = \"plain\"\n\
        [[node]]\nname = \"signing\"\naddresses = []\nkey_name = \"signing.example\"\n\
        [[node]]\nname = \"keyless\"\naddresses = []\n",
    ) else {
        return;
    };
    // The key of one node, and of no other.
    for words in ["key new --out KEY", "key derive signing.example -k KEY -o NODE"] {
        let words = words.replace("KEY", &scene.path("cluster.key").display().to_string());
        let words = words.replace("NODE", &scene.path("node.key").display().to_string());
        let _ = scene.run(&words).expect_success();
    }
    let key = scene.path("node.key");
    let text = std::fs::read_to_string(scene.path("daemon.toml")).expect("our own file");
    scene.write("daemon.toml", &text.replace("\"KEY\"", &format!("{key:?}")));
    let hosts = "127.0.0.1 localhost\n127.0.0.21 name-a\n127.0.0.21 name-b\n127.0.0.22 name-b\n";
    let daemon = Run::new(programs::ours("fence_kdumpd")).arg("--config");
    let daemon = daemon.arg(scene.path("daemon.toml")).file("/etc/hosts", hosts);
    let daemon = daemon.inside(&scene.net).spawn();
    daemon.wait_stderr_line("127.0.0.21 is an address of ", LIMIT);
    let row = |name: &str| {
        let table = scene.run("nodes").expect_success().stdout;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let row = table.lines().map(words).find(|line| line.starts_with(&format!("{name} ")));
        row.unwrap_or_else(|| panic!("{name}: {table}"))
    };
    until("all names are looked up", || row("lost").contains("NO ADDRESS"));
    assert_eq!(row("plain"), "plain plain 127.0.0.11, 127.0.0.21 (CONTESTED)");
    assert_eq!(row("other"), "other plain 127.0.0.21 (CONTESTED), 127.0.0.22");
    assert_eq!(row("lost"), "lost plain no-such.invalid (NO ADDRESS)");
    assert_eq!(row("signing"), "signing signed signing.example any, as it signs");
    assert_eq!(row("keyless"), "keyless signed MISSING any, as it signs");
    let table = scene.run("nodes").expect_success().stdout;
    assert!(table.contains("without a key, so that nothing counts: keyless\n"), "{table}");
    assert!(
        table.contains("127.0.0.21 is an address of plain, other: its messages count for none\n"),
        "{table}"
    );
    let nodes = scene.json("nodes --json");
    let nodes = nodes["nodes"].as_array().expect("a list");
    let setup = |name: &str| &nodes.iter().find(|node| node["name"] == name).expect(name)["setup"];
    assert_eq!(setup("keyless")["has_key"], false);
    assert_eq!(
        (&setup("signing")["has_key"], &setup("signing")["key_name"]),
        (&true.into(), &"signing.example".into())
    );
    assert_eq!(setup("plain")["contested"], serde_json::json!(["127.0.0.21"]));
    assert_eq!(setup("lost")["unresolved"], serde_json::json!(["no-such.invalid"]));
}

#[test]
fn candidates_are_shown_and_are_no_nodes() {
    let Some(scene) = Scene::new("[discovery]\nenabled = true\n") else { return };
    let _daemon = scene.daemon();
    scene.speak("127.0.0.77");
    until("a candidate", || scene.run("status").stdout.contains("candidate"));
    assert_eq!(scene.run("status 127.0.0.77").code, Some(3), "never a fence");
    assert_eq!(scene.run("wait 127.0.0.77 --timeout 0").code, Some(3), "never a fence");
    assert_eq!(scene.run("nodes").expect_success().stdout, "no node is configured\n");
}
