//! What `fence_kdumpctl` can be asked for. Its man page and its completions are made from this.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Keys for signed crash messages, and a look at what is known.
///
/// A cluster has one key, which its listeners share: fence_kdump and fence_kdumpd on every host that
/// fences. Each node has a key of its own, derived from it, which its crash kernel signs with. Keys are
/// in files that root alone can read, and appear nowhere else: not in arguments, not in what is
/// printed.
///
/// Every command explains itself with --help. Exit status 0: done. 1: not done, and standard error says
/// why. 2: wrong usage.
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
    /// Show who reads the UDP port on this host, and the state of every node
    ///
    /// Asks fence_kdumpd, or the agent that reads the port.
    Status {
        /// The UDP port
        #[arg(short = 'p', long = "ipport", value_name = "PORT", default_value_t = fence_kdump_core::PORT, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make, derive, list and rotate keys
    #[command(subcommand)]
    Key(Key),
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
