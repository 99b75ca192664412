//! The sender as process 1: the init that comes after it finds everything as if nothing had been there,
//! whatever fails before. Each test is process 1 of a namespace, in a root folder made for it.

use fence_kdump_tests::signed::{NodeKey, Signed, field};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, datagram, programs, requires};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
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
    let namespace = |folder: &Path| fs::read_link(folder.join("ns/pid_for_children")).ok();
    let ours = namespace(Path::new(&format!("/proc/{}", first.pid()))).expect("it runs");
    let processes = fs::read_dir("/proc").expect("mounted").filter_map(Result::ok);
    let mut senders = processes.map(|process| process.path()).filter(|folder| {
        let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
        name == "sender\n" && namespace(folder).as_ref() == Some(&ours)
    });
    let sender = senders.next().expect("a sender");
    assert_eq!(senders.next(), None, "one sender");
    sender
}

fn hears(net: &Netns) -> std::net::UdpSocket {
    net.udp("127.0.0.1:7410")
}

#[track_caller]
fn assert_heard(socket: &std::net::UdpSocket) {
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
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

/// Whatever is missing or wrong, the init is run; and the sender speaks when it knows to whom.
#[test]
fn the_init_runs_whatever_fails() {
    if !requires(&NEEDS) {
        return;
    }
    let sends = "fence_kdump_plan 1\nsend -v 127.0.0.1\n";
    let plan = |text: &str| Some(text.to_owned());
    type Case = (&'static str, Option<String>, bool, &'static str);
    let cases: [Case; 9] = [
        ("no plan", None, false, ""),
        ("an empty plan", plan(""), false, ""),
        ("another file", plan(&"\u{7f}ELF\0\u{1}\u{ff}\n ".repeat(9000)), false, ""),
        (
            "lines that are none",
            plan(&format!("{sends}frobnicate\nmodule relative\nlink x\nnode y z\ninit")),
            true,
            "plan: line 3: 'frobnicate' is not one of",
        ),
        (
            "a module that is missing",
            plan(&format!("{sends}module /lib/x.ko a=1\nmodule /lib/y.ko.xz")),
            true,
            "/lib/x.ko: no such file\nfence_kdump_send: /lib/y.ko.xz: no such file\n",
        ),
        ("a module that is none", plan(&format!("{sends}module /init")), true, "/init: "),
        (
            "a bad option",
            plan("fence_kdump_plan 1\nsend --nosuch 127.0.0.1"),
            false,
            "nosuch: no such",
        ),
        ("another init that is missing", plan(&format!("{sends}init /nowhere")), true, "sent"),
        ("the sender itself", plan(&format!("{sends}init /sender")), true, "sent"),
    ];
    std::thread::scope(|scope| {
        for (name, plan, speaks, told) in cases {
            scope.spawn(move || {
                let net = Netns::new();
                let root = Root::new();
                if let Some(text) = plan {
                    root.write("etc/fence_kdump/plan", &text);
                }
                let socket = hears(&net);
                let first = root.start(&net, &[], "/sender").spawn();
                let line = first.wait_stdout_line("process: 1", LIMIT);
                assert_eq!(line, "name: /init; arguments: single -s; process: 1", "{name}");
                first.wait_stdout_line("init is up", LIMIT);
                if speaks {
                    assert_heard(&socket);
                }
                let start = std::time::Instant::now();
                while !root.told().contains(told) {
                    assert!(start.elapsed() < LIMIT, "{name}: {}", root.told());
                    std::thread::sleep(Duration::from_millis(20));
                }
                if !speaks {
                    let mut buffer = [0; 9];
                    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("our own");
                    assert!(socket.recv(&mut buffer).is_err(), "{name}: nobody was to speak");
                }
            });
        }
    });
}

/// The order in which an init is looked for; none of them is the sender itself, by whatever name.
#[test]
fn which_init() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let says = |root: &Root| {
        let line = root.start(&net, &[], "/init").spawn().wait_stdout_line("process: 1", LIMIT);
        line.split("; ").next().expect("a piece").to_owned()
    };
    let root = Root::new();
    root.program("init.real", INIT);
    root.program("other", INIT);
    // The sender is /init, in two places.
    fs::remove_file(root.path().join("init")).expect("it is there");
    fs::hard_link(root.path().join("sender"), root.path().join("init")).expect("our own folder");
    assert_eq!(says(&root), "name: /init.real");
    root.plan("init /other\nsend 127.0.0.1");
    assert_eq!(says(&root), "name: /other");
    root.plan("init /sender\nsend 127.0.0.1");
    assert_eq!(says(&root), "name: /init.real");
    root.plan("init /nowhere\ninit /other");
    assert_eq!(says(&root), "name: /other");
}

