//! The C library as a C programmer gets it: header, archive, shared library and pkg-config file of
//! `make dist`, the examples that people copy, and a compiler.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fence_kdump_tests::{Need, Netns, Run, programs, requires};

const LIMIT: Duration = Duration::from_secs(120);

const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// Programs that prove something by themselves, and what they end with.
const PROGRAMS: [(&str, &str); 3] = [
    ("tests/c/library.c", ": 0 failed\n"),
    ("tests/c/abi.c", "as frozen\n"),
    ("tests/c/signed.c", "live\n"),
];

const EXAMPLES: [&str; 3] =
    ["core/capi/examples/sender.c", "core/capi/examples/receiver.c", "core/capi/examples/init.c"];

/// Compiles one of our sources against the archive; `flags` come before it, and it must be fine.
fn build(folder: &Path, compiler: &str, flags: &[&str], source: &str) -> PathBuf {
    let name = Path::new(source).file_stem().expect("sources have names");
    let program = folder.join(name);
    let header = programs::ours("fence_kdump.h");
    let built = Run::new(compiler)
        .args(STRICT)
        .args(flags)
        .arg("-I")
        .arg(header.parent().expect("it lies in a folder"))
        .arg(programs::workspace().join(source))
        .args(["-x", "none"])
        .arg(programs::ours("libfence_kdump.a"))
        .arg("-o")
        .arg(&program)
        .run(LIMIT)
        .expect_success();
    assert_eq!(built.stderr, "", "{compiler} {flags:?} {source}");
    program
}

fn all_with(compiler: &str, flags: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder for the programs");
    for source in EXAMPLES {
        build(folder.path(), compiler, flags, source);
    }
    for (source, end) in PROGRAMS {
        let ran = Run::new(build(folder.path(), compiler, flags, source)).run(LIMIT);
        let ran = ran.expect_success();
        assert!(ran.stdout.ends_with(end), "{compiler} {flags:?} {source}: {ran}");
    }
}

#[test]
fn with_gcc() {
    if requires(&[Need::Cc]) {
        all_with("gcc", &["-std=c11", "-O2"]);
    }
}

#[test]
fn with_clang() {
    if requires(&[Need::Clang]) {
        all_with("clang", &["-std=c11", "-O2"]);
    }
}

/// As for an initramfs: one static file.
#[test]
fn with_musl() {
    if requires(&[Need::Musl]) {
        all_with("musl-gcc", &["-std=c11", "-static", "-Os"]);
    }
}

#[test]
fn as_cpp() {
    if requires(&[Need::Cxx]) {
        all_with("g++", &["-x", "c++", "-std=c++17"]);
    }
}

