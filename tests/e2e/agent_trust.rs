//! Root's agents and a daemon that runs as a user of its own: whom they believe, and as whom they write.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, python, requires};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Python];

const LIMIT: Duration = Duration::from_secs(30);

/// Nobody's, on any machine.
const USER: u32 = 61_234;

const NODE: &str = "127.0.0.11";

/// Where root's agents look whom root has put in charge.
const GIVEN: &str = "/run/fence_kdump";

/// Set inside the mount namespace of a test.
const INSIDE: &str = "FENCE_KDUMP_OWN_MOUNTS";

/// Runs the test `name` again in a mount namespace with a `/run` of its own, so that nobody's real one is touched;
/// true in there.
fn is_inside(name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        let mount = Run::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "none", "/run"]);
        let _ = mount.run(LIMIT).expect_success();
        return true;
    }
    let this = env::current_exe().expect("this program has a file");
    let again = Run::new("unshare").args(["--mount", "--"]).arg(this);
    let again = again.args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let _ = again.run(4 * LIMIT).expect_success();
    false
}

/// A directory of that user.
fn give(path: impl AsRef<Path>, mode: u32) {
    let path = path.as_ref();
    if !path.exists() {
        fs::create_dir(path).expect("root may");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
    chown(path, Some(USER), Some(USER)).expect("root may");
}

/// The daemon as that user, with these options.
fn daemon(net: &Netns, options: &[&str]) -> Proc {
    let daemon = start(net, options, &[]);
    daemon.wait_bound(PORT);
    daemon
}

/// The same, whether it goes on or not.
fn start(net: &Netns, options: &[&str], environment: &[(&str, &str)]) -> Proc {
    // Where that user can reach it.
    let program = "/run/fence_kdumpd";
    fs::copy(programs::ours("fence_kdumpd"), program).expect("room for it");
    give("/run/of_daemon", 0o700);
    let user = USER.to_string();
    let run = Run::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--", program])
        .args(["--node", &format!("n1={NODE}")])
        .args(options)
        .inside(net);
    environment.iter().fold(run, |run, (name, value)| run.env(name, value)).spawn()
}

fn agent(net: &Netns, options: &[&str]) -> Proc {
    let agent = Run::new(programs::ours("fence_kdump")).args(["-v"]).args(options);
    agent.file("/etc/hosts", format!("127.0.0.1 localhost\n{NODE} n1\n")).inside(net).spawn()
}

fn speak(net: &Netns) {
    net.send(NODE, "127.0.0.1:7410", &LITTLE);
}

#[track_caller]
fn assert_refused(output: &Output, said: &str) {
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stderr.contains(said), "{said:?} is not said: {output}");
}

/// Any user can sit at the daemon's name.
#[test]
fn a_daemon_is_believed_when_root_has_put_its_user_in_charge() {
    if !requires(&NEEDS) || !is_inside("a_daemon_is_believed_when_root_has_put_its_user_in_charge")
    {
        return;
    }
    let net = Netns::new();
    let options = ["--state-dir", "/run/of_daemon/state"];
    let daemon = daemon(&net, &options);
    speak(&net);
    daemon.wait_stderr_line("started", LIMIT);
    let not_believed = "of user 61234 sits at @fence_kdump/7410 and is not believed";
    for mode in [None, Some(0o775), Some(0o777)] {
        if let Some(mode) = mode {
            give(GIVEN, mode);
        }
        let output = agent(&net, &["-n", "n1", "-t", "2"]).wait_for(LIMIT);
        assert_refused(&output, not_believed);
    }
    // An agent that waits already comes to believe it.
    let waiting = agent(&net, &["-n", "n1", "-t", "25"]);
    waiting.wait_stderr_line(not_believed, LIMIT);
    give(GIVEN, 0o755);
    waiting.wait_stderr_line("for this one", LIMIT);
    speak(&net);
    let _ = waiting.wait_for(LIMIT).expect_success();
    let _ = agent(&net, &["-n", "n1", "-t", "20"]).wait_for(LIMIT).expect_success();
    assert!(daemon.is_running());
}

/// The daemon comes while root's agent has the port, and takes it over.
#[test]
fn the_daemon_in_charge_is_served_by_an_agent_of_root() {
    if !requires(&NEEDS) || !is_inside("the_daemon_in_charge_is_served_by_an_agent_of_root") {
        return;
    }
    let net = Netns::new();
    give(GIVEN, 0o755);
    let holder = agent(&net, &["-n", "127.0.0.50", "-t", "20"]);
    holder.wait_bound(PORT);
    let daemon = daemon(&net, &["--state-dir", "/run/of_daemon/state"]);
    daemon.wait_stderr_line("serves this one", LIMIT);
    net.send("127.0.0.50", "127.0.0.1:7410", &LITTLE);
    let _ = holder.wait_for(LIMIT).expect_success();
    speak(&net);
    daemon.wait_stderr_line("n1 (127.0.0.11): started", LIMIT);
    let _ = agent(&net, &["-n", "n1", "-t", "20"]).wait_for(LIMIT).expect_success();
}

