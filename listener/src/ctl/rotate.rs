//! One cluster key after the other.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fence_kdump_core::KeyId;

use super::Failure;
use crate::keys::file::{self, Text};
use crate::keys::rotation::{self, RotationError};
use crate::keys::{Fault, KeyFileError, Ring, write};

/// Puts a new cluster key first in `key_file`; the one that was becomes the previous one.
///
/// # Errors
/// When a rotation goes on already, or the file cannot be read or written.
pub fn begin(key_file: &Path) -> Result<String, Failure> {
    let held = Held::open(key_file)?;
    let new = rotation::new_key(held.ring.clusters())?;
    let text = rotation::begin(&held.text, &held.ring, &new).map_err(|source| held.told(source))?;
    write::replace(key_file, &text)?;
    let previous = held.ring.current().map_or_else(String::new, |key| key.id.to_string());
    let mut nodes: Vec<String> =
        held.node_keys().into_iter().map(|found| found.name.to_ascii_lowercase()).collect();
    nodes.sort();
    nodes.dedup();
    let nodes = match nodes.as_slice() {
        [] => "of every node".to_owned(),
        known => format!("of {} and of every other node that has one", known.join(", ")),
    };
    Ok(format!(
        "{}: {} is the current cluster key now, {previous} the previous one; both are believed.\n\
         1. Copy this file to every other host that listens; restart fence_kdumpd where it runs.\n\
         2. Then make the key {nodes}, anew, 'fence_kdumpctl key derive --force NODE', take it to the \
         node, and build its crash kernel's image.\n\
         3. Then end the previous key: 'fence_kdumpctl key rotate --finish'.",
        key_file.display(),
        new.id
    ))
}

/// Removes the previous cluster key from `key_file`.
///
/// # Errors
/// When there is none, keys beside the file are still from it and `force` is not given, or the file
/// cannot be read or written.
pub fn finish(key_file: &Path, force: bool) -> Result<String, Failure> {
    let held = Held::open(key_file)?;
    let text = rotation::finish(&held.text, &held.ring).map_err(|source| held.told(source))?;
    let [current, previous] = held.ring.clusters() else {
        return Err(held.told(RotationError::NoCluster));
    };
    let old: Vec<_> =
        held.node_keys().into_iter().filter(|found| found.key_id == previous.id).collect();
    // Those of the file itself go with the key.
    let beside = old.iter().filter(|found| found.path != key_file);
    let nodes: Vec<_> = beside
        .map(|found| format!("the key of {} in {}", found.name, found.path.display()))
        .collect();
    if !nodes.is_empty() && !force {
        let previous = previous.id;
        return Err(Failure::StillNeeded { nodes: nodes.join(", "), previous });
    }
    write::replace(key_file, &text)?;
    Ok(format!(
        "{}: {} is the only cluster key now; what was signed with {} is believed no more. Copy this file \
         to every other host that listens, and restart fence_kdumpd where it runs.",
        key_file.display(),
        current.id,
        previous.id
    ))
}

/// A key file that nobody else rotates meanwhile.
struct Held {
    path: PathBuf,
    text: Text,
    ring: Ring,
    /// Locked as long as it is open.
    _file: File,
}

/// A key of a node, and where it was found.
struct Found {
    path: PathBuf,
    name: String,
    key_id: KeyId,
}

impl Held {
    fn open(path: &Path) -> Result<Self, Failure> {
        let about = |line, fault| KeyFileError { path: path.to_owned(), line, fault };
        let (mut file, found) = file::open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Failure::Contended(path.to_owned())),
            Err(TryLockError::Error(error)) => {
                return Err(about(None, Fault::Unreadable(error)).into());
            }
        }
        // Whoever had it locked has put another one in its place.
        if fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) != (found.dev(), found.ino()))
        {
            return Err(Failure::Contended(path.to_owned()));
        }
        let text = file::read_from(&mut file, &found).map_err(|fault| about(None, fault))?;
        let ring = Ring::parse(&text).map_err(|(line, fault)| about(line, fault))?;
        Ok(Self { path: path.to_owned(), text, ring, _file: file })
    }

    fn told(&self, source: RotationError) -> Failure {
        Failure::Rotation { path: self.path.clone(), source }
    }

    /// The keys of nodes in this file and in those beside it, where `key derive` writes them. What cannot be
    /// read there is passed over: it may be anything.
    fn node_keys(&self) -> Vec<Found> {
        let of = |path: &Path, ring: &Ring| -> Vec<Found> {
            let nodes = ring.nodes().iter();
            nodes
                .map(|node| Found {
                    path: path.to_owned(),
                    name: node.name.clone(),
                    key_id: node.key_id,
                })
                .collect()
        };
        let mut found = of(&self.path, &self.ring);
        for path in beside(&self.path).unwrap_or_default() {
            if let Ok(ring) = Ring::load(&path) {
                found.extend(of(&path, &ring));
            }
        }
        found
    }
}

fn beside(key_file: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = key_file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut paths = Vec::new();
    for file in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let name = file?.file_name();
        let path = key_file.with_file_name(&name);
        let name = name.to_string_lossy();
        if (name == "node.key" || name.ends_with(".node.key")) && path != key_file {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
