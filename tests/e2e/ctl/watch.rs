//! How the nodes are, all the time.

use super::{LIMIT, Scene, until};
use fence_kdump_tests::{Need, requires};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn changes_are_lines_and_a_new_daemon_is_told() {
    let Some(scene) = Scene::of_two() else { return };
    let first = scene.daemon();
    scene.speak("127.0.0.12");
    first.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    let watch = scene.ctl("watch --interval 0.2").spawn();
    watch.wait_stdout_line(" two: started, since ", LIMIT);
    scene.speak("127.0.0.11");
    watch.wait_stdout_line(" one: started, since ", LIMIT);
    scene.speak("127.0.0.11");
    watch.wait_stdout_line(" one: dumping, since ", LIMIT);
    first.signal(Signal::KILL);
    watch.wait_stdout_line(" no answer: ", LIMIT);
    let second = scene.daemon();
    watch.wait_stdout_line(&format!(" fence_kdumpd (process {}) is new", second.pid()), LIMIT);
    assert!(watch.is_running());
    watch.signal(Signal::TERM);
    let ended = watch.wait_for(LIMIT).expect_success();
    assert!(!ended.stdout.contains('\x1b'), "{ended:?}");
    assert_eq!(ended.stdout.matches(" one: started").count(), 1, "{ended}");
}

/// A pipe whose reader has seen enough.
#[test]
fn it_ends_when_nobody_reads_on() {
    let Some(scene) = Scene::of_two() else { return };
    let _daemon = scene.daemon();
    scene.speak("127.0.0.12");
    let program = fence_kdump_tests::programs::ours("fence_kdumpctl");
    let line = format!("{} watch -i 0.2 | head -n 1", program.display());
    let piped = fence_kdump_tests::Run::new("sh").args(["-c", &line]).inside(&scene.net).spawn();
    piped.wait_stdout_line("two: ", LIMIT);
    // The next change finds the pipe closed.
    until("it ends", || {
        scene.speak("127.0.0.12");
        scene.speak("127.0.0.11");
        !piped.is_running()
    });
    let _ = piped.wait_for(LIMIT).expect_success();
}

#[test]
fn on_a_terminal_it_is_drawn_in_place_and_leaves_no_trace() {
    if !requires(&[Need::Terminal]) {
        return;
    }
    let Some(scene) = Scene::of_two() else { return };
    let first = scene.daemon();
    let mut watch = scene.on_terminal("watch --interval 0.2", (70, 8)).open_stdin().spawn();
    let shown = |text: &str| until(text, || watch.stdout().contains(text));
    shown("2 nodes were never heard: one, two");
    scene.speak("127.0.0.12");
    shown("1 node was never heard: one");
    first.signal(Signal::KILL);
    shown("NO ANSWER for ");
    let second = scene.daemon();
    shown(&format!("(process {}) is new", second.pid()));
    // Control-C.
    watch.write_stdin(b"\x03").expect("it reads");
    let ended = watch.wait_for(LIMIT);
    assert_eq!(ended.code, Some(0), "{ended}");
    let text = &ended.stdout;
    assert_eq!(text.matches("\x1b[?1049h").count(), 1, "{ended:?}");
    assert!(text.trim_end().ends_with("\x1b[?25h\x1b[?1049l"), "{ended:?}");
    // Each frame begins at the top, and none is higher than the terminal.
    let frames: Vec<_> = text.split("\x1b[H").skip(1).collect();
    assert!(
        frames.len() > 3 && frames.iter().all(|frame| frame.matches('\n').count() < 8),
        "{ended:?}"
    );
}

/// As by the shell's job control, and by whoever ends the session.
#[test]
fn a_terminal_is_given_back_to_whoever_stops_or_ends_it() {
    if !requires(&[Need::Terminal]) {
        return;
    }
    let Some(scene) = Scene::of_two() else { return };
    let _daemon = scene.daemon();
    let watch = scene.on_terminal("watch --interval 0.2", (70, 8)).open_stdin().spawn();
    let count = |text: &str| watch.stdout().matches(text).count();
    until("it is drawn", || count("2 nodes were never heard") > 0);
    let children = format!("/proc/{0}/task/{0}/children", watch.pid());
    let children = std::fs::read_to_string(children).expect("it runs");
    let pid: i32 = children.trim().parse().expect("one child");
    let program = Pid::from_raw(pid).expect("a process");
    let signal = |signal| kill_process(program, signal).expect("it runs");
    signal(Signal::TSTP);
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    until("it is stopped", || stat().contains(") T "));
    // script(1) stops itself with its child, before it hands on what that has written.
    watch.signal(Signal::CONT);
    until("the terminal is given back", || count("\x1b[?1049l") == 1);
    signal(Signal::CONT);
    until("it is drawn again", || count("\x1b[?1049h") == 2);
    signal(Signal::TERM);
    let ended = watch.wait_for(LIMIT);
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.trim_end().ends_with("\x1b[?25h\x1b[?1049l"), "{ended:?}");
}
