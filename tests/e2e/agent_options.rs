//! The agent's command line and standard input, beside the stock agent's: the same exit code, or
//! a difference that has a reason.

use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::path::Path;
use std::thread;
use std::time::Duration;

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Stock];

/// No row waits for more than a second; the rest is the machine's.
const LIMIT: Duration = Duration::from_secs(15);

/// What both do: the same exit code.
const SAME: [&str; 37] = [
    "-o off",
    "-n 127.0.0.1 -t 1",
    "-n 127.1 -t 1",
    "-n 127.0.0.1,,127.0.0.2 -t1",
    "-n ::1 -f ipv6 -t 1",
    "-n 127.0.0.1 -f IPV4 -t 1",
    "-o OFF -n 127.0.0.1 -t 1",
    "--time=1 --node 127.0.0.1",
    "--t=1 --n=127.0.0.1 --i=7411 --f=auto --a=off",
    "-n 127.0.0.1 -t 1 extra",
    "extra -n 127.0.0.1 -t 1",
    "-n 127.0.0.1 -t 1 -- extra -Z",
    "-n 127.0.0.1 -t 0",
    "-n 127.0.0.1 -t -1",
    "-n 127.0.0.1 -t x",
    "-n 127.0.0.1 --timeout=",
    "-n 127.0.0.1 -t 1 -p 0",
    "-n 127.0.0.1 -t 1 -p 70000",
    "-n 127.0.0.1 -t 1 -p -1",
    "-n nosuchname.invalid -t 1",
    "-n ::1 -f ipv4 -t 1",
    "-f ipv9",
    "-o reboot -n 127.0.0.1",
    "-o on",
    "-o bad",
    "-o bad -h",
    "-Z",
    "--ver",
    "--nonsense",
    "-n",
    "--timeout",
    "-o Metadata",
    "-h",
    "--he -o bad",
    "-V -Z",
    "--verb=2 -V",
    "-v2 --verb --verbose=x -V",
];

/// What differs: the command line, the stock agent's exit code, ours, and why.
const DIFFERENT: [(&str, i32, i32, &str); 3] = [
    ("-o status", 1, 0, "status is monitor, which the host's kernel answers"),
    ("-o list -n a,b", 1, 0, "the configured names are no secret"),
    ("-o validate-all -n nosuchname.invalid", 0, 1, "stock validates nothing"),
];

/// Both exit 1, but the stock agent only after it waited for a number that it had cut.
const CUT_BY_STOCK: [&str; 2] = ["-n 127.0.0.1 -t 1x", "-n 127.0.0.1 -t 1 -p 80x"];

/// Standard inputs that both answer with the same exit code.
const SAME_STDIN: [&str; 14] = [
    "",
    "action=metadata\n",
    "ACTION=Metadata",
    "# comment\nfoo=bar\ngarbage\n=x\naction=metadata\n",
    "action=metadata\naction=bad\n",
    "action=bad\naction=metadata\n",
    "timeout=x\ntimeout=1\naction=metadata\n",
    "nodename=127.0.0.1\ntimeout=1\ntimeout=1\nverbose=yes\n",
    "nodename=127.0.0.1\ntimeout=\n",
    "nodename=\ntimeout=1\n",
    "nodename=127.0.0.1\nipport=0\n",
    "action=list\ntimeout=3\n",
    "action=reboot\nnodename=127.0.0.1\n",
    "version=1\nusage=1\naction=metadata\n",
];

/// Standard inputs whose answers differ.
const DIFFERENT_STDIN: [(&str, i32, i32, &str); 2] = [
    (" action = metadata \n", 1, 0, "white space around keys and values means nothing"),
    ("action=list\nnodename=a\n", 1, 0, "the configured names are no secret"),
];

fn listening_host<'net>(program: &Path, net: &'net Netns) -> Run<'net> {
    Run::new(program)
        .inside(net)
        .file("/sys/kernel/kexec_crash_size", "100663296\n")
        .file("/sys/kernel/kexec_crash_loaded", "1\n")
}

fn argv(program: &Path, line: &str) -> Output {
    let net = Netns::new();
    listening_host(program, &net).args(line.split_whitespace()).run(LIMIT)
}

fn stdin(program: &Path, text: &str) -> Output {
    let net = Netns::new();
    listening_host(program, &net).stdin(text).run(LIMIT)
}

/// Runs `check` on every row, a few at a time: they mostly wait.
fn each<T: Sync>(rows: &[T], check: impl Fn(&T) + Sync) {
    for group in rows.chunks(8) {
        thread::scope(|scope| {
            for row in group {
                scope.spawn(|| check(row));
            }
        });
    }
}

