//! The protocol once more: the programs in `tests/python`, which were written from PROTOCOL.md
//! alone and share no line with what is tested.

use crate::output::Output;
use crate::programs::workspace;
use crate::run::Run;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Longer than any of them takes for the tens of thousands of lines that the tests give it.
const LIMIT: Duration = Duration::from_secs(120);

/// `tests/python/<program>` with these arguments and this standard input.
///
/// # Panics
/// When it takes too long.
#[track_caller]
#[must_use]
pub fn run(program: &str, args: &[&str], stdin: &str) -> Output {
    let path = workspace().join("tests/python").join(program);
    // -B: no compiled copies in the source tree.
    Run::new("python3").arg("-B").arg(path).args(args).stdin(stdin).run(LIMIT)
}

/// What `tests/python/<program>` prints.
///
/// # Panics
/// When it fails.
#[track_caller]
#[must_use]
pub fn output(program: &str, args: &[&str], stdin: &str) -> String {
    run(program, args, stdin).expect_success().stdout
}

/// What `fence_kdump.py decode` says of each line, with the keys of `key_file`.
///
/// # Panics
/// When it fails, or does not answer each line with one JSON object.
#[track_caller]
#[must_use]
pub fn decode(lines: &str, key_file: Option<&Path>) -> Vec<Value> {
    let key_file = key_file.map(|path| path.to_str().expect("a path in UTF-8"));
    let args: Vec<&str> = ["decode"]
        .into_iter()
        .chain(key_file.iter().flat_map(|path| ["--key-file", path]))
        .collect();
    objects(&output("fence_kdump.py", &args, lines), lines)
}

/// The JSON objects in `output`, one for each line of `lines`.
///
/// # Panics
/// When there are more or fewer, or one is no JSON object.
#[track_caller]
#[must_use]
pub fn objects(output: &str, lines: &str) -> Vec<Value> {
    let object = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Value::Object(object),
        other => panic!("{line}: no JSON object: {other:?}"),
    };
    let objects: Vec<Value> = output.lines().map(object).collect();
    assert_eq!(objects.len(), lines.lines().count(), "one answer a line");
    objects
}
