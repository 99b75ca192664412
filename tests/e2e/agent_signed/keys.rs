//! Keys that cannot be used.

use super::{CLUSTER, Host, LIMIT, NEEDS, NODE, OTHER};
use fence_kdump_tests::{Run, programs, requires};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// Whatever is wrong with the keys: nobody is believed, it is said at once, and other actions tell before.
#[test]
fn keys_that_cannot_be_used_are_told_and_make_nothing_count() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let mode = |mode| {
        let path = host.key_file("cluster.key", &[CLUSTER]);
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
    };
    let text = |text: &str| {
        let path = host.key_file("cluster.key", &[]);
        fs::write(path, text).expect("our own file");
    };
    let check = |said: &str, more: &str| {
        for action in ["off", "monitor", "validate-all"] {
            let asked = format!("--policy plain -o {action} -t 10 --listen-only {more}");
            let output = host.agent(&asked).run(LIMIT);
            assert_eq!(output.code, Some(1), "{action}: {output}");
            assert!(output.stderr.contains(said), "{action}: {said:?}: {output}");
            assert!(output.elapsed < Duration::from_secs(5), "at once: {output}");
            assert!(!output.stderr.contains(CLUSTER.1), "no key is ever shown");
        }
    };
    mode(0o644);
    check("its mode 0644 lets others read it", "");
    mode(0o600);
    let own = host.node(NODE).own_key_file();
    let line = fs::read_to_string(own).expect("our own file");
    text(&line);
    check("has no key for n2", "-n n2");
    text("");
    check("holds no key", "");
    text(&format!("cluster {} {}\n", OTHER.0, CLUSTER.1));
    check("line 1", "");
    fs::remove_file(host.path("cluster.key")).expect("our own file");
    check("no such file", "");
    mode(0o600);
    for action in ["off", "monitor", "validate-all"] {
        let keyless = ["-n", "n1", "--policy", "live", "--listen-only", "-t", "10", "-o", action];
        let agent = Run::new(programs::ours("fence_kdump")).args(keyless).inside(&host.net);
        let output = agent.run(LIMIT);
        assert_eq!(output.code, Some(1), "{output}");
        assert!(output.stderr.contains("policy: 'live' needs key_file"), "{output}");
    }
    let well = host.agent("-o validate-all -t 10").run(LIMIT).expect_success();
    assert!(host.path("state").join("replay.db").is_file(), "{well}");
    let _ = host.agent("-o monitor --listen-only").run(LIMIT).expect_success();
}
