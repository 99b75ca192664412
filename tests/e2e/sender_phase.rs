//! What the sender says that its node is doing, and how senders of one machine agree. A file stands in
//! for the memory of the crashed kernel here; the real one is read in the virtual machine.

#[path = "sender_phase/failed.rs"]
mod failed;

use fence_kdump_tests::signed::phase::{BOOTED, DUMPING, FAILED, FINISHED, LEAVING};
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Need, Netns, Proc, Run, datagram, programs, requires};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(30);

/// A node with a key, in a network of its own, and where its messages arrive.
struct Node {
    folder: TempDir,
    net: Netns,
    socket: UdpSocket,
}

impl Node {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("key"), NodeKey::of(7).line("n1")).expect("our own file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("key"), mode).expect("our own file");
        let net = Netns::new();
        let socket = net.udp("127.0.0.1:7410");
        socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
        Self { folder, net, socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("it is there").join(name)
    }

    /// A sender that is started with `args`, behind a key and a short interval.
    fn sender(&self, args: &[&str]) -> Proc {
        let key = self.path("key");
        let run = Run::new(programs::ours("fence_kdump_send")).args(["-v", "-i1", "-k"]).arg(key);
        run.args(args).inside(&self.net).spawn()
    }

    /// As [`Self::sender`], started by a plan, beside a first process that is not the machine's: there a
    /// sender asks whether the kernel has crashed.
    fn early(&self, nodes: &str) -> Proc {
        let plan =
            format!("fence_kdump_plan 1\nsend -i1 -k {} {nodes}\n", self.path("key").display());
        std::fs::write(self.path("plan"), plan).expect("our own file");
        let plan = format!("--early={}", self.path("plan").display());
        let run = Run::new("unshare").args(["--pid", "--fork", "--kill-child", "sh", "-c"]);
        let run = run.arg("\"$@\"; echo \"started: $?\"; read -r line").arg("sh");
        let run = run.arg(programs::ours("fence_kdump_send")).arg(plan).inside(&self.net);
        let first = run.open_stdin().spawn();
        first.wait_stdout_line("started: 0", LIMIT);
        first
    }

    /// The early sender's process: it is nobody's child, and ends with the test.
    fn early_process(&self) -> Early {
        let line = Instant::now();
        loop {
            for process in std::fs::read_dir("/proc").expect("mounted").flatten() {
                let folder = process.path();
                let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
                let plan = self.path("plan");
                if words.starts_with(b"@")
                    && String::from_utf8_lossy(&words).contains(&*plan.to_string_lossy())
                {
                    let name = process.file_name();
                    let number = name.to_str().and_then(|name| name.parse().ok());
                    return Early(number.expect("a process"));
                }
            }
            assert!(line.elapsed() < LIMIT, "there is an early sender");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn phase(&self, name: &str) -> Option<i32> {
        let run = Run::new(programs::ours("fence_kdump_send")).args(["--phase", name]);
        run.inside(&self.net).run(LIMIT).code
    }

    /// The next message.
    fn hear(&self) -> Signed {
        let message = Signed::read(&datagram::next(&self.socket));
        assert!(message.is_by(&NodeKey::of(7)));
        message
    }

    /// The first message with that phase.
    #[track_caller]
    fn hear_phase(&self, phase: u64) -> Signed {
        let start = Instant::now();
        loop {
            let message = self.hear();
            if message.number(field::PHASE) == phase {
                return message;
            }
            assert!(start.elapsed() < LIMIT, "no phase {phase}: {message:?}");
        }
    }
}

/// A process that was not started by this test itself.
struct Early(i32);

impl Early {
    fn kill(&self) {
        let process = rustix::process::Pid::from_raw(self.0).expect("a process");
        rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("it runs");
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        if Path::new(&format!("/proc/{}", self.0)).exists() {
            let process = rustix::process::Pid::from_raw(self.0).expect("a process");
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
    }
}

fn progress(message: &Signed) -> Option<[u64; 2]> {
    let bytes = message.fields.get(&field::PROGRESS)?;
    assert_eq!(bytes.len(), 16);
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    Some([number(0), number(8)])
}

#[test]
fn a_script_says_what_the_node_is_doing() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    assert_eq!(node.phase("dumping"), Some(1), "nobody is there");
    let _sender = node.sender(&["127.0.0.1"]);
    assert_eq!(node.hear().number(field::PHASE), BOOTED);
    for (name, number) in [
        ("dumping", DUMPING),
        ("failed", FAILED),
        ("finished", FINISHED),
        ("Leaving", LEAVING),
        ("booted", BOOTED),
    ] {
        assert_eq!(node.phase(name), Some(0), "{name}");
        let message = node.hear_phase(number);
        assert_eq!(progress(&message), None, "{name}: nothing is known");
    }
    for wrong in ["", "gone", "1"] {
        assert_eq!(node.phase(wrong), Some(1), "{wrong}");
    }
    assert_eq!(node.hear().number(field::PHASE), BOOTED);
}

/// At once, and from the beginning of the burst: what is said last must not get lost.
#[test]
fn a_change_is_said_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _sender = node.sender(&["-i600", "-b0,0.3", "127.0.0.1"]);
    node.hear();
    node.hear();
    assert_eq!(node.phase("leaving"), Some(0));
    for _ in 0..2 {
        assert_eq!(node.hear().number(field::PHASE), LEAVING);
    }
}

#[test]
fn who_reads_is_seen_and_how_far() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let vmcore = node.path("vmcore");
    const SIZE: u64 = 8 << 20;
    File::create(&vmcore).and_then(|file| file.set_len(SIZE)).expect("our own file");
    let _sender = node.sender(&["-C", vmcore.to_str().expect("UTF-8"), "127.0.0.1"]);
    assert_eq!(node.hear().number(field::PHASE), BOOTED);
    // A pipe, as to ssh, whose other end takes what it is given when it likes.
    let mut reader = std::process::Command::new("sh")
        .args(["-c", "exec cat <\"$0\""])
        .arg(&vmcore)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sh");
    let mut pipe = reader.stdout.take().expect("a pipe");
    let mut half = vec![0; SIZE as usize / 2];
    pipe.read_exact(&mut half).expect("a half");
    node.hear_phase(DUMPING);
    let start = Instant::now();
    loop {
        let message = node.hear_phase(DUMPING);
        // At first it might still be somebody who jumps: then only what it has written is known.
        if let Some([done, total]) = progress(&message)
            && total > 0
        {
            assert!((SIZE / 2..SIZE).contains(&done) && total == SIZE, "{done} of {total}");
            break;
        }
        assert!(start.elapsed() < LIMIT, "{message:?}");
    }
    // Killed in the middle, or it might be seen at its end, from where what was read may still have to be written.
    // How it ended is not told in a network of its own.
    reader.kill().and_then(|()| reader.wait()).expect("our own process");
    node.hear_phase(BOOTED);
}

