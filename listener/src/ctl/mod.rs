//! `fence_kdumpctl`: what administrators do by hand.
//!
//! | module | its one truth |
//! |---|---|
//! | [`command`] | what can be asked for; the man page and the completions come from it |
//! | [`status`] | what whoever holds the port knows |
//! | [`make`] | new keys, and keys of nodes |
//! | [`list`] | which keys a file has |
//! | [`rotate`] | one cluster key after the other |
//! | [`decode`] | what a datagram says |

pub mod command;
pub mod decode;
pub mod list;
pub mod make;
pub mod rotate;
pub mod status;

use std::io;
use std::path::{Path, PathBuf};

use fence_kdump_core::KeyId;
use thiserror::Error;

use crate::control::query::QueryError;
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
    /// Reading or writing fails.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    /// Never, since all that is written here is plain text.
    #[error("as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Does what was asked for. Returns what is to be said to the person who asked.
///
/// # Errors
/// Why it was not done.
pub fn run(options: Options) -> Result<String, Failure> {
    match options.action {
        Action::Status { port, json } => status::run(port, json),
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
        Action::Decode { key_file } => decode::run(key_file.as_deref()),
    }
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
