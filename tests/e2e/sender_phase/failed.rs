//! The dump has failed, as the kernel tells of the process that read: nobody says so here.
//!
//! It tells that in the first namespaces alone. So these senders run in this machine's own, each behind a port of
//! its own; where that is a container, nothing can be known, and nothing may be said.

use super::{BOOTED, DUMPING, FAILED, LIMIT, progress};
use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Need, Proc, Run, datagram, programs, requires};
use std::fs::File;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A node on this machine's own loopback, a file that stands in for the memory of the crashed kernel, and the
/// sender that looks at it.
struct Node {
    _sender: Proc,
    folder: TempDir,
    socket: UdpSocket,
}

impl Node {
    fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let key = folder.path().join("key");
        std::fs::write(&key, NodeKey::of(7).line("n1")).expect("our own file");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("our own file");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
        let port = socket.local_addr().expect("bound").port().to_string();
        let vmcore = vmcore(&folder);
        File::create(&vmcore).and_then(|file| file.set_len(64 << 20)).expect("our own file");
        let run = Run::new(programs::ours("fence_kdump_send")).args(["-i1", "-p", &port, "-k"]);
        let sender = run.arg(key).arg("-C").arg(vmcore).arg("127.0.0.1").spawn();
        let node = Self { _sender: sender, folder, socket };
        assert_eq!(node.hear().number(field::PHASE), BOOTED);
        node
    }

    fn hear(&self) -> Signed {
        let message = Signed::read(&datagram::next(&self.socket));
        assert!(message.is_by(&NodeKey::of(7)));
        message
    }

    /// A shell script that finds the file as `$0`.
    fn script(&self, text: &str) -> Run<'static> {
        Run::new("sh").args(["-c", text]).arg(vmcore(&self.folder))
    }

    /// Hears messages until `enough`, and that none of them has another phase than these two.
    #[track_caller]
    fn hear_until(&self, phases: [u64; 2], enough: impl Fn(&Signed) -> bool) {
        let start = Instant::now();
        loop {
            let message = self.hear();
            if enough(&message) {
                return;
            }
            assert!(phases.contains(&message.number(field::PHASE)), "{message:?}");
            assert!(start.elapsed() < LIMIT, "{message:?}");
        }
    }

    /// A process has the file open, has written so much to elsewhere, is seen, and ends. `before` is the phase
    /// until then.
    #[track_caller]
    fn read(&self, before: u64, (written, end): (u64, End)) {
        let script =
            "exec 3<\"$0\"; head -c \"$1\" /dev/zero 3<&- >/dev/null; read -r how; exit $how";
        let mut reader = self.script(script).arg(written.to_string()).open_stdin().spawn();
        self.hear_until([before, DUMPING], |message| {
            let done = progress(message).map_or(0, |[done, _]| done);
            (written..written + 50_000).contains(&done)
        });
        match end {
            End::Killed => drop(reader.kill()),
            End::Status(status) => {
                reader.write_stdin(format!("{status}\n").as_bytes()).expect("it reads");
                assert_eq!(reader.wait_for(LIMIT).code, Some(status));
            }
        }
    }

    /// What is said in the end, of a dump that was not made well, as far as that can be known.
    #[track_caller]
    fn expect_failed(&self) {
        self.hear_until([BOOTED, DUMPING], |message| message.number(field::PHASE) == DUMPING);
        self.hear_until([DUMPING; 2], |message| message.number(field::PHASE) == failed());
    }

    /// Nothing is said in the end.
    #[track_caller]
    fn expect_nothing(&self) {
        self.hear_until([DUMPING; 2], |message| message.number(field::PHASE) == BOOTED);
        let start = Instant::now();
        self.hear_until([BOOTED; 2], |_| start.elapsed() > Duration::from_secs(2));
    }
}

fn vmcore(folder: &TempDir) -> PathBuf {
    folder.path().canonicalize().expect("it is there").join("vmcore")
}

