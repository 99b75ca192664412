//! `key rotate`: one cluster key after the other, and never none.

use super::{Keys, LIMIT, mode, refused};
use fence_kdump_tests::{Need, Run, programs, requires};
use rustix::process::Signal;
use std::fs;
use std::thread;
use std::time::Duration;

#[test]
fn a_rotation_from_its_beginning_to_its_end() {
    let keys = Keys::new();
    let first = keys.current();
    for node in ["n1", "n2"] {
        let _ = keys.key(&format!("derive {node} -k cluster.key")).expect_success();
    }
    refused(keys.key("rotate --finish -k cluster.key"), &["no rotation to finish", &first]);

    let begun = keys.key("rotate -k cluster.key").expect_success();
    let second = keys.current();
    assert_ne!(first, second);
    for part in [&*first, &second, "n1, n2", "key derive --force NODE", "key rotate --finish"] {
        assert!(begun.stdout.contains(part), "{part}: {begun}");
    }
    let row =
        |id: &str, kind: &str, state: &str, node: &str| [id, kind, state, node].map(str::to_owned);
    let both = [row(&second, "cluster", "current", "-"), row(&first, "cluster", "previous", "-")];
    assert_eq!(keys.list("cluster.key"), both);
    assert_eq!(mode(&keys.path("cluster.key")), 0o600);
    refused(keys.key("rotate -k cluster.key"), &["unfinished", &first, &second, "--finish"]);
    assert_eq!(keys.list("cluster.key"), both);

    // Nodes that have not got their new key would be believed no more.
    refused(keys.key("derive n1 -k cluster.key"), &["n1.node.key: has ", &first, "--force"]);
    let _ = keys.key("derive n1 -k cluster.key --force").expect_success();
    refused(
        keys.key("rotate --finish -k cluster.key"),
        &["still from", &first, "the key of n2 in n2.node.key", "--force"],
    );
    assert_eq!(keys.list("cluster.key"), both);
    let _ = keys.key("derive n2 -k cluster.key --force").expect_success();
    let finished = keys.key("rotate --finish -k cluster.key").expect_success();
    assert!(finished.stdout.contains(&first) && finished.stdout.contains(&second), "{finished}");
    assert_eq!(keys.list("cluster.key"), both[..1]);
    assert_eq!(keys.list("n1.node.key"), [row(&second, "node", "current", "n1")]);
    assert_eq!(keys.names(), ["cluster.key", "n1.node.key", "n2.node.key"]);
}

#[test]
fn nodes_can_be_given_up() {
    let keys = Keys::new();
    let _ = keys.key("derive gone -k cluster.key --out node.key").expect_success();
    let _ = keys.key("rotate -k cluster.key").expect_success();
    refused(keys.key("rotate --finish -k cluster.key"), &["the key of gone in node.key"]);
    let _ = keys.key("rotate --finish --force -k cluster.key").expect_success();
    assert_eq!(keys.list("cluster.key").len(), 1);
}

/// What was signed with a key counts as long as the key does.
#[test]
fn old_signatures_end_with_their_key() {
    // From core/vectors.txt: "signed, all fields" by any key; here only whose key it is matters.
    let keys = Keys::new();
    let id = keys.current();
    // A message of node n1 with that KEY ID and a MAC of zeros: known key, wrong MAC.
    let fields = format!(
        "01026e31 0310{} 0408{} 0608{} 0b04{id} ff2101{}",
        "00".repeat(16),
        "00".repeat(8),
        "00".repeat(8),
        "00".repeat(32)
    );
    let datagram = format!("402a301b010000004b445831{}", fields.replace(' ', ""));
    let mac = || {
        let run = Run::new(programs::ours("fence_kdumpctl")).arg("decode").stdin(datagram.clone());
        let output = run.arg("-k").arg(keys.path("cluster.key")).run(LIMIT).expect_success();
        let said: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        said["message"]["mac"].as_str().expect("a word").to_owned()
    };
    assert_eq!(mac(), "wrong");
    let _ = keys.key("rotate -k cluster.key").expect_success();
    assert_eq!(mac(), "wrong", "the previous key is still accepted");
    let _ = keys.key("rotate --finish -k cluster.key").expect_success();
    assert_eq!(mac(), "unknown key");
}

/// Whenever the command is killed, the file is whole, and no key that counted is lost.
#[test]
fn a_killed_rotation_loses_no_key() {
    let keys = Keys::new();
    let (mut before, mut rotated) = (keys.list("cluster.key"), 0);
    for round in 0..40_u64 {
        let command = keys.command("rotate -k cluster.key").spawn();
        thread::sleep(Duration::from_micros(round * 211));
        command.signal(Signal::KILL);
        let _ = command.wait_for(LIMIT);
        let after = keys.list("cluster.key");
        if after.len() == 2 {
            assert_eq!(after[1][0], before[0][0], "the key that was");
            let _ = keys.key("rotate --finish -k cluster.key").expect_success();
            rotated += 1;
            before = keys.list("cluster.key");
        } else {
            assert_eq!(after, before, "round {round}");
        }
    }
    println!("{rotated} of 40 rotations came to their end");
}

#[test]
fn of_many_rotations_at_once_one_is_done() {
    for _ in 0..5 {
        let keys = Keys::new();
        let first = keys.current();
        let commands: Vec<_> =
            (0..6).map(|_| keys.command("rotate -k cluster.key").spawn()).collect();
        let outputs: Vec<_> = commands.into_iter().map(|command| command.wait_for(LIMIT)).collect();
        let done: Vec<_> = outputs.iter().filter(|output| output.code == Some(0)).collect();
        let [done] = done[..] else { panic!("{} done", done.len()) };
        let ids: Vec<_> = keys.list("cluster.key").into_iter().map(|[id, ..]| id).collect();
        assert_eq!(ids[1], first);
        assert!(done.stdout.contains(&ids[0]), "{done}");
    }
}

/// On a disk without room for the new file, the old one stays.
#[test]
fn a_full_disk_loses_no_key() {
    if !requires(&[Need::Root]) {
        return;
    }
    let keys = Keys::none();
    let script = r#"
        mount -t tmpfs -o size=64k none "$PWD" && cd "$PWD" || exit 9
        "$0" key new --out cluster.key || exit 10
        cat cluster.key >before
        head -c 100000 /dev/zero >filling 2>/dev/null
        "$0" key rotate -k cluster.key && exit 11
        cmp cluster.key before || exit 12
        "$0" key derive n1 -k cluster.key && exit 13
        [ "$(ls -A)" = "$(printf 'before\ncluster.key\nfilling')" ] || exit 14
        rm filling
        "$0" key rotate -k cluster.key || exit 15
    "#;
    let run = Run::new("unshare").args(["--mount", "sh", "-c", script]);
    let output = run.arg(programs::ours("fence_kdumpctl")).folder(keys.folder.path()).run(LIMIT);
    let output = output.expect_success();
    assert_eq!(output.stderr.matches("No space left on device").count(), 2, "{output}");
    assert!(fs::read_dir(keys.folder.path()).expect("a folder").next().is_none());
}
