//! The wall clock is set, forwards and backwards, on a host that listens: a real kernel's, with the daemon and agents
//! that were built, since nothing else sets it without setting that of everybody else.
//!
//! The kernel stamps datagrams by the wall clock. What must never happen is that one which waited for too long is
//! taken for a recent one, because the clock was set back meanwhile.

use std::fs;

use fence_kdump_tests::vm::{Assets, Image, Machine};
use fence_kdump_tests::{Need, Netns, programs, requires};
use tempfile::TempDir;

/// What the machine does: each step ends with a line that tells the agent's exit code.
const SCRIPT: &str = r#"
say() { echo "<2>vm: $*" >/dev/kmsg; }
mkdir -p /run /tmp /state
chmod 700 /state
follow() { /bin/fence_kdumpd --node n1=127.0.0.1 --state-dir /state 2>>/tmp/daemon & daemon=$!; }
tell() { /bin/fence_kdump_send -c 1 127.0.0.1; }
set_by() { date -s "@$(($(date +%s) + $1))" >/dev/null || say "the clock cannot be set"; }
ask() { /bin/fence_kdump -n 127.0.0.1 -t "$2" -v 2>/tmp/said; say "$1: $?"; sed 's/^/vm-said: /' /tmp/said; }
# An agent that waits already, when the clock is set by so much and a message comes.
waiting() {
    ask "$1" 60 &
    asking=$!
    sleep 3
    set_by "$2"
    tell
    wait $asking
}
# A message that waits for so long before anybody reads it, while the clock is set by so much.
unread() {
    kill -STOP $daemon
    tell
    sleep "$2"
    set_by "$3"
    kill -CONT $daemon
    ask "$1" 3
    # Whatever it was: too old from now on.
    sleep 11
}
follow
sleep 5
waiting "waiting, as it is" 0
waiting "waiting, a day forward" 86400
waiting "waiting, two days back" -172800
waiting "waiting, to before the start" -1000000000
sleep 11
unread "unread for 2 s, as it is" 2 0
unread "unread for 12 s, as it is" 12 0
unread "unread for 12 s, 12 s back" 12 -12
unread "unread for 12 s, 10 s back" 12 -10
unread "unread for 12 s, a day back" 12 -86400
unread "unread for 12 s, an hour forward" 12 3600
tell
sleep 12
set_by -12
ask "read 12 s ago, 12 s back" 3
tell
kill -9 $daemon
set_by -3600
follow
sleep 5
ask "before the daemon was killed, an hour back" 3
tell
ask "after that" 30
kill $daemon
wait $daemon
waiting "without a daemon, as it is" 0
waiting "without a daemon, a day forward" 86400
waiting "without a daemon, two days back" -172800
say "trouble of the daemon: $(grep -c -i -e panic -e error /tmp/daemon)"
say "all steps done"
"#;

#[test]
fn a_clock_that_is_set_makes_nothing_old_recent() {
    if !requires(&[Need::Root, Need::Netns, Need::Qemu]) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let script = folder.path().join("clock.sh");
    fs::write(&script, SCRIPT).expect("our own file");
    let ours = ["fence_kdump", "fence_kdumpd", "fence_kdump_send"];
    let mut files: Vec<_> =
        ours.into_iter().map(|name| (programs::ours(name), format!("bin/{name}"))).collect();
    files.push((script, "clock.sh".to_owned()));
    let assets = Assets::get();
    let image = Image::around("clock", &assets, None, &files).expect("an image");
    let net = Netns::new();
    let mut machine = Machine::boot(&net, "clock", &assets, &image).expect("qemu starts");
    machine.wait_for("vm: production kernel is up");
    machine.tell("run export LD_LIBRARY_PATH=/lib; . /clock.sh");
    for (step, exit) in [
        ("waiting, as it is", 0),
        ("waiting, a day forward", 0),
        ("waiting, two days back", 0),
        ("waiting, to before the start", 0),
        ("unread for 2 s, as it is", 0),
        ("unread for 12 s, as it is", 1),
        ("unread for 12 s, 12 s back", 1),
        ("unread for 12 s, 10 s back", 1),
        ("unread for 12 s, a day back", 1),
        ("unread for 12 s, an hour forward", 1),
        ("read 12 s ago, 12 s back", 1),
        ("before the daemon was killed, an hour back", 1),
        ("after that", 0),
        ("without a daemon, as it is", 0),
        ("without a daemon, a day forward", 0),
        ("without a daemon, two days back", 0),
    ] {
        let (_, line) = machine.wait_for(&format!("vm: {step}: "));
        assert!(line.ends_with(&format!("{step}: {exit}")), "{line}");
    }
    let (_, line) = machine.wait_for("vm: trouble of the daemon: ");
    assert!(line.ends_with(": 0"), "{line}");
    machine.wait_for("vm: all steps done");
}
