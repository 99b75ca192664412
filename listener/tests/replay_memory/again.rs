//! A test that runs itself again, in another process and in another world.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// In the other process, where it is to work.
const PLACE: &str = "REPLAY_MEMORY_PLACE";

/// How long the other process may take.
const LIMIT: Duration = Duration::from_secs(120);

/// `Some` in the process that [`again`] started.
pub(crate) fn place() -> Option<PathBuf> {
    env::var_os(PLACE).map(PathBuf::from)
}

/// This test program with the test `name` alone, which finds `place` by [`place`], started by the words
/// of `by`.
pub(crate) fn again(by: &[&str], name: &str, place: &Path) -> Command {
    let program = env::current_exe().unwrap();
    let mut command = match by {
        [] => Command::new(&program),
        [first, more @ ..] => {
            let mut command = Command::new(first);
            command.args(more).arg(&program);
            command
        }
    };
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(PLACE, place);
    command
}

/// Runs it to its end, which has to be a good one.
#[track_caller]
pub(crate) fn succeeds(mut command: Command) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    assert!(ends(child), "the test in the other process has failed");
}

fn ends(mut child: Child) -> bool {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `unshare(1)` with namespaces of its own, when this user may have them; as root they are root's, so that
/// disks can be made.
///
/// Without them, the test is skipped, loudly, unless `CI=true`.
pub(crate) fn unshare(namespaces: &[&'static str], test: &str) -> Option<Vec<&'static str>> {
    let is_root = nix::unistd::geteuid().is_root();
    let mut by = vec!["unshare"];
    if !is_root {
        by.push("--map-root-user");
    }
    by.extend(namespaces);
    let (program, args) = by.split_first().unwrap();
    let tried = Command::new(program).args(args).arg("true").stderr(Stdio::null()).status();
    if tried.is_ok_and(|status| status.success()) {
        return Some(by);
    }
    skipped(test, "this user may have no namespaces");
    None
}

/// Whether disks can be made of files here: by root, with loop devices and the programs for it.
pub(crate) fn can_make_disks(test: &str) -> bool {
    let is_there = |program: &str| {
        let mut tried = Command::new(program);
        tried.arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let why = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if !Path::new("/dev/loop-control").exists() {
        "no loop devices"
    } else if !["mkfs.ext4", "fsfreeze"].into_iter().all(is_there) {
        "no mkfs.ext4 and fsfreeze: install e2fsprogs and util-linux"
    } else {
        return true;
    };
    skipped(test, why);
    false
}

fn skipped(test: &str, why: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{test}: {why}");
    // Around the test runner's capture: a skipped test must be seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// A program that has to succeed.
#[track_caller]
pub(crate) fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} {args:?}");
}
