//! The replay memory on a thread of its own.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use fence_kdump_core::{Crash, CrashId, Disbelief, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant as Timer, sleep_until};

use super::error::StoreError;
use super::heard::{Latest, Stamp};
use super::memory::{Judgement, Memory};
use super::{Hearing, place};

/// How many messages may wait to be remembered.
pub const ROOM: usize = 256;

/// How long a message that is no answer to a challenge waits to be remembered: the time of silence, after which
/// it would be worth nothing.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a live message waits: it counts also when it cannot be remembered.
pub const PATIENCE_LIVE: Duration = Duration::from_secs(1);

/// Attests what was heard: has it remembered, and then says whether it is believed. Nothing here
/// blocks, whatever the disk does.
///
/// `T` is what the caller wants back with each answer: whose message it was, what it said.
///
/// ```no_run
/// # async fn f(hearing: fence_kdump_listener::store::Hearing) -> std::io::Result<()> {
/// use fence_kdump_listener::store::{Judged, News, Notary, STATE_DIR};
///
/// let mut notary = Notary::start(STATE_DIR.as_ref())?;
/// // None: the answer comes with `next`. Some: it is there already, because there is no room to wait.
/// let at_once = notary.submit(hearing, "n1");
/// assert!(at_once.is_none());
/// loop {
///     match notary.next().await {
///         News::Began(path) => println!("{} was empty", path.display()),
///         News::Trouble(error) => println!("{error}"),
///         News::Judged(Judged { ticket, result: Ok(()), .. }) => println!("{ticket} is believed"),
///         News::Judged(Judged { ticket, result: Err(why), .. }) => println!("{ticket}: {why}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Notary<T> {
    path: PathBuf,
    desk: SyncSender<(u64, Hearing)>,
    answers: UnboundedReceiver<Answer>,
    /// In the order in which they came, which is also that of their numbers and of their answers.
    waiting: VecDeque<Waiting<T>>,
    latest: Latest,
    next_number: u64,
    overrun: u64,
}

/// What [`Notary::next`] tells.
#[derive(Debug)]
pub enum News<T> {
    /// The answer to one submission.
    Judged(Judged<T>),
    /// The memory is open, and was empty: see [`Memory::is_new`].
    Began(PathBuf),
    /// The memory cannot be opened at present. With each submission it is tried again.
    Trouble(Arc<StoreError>),
}

/// The answer to one submission.
#[derive(Debug)]
pub struct Judged<T> {
    /// What was given to [`Notary::submit`].
    pub ticket: T,
    /// Whether the message is believed. `Ok` means that it is remembered for good, or that it is live.
    pub result: Result<(), Disbelief>,
    /// What is on the disk of its crash by now, if that was looked up.
    pub crash: Option<Crash>,
    /// Why it is not remembered, which people have to be told.
    pub trouble: Option<Arc<StoreError>>,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    ticket: T,
    crash: (String, CrashId),
    stamp: Stamp,
    live: bool,
    until: Timer,
}

#[derive(Debug)]
enum Answer {
    Opened { is_new: bool },
    NotOpened(Arc<StoreError>),
    Judged(u64, Result<Result<Crash, Disbelief>, Arc<StoreError>>),
}

