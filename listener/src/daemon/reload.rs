//! Another configuration, while everything goes on.

use super::Run;
use super::setup::{Setup, SetupError};
use crate::config::Config;
use crate::voice::Weight;

impl Run {
    /// Reads the configuration anew, aside.
    pub(super) fn reload(&mut self) {
        if let Some((_, again)) = &mut self.reading {
            *again = true;
            return;
        }
        self.manager.reloading();
        match self.source.read_aside() {
            Ok(reading) => self.reading = Some((reading, false)),
            Err(error) => self.take_over(Err(error)),
        }
    }

    /// A configuration was read: it is the present one from now on, if it is right.
    pub(super) fn take_over(&mut self, setup: Result<Setup, SetupError>) {
        let again = self.reading.take().is_some_and(|(_, again)| again);
        match setup {
            Ok(Setup { mut config, examiner }) => {
                let fixed = [
                    ("port", config.port == self.config.port),
                    ("state_dir", config.state_dir == self.config.state_dir),
                    ("history", config.history == self.config.history),
                    ("family", config.family == self.config.family),
                ];
                for (what, _) in fixed.iter().filter(|(_, is_same)| !is_same) {
                    let line = format!("{what}: changed with the next start of fence_kdumpd");
                    self.voice.say(Weight::Warning, line);
                }
                self.fleet.reload(std::mem::take(&mut config.nodes), examiner);
                self.herald.reload(&config);
                // The nodes may stand in another order now.
                self.herald.keep_anew(None);
                let Config { port, state_dir, history, family, .. } = &self.config;
                let (port, state_dir) = (*port, state_dir.clone());
                let (history, family) = (*history, *family);
                self.config = Config { port, state_dir, history, family, ..config };
                self.settle();
                self.voice.say(Weight::Info, format!("reloaded: {}", self.status_line()));
            }
            Err(error) => {
                self.voice.say(Weight::Error, format!("{error}; all stays as it was"));
            }
        }
        self.manager.ready(&self.status_line());
        if again {
            self.reload();
        }
    }
}
