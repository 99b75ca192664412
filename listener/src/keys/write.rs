//! How a key file is written: all of it or nothing, for its owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Why a key file was not written. What was there before is still there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file of that name is there already.
    #[error("{0}: is there already, and was left as it is")]
    Exists(PathBuf),
    /// The system refuses.
    #[error("{path}: cannot {doing}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// At which step.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Writes a new file `path` that its owner alone can read, to the disk.
///
/// # Errors
/// [`WriteError::Exists`] when there is anything of that name, even if it came this very moment.
pub fn create(path: &Path, text: &[u8]) -> Result<(), WriteError> {
    let new = Draft::write(path, text, None)?;
    // Unlike a renaming, a link takes no other file's place.
    fs::hard_link(&new.path, path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
        _ => refused(path, "link the new file to its name", error),
    })?;
    drop(new);
    sync_directory(path)
}

/// Puts a file with `text` in the place of `path`, of the same owner, to the disk. Whoever reads it meanwhile
/// gets the old one or the new one.
///
/// # Errors
/// When the system refuses.
pub fn replace(path: &Path, text: &[u8]) -> Result<(), WriteError> {
    // The file itself, not a link to it.
    let path = &fs::canonicalize(path).map_err(|error| refused(path, "find it", error))?;
    let owner = fs::metadata(path).map_err(|error| refused(path, "look at it", error))?;
    let new = Draft::write(path, text, Some((owner.uid(), owner.gid())))?;
    fs::rename(&new.path, path).map_err(|error| refused(path, "put the new file there", error))?;
    drop(new);
    sync_directory(path)
}

/// Makes the directory of `path` when it is not there. Everybody can look into it, and nobody else change it: the
/// configuration of the daemon, which has a user of its own, is in the same one. Keys are closed each by itself.
///
/// # Errors
/// When the system refuses.
pub fn make_directory(path: &Path) -> Result<(), WriteError> {
    let dir = directory(path);
    match DirBuilder::new().mode(0o755).create(dir) {
        Ok(()) => sync_directory(dir),
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(refused(dir, "make this directory", error)),
    }
}

fn refused(path: &Path, doing: &'static str, source: io::Error) -> WriteError {
    WriteError::Refused { path: path.to_owned(), doing, source }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name is only durable once its directory is.
fn sync_directory(path: &Path) -> Result<(), WriteError> {
    let dir = directory(path);
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| refused(dir, "write this directory to the disk", error))
}

/// What the names of drafts begin with; a random number follows.
const DRAFT: &str = ".fence_kdump-";

/// After how long a draft is one that a killed process has left behind.
const STALE: Duration = Duration::from_secs(60);

/// A file under a name that nobody knows; gone when dropped.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn write(path: &Path, text: &[u8], owner: Option<(u32, u32)>) -> Result<Self, WriteError> {
        let told = |doing| move |error| refused(path, doing, error);
        let number =
            getrandom::u64().map_err(io::Error::from).map_err(told("get a random name"))?;
        let name = format!("{DRAFT}{number:016x}");
        remove_stale_drafts(directory(path));
        let draft = directory(path).join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let mut file = made.map_err(told("make a file in its directory"))?;
        let draft = Self { path: draft };
        if let Some((user, group)) = owner {
            fchown(&file, Some(user), Some(group)).map_err(told("give the new file its owner"))?;
        }
        file.write_all(text).map_err(told("write it"))?;
        file.sync_all().map_err(told("write it to the disk"))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed, it is gone already.
        drop(fs::remove_file(&self.path));
    }
}

/// Keys that a killed process has left behind are keys all the same.
fn remove_stale_drafts(directory: &Path) {
    for file in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = file.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(DRAFT));
        let is_draft = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let age = || file.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_draft && age().is_some_and(|age| age > STALE) {
            // Somebody else's stays.
            drop(fs::remove_file(file.path()));
        }
    }
}