impl<T> Notary<T> {
    /// Opens the memory in the directory `dir`, in a new thread.
    ///
    /// The thread ends when this is dropped and the disk lets it.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub fn start(dir: &Path) -> io::Result<Self> {
        Self::begin(dir, None)
    }

    /// The same for a program that hears for long, from `since` on, and submits what it hears of a crash that is
    /// known no later than [`LAG`](fence_kdump_core::replay::LAG) after what it submitted last. What one like it may have heard before and
    /// not written down is [`Disbelief::Replayed`] if it was under way for longer than [`PROMPT`](fence_kdump_core::replay::PROMPT).
    ///
    /// # Errors
    /// When the system makes no thread.
    pub fn since(dir: &Path, since: Instant) -> io::Result<Self> {
        Self::begin(dir, Some(since))
    }

    fn begin(dir: &Path, since: Option<Instant>) -> io::Result<Self> {
        let (desk, submitted) = sync_channel(ROOM);
        let (tell, answers) = unbounded_channel();
        let folder = dir.to_owned();
        let clerk = Clerk { dir: folder, since, memory: None, was_open: false, tell };
        thread::Builder::new().name("replay memory".to_owned()).spawn(|| clerk.work(submitted))?;
        let path = dir.join(place::NAME);
        Ok(Self {
            path,
            desk,
            answers,
            waiting: VecDeque::new(),
            latest: Latest::default(),
            next_number: 0,
            overrun: 0,
        })
    }

    /// Has `hearing` judged and remembered; the answer comes with [`Self::next`], together with `ticket`.
    ///
    /// What is known to be a replay is answered at once. So is, when more than [`ROOM`] wait already,
    /// everything: it is not remembered, so it is [`Disbelief::Unremembered`], or believed if it is
    /// live.
    #[must_use = "an answer may be there already"]
    pub fn submit(&mut self, hearing: Hearing, ticket: T) -> Option<Judged<T>> {
        let is_waiting = |one: &Waiting<T>| hearing.is_copy_of(&one.crash, one.stamp);
        if self.latest.judge(&hearing).is_err() || self.waiting.iter().any(is_waiting) {
            let result = Err(Disbelief::Replayed);
            return Some(Judged { ticket, result, crash: None, trouble: None });
        }
        let (live, crash, stamp) = (hearing.live, hearing.crash(), hearing.stamp());
        let until = Timer::now() + if live { PATIENCE_LIVE } else { PATIENCE };
        let number = self.next_number;
        let waiting = Waiting { number, ticket, crash, stamp, live, until };
        let path = || self.path.clone();
        // Those that were given up still lie on the desk.
        let refused = if self.waiting.len() >= ROOM {
            Some(StoreError::Overrun { path: path(), room: ROOM })
        } else {
            match self.desk.try_send((number, hearing)) {
                Ok(()) => None,
                Err(TrySendError::Full(_)) => {
                    Some(StoreError::Overrun { path: path(), room: ROOM })
                }
                Err(TrySendError::Disconnected(_)) => Some(StoreError::Gone { path: path() }),
            }
        };
        match refused {
            None => {
                self.next_number = number.wrapping_add(1);
                self.waiting.push_back(waiting);
                None
            }
            Some(error) => {
                self.overrun = self.overrun.saturating_add(1);
                Some(waiting.unremembered(Arc::new(error)))
            }
        }
    }

    /// How many were not even kept waiting.
    #[must_use]
    pub fn overrun(&self) -> u64 {
        self.overrun
    }

    /// What there is to tell next; forever pending when nothing will be. Cancel-safe.
    pub async fn next(&mut self) -> News<T> {
        loop {
            let first = self.waiting.iter().map(|waiting| waiting.until).min();
            let answer = tokio::select! {
                biased;
                answer = self.answers.recv() => answer,
                () = sleep_until(first.unwrap_or_else(Timer::now)), if first.is_some() => {
                    if let Some(judged) = self.give_up() {
                        return News::Judged(judged);
                    }
                    continue;
                }
            };
            let news = match answer {
                Some(Answer::Opened { is_new: false }) => None,
                Some(Answer::Opened { is_new: true }) => Some(News::Began(self.path.clone())),
                Some(Answer::NotOpened(error)) => Some(News::Trouble(error)),
                Some(Answer::Judged(number, judgement)) => {
                    self.answer(number, judgement).map(News::Judged)
                }
                None => match self.waiting.pop_front() {
                    Some(waiting) => {
                        let gone = StoreError::Gone { path: self.path.clone() };
                        Some(News::Judged(waiting.unremembered(Arc::new(gone))))
                    }
                    None => std::future::pending().await,
                },
            };
            if let Some(news) = news {
                return news;
            }
        }
    }

    /// `None` when it was given up before.
    fn answer(
        &mut self,
        number: u64,
        judgement: Result<Result<Crash, Disbelief>, Arc<StoreError>>,
    ) -> Option<Judged<T>> {
        let place = self.waiting.iter().position(|waiting| waiting.number == number)?;
        let waiting = self.waiting.remove(place)?;
        Some(match judgement {
            Ok(result) => {
                if result.is_ok() {
                    self.latest.believed(waiting.crash, waiting.stamp);
                }
                let (crash, result) = (result.ok(), result.map(drop));
                Judged { ticket: waiting.ticket, result, crash, trouble: None }
            }
            Err(error) => waiting.unremembered(error),
        })
    }

    /// The answer to one that has waited for too long.
    fn give_up(&mut self) -> Option<Judged<T>> {
        let now = Timer::now();
        let place = self.waiting.iter().position(|waiting| waiting.until <= now)?;
        let waiting = self.waiting.remove(place)?;
        let waited = if waiting.live { PATIENCE_LIVE } else { PATIENCE };
        let hangs = StoreError::Hangs { path: self.path.clone(), waited };
        Some(waiting.unremembered(Arc::new(hangs)))
    }
}

impl<T> Waiting<T> {
    /// What cannot be remembered is not believed, unless it is live (PROTOCOL.md §10).
    fn unremembered(self, error: Arc<StoreError>) -> Judged<T> {
        let result = if self.live { Ok(()) } else { Err(Disbelief::Unremembered) };
        Judged { ticket: self.ticket, result, crash: None, trouble: Some(error) }
    }
}

/// Works in the thread.
struct Clerk {
    dir: PathBuf,
    since: Option<Instant>,
    memory: Option<Memory>,
    was_open: bool,
    tell: UnboundedSender<Answer>,
}

impl Clerk {
    fn work(mut self, submitted: Receiver<(u64, Hearing)>) {
        if let Err(error) = self.open() {
            self.say(Answer::NotOpened(Arc::new(error)));
        }
        while let Ok(first) = submitted.recv() {
            // All that wait share one commit, since that is what takes time.
            let (numbers, hearings): (Vec<_>, Vec<_>) =
                std::iter::once(first).chain(submitted.try_iter().take(ROOM)).unzip();
            match self.judge_all(&hearings) {
                Ok(judgements) => {
                    for (number, judgement) in numbers.into_iter().zip(judgements) {
                        self.say(Answer::Judged(number, judgement.map_err(Arc::new)));
                    }
                }
                Err(error) => {
                    self.memory = None;
                    let error = Arc::new(error);
                    for number in numbers {
                        self.say(Answer::Judged(number, Err(Arc::clone(&error))));
                    }
                }
            }
        }
    }

    fn judge_all(&mut self, hearings: &[Hearing]) -> Result<Vec<Judgement>, StoreError> {
        self.open()?.judge_all(hearings)
    }

    fn open(&mut self) -> Result<&mut Memory, StoreError> {
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => {
                let open = if self.was_open { Memory::reopen } else { Memory::open };
                let memory = open(&self.dir)?.lagging(self.since);
                self.was_open = true;
                self.say(Answer::Opened { is_new: memory.is_new() });
                memory
            }
        };
        Ok(self.memory.insert(memory))
    }

    fn say(&self, answer: Answer) {
        // Whoever asked may have gone.
        drop(self.tell.send(answer));
    }
}
