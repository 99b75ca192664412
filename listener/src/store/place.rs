//! The file of the memory, before SQLite has it: made if need be, in nobody else's reach.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::{custody, deputy};

/// The name of the file in the state directory.
pub(super) const NAME: &str = "replay.db";

/// A file that may be opened.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Whether it was made just now, and is empty.
    pub(super) is_new: bool,
    pub(super) identity: Identity,
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Of the file that has the name `path` now; `None` when there is none.
    ///
    /// It is never opened for that: closing any descriptor of it would drop SQLite's locks (`fcntl(2)`).
    pub(super) fn of(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().map(|file| Self(file.dev(), file.ino()))
    }
}

impl Place {
    /// The file in `dir`, which is made if `may_begin`, like the directory itself.
    ///
    /// If root has given `dir` to another user, root acts as that one, and has to do so from the first
    /// look on to the last write: see [`deputy::act_in`].
    pub(super) fn find(dir: &Path, may_begin: bool) -> Result<Self, StoreError> {
        let refused = |source| StoreError::Directory { path: dir.to_owned(), source };
        if may_begin {
            make_directory(dir).map_err(refused)?;
        }
        // SQLite, told not to follow links, follows none in the whole path.
        let dir = fs::canonicalize(dir).map_err(refused)?;
        let found = fs::metadata(&dir).map_err(refused)?;
        if !found.is_dir() {
            return Err(refused(io::ErrorKind::NotADirectory.into()));
        }
        let owner = deputy::act_in(&dir).map_err(refused)?.then(|| found.uid());
        check(&dir, &found, custody::WRITE, owner)?;
        let path = dir.join(NAME);
        let is_new = may_begin && make_file(&path, &dir)?;
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Moved { path });
            }
            Err(source) => return Err(StoreError::Directory { path, source }),
        };
        if !found.is_file() {
            let trouble = "it is no regular file".to_owned();
            return Err(StoreError::Unsafe { path, trouble });
        }
        check(&path, &found, custody::ANY, owner)?;
        Ok(Self { path, is_new, identity: Identity(found.dev(), found.ino()) })
    }
}

/// As [`custody::trouble`]; `acting_for` is the user in whose place this thread acts.
fn check(
    path: &Path,
    found: &Metadata,
    forbidden: u32,
    acting_for: Option<u32>,
) -> Result<(), StoreError> {
    match custody::trouble_with(found, forbidden, acting_for) {
        None => Ok(()),
        Some(trouble) => Err(StoreError::Unsafe { path: path.to_owned(), trouble }),
    }
}

fn make_directory(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => sync(dir.parent().unwrap_or(Path::new("/"))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // One that is there on a read-only file system answers like this.
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether it was made just now. SQLite would make it readable to others.
fn make_file(path: &Path, dir: &Path) -> Result<bool, StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let path = path.to_owned();
    match made {
        Ok(_) => match sync(dir) {
            Ok(()) => Ok(true),
            Err(source) => Err(StoreError::Directory { path, source }),
        },
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(false),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Err(StoreError::Full { path })
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Err(StoreError::ReadOnly { path })
            }
            _ => Err(StoreError::Directory { path, source: error }),
        },
    }
}

/// The name of a new file is only durable once its directory is.
fn sync(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
