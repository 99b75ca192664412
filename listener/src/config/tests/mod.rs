mod example;
mod list;

use std::path::Path;
use std::time::Duration;

use fence_kdump_core::Policy;

use super::*;

fn parsed(text: &str) -> Result<Config, ConfigError> {
    parse(Path::new("f.toml"), text)
}

#[test]
fn an_empty_file_says_what_no_file_says() {
    let config = parsed("").unwrap();
    assert_eq!((config.port, config.family, config.policy), (7410, Family::Any, Policy::Plain));
    assert_eq!(config.state_dir, Path::new("/var/lib/fence_kdump"));
    assert_eq!((config.nodes.len(), config.discovery), (0, None));
    assert_eq!(config.history, Some(Limits::default()));
    let default = Config::default();
    assert_eq!((default.port, default.history), (config.port, config.history));
}

#[test]
fn everything_that_can_be_said() {
    let config = parsed(
        r#"
        port = 7411
        family = "ipv6"
        state_dir = "/srv/state"
        key_file = "/etc/keys"
        [[node]]
        name = "n1"
        [[node]]
        name = "n2"
        addresses = ["2001:db8::2", "n2.example.com"]
        policy = "LIVE"
        key_name = "n2.example.com"
        [[node]]
        name = "n3"
        addresses = []
        [discovery]
        enabled = true
        most = 7
        [history]
        keep = "1 day 12h"
        most = "20 MB"
        "#,
    )
    .unwrap();
    assert_eq!((config.port, config.family, config.policy), (7411, Family::Ipv6, Policy::Signed));
    assert_eq!(config.key_file.as_deref(), Some(Path::new("/etc/keys")));
    assert_eq!(config.discovery, Some(7));
    let keep = Duration::from_secs(36 * 3600);
    assert_eq!(config.history, Some(Limits { keep, most: 20_000_000 }));
    let nodes = &config.nodes;
    let [n1, n2, n3] = ["n1", "n2", "n3"].map(|name| nodes.named(name).unwrap());
    let policies = [n1, n2, n3].map(|id| nodes.policy(id).unwrap());
    assert_eq!(policies, [Policy::Signed, Policy::Live, Policy::Signed]);
    assert_eq!(nodes.at("2001:db8::2".parse().unwrap()), Some(n2));
    assert_eq!(nodes.signed_as("N2.example.com"), Some(n2));
    let names: Vec<_> = nodes.to_look_up().map(|(_, name)| name).collect();
    assert_eq!(names, ["n1", "n2.example.com"]);
}

#[test]
fn what_is_switched_off_is_not_there() {
    let config =
        parsed("[history]\nenabled = false\nkeep = \"1h\"\n[discovery]\nmost = 5").unwrap();
    assert_eq!((config.history, config.discovery), (None, None));
}

/// The place, and words that say what would be right.
#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    for (text, place, said) in [
        ("port = ", (1, 8), ""),
        ("\nport = 0", (2, 8), "a port number from 1 to 65535"),
        ("port = 65536", (1, 8), "a port number from 1 to 65535"),
        ("port = \"x\"", (1, 8), "without quotes"),
        ("[node]\nname = \"a\"", (1, 1), "[[node]]"),
        ("[sink.command]\nargv = [\"/a\"]", (1, 1), "double brackets"),
        ("[[node]]\nname = \"a\"\naddresses = \"::1\"", (3, 13), "brackets"),
        ("# ü\nfamily = \"ipv5\"", (2, 10), "`auto`, `ipv4`, `ipv6`"),
        ("prot = 1", (1, 1), "expected one of `port`, `family`"),
        ("policy = \"plane\"", (1, 10), "none of: plain, signed, live"),
        ("policy = \"live\"", (1, 10), "set key_file"),
        ("key_file = \"keys\"", (1, 12), "begin with a slash"),
        ("state_dir = \"\"", (1, 13), "begin with a slash"),
        ("[[node]]\nnam = \"a\"", (2, 1), "expected one of `name`"),
        ("[[node]]\naddresses = []", (1, 1), "missing field `name`"),
        ("[[node]]\nname = \"a b\"", (2, 8), "without spaces"),
        ("[[node]]\nname = \"ä\"  # ü", (2, 8), "ASCII"),
        ("[[node]]\nname='a'\n[[node]]\nname = 'A'", (4, 8), "name of another node"),
        ("[[node]]\nname='a'\n[[node]]\nname='b'\nkey_name = 'A'", (5, 12), "name of another node"),
        (
            "[[node]]\nname='a'\naddresses=['10.0.0.1']\n[[node]]\nname='b'\naddresses = ['::1',\n  '10.0.0.1']",
            (7, 3),
            "10.0.0.1 is an address of node a already",
        ),
        ("[[node]]\nname='a'\naddresses = ['x y']", (3, 14), "nor a host name"),
        ("[[node]]\nname='a'\naddresses = []", (3, 13), "or let it sign"),
        ("[[node]]\nname='a'\npolicy = 'signed'", (3, 10), "set key_file"),
        ("[discovery]\nmost = 0", (2, 8), "from 1 to 100000"),
        ("[history]\nkeep = \"9 fortnights\"", (2, 8), "'90 days'"),
        ("[history]\nkeep = \"0s\"", (2, 8), "no time at all"),
        ("[history]\nmost = \"a lot\"", (2, 8), "'256 MiB'"),
        ("[history]\nmost = \"1 MiB\"", (2, 8), "16.0 MiB at least"),
        ("\n[web]\nlisten = \"192.0.2.1:7412\"", (2, 1), "token_file"),
        ("[web]\nlistne = 1", (2, 1), "expected one of `listen`"),
        ("[web]\nconnections = 1", (1, 1), "from 8 to 10000"),
        ("[[sink.webhook]]\nurl = \"x\"", (2, 7), "http"),
        ("[sink.nats]\nserver = []", (2, 1), "`servers`"),
        ("nodes_file = \"/nonexistent/nodes\"", (1, 14), "/nonexistent/nodes cannot be read"),
    ] {
        let error = parsed(text).unwrap_err();
        assert_eq!(error.place, Some(place), "{text}: {error}");
        assert!(error.what.contains(said), "{text}: {error}");
        let shown = format!("f.toml:{}:{}: ", place.0, place.1);
        assert!(error.to_string().starts_with(&shown), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.toml");
    let said = |path: &Path| check(path).unwrap_err().to_string();
    assert!(said(&path).contains("cannot be read"), "{}", said(&path));
    assert!(said(folder.path()).contains("no regular file"));
    fs::write(&path, b"port = 1\n# \xff").unwrap();
    assert!(said(&path).ends_with("f.toml:2:3: this is not UTF-8"), "{}", said(&path));
    fs::File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
    assert!(said(&path).contains("nodes_file is the form"), "{}", said(&path));
    fs::write(&path, "port = 7").unwrap();
    assert_eq!(check(&path).unwrap().port, 7);
}

proptest::proptest! {
    #[test]
    fn every_text_has_an_answer(text: String) {
        drop(parsed(&text));
    }

    #[test]
    fn every_list_has_an_answer(bytes in proptest::collection::vec(0..128_u8, 0..200)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        drop(parsed(&format!("nodes_file = {:?}", file.path())));
    }
}
