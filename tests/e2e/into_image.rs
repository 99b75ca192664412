//! What the scripts for dracut and initramfs-tools put into an image, and whom they find to tell.

use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const SENDER: &str = "/usr/libexec/fence_kdump_send";

/// A running system, its network, and an image in the making.
struct Host {
    net: Netns,
    beside: Netns,
    root: TempDir,
    image: TempDir,
}

impl Host {
    fn new() -> Option<Self> {
        if !requires(&[Need::Root, Need::Netns]) {
            return None;
        }
        let folder = || TempDir::new().expect("a folder");
        let host =
            Self { net: Netns::new(), beside: Netns::new(), root: folder(), image: folder() };
        host.net.ip(&format!(
            "link add eth0 address 02:00:00:00:00:01 type veth peer name port0 netns {}",
            host.beside.path()
        ));
        host.net.ip("link set eth0 up\naddr add 10.1.0.1/24 dev eth0");
        let sender = fs::read(programs::ours("fence_kdump_send")).expect("our sender");
        host.write(SENDER, sender, 0o755);
        // As dracut has it: a link to systemd.
        symlink("usr/lib/systemd/systemd", host.image.path().join("init")).expect("a link");
        Some(host)
    }

    fn write(&self, path: &str, contents: impl AsRef<[u8]>, mode: u32) {
        let path = self.root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, contents).expect("our own file");
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("our own file");
    }

    fn run(&self, words: &str) -> Output {
        let script = programs::workspace().join("dist/kdump/into-image");
        let dist = programs::ours("fence_kdumpctl");
        let dist = dist.parent().expect("a folder").display();
        let run = format!(
            "mount -t sysfs none /sys && PATH={dist}:$PATH FENCE_KDUMP_ROOT={} exec {} {words}",
            self.root.path().display(),
            script.display()
        );
        let hosts = "127.0.0.1 localhost\n10.1.0.1 one\n10.1.0.2 two\n10.1.0.3 three\n";
        Run::new("sh").args(["-c", &run]).inside(&self.net).file("/etc/hosts", hosts).run(LIMIT)
    }

    fn nodes(&self) -> String {
        self.run("--nodes").expect_success().stdout.trim_end().to_owned()
    }

    fn build(&self) -> Output {
        let version =
            fs::read_to_string("/proc/sys/kernel/osrelease").expect("every kernel has it");
        self.run(&format!("{} {}", self.image.path().display(), version.trim_end()))
    }

    fn in_image(&self, path: &str) -> PathBuf {
        self.image.path().join(path.trim_start_matches('/'))
    }

    fn mode(&self, path: &str) -> u32 {
        let found = fs::metadata(self.in_image(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        found.permissions().mode() & 0o777
    }

    fn is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.image.path()).expect("our own folder").collect();
        assert_eq!(names.len(), 1, "nothing but /init: {names:?}");
        let init = fs::read_link(self.in_image("init")).expect("a link");
        assert_eq!(init, PathBuf::from("usr/lib/systemd/systemd"));
    }
}

