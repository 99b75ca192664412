use super::*;
use crate::fleet::event::Kind;
use crate::sink::fields::tests::event;
use crate::sink::tests::{only, start, tell, until};
use std::path::Path;
use std::time::Instant;

/// A sink that runs `script` with a shell.
fn shell(script: &str, more: &str) -> String {
    let argv = serde_json::to_string(&["/bin/sh", "-c", script]).unwrap();
    format!("[[sink.command]]\nname = 'c'\nargv = {argv}\n{more}")
}

fn is_alive(pid: &str) -> bool {
    // A dead one that nobody waited for is not alive.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn the_event_is_in_the_environment_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = format!(
        "env | sort > {0}.new; echo \"$# $(pwd) $(ps -o pgid= -p $$ | tr -d ' ') $$\" >> {0}.new; cat >> {0}.new; \
         mv {0}.new {0}",
        out.display()
    );
    let (sinks, _) = start(&shell(&script, ""));
    sinks.tell(&Arc::new(event(3, "n1 $(touch x) `x` ; \0", Kind::Lost)));
    until("it ran", || only(&sinks).delivered == 1);
    let lines = lines(&out);
    let of_event: Vec<_> = lines.iter().filter(|line| line.starts_with("FENCE_KDUMP_")).collect();
    assert_eq!(
        of_event,
        [
            "FENCE_KDUMP_DONE=5",
            "FENCE_KDUMP_FROM=192.0.2.7",
            "FENCE_KDUMP_ID=h-1-3",
            "FENCE_KDUMP_KIND=lost",
            "FENCE_KDUMP_MESSAGES=2",
            "FENCE_KDUMP_NODE=n1 $(touch x) `x` ; \u{fffd}",
            "FENCE_KDUMP_PROOF=live",
            "FENCE_KDUMP_SESSION=h-1-n1 $(touch x) `x` ; \u{fffd}",
            "FENCE_KDUMP_TIME_MS=1700000000003",
        ]
    );
    // The shell adds PWD, SHLVL and `_`; nothing of this process but what is meant to be there.
    for line in &lines {
        let (name, _) = line.split_once('=').unwrap_or((line, ""));
        let known = KEPT.contains(&name) || ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name);
        assert!(
            known || name.starts_with("FENCE_KDUMP_") || line == lines.last().unwrap(),
            "{line}"
        );
    }
    let last: Vec<_> = lines.last().unwrap().split(' ').collect();
    let [arguments, folder, group, pid] = last[..] else { panic!("{last:?}") };
    assert_eq!((arguments, folder), ("0", "/"));
    assert_eq!(group, pid);
}

#[test]
fn the_event_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (sinks, _) = start(&shell(&format!("cat > {}", out.display()), "stdin = 'event'"));
    let told = event(3, "n1", Kind::Lost);
    sinks.tell(&Arc::new(told.clone()));
    until("it ran", || only(&sinks).delivered == 1);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.ends_with("}\n"));
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), told);
}

#[test]
fn a_program_that_does_not_read_is_fine() {
    let (sinks, _) = start(&shell("exec <&-; exit 0", "stdin = 'event'"));
    tell(&sinks, 20);
    until("all ran", || only(&sinks).delivered == 20);
}

#[test]
fn failures_are_counted_and_their_words_shown() {
    let (sinks, said) = start(&shell("echo one; echo two >&2; exit 3", ""));
    sinks.tell(&Arc::new(event(1, "n1", Kind::Started)));
    until("it ran", || only(&sinks).failed == 1);
    let expected = "'/bin/sh': exit status: 3; it wrote: one two";
    assert_eq!(only(&sinks).last_error.as_deref(), Some(expected));
    assert_eq!(*said.lock().unwrap(), [format!("c: started of n1: {expected}")]);
    let (sinks, _) = start(&shell("kill -9 $$", ""));
    tell(&sinks, 1);
    until("it ran", || only(&sinks).failed == 1);
    assert!(only(&sinks).last_error.unwrap().contains("signal: 9"));
    let (sinks, said) = start("[[sink.command]]\nargv = ['/nonesuch/program']");
    until("it is told before it matters", || !said.lock().unwrap().is_empty());
    assert!(said.lock().unwrap()[0].contains("'/nonesuch/program' cannot be started now"));
    tell(&sinks, 1);
    until("it was tried", || only(&sinks).failed == 1);
    let why = only(&sinks).last_error.unwrap();
    assert!(why.starts_with("'/nonesuch/program' cannot be started: No such file"), "{why}");
}

