//! What `fence_kdumpctl` can be asked for. Its man page and its completions are made from this.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::store::STATE_DIR;

/// Sees which nodes are in their crash kernels, and makes keys for signed crash messages
///
/// What is known now comes from fence_kdumpd, which reads the UDP port on this host; what was, from its
/// history. None of it is a verdict: only the agent, fence_kdump, says whether a node is fenced.
///
/// A cluster has one key, which its listeners share: fence_kdump and fence_kdumpd on every host that
/// fences. Each node has a key of its own, derived from it, which its crash kernel signs with. Keys are
/// in files that root alone can read, and appear nowhere else: not in arguments, not in what is
/// printed.
///
/// Every command explains itself with --help. Exit status 0: done; of "status NODE" and "wait": the node is
/// in its crash kernel. 1: not done, and standard error says why. 2: wrong usage. 3: the node is known, but not
/// known to be in its crash kernel. 4: there is no such node.
#[derive(Debug, Parser)]
#[command(name = "fence_kdumpctl", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show who reads the UDP port on this host, and how the nodes are
    ///
    /// Nodes that matter come first: those in their crash kernels, those that fell silent before they were
    /// done, then those that are done. Nodes that were never heard are counted. In a narrow terminal, what
    /// matters less is left out; to a file or a pipe, nothing is.
    ///
    /// Without fence_kdumpd, it tells which agent reads the port; an agent keeps no list of nodes.
    #[command(after_help = STATUS_CODES)]
    Status {
        /// Only this node, with all that is known of it: its name, or an address of it
        node: Option<String>,
        /// Whom to ask.
        #[command(flatten)]
        port: Port,
        /// Show all nodes, also those that were never heard
        #[arg(long, conflicts_with = "node")]
        all: bool,
        /// As one JSON object, with all nodes
        #[arg(long)]
        json: bool,
    },
    /// Show how the nodes are, all the time
    ///
    /// Until it is interrupted. On a terminal, the table is drawn in place; otherwise each change of a node is
    /// one line. It goes on when fence_kdumpd is started anew.
    Watch {
        /// Whom to ask.
        #[command(flatten)]
        port: Port,
        /// How often it looks, in seconds
        #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds_between)]
        interval: Duration,
        /// Show all nodes, also those that were never heard
        #[arg(long)]
        all: bool,
    },
    /// Show the dumps of the past, the latest first
    ///
    /// From the history that fence_kdumpd writes, whether or not it runs.
    History {
        /// Only of this node
        node: Option<String>,
        /// Only what changed in so long a time, such as 2days or 1h
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        since: Option<Duration>,
        /// How many at most
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// What happened one by one, instead of whole dumps
        #[arg(long)]
        events: bool,
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// Where fence_kdumpd keeps its state
        #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
        state_dir: PathBuf,
    },
    /// Wait until fence_kdumpd says that a node is in its crash kernel
    ///
    /// For scripts that prepare or report. It is no fencing: fence_kdumpd may have heard the node before
    /// this began, and only fence_kdump knows when that is too long ago. It waits on when fence_kdumpd is
    /// started anew.
    #[command(after_help = WAIT_CODES)]
    Wait {
        /// The node: its name, or an address of it
        node: String,
        /// Whom to ask.
        #[command(flatten)]
        port: Port,
        /// How long, in seconds; with 0, it looks once
        #[arg(short, long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
        timeout: Duration,
        /// Wait for one of these states instead [default: started,dumping]
        #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
        states: Vec<State>,
        /// Only what is heard after this began counts
        #[arg(long)]
        fresh: bool,
    },
    /// Show the nodes that are configured: what their messages have to prove, keys and addresses
    ///
    /// An address that two nodes have is marked: its messages count for neither. So is a node for which
    /// there is no key, and a name for which no address was found.
    Nodes {
        /// Whom to ask.
        #[command(flatten)]
        port: Port,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make, derive, list and rotate keys
    #[command(subcommand)]
    Key(Key),
    /// Plan how this host's crash kernel reaches the nodes
    ///
    /// For the image of the crash kernel, by the scripts that build it. What the running system knows of
    /// the way to each NODE is written down as fence_kdump.plan(5) has it: all its addresses, this host's own
    /// address, gateways, the network cards under VLANs, bonds, bridges and teams, and the modules of their
    /// drivers in the order in which they are loaded. With it, fence_kdump_send needs no name server, no udev and no
    /// network scripts. The options of fence_kdump_send stand in the plan as they are given here.
    ///
    /// What cannot be planned is told on standard error: InfiniBand, WLANs, tunnels. This host itself is left
    /// out, so that the list of nodes can be the same on all of them.
    #[command(infer_long_args = true)]
    Plan(Box<Plan>),
    /// Say what datagrams mean
    ///
    /// Reads one datagram a line from standard input, in hexadecimal, and prints one JSON object a line:
    /// {"message":{...}} or {"challenge":{...}} with what it says, or {"refused":"..."} with the cause. Their
    /// "mac" is "none", "right", "wrong", "unknown key", or without a key file "not checked".
    Decode {
        /// Verify authentication codes with the keys of this file
        #[arg(short = 'k', long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
}

const STATUS_CODES: &str = "With a NODE, exit status 0: it is in its crash kernel (started or dumping). \
    3: it is not known to be. 4: there is no such node. 1: nobody answers.";

const WAIT_CODES: &str = "Exit status 0: it is in its crash kernel, or in the state that was asked for. 3: it was \
    not for the whole time. 4: there is no such node. 1: nobody answered.";

/// Whom to ask.
#[derive(Debug, Clone, Copy, Args)]
pub struct Port {
    /// The UDP port
    #[arg(id = "port", short = 'p', long = "ipport", value_name = "PORT", default_value_t = fence_kdump_core::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub number: u16,
}

/// What to plan.
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Whom the crash kernel tells: names, whose addresses are all told, or addresses
    #[arg(required = true, value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Where to write it, with mode 0600 [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The version of the crash kernel [default: the one that runs]
    #[arg(long, value_name = "VERSION")]
    pub kernel: Option<String>,
    /// What the sender starts when the kernel started it as its first process
    #[arg(long, value_name = "PATH")]
    pub init: Option<PathBuf>,
    /// Who has the network in the crash kernel
    #[arg(long, value_enum, default_value_t = Mode::Link)]
    pub mode: Mode,
    /// What stands on the sender's own command line.
    #[command(flatten, next_help_heading = "Options of fence_kdump_send")]
    pub sender: Sender,
}

