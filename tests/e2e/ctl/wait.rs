//! Until a node is in its crash kernel.

use super::{LIMIT, Scene};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[test]
fn it_waits_for_the_node_and_for_no_other() {
    let Some(scene) = Scene::of_two() else { return };
    let daemon = scene.daemon();
    let waiting = scene.ctl("wait one --timeout 60").spawn();
    scene.speak("127.0.0.12");
    daemon.wait_stderr_line("two (127.0.0.12): started", LIMIT);
    let other = scene.run("wait one --timeout 1");
    assert_eq!(other.code, Some(3), "{other}");
    assert_eq!(other.stdout, "one: not known to be in its crash kernel: unheard, never heard\n");
    assert!(waiting.is_running());
    scene.speak("127.0.0.11");
    let done = waiting.wait_for(LIMIT).expect_success();
    assert!(done.stdout.starts_with("one: in its crash kernel: started, heard "), "{done}");
    let _ = scene.run("wait 127.0.1.11 --timeout 0").expect_success();
    let state = scene.run("wait one --timeout 1 --state finished,lost");
    assert_eq!(state.code, Some(3), "{state}");
    let _ = scene.run("wait one --timeout 1 --state lost --state started").expect_success();
    assert_eq!(scene.run("wait one --state crashed").code, Some(2));
    assert_eq!(scene.run("wait one --timeout -1").code, Some(2));
    let unknown = scene.run("wait three --timeout 60");
    assert_eq!(unknown.code, Some(4), "{unknown}");
    assert!(unknown.stderr.contains("knows one, two"), "{unknown}");
    assert!(unknown.elapsed < LIMIT);
}

/// What was heard before is no news.
#[test]
fn only_what_is_heard_since_then_is_fresh() {
    let Some(scene) = Scene::of_two() else { return };
    let daemon = scene.daemon();
    scene.speak("127.0.0.11");
    daemon.wait_stderr_line("one (127.0.0.11): started", LIMIT);
    let stale = scene.run("wait one --fresh --timeout 1");
    assert_eq!(stale.code, Some(3), "{stale}");
    let waiting = scene.ctl("wait one --fresh --timeout 60").spawn();
    let began = Instant::now();
    // It may begin late: so it is told again.
    while waiting.is_running() && began.elapsed() < LIMIT {
        scene.speak("127.0.0.11");
        std::thread::sleep(Duration::from_millis(200));
    }
    let _ = waiting.wait_for(LIMIT).expect_success();
}

#[test]
fn it_waits_on_for_a_daemon_that_is_started_anew() {
    let Some(scene) = Scene::of_two() else { return };
    let first = scene.daemon();
    let waiting = scene.ctl("wait two --timeout 100").spawn();
    let at_once = scene.run("wait two --timeout 0");
    assert_eq!(at_once.code, Some(3), "{at_once}");
    first.signal(Signal::KILL);
    waiting.wait_stderr_line("; waiting on", LIMIT);
    let second = scene.daemon();
    waiting.wait_stderr_line(&format!("process {} answers", second.pid()), LIMIT);
    scene.speak("127.0.0.12");
    let done = waiting.wait_for(LIMIT).expect_success();
    assert!(done.stdout.starts_with("two: in its crash kernel"), "{done}");
}
