//! The init is found and run, whatever is wrong around it.

use super::{INIT, LIMIT, NEEDS, Root, assert_heard, hears};
use fence_kdump_tests::{Netns, Run, programs, requires};
use std::fs;
use std::io;
use std::time::Duration;
use tempfile::TempDir;

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
