//! The C library as a C programmer gets it: header and archive of `make dist`, and a compiler.

use std::process::Command;

use fence_kdump_tests::{Need, Run, programs, requires};

/// `tests/c/library.c` built and run, with the sanitizers that the compiler has.
#[test]
fn a_c_program_can_encode_and_decode() {
    if !requires(&[Need::Cc]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the program");
    let program = folder.path().join("library");
    let built = Run::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover"])
        .arg("-I")
        .arg(programs::ours("fence_kdump.h").parent().expect("it lies in a folder"))
        .arg(programs::workspace().join("tests/c/library.c"))
        .arg(programs::ours("libfence_kdump.a"))
        .arg("-o")
        .arg(&program)
        .run(std::time::Duration::from_secs(60));
    assert_eq!(built.expect_success().stderr, "");
    let ran = Run::new(&program).run(std::time::Duration::from_secs(10)).expect_success();
    assert!(ran.stdout.ends_with(": 0 failed\n"), "{ran}");
}

/// No panic path, and nothing of a C library but what every freestanding compiler expects.
#[test]
fn the_library_needs_nothing_but_memory_functions() {
    if !requires(&[Need::Cc]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the object");
    let object = folder.path().join("whole.o");
    // Everything that the four functions pull out of the archive, as one object.
    let functions = ["encode", "decode", "error_text", "version"];
    let linked = Run::new("cc")
        .args(["-nostdlib", "-r", "-o"])
        .arg(&object)
        .args(functions.map(|name| format!("-Wl,-u,fence_kdump_{name}")))
        .arg(programs::ours("libfence_kdump.a"))
        .run(std::time::Duration::from_secs(60));
    assert_eq!(linked.expect_success().stderr, "");
    let symbols = Command::new("nm").arg("-u").arg(&object).output().expect("binutils has nm");
    let undefined = String::from_utf8_lossy(&symbols.stdout);
    let foreign: Vec<&str> = undefined
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|name| !["memcpy", "memmove", "memset", "memcmp", "bcmp"].contains(name))
        .collect();
    assert!(symbols.status.success() && foreign.is_empty(), "also needed: {foreign:?}");
}
