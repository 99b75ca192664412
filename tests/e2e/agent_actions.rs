//! Every action but `off`: what is checked is really checked, and what is told is true.

use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::fs;
use std::time::Duration;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(15);

const SIZE: &str = "/sys/kernel/kexec_crash_size";
const LOADED: &str = "/sys/kernel/kexec_crash_loaded";

fn with_kernel(size: &str, loaded: &str, args: &[&str]) -> Output {
    Run::new(programs::ours("fence_kdump"))
        .args(args)
        .file(SIZE, size)
        .file(LOADED, loaded)
        .file("/proc/cmdline", "quiet crashkernel=96M\n")
        .run(LIMIT)
}

#[test]
fn monitor_asks_the_kernel_and_not_its_command_line() {
    if !requires(&NEEDS) {
        return;
    }
    for action in ["monitor", "status"] {
        let args = ["-v", "-o", action];
        let loaded = with_kernel("100663296\n", "1\n", &args).expect_success();
        assert!(loaded.stderr.contains("96 MiB"), "{loaded}");
        for (size, loaded, said) in [
            ("100663296\n", "0\n", "none is loaded"),
            ("0\n", "0\n", "no memory is reserved"),
            ("0\n", "1\n", "no memory is reserved"),
            ("", "", "is not a number"),
        ] {
            let output = with_kernel(size, loaded, &args);
            assert_eq!(output.code, Some(1), "{output}");
            assert!(output.stderr.contains(said), "{said}: {output}");
            assert!(output.stderr.contains("listen_only=1"), "{output}");
            let listens = with_kernel(size, loaded, &["-o", action, "--listen-only"]);
            assert!(listens.expect_success().stderr.contains("only listens"));
        }
    }
}

#[test]
fn validate_all_validates() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let validate = |lines: &str| {
        Run::new(programs::ours("fence_kdump"))
            .stdin(format!("action=validate-all\ntimeout=10\n{lines}"))
            .inside(&net)
            .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
            .run(LIMIT)
    };
    for lines in ["", "nodename=127.0.0.2", "nodename=nosuch.invalid,127.0.0.2", "port=127.0.0.2"] {
        let _ = validate(lines).expect_success();
    }
    for (lines, said) in [
        ("nodename=nosuch.invalid", "nosuch.invalid: "),
        ("nodename=224.0.0.1", "multicast"),
        ("nodename=127.0.0.2\nfamily=ipv6", "no IPv6 address"),
        ("nodename=127.0.0.2\nipport=70000", "from 1 to 65535"),
    ] {
        let output = validate(lines);
        assert_eq!(output.code, Some(1), "{output}");
        assert!(output.stderr.contains(said), "{lines}: {output}");
    }
    let stranger = net.udp("127.0.0.1:7410");
    let output = validate("nodename=127.0.0.2");
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains("in use by another program"), "{output}");
    drop(stranger);
    // One of our own on the port is no fault: it serves.
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "127.0.0.3", "-t", "20"])
        .inside(&net)
        .spawn();
    agent.wait_bound(7410);
    let _ = validate("nodename=127.0.0.2").expect_success();
}

#[test]
fn the_metadata_satisfies_the_schema_and_is_the_committed_file() {
    if !requires(&[Need::Stock, Need::Xmllint]) {
        return;
    }
    let agent = programs::ours("fence_kdump");
    let metadata = Run::new(&agent).args(["-o", "metadata"]).run(LIMIT).expect_success();
    let committed = programs::workspace().join("dist/fence_kdump.metadata.xml");
    assert_eq!(metadata.stdout, fs::read_to_string(&committed).expect("committed"));
    let schema = "/usr/share/cluster/relaxng/metadata.rng";
    let lint = Run::new("xmllint").args(["--noout", "--relaxng", schema]).arg(&committed);
    let _ = lint.run(LIMIT).expect_success();
    for action in ["off", "monitor", "metadata", "validate-all"] {
        assert!(metadata.stdout.contains(&format!("<action name=\"{action}\"/>")), "{action}");
    }
    // Pacemaker would ask these which nodes it may fence.
    for action in ["list", "status"] {
        assert!(!metadata.stdout.contains(&format!("<action name=\"{action}\"")), "{action}");
    }
}

#[test]
fn the_man_page_is_whole_and_well_formed() {
    if !requires(&[Need::Mandoc]) {
        return;
    }
    let page = programs::workspace().join("dist/man/fence_kdump.8");
    let lint = Run::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).run(LIMIT);
    assert_eq!((lint.code, lint.stdout.as_str()), (Some(0), ""), "{lint}");
    let text = fs::read_to_string(&page).expect("committed");
    let metadata = programs::workspace().join("dist/fence_kdump.metadata.xml");
    let metadata = fs::read_to_string(metadata).expect("committed");
    let mut options = 0;
    for line in metadata.lines().filter(|line| line.contains("<getopt")) {
        let long = line.split("--").nth(1).expect("a long name");
        let long: String =
            long.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let written = format!("Fl -{}", long.replace('-', "\\-"));
        let plain = format!("Fl -{long}");
        assert!(text.contains(&written) || text.contains(&plain), "--{long} is missing");
        options += 1;
    }
    assert!(options >= 8, "the metadata names all options");
    for line in metadata.lines().filter(|line| line.contains("<parameter name")) {
        let key = line.split('"').nth(1).expect("a name");
        assert!(text.contains(key), "{key} is missing");
    }
}
