//! How a key file is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::LARGEST;
use super::error::{Fault, KeyFileError};
use crate::{custody, service};

/// The bytes of a key file, wiped when dropped.
pub type Text = Zeroizing<Vec<u8>>;

/// Reads the whole key file `path`.
///
/// # Errors
/// As [`open`], and when it is too large or cannot be read.
pub fn read(path: &Path) -> Result<Text, KeyFileError> {
    let (mut file, found) = open(path)?;
    read_from(&mut file, &found).map_err(|fault| KeyFileError::of(path, fault))
}

/// Opens the key file `path`, which may be a link, and says what it is: of the file that was opened, not
/// of whatever has the name a moment later.
///
/// # Errors
/// When it cannot be opened, is no regular file, or others than root and the user of this process can read
/// or change it.
pub fn open(path: &Path) -> Result<(File, Metadata), KeyFileError> {
    let refused = |fault| KeyFileError::of(path, fault);
    // Opening a pipe or a terminal must not wait, nor take it over.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused(Fault::Missing),
        _ => refused(Fault::Unreadable(error)),
    })?;
    let found = file.metadata().map_err(|error| refused(Fault::Unreadable(error)))?;
    if !found.is_file() {
        return Err(refused(Fault::NotAFile));
    }
    if let Some(trouble) = custody::trouble(&found, service::forbidden(path)) {
        return Err(refused(Fault::Exposed(trouble)));
    }
    Ok((file, found))
}

/// Reads the file, which has to be as long as `found` says.
///
/// # Errors
/// When it is not, or is too large, or the system does not let it be read.
pub fn read_from(file: &mut File, found: &Metadata) -> Result<Text, Fault> {
    let size = found.len();
    if size > LARGEST {
        return Err(Fault::TooLarge(size));
    }
    let size = usize::try_from(size).map_err(|_| Fault::TooLarge(size))?;
    // With room for one byte more from the start: a buffer that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(vec![0; size.saturating_add(1)]);
    let mut filled = 0_usize;
    while let Some(room) = text.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => filled = filled.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Unreadable(error)),
        }
    }
    if filled != size {
        return Err(Fault::Changed);
    }
    text.truncate(size);
    Ok(text)
}