#[test]
fn under_the_sanitizers_of_gcc() {
    if requires(&[Need::Cc]) {
        let flags = ["-std=c11", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        all_with("gcc", &flags);
    }
}

#[test]
fn under_the_sanitizers_of_clang() {
    if requires(&[Need::Clang]) {
        let flags = ["-std=c11", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        all_with("clang", &flags);
    }
}

#[test]
fn under_valgrind() {
    if !requires(&[Need::Cc, Need::Valgrind]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the programs");
    for (source, end) in PROGRAMS {
        let program = build(folder.path(), "gcc", &["-std=c11", "-g"], source);
        let options = ["-q", "--error-exitcode=99", "--leak-check=full"];
        let ran = Run::new("valgrind").args(options).arg(program).run(LIMIT).expect_success();
        assert!(ran.stdout.ends_with(end) && ran.stderr.is_empty(), "{source}: {ran}");
    }
}

/// The example sender tells the example receiver and our agent; our sender tells the receiver.
#[test]
fn the_examples_speak_to_each_other_and_to_our_programs() {
    if !requires(&[Need::Cc, Need::Root, Need::Netns, Need::Valgrind]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the programs");
    let flags = ["-std=c11", "-g", "-fsanitize=undefined", "-fno-sanitize-recover=all"];
    let [sender, receiver, _] = EXAMPLES.map(|one| build(folder.path(), "gcc", &flags, one));
    for sender in [sender.clone(), programs::ours("fence_kdump_send")] {
        let net = Netns::new();
        let valgrind = Run::new("valgrind").args(["-q", "--error-exitcode=99"]).arg(&receiver);
        let receiving = valgrind.args(["127.0.0.9", "127.0.0.1"]).inside(&net).spawn();
        receiving.wait_bound(7410);
        let sending = Run::new(&sender).arg("127.0.0.1").inside(&net).spawn();
        let ran = receiving.wait_for(LIMIT).expect_success();
        let _ = sending.kill();
        assert_eq!(ran.stdout, "127.0.0.1: success\n", "{ran}");
    }
    let net = Netns::new();
    let agent = Run::new(programs::ours("fence_kdump")).args(["-n", "127.0.0.1", "-t", "60"]);
    let agent = agent.inside(&net).spawn();
    agent.wait_bound(7410);
    let sending = Run::new(&sender).arg("127.0.0.1").inside(&net).spawn();
    let _ = agent.wait_for(LIMIT).expect_success();
    let _ = sending.kill();
}

/// As process 1 it speaks, and becomes the real init, whose end ends everything.
#[test]
fn the_example_init_speaks_and_becomes_the_real_one() {
    if !requires(&[Need::Musl, Need::Root, Need::Netns]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the programs");
    let init = build(folder.path(), "musl-gcc", &["-std=c11", "-static", "-Os"], EXAMPLES[2]);
    let net = Netns::new();
    let agent = Run::new(programs::ours("fence_kdump")).args(["-n", "127.0.0.1", "-t", "60"]);
    let agent = agent.inside(&net).spawn();
    agent.wait_bound(7410);
    let machine = Run::new("unshare")
        .args(["--pid", "--fork", "--kill-child"])
        .arg(&init)
        .args(["-c", "echo $$ $0; exec sleep 4"])
        .env("fence_kdump_nodes", "127.0.0.7,nonsense,127.0.0.1")
        .env("fence_kdump_init", "/bin/sh")
        .inside(&net)
        .spawn();
    let _ = agent.wait_for(LIMIT).expect_success();
    let ran = machine.wait_for(LIMIT).expect_success();
    assert_eq!(ran.stdout, "1 /bin/sh\n", "{ran}");
    assert!(ran.stderr.contains("'nonsense' is no IPv4 address"), "{ran}");
    let mute = Run::new(&init).env("fence_kdump_init", "/bin/true").run(LIMIT).expect_success();
    assert_eq!(mute.stderr, "init: no message is sent: fence_kdump_nodes= is missing\n");
}

/// The names that programs link to; one that goes, or changes what it takes, makes a new soname.
const SYMBOLS: [&str; 37] = [
    "fence_kdump_admit",
    "fence_kdump_answer",
    "fence_kdump_answers_init",
    "fence_kdump_challenge",
    "fence_kdump_challenge_read",
    "fence_kdump_challenger_init",
    "fence_kdump_decode",
    "fence_kdump_encode",
    "fence_kdump_error_name",
    "fence_kdump_error_text",
    "fence_kdump_key_derive",
    "fence_kdump_key_id",
    "fence_kdump_key_line",
    "fence_kdump_max_age",
    "fence_kdump_message_read",
    "fence_kdump_message_sign",
    "fence_kdump_message_write",
    "fence_kdump_not_before",
    "fence_kdump_prove",
    "fence_kdump_session_deadline",
    "fence_kdump_session_hear",
    "fence_kdump_session_init",
    "fence_kdump_session_status",
    "fence_kdump_session_tick",
    "fence_kdump_session_verdict",
    "fence_kdump_tracker_count",
    "fence_kdump_tracker_deadline",
    "fence_kdump_tracker_disbelieve",
    "fence_kdump_tracker_forget",
    "fence_kdump_tracker_hear",
    "fence_kdump_tracker_init",
    "fence_kdump_tracker_poll",
    "fence_kdump_tracker_size",
    "fence_kdump_tracker_status",
    "fence_kdump_tracker_verdict",
    "fence_kdump_verify",
    "fence_kdump_version",
];

fn symbols(options: &[&str], file: &Path) -> Vec<String> {
    let listed = Run::new("nm").args(options).arg(file).run(LIMIT).expect_success();
    let names = listed.stdout.lines().filter_map(|line| line.split_whitespace().last());
    let mut names: Vec<String> =
        names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_shared_library_has_the_frozen_symbols_and_its_name() {
    if !requires(&[Need::Cc]) {
        return;
    }
    let library = programs::ours("libfence_kdump.so.0");
    assert_eq!(symbols(&["-D", "--defined-only"], &library), SYMBOLS);
    let dynamic = Run::new("readelf").arg("-d").arg(&library).run(LIMIT).expect_success().stdout;
    assert!(dynamic.contains("[libfence_kdump.so.0]"), "{dynamic}");
}

/// No panic path, and nothing of a C library but what every freestanding compiler expects.
#[test]
fn the_library_needs_nothing_but_memory_functions() {
    if !requires(&[Need::Cc]) {
        return;
    }
    let memory = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
    let folder = tempfile::tempdir().expect("a folder for the object");
    let object = folder.path().join("whole.o");
    // Everything that the functions pull out of the archive, as one object.
    let linked = Run::new("cc")
        .args(["-nostdlib", "-r", "-o"])
        .arg(&object)
        .args(SYMBOLS.map(|name| format!("-Wl,-u,{name}")))
        .arg(programs::ours("libfence_kdump.a"))
        .run(LIMIT);
    assert_eq!(linked.expect_success().stderr, "");
    let mut foreign = symbols(&["-u"], &object);
    foreign.retain(|name| !memory.contains(&name.as_str()));
    assert!(foreign.is_empty(), "the archive also needs {foreign:?}");
    // What every shared object asks for without needing it is weak.
    let listed =
        Run::new("nm").args(["-D", "-u"]).arg(programs::ours("libfence_kdump.so.0")).run(LIMIT);
    for line in listed.expect_success().stdout.lines().filter(|line| line.trim().starts_with('U')) {
        let name = line.trim().trim_start_matches("U ").split('@').next().unwrap_or_default();
        assert!(memory.contains(&name), "the shared library also needs {line}");
    }
}

/// What pkg-config says builds a program that runs, with the shared library and with the archive.
#[test]
fn pkg_config_knows_how_to_use_it() {
    if !requires(&[Need::Cc, Need::PkgConfig]) {
        return;
    }
    let dist = programs::ours("fence_kdump.pc").parent().expect("it lies in a folder").to_owned();
    let ask = |what: &str| {
        let place = |name: &str| format!("--define-variable={name}={}", dist.display());
        let asked = Run::new("pkg-config").env("PKG_CONFIG_PATH", &dist);
        let asked = asked.args([&place("libdir"), &place("includedir"), what, "fence_kdump"]);
        asked.run(LIMIT).expect_success().stdout
    };
    assert_eq!(ask("--modversion").trim(), env!("CARGO_PKG_VERSION"));
    let folder = tempfile::tempdir().expect("a folder for the program");
    let program = folder.path().join("abi");
    let (cflags, libs) = (ask("--cflags"), ask("--libs"));
    let built = Run::new("gcc")
        .args(cflags.split_whitespace())
        .arg(programs::workspace().join("tests/c/abi.c"))
        .args(libs.split_whitespace())
        .arg("-o")
        .arg(&program)
        .run(LIMIT);
    let _ = built.expect_success();
    let ran = Run::new(&program).env("LD_LIBRARY_PATH", &dist).run(LIMIT).expect_success();
    assert_eq!(ran.stdout, "as frozen\n");
    let needed = Run::new("readelf").arg("-d").arg(&program).run(LIMIT).expect_success().stdout;
    assert!(needed.contains("[libfence_kdump.so.0]"), "{needed}");
}

/// What people copy is short enough to be read first.
#[test]
fn the_examples_are_short() {
    for (example, most) in EXAMPLES.into_iter().zip([40, 40, 64]) {
        let text = std::fs::read_to_string(programs::workspace().join(example));
        let lines = text.expect("the example is there").lines().count();
        assert!(lines <= most, "{example}: {lines} lines");
    }
}