/// What is known of a dump that has failed: the kernel does not tell everywhere how a process ends.
fn failed() -> u64 {
    let processes = std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.ino());
    let is_told = processes == 0xEFFF_FFFC && Path::new("/proc/net/connector").exists();
    if is_told { FAILED } else { BOOTED }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Status(i32),
    Killed,
}

/// As much as a dump, and as a log.
const DUMP: u64 = 3_000_000;
const LOG: u64 = 200_000;

#[test]
fn how_readers_end() {
    if !requires(&[Need::Root]) {
        return;
    }
    let (well, badly) = (End::Status(0), End::Status(1));
    let cases: [(bool, &[(u64, End)]); 8] = [
        (true, &[(DUMP, End::Killed)]),
        (true, &[(DUMP, badly)]),
        (false, &[(DUMP, well)]),
        (false, &[(LOG, badly), (DUMP, well)]),
        (false, &[(DUMP, well), (LOG, badly)]),
        (true, &[(LOG, well), (DUMP, badly), (LOG, well)]),
        (true, &[(LOG, badly), (DUMP, badly)]),
        // Another tool, which writes less.
        (false, &[(3 * DUMP, badly), (DUMP, well)]),
    ];
    // Most of it is waiting.
    std::thread::scope(|all| {
        for (has_failed, readers) in cases {
            all.spawn(move || {
                let node = Node::new();
                readers.iter().for_each(|reader| node.read(BOOTED, *reader));
                if has_failed { node.expect_failed() } else { node.expect_nothing() }
            });
        }
    });
}

/// A script may try again after it was taken for given up.
#[test]
fn another_try() {
    if !requires(&[Need::Root]) {
        return;
    }
    let node = Node::new();
    node.read(BOOTED, (DUMP, End::Killed));
    node.expect_failed();
    node.read(failed(), (DUMP, End::Killed));
    node.expect_failed();
    node.read(failed(), (DUMP, End::Status(0)));
    node.expect_nothing();
}

/// A tool that opens the file once more is the same.
#[test]
fn once_more() {
    if !requires(&[Need::Root]) {
        return;
    }
    let node = Node::new();
    let script = "exec 3<\"$0\"; head -c 3000000 /dev/zero 3<&- >/dev/null; sleep 3 3<&-\n\
        exec 4<\"$0\" 3<&-; sleep 3; exit 1";
    let _tool = node.script(script).spawn();
    node.expect_failed();
}

/// Who goes on without the file does not end because of it.
#[test]
fn the_end_of_something_else() {
    if !requires(&[Need::Root]) {
        return;
    }
    let node = Node::new();
    let script = "exec 3<\"$0\"; read -r line; exec 3<&-; read -r how; exit $how";
    let mut reader = node.script(script).open_stdin().spawn();
    node.hear_until([BOOTED; 2], |message| message.number(field::PHASE) == DUMPING);
    reader.write_stdin(b"\n").expect("it reads");
    node.hear_until([DUMPING; 2], |message| message.number(field::PHASE) == BOOTED);
    reader.write_stdin(b"1\n").expect("it reads");
    assert_eq!(reader.wait_for(LIMIT).code, Some(1));
    let start = Instant::now();
    node.hear_until([BOOTED; 2], |_| start.elapsed() > Duration::from_secs(3));
}

/// A pipe whose other end has gone, as that of ssh; a program in the place of the shell that opened the file; one that
/// has threads, and ends by another than the first.
#[test]
fn tools_that_fail() {
    if !requires(&[Need::Root, Need::Python]) {
        return;
    }
    let thread = "python3 -c 'import os, sys, threading, time\nfile = open(sys.argv[1], \"rb\")\n\
        threading.Timer(2.5, lambda: os._exit(1)).start()\ntime.sleep(60)' \"$0\"";
    std::thread::scope(|all| {
        for script in ["cat \"$0\" | sleep 3", "sh -c 'exec cat' <\"$0\" | sleep 3", thread] {
            all.spawn(move || {
                let node = Node::new();
                let tool = node.script(script).spawn();
                node.expect_failed();
                drop(tool);
            });
        }
    });
}
