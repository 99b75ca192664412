//! What the daemon is told to do: from a file or a command line to nodes and keys.
//!
//! All of it may wait for a disk, so it is done on a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use fence_kdump_core::{PORT, Policy};
use thiserror::Error;
use tokio::sync::oneshot;

use super::follow::{Follow, registry};
use super::options::{Instead, Options};
use crate::config::{self, Config, ConfigError, PATH};
use crate::fleet::registry::NodeError;
use crate::history::Limits;
use crate::keys::{KeyFileError, Ring};
use crate::options::{OptionError, Settings};
use crate::proof::Examiner;
use crate::sink::{SinkConfig, SinkError, Sinks};
use crate::store::STATE_DIR;

/// How long the files may take to read when the daemon starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where to read what to do.
#[derive(Debug, Clone)]
pub enum Source {
    /// This file.
    File(PathBuf),
    /// The command line.
    Words(Box<Instead>),
}

/// What to do, with all that has to be read for it.
#[derive(Debug)]
pub struct Setup {
    /// What to do.
    pub config: Config,
    /// Verifies what nodes sign; `None` without keys.
    pub examiner: Option<Examiner>,
}

/// Why it cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The file is not as it should be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The options contradict each other.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A node of the command line.
    #[error("--node: {0}")]
    Node(#[from] NodeError),
    /// The key file.
    #[error("key_file: {0}")]
    Keys(#[from] KeyFileError),
    /// Where events go.
    #[error("sink: {0}")]
    Sink(#[from] SinkError),
    /// A file system that does not answer.
    #[error(
        "the configuration and the files that it names could not be read in {0:?}: does the disk answer?"
    )]
    Slow(Duration),
    /// The system makes no thread.
    #[error("no thread to read the configuration with: {0}")]
    Thread(std::io::Error),
}

impl Source {
    /// Where `options` want it to be read.
    #[must_use]
    pub fn of(options: &Options) -> Self {
        // Whoever says anything here must not find it ignored in favour of what the file says.
        let is_said = options.instead != Instead::default();
        match &options.config {
            Some(path) => Self::File(path.clone()),
            // One that this user may not look for is to be missed aloud.
            None if !is_said && !matches!(Path::new(PATH).try_exists(), Ok(false)) => {
                Self::File(PATH.into())
            }
            None => Self::Words(Box::new(options.instead.clone())),
        }
    }

    /// Reads everything, however long that takes.
    ///
    /// # Errors
    /// When anything is not as it should be.
    pub fn read(&self) -> Result<Setup, SetupError> {
        let config = match self {
            Self::File(path) => config::check(path)?,
            Self::Words(words) => said(words)?,
        };
        let ring = match (config.key_file.as_deref().map(Ring::load).transpose(), self) {
            (Err(error), Self::File(path)) => {
                return Err(config.wrong_key_file(path, format!("key_file: {error}")).into());
            }
            (ring, _) => ring?,
        };
        match (Sinks::check(&config.sink), self) {
            (Err(error), Self::File(path)) => {
                return Err(config.wrong_sink(path, format!("sink: {error}")).into());
            }
            (sinks, _) => sinks?,
        }
        Ok(Setup { config, examiner: ring.map(Examiner::new) })
    }

    /// Reads everything, but waits no longer than a minute.
    ///
    /// # Errors
    /// As [`Self::read`], or when it takes longer.
    pub fn read_in_time(&self) -> Result<Setup, SetupError> {
        let (done, finished) = sync_channel(1);
        let source = self.clone();
        // Whoever waited may have given up.
        let read = move || drop(done.send(source.read()));
        thread::Builder::new().name("setup".to_owned()).spawn(read).map_err(SetupError::Thread)?;
        finished.recv_timeout(PATIENCE).map_err(|_| SetupError::Slow(PATIENCE))?
    }

    /// Reads everything while others do their work.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub fn read_aside(&self) -> Result<oneshot::Receiver<Result<Setup, SetupError>>, SetupError> {
        let (done, finished) = oneshot::channel();
        let source = self.clone();
        let read = move || drop(done.send(source.read()));
        thread::Builder::new().name("setup".to_owned()).spawn(read).map_err(SetupError::Thread)?;
        Ok(finished)
    }
}

/// What a command line says.
fn said(words: &Instead) -> Result<Config, SetupError> {
    let Instead { nodes, port, key_file, policy, state_dir, discover } = words;
    let settings =
        Settings { key_file: key_file.clone(), asked_policy: *policy, ..Settings::default() };
    let policy: Policy = settings.policy()?;
    let nodes: &[Follow] = nodes;
    Ok(Config {
        port: port.unwrap_or(PORT),
        state_dir: state_dir.clone().unwrap_or_else(|| STATE_DIR.into()),
        key_file: key_file.clone(),
        policy,
        nodes: registry(nodes, policy)?,
        discovery: *discover,
        history: Some(Limits::default()),
        web: None,
        // Where there is a journal, a few words more do no harm; what else there is takes a file.
        sink: SinkConfig::default(),
        ..Config::default()
    })
}