/// Whose a file is, and its mode.
fn custody(path: &str) -> (u32, u32) {
    let found = fs::metadata(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    (found.uid(), found.mode() & 0o7777)
}

/// The file of a cluster key, for one user; the id and the key of `core/vectors.txt`.
fn key_file(path: &str, user: u32) -> String {
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    fs::write(path, format!("cluster 237ba621 {key}\n")).expect("our own folder");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    chown(path, Some(user), Some(user)).expect("root may");
    path.to_owned()
}

/// What n1 says for the `sequence`th time, signed.
fn sign(key_file: &str, sequence: u64, uptime_ms: u64) -> Vec<u8> {
    let said = serde_json::json!({
        "byte_order": "little",
        "node_name": "n1",
        "crash_id": "11".repeat(16),
        "sequence": sequence,
        "uptime_ms": uptime_ms,
        "key_id": "237ba621",
    });
    let line = python::output("speak.py", &["sign", "--key-file", key_file], &format!("{said}\n"));
    let digits = line.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    digits.map(|pair| byte(pair).expect("hexadecimal digits")).collect()
}

/// What systemd hands over to the user of a service may be root's, and that user's group may read it.
#[test]
fn a_key_may_be_a_credential_of_the_daemon_alone() {
    if !requires(&NEEDS) || !is_inside("a_key_may_be_a_credential_of_the_daemon_alone") {
        return;
    }
    let net = Netns::new();
    fs::create_dir("/run/credentials").expect("our own folder");
    let key = key_file("/run/credentials/cluster.key", 0);
    chown(&key, Some(0), Some(USER)).expect("root may");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).expect("our own file");
    let options = ["--key-file", &key, "--state-dir", "/run/of_daemon/state"];
    let refused = start(&net, &options, &[]).wait_for(LIMIT);
    assert_refused(&refused, "its mode 0440 lets others read it");
    let given = [("CREDENTIALS_DIRECTORY", "/run/credentials")];
    let daemon = start(&net, &options, &given);
    daemon.wait_bound(PORT);
    net.send(NODE, "127.0.0.1:7410", &sign(&key_file("/run/ours.key", 0), 1, 0));
    daemon.wait_stderr_line("n1 (127.0.0.11, signed): started", LIMIT);
    // Not even then may everybody read it.
    drop(daemon.kill());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o444)).expect("our own file");
    assert_refused(&start(&net, &options, &given).wait_for(LIMIT), "lets others read it");
}

/// Root's agent writes as the user to whom root has given the directory, and does not write where anybody else may
/// have put something.
#[test]
fn one_memory_serves_both_users() {
    if !requires(&NEEDS) || !is_inside("one_memory_serves_both_users") {
        return;
    }
    let net = Netns::new();
    give(GIVEN, 0o755);
    give("/run/state", 0o700);
    let (ours, its) = (key_file("/run/ours.key", 0), key_file("/run/its.key", USER));
    let options = |state| {
        ["-n", "n1", "-t", "4", "--key-file", &ours, "--state-dir", state].map(str::to_owned)
    };
    let ask = |state| {
        let options = options(state);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        agent(&net, &options)
    };
    // Root is first: the memory is that user's all the same.
    let alone = ask("/run/state");
    alone.wait_bound(PORT);
    let first = sign(&ours, 1, 0);
    net.send(NODE, "127.0.0.1:7410", &first);
    let _ = alone.wait_for(LIMIT).expect_success();
    assert_eq!(custody("/run/state/replay.db"), (USER, 0o600));
    // The daemon knows what root's agent has heard, and the other way round.
    let daemon = daemon(&net, &["--key-file", &its, "--state-dir", "/run/state"]);
    net.send(NODE, "127.0.0.1:7410", &first);
    daemon.wait_stderr_line("does not count: a replay", LIMIT);
    net.send(NODE, "127.0.0.1:7410", &sign(&ours, 2, 600_000));
    daemon.wait_stderr_line("n1 (127.0.0.11, signed): started", LIMIT);
    let known = ask("/run/state").wait_for(LIMIT).expect_success();
    assert!(known.stderr.contains("before this run began"), "{known}");
    for file in fs::read_dir("/run/state").expect("it is there").flatten() {
        let owner = file.metadata().expect("it is there").uid();
        assert_eq!(owner, USER, "{}", file.path().display());
    }
    // What that user could have prepared, since it owns what is above, or anybody.
    give("/run/of_daemon", 0o700);
    give("/run/of_daemon/state", 0o700);
    let refused = ask("/run/of_daemon/state").wait_for(LIMIT);
    assert_refused(&refused, "it belongs to user 61234, neither root nor user 0");
    assert!(!Path::new("/run/of_daemon/state/replay.db").exists(), "nothing was written");
}
