use super::*;
use crate::fleet::event::Kind;
use fields::tests::event;
use serde::Deserialize;
use std::time::Instant;

#[derive(Deserialize)]
struct Whole {
    sink: SinkConfig,
}

/// What is said to people, kept.
pub(super) type Said = Arc<Mutex<Vec<String>>>;

/// The `[sink]` table of `text`, without the journal of this machine unless `text` has one.
pub(super) fn config(text: &str) -> SinkConfig {
    let journal =
        if text.contains("[sink.journal]") { "" } else { "[sink.journal]\nenabled = false" };
    toml::from_str::<Whole>(&format!("{journal}\n{text}")).unwrap().sink
}

/// Sinks as `text` configures them, and what they say.
pub(super) fn start(text: &str) -> (Sinks, Said) {
    let said = Said::default();
    let kept = Arc::clone(&said);
    let say: Say = Arc::new(move |_, line: &str| kept.lock().unwrap().push(line.to_owned()));
    (Sinks::start(&config(text), say).unwrap(), said)
}

/// Tells `count` events of as many nodes.
pub(super) fn tell(sinks: &Sinks, count: u64) {
    for number in 1..=count {
        sinks.tell(&Arc::new(event(number, &format!("n{number}"), Kind::Started)));
    }
}

/// The counters of the only sink.
pub(super) fn only(sinks: &Sinks) -> Counters {
    let mut counters = sinks.reader().counters();
    assert_eq!(counters.len(), 1, "{counters:?}");
    let counters = counters.remove(0);
    let Counters { told, delivered, dropped, failed, waiting, .. } = counters;
    assert_eq!(told, delivered + dropped + failed + waiting, "{counters:?}");
    counters
}

/// Waits until it is so, which it has to be soon.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_sinks_are_fine() {
    let (sinks, _) = start("");
    tell(&sinks, 3);
    assert_eq!(sinks.reader().counters(), []);
    sinks.finish(Duration::from_secs(5));
}

#[test]
fn two_sinks_of_one_name_are_refused() {
    let twice = "[[sink.command]]\nname = 'a'\nargv = ['/bin/true']\n\
                 [[sink.webhook]]\nname = 'a'\nurl = 'http://127.0.0.1/'";
    let error = Sinks::check(&config(twice)).unwrap_err().to_string();
    assert_eq!(error, "a: two sinks have this name; each needs its own");
}

#[test]
fn too_many_sinks_are_refused() {
    let many = "[[sink.command]]\nargv = ['/bin/true']\n".repeat(17);
    let error = Sinks::check(&config(&many)).unwrap_err().to_string();
    assert_eq!(error, "sink.command: 17 of them; there can be at most 16");
}

#[test]
fn only_the_kinds_that_are_asked_for() {
    let (sinks, _) = start("[[sink.command]]\nargv = ['/bin/true']\nkinds = ['lost', 'finished']");
    for (number, kind) in (1..).zip(Kind::ALL) {
        sinks.tell(&Arc::new(event(number, "n1", kind)));
    }
    assert_eq!(only(&sinks).told, 2);
    let reader = sinks.reader();
    sinks.finish(Duration::from_secs(10));
    assert_eq!(reader.counters()[0].delivered, 2);
}

#[test]
fn a_new_configuration_keeps_what_waits_and_what_was_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("told");
    // Each waits for the file `go`.
    let hold = format!(
        "[[sink.command]]\nname = 'a'\nat_once = 1\nargv = ['/bin/sh', '-c', \
         'until [ -e {0}/go ]; do sleep 0.02; done; echo $FENCE_KDUMP_NODE >> {1}']",
        dir.path().display(),
        file.display()
    );
    let (mut sinks, said) = start(&hold);
    tell(&sinks, 3);
    until("the first runs", || only(&sinks).waiting == 3);
    std::thread::sleep(Duration::from_millis(100));
    let broken =
        format!("{hold}\n[[sink.webhook]]\nurl = 'http://h/'\nbearer_token_file = '/nonesuch'");
    let error = sinks.reload(&config(&broken)).unwrap_err().to_string();
    assert!(error.starts_with("webhook-1: /nonesuch: cannot be read"), "{error}");
    let more = format!("{hold}\nqueue = 100\n[[sink.command]]\nname = 'b'\nargv = ['/bin/false']");
    sinks.reload(&config(&more)).unwrap();
    sinks.tell(&Arc::new(event(4, "n4", Kind::Lost)));
    std::fs::write(dir.path().join("go"), "").unwrap();
    until("all are there", || sinks.reader().counters()[0].delivered == 4);
    let told = std::fs::read_to_string(&file).unwrap();
    let mut told: Vec<_> = told.lines().collect();
    told.sort_unstable();
    assert_eq!(told, ["n1", "n2", "n3", "n4"]);
    let named = |counters: &Counters| (counters.name.to_string(), counters.told);
    let counters: Vec<_> = sinks.reader().counters().iter().map(named).collect();
    assert_eq!(counters, [("a".into(), 4), ("b".into(), 1)]);
    assert!(said.lock().unwrap().iter().all(|line| !line.contains("events are lost")), "{said:?}");
    sinks.finish(Duration::from_secs(10));
}

