//! The sender as process 1: the init that comes after it finds everything as if nothing had been there,
//! whatever fails before. Each test is process 1 of a namespace, in a root folder made for it.

#[path = "sender_early/init.rs"]
mod init;
#[path = "sender_early/signed.rs"]
mod signed;

use fence_kdump_tests::{Need, Netns, Output, Proc, Run, datagram, programs, requires};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(30);

/// What the init says of the world that it was put into, then it waits for the end of its input.
const INIT: &str = r#"#!/bin/sh
echo "name: $0; arguments: $*; process: $$"
echo "environment:"
/usr/bin/env | sort
echo "folders:"
ls -A / /proc /sys /dev
mkdir -p /proc
mount -t proc proc /proc
echo "mounts:"
cat /proc/self/mounts
echo "files:"
ls /proc/$$/fd
echo "signals and children:"
grep -e ^Sig[BIC] -e ^Shd /proc/self/status
ls -l /proc/$$/cwd /proc/$$/root
wait
echo "init is up"
read -r line
"#;

/// An initrd's root folder.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(TempDir::new().expect("a temporary folder"));
        for folder in ["usr", "proc", "sys", "dev", "etc/fence_kdump"] {
            fs::create_dir_all(root.path().join(folder)).expect("our own folder");
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), root.path().join(link)).expect("our own folder");
        }
        // Where messages to people go; an empty folder would get one that is the kernel's own.
        root.write("dev/kmsg", "");
        root.program("init", INIT);
        fs::copy(programs::ours("fence_kdump_send"), root.path().join("sender")).expect("a copy");
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        fs::write(&path, text).expect("our own file");
        path
    }

    fn program(&self, path: &str, text: &str) {
        let path = self.write(path, text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn plan(&self, lines: &str) {
        self.write("etc/fence_kdump/plan", &format!("fence_kdump_plan 1\n{lines}\n"));
    }

    /// What the senders have told.
    fn told(&self) -> String {
        fs::read_to_string(self.path().join("dev/kmsg")).expect("our own file")
    }

    /// `program` as process 1 in a root folder, started by way of `before`.
    fn start<'net>(&self, net: &'net Netns, before: &[&str], program: &str) -> Run<'net> {
        let script = format!(
            "mount --bind {root} {root} && mount --bind /usr {root}/usr && exec {before} /usr/sbin/chroot {root} {program} single -s",
            before = before.join(" "),
            root = self.path().display(),
        );
        let run = Run::new("unshare").args(["--pid", "--fork", "--kill-child", "--mount"]);
        let run = run.args(["--propagation", "private", "--", "sh", "-c", &script]);
        run.inside(net).open_stdin()
    }

    fn run(&self, net: &Netns, before: &[&str], program: &str) -> Output {
        let mut first = self.start(net, before, program).spawn();
        first.wait_stdout_line("init is up", LIMIT);
        first.close_stdin();
        first.wait_for(LIMIT)
    }
}

/// The sender among the processes of `first`'s namespace: its folder in `/proc`.
fn sender_of(first: &Proc) -> PathBuf {
    let mut senders = senders_of(first).into_iter();
    let sender = senders.next().expect("a sender");
    assert_eq!(senders.next(), None, "one sender");
    sender
}

/// All of them, and what is left of them.
fn senders_of(first: &Proc) -> Vec<PathBuf> {
    let namespace = |folder: &Path| fs::read_link(folder.join("ns/pid_for_children")).ok();
    let ours = namespace(Path::new(&format!("/proc/{}", first.pid()))).expect("it runs");
    let processes = fs::read_dir("/proc").expect("mounted").filter_map(Result::ok);
    let senders = processes.map(|process| process.path()).filter(|folder| {
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        let is_sender = name == "sender\n" || name == "exe\n";
        // Of one that has ended, only its parent is known.
        let found = namespace(folder).or_else(|| {
            let stat = fs::read_to_string(folder.join("stat")).ok()?;
            let parent = stat.split(' ').nth(3)?.to_owned();
            namespace(&Path::new("/proc").join(parent))
        });
        is_sender && found.as_ref() == Some(&ours)
    });
    senders.collect()
}

