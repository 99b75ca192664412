//! What a node proves and says of its dump.

use super::{LIMIT, Scene, until};
use fence_kdump_tests::{Need, Run, programs, python, requires};
use serde_json::{Value, json};

/// What comes of the numbers that a node says, from its datagram to the table.
#[test]
fn phase_progress_and_interval_are_shown() {
    if !requires(&[Need::Python]) {
        return;
    }
    let Some(scene) = Scene::new("key_file = \"KEY\"\n[[node]]\nname = \"n1\"\naddresses = []\n")
    else {
        return;
    };
    let key = scene.path("cluster.key");
    let new = Run::new(programs::ours("fence_kdumpctl")).args(["key", "new", "--out"]).arg(&key);
    let _ = new.run(LIMIT).expect_success();
    let text = std::fs::read_to_string(scene.path("daemon.toml")).expect("our own file");
    scene.write("daemon.toml", &text.replace("\"KEY\"", &format!("{key:?}")));
    let list = scene.json(&format!("key list --json -k {}", key.display()));
    let daemon = scene.daemon();
    let mut said = json!({
        "byte_order": "little",
        "node_name": "n1",
        "crash_id": "11".repeat(16),
        "key_id": list["keys"][0]["key_id"],
        "interval_ms": 20_000,
        "phase": 2,
        "progress": [3_u64 << 30, 12_u64 << 30],
    });
    let key = key.to_str().expect("no strange name");
    let mut speak = |sequence: u64, uptime_ms: u64| {
        said["sequence"] = json!(sequence);
        said["uptime_ms"] = json!(uptime_ms);
        let datagram = python::output("speak.py", &["sign", "--key-file", key], &said.to_string());
        let digits: Vec<_> = datagram.trim().as_bytes().chunks(2).collect();
        let byte =
            |pair: &&[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16);
        let bytes: Vec<u8> = digits.iter().map(|pair| byte(pair).expect("digits")).collect();
        scene.net.send("127.0.0.44", "127.0.0.1:7410", &bytes);
    };
    speak(1, 0);
    daemon.wait_stderr_line("n1 (127.0.0.44, signed): started", LIMIT);
    let node = scene.json("status n1 --json")["nodes"][0].clone();
    assert_eq!(
        [&node["phase"], &node["proof"], &node["from"], &node["interval_ms"]],
        [&json!("dumping"), &json!("signed"), &json!("127.0.0.44"), &json!(20_000)]
    );
    assert_eq!([&node["done"], &node["total"]], [&json!(3_u64 << 30), &json!(12_u64 << 30)]);
    assert_eq!(node["key_id"], list["keys"][0]["key_id"]);
    let one = scene.run("status n1").expect_success().stdout;
    for line in [
        "  interval    20s, as it promised\n",
        "  progress    [##########..............................] 25%  3.0 GiB / 12.0 GiB\n",
        "  policy      signed\n",
        "  key         n1\n",
    ] {
        assert!(one.contains(line), "{line}: {one}");
    }
    let table = scene.run("status").expect_success().stdout;
    let words: Vec<_> = table.lines().nth(2).expect("a node").split_whitespace().collect();
    let [name, state, _, _, rest @ ..] = &words[..] else { panic!("{table}") };
    assert_eq!((*name, *state), ("n1", "started"));
    assert_eq!(rest.join(" "), "20s dumping 25% [##........] 3.0 GiB / 12.0 GiB signed 127.0.0.44");
    let waited = scene.run("wait n1 --timeout 0").expect_success().stdout;
    assert!(waited.ends_with("from 127.0.0.44, signed\n"), "{waited}");
    let history = format!("history --json --state-dir {}", scene.state_dir().display());
    let latest = || -> Option<Value> {
        let told: Value = serde_json::from_str(&scene.run(&history).stdout).ok()?;
        Some(told["sessions"][0].clone())
    };
    until("it is written down", || latest().is_some_and(|it| it["done"] == json!(3_u64 << 30)));
    assert_eq!(latest().map(|it| it["proof"].clone()), Some(json!("signed")));
}

/// The program that runs in crash kernels.
#[test]
fn the_sender_is_heard() {
    let Some(scene) = Scene::new("[[node]]\nname = \"here\"\naddresses = [\"127.0.0.1\"]\n") else {
        return;
    };
    let _daemon = scene.daemon();
    let waiting = scene.ctl("wait here --timeout 60 --fresh").spawn();
    let send =
        Run::new(programs::ours("fence_kdump_send")).args(["-i", "1", "-c", "60", "127.0.0.1"]);
    let _sender = send.inside(&scene.net).spawn();
    let done = waiting.wait_for(LIMIT).expect_success();
    assert!(done.stdout.contains("from 127.0.0.1"), "{done}");
}