/// No folder to mount anything at, no memory, no descriptor, no process more, no privilege: the next program is
/// executed all the same. It is a static one, which needs nothing of that either.
#[test]
fn the_init_runs_where_nothing_else_does() {
    if !requires(&NEEDS) {
        return;
    }
    let root = Root::new();
    fs::remove_file(root.path().join("init")).expect("it is there");
    fs::copy(programs::ours("udp/fence_kdump_send"), root.path().join("init")).expect("a copy");
    root.plan("send 127.0.0.1");
    let net = Netns::new();
    let run = |before: &[&str], chroot: &str| {
        let script = format!(
            "mount --bind {root} {root} && mount --bind /usr {root}/usr && exec {before} chroot {chroot} {root} /sender --version",
            root = root.path().display(),
            before = before.join(" "),
        );
        let run = Run::new("unshare").args(["--pid", "--fork", "--kill-child", "--mount"]);
        let run = run.args(["--propagation", "private", "--", "sh", "-c", &script]);
        let end = run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").inside(&net).run(LIMIT);
        assert_eq!(end.stdout, "fence_kdump_send 0.1.0\n", "{before:?} {chroot}: {}", end.stderr);
        assert_eq!(end.code, Some(0), "{before:?} {chroot}");
    };
    run(&[], "");
    // chroot needs descriptors and memory for itself; what is left then is not enough for a plan.
    run(&["prlimit", "--nofile=4"], "");
    run(&["prlimit", "--as=3500000"], "");
    run(&[], "--userspec=65534:65534");
    run(&["prlimit", "--nproc=1"], "--userspec=65534:65534");
    for folder in ["proc", "sys"] {
        fs::remove_dir(root.path().join(folder)).expect("an empty folder");
    }
    run(&[], "");
    // The child may have made a folder for the mounts that it alone sees; nobody else sees anything in it.
    for folder in ["proc", "sys"] {
        match fs::read_dir(root.path().join(folder)) {
            Ok(mut all) => assert!(all.next().is_none(), "{folder} is not empty"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{folder}"),
        }
    }
}

/// What no init can be found for is not an initrd: there the sender does what it always does.
#[test]
fn without_any_init() {
    if !requires(&NEEDS) {
        return;
    }
    let root = TempDir::new().expect("a temporary folder");
    fs::copy(programs::ours("fence_kdump_send"), root.path().join("sender")).expect("a copy");
    let net = Netns::new();
    let start = |words: &[&str]| {
        let script = "mount --bind \"$0\" \"$0\" && exec chroot \"$0\" /sender \"$@\"";
        let run = Run::new("unshare").args(["--pid", "--fork", "--kill-child", "--mount"]);
        let run = run.args(["--propagation", "private", "sh", "-c", script]);
        let run = run.arg(root.path()).args(words);
        run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").inside(&net)
    };
    let _ = start(&["-c1", "127.0.0.1"]).run(LIMIT).expect_success();
    let end = start(&["--nosuch"]).run(LIMIT);
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    // With a plan, process 1 lasts as long as its child.
    fs::create_dir_all(root.path().join("etc/fence_kdump")).expect("our own folder");
    let plan = root.path().join("etc/fence_kdump/plan");
    fs::create_dir(root.path().join("proc")).expect("our own folder");
    fs::write(plan, "fence_kdump_plan 1\nsend -i1 127.0.0.1\n").expect("our own file");
    let socket = hears(&net);
    let first = start(&[]).spawn();
    for _ in 0..6 {
        assert_heard(&socket);
    }
    assert!(first.is_running());
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

/// The key of n1 is there.
fn has_key(root: &Root) -> NodeKey {
    let key = NodeKey::of(7);
    let path = root.write("key", &key.line("n1"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    key
}

/// Where the sender signs, and what with.
fn signing() -> (Root, NodeKey) {
    let root = Root::new();
    let key = has_key(&root);
    // In a crash kernel it would be /proc/vmcore.
    root.write("vmcore", "memory");
    root.plan("send -k /key -C /vmcore -i600 127.0.0.1");
    (root, key)
}

/// Signed messages say that the node is about to reboot when process 1 has become systemd's last program.
#[test]
fn the_end_is_seen_coming() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (root, key) = signing();
    fs::copy("/usr/bin/sleep", root.path().join("systemd-shutdown")).expect("a copy");
    root.program("init", "#!/bin/sh\nread -r line\nexec /systemd-shutdown 60\n");
    let socket = hears(&net);
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let phase = || {
        let message = Signed::read(&datagram::next(&socket));
        assert!(message.is_by(&key));
        message.number(field::PHASE)
    };
    let mut first = root.start(&net, &[], "/sender").spawn();
    for _ in 0..5 {
        assert_eq!(phase(), 1, "booted");
    }
    first.write_stdin(b"go on\n").expect("it reads");
    for _ in 0..5 {
        assert_eq!(phase(), 5, "leaving, with a burst of its own");
    }
}

/// The same when process 1 ends all processes, as busybox's init does; anybody else ends just the sender.
#[test]
fn who_ends_everything() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let (root, _) = signing();
    root.program("init", "#!/bin/sh\ntrap : TERM\nread -r line\nkill -TERM -1\nread -r line\n");
    let socket = hears(&net);
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let phase = || Signed::read(&datagram::next(&socket)).number(field::PHASE);
    let mut first = root.start(&net, &[], "/sender").spawn();
    for _ in 0..5 {
        assert_eq!(phase(), 1, "booted");
    }
    first.write_stdin(b"go on\n").expect("it reads");
    for _ in 0..5 {
        assert_eq!(phase(), 5, "leaving, with a burst of its own");
    }
    let sender = sender_of(&first);
    let process = sender.file_name().and_then(|name| name.to_str()).expect("a number");
    let kill = Run::new("kill").args(["-TERM", process]).run(LIMIT);
    let _ = kill.expect_success();
    for _ in 0..300 {
        if !sender.join("exe").exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it was to end");
}

/// What it costs while it speaks over a link, asks for an address, listens to routers, and signs: what was only
/// needed to begin is given back.
#[test]
fn memory() {
    const MAC: &str = "02:00:00:00:00:01";
    if !requires(&NEEDS) {
        return;
    }
    let (net, peer) = (Netns::new(), Netns::new());
    let to = peer.path();
    net.ip(&format!("link add net0 address {MAC} type veth peer name eth0 netns {to}"));
    peer.ip("link set eth0 up\naddr add 10.7.0.2/24 dev eth0");
    let root = Root::new();
    let key = has_key(&root);
    root.plan(&format!(
        "link eth0 mac {MAC} address 10.7.0.1/24 dhcp4 slaac\nsend -v -i1 -k /key both:10.7.0.2"
    ));
    let socket = peer.udp("10.7.0.2:7410");
    socket.set_read_timeout(Some(LIMIT)).expect("our own socket");
    let first = root.start(&net, &[], "/sender").spawn();
    let mut signed = 0;
    while signed < 3 {
        let message = datagram::next(&socket);
        signed += usize::from(message.len() > 8 && Signed::read(&message).is_by(&key));
    }
    let rollup = fs::read_to_string(sender_of(&first).join("smaps_rollup")).expect("it runs");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a sum");
    let kib: u32 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("early sender over a link: {kib} KiB of 112 resident");
    assert!(kib <= 112, "{kib} KiB");
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
