//! The daemon's command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fence_kdump_core::Policy;

use super::follow::Follow;
use crate::config::{MOST_CANDIDATES, PATH};

/// Hears crashed nodes all the time, tells what happens to them, and serves the agents of this host.
///
/// What it does is in a file, or on the command line for a few nodes. SIGHUP reads the file anew;
/// SIGTERM and SIGINT end the daemon, and whoever waits for a node takes the port over.
#[derive(Debug, Clone, Parser)]
#[command(name = "fence_kdumpd", version)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What else to do.
    #[command(subcommand)]
    pub task: Option<Task>,
    /// The configuration (TOML); without it and the options that stand in its place,
    /// /etc/fence_kdump/fence_kdumpd.toml if it is there.
    #[arg(short = 'c', long, value_name = "FILE", conflicts_with_all = INSTEAD)]
    pub config: Option<PathBuf>,
    /// What to do, in place of a file.
    #[command(flatten)]
    pub instead: Instead,
    /// Say more: one line for each datagram.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The names of [`Instead`]'s options.
const INSTEAD: [&str; 6] = ["nodes", "port", "key_file", "policy", "state_dir", "discover"];

/// What else the program can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Task {
    /// Read a configuration and all files that it names, say what is wrong, and start nothing.
    ///
    /// Exits with 0 when the daemon would take it, and with 1, after naming file, line and column, when not.
    CheckConfig {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = PATH)]
        file: PathBuf,
    },
}

/// What to do, in place of a file: any of these, and no file is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Instead {
    /// A node to follow and its addresses; may be given again and again.
    #[arg(long = "node", value_name = "NAME=ADDRESS[,ADDRESS...]")]
    pub nodes: Vec<Follow>,
    /// The UDP port [default: 7410].
    #[arg(short = 'p', long = "ipport", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The file with the cluster keys: with it, only messages that are signed with a node's key count,
    /// unless --policy says otherwise.
    #[arg(long = "key-file", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What a message has to prove: "plain", "signed" or "live".
    ///
    /// "plain": it comes from an address of the node (the default without --key-file). "signed": it is
    /// signed with the node's key, and no replay (the default with it). "live": the node answers a
    /// challenge now.
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<Policy>,
    /// Where it is remembered what was heard, so that no signed message counts twice, and what happened
    /// [default: /var/lib/fence_kdump].
    #[arg(long = "state-dir", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Show so many sources that are no node's as candidates; they are never believed.
    #[arg(long, value_name = "MOST", num_args = 0..=1, default_missing_value = "1000", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_CANDIDATES)))]
    pub discover: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_file_or_the_command_line() {
        let parse = |words: &[&str]| Options::try_parse_from([&["fence_kdumpd"], words].concat());
        assert!(parse(&["--config", "/x"]).is_ok());
        for word in
            ["--node=a=192.0.2.1", "--policy=live", "--ipport=7410", "--discover", "--state-dir=/x"]
        {
            assert_ne!(
                parse(&[word]).unwrap().instead,
                Instead::default(),
                "{word}: nothing is said"
            );
            assert!(parse(&[word, "--config", "/x"]).is_err(), "{word}");
            assert!(parse(&[word, "check-config"]).is_err(), "{word}");
        }
        assert_eq!(parse(&["-v"]).unwrap().instead, Instead::default());
        assert_eq!(parse(&["--discover"]).unwrap().instead.discover, Some(1000));
        assert!(parse(&["--discover", "0"]).is_err());
        assert!(matches!(
            parse(&["check-config"]).unwrap().task,
            Some(Task::CheckConfig { file }) if file == std::path::Path::new(PATH)
        ));
    }
}