#[test]
fn what_a_sink_that_goes_leaves_behind_is_said() {
    let (mut sinks, said) =
        start("[[sink.webhook]]\nname = 'gone'\nurl = 'http://127.0.0.1:1/'\nat_once = 1");
    tell(&sinks, 3);
    until("a try was made", || only(&sinks).last_error.is_some());
    sinks.reload(&config("")).unwrap();
    assert_eq!(sinks.reader().counters(), []);
    let said = said.lock().unwrap().clone();
    // The one that is on its way is given up sooner or later.
    let is_told =
        |lost| said.contains(&format!("gone is no longer configured: {lost} events are lost"));
    assert!(is_told(2) || is_told(3), "{said:?}");
    tell(&sinks, 1);
}

#[test]
fn the_end_comes_in_time_and_tells_what_is_left() {
    let (sinks, said) =
        start("[[sink.webhook]]\nname = 'w'\nurl = 'http://127.0.0.1:1/'\nattempts = 1000");
    tell(&sinks, 7);
    let begin = Instant::now();
    sinks.finish(Duration::from_millis(300));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(*said.lock().unwrap(), ["w: 7 events were not delivered"]);
}

#[test]
fn files_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path();
    let check = |setting: &str| {
        let text = format!(
            "[[sink.webhook]]\nname = 'w'\nurl = 'https://h/'\n{setting} = '{}'",
            path.display()
        );
        Sinks::check(&config(&text)).map_err(|error| error.to_string())
    };
    let set = |mode, text: &str| {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let token = "bearer_token_file";
    for (setting, mode, text, why) in [
        (token, 0o644, "x", "its mode 0644 lets others read it: 'chown root' and 'chmod 600' it"),
        (token, 0o600, "", "empty"),
        (token, 0o600, "a\nb", "not one line of text"),
        (token, 0o600, "\n", "not one line of text"),
        (token, 0o600, "a\u{7f}", "not one line of text"),
        ("hmac_secret_file", 0o640, "0123456789abcdef", "its mode 0640 lets others read it"),
        ("hmac_secret_file", 0o600, "0123456789abcde\n", "a secret has to have 16 bytes or more"),
        ("ca_file", 0o666, "x", "its mode 0666 lets others write it"),
        ("ca_file", 0o644, "no PEM", "no certificates to believe"),
    ] {
        set(mode, text);
        let error = check(setting).unwrap_err();
        assert!(error.starts_with(&format!("w: {}: ", path.display())), "{error}");
        assert!(error.contains(why), "{setting} '{text}': {error}");
    }
    set(0o600, "some-token\n");
    check(token).unwrap();
    set(0o600, "0123456789abcdef");
    check("hmac_secret_file").unwrap();
}

/// Otherwise a server that is never let in would be all there is to see.
#[test]
fn what_nats_would_not_take_is_told_before() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |setting: &str, text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let servers = "[sink.nats]\nservers = ['nats://127.0.0.1']";
        let text = format!("{servers}\n{setting} = '{}'", file.path().display());
        Sinks::check(&config(&text)).map_err(|error| error.to_string())
    };
    let seed = format!("SU{}", "A".repeat(56));
    check("nkey_file", &seed).unwrap();
    for wrong in ["hunter2", &seed.replace("SU", "UU"), &seed.to_lowercase(), &seed[1..]] {
        let error = check("nkey_file", wrong).unwrap_err();
        assert!(error.ends_with("which begins with SU") && !error.contains(wrong), "{error}");
    }
    let error = check("credentials_file", "hunter2").unwrap_err();
    assert!(error.contains("nsc generate creds"), "{error}");
}