#[test]
fn the_image_has_the_sender_the_plan_and_the_key_for_root_alone() {
    let Some(host) = Host::new() else {
        return;
    };
    let key = host.root.path().join("etc/fence_kdump/node.key").display().to_string();
    host.write("/etc/kdump.conf", "path /var/crash\nfence_kdump_nodes one two\n", 0o644);
    let output = host.build().expect_success();
    assert!(output.stderr.contains("tells two early"), "{output}");
    assert_eq!((host.mode("/etc/fence_kdump/plan"), host.mode(SENDER)), (0o600, 0o755));
    let plan = fs::read_to_string(host.in_image("/etc/fence_kdump/plan")).expect("the plan");
    for line in
        ["send two", "node two 10.1.0.2", "link eth0 mac 02:00:00:00:00:01 address 10.1.0.1/24"]
    {
        assert!(plan.lines().any(|found| found == line), "{line}: {plan}");
    }
    let link = |path: &str| fs::read_link(host.in_image(path)).expect("a link");
    assert_eq!(link("init"), PathBuf::from(SENDER));
    assert_eq!(link("init.real"), PathBuf::from("usr/lib/systemd/systemd"));
    // A second time changes nothing: what is /init.real stays the distribution's own.
    let _ = host.build().expect_success();
    assert_eq!(link("init.real"), PathBuf::from("usr/lib/systemd/systemd"));

    // With the node's key, it is used without being asked for. The plan is read where the key really is.
    host.write(
        "/etc/kdump.conf",
        format!("fence_kdump_args -k {key}\nfence_kdump_nodes two\n"),
        0o644,
    );
    let ctl = |words: &str| {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        Run::new(programs::ours("fence_kdumpctl")).args(words).run(LIMIT).expect_success()
    };
    let cluster = host.root.path().join("cluster.key").display().to_string();
    fs::create_dir_all(host.root.path().join("etc/fence_kdump")).expect("a folder");
    let _ = ctl(&format!("key new -o {cluster}"));
    let _ = ctl(&format!("key derive one -k {cluster} -o {key}"));
    symlink("/tmp", host.root.path().join("tmp")).expect("a link");
    let output = host.build();
    // The key is copied from below the root that was given.
    let output = if output.code == Some(0) { output } else { panic!("{output}") };
    assert!(output.stderr.contains("tells -k "), "{output}");
    assert_eq!(host.mode(&key), 0o600);
    assert_eq!(fs::read(host.in_image(&key)).expect("the key"), fs::read(&key).expect("the key"));
}

#[test]
fn whom_to_tell_is_found_where_each_distribution_has_it() {
    let Some(host) = Host::new() else {
        return;
    };
    assert_eq!(host.run("--nodes").expect_failure().code, Some(3));
    assert_eq!(host.build().expect_failure().code, Some(3));
    host.is_untouched();
    // A cluster without fence_kdump, and one with it: as kdump-utils looks at it.
    let cib = |agent: &str| {
        format!(
            "<cib><configuration><nodes>\n<node id=\"1\" uname=\"one\"/>\n\
             <node uname=\"two\" id=\"2\"><x/></node><node id=\"3\" uname=\"three\"/></nodes>\n\
             <resources><primitive id=\"f\" class=\"stonith\" type=\"{agent}\"/></resources>\n\
             </configuration><status><node_state uname=\"gone\"/></status></cib>\n"
        )
    };
    host.write("/var/lib/pacemaker/cib/cib.xml", cib("fence_ipmilan"), 0o600);
    assert_eq!(host.run("--nodes").expect_failure().code, Some(3));
    host.write("/var/lib/pacemaker/cib/cib.xml", cib("fence_kdump"), 0o600);
    assert_eq!(host.nodes(), "one three two");
    host.write("/etc/sysconfig/fence_kdump", "FENCE_KDUMP_OPTS=\"-p 7777\"\n", 0o644);
    assert_eq!(host.nodes(), "-p 7777 one three two");
    // What is written down counts more, on SUSE in its scripts.
    let postscript =
        "KDUMP_POSTSCRIPT=\"/bin/true; /usr/lib/fence_kdump_send -i 5 two three & sleep 1\"\n";
    host.write("/etc/sysconfig/kdump", postscript, 0o644);
    assert_eq!(host.nodes(), "-i 5 two three");
    let conf = "# fence_kdump_nodes a\n#fence_kdump_nodes b\nfence_kdump_args -p 7410 -f auto\n\
        fence_kdump_nodes  two\t10.1.0.3 # both\nfence_kdump_nodesx c\n";
    host.write("/etc/kdump.conf", conf, 0o644);
    assert_eq!(host.nodes(), "-p 7410 -f auto two 10.1.0.3");
    host.write("/etc/fence_kdump/node.key", "not read here\n", 0o600);
    assert_eq!(host.nodes(), "-k /etc/fence_kdump/node.key -p 7410 -f auto two 10.1.0.3");
}

