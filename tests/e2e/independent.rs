//! Two implementations of one text: what `fence_kdumpctl decode` says of a datagram, the Python
//! program that was written from PROTOCOL.md alone says as well.

#[path = "independent/dialogue.rs"]
mod dialogue;

use fence_kdump_tests::{Need, Run, programs, python, requires};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// Each gives other keys and other datagrams, and always the same.
const SEEDS: [&str; 3] = ["1", "2", "3"];

/// Longer than `fence_kdumpctl` takes for all datagrams of one seed.
const LIMIT: Duration = Duration::from_secs(60);

/// Every result that a datagram can have: causes of refusal (PROTOCOL.md, section 7), then messages
/// and challenges with what is found out about their MACs.
const RESULTS: [&str; 22] = [
    "empty",
    "truncated",
    "bad magic",
    "unsupported version",
    "too long",
    "trailing bytes",
    "MAC not last",
    "field cut off",
    "repeated field",
    "unknown critical field",
    "wrong field length",
    "bad node name",
    "unknown algorithm",
    "missing field",
    "not hexadecimal",
    "message: none",
    "message: right",
    "message: wrong",
    "message: unknown key",
    "challenge: right",
    "challenge: wrong",
    "challenge: unknown key",
];

fn key_file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.as_file().set_permissions(Permissions::from_mode(0o600)).expect("our own file");
    file.write_all(text.as_bytes()).expect("a writable temporary file");
    file
}

/// What `fence_kdumpctl decode` says of each line.
fn ours(lines: &str, key_file: Option<&Path>) -> Vec<Value> {
    let mut run = Run::new(programs::ours("fence_kdumpctl")).arg("decode").stdin(lines);
    if let Some(path) = key_file {
        run = run.arg("--key-file").arg(path);
    }
    python::objects(&run.run(LIMIT).expect_success().stdout, lines)
}

/// In which row of [`RESULTS`] an answer counts.
fn result(answer: &Value) -> String {
    if let Some(cause) = answer["refused"].as_str() {
        return cause.to_owned();
    }
    let kinds = ["message", "challenge"].into_iter();
    let mut found =
        kinds.filter_map(|kind| Some(format!("{kind}: {}", answer[kind]["mac"].as_str()?)));
    found.next().unwrap_or_else(|| panic!("{answer}: neither refused nor message nor challenge"))
}

/// Compares the two line by line, and counts the results.
#[track_caller]
fn agree(lines: &str, key_file: Option<&Path>, counts: &mut BTreeMap<String, u32>) {
    let (ours, theirs) = (ours(lines, key_file), python::decode(lines, key_file));
    let mut apart = 0;
    for ((line, ours), theirs) in lines.lines().zip(ours).zip(theirs) {
        if ours != theirs {
            apart += 1;
            if apart <= 10 {
                eprintln!("{line}\n  here:   {ours}\n  Python: {theirs}");
            }
        }
        *counts.entry(result(&theirs)).or_default() += 1;
    }
    assert_eq!(apart, 0, "datagrams about which the two say different things; the first above");
}

fn print(counts: &BTreeMap<String, u32>) {
    for (result, count) in counts {
        println!("{count:>7}  {result}");
    }
    println!("{:>7}  compared, no difference", counts.values().sum::<u32>());
}

fn vectors() -> String {
    let path = programs::workspace().join("core/vectors.txt");
    std::fs::read_to_string(path).expect("the test vectors")
}

/// What core's own tests take from the vectors, another implementation finds there too.
#[test]
fn the_vectors_fit_the_text() {
    if !requires(&[Need::Python]) {
        return;
    }
    let vectors = vectors();
    let told = python::output("vectors.py", &[], &vectors);
    let kinds: BTreeMap<String, usize> = serde_json::from_str(&told).expect("a count of each kind");
    println!("{kinds:?}");
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["challenge", "datagram", "key", "replay"]);
    let there = vectors.lines().filter(|line| line.starts_with("vector:")).count();
    assert_eq!(kinds.values().sum::<usize>(), there, "not every vector was checked");
}

/// The twin: a vector that is changed in one place does not fit any more.
#[test]
fn a_changed_vector_does_not_fit() {
    if !requires(&[Need::Python]) {
        return;
    }
    let changes = [
        ("node_key: 0d3effd2", "node_key: 0d3effd3"),
        ("check: 56507761", "check: 56507760"),
        ("byte_order: big", "byte_order: little"),
        ("result: trailing bytes", "result: too long"),
        ("extra: 3", "extra: 4"),
        ("sequence: 1\n", "sequence: 2\n"),
        ("sequence: 1\n", ""),
        ("phase: 2\n", "phase: 2\ninterval_ms: 1\n"),
        ("\nmac: right", "\nmac: wrong"),
        ("\nmac: wrong", "\nmac: right"),
        ("nonce: a0", "nonce: a1"),
        ("live believed", "signed believed"),
        ("signed late", "signed believed"),
        ("signed believed", "signed late"),
    ];
    for (true_text, false_text) in changes {
        let changed = vectors().replacen(true_text, false_text, 1);
        assert_ne!(changed, vectors(), "{true_text}: not in the vectors");
        let output = python::run("vectors.py", &[], &changed).expect_failure();
        assert_eq!(output.code, Some(1), "{true_text} -> {false_text}: {output}");
        assert!(output.stderr.starts_with("line "), "{true_text} -> {false_text}: {output}");
    }
}

#[test]
fn both_say_the_same_of_valid_changed_and_random_datagrams() {
    if !requires(&[Need::Python]) {
        return;
    }
    let mut counts = BTreeMap::new();
    for seed in SEEDS {
        let keys = key_file(&python::output("mutants.py", &["keys", "--seed", seed], ""));
        let lines = python::output("mutants.py", &["datagrams", "--seed", seed], "");
        agree(&lines, Some(keys.path()), &mut counts);
    }
    print(&counts);
    for expected in RESULTS {
        let count = counts.remove(expected).unwrap_or(0);
        assert!(count >= 3, "{expected}: only {count} of them were compared");
    }
    assert!(counts.is_empty(), "results that nobody expected: {counts:?}");
}

#[test]
fn without_keys_nothing_is_checked() {
    if !requires(&[Need::Python]) {
        return;
    }
    let mut counts = BTreeMap::new();
    let lines = python::output("mutants.py", &["datagrams", "--seed", "4"], "");
    agree(&lines, None, &mut counts);
    print(&counts);
    for unchecked in ["message: not checked", "challenge: not checked"] {
        assert!(counts.remove(unchecked).is_some_and(|count| count > 1000), "{unchecked}: too few");
    }
    let checked: Vec<_> = counts.keys().filter(|result| result.contains(": ")).collect();
    assert_eq!(checked, ["message: none"], "nothing can be checked without a key");
}
