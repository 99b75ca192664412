//! A sink with everything that it reads from files, before it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::complaints::Say;
use super::config::{CommandConfig, JournalConfig, Kinds, NatsConfig, SinkConfig, WebhookConfig};
use super::queue::Queue;
use super::stage::Stage;
use super::{SinkError, command, journal, nats, webhook};
use crate::custody;
use crate::voice::Weight;

/// No file with a key, a token or certificates is larger, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The most commands, and the most webhooks.
const MANY: usize = 16;

/// The task of a sink.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What was in the files that a sink names; wiped when dropped. Kept to see whether they changed.
pub(super) type Files = BTreeMap<PathBuf, Zeroizing<Vec<u8>>>;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ready {
    name: String,
    settings: Settings,
    files: Files,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Settings {
    Journal(JournalConfig),
    Command(CommandConfig),
    Webhook(WebhookConfig),
    Nats(Box<NatsConfig>),
}

/// All sinks of `config`; a journal that is not there is none.
pub(super) fn all(config: &SinkConfig) -> Result<Vec<Ready>, SinkError> {
    let SinkConfig { journal, command, webhook, nats } = config;
    for (what, many) in [("sink.command", command.len()), ("sink.webhook", webhook.len())] {
        if many > MANY {
            let why = format!("{many} of them; there can be at most {MANY}");
            return Err(SinkError::Settings { name: what.to_owned(), why });
        }
    }
    let mut all = Vec::new();
    if journal.enabled && journal::is_there(&journal.socket) {
        all.push(("journal".to_owned(), Settings::Journal(journal.clone())));
    }
    for (number, command) in (1_u32..).zip(command) {
        let name = command.name.as_ref();
        let name =
            name.map_or_else(|| format!("command-{number}"), |name| name.as_str().to_owned());
        all.push((name, Settings::Command(command.clone())));
    }
    for (number, webhook) in (1_u32..).zip(webhook) {
        let name = webhook.name.as_ref();
        let name =
            name.map_or_else(|| format!("webhook-{number}"), |name| name.as_str().to_owned());
        all.push((name, Settings::Webhook(webhook.clone())));
    }
    if let Some(nats) = nats {
        all.push(("nats".to_owned(), Settings::Nats(Box::new(nats.clone()))));
    }
    let mut names = BTreeSet::new();
    for (name, _) in &all {
        if !names.insert(name) {
            let why = "two sinks have this name; each needs its own".to_owned();
            return Err(SinkError::Settings { name: name.clone(), why });
        }
    }
    all.into_iter().map(|(name, settings)| Ready::of(name, settings)).collect()
}

impl Ready {
    fn of(name: String, settings: Settings) -> Result<Self, SinkError> {
        let wanted = match &settings {
            Settings::Journal(_) | Settings::Command(_) => Vec::new(),
            Settings::Webhook(config) => webhook::files(config),
            Settings::Nats(config) => nats::files(config),
        };
        let mut files = Files::new();
        for (path, is_secret) in wanted {
            let text = read(path, is_secret).map_err(|why| {
                let path = path.clone();
                SinkError::File { name: name.clone(), path, why }
            })?;
            files.insert(path.clone(), text);
        }
        match &settings {
            Settings::Journal(_) | Settings::Command(_) => {}
            Settings::Webhook(config) => webhook::check(&name, config, &files)?,
            Settings::Nats(config) => nats::check(&name, config, &files)?,
        }
        Ok(Self { name, settings, files })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A sink is the same before and after a change of the configuration when this is the same.
    pub(super) fn key(&self) -> (&'static str, &str) {
        let kind = match self.settings {
            Settings::Journal(_) => "journal",
            Settings::Command(_) => "command",
            Settings::Webhook(_) => "webhook",
            Settings::Nats(_) => "nats",
        };
        (kind, &self.name)
    }

    pub(super) fn room(&self) -> usize {
        match &self.settings {
            Settings::Journal(config) => config.queue.get(),
            Settings::Command(config) => config.queue.get(),
            Settings::Webhook(config) => config.queue.get(),
            Settings::Nats(config) => config.queue.get(),
        }
    }

    pub(super) fn kinds(&self) -> Kinds {
        match &self.settings {
            Settings::Journal(config) => config.kinds.clone(),
            Settings::Command(config) => config.kinds.clone(),
            Settings::Webhook(config) => config.kinds.clone(),
            Settings::Nats(_) => Kinds::default(),
        }
    }

    pub(super) fn queue(&self, say: Say) -> Arc<Queue> {
        let (kind, name) = self.key();
        Queue::new(kind, name, self.room(), self.kinds(), say)
    }

    /// What delivers the events of `queue`; ends when that is closed and empty.
    pub(super) fn worker(&self, queue: Arc<Queue>, stage: &Stage) -> Work {
        match self.settings.clone() {
            Settings::Journal(config) => Box::pin(journal::work(config, queue)),
            Settings::Command(config) => Box::pin(command::work(config, queue)),
            Settings::Webhook(config) => {
                let lookups = stage.lookups();
                match webhook::Hook::new(&self.name, &config, &self.files, lookups) {
                    Ok(hook) => Box::pin(webhook::work(hook, queue)),
                    Err(error) => idle(queue, &error),
                }
            }
            Settings::Nats(config) => match nats::Plan::new(&self.name, *config, &self.files) {
                Ok(plan) => Box::pin(nats::work(plan, queue, stage.lookups())),
                Err(error) => idle(queue, &error),
            },
        }
    }
}

/// In place of a sink that passed [`all`] and then could not be made from the very same: not known to
/// happen. Its queue fills up, and the counters show it.
fn idle(queue: Arc<Queue>, error: &SinkError) -> Work {
    queue.complain(Weight::Error, &error.to_string());
    queue.trouble(&error.to_string());
    Box::pin(std::future::ready(()))
}

/// Reads a file whole. One with a secret has to be in safe custody.
fn read(path: &Path, is_secret: bool) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a pipe or a terminal must not wait, nor take it over.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err("no regular file".to_owned());
    }
    let forbidden = if is_secret { custody::ANY } else { custody::WRITE };
    if let Some(trouble) = custody::trouble(&found, forbidden) {
        let mode = if is_secret { "600" } else { "644" };
        return Err(format!("{trouble}: 'chown root' and 'chmod {mode}' it"));
    }
    if found.len() > LARGEST {
        return Err(format!("{} bytes; at most {LARGEST} are read", found.len()));
    }
    // With all the room from the start: a buffer that grows leaves copies of itself behind.
    let room = usize::try_from(found.len()).unwrap_or(0).saturating_add(1);
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    file.take(found.len()).read_to_end(&mut text).map_err(unreadable)?;
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    Ok(text)
}

/// The contents of `path`, which [`Ready::of`] has read.
pub(super) fn of<'a>(files: &'a Files, path: Option<&PathBuf>) -> Option<&'a [u8]> {
    path.and_then(|path| files.get(path)).map(|text| text.as_slice())
}

/// The one line of such a file: a token, a password, a seed.
pub(super) fn line<'a>(
    name: &str,
    files: &'a Files,
    path: Option<&PathBuf>,
) -> Result<Option<&'a str>, SinkError> {
    let (Some(path), Some(text)) = (path, of(files, path)) else { return Ok(None) };
    let text = std::str::from_utf8(text).ok().map(|text| text.trim_end_matches(['\n', '\r']));
    let is_line = |text: &&str| !text.is_empty() && !text.contains(char::is_control);
    text.filter(is_line).map(Some).ok_or_else(|| SinkError::File {
        name: name.to_owned(),
        path: path.clone(),
        why: "not one line of text".to_owned(),
    })
}