#[test]
fn of_much_output_the_end_is_shown() {
    let (sinks, _) = start(&shell("seq 1 200000; echo last words; exit 1", ""));
    tell(&sinks, 1);
    until("it ran", || only(&sinks).failed == 1);
    let why = only(&sinks).last_error.unwrap();
    assert!(why.contains("it wrote: ...") && why.ends_with("200000 last words"), "{why}");
    assert!(why.len() < SHOWN + 200, "{}", why.len());
}

#[test]
fn only_so_many_at_once_and_those_of_a_node_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (running, log) = (dir.path().join("running"), dir.path().join("log"));
    std::fs::create_dir(&running).unwrap();
    let script = format!(
        "touch {0}/$$; echo $(ls {0} | wc -l) $FENCE_KDUMP_NODE $FENCE_KDUMP_ID >> {1}; sleep 0.05; rm {0}/$$",
        running.display(),
        log.display()
    );
    let (sinks, _) = start(&shell(&script, "at_once = 3"));
    for number in 1..=24 {
        sinks.tell(&Arc::new(event(number, &format!("n{}", number % 4), Kind::Phase)));
    }
    until("all ran", || only(&sinks).delivered == 24);
    let lines = lines(&log);
    let most = lines.iter().map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(most.max(), Some(3));
    for node in 0..4 {
        let of_node = lines.iter().filter(|line| line.contains(&format!(" n{node} ")));
        let ids = of_node.map(|line| line.rsplit('-').next().unwrap().parse::<u64>().unwrap());
        assert!(ids.is_sorted(), "{lines:?}");
    }
}

#[test]
fn whoever_takes_too_long_is_stopped_with_all_that_he_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    // One that obeys, one that does not, each with a child of its own.
    let script = format!(
        "echo begun; [ $FENCE_KDUMP_NODE = n1 ] || trap '' TERM; sleep 60 & echo $$ $! >> {}; \
         while :; do sleep 60; done",
        pids.display()
    );
    let (sinks, _) = start(&shell(&script, "time_limit = '1s'"));
    let begin = Instant::now();
    tell(&sinks, 2);
    until("both are stopped", || only(&sinks).failed == 2);
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(10), "{took:?}");
    let why = only(&sinks).last_error.unwrap();
    assert_eq!(&*why, "'/bin/sh': stopped after 1s; it wrote: begun");
    let lines = lines(&pids);
    let pids: Vec<_> = lines.iter().flat_map(|line| line.split(' ')).collect();
    assert_eq!(pids.len(), 4);
    until("none is left", || !pids.iter().any(|pid| is_alive(pid)));
}

/// What somebody in the background keeps open is not waited for.
#[test]
fn a_child_that_stays_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let (sinks, _) = start(&shell(&format!("sleep 60 & echo $! > {}", file.display()), ""));
    tell(&sinks, 1);
    let begin = Instant::now();
    until("it ran", || only(&sinks).delivered == 1);
    assert!(begin.elapsed() < Duration::from_secs(20));
    let pid = lines(&file).remove(0);
    assert!(is_alive(&pid), "what a program leaves behind on purpose is its own affair");
    nix::sys::signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[test]
fn the_end_waits_for_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (sinks, _) =
        start(&shell(&format!("sleep 0.3; echo done >> {}", log.display()), "at_once = 2"));
    tell(&sinks, 4);
    sinks.finish(Duration::from_secs(20));
    assert_eq!(lines(&log).len(), 4);
}
