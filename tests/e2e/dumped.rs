//! How the dump ended is told by kdump's own scripts: the file that the dracut module puts among those that kdump-utils
//! runs, and the line that the administrator of a SUSE has for it.

use fence_kdump_tests::signed::phase::{BOOTED, FAILED, FINISHED};
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, datagram, programs, requires};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(30);
const SENDER: &str = "usr/libexec/fence_kdump_send";

/// A crash kernel's root, and where its messages arrive: at another port than the usual one.
struct Node {
    root: TempDir,
    net: Netns,
    socket: UdpSocket,
}

impl Node {
    fn new() -> Self {
        let root = TempDir::new().expect("a temporary folder");
        let write = |path: &str, contents: &[u8], mode| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("our own folder");
            fs::write(&path, contents).expect("our own file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own file");
        };
        write("etc/fence_kdump/node.key", NodeKey::of(7).line("n1").as_bytes(), 0o600);
        let key = root.path().join("etc/fence_kdump/node.key");
        let plan = format!(
            "fence_kdump_plan 1\nsend -i1 -k {}\nmodule /of.ko send=1\n\
             send -p 7411 127.0.0.1\t# -x is no option here\n",
            key.display()
        );
        write("etc/fence_kdump/plan", plan.as_bytes(), 0o600);
        let sender = fs::read(programs::ours("fence_kdump_send")).expect("our sender");
        write(SENDER, &sender, 0o755);
        fs::create_dir(root.path().join("run")).expect("our own folder");
        let net = Netns::new();
        let socket = net.udp("127.0.0.1:7411");
        socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
        Self { root, net, socket }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }

    /// The sender that the plan describes.
    fn sender(&self) -> Proc {
        let run = Run::new(self.path(SENDER)).arg("--plan").arg(self.path("etc/fence_kdump/plan"));
        let sender = run.inside(&self.net).spawn();
        self.expect(BOOTED);
        sender
    }

    /// Runs what the image has in both folders, as kdump.sh does, and never for long.
    fn hook(&self, status: &[&str]) -> Output {
        let script = programs::workspace().join("dist/dracut/99fence-kdump/dumped.sh");
        let run = Run::new("sh").arg(script).args(status).env("FENCE_KDUMP_ROOT", self.path(""));
        let output = run.inside(&self.net).run(LIMIT).expect_success();
        assert!(output.elapsed < Duration::from_secs(2), "{output}");
        output
    }

    fn say(&self, phase: &str) {
        let run = Run::new(self.path(SENDER)).args(["-p7411", "--phase", phase]);
        let _ = run.inside(&self.net).run(LIMIT).expect_success();
    }

    /// A message says that, and so does the one after it.
    #[track_caller]
    fn expect(&self, phase: u64) {
        let start = Instant::now();
        let hear = || {
            let message = Signed::read(&datagram::next(&self.socket));
            assert!(message.is_by(&NodeKey::of(7)));
            message.number(field::PHASE)
        };
        while hear() != phase {
            assert!(start.elapsed() < LIMIT, "no phase {phase}");
        }
        assert_eq!(hear(), phase);
    }

    /// What an administrator's script has said, and whatever was on its way is heard.
    #[track_caller]
    fn stays(&self, phase: &str, number: u64, afterwards: impl FnOnce()) {
        self.say(phase);
        self.expect(number);
        afterwards();
        for _ in 0..3 {
            assert_eq!(Signed::read(&datagram::next(&self.socket)).number(field::PHASE), number);
        }
    }
}

/// kdump.sh runs its folder `post.d` with the dump's exit status, and, when that is not 0, `emergency.d` without.
#[test]
fn kdump_utils_say_that_the_dump_has_failed() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _sender = node.sender();
    node.hook(&["1"]);
    node.expect(FAILED);
    // Whatever a script of the administrator's says later stands.
    node.stays("booted", BOOTED, || drop(node.hook(&[])));
    node.stays("finished", FINISHED, || drop(node.hook(&[])));
}

/// The target is not there: only the emergency is run.
#[test]
fn kdump_utils_say_that_there_can_be_no_dump() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _sender = node.sender();
    node.hook(&[]);
    node.expect(FAILED);
}

/// A dump that is written did not fail, whatever happens after it; and it is not called finished before everything ends.
#[test]
fn a_dump_that_is_written_is_not_finished_yet() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _sender = node.sender();
    node.stays("booted", BOOTED, || {
        node.hook(&["0"]);
        node.hook(&[]);
    });
}

/// It never holds up the scripts around it, and never fails.
#[test]
fn who_cannot_be_told_is_not_waited_for() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let nobody = node.hook(&["1"]);
    assert!(nobody.stderr.contains("phase: no sender"), "{nobody}");
    let forget = || fs::remove_file(node.path("run/fence_kdump.dump")).expect("it is remembered");
    forget();
    let sender = node.sender();
    let process = i32::try_from(sender.pid()).ok().and_then(rustix::process::Pid::from_raw);
    let stop = |signal| rustix::process::kill_process(process.expect("a process"), signal);
    stop(rustix::process::Signal::STOP).expect("it runs");
    for _ in 0..3 {
        node.hook(&["1"]);
        forget();
    }
    stop(rustix::process::Signal::CONT).expect("it runs");
    node.expect(FAILED);
    // An image in which nothing is as it was meant.
    for path in ["run", "etc/fence_kdump", SENDER] {
        let path = node.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("ours");
        node.hook(&["1"]);
    }
}

/// The line of the README, evaluated as SUSE's kdump-save does, in each state of the dump.
#[test]
fn the_line_for_suse_says_how_the_dump_ended() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _sender = node.sender();
    let readme = programs::workspace().join("dist/suse/README.md");
    let readme = fs::read_to_string(readme).expect("our own file");
    let line = readme.lines().find(|line| line.trim_start().starts_with("KDUMP_POSTSCRIPT="));
    let line = line.expect("the line").trim();
    assert!(Path::new("/bin/bash").exists(), "SUSE's script is one of bash");
    for (status, phase) in [
        ("saved successfully", BOOTED),
        ("skipped", BOOTED),
        ("error while saving, return code: 1", FAILED),
        ("deleted (10 < KDUMP_FREE_DISK_SIZE 64)", FAILED),
    ] {
        // One that speaks itself would do so on the usual port, to nobody.
        let script = line.replace("/usr/lib/fence_kdump_send", "\"$sender\" -p7411");
        let script = script.replace("node1 node2", "127.0.0.2");
        let script = format!("{script}\nVMCORE_STATUS='{status}'\neval \"$KDUMP_POSTSCRIPT\"");
        node.say("booted");
        let run = Run::new("bash").args(["-c", &script]).env("sender", node.path(SENDER));
        let output = run.inside(&node.net).run(LIMIT).expect_success();
        assert!(output.elapsed < Duration::from_secs(5), "{status}: {output}");
        node.expect(phase);
    }
}
