//! Options on the command line, in the manner of GNU `getopt_long(3)`.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Kind, Opt, Settings, TABLE};

/// What the command line asks for.
#[derive(Debug)]
#[must_use]
pub enum Asked {
    /// To do something.
    Run(Settings),
    /// To print this to standard output and succeed: the usage, or the version.
    Tell(String),
    /// It is wrong: to print this to standard error and fail.
    Wrong(String),
}

/// The command line as clap sees it.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("fence_kdump")
        .about("Waits for the message that a node has crashed into its crash kernel")
        .after_help(
            "With no argument at all, options are read from standard input as key=value lines.\n\
             Exit status 0: the node is in its crash kernel. Anything else: it is not known to be.\n\
             See fence_kdump(8).",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_long_args(true)
        .args_override_self(true)
        // The stock agent does not look at further words.
        .arg(Arg::new("words").num_args(0..).hide(true));
    TABLE.iter().fold(command, |command, opt| command.arg(arg(opt)))
}

fn arg(opt: &'static Opt) -> Arg {
    let mut arg = Arg::new(opt.key).long(opt.long).help(opt.help);
    if let Some(short) = opt.short {
        arg = arg.short(short);
    }
    if let Some(default) = opt.default.filter(|_| opt.kind != Kind::Switch) {
        arg = arg.help(format!("{} [default: {default}]", opt.help));
    }
    match opt.kind {
        Kind::Text | Kind::Path | Kind::Number { .. } | Kind::Word(_) => arg
            .value_name(opt.metavar)
            .num_args(1)
            .allow_hyphen_values(true)
            .value_parser(move |value: &str| checked(opt, value)),
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::Degree => arg
            .value_name(opt.metavar)
            .action(ArgAction::Append)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(""),
        Kind::Tell if opt.long == "help" => arg.action(ArgAction::Help),
        Kind::Tell => arg.action(ArgAction::Version),
    }
}

/// Checked while clap reads, so that the first wrong word is the one that is told.
fn checked(opt: &'static Opt, value: &str) -> Result<String, super::OptionError> {
    Settings::default().set(opt, value)?;
    Ok(value.to_owned())
}

/// `-v2` is `--verbose=2` and `-vvv` is `--verbose=3`: clap has no optional value that is attached.
fn attached_degree(word: OsString) -> OsString {
    let Some(rest) = word.to_str().and_then(|word| word.strip_prefix("-v")) else {
        return word;
    };
    if rest.bytes().all(|byte| byte == b'v') {
        return OsString::from(format!("--verbose={}", rest.len().saturating_add(1)));
    }
    OsString::from(format!("--verbose={rest}"))
}

/// Understands the words after the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Asked {
    let mut operands = false;
    let words = words.into_iter().map(|word| {
        operands |= word == OsStr::new("--");
        if operands { word } else { attached_degree(word) }
    });
    let line = std::iter::once(OsString::from("fence_kdump")).chain(words);
    match command().try_get_matches_from(line) {
        Ok(matches) => match settings(&matches) {
            // A person who means the UDP port; from Pacemaker, `port` may be any word.
            Ok(Settings { port: Some(port), .. }) if port.bytes().all(|b| b.is_ascii_digit()) => {
                Asked::Wrong(format!("port: '{port}' names no node; the UDP port is --ipport"))
            }
            Ok(settings) => Asked::Run(settings),
            Err(error) => Asked::Wrong(error.to_string()),
        },
        Err(error) if error.use_stderr() => Asked::Wrong(first_line(&error)),
        Err(told) => Asked::Tell(told.render().to_string()),
    }
}

/// What is wrong, without clap's own heading and hints.
fn first_line(error: &clap::Error) -> String {
    use std::error::Error as _;
    if let Some(source) = error.source() {
        return source.to_string();
    }
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    format!("{line}; see fence_kdump --help")
}

