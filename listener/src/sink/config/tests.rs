use super::*;
use crate::fleet::event::Kind;
use std::time::Duration;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    sink: SinkConfig,
}

fn read(text: &str) -> Result<SinkConfig, String> {
    toml::from_str::<Whole>(text).map(|whole| whole.sink).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_understood() {
    let config = read(include_str!("../example.toml")).unwrap();
    assert!(config.journal.enabled);
    let [command] = &config.command[..] else { panic!("{config:?}") };
    assert_eq!(command.argv.program(), "/usr/local/sbin/page");
    assert_eq!(command.argv.arguments(), ["--urgent"]);
    assert_eq!(command.stdin, Stdin::Event);
    assert_eq!(command.time_limit.get(), Duration::from_secs(20));
    let kinds = Kind::ALL.map(|kind| command.kinds.contain(kind));
    assert_eq!(kinds, [true, false, false, false, true, false]);
    let [webhook] = &config.webhook[..] else { panic!("{config:?}") };
    assert_eq!(webhook.url.uri().path(), "/hooks/kdump");
    assert_eq!((webhook.url.host(), webhook.url.port()), ("chat.example.org", 443));
    let nats = config.nats.unwrap();
    assert_eq!(nats.servers.all().len(), 3);
    assert_eq!(nats.replicas.unwrap().get(), 3);
    assert_eq!(nats.subject_prefix.as_str(), "fence_kdump.event");
}

#[test]
fn nothing_configured_is_the_journal_alone() {
    let config = read("").unwrap();
    assert_eq!(config, SinkConfig::default());
    assert!(config.journal.enabled && config.command.is_empty() && config.webhook.is_empty());
    assert_eq!(config.nats, None);
    assert!(!read("[sink.journal]\nenabled = false").unwrap().journal.enabled);
}

#[test]
fn defaults_are_those_that_are_documented() {
    let command = &read("[[sink.command]]\nargv = ['/bin/true']").unwrap().command[0];
    assert_eq!(command.time_limit.get(), Duration::from_secs(30));
    assert_eq!((command.at_once.get(), command.queue.get()), (4, 1024));
    assert!(Kind::ALL.into_iter().all(|kind| command.kinds.contain(kind)));
    let webhook = &read("[[sink.webhook]]\nurl = 'http://[::1]:81'").unwrap().webhook[0];
    assert_eq!((webhook.url.host(), webhook.url.port()), ("[::1]", 81));
    assert_eq!(webhook.max_age.get(), Duration::from_secs(3600));
    assert_eq!((webhook.attempts.get(), webhook.queue.get()), (20, 8192));
    let nats = read("[sink.nats]\nservers = ['192.0.2.1']").unwrap().nats.unwrap();
    assert_eq!(nats.servers.all()[0].port(), 4222);
    assert_eq!(nats.keep.get(), Duration::from_secs(365 * 86_400));
    assert_eq!(nats.duplicate_window.get(), Duration::from_secs(86_400));
    assert_eq!((nats.at_once.get(), nats.queue.get(), nats.replicas), (64, 16_384, None));
    assert_eq!((nats.stream.as_str(), nats.bucket.as_str()), ("FENCE_KDUMP", "fence_kdump_nodes"));
}

/// What is wrong is named, with its line.
#[test]
fn what_is_wrong_is_shown() {
    for (text, why) in [
        ("[sink.syslog]", "unknown field `syslog`"),
        ("[sink.journal]\nqueue = 15", "15 is not a number from 16 to 1000000"),
        ("[sink.journal]\nkinds = ['crashed']", "unknown variant `crashed`"),
        ("[[sink.command]]\nname = 'x'", "missing field `argv`"),
        ("[[sink.command]]\nargv = []", "no program"),
        ("[[sink.command]]\nargv = ['page']", "'page' does not begin with '/'"),
        ("[[sink.command]]\nargv = ['/bin/true']\nshell = true", "unknown field `shell`"),
        (
            "[[sink.command]]\nargv = ['/bin/true']\ntime_limit = '0s'",
            "'0s' is not a time from 1s to 1day",
        ),
        ("[[sink.command]]\nargv = ['/bin/true']\ntime_limit = 'soon'", "'soon' is not a time"),
        ("[[sink.command]]\nargv = ['/bin/true']\nat_once = -1", "-1 is not a number from 1 to 64"),
        ("[[sink.webhook]]\nurl = 'ftp://x/'", "neither 'https://' nor 'http://'"),
        ("[[sink.webhook]]\nurl = '/x'", "names no server"),
        ("[[sink.webhook]]\nurl = 'http://u:p@x/'", "bearer_token_file"),
        ("[[sink.webhook]]\nurl = 'http://x:0/'", "port is 0"),
        ("[[sink.webhook]]\nurl = 'http://x:70000/'", "no URL"),
        ("[[sink.webhook]]\nurl = 'http://x:/'", "no URL"),
        ("[sink.nats]\nservers = []", "0 servers"),
        ("[sink.nats]\nservers = ['http://x']", "'http://x' is not a server"),
        ("[sink.nats]\nservers = ['nats://u:p@x']", "password_file"),
        ("[sink.nats]\nservers = ['x']\nstream = 'a.b'", "'a.b' is not 1 to 64"),
        ("[sink.nats]\nservers = ['x']\nsubject_prefix = 'a..b'", "'a..b' is not a beginning"),
        ("[sink.nats]\nservers = ['x']\nsubject_prefix = 'a.>'", "'a.>' is not a beginning"),
        ("[sink.nats]\nservers = ['x']\nreplicas = 6", "6 is not a number from 1 to 5"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(why) && error.contains("line "), "{text}: {error}");
    }
}

#[test]
fn secrets_in_urls_are_not_shown() {
    let config = read("[[sink.webhook]]\nurl = 'https://x:1/hidden?hidden'").unwrap();
    assert!(!format!("{config:?}").contains("hidden"));
    assert_eq!(config.webhook[0].url.to_string(), "https://x:1");
    for text in
        ["[[sink.webhook]]\nurl = 'https://hidden@x'", "[sink.nats]\nservers = ['hidden@x']"]
    {
        let error = toml::from_str::<Whole>(text).unwrap_err();
        // The line that it quotes is the file's own.
        assert!(!error.message().contains("hidden"), "{error}");
    }
}
