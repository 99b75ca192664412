//! Tells everybody what happened: people, the history, where events go, and who looks at the web page.
//!
//! Others hear of an event once it is on the disk for good, so that whatever they were told is still known after
//! this process was killed; but a disk that hangs or is full holds nothing up for longer than a second.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant as Timer, sleep_until, timeout_at};

use super::chronicle::{Happened, told};
use crate::config::Config;
use crate::fleet::event::{Event, Kind};
use crate::history::{self, Archive, Heard, History, Opening, Session};
use crate::sink::{Reader, SinkConfig, SinkError, Sinks};
use crate::voice::{Voice, Weight};
use crate::web::{NoPast, Past, Reporter, Server, WebConfig, WebError};

/// The longest that an event waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long sinks may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Tells what happened.
#[derive(Debug)]
pub(super) struct Herald {
    voice: Arc<Voice>,
    /// The journal gets every event with all its fields; a line besides would say it twice.
    is_in_journal: bool,
    history: Option<History>,
    flushed: Option<watch::Receiver<u64>>,
    /// In the order in which they happened.
    waiting: VecDeque<Waiting>,
    /// Sessions that the history has to be told of, since something is missing in it.
    missing: Option<Missing>,
    sinks: Sinks,
    web: Option<Web>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    event: Arc<Event>,
    until: Timer,
}

/// As many at once as can be looked up without anybody noticing.
const STEP: usize = 512;

/// What is to be kept.
#[derive(Debug, Clone, Copy)]
struct Missing {
    opening: Opening,
    /// The place of the next node.
    next: usize,
}

/// The web server and what it is made of.
#[derive(Debug)]
struct Web {
    config: WebConfig,
    server: Server,
    reporter: Reporter,
}