#[test]
fn a_plan_by_hand_is_taken_as_it_is() {
    let Some(host) = Host::new() else {
        return;
    };
    let plan = "fence_kdump_plan 1\nmodule /lib/modules/V/net.ko x=1\nsend 192.0.2.1\nlink e mac 02:00:00:00:00:09 dhcp4\n";
    host.write("/etc/fence_kdump/plan", plan, 0o600);
    let output = host.build().expect_failure();
    assert!(output.stderr.contains("/lib/modules/V/net.ko: cannot be put"), "{output}");
    host.write("/lib/modules/V/net.ko", "a module", 0o644);
    let _ = host.build().expect_success();
    let found = fs::read_to_string(host.in_image("/etc/fence_kdump/plan")).expect("the plan");
    assert_eq!(found, plan);
    assert_eq!(host.mode("/lib/modules/V/net.ko"), 0o644);
}

/// What administrators have in `kdump.conf` and `/etc/sysconfig/kdump` means here what it means to their owners.
#[test]
fn settings_are_read_as_kdump_reads_them() {
    let Some(host) = Host::new() else {
        return;
    };
    // kdump-utils takes quotes off around a whole value.
    for value in
        ["\"one two\"", "one two", "one two # not three", "\"one two\" # not three", "one two \t"]
    {
        let conf = format!("fence_kdump_args \"-p 7410 -c 0\"\nfence_kdump_nodes {value}\n");
        host.write("/etc/kdump.conf", conf, 0o644);
        assert_eq!(host.nodes(), "-p 7410 -c 0 one two", "{value}");
    }
    fs::remove_file(host.root.path().join("etc/kdump.conf")).expect("our own file");
    // SUSE runs these when the dump is there and the machine about to reboot, which is what a count is for.
    for (script, nodes) in [
        ("-i 10 -p 7410 -c 1 one two", "-i 10 -p 7410 one two"),
        ("-c1 --count=3 --cou 4 one node-c 10.1.0.2 >/dev/null 2>&1 &", "one node-c 10.1.0.2"),
        ("one --count 12; sleep 1", "one"),
        ("-i 5 one || true", "-i 5 one"),
    ] {
        let line = format!("KDUMP_POSTSCRIPT='/usr/lib/fence_kdump_send {script}'\n");
        host.write("/etc/sysconfig/kdump", line, 0o644);
        assert_eq!(host.nodes(), nodes, "{script}");
    }
    let sender = "/usr/lib/fence_kdump_send";
    let line = format!("KDUMP_PRESCRIPT='{sender} -i 5 one &'\nKDUMP_POSTSCRIPT='{sender} two'\n");
    host.write("/etc/sysconfig/kdump", line, 0o644);
    assert_eq!(host.nodes(), "-i 5 one");
    let told = "case $VMCORE_STATUS in (error*) /usr/lib/fence_kdump_send --phase failed;; esac";
    for line in
        [format!("{sender} -c 1 one two; {told}"), format!("{told}; {sender} -c 1 one two &")]
    {
        host.write("/etc/sysconfig/kdump", format!("KDUMP_POSTSCRIPT='{line}'\n"), 0o644);
        assert_eq!(host.nodes(), "one two", "{line}");
    }
    for phase in ["--phase finished", "-P failed", "-p 7410 --phase=finished"] {
        let line = format!("KDUMP_POSTSCRIPT='{sender} {phase}'\n");
        host.write("/etc/sysconfig/kdump", line, 0o644);
        assert_eq!(host.run("--nodes").expect_failure().code, Some(3), "a phase is told to nobody");
    }
}

/// Whatever fails, the image starts as it would have started.
#[test]
fn what_cannot_be_done_leaves_the_image_as_it_was() {
    let Some(host) = Host::new() else {
        return;
    };
    host.write("/etc/kdump.conf", "fence_kdump_nodes 192.0.2.1\n", 0o644);
    let output = host.build().expect_failure();
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("192.0.2.1: not planned: no route"), "{output}");
    host.is_untouched();
    // The stock sender of the same name.
    host.write("/etc/kdump.conf", "fence_kdump_nodes two\n", 0o644);
    host.write(SENDER, "#!/bin/sh\necho 'usage: fence_kdump_send -p PORT'\n", 0o755);
    let output = host.build().expect_failure();
    assert!(output.stderr.contains("that can start an image"), "{output}");
    host.is_untouched();
    assert_eq!(host.run("").expect_failure().code, Some(1));
}