/// Who has the network in the crash kernel until the distribution's scripts set it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The sender alone: the kernel is told no address, so that nothing is in the way of these scripts
    Link,
    /// The kernel: the sender tells it the address
    Kernel,
}

/// What stands on the sender's own command line, which checks it: see fence_kdump_send(8).
#[derive(Debug, Clone, Default, Args)]
pub struct Sender {
    /// The UDP port
    #[arg(short = 'p', long, value_name = "PORT")]
    pub ipport: Option<String>,
    /// auto, ipv4 or ipv6: which addresses are told
    #[arg(short, long, value_name = "FAMILY")]
    pub family: Option<String>,
    /// How many messages
    #[arg(short, long, value_name = "N")]
    pub count: Option<String>,
    /// Seconds between two messages
    #[arg(short, long, value_name = "SECONDS")]
    pub interval: Option<String>,
    /// When the first messages go out
    #[arg(short, long, value_name = "TIMES")]
    pub burst: Option<String>,
    /// TTL or hop limit
    #[arg(short, long, value_name = "HOPS")]
    pub ttl: Option<String>,
    /// Send everything through this interface
    #[arg(short, long, value_name = "IF")]
    pub device: Option<String>,
    /// The node's own key, which has to be at the same place in the image
    #[arg(short, long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Whose key of the file
    #[arg(short, long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// plain, signed or both
    #[arg(short, long, value_name = "FORM")]
    pub message: Option<String>,
    /// Say on the console what happens; 2: also errors that repeat themselves
    #[arg(short, long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub verbose: Option<String>,
}

/// What a node can be waited for to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// It was heard once
    Started,
    /// It was heard again, or says that it writes its dump
    Dumping,
    /// It is done, or silent
    Finished,
    /// It fell silent before it was done
    Lost,
    /// It left its crash kernel
    Rebooted,
}

impl State {
    /// The two in which a node is in its crash kernel.
    pub const IN_CRASH_KERNEL: [Self; 2] = [Self::Started, Self::Dumping];

    /// As the daemon calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Dumping => "dumping",
            Self::Finished => "finished",
            Self::Lost => "lost",
            Self::Rebooted => "rebooted",
        }
    }
}

/// The longest time that can be given, in seconds: a day.
const LONGEST: u64 = 86_400;

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|number| *number <= LONGEST);
    let number = number.ok_or(format!("'{text}' is not a number of seconds from 0 to {LONGEST}"));
    number.map(Duration::from_secs)
}

fn seconds_between(text: &str) -> Result<Duration, String> {
    let is_number = text.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let number = text.parse::<f64>().ok().filter(|_| is_number);
    let number = number.filter(|number| (0.2..=3600.0).contains(number));
    let number = number.ok_or(format!("'{text}' is not a number of seconds from 0.2 to 3600"));
    number.map(Duration::from_secs_f64)
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make the cluster key
    ///
    /// Once for a cluster. Copy the file to every other host that listens, then derive a key for each
    /// node. A file that is there is never overwritten: to replace a key in use, rotate.
    New {
        /// Where to write it [default: /etc/fence_kdump/cluster.key]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a node's own key from the cluster key
    ///
    /// Whoever has it can speak for this node, and for no other. It belongs on the node as
    /// /etc/fence_kdump/node.key, and from there into its crash kernel's image.
    Derive {
        /// The node's name, as the listeners call it; upper and lower case are the same
        node: String,
        /// The file with the cluster key [default: /etc/fence_kdump/cluster.key]
        #[arg(short = 'k', long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Where to write it; - is standard output, if that is a pipe [default: NODE.node.key beside the
        /// cluster key]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Replace another key that is there, such as one from before a rotation
        #[arg(long)]
        force: bool,
    },
    /// Show which keys a file has: their ids, never the keys
    List {
        /// The key file [default: /etc/fence_kdump/cluster.key]
        #[arg(short = 'k', long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put a new cluster key before the present one, or remove the previous one
    ///
    /// While a rotation goes on, listeners believe both keys: copy the file to every host that listens, then
    /// derive each node's key anew and take it there, then finish. Nothing is believed less meanwhile.
    Rotate {
        /// The file with the cluster key [default: /etc/fence_kdump/cluster.key]
        #[arg(short = 'k', long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Remove the previous key: what was signed with it counts no more
        #[arg(long)]
        finish: bool,
        /// Finish even though keys of nodes beside the file are still from the previous key
        #[arg(long, requires = "finish")]
        force: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn times_are_checked() {
        let good = ["0", "60", "86400"];
        assert!(good.iter().all(|text| seconds(text).is_ok()));
        for bad in ["", "-1", "1.5", "86401", "1s", "nan"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds_between("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "0.1", "-1", "nan", "inf", "1e1", "3601"] {
            assert!(seconds_between(bad).is_err(), "{bad}");
        }
    }
}