/// Why the daemon cannot tell anybody anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeraldError {
    /// The web server.
    #[error("web: {0}")]
    Web(#[from] WebError),
    /// Where events go.
    #[error("sink: {0}")]
    Sink(#[from] SinkError),
    /// The system makes no thread.
    #[error("history: no thread to write it with: {0}")]
    Thread(io::Error),
}

/// What [`Herald::next`] comes back with.
#[derive(Debug)]
pub(super) enum News {
    /// Of the history.
    History(history::News),
    /// [`Herald::show`] has something to do.
    Wanted,
    /// So has [`Herald::keep`].
    Room,
}

impl Herald {
    /// Opens everything that `config` names.
    pub(super) fn start(
        config: &Config,
        is_service: bool,
        voice: Arc<Voice>,
    ) -> Result<Self, HeraldError> {
        let start = |limits| History::start(&config.state_dir, limits).map_err(HeraldError::Thread);
        let history = config.history.map(start).transpose()?;
        let sinks = start_sinks(&config.sink, &voice)?;
        let is_in_journal = is_service && has_journal(&sinks);
        let flushed = history.as_ref().map(History::flushed);
        let waiting = VecDeque::new();
        let (missing, web) = (None, None);
        let mut herald =
            Self { voice, is_in_journal, history, flushed, waiting, missing, sinks, web };
        herald.web = config.web.clone().map(|web| herald.serve(web)).transpose()?;
        Ok(herald)
    }

    fn serve(&self, config: WebConfig) -> Result<Web, HeraldError> {
        let past: Arc<dyn Past> = match &self.history {
            Some(history) => Arc::new(Archive::start(history).map_err(HeraldError::Thread)?),
            None => Arc::new(NoPast),
        };
        let (server, reporter) = Server::start(config.clone(), past)?;
        self.voice.say(Weight::Info, format!("web: listening on {}", server.address()));
        Ok(Web { config, server, reporter })
    }

    /// Goes over to another configuration, as far as it can be taken.
    pub(super) fn reload(&mut self, config: &Config) {
        if let Err(error) = self.sinks.reload(&config.sink) {
            self.voice.say(Weight::Error, format!("sink: {error}; all stays as it was"));
        }
        let is_same = match (&self.web, &config.web) {
            (Some(web), Some(wanted)) => web.config == *wanted,
            (None, None) => true,
            _ => false,
        };
        let trouble = if is_same {
            let reread = self.web.as_ref().map(|web| web.server.reread());
            reread.and_then(Result::err).map(HeraldError::from)
        } else {
            // The old one first: both may want the same port.
            let before = self.web.take().map(|web| web.config);
            match config.web.clone().map(|web| self.serve(web)).transpose() {
                Ok(web) => {
                    self.web = web;
                    None
                }
                Err(error) => {
                    // Where it was is better than nowhere.
                    self.web = before.and_then(|web| self.serve(web).ok());
                    Some(error)
                }
            }
        };
        if let Some(error) = trouble {
            self.voice.say(Weight::Error, error.to_string());
        }
        if let Some(web) = &mut self.web {
            web.reporter.restart();
        }
    }

    /// Something happened.
    pub(super) fn tell(&mut self, happened: Happened) {
        let Happened { event, heard } = happened;
        if !self.is_in_journal {
            let weight = match event.kind {
                Kind::Lost => Weight::Warning,
                _ => Weight::Info,
            };
            self.voice.say_of_many(weight, || told(&event));
        }
        let number = self.history.as_mut().and_then(|all| all.tell(Arc::clone(&event), heard));
        if self.web.is_none() && self.sinks.is_empty() {
            // Nobody else is told, so nothing has to wait until it may be.
            return;
        }
        let before = self.waiting.back().map(|waiting| waiting.number);
        match number.or(before) {
            Some(number) if self.waiting.len() < history::ROOM => {
                let until = Timer::now() + PATIENCE;
                self.waiting.push_back(Waiting { number, event, until });
            }
            _ => self.publish(&event),
        }
    }

    fn publish(&self, event: &Arc<Event>) {
        self.sinks.tell(event);
        if let Some(web) = &self.web {
            web.reporter.tell(event);
        }
    }

    /// Tells others what is on the disk by now, or has waited for too long.
    fn publish_waiting(&mut self) {
        let done = self.flushed.as_ref().map_or(u64::MAX, |flushed| *flushed.borrow());
        let now = Timer::now();
        let is_due = |next: &Waiting| next.number <= done || next.until <= now;
        while self.waiting.front().is_some_and(is_due) {
            if let Some(Waiting { event, .. }) = self.waiting.pop_front() {
                self.publish(&event);
            }
        }
    }

    /// What there is to do next. Cancel-safe.
    pub(super) async fn next(&mut self) -> News {
        loop {
            let until = self.waiting.front().map(|waiting| waiting.until);
            let is_missing = self.missing.is_some();
            let has_room = is_missing && self.history.as_ref().is_some_and(History::has_room);
            tokio::select! {
                news = next_history(&mut self.history) => return News::History(news),
                () = wanted(&mut self.web) => return News::Wanted,
                () = ready(()), if has_room => return News::Room,
                () = changed(&mut self.flushed), if until.is_some() || is_missing => {}
                () = sleep_until(until.unwrap_or_else(Timer::now)), if until.is_some() => {}
            }
            self.publish_waiting();
        }
    }

    /// Shows the next part of the fleet to who looks at the web page.
    pub(super) fn show(&mut self, survey: &impl crate::web::Survey) {
        if let Some(web) = &mut self.web {
            web.reporter.turn(survey);
        }
    }

    /// All sessions that go on have to be kept: since `opening`, or once more from the first one on.
    pub(super) fn keep_anew(&mut self, opening: Option<Opening>) {
        let opening = opening.or(self.missing.map(|missing| missing.opening));
        self.missing = opening.map(|opening| Missing { opening, next: 0 });
    }

    /// Keeps a few more of the sessions that go on. They are those of the nodes at `all` places, by `ongoing`.
    ///
    /// Never more than there is room for: what happens meanwhile comes first.
    pub(super) fn keep<T: Iterator<Item = (Session, Heard)>>(
        &mut self,
        all: usize,
        ongoing: impl FnOnce(Range<usize>) -> T,
    ) {
        let (Some(history), Some(missing)) = (&mut self.history, &mut self.missing) else { return };
        let end = all.min(missing.next.saturating_add(STEP));
        let mut ongoing = ongoing(missing.next.min(end)..end);
        if !ongoing.all(|(session, heard)| history.keep(session, heard).is_some()) {
            // There was room: nobody writes any more.
            self.missing = None;
            return;
        }
        missing.next = end;
        if end == all {
            let _ = history.settle(missing.opening);
            self.missing = None;
        }
    }

    /// How it is with the history.
    pub(super) fn health(&self) -> Option<history::Health> {
        self.history.as_ref().map(History::health)
    }

    /// How it is with the sinks.
    pub(super) fn sinks(&self) -> Reader {
        self.sinks.reader()
    }

    /// The daemon ends: what waits, and how the sessions stand that go on, is written, and told, for as long as that
    /// takes a few seconds.
    pub(super) async fn finish(mut self, ongoing: impl Iterator<Item = (Session, Heard)>) {
        if let Some(mut history) = self.history.take() {
            let until = Timer::now() + PATIENCE;
            let mut flushed = history.flushed();
            let mut is_late = false;
            for (session, heard) in ongoing {
                while !history.has_room() && !is_late {
                    is_late = !matches!(timeout_at(until, flushed.changed()).await, Ok(Ok(())));
                }
                is_late |= history.keep(session, heard).is_none();
                if is_late {
                    break;
                }
            }
            if !history.finish(PATIENCE).await || is_late {
                self.voice.say(Weight::Warning, "history: not all could be written");
            }
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.publish(&waiting.event);
        }
        let Self { sinks, .. } = self;
        sinks.finish(FAREWELL);
    }
}

fn start_sinks(config: &SinkConfig, voice: &Arc<Voice>) -> Result<Sinks, SinkError> {
    let voice = Arc::clone(voice);
    Sinks::start(config, Arc::new(move |weight, line: &str| voice.say(weight, line)))
}

fn has_journal(sinks: &Sinks) -> bool {
    sinks.reader().counters().iter().any(|sink| sink.kind == "journal")
}

/// Never comes back without a history. Cancel-safe.
async fn next_history(history: &mut Option<History>) -> history::News {
    match history {
        Some(history) => history.next().await,
        None => pending().await,
    }
}

/// Never comes back when nobody looks. Cancel-safe.
async fn wanted(web: &mut Option<Web>) {
    match web {
        Some(web) => web.reporter.wanted().await,
        None => pending().await,
    }
}

/// Never comes back when nothing more is written. Cancel-safe.
async fn changed(flushed: &mut Option<watch::Receiver<u64>>) {
    match flushed {
        Some(flushed) => {
            if flushed.changed().await.is_err() {
                pending().await
            }
        }
        None => pending().await,
    }
}
