//! Why something cannot be remembered.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ErrorCode;
use rusqlite::ffi;
use thiserror::Error;

/// Why something cannot be remembered. What cannot be remembered is not believed, unless it is live.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory is not there and cannot be made, or is no directory.
    #[error(
        "state directory {path}: {source}; there has to be a directory that this user can write"
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than root and this user could set the memory back.
    #[error(
        "{path}: {trouble}, so others could make replays count; 'chown root' and 'chmod go=' it"
    )]
    Unsafe {
        /// The directory or the file.
        path: PathBuf,
        /// What is wrong with it.
        trouble: String,
    },
    /// The host's boot cannot be told from others.
    #[error("{path}: {source}; without it nobody knows by which clock a crash was heard")]
    NoClock {
        /// What the kernel was asked.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No room.
    #[error(
        "replay memory {path}: the disk is full; only live messages count until there is room again"
    )]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It can be read but not written.
    #[error("replay memory {path}: it cannot be written (read-only file system or file?)")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// What is in it makes no sense.
    #[error(
        "replay memory {path}: damaged: {trouble}; rotate the cluster key, since what was heard may count \
         again, and move the file away"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        trouble: String,
    },
    /// It was taken away while it was in use.
    #[error(
        "replay memory {path}: deleted or replaced while in use; put it back, or rotate the cluster key, \
         since what was heard may count again, and restart this program"
    )]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// A database of something else.
    #[error("{path}: a database, but no replay memory; choose another state directory")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error(
        "replay memory {path}: of format {found}, but this program knows format {known}; update it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The latest one that is known here.
        known: i64,
    },
    /// Others do not let go of it.
    #[error("replay memory {path}: another process has kept it locked for {waited:?}")]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// One node wants too much of it.
    #[error(
        "replay memory {path}: {crashes} crashes of {node} with one key; rotate the cluster key to hear of more"
    )]
    Crowded {
        /// The file.
        path: PathBuf,
        /// Whose.
        node: String,
        /// How many there are.
        crashes: u32,
    },
    /// The disk does not answer.
    #[error(
        "replay memory {path}: the disk has not answered for {waited:?}; only live messages count"
    )]
    Hangs {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// More messages are waiting to be remembered than there is room for.
    #[error("replay memory {path}: {room} messages are waiting to be written already")]
    Overrun {
        /// The file.
        path: PathBuf,
        /// How many may wait.
        room: usize,
    },
    /// The thread that keeps it has ended.
    #[error("replay memory {path}: the thread that keeps it has ended; restart this program")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// Something else.
    #[error("replay memory {path}: {source}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// What `error` means for a person.
    pub(super) fn of(path: &Path, waited: Duration, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let damaged = |trouble: String| Self::Damaged { path: path.clone(), trouble };
        let Some(code) = error.sqlite_error() else {
            return match error {
                // Nothing but damage makes the rows of our own queries anything else than they are.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => damaged(error.to_string()),
                source => Self::Failed { path, source },
            };
        };
        match (code.code, code.extended_code) {
            (_, ffi::SQLITE_READONLY_DBMOVED) => Self::Moved { path },
            (ErrorCode::DiskFull, _) => Self::Full { path },
            (ErrorCode::ReadOnly, _) => Self::ReadOnly { path },
            (ErrorCode::CannotOpen, _) if is_read_only(&path) => Self::ReadOnly { path },
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => damaged(error.to_string()),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Busy { path, waited },
            _ => Self::Failed { path, source: error },
        }
    }
}

/// SQLite says only that it cannot open the file's journal.
fn is_read_only(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    path.parent().is_some_and(|folder| access(folder, AccessFlags::W_OK).is_err())
}
