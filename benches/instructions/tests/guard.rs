//! Nothing that core does needs more instructions than it did, by more than a twentieth, nor more bytes. Time
//! is not looked at: this is the same on every machine of one kind. `UPDATE=1` writes the baseline anew.
//!
//! ```text
//! cargo test --release -p fence-kdump-instructions -- --nocapture
//! ```
#![cfg(all(target_arch = "x86_64", not(debug_assertions)))]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// More than this above the baseline, in hundredths, is too much.
const MORE: u64 = 5;

/// How often something is done in the shorter and in the longer run.
const TIMES: [u32; 2] = [1_000, 3_000];

/// All instructions of one run, as valgrind counts them.
fn count(what: &str, times: u32) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_fence-kdump-instructions"), what, &times.to_string()])
        .output()
        .expect("valgrind, which tests/prepare installs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, number)| number.trim().parse().ok()).expect(&said)
}

/// Of one time, in tenths.
fn once(what: &str) -> u64 {
    let [less, more] = TIMES.map(|times| count(what, times));
    (more - less) * 10 / u64::from(TIMES[1] - TIMES[0])
}

/// A line of the baseline: tenths of an instruction, and bytes.
fn read(rest: &str) -> Option<(u64, u64)> {
    let (instructions, bytes) = rest.trim().split_once(' ')?;
    let (whole, tenth) = instructions.split_once('.')?;
    let tenths = whole.parse::<u64>().ok()? * 10 + tenth.parse::<u64>().ok()?;
    Some((tenths, bytes.parse().ok()?))
}

#[test]
fn nothing_needs_more_than_it_did() {
    let list = Command::new(env!("CARGO_BIN_EXE_fence-kdump-instructions")).output();
    let list = String::from_utf8(list.expect("the program").stdout).expect("names");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt");
    let baseline = std::fs::read_to_string(&path).unwrap_or_default();
    let known = |what: &str| {
        baseline.lines().find_map(|line| read(line.strip_prefix(what)?.strip_prefix(' ')?))
    };
    let mut found = String::from(
        "# Instructions of one time each on x86_64 without SHA instructions, counted by callgrind; and the\n\
         # bytes of the message, or of all nodes' memory.\n\
         # UPDATE=1 cargo test --release -p fence-kdump-instructions\n",
    );
    let mut wrong = Vec::new();
    for line in list.lines() {
        let (what, bytes) = line.split_once(' ').expect("a name and a number");
        let (now, bytes) = (once(what), bytes.parse::<u64>().expect("a number"));
        println!("{what} {}.{} {bytes}", now / 10, now % 10);
        writeln!(found, "{what} {}.{} {bytes}", now / 10, now % 10).expect("a string");
        match known(what) {
            None => wrong.push(format!("{what}: not in the baseline")),
            Some((before, _)) if now * 100 > before * (100 + MORE) + 1_000 => {
                wrong.push(format!("{what}: {now} tenths of an instruction, {before} before"));
            }
            Some((_, before)) if bytes > before => {
                wrong.push(format!("{what}: {bytes} bytes, {before} before"));
            }
            Some(_) => {}
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, found).expect("the baseline can be written");
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(baseline.lines().count(), found.lines().count(), "the baseline has other names");
}
