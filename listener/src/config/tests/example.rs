//! The example is right, and says everything that can be said; so does the man page.

use super::*;

const EXAMPLE: &str = include_str!("../../../../dist/fence_kdumpd.toml");
const MAN: &str = include_str!("../../../../dist/man/fence_kdumpd.toml.5");

/// Every key of a table, by what is answered to one that does not exist.
fn keys(table: &str) -> Vec<String> {
    let error = parsed(&format!("{table}\nno_such_key = 1")).unwrap_err();
    let (_, expected) = error.what.split_once("expected ").unwrap();
    let names = expected.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// With every setting that is commented out: those lines have no space after the `#`.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_says_what_an_empty_file_says() {
    let config = parsed(EXAMPLE).unwrap();
    let empty = Config::default();
    assert_eq!((config.port, config.family), (empty.port, empty.family));
    assert_eq!((config.history, config.discovery), (empty.history, empty.discovery));
    assert_eq!(config.nodes.len(), 0);
}

#[test]
fn everything_in_the_example_is_right() {
    let list = tempfile::NamedTempFile::new().unwrap();
    let text = uncommented().replace("/etc/fence_kdump/nodes", list.path().to_str().unwrap());
    // The files of the web server would have to be there.
    let text = text.replace("listen = \"0.0.0.0", "listen = \"127.0.0.1");
    let is_file = |line: &&str| {
        !["token_file", "certificate_file", "private_key_file"]
            .iter()
            .any(|file| line.starts_with(file))
    };
    let (before, web) = text.split_once("[web]").unwrap();
    let (web, sink) = web.split_once("[sink.").unwrap();
    let web = web.lines().filter(is_file).collect::<Vec<_>>().join("\n");
    let text = format!("{before}[web]{web}\n[sink.{sink}");
    let config = parsed(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(config.nodes.len() >= 3);
    assert!(config.key_file.is_some());
}

#[test]
fn every_key_is_explained() {
    let text = uncommented();
    for table in [
        "",
        "[[node]]",
        "[discovery]",
        "[history]",
        "[web]",
        "[sink]",
        "[sink.journal]",
        "[[sink.command]]",
        "[[sink.webhook]]",
        "[sink.nats]",
    ] {
        let keys = keys(table);
        assert!(keys.len() > 1, "{table}: {keys:?}");
        // Of this table alone.
        let begin = format!("\n{table}\n");
        let parts = text.split(&begin).skip(1);
        let parts = parts.map(|part| part.split("\n[").next().unwrap_or_default());
        let section = parts.collect::<Vec<_>>().join("\n");
        let is_whole = table.is_empty() || section.is_empty();
        let section = if is_whole { &text } else { &section };
        for key in keys {
            let is_set = section.lines().any(|line| {
                let rest = line.strip_prefix(&*key).map(str::trim_start);
                rest.is_some_and(|rest| rest.starts_with('='))
                    || line.trim_matches(['[', ']']).trim_start_matches("sink.") == key
                    || line.starts_with(&format!("[{key}."))
            });
            assert!(is_set, "{table} {key} is not in the example");
            let macros = [format!(".It Ic {key}"), format!(".Ic {key}"), format!(".Ss {key}")];
            let is_told = macros.iter().any(|told| MAN.lines().any(|line| line.starts_with(told)));
            assert!(
                is_told || MAN.contains(&format!("sink.{key}")),
                "{table} {key}: not in the man page"
            );
        }
    }
}
