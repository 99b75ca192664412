//! The fencing agent: what it is told, what it does, and how it ends.

pub mod credentials;
pub mod inquiry;
pub mod metadata;
pub mod monitor;
pub mod off;
pub mod tally;
mod telling;
pub mod validate;

use std::ffi::OsString;
use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fence_kdump_core::Instant;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use crate::clock;
use crate::options::argv::{self, Asked};
use crate::options::{Action, Settings, stdin};
use crate::voice::{Voice, Weight};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Ending {
    /// `off`: the node is known to be in its crash kernel.
    InCrashKernel,
    /// `off`: the node is not known to be in its crash kernel.
    NotKnown,
    /// Any other action: done, and all is well.
    Well,
    /// Any action: not possible, or not well. Said why.
    Unwell,
}

impl Ending {
    /// The exit code: to Pacemaker, 0 means that the action succeeded, for `off` that the node is
    /// fenced; anything else that it did not.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::InCrashKernel | Self::Well => 0,
            Self::NotKnown | Self::Unwell => 1,
        }
    }
}

/// Runs the agent with the words of its command line after the program's name, and gives the exit
/// code. `started` is when the process began: its time runs from there, and nothing that was heard
/// before is evidence.
#[must_use]
pub fn run(started: Instant, words: Vec<OsString>) -> i32 {
    let settings = match ask(words) {
        Ok(settings) => settings,
        Err(ending) => return ending.code(),
    };
    let voice = Voice::new("fence_kdump", settings.verbose);
    allow_many_descriptors();
    for remark in &settings.remarks {
        voice.say(Weight::Warning, remark);
    }
    let deadline = started.saturating_add(settings.timeout);
    let ending = match settings.action {
        Action::Off => off::off(&settings, started, deadline, &voice),
        Action::Monitor | Action::Status => monitor::monitor(&settings, deadline, &voice),
        Action::List => list(&settings, deadline, &voice),
        Action::ValidateAll => validate::validate_all(&settings, deadline, &voice),
        Action::Metadata => print(metadata::metadata(), deadline),
    };
    voice.finish();
    ending.code()
}

/// A process that serves ten thousand others ([`crate::control::clients::MOST`]) has a descriptor for each.
/// A lower limit is no reason to stop: those that find no room wait.
pub fn allow_many_descriptors() {
    let wanted: rlim_t = 16 * 1024;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted.min(hard)), hard);
    }
}

/// What is to be done, or how the run has ended already.
fn ask(words: Vec<OsString>) -> Result<Settings, Ending> {
    let defaults = Settings::default();
    let patience = defaults.timeout;
    let wrong = if words.is_empty() {
        match stdin::read(std::io::stdin(), patience) {
            Ok(settings) => return Ok(settings),
            Err(error) => error.to_string(),
        }
    } else {
        match argv::parse(words) {
            Asked::Run(settings) => return Ok(settings),
            Asked::Tell(text) => return Err(print(text, clock::now().saturating_add(patience))),
            Asked::Wrong(error) => error,
        }
    };
    let voice = Voice::new("fence_kdump", 0);
    voice.say(Weight::Error, wrong);
    voice.finish();
    Err(Ending::Unwell)
}

/// Prints `text` to standard output. That nobody can read it changes nothing; but a reader that does
/// not read until the deadline ends the run.
fn print(text: String, deadline: Instant) -> Ending {
    let (done, finished) = mpsc::sync_channel(1);
    let write = move || {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
        // Whoever waited may have given up.
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_err() {
        return Ending::Unwell;
    }
    match finished.recv_timeout(left(deadline)) {
        Ok(()) => Ending::Well,
        Err(_) => Ending::Unwell,
    }
}

/// The time until `deadline`.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_since(clock::now())
}

/// The configured names, one a line, as `dynamic-list` of Pacemaker wants them.
fn list(settings: &Settings, deadline: Instant, voice: &Voice) -> Ending {
    if settings.nodename.is_empty() {
        voice.say(Weight::Error, "list: no nodename is configured, so there is nothing to list");
        return Ending::Unwell;
    }
    let mut text = settings.nodename.join("\n");
    text.push('\n');
    print(text, deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_endings_exit_0() {
        assert_eq!(Ending::InCrashKernel.code(), 0);
        assert_eq!(Ending::Well.code(), 0);
        assert_eq!(Ending::NotKnown.code(), 1);
        assert_eq!(Ending::Unwell.code(), 1);
    }
}
