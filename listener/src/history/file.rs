//! The file, before SQLite has it: made if need be, in nobody else's reach; set aside when damaged.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::HistoryError;
use crate::{custody, deputy};

/// The name of the file in the state directory.
pub const NAME: &str = "history.db";

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Of the file that has the name `path` now. It is never opened for that: closing any descriptor of it
    /// would drop SQLite's locks (`fcntl(2)`).
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().map(|file| Self(file.dev(), file.ino()))
    }
}

/// The file and its log. The index of the log is no part of what is written.
pub(super) type Place = [Option<Identity>; 2];

/// Which files they are.
pub(super) fn place(path: &Path) -> Place {
    ["", "-wal"].map(|part| Identity::of(&beside(path, part)))
}

/// Takes away what is left of a file, `before`, that was itself taken away: SQLite would take the log for one of the
/// file that is there now, and would empty the index of the log although somebody in this process may still
/// look into it, which ends the process.
pub(super) fn clear(path: &Path, before: Place) {
    let now = place(path);
    let is_same = |part: usize| before.get(part) == now.get(part);
    if is_same(0) {
        return;
    }
    let stale = [("-shm", true), ("-wal", is_same(1))];
    for (part, _) in stale.into_iter().filter(|(_, is_stale)| *is_stale) {
        // If it cannot be, the next opening tells.
        drop(fs::remove_file(beside(path, part)));
    }
}

/// `path` with something added to its name.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}

/// Where a damaged file is kept.
pub(super) fn aside(path: &Path) -> PathBuf {
    beside(path, ".damaged")
}

/// How many bytes the file and its log take, and the log alone.
pub(super) fn sizes(path: &Path) -> (u64, u64) {
    let size = |path: &Path| path.symlink_metadata().map_or(0, |file| file.len());
    let log = size(&beside(path, "-wal"));
    (size(path).saturating_add(log), log)
}

/// The file in `dir`; both are made when they are not there.
pub(super) fn find(dir: &Path) -> Result<PathBuf, HistoryError> {
    let refused = |source| HistoryError::Directory { path: dir.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        // One that is there on a read-only file system answers otherwise than that it exists.
        Err(_) if dir.is_dir() => {}
        Err(error) => return Err(refused(error)),
    }
    let path = existing(dir)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match made {
        Ok(file) => drop(file.sync_all()),
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists => {}
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                return Err(HistoryError::Full { path });
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                return Err(HistoryError::ReadOnly { path });
            }
            _ => return Err(HistoryError::Directory { path, source: error }),
        },
    }
    checked(path)
}

/// As [`custody::trouble`]; root may look on in the place of the user to whom it has given the directory.
fn trouble(of: &fs::Metadata, forbidden: u32) -> Option<String> {
    custody::trouble_with(of, forbidden, deputy::acting_for())
}

/// Where the file in `dir` is or would be.
pub(super) fn existing(dir: &Path) -> Result<PathBuf, HistoryError> {
    let refused = |source| HistoryError::Directory { path: dir.to_owned(), source };
    // SQLite, told not to follow links, follows none in the whole path.
    let dir = fs::canonicalize(dir).map_err(refused)?;
    let found = fs::metadata(&dir).map_err(refused)?;
    if !found.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    match trouble(&found, custody::WRITE) {
        Some(trouble) => Err(HistoryError::Unsafe { path: dir, trouble }),
        None => Ok(dir.join(NAME)),
    }
}

/// The file `path`, if it is one that may be read.
pub(super) fn checked(path: PathBuf) -> Result<PathBuf, HistoryError> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HistoryError::Missing { path });
        }
        Err(source) => return Err(HistoryError::Directory { path, source }),
    };
    let trouble = if found.is_file() {
        trouble(&found, custody::ANY)
    } else {
        Some("it is no regular file".to_owned())
    };
    match trouble {
        Some(trouble) => Err(HistoryError::Unsafe { path, trouble }),
        None => Ok(path),
    }
}

/// Sets a damaged file aside, so that a new one can be begun.
///
/// Its log goes: without the file it means nothing.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, aside(path))?;
    for part in ["-wal", "-shm"] {
        match fs::remove_file(beside(path, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
