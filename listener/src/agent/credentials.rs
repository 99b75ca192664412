//! The key file, before anything that is heard can be verified with it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{Instant, Policy};
use thiserror::Error;

use super::left;
use crate::keys::{KeyFileError, Ring};
use crate::nodes::is_number;
use crate::options::{OptionError, Settings};
use crate::proof::Examiner;
use crate::store::{Memory, StoreError};
use crate::voice::{Voice, Weight};

/// Why nothing could be verified. None of these makes plain messages count: whoever asks for proof and
/// cannot verify it believes nobody.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The options contradict each other.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The key file is not as it should be.
    #[error("key_file: {0}")]
    KeyFile(#[from] KeyFileError),
    /// A file system that does not answer.
    #[error("{what}: {path} could not be read in time: does its file system answer?")]
    Slow {
        /// The option.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The system makes no thread.
    #[error("key_file: cannot be read: {0}")]
    NoThread(std::io::Error),
    /// There are keys, but none for this node.
    #[error(
        "key_file: {path} has no key for {names}: it has neither a cluster key nor the key of a node \
         of that very name"
    )]
    NoKey {
        /// The key file.
        path: PathBuf,
        /// The names that were looked for.
        names: String,
    },
    /// No name that anybody could sign as.
    #[error(
        "nodename: none of {names} can be the name in a signed message: 1 to 253 characters, '!' to '~'"
    )]
    NoName {
        /// As configured.
        names: String,
    },
    /// The replay memory is not as it should be.
    #[error("state_dir: {0}")]
    State(#[from] StoreError),
}

/// Does `work` in a thread and waits for it until `deadline`.
fn within<T: Send + 'static>(
    deadline: Instant,
    what: &'static str,
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CredentialError> {
    let (done, finished) = mpsc::sync_channel(1);
    // Whoever waited may have given up.
    let run = move || drop(done.send(work()));
    thread::Builder::new().spawn(run).map_err(CredentialError::NoThread)?;
    let slow = |_| CredentialError::Slow { what, path: path.to_owned() };
    finished.recv_timeout(left(deadline)).map_err(slow)
}

/// What messages have to prove, and what to verify them with if there is a key file. `names` are those
/// of the node that is asked about; none when that is not known yet.
///
/// # Errors
/// When the key file is not as it should be, or has no key for any of the names.
pub fn load(
    settings: &Settings,
    names: &[&str],
    deadline: Instant,
) -> Result<(Policy, Option<Examiner>), CredentialError> {
    let policy = settings.policy()?;
    let Some(path) = &settings.key_file else {
        return Ok((policy, None));
    };
    let file = path.clone();
    let ring = within(deadline, "key_file", path, move || Ring::load(&file))??;
    let examiner = Examiner::new(ring);
    let all = || names.get(..8).unwrap_or(names).join(", ");
    if !names.is_empty() {
        let fit: Vec<_> = names.iter().filter(|name| is_node_name(name)).collect();
        if fit.is_empty() {
            return Err(CredentialError::NoName { names: all() });
        }
        if !fit.iter().any(|name| examiner.knows(name)) {
            return Err(CredentialError::NoKey { path: path.clone(), names: all() });
        }
    }
    Ok((policy, Some(examiner)))
}

/// Whether what is heard can be remembered, if it has to be. Makes the state directory and the memory
/// in it when they are not there.
///
/// # Errors
/// When it cannot.
fn check_state(settings: &Settings, deadline: Instant) -> Result<(), CredentialError> {
    if settings.key_file.is_none() {
        return Ok(());
    }
    let dir = settings.state_dir.clone();
    let open = move || Memory::open(&dir).map(drop);
    Ok(within(deadline, "state_dir", &settings.state_dir, open)??)
}

/// Whether signed messages of the node could be verified and remembered, as far as that is asked for;
/// says why not.
pub fn check(settings: &Settings, deadline: Instant, voice: &Voice) -> bool {
    let names = settings.nodename.iter().chain(&settings.port);
    let names: Vec<_> = names.map(String::as_str).collect();
    let loaded = load(settings, &names, deadline).map(drop);
    let checks = [loaded, check_state(settings, deadline)];
    for error in checks.iter().filter_map(|check| check.as_ref().err()) {
        voice.say(Weight::Error, error.to_string());
    }
    let is_well = checks.iter().all(Result::is_ok);
    let by_name = settings.policy().is_ok_and(|policy| policy != Policy::Plain);
    if is_well && by_name && !names.is_empty() && names.iter().all(|name| is_number(name)) {
        let line = "nodename: only addresses are given, but a signed message counts by the node's name; \
                    unless Pacemaker gives it (port), add it";
        voice.say(Weight::Warning, line);
    }
    is_well
}
