//! Why the history cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the history cannot be written or read. The daemon listens all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The directory is not there and cannot be made, or is no directory.
    #[error(
        "state directory {path}: {source}; it has to be one that the user of fence_kdumpd can write"
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing was written yet.
    #[error("history {path}: it is not there; the daemon makes it")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others than root and this user could make up what happened.
    #[error(
        "{path}: {trouble}, so others could make up what happened; 'chown root' and 'chmod go=' it"
    )]
    Unsafe {
        /// The directory or the file.
        path: PathBuf,
        /// What is wrong with it.
        trouble: String,
    },
    /// No room.
    #[error("history {path}: the disk is full; what happens now is lost until there is room again")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It can be read but not written.
    #[error("history {path}: it cannot be written (read-only file system or file?)")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// What is in it makes no sense.
    #[error(
        "history {path}: damaged: {trouble}; the daemon sets it aside as {aside}, and begins a new one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is kept.
        aside: PathBuf,
        /// What was found.
        trouble: String,
    },
    /// It was taken away while it was in use.
    #[error("history {path}: deleted or replaced while in use; it is opened, or begun, anew")]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// A database of something else.
    #[error("{path}: a database, but no history; choose another state directory")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("history {path}: of format {found}, but this program knows format {known}; update it")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The latest one that is known here.
        known: i64,
    },
    /// Others do not let go of it.
    #[error("history {path}: another process keeps it locked; only one daemon can write it")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A reader has kept the log from being emptied.
    #[error(
        "history {path}: some process has been reading it for so long that its log has {size} bytes; \
         end that process ('fuser {path}')"
    )]
    HeldUp {
        /// The file.
        path: PathBuf,
        /// Of the log.
        size: u64,
    },
    /// More happened than could be written.
    #[error(
        "history {path}: {room} events are waiting to be written already; what happens now is lost"
    )]
    Overrun {
        /// The file.
        path: PathBuf,
        /// How many may wait.
        room: usize,
    },
    /// It would take more than it may.
    #[error(
        "history {path}: the sessions that go on alone take more than {most} bytes; allow more"
    )]
    Small {
        /// The file.
        path: PathBuf,
        /// How much it may take.
        most: u64,
    },
    /// Something else.
    #[error("history {path}: {source}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl HistoryError {
    /// What `error` means for a person.
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        let damaged = |trouble: String| {
            let aside = super::file::aside(&path);
            Self::Damaged { path: path.clone(), aside, trouble }
        };
        let Some(code) = error.sqlite_error() else {
            return match error {
                // Nothing but damage makes the rows of our own queries anything else than they are.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => damaged(error.to_string()),
                source => Self::Failed { path, source },
            };
        };
        match code.code {
            ErrorCode::DiskFull => Self::Full { path },
            ErrorCode::ReadOnly => Self::ReadOnly { path },
            ErrorCode::CannotOpen if is_read_only(&path) => Self::ReadOnly { path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(error.to_string()),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { path },
            _ => Self::Failed { path, source: error },
        }
    }
}

/// SQLite says only that it cannot open the file's log.
fn is_read_only(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    path.parent().is_some_and(|folder| access(folder, AccessFlags::W_OK).is_err())
}
