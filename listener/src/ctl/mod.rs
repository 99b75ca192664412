//! `fence_kdumpctl`: what administrators do by hand.
//!
//! | module | its one truth |
//! |---|---|
//! | [`command`] | what can be asked for; the man page and the completions come from it |
//! | [`ask`] | whom to ask, and what may come of it |
//! | [`status`] | how the nodes are |
//! | [`one`] | how one node is |
//! | [`watch`] | how they are, all the time |
//! | [`wait`] | until one is in its crash kernel |
//! | [`nodes`] | what is configured of them |
//! | [`past`] | what was |
//! | [`table`], [`words`], [`screen`] | how people see it |
//! | [`make`] | new keys, and keys of nodes |
//! | [`list`] | which keys a file has |
//! | [`rotate`] | one cluster key after the other |
//! | [`decode`] | what a datagram says |
//! | [`plan`] | how the crash kernel reaches the nodes |

pub mod ask;
pub mod command;
pub mod decode;
pub mod list;
pub mod make;
pub mod nodes;
pub mod one;
pub mod past;
pub mod plan;
pub mod rotate;
pub mod screen;
pub mod status;
pub mod table;
pub mod wait;
pub mod watch;
pub mod words;

use std::io;
use std::path::{Path, PathBuf};

use fence_kdump_core::KeyId;
use thiserror::Error;

use crate::control::query::QueryError;
use crate::history::HistoryError;
use crate::keys::rotation::RotationError;
use crate::keys::write::WriteError;
use crate::keys::{CLUSTER_KEY_FILE, KeyFileError};
use command::{Action, Key, Options};

/// Why it was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody answers.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Nobody who answers keeps a list of nodes.
    #[error(
        "process {pid} ({program}) reads UDP port {port} and knows no nodes: fence_kdumpd does not run"
    )]
    NoList {
        /// Who answers.
        program: String,
        /// Its process.
        pid: u32,
        /// The port.
        port: u16,
    },
    /// Nobody has that name or address.
    #[error("{node:?}: no such node: {known}")]
    NoNode {
        /// What was asked for.
        node: String,
        /// What there is instead.
        known: String,
    },
    /// The past cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A key file is not as it should be.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A key file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A cluster key is there already.
    #[error(
        "{0}: is there already, and in use; 'fence_kdumpctl key rotate' puts a new key in its place"
    )]
    HasKey(PathBuf),
    /// Another key is in the file that the node's key should go to.
    #[error("{path}: has {has} already; with --force the new key takes its place")]
    HasOther {
        /// The file.
        path: PathBuf,
        /// What it has.
        has: String,
    },
    /// What is there is not the key of one node.
    #[error(
        "{path}: is there already, and not the file of one node's key: {why}; choose another name"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// Only node keys.
    #[error("{0}: holds no cluster key to derive from; do this where the cluster key is")]
    NoCluster(PathBuf),
    /// No message can carry it.
    #[error("{0:?}: no name of a node, which is 1 to 253 characters, '!' to '~'")]
    NoName(String),
    /// It does not fit the name of a file.
    #[error("{0:?}: no name for a file; say with --out where to write the key")]
    NoFileName(String),
    /// Everybody could read along.
    #[error(
        "standard output is {0}, and a key is for nobody's eyes; use --out FILE, or '--out - | ...'"
    )]
    Exposed(String),
    /// The rotation does not go on.
    #[error("{path}: {source}")]
    Rotation {
        /// The key file.
        path: PathBuf,
        /// Why.
        source: RotationError,
    },
    /// Somebody else is at it.
    #[error("{0}: is just being changed by another process; try again")]
    Contended(PathBuf),
    /// Nodes that would be believed no more.
    #[error(
        "still from {previous}, which ends with this: {nodes}; derive them anew, or use --force"
    )]
    StillNeeded {
        /// Names and files.
        nodes: String,
        /// The key that would end.
        previous: KeyId,
    },
    /// The system has no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(#[from] getrandom::Error),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// Reading or writing fails.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    /// Never, since all that is written here is plain text.
    #[error("as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What came of it, when it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Done {
    /// What is to be said to the person who asked, without the end of the last line.
    pub text: String,
    /// The exit status; see [`code`].
    pub code: u8,
}

impl From<String> for Done {
    fn from(text: String) -> Self {
        Self { text, code: code::DONE }
    }
}

/// Exit statuses, for scripts.
pub mod code {
    /// Done; of a node, it is in its crash kernel.
    pub const DONE: u8 = 0;
    /// Not done.
    pub const FAILED: u8 = 1;
    /// The node is not known to be in its crash kernel. (2 is wrong usage.)
    pub const NOT_KNOWN: u8 = 3;
    /// There is no such node.
    pub const NO_NODE: u8 = 4;
}

impl Failure {
    /// The exit status.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::NoNode { .. } => code::NO_NODE,
            _ => code::FAILED,
        }
    }
}

/// Does what was asked for.
///
/// # Errors
/// Why it was not done.
pub fn run(options: Options) -> Result<Done, Failure> {
    let text = match options.action {
        Action::Status { node: Some(node), port, json, .. } => {
            return one::run(port.number, node, json);
        }
        Action::Status { node: None, port, all, json } => status::run(port.number, all, json),
        Action::Watch { port, interval, all } => watch::run(port.number, interval, all),
        Action::Wait { node, port, timeout, states, fresh } => {
            return wait::run(port.number, &wait::Goal { node, timeout, states, fresh });
        }
        Action::Nodes { port, json } => nodes::run(port.number, json),
        Action::History { node, since, limit, events, json, state_dir } => {
            let want = past::Want { node, since, limit, json };
            past::run(&state_dir, &want, events)
        }
        Action::Key(Key::New { out }) => make::new(out.as_deref()),
        Action::Key(Key::Derive { node, key_file, out, force }) => {
            make::derive(&node, or_default(key_file.as_deref()), out.as_deref(), force)
        }
        Action::Key(Key::List { key_file, json }) => {
            list::run(or_default(key_file.as_deref()), json)
        }
        Action::Key(Key::Rotate { key_file, finish: false, .. }) => {
            rotate::begin(or_default(key_file.as_deref()))
        }
        Action::Key(Key::Rotate { key_file, finish: true, force }) => {
            rotate::finish(or_default(key_file.as_deref()), force)
        }
        Action::Plan(plan) => plan::run(&plan),
        Action::Decode { key_file } => decode::run(key_file.as_deref()),
    };
    text.map(Done::from)
}

fn or_default(key_file: Option<&Path>) -> &Path {
    key_file.unwrap_or(Path::new(CLUSTER_KEY_FILE))
}

/// Has the kernel write no memory of this process to a file, whatever happens to it: keys are in it.
pub fn leave_no_core_dump() {
    use nix::sys::resource::{Resource, setrlimit};
    // It can only become smaller, which nobody is forbidden.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}