/// As makedumpfile does: what it has written is known, and not of how much.
#[test]
fn who_maps_or_jumps() {
    if !requires(&[Need::Root, Need::Netns, Need::Python]) {
        return;
    }
    let node = Node::new();
    let (vmcore, out) = (node.path("vmcore"), node.path("out"));
    File::create(&vmcore).and_then(|file| file.set_len(64 << 20)).expect("our own file");
    let _sender = node.sender(&["-C", vmcore.to_str().expect("UTF-8"), "127.0.0.1"]);
    for how in [
        "m = mmap.mmap(f.fileno(), 1 << 20, prot=mmap.PROT_READ, offset=32 << 20); m[0]",
        "f.seek(48 << 20); f.read(4096)",
    ] {
        node.hear_phase(BOOTED);
        let script = format!(
            "import sys, mmap\nf = open(sys.argv[1], 'rb', 0)\n{how}\n\
             open(sys.argv[2], 'wb', 0).write(bytes(3000000))\nsys.stdin.read()"
        );
        let run = Run::new("python3").args(["-c", &script]).arg(&vmcore).arg(&out).open_stdin();
        let mut reader = run.spawn();
        let start = Instant::now();
        loop {
            let message = node.hear_phase(DUMPING);
            if let Some([done, total]) = progress(&message) {
                assert_eq!(total, 0, "{how}: {done}");
                if done >= 3_000_000 {
                    assert!(done < 3_100_000, "{how}: {done}");
                    break;
                }
            }
            assert!(start.elapsed() < LIMIT, "{how}: {message:?}");
        }
        reader.close_stdin();
        let _ = reader.wait_for(LIMIT).expect_success();
        assert_eq!(node.phase("failed"), Some(0));
        node.hear_phase(FAILED);
        assert_eq!(node.phase("booted"), Some(0));
    }
}

