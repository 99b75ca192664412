//! What is wrong with a key file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fence_kdump_core::KeyId;
use thiserror::Error;

use super::LARGEST;

/// What is wrong with a key file: where, what, and what to do. Never contains a key, nor any other part of a
/// line that was not understood, since that may be one.
#[derive(Debug)]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1, when it is about one.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl KeyFileError {
    /// About the whole file.
    pub(super) fn of(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_owned(), line: None, fault }
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, fault) = (self.path.display(), &self.fault);
        match self.line {
            Some(line) => write!(f, "{path}, line {line}: {fault}"),
            None => write!(f, "{path}: {fault}"),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// One cause that a person can act on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    #[error(
        "no such file; 'fence_kdumpctl key new' makes a cluster key, \
         'fence_kdumpctl key derive NODE' the key of a node"
    )]
    Missing,
    /// The system does not let it be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// A directory, a device, a pipe.
    #[error("no regular file")]
    NotAFile,
    /// Others can read or change it.
    #[error(
        "{0}, so its keys may be known to others: 'chown root' and 'chmod 600' it, and if somebody may \
         have read it, run 'fence_kdumpctl key rotate'"
    )]
    Exposed(String),
    /// More than any key file has.
    #[error("{0} bytes; a key file has at most {LARGEST}")]
    TooLarge(u64),
    /// It grew or shrank meanwhile.
    #[error("changed while it was read; try again")]
    Changed,
    /// There is no key in it.
    #[error("holds no key; it needs a line 'cluster KEYID KEY' or 'node KEYID KEY CHECK NAME'")]
    Empty,
    /// Bytes that no line of a key file has.
    #[error("other characters than letters, digits and punctuation (ASCII), and spaces in between")]
    NotText,
    /// From another operating system.
    #[error("ends with a carriage return; save the file with line ends as Unix has them")]
    CarriageReturn,
    /// Spaces stand between words only.
    #[error("begins or ends with a space; remove it")]
    OuterSpace,
    /// Neither of the two kinds of line.
    #[error("begins with neither 'cluster' nor 'node', nor with '#'")]
    UnknownKind,
    /// Too few or too many words.
    #[error("{found} words; it has to be '{form}'")]
    Words {
        /// How many there are.
        found: usize,
        /// What there should be.
        form: &'static str,
    },
    /// A word that should be hexadecimal.
    #[error("{what} has to be {digits} hexadecimal digits, not {found} characters like these")]
    NotHexadecimal {
        /// Which word.
        what: &'static str,
        /// How many digits it should have.
        digits: usize,
        /// How many characters it has.
        found: usize,
    },
    /// KEYID or CHECK are not those of the key.
    #[error("{what} says {said}, but the key's is {is}: the line was damaged; copy it anew")]
    Damaged {
        /// Which word.
        what: &'static str,
        /// What the file says.
        said: KeyId,
        /// What it would have to be for this key.
        is: KeyId,
    },
    /// Not a name that a message can carry.
    #[error("NAME has to be 1 to 253 characters, '!' to '~'")]
    BadName,
    /// One more than during a rotation.
    #[error(
        "a third cluster key; there is a current one and at most one previous, so remove the oldest \
         or run 'fence_kdumpctl key rotate --finish' first"
    )]
    ThirdCluster,
    /// The same id twice.
    #[error("a second cluster key with the id {0}; remove one of them")]
    SameCluster(KeyId),
    /// The same node and the same id twice.
    #[error("a second key of node {name} with the id {key_id}; remove one of them")]
    SameNode {
        /// Whose.
        name: String,
        /// Derived from which cluster key.
        key_id: KeyId,
    },
    /// A node key beside the cluster key that it claims to come from, and does not.
    #[error(
        "the key of node {name} is not the one that comes from cluster key {key_id} in this file; \
         derive it anew"
    )]
    NotDerived {
        /// Whose.
        name: String,
        /// Derived from which cluster key.
        key_id: KeyId,
    },
}
