//! No key is ever in an output, an argument, an environment, or a core dump.

use super::{Keys, LIMIT, secrets};
use fence_kdump_tests::{Need, Output, Run, programs, requires};
use std::fs;
use std::time::Duration;

/// Every way to write a key down that a program would choose.
fn spellings(secret: &str) -> Vec<String> {
    let bytes: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&secret[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let half = &secret[..32];
    vec![half.to_owned(), half.to_uppercase(), format!("{:?}", &bytes[..8]).replace(']', "")]
}

#[test]
fn no_output_has_a_key() {
    let keys = Keys::none();
    let mut said: Vec<Output> = Vec::new();
    let mut secret: Vec<String> = Vec::new();
    for words in [
        "new -o cluster.key",
        "new -o cluster.key",
        "list -k cluster.key",
        "list -k cluster.key --json",
        "derive n1 -k cluster.key",
        "derive n1 -k cluster.key",
        "list -k n1.node.key",
        "rotate -k cluster.key",
        "rotate -k cluster.key",
        "derive n1 -k cluster.key",
        "rotate --finish -k cluster.key",
        "derive n1 -k cluster.key --force",
        "list -k cluster.key",
        "rotate --finish -k cluster.key",
        "derive n1 -k n1.node.key",
        "rotate -k n1.node.key",
    ] {
        said.push(keys.key(words));
        for file in keys.names() {
            secret.extend(secrets(&keys.text(&file)));
        }
    }
    // Damaged in every word, and put together wrongly.
    let cluster = keys.text("cluster.key");
    let (line, node) = (cluster.lines().last().expect("a key"), keys.text("n1.node.key"));
    let node = node.lines().last().expect("a key");
    let words: Vec<&str> = line.split(' ').collect();
    let (id, key) = (words[1], words[2]);
    let zeros = "0".repeat(8);
    for damaged in [
        format!("{line}{}", &key[..2]),
        format!("cluster {key} {id}"),
        format!("cluster {zeros} {key}"),
        format!("{key}\n"),
        format!("cluster={key}"),
        format!("cluster\t{id}\t{key}"),
        format!("{line}\n{line}"),
        format!("{line}\r\n"),
        format!("{line} {key}"),
        format!("node {id} {key} {zeros} n1"),
        format!("{node}\n{node}"),
        format!("{node} {key}"),
        format!("{line}\n{}2", node),
    ] {
        fs::write(keys.path("cluster.key"), damaged).expect("our own file");
        for words in ["list", "derive n1", "rotate"] {
            said.push(keys.key(&format!("{words} -k cluster.key")).expect_failure());
        }
        let run = Run::new(programs::ours("fence_kdumpctl")).arg("decode");
        said.push(run.arg("-k").arg(keys.path("cluster.key")).run(LIMIT).expect_failure());
    }
    secret.sort();
    secret.dedup();
    assert_eq!(secret.len(), 4, "two cluster keys, and n1's from each");
    for output in said {
        for spelling in secret.iter().flat_map(|secret| spellings(secret)) {
            assert!(!output.stdout.contains(&spelling), "{output}");
            assert!(!output.stderr.contains(&spelling), "{output}");
        }
    }
}

/// What every process of the host can read of another one, and what the kernel would write of it.
#[test]
fn no_process_shows_a_key() {
    let keys = Keys::new();
    let _ = keys.key("derive n1 -k cluster.key").expect_success();
    let secret = [secrets(&keys.text("cluster.key")), secrets(&keys.text("n1.node.key"))].concat();
    let run = Run::new(programs::ours("fence_kdumpctl")).arg("decode").open_stdin();
    let mut process = run.arg("-k").arg(keys.path("cluster.key")).spawn();
    // Once it has answered, it has read its keys.
    process.write_stdin(b"402a301b01000000\n").expect("it reads");
    let _ = process.wait_stdout_line("message", LIMIT);
    let see = |what: &str| {
        let path = format!("/proc/{}/{what}", process.pid());
        String::from_utf8_lossy(&fs::read(path).expect("our own process")).into_owned()
    };
    for what in ["cmdline", "environ", "comm", "status", "maps"] {
        let shown = see(what);
        assert!(!shown.is_empty(), "{what}");
        for spelling in secret.iter().flat_map(|secret| spellings(secret)) {
            assert!(!shown.contains(&spelling), "{what}");
        }
    }
    let limits = see("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core = core.expect("a limit").split_whitespace().collect::<Vec<_>>();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    process.close_stdin();
    let _ = process.wait_for(Duration::from_secs(5)).expect_success();
}

/// Nothing is written but the key file: no copy, no history, no temporary file somewhere else.
#[test]
fn no_other_file_gets_a_key() {
    if !requires(&[Need::Strace]) {
        return;
    }
    let keys = Keys::new();
    for words in ["derive n1 -k cluster.key", "rotate -k cluster.key", "list -k cluster.key"] {
        let run = Run::new("strace").args([
            "-f",
            "-y",
            "-e",
            "trace=write,writev,pwrite64,sendto,sendmsg",
        ]);
        let run = run.args(["-s", "4096", "-o"]).arg(keys.path("trace"));
        let run = run.arg(programs::ours("fence_kdumpctl")).arg("key").args(words.split(' '));
        let _ = run.folder(keys.folder.path()).run(LIMIT).expect_success();
        let trace = keys.text("trace");
        let files: Vec<_> =
            keys.names().into_iter().filter(|name| name.ends_with(".key")).collect();
        let secret: Vec<_> = files.iter().flat_map(|file| secrets(&keys.text(file))).collect();
        let with_keys: Vec<_> = trace
            .lines()
            .filter(|line| secret.iter().any(|secret| line.contains(&secret[..32])))
            .collect();
        let expected = usize::from(!words.starts_with("list"));
        assert_eq!(with_keys.len(), expected, "{words}: {} writes", with_keys.len());
        let draft = keys.path(".fence_kdump-").to_string_lossy().into_owned();
        assert!(with_keys.iter().all(|line| line.contains(&draft)), "{words}");
    }
}