/// The one that the distribution starts later keeps silent, and its nodes hear the early one.
#[test]
fn one_of_two_speaks() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let other = node.net.udp("127.0.0.2:7410");
    other.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let _first = node.early("127.0.0.1");
    let early = node.early_process();
    let crash = node.hear().bytes(field::CRASH_ID).to_vec();
    let later = node.sender(&["127.0.0.1", "127.0.0.2"]);
    later.wait_stderr_line("the early sender: speaks", LIMIT);
    for _ in 0..4 {
        assert_eq!(node.hear().bytes(field::CRASH_ID), crash);
        assert_eq!(Signed::read(&datagram::next(&other)).bytes(field::CRASH_ID), crash);
    }
    assert_eq!(node.phase("dumping"), Some(0), "both are told");
    node.hear_phase(DUMPING);
    assert!(!later.stderr().contains("sent"), "{}", later.stderr());
    early.kill();
    later.wait_stderr_line("127.0.0.2 127.0.0.2: sent, signed", LIMIT);
    let start = Instant::now();
    loop {
        let message = node.hear();
        if message.bytes(field::CRASH_ID) != crash {
            assert_eq!(message.number(field::PHASE), DUMPING, "what it was told in silence");
            break;
        }
        assert!(start.elapsed() < LIMIT);
    }
}

/// An early one that cannot speak to somebody is not relied on.
#[test]
fn silence_is_not_kept_for_one_who_fails() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _first = node.early("127.0.0.1 192.0.2.1");
    let _early = node.early_process();
    let crash = node.hear().bytes(field::CRASH_ID).to_vec();
    let _later = node.sender(&["127.0.0.1"]);
    let start = Instant::now();
    while node.hear().bytes(field::CRASH_ID) == crash {
        assert!(start.elapsed() < LIMIT, "the later one speaks itself");
    }
}

/// A stopped one does not answer, and is not waited for.
#[test]
fn silence_is_not_kept_for_one_who_hangs() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _first = node.early("127.0.0.1");
    let early = node.early_process();
    let crash = node.hear().bytes(field::CRASH_ID).to_vec();
    let process = rustix::process::Pid::from_raw(early.0).expect("a process");
    let signal = |signal| rustix::process::kill_process(process, signal).expect("it runs");
    signal(rustix::process::Signal::STOP);
    let later = node.sender(&["127.0.0.1"]);
    while node.hear().bytes(field::CRASH_ID) == crash {}
    signal(rustix::process::Signal::CONT);
    later.wait_stderr_line("the early sender: speaks", LIMIT);
}

/// The image of a crash kernel may be started by a kernel that has not crashed: nothing may be said then.
#[test]
fn nothing_is_said_by_a_kernel_that_has_not_crashed() {
    if !requires(&NEEDS) {
        return;
    }
    // A container is not the machine; what its kernel has done is not to be seen there.
    let ours = std::fs::metadata("/proc/self/ns/pid").expect("this kernel has them").ino();
    let is_machine = ours == 0xEFFF_FFFC && !Path::new("/proc/vmcore").exists();
    let node = Node::new();
    std::fs::write(node.path("plan"), "fence_kdump_plan 1\nsend plain:127.0.0.1\n").expect("ours");
    let plan = format!("--early={}", node.path("plan").display());
    let run = Run::new(programs::ours("fence_kdump_send")).arg(plan).inside(&node.net);
    let _ = run.run(LIMIT).expect_success();
    node.socket.set_read_timeout(Some(Duration::from_secs(2))).expect("our own socket");
    let said = node.socket.recv(&mut [0; 9]).is_ok();
    if said {
        let _ends = node.early_process();
    }
    assert_eq!(said, !is_machine);
}

/// Two that are not early have nothing to do with each other.
#[test]
fn two_senders_both_speak() {
    if !requires(&NEEDS) {
        return;
    }
    let node = Node::new();
    let _first = node.sender(&["127.0.0.1"]);
    let crash = node.hear().bytes(field::CRASH_ID).to_vec();
    let second = node.sender(&["127.0.0.1"]);
    while node.hear().bytes(field::CRASH_ID) == crash {}
    assert!(!second.stderr().contains("early"), "{}", second.stderr());
    // Whoever is told nothing but rubbish goes on.
    let rubbish = "import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        for m in [b'', b'P', b'A', b'H', b'H' + bytes(1500), b'Q', b'N', b'Axy', bytes(2000)]:\n \
        s.sendto(m, b'\\0fence_kdump_send/1cf2/0')";
    if requires(&[Need::Python]) {
        let run = Run::new("python3").args(["-c", rubbish]).inside(&node.net);
        let _ = run.run(LIMIT).expect_success();
    }
    for _ in 0..6 {
        node.hear();
    }
    std::io::stderr().flush().expect("standard error");
}