fn settings(matches: &ArgMatches) -> Result<Settings, super::OptionError> {
    let mut settings = Settings::default();
    for opt in TABLE {
        match opt.kind {
            Kind::Switch if matches.get_flag(opt.key) => settings.set(opt, "1")?,
            Kind::Text | Kind::Path | Kind::Number { .. } | Kind::Word(_) => {
                if let Some(value) = matches.get_one::<String>(opt.key) {
                    settings.set(opt, value)?;
                }
            }
            Kind::Degree => {
                let values: Vec<_> =
                    matches.get_many::<String>(opt.key).into_iter().flatten().collect();
                if let [.., last] = values.as_slice() {
                    settings.set(opt, last)?;
                    let times = u8::try_from(values.len()).unwrap_or(u8::MAX);
                    settings.verbose = settings.verbose.max(times);
                }
            }
            Kind::Switch | Kind::Tell => {}
        }
    }
    if let Some(words) = matches.get_many::<String>("words") {
        let words: Vec<_> = words.map(String::as_str).collect();
        settings.remarks.push(format!(
            "'{}' is no option and means nothing here; the node is named with --nodename",
            words.join(" ")
        ));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Action, Family};
    use fence_kdump_core::Policy;
    use proptest::prelude::*;
    use std::path::Path;
    use std::time::Duration;

    fn ask(line: &str) -> Asked {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn run(line: &str) -> Settings {
        match ask(line) {
            Asked::Run(settings) => settings,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn as_getopt_long_would() {
        let full = run("--nodename a,b --ipport=7000 -f IPv6 -o Monitor -t7 -v2");
        assert_eq!(full.nodename, ["a", "b"]);
        assert_eq!((full.ipport, full.family), (7000, Family::Ipv6));
        assert_eq!((full.action, full.verbose), (Action::Monitor, 2));
        assert_eq!(full.timeout, Duration::from_secs(7));
        let short = run("--node=a,b --ip 7000 --fam ipv6 --a monitor --t 7 --verb=2");
        assert_eq!(short, full);
        assert_eq!(run("-p7000 -p7001").ipport, 7001);
        assert_eq!(run("-vvv").verbose, 3);
        assert_eq!(run("-v -v").verbose, 2);
        assert_eq!(run("-vn a").remarks.len(), 2, "as stock: the value of -v is n");
        assert_eq!(run("x -n a -- -o list").action, Action::Off);
        assert_eq!(run("-n -v2").nodename.len(), 1);
        assert_eq!(run("--port n4 --listen").port.as_deref(), Some("n4"));
        assert!(run("--listen-only").listen_only);
        let signed = run("--key-file /a/b --policy=Live --state-dir /c");
        assert_eq!(signed.key_file.as_deref(), Some(Path::new("/a/b")));
        assert_eq!(
            (signed.policy(), signed.state_dir.as_path()),
            (Ok(Policy::Live), Path::new("/c"))
        );
    }

    #[test]
    fn usage_errors_say_what_is_wrong() {
        for (line, said) in [
            ("--ver", "ver"),
            ("-Z", "-Z"),
            ("--nonsense", "--nonsense"),
            ("-n", "nodename"),
            ("-t 1x", "timeout: '1x' is not a number of seconds"),
            ("-t -1", "timeout: '-1'"),
            ("--timeout=", "timeout: ''"),
            ("-p 70000", "from 1 to 65535"),
            ("-f ipv9", "auto, ipv4, ipv6"),
            ("-o reboot", "use 'off'"),
            ("-o bad -h", "action: 'bad'"),
            ("--listen-only=1", "listen-only"),
            ("--policy none", "policy: 'none' is none of: plain, signed, live"),
            ("--key-file=", "key_file: '' is no name of a file"),
        ] {
            match ask(line) {
                Asked::Wrong(error) => {
                    assert!(error.contains(said), "{line}: {error}");
                    assert_eq!(error.lines().count(), 1, "{line}: {error}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn help_and_version_are_told() {
        for line in ["-h", "--help", "--he", "-h -o bad", "-n a -h", "-V", "-V -Z", "--verb -V"] {
            assert!(matches!(ask(line), Asked::Tell(_)), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_command_line_has_an_answer(words: Vec<Vec<u8>>) {
            use std::os::unix::ffi::OsStringExt;
            drop(parse(words.into_iter().map(OsString::from_vec)));
        }

        #[test]
        fn also_one_made_of_the_right_pieces(
            words in prop::collection::vec("--?[a-zV]{0,8}(=[a-z0-9,]{0,4})?|[a-z0-9]{0,3}|--", 0..8)
        ) {
            drop(parse(words.into_iter().map(OsString::from)));
        }
    }
}
