//! `key new`, `key derive` and `key list`.

use super::{Keys, LIMIT, mode, refused};
use fence_kdump_tests::{Need, programs, requires};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

/// The commands of the README, as root on a machine that has never seen a key.
#[test]
fn turning_it_on_takes_two_commands() {
    if !requires(&[Need::Root]) {
        return;
    }
    let keys = Keys::none();
    let run = |words| keys.command(words).bind(keys.folder.path(), "/etc").run(LIMIT);
    let made = run("new").expect_success();
    assert!(made.stdout.starts_with("/etc/fence_kdump/cluster.key: new cluster key "), "{made}");
    assert!(made.stdout.contains("fence_kdumpctl key derive NODE"), "what to do next: {made}");
    let derived = run("derive n1").expect_success();
    assert!(derived.stdout.starts_with("/etc/fence_kdump/n1.node.key: "), "{derived}");
    assert!(derived.stdout.contains("/etc/fence_kdump/node.key"), "what to do next: {derived}");
    assert_eq!(mode(&keys.path("fence_kdump")), 0o755);
    for file in ["cluster.key", "n1.node.key"] {
        assert_eq!(mode(&keys.path("fence_kdump").join(file)), 0o600, "{file}");
    }
    let listed = run("list").expect_success();
    let rows: Vec<Vec<&str>> =
        listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["KEY", "ID", "KIND", "STATE", "NODE"]);
    assert_eq!(rows[1][1..], ["cluster", "current", "-"]);
    assert_eq!(rows.len(), 2, "{listed}");
}

#[test]
fn a_key_that_is_there_is_not_lost() {
    let keys = Keys::new();
    let before = keys.text("cluster.key");
    refused(keys.key("new --out cluster.key"), &["cluster.key: is there already", "key rotate"]);
    refused(keys.key("derive n1 -k cluster.key --out cluster.key --force"), &["cluster.key"]);
    fs::write(keys.path("notes"), "mine").expect("our own folder");
    refused(keys.key("derive n1 -k cluster.key --out notes --force"), &["notes: is there already"]);
    assert_eq!((keys.text("cluster.key"), keys.text("notes")), (before, "mine".to_owned()));

    // Of the same node and the same cluster key it is the same key.
    for _ in 0..2 {
        let _ = keys.key("derive N1 -k cluster.key --out node.key").expect_success();
    }
    let first = keys.text("node.key");
    let same = keys.key("derive n1 -k cluster.key --out node.key").expect_success();
    assert!(same.stdout.contains("there already"), "{same}");
    assert_eq!(keys.text("node.key"), first);
    refused(
        keys.key("derive n2 -k cluster.key --out node.key"),
        &["node.key: has the key of node N1 from cluster key ", "--force"],
    );
    let _ = keys.key("derive n2 -k cluster.key --out node.key --force").expect_success();
    assert_eq!(keys.list("node.key")[0][3], "n2");
    assert_eq!(mode(&keys.path("node.key")), 0o600);
    assert_eq!(keys.names(), ["cluster.key", "node.key", "notes"], "nothing is left behind");
}

#[test]
fn names_of_nodes_are_those_that_a_message_can_carry() {
    let keys = Keys::new();
    for name in ["", "a b", "nöd", "a\n", &"x".repeat(254)] {
        let output = keys.command("derive -k cluster.key --out - --").arg(name).run(LIMIT);
        refused(output, &["no name of a node"]);
    }
    for name in ["../n1", "a/b", ".n1", "/n1"] {
        refused(keys.command("derive -k cluster.key --").arg(name).run(LIMIT), &["--out"]);
    }
    for name in ["../n1", "n1", "-n", &"x".repeat(253)] {
        let output = keys.command("derive -k cluster.key --out - --").arg(name).run(LIMIT);
        let text = output.expect_success().stdout;
        assert!(text.ends_with(&format!(" {name}\n")), "{text}");
    }
    assert_eq!(keys.names(), ["cluster.key"]);
    refused(keys.key("derive n1 -k nothing"), &["nothing: no such file", "key new"]);
    let _ = keys.key("derive n1 -k cluster.key --out n.key").expect_success();
    refused(keys.key("derive n1 -k n.key"), &["n.key: holds no cluster key"]);
}

#[test]
fn keys_that_others_could_read_are_refused() {
    let keys = Keys::new();
    let path = keys.path("cluster.key");
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("our own file");
        for words in ["list", "derive n1", "rotate"] {
            let output = keys.key(&format!("{words} --key-file cluster.key"));
            refused(output, &["cluster.key: its mode 0", "'chmod 600'"]);
        }
        let run = fence_kdump_tests::Run::new(programs::ours("fence_kdumpctl"));
        refused(run.arg("decode").arg("-k").arg(&path).run(LIMIT), &["its mode 0"]);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own file");
    symlink("cluster.key", keys.path("link")).expect("our own folder");
    let _ = keys.key("list --key-file link").expect_success();
    fs::write(&path, format!("# hello\n{}x\n", keys.text("cluster.key").trim_end())).expect("ours");
    refused(keys.key("list --key-file cluster.key"), &["cluster.key, line 3: KEY has to be 64 "]);
}

/// A key goes to a pipe; where people or others could read it, it does not go.
#[test]
fn a_key_is_not_shown() {
    let keys = Keys::new();
    let words = "derive n1 -k cluster.key --out -";
    let piped = keys.key(words).expect_success();
    assert!(piped.stdout.lines().any(|line| line.starts_with("node ")), "{}", piped.stderr);
    fs::write(keys.path("piped.key"), &piped.stdout).expect("our own folder");
    fs::set_permissions(keys.path("piped.key"), Permissions::from_mode(0o600)).expect("our own");
    assert_eq!(keys.list("piped.key")[0][1..], ["node", "current", "n1"]);

    let to = |stdout: Stdio| {
        let mut command = Command::new(programs::ours("fence_kdumpctl"));
        command.arg("key").args(words.split(' ')).current_dir(keys.folder.path());
        let output = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).output();
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let file = |name: &str, mode: u32| {
        let file = File::create(keys.path(name)).expect("our own folder");
        file.set_permissions(Permissions::from_mode(mode)).expect("our own file");
        file
    };
    let (code, said) = to(file("open", 0o644).into());
    assert!(code == Some(1) && said.contains("lets others read it"), "{said}");
    assert_eq!(keys.text("open"), "");
    let (code, said) = to(file("closed", 0o600).into());
    assert!(code == Some(0), "{said}");
    assert_eq!(keys.text("closed"), piped.stdout);

    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&pty).and_then(|()| unlockpt(&pty)).expect("a terminal");
    let name = ptsname(&pty, Vec::new()).expect("a terminal");
    let terminal = File::options().write(true).open(name.to_str().expect("a path"));
    let (code, said) = to(terminal.expect("a terminal").into());
    assert!(code == Some(1) && said.contains("standard output is a terminal"), "{said}");
}

#[test]
fn wrong_usage_is_code_2() {
    let keys = Keys::new();
    for words in
        ["", "new extra", "derive", "list --finish", "rotate --force", "renew", "new --out"]
    {
        let output = keys.key(words);
        assert_eq!(output.code, Some(2), "{output}");
    }
    assert_eq!(keys.names(), ["cluster.key"]);
}