/// Waits until nothing is left of it; its parent is told.
#[track_caller]
fn assert_gone(first: &Proc) {
    let start = Instant::now();
    while !senders_of(first).is_empty() {
        assert!(start.elapsed() < LIMIT, "{:?}", senders_of(first));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn hears(net: &Netns) -> std::net::UdpSocket {
    let socket = net.udp("127.0.0.1:7410");
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
    socket
}

#[track_caller]
fn assert_heard(socket: &std::net::UdpSocket) {
    assert_eq!(datagram::next(socket)[..], datagram::LITTLE);
}

#[test]
fn the_init_finds_nothing_changed() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    root.plan("send -v 127.0.0.1");
    let expected = root.run(&net, &["env", "-i", "HOME=/", "TERM=linux"], "/init");
    let socket = hears(&net);
    let found = root.run(&net, &["env", "-i", "HOME=/", "TERM=linux"], "/sender");
    assert_heard(&socket);
    assert!(expected.stdout.contains("name: /init; arguments: single -s; process: 1"));
    assert_eq!(found.stdout, expected.stdout);
    assert_eq!((found.code, found.stderr), (expected.code, expected.stderr));
}

#[test]
fn the_sender_is_in_nobodys_way() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    root.plan("send -v 127.0.0.1");
    let socket = hears(&net);
    let first = root.start(&net, &[], "/sender").spawn();
    first.wait_stdout_line("init is up", LIMIT);
    assert_heard(&socket);
    let sender = sender_of(&first);
    let line = fs::read(sender.join("cmdline")).expect("it runs");
    assert!(line.starts_with(b"@"), "spared by whoever ends all processes: {line:?}");
    let link = |name: &str| fs::read_link(sender.join(name)).expect("it runs");
    for file in ["fd/0", "fd/1", "fd/2"] {
        assert!(link(file).ends_with("dev/kmsg"), "{file}");
    }
    let one = format!("/proc/{}", first.pid());
    assert_ne!(link("ns/mnt"), fs::read_link(format!("{one}/ns/mnt")).expect("it runs"));
    let stat = fs::read_to_string(sender.join("stat")).expect("it runs");
    let session: u32 = stat.split(' ').nth(5).and_then(|word| word.parse().ok()).expect("a number");
    assert!(sender.ends_with(session.to_string()), "leads its session: {stat}");
    // Only who has this capability can be spared when memory runs out, and not every container does.
    let status = fs::read_to_string("/proc/self/status").expect("it runs");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    let capabilities = u64::from_str_radix(capabilities.expect("a line"), 16).expect("a number");
    let spared = if capabilities >> 24 & 1 == 1 { "-1000\n" } else { "0\n" };
    let score = fs::read_to_string(sender.join("oom_score_adj")).expect("it runs");
    assert_eq!(score, spared);
    assert!(
        root.told().contains("fence_kdump_send: 127.0.0.1 127.0.0.1: sent\n"),
        "{}",
        root.told()
    );
}

/// Whoever ends all processes before the reboot would wait for it.
#[test]
fn a_sender_that_ends_leaves_nothing_behind() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    root.program("init", "#!/bin/sh\nwhile sleep 0.1; do :; done\n");
    root.plan("send --nosuch 127.0.0.1");
    let first = root.start(&net, &[], "/sender").spawn();
    let start = Instant::now();
    while !root.told().contains("nosuch") {
        assert!(start.elapsed() < LIMIT, "{}", root.told());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_gone(&first);
    assert!(first.is_running());
    drop(first);
    let socket = hears(&net);
    root.plan("send -v -c2 -i1 127.0.0.1");
    let first = root.start(&net, &[], "/sender").spawn();
    assert_heard(&socket);
    assert_gone(&first);
}

/// For a script in an initrd whose init is to stay the first.
#[test]
fn beside_an_init() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    root.write("plan", "fence_kdump_plan 1\nsend --early -v 127.0.0.1\n");
    root.program("init", "#!/bin/sh\n/sender --early=/plan\necho \"it ended: $?\"\nread -r line\n");
    let socket = hears(&net);
    let first = root.start(&net, &[], "/init").spawn();
    first.wait_stdout_line("it ended: 0", LIMIT);
    assert_heard(&socket);
    let line = fs::read(sender_of(&first).join("cmdline")).expect("it runs");
    assert!(line.starts_with(b"@sender"), "{line:?}");
}

/// The initrd's `/etc` goes when the real root file system comes, which only process 1 sees.
#[test]
fn names_mean_what_they_mean_to_the_init() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    root.plan("send -v node1");
    // The sender does not see the second root folder: its mounts are its own.
    root.program(
        "init",
        "#!/bin/sh\nmount -t tmpfs none /sys\nmkdir -p /sys/usr /sys/etc /sys/proc\nread -r line\n\
         mount --bind /usr /sys/usr\nln -s usr/lib usr/lib64 usr/bin /sys\n\
         echo 127.0.0.1 node1 >/sys/etc/hosts\nrm -r /etc\n\
         exec /usr/sbin/chroot /sys /usr/bin/sh -c 'echo moved; read -r line'\n",
    );
    let socket = hears(&net);
    let mut first = root.start(&net, &[], "/sender").spawn();
    let start = std::time::Instant::now();
    while !root.told().contains("node1: has no address yet") {
        assert!(start.elapsed() < LIMIT, "{}", root.told());
        std::thread::sleep(Duration::from_millis(20));
    }
    first.write_stdin(b"go on\n").expect("it reads");
    first.wait_stdout_line("moved", LIMIT);
    assert_heard(&socket);
}

/// What the kernel cannot decompress is left to the initrd's insmod, unless that hangs.
#[test]
fn compressed_modules() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let root = Root::new();
    fs::remove_file(root.path().join("sbin")).expect("a link");
    fs::create_dir(root.path().join("sbin")).expect("our own folder");
    root.program("sbin/insmod", "#!/bin/sh\necho \"$#: $*\" >>/loaded\n[ \"$1\" != /c.ko.zst ]\n");
    for module in ["a.ko.xz", "b.ko.gz", "c.ko.zst", "d.ko"] {
        root.write(module, "no module");
    }
    root.plan(
        "module /a.ko.xz\nmodule /b.ko.gz one=1 two=2\nmodule /c.ko.zst\nmodule /d.ko\n\
         module /missing.ko.xz\nsend 127.0.0.1",
    );
    let socket = hears(&net);
    let first = root.start(&net, &[], "/sender").spawn();
    assert_heard(&socket);
    let loaded = fs::read_to_string(root.path().join("loaded")).expect("insmod was run");
    assert_eq!(loaded, "1: /a.ko.xz\n2: /b.ko.gz one=1 two=2\n1: /c.ko.zst\n");
    let told = root.told();
    let lines: Vec<_> = told.lines().map(|line| line.split(": ").nth(1)).collect();
    assert_eq!(lines, [Some("/c.ko.zst"), Some("/d.ko"), Some("/missing.ko.xz")], "{told}");
    assert!(first.is_running());
}
