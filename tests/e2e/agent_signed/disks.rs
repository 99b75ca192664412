//! What cannot be remembered.

use super::{Host, LIMIT, NEEDS, assert_refused, exists};
use fence_kdump_tests::{Need, Output, Proc, Run, requires};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

/// Set inside the mount namespace of a test.
const INSIDE: &str = "FENCE_KDUMP_OWN_MOUNTS";

/// Runs the test `name` again in a mount namespace of its own, so that nothing it mounts stays behind;
/// true in there.
fn is_inside(name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let this = env::current_exe().expect("this program has a file");
    let again = Run::new("unshare").args(["--mount", "--"]).arg(this);
    let _ = again.args(["--exact", name]).env(INSIDE, "1").run(3 * LIMIT).expect_success();
    false
}

/// A disk of its own, mounted at a folder of the test; thawed and unmounted when dropped, and thawed
/// in any case after a while.
struct Disk {
    place: PathBuf,
    rescue: Vec<Proc>,
}

fn run(program: &str, args: &[&str]) -> Output {
    Run::new(program).args(args).run(LIMIT)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

impl Disk {
    fn new(host: &Host) -> Self {
        let (image, place) = (host.path("image"), host.path("disk"));
        fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).expect("our own folder");
        fs::create_dir(&place).expect("our own folder");
        let _ = run("mkfs.ext4", &["-q", text(&image)]).expect_success();
        let _ = run("mount", &["-o", "loop", text(&image), text(&place)]).expect_success();
        Self { place, rescue: Vec::new() }
    }

    fn freeze(&mut self) {
        let rescue = r#"sleep 40; exec fsfreeze --unfreeze "$0""#;
        self.rescue.push(Run::new("sh").args(["-c", rescue]).arg(&self.place).spawn());
        let _ = run("fsfreeze", &["--freeze", text(&self.place)]).expect_success();
    }

    fn thaw(&self) {
        let _ = run("fsfreeze", &["--unfreeze", text(&self.place)]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        // Whoever was left behind writes for a moment, and ends.
        for _ in 0..50 {
            if run("umount", &[text(&self.place)]).code == Some(0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The kernel lets nobody go who waits for such a disk, not even to end; the agent ends in time all the
/// same, and what counts without a disk counts.
#[test]
fn a_disk_that_hangs_holds_nothing_up() {
    if !requires(&NEEDS) || !requires(&[Need::Disk]) {
        return;
    }
    if !is_inside("disks::a_disk_that_hangs_holds_nothing_up") {
        return;
    }
    let host = Host::new();
    let mut disk = Disk::new(&host);
    let state = format!("--state-dir {}", disk.place.join("state").display());
    let _ = host.agent(&format!("-o validate-all -t 10 {state}")).run(LIMIT).expect_success();
    disk.freeze();
    let mut node = host.node("127.0.0.99");
    let agent = host.waiting(&format!("-t 3 {state}"));
    node.speak();
    let output = agent.wait_for(LIMIT);
    assert_refused(&output, "1 with a right MAC could not be remembered in time");
    assert!(output.elapsed < Duration::from_millis(4_500), "{output}");
    let checked = host.agent(&format!("-o validate-all -t 4 {state}")).run(LIMIT);
    assert_eq!(checked.code, Some(1), "{checked}");
    assert!(checked.stderr.contains("did not answer in time: does its disk?"), "{checked}");
    assert!(checked.elapsed < Duration::from_millis(5_500), "{checked}");
    let agent = host.waiting(&format!("-t 15 {state}"));
    let _ = node.challenged();
    node.speak();
    let nonce = node.challenged();
    node.answer(&[nonce]);
    let output = agent.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(10), "{output}");
    disk.thaw();
    // What waited was written after all: it does not count again.
    let bytes = node.sign();
    std::thread::sleep(Duration::from_secs(3));
    let again = host.waiting(&format!("-t 2 {state}"));
    node.send(&bytes);
    assert_refused(&again.wait_for(LIMIT), "had been heard before");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_told_and_only_answers_count() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let state = "--state-dir /proc/nowhere";
    for action in ["monitor --listen-only", "validate-all"] {
        let output = host.agent(&format!("-o {action} -t 10 {state}")).run(LIMIT);
        assert_eq!(output.code, Some(1), "{output}");
        let said = output.stderr.contains("state_dir: state directory /proc/nowhere: ");
        assert!(said && output.stderr.contains("that this user can write"), "{output}");
    }
    let mut node = host.node("127.0.0.99");
    let agent = host.waiting(&format!("-t 3 {state}"));
    agent.wait_stderr_line("state_dir: ", LIMIT);
    node.speak();
    node.speak();
    let output = agent.wait_for(LIMIT);
    assert_refused(&output, "2 messages of n1 (127.0.0.99) that could not be remembered");
    let loud = output.stderr.lines().filter(|line| line.starts_with("fence_kdump: state_dir"));
    assert_eq!(loud.count(), 1, "once: {output}");
    while node.socket.recv(&mut [0; 100]).is_ok() {
        node.socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a time");
    }
    node.socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    for policy in ["signed", "live"] {
        let agent = host.waiting(&format!("-t 15 --policy {policy} {state}"));
        node.speak();
        let nonce = node.challenged();
        node.answer(&[nonce]);
        let _ = agent.wait_for(LIMIT).expect_success();
    }
    assert!(!exists(&host.path("state")));
}
