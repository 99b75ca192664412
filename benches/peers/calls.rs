//! System calls, counted by strace.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fence_kdump_benches::programs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

const PATIENCE: Duration = Duration::from_secs(20);

fn strace(report: &NamedTempFile) -> Command {
    let mut command = programs::command("strace");
    command.args(["-f", "-q", "-c", "-U", "calls,name", "-o"]).arg(report.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The number of calls in a report. One that was interrupted because tracing began or ended counts as well.
fn total(report: &NamedTempFile) -> u64 {
    let text = fs::read_to_string(report.path()).expect("our own file");
    let calls = text.lines().filter_map(|line| {
        let (count, name) = line.trim().split_once(' ')?;
        (name.trim() != "total").then_some(count.parse::<u64>().ok()?)
    });
    calls.sum()
}

/// Of a program from its start to its end.
pub(crate) fn whole_run(program: &Path, args: &[&str]) -> u64 {
    let report = NamedTempFile::new().expect("a temporary file");
    let status = strace(&report).arg(program).args(args).status().expect("strace");
    assert!(status.success(), "{} {args:?}: {status}", program.display());
    total(&report)
}

fn wait_traced(process: u32, strace: &mut Child) {
    let begin = Instant::now();
    let is_traced = |status: &String| !status.contains("TracerPid:\t0\n");
    loop {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        let read = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("status")).ok();
        if tasks.flatten().filter_map(read).all(|status| is_traced(&status)) {
            return;
        }
        let ended = strace.try_wait().expect("our own child");
        assert!(ended.is_none() && begin.elapsed() < PATIENCE, "strace cannot look: {ended:?}");
        sleep(Duration::from_millis(5));
    }
}

/// Of the program `process` while `meanwhile` is done.
pub(crate) fn while_it_runs(process: u32, meanwhile: impl FnOnce()) -> u64 {
    let report = NamedTempFile::new().expect("a temporary file");
    let mut strace = strace(&report).args(["-p", &process.to_string()]).spawn().expect("strace");
    wait_traced(process, &mut strace);
    meanwhile();
    let pid = Pid::from_raw(i32::try_from(strace.id()).expect("a process"));
    kill(pid, Signal::SIGINT).expect("our own child");
    strace.wait().expect("our own child");
    total(&report)
}
