//! What the agent can be told: one table, from which come the command line, the keys of standard
//! input, the metadata and the checks of every value.

pub mod argv;
mod check;
pub mod stdin;

pub use check::{Action, Family, OptionError, Settings};

use crate::store::STATE_DIR;

/// The greatest number of names that one list may have; more are refused, never cut.
pub const MAX_NAMES: usize = 4096;

/// One option of the agent.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The key on standard input and the parameter's name in the metadata.
    pub key: &'static str,
    /// The long name on the command line.
    pub long: &'static str,
    /// The short name on the command line.
    pub short: Option<char>,
    /// What a value may be.
    pub kind: Kind,
    /// The value when none is given.
    pub default: Option<&'static str>,
    /// What stands for the value in a usage text; empty when there is none.
    pub metavar: &'static str,
    /// What it does, for people.
    pub help: &'static str,
}

/// What the value of an option may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// The name of a file or directory: any text but none at all.
    Path,
    /// A whole decimal number of `unit` from `least` to `most`.
    Number {
        /// What is counted.
        unit: &'static str,
        /// The least value.
        least: u64,
        /// The greatest value.
        most: u64,
    },
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A switch: no value on the command line, a word for yes or no on standard input.
    Switch,
    /// How much of something: no value, or a number.
    Degree,
    /// Prints something and ends; on the command line only.
    Tell,
}

/// Actions that are carried out, in the order in which they are told to people.
pub const ACTIONS: &[&str] = &["off", "monitor", "status", "list", "validate-all", "metadata"];

/// Every option there is.
///
/// Names, short names and defaults are those of the stock agent (`fence_kdump(8)` of
/// fence-agents), except `port`, `listen_only` and what has to do with keys; no new long name starts with a letter that a stock
/// long name starts with, so that every abbreviation that worked still works.
pub const TABLE: &[Opt] = &[
    Opt {
        key: "nodename",
        long: "nodename",
        short: Some('n'),
        kind: Kind::Text,
        default: None,
        metavar: "NODE[,NODE...]",
        help: "Names or IP addresses of the one node to be fenced, separated by commas: a message \
               from any address of any of them is enough. Needed for \"off\" unless \"port\" is given.",
    },
    Opt {
        key: "ipport",
        long: "ipport",
        short: Some('p'),
        kind: Kind::Number { unit: "port", least: 1, most: 65535 },
        default: Some("7410"),
        metavar: "PORT",
        help: "UDP port to listen on.",
    },
    Opt {
        key: "family",
        long: "family",
        short: Some('f'),
        kind: Kind::Word(&["auto", "ipv4", "ipv6"]),
        default: Some("auto"),
        metavar: "FAMILY",
        help: "Which addresses of the node count: \"auto\" (all of them), \"ipv4\" or \"ipv6\".",
    },
    Opt {
        key: "action",
        long: "action",
        short: Some('o'),
        kind: Kind::Word(ACTIONS),
        default: Some("off"),
        metavar: "ACTION",
        help: "What to do: \"off\", \"monitor\", \"status\", \"list\", \"validate-all\" or \"metadata\".",
    },
    Opt {
        key: "timeout",
        long: "timeout",
        short: Some('t'),
        kind: Kind::Number { unit: "seconds", least: 1, most: 2_147_483_647 },
        default: Some("60"),
        metavar: "TIMEOUT",
        help: "Seconds to wait for a message of the node, counted from the start.",
    },
    Opt {
        key: "port",
        long: "port",
        short: None,
        kind: Kind::Text,
        default: None,
        metavar: "NODE",
        help: "The node to be fenced, as Pacemaker names it. When it resolves and shares no address \
               with \"nodename\", only its own addresses count.",
    },
    Opt {
        key: "key_file",
        long: "key-file",
        short: None,
        kind: Kind::Path,
        default: None,
        metavar: "FILE",
        help: "File with the cluster keys, made by \"fence_kdumpctl key new\": with it, only messages \
               that are signed with the node's key count, unless \"policy\" says otherwise.",
    },
    Opt {
        key: "policy",
        long: "policy",
        short: None,
        kind: Kind::Word(&["plain", "signed", "live"]),
        default: None,
        metavar: "POLICY",
        help: "What a message has to prove: \"plain\" (it comes from an address of the node; the default \
               without \"key_file\"), \"signed\" (it is signed with the node's key and no replay; the \
               default with \"key_file\") or \"live\" (the node answers a challenge now).",
    },
    Opt {
        key: "state_dir",
        long: "state-dir",
        short: None,
        kind: Kind::Path,
        default: Some(STATE_DIR),
        metavar: "DIR",
        help: "Directory in which it is remembered what was heard, so that no signed message counts \
               twice. Used with \"key_file\" only.",
    },
    Opt {
        key: "listen_only",
        long: "listen-only",
        short: None,
        kind: Kind::Switch,
        default: Some("0"),
        metavar: "",
        help: "This host only listens: \"monitor\" and \"status\" do not ask whether it has a crash \
               kernel of its own.",
    },
    Opt {
        key: "verbose",
        long: "verbose",
        short: Some('v'),
        kind: Kind::Degree,
        default: None,
        metavar: "N",
        help: "Say more; twice, or with a number above 1, still more.",
    },
    Opt {
        key: "version",
        long: "version",
        short: Some('V'),
        kind: Kind::Tell,
        default: None,
        metavar: "",
        help: "Print the version and end.",
    },
    Opt {
        key: "usage",
        long: "help",
        short: Some('h'),
        kind: Kind::Tell,
        default: None,
        metavar: "",
        help: "Print the usage and end.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The long names of the stock agent.
    const STOCK: [&str; 8] =
        ["nodename", "ipport", "family", "action", "timeout", "verbose", "version", "help"];

    #[test]
    fn no_abbreviation_of_the_stock_agent_became_ambiguous() {
        for stock in STOCK {
            for len in 1..=stock.len() {
                let prefix = stock.get(..len).unwrap();
                let before = STOCK.iter().filter(|name| name.starts_with(prefix)).count();
                let now = TABLE.iter().filter(|o| o.long.starts_with(prefix)).count();
                assert_eq!(now, before, "--{prefix}");
            }
        }
    }

    #[test]
    fn every_default_is_a_value_that_would_be_accepted() {
        for option in TABLE {
            let Some(default) = option.default else {
                continue;
            };
            let mut settings = Settings::default();
            assert_eq!(settings.set(option, default), Ok(()), "{}", option.key);
            assert_eq!(settings, Settings::default(), "{}", option.key);
        }
    }
}
