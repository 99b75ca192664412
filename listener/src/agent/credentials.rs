//! The key file, before anything that is heard can be verified with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{Instant, Policy};
use thiserror::Error;

use super::left;
use crate::clock;
use crate::keys::{KeyFileError, Ring};
use crate::nodes::is_number;
use crate::options::{OptionError, Settings};
use crate::proof::Examiner;
use crate::scribe;
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
    #[error("{what}: {path} did not answer in time: does its disk?")]
    Slow {
        /// The option.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The system makes no thread.
    #[error("key_file: cannot be read: {0}")]
    NoThread(io::Error),
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
    State(String),
    /// The system makes no process.
    #[error("state_dir: cannot be tried: {0}")]
    NoProcess(io::Error),
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
    let dir = &settings.state_dir;
    let output = scribe::attempt(dir).map_err(CredentialError::NoProcess)?;
    // The rest is for what else is to be checked.
    let deadline = clock::now().saturating_add(left(deadline) / 2);
    let said = within(deadline, "state_dir", dir, || io::read_to_string(output))?;
    match said.map_err(CredentialError::NoProcess)? {
        said if said.is_empty() => Ok(()),
        said => Err(CredentialError::State(said)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::specimen::cluster;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn soon() -> Instant {
        clock::now().saturating_add(Duration::from_secs(10))
    }

    /// Settings with a key file of this text and mode.
    fn settings(dir: &Path, text: &str, mode: u32) -> Settings {
        let file = dir.join("keys");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let state_dir = dir.join("state");
        Settings { key_file: Some(file), state_dir, ..Settings::default() }
    }

    fn hex(key: &fence_kdump_core::Key) -> String {
        key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn what_can_be_wrong_with_a_key_file() {
        let dir = tempfile::tempdir().unwrap();
        let key = cluster(1);
        let line = format!("cluster {} {}\n", key.id(), hex(&key));
        let n1 = key.derive("n1").unwrap();
        let node = format!("node {} {} {} n1\n", key.id(), hex(&n1), n1.id());
        let load = |text: &str, mode: u32, names: &[&str]| {
            let loaded = load(&settings(dir.path(), text, mode), names, soon());
            loaded.map_err(|error| error.to_string())
        };
        for (text, names) in [(&line, &["n1", "n2"][..]), (&line, &[]), (&node, &["x", "N1"])] {
            let (policy, examiner) = load(text, 0o600, names).unwrap();
            assert!(policy == Policy::Signed && examiner.is_some());
        }
        for (text, mode, names, said) in [
            (line.as_str(), 0o644, &["n1"][..], "others read"),
            ("", 0o600, &["n1"], "holds no key"),
            ("cluster x y", 0o600, &["n1"], "line 1"),
            (&node, 0o600, &["n1.example.com", "n2"], "has no key for n1.example.com, n2"),
            (&line, 0o600, &["n 1", "\u{e4}"], "can be the name in a signed message"),
        ] {
            let error = load(text, mode, names).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let mut lost = settings(dir.path(), &line, 0o600);
        lost.key_file = Some(dir.path().join("none"));
        let error = super::load(&lost, &["n1"], soon()).unwrap_err().to_string();
        assert!(error.starts_with("key_file: ") && error.contains("no such file"), "{error}");
        let asked = Settings { asked_policy: Some(Policy::Live), ..Settings::default() };
        assert!(super::load(&asked, &["n1"], soon()).is_err(), "nothing to verify with");
    }

    #[test]
    fn a_file_system_that_hangs_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let until = clock::now().saturating_add(Duration::from_millis(50));
        let (_hold, never) = mpsc::sync_channel::<()>(1);
        let slow = within(until, "key_file", dir.path(), move || never.recv().is_ok());
        let error = slow.unwrap_err().to_string();
        assert!(error.contains("did not answer in time"), "{error}");
    }
}