#[test]
fn the_exit_codes_of_the_stock_agent() {
    if !requires(&NEEDS) {
        return;
    }
    let (stock, ours) = (programs::stock_agent(), programs::ours("fence_kdump"));
    each(&SAME, |line| {
        let (theirs, mine) = (argv(&stock, line), argv(&ours, line));
        assert_eq!(mine.code, theirs.code, "{line}: stock {theirs}\nours {mine}");
    });
    each(&SAME_STDIN, |text| {
        let (theirs, mine) = (stdin(&stock, text), stdin(&ours, text));
        assert_eq!(mine.code, theirs.code, "{text:?}: stock {theirs}\nours {mine}");
    });
}

#[test]
fn differences_that_have_a_reason() {
    if !requires(&NEEDS) {
        return;
    }
    let (stock, ours) = (programs::stock_agent(), programs::ours("fence_kdump"));
    each(&DIFFERENT, |(line, theirs, mine, why)| {
        assert_eq!(argv(&stock, line).code, Some(*theirs), "{line}: {why}");
        assert_eq!(argv(&ours, line).code, Some(*mine), "{line}: {why}");
    });
    each(&DIFFERENT_STDIN, |(text, theirs, mine, why)| {
        assert_eq!(stdin(&stock, text).code, Some(*theirs), "{text:?}: {why}");
        assert_eq!(stdin(&ours, text).code, Some(*mine), "{text:?}: {why}");
    });
    each(&CUT_BY_STOCK, |line| {
        let (theirs, mine) = (argv(&stock, line), argv(&ours, line));
        assert_eq!((theirs.code, mine.code), (Some(1), Some(1)), "{line}");
        assert!(theirs.stdout.contains("waiting"), "{line}: {theirs}");
        assert!(mine.stderr.contains("is not a number of"), "{line}: {mine}");
    });
}

#[test]
fn usage_goes_to_standard_output_and_errors_are_one_line() {
    if !requires(&NEEDS) {
        return;
    }
    let ours = programs::ours("fence_kdump");
    let help = argv(&ours, "--help").expect_success();
    for option in [
        "--nodename",
        "--ipport",
        "--family",
        "--action",
        "--timeout",
        "--port",
        "--key-file",
        "--policy",
        "--state-dir",
        "--listen-only",
        "--verbose",
        "--version",
        "--help",
    ] {
        assert!(help.stdout.contains(option), "{option}: {help}");
    }
    for (line, said) in [
        ("-t 5m", "timeout: '5m' is not a number of seconds from 1 to 2147483647"),
        ("-n 127.0.0.1 --port 7410", "port: '7410' names no node; the UDP port is --ipport"),
        ("-o Reboot", "action: 'reboot' is not possible"),
        ("-o off", "off: nodename or port is needed"),
        ("-o list", "list: no nodename is configured"),
        ("--nonsense", "'--nonsense'"),
    ] {
        let output = argv(&ours, line);
        assert_eq!(output.code, Some(1), "{output}");
        assert_eq!(output.stderr.lines().count(), 1, "{output}");
        let start = output.stderr.starts_with("fence_kdump: ");
        assert!(start && output.stderr.contains(said), "{line}: {output}");
    }
}

#[test]
fn input_is_whole_or_refused() {
    if !requires(&NEEDS) {
        return;
    }
    let ours = programs::ours("fence_kdump");
    let names: Vec<String> =
        (0..4096_u32).map(|n| format!("127.1.{}.{}", n / 256, n % 256)).collect();
    let line = format!("action=list\nnodename={}\n", names.join(","));
    let all = stdin(&ours, &line).expect_success();
    assert_eq!(all.stdout.lines().count(), 4096);
    assert_eq!(all.stdout.lines().last(), names.last().map(String::as_str));
    let one_more = stdin(&ours, &format!("{},127.2.0.1\n", line.trim_end()));
    assert_eq!(one_more.code, Some(1), "{one_more}");
    assert!(one_more.stderr.contains("nodename: more than 4096 names"), "{one_more}");
    let flood = stdin(&ours, &format!("#{}\naction=metadata\n", "x".repeat(1 << 20)));
    assert_eq!(flood.code, Some(1), "{flood}");
    assert!(flood.stderr.contains("more than 1048576 bytes"), "{flood}");
}

/// The writer may be slow; only the end of input counts.
#[test]
fn input_may_come_in_pieces() {
    if !requires(&NEEDS) {
        return;
    }
    let mut agent = Run::new(programs::ours("fence_kdump")).open_stdin().spawn();
    for piece in ["acti", "on=list\nnode", "name=one,t", "wo"] {
        agent.write_stdin(piece.as_bytes()).expect("it reads");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(agent.is_running());
    agent.close_stdin();
    let output = agent.wait_for(LIMIT).expect_success();
    assert_eq!(output.stdout, "one\ntwo\n");
}
