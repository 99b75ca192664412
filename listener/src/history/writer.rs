//! The thread that writes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};

use super::database::Database;
use super::error::HistoryError;
use super::file::{self, Place};
use super::prune::Room;
use super::{Health, Heard, Known, Limits, News, Opening};
use crate::fleet::event::Event;

/// So many events share a commit, and the sync that it costs, at most: when whole fleets crash at once, syncs are what
/// takes the time.
pub(super) const BATCH: usize = 2_048;

/// After trouble it is tried again after so long, and then half as often each time.
const AGAIN: Duration = Duration::from_millis(500);

/// It is tried at least so often.
const SELDOM: Duration = Duration::from_secs(15);

/// So often it is looked what is too old, and whether the file is still there.
const UPKEEP: Duration = Duration::from_secs(10);

/// While there is more to do.
const UPKEEP_SOON: Duration = Duration::from_millis(20);

/// So often it is looked which nodes are not needed any more.
const FORGET_NODES: Duration = Duration::from_secs(24 * 3600);

/// What is handed in. The numbers grow by one.
#[derive(Debug)]
pub(super) enum Item {
    Event { number: u64, event: Arc<Event>, heard: Heard },
    Keep { number: u64, known: Box<Known> },
    Settle { number: u64, opening: Opening },
}

impl Item {
    fn number(&self) -> u64 {
        match self {
            Self::Event { number, .. }
            | Self::Keep { number, .. }
            | Self::Settle { number, .. } => *number,
        }
    }
}

/// What the thread and its callers both know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    lost: AtomicU64,
    size: AtomicU64,
    events: AtomicU64,
    failed: AtomicU64,
    /// Something was lost for want of room since the thread last told that all is well.
    is_overrun: AtomicBool,
    pub(super) overran: Notify,
    is_over: AtomicBool,
    /// The file that is open now.
    place: Mutex<Option<Place>>,
    trouble: Mutex<Option<Arc<HistoryError>>>,
}

impl Shared {
    /// One is lost, since there is no room for it.
    pub(super) fn overrun(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if !self.is_overrun.swap(true, Ordering::AcqRel) {
            self.overran.notify_one();
        }
    }

    /// Nothing will be handed in any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn health(&self, waiting: u64) -> Health {
        Health {
            waiting,
            lost: self.lost.load(Ordering::Relaxed),
            size: self.size.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The file that the thread writes to, if it does.
    pub(super) fn place(&self) -> Option<Place> {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_place(&self, place: Option<Place>) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    fn set_trouble(&self, trouble: Option<Arc<HistoryError>>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Works in the thread.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    limits: Limits,
    shared: Arc<Shared>,
    tell: mpsc::Sender<News>,
    done: watch::Sender<u64>,
    database: Option<Database>,
    was_open: bool,
    /// The trouble that was told, in words.
    told: Option<String>,
    /// How many were lost when last told.
    lost_told: u64,
    pause: Duration,
    upkeep_at: Instant,
    forget_at: Instant,
    batch: Vec<Item>,
}

impl Writer {
    pub(super) fn new(
        dir: &Path,
        limits: Limits,
        shared: Arc<Shared>,
        (tell, done): (mpsc::Sender<News>, watch::Sender<u64>),
    ) -> Self {
        let now = Instant::now();
        Self {
            dir: dir.to_owned(),
            limits,
            shared,
            tell,
            done,
            database: None,
            was_open: false,
            told: None,
            lost_told: 0,
            pause: AGAIN,
            upkeep_at: now,
            forget_at: now,
            batch: Vec::new(),
        }
    }

    pub(super) fn work(mut self, items: &Receiver<Item>) {
        let mut is_last = false;
        loop {
            let is_idle = self.batch.is_empty();
            if is_idle {
                // To know early whether it can be written at all.
                let wait = match self.database {
                    None => Duration::ZERO,
                    Some(_) => self.upkeep_at.saturating_duration_since(Instant::now()),
                };
                match items.recv_timeout(wait) {
                    Ok(item) => self.batch.push(item),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => is_last = true,
                }
            }
            let room = BATCH.saturating_sub(self.batch.len());
            self.batch.extend(items.try_iter().take(room));
            let is_drained = self.batch.len() < BATCH;
            match self.round(is_drained) {
                Ok(()) => self.pause = AGAIN,
                Err(_) if is_last || self.shared.is_over.load(Ordering::Acquire) => return,
                Err(error) => self.recover(error),
            }
            if is_last && self.batch.is_empty() {
                return;
            }
        }
    }

    /// Writes what is there, and does what is due.
    fn round(&mut self, is_drained: bool) -> Result<(), HistoryError> {
        self.open()?;
        let Some(database) = &mut self.database else { return Ok(()) };
        if !self.batch.is_empty() {
            let (written, skipped) = database.write(&self.batch, self.limits)?;
            // What is written to a file without a name is gone with this process.
            database.is_in_place()?;
            self.shared.lost.fetch_add(skipped, Ordering::Relaxed);
            if let Some(last) = self.batch.drain(..written.min(self.batch.len())).next_back() {
                self.done.send_replace(last.number());
            }
            self.shared.size.store(database.size(), Ordering::Relaxed);
        }
        database.is_in_place()?;
        let is_drained = is_drained && self.batch.is_empty();
        let is_overrun = is_drained && self.shared.is_overrun.swap(false, Ordering::AcqRel);
        if is_overrun {
            database.begin_anew()?;
        }
        let opening = database.opening();
        if is_overrun || self.told.take().is_some() {
            self.tell_again(opening);
        }
        self.upkeep()
    }

    /// What is too old or too much goes, if it is time to look.
    fn upkeep(&mut self) -> Result<(), HistoryError> {
        let Some(database) = &mut self.database else { return Ok(()) };
        let now = Instant::now();
        let after = |pause| now.checked_add(pause).unwrap_or(now);
        if now >= self.upkeep_at || database.room(self.limits)? != Room::Enough {
            let has_more = database.prune(self.limits)?;
            self.upkeep_at = after(if has_more { UPKEEP_SOON } else { UPKEEP });
            self.shared.size.store(database.size(), Ordering::Relaxed);
            if !has_more {
                self.shared.events.store(database.events()?, Ordering::Relaxed);
            }
        }
        if now >= self.forget_at {
            database.forget_nodes()?;
            self.forget_at = after(FORGET_NODES);
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), HistoryError> {
        if self.database.is_some() {
            return Ok(());
        }
        let (database, is_new) = Database::open(&self.dir)?;
        self.shared.set_place(Some(database.place()));
        if !self.was_open {
            database.known(|known| drop(self.tell.blocking_send(News::Known(known))))?;
            self.was_open = true;
            drop(self.tell.blocking_send(News::Opened { is_new }));
        }
        self.database = Some(database);
        Ok(())
    }

    /// Tells trouble, does what can be done about it, and waits before the next try.
    fn recover(&mut self, error: HistoryError) {
        // Whatever it is: with the next opening it shows what is there.
        self.shared.set_place(None);
        match (self.database.take(), &error) {
            (Some(database), HistoryError::Moved { .. }) => database.leave(),
            (database, _) => drop(database),
        }
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        let error = Arc::new(error);
        let words = error.to_string();
        self.shared.set_trouble(Some(Arc::clone(&error)));
        if self.told.as_ref() != Some(&words) {
            self.told = Some(words);
            drop(self.tell.blocking_send(News::Trouble(Arc::clone(&error))));
        }
        let is_mended = match &*error {
            HistoryError::Damaged { path, .. } => file::set_aside(path).is_ok(),
            HistoryError::Moved { .. } => true,
            _ => false,
        };
        if is_mended && self.pause == AGAIN {
            // Once at once; a file that is taken away again and again is looked for more seldom.
            self.pause = self.pause.saturating_mul(2);
            return;
        }
        let until = Instant::now().checked_add(self.pause);
        self.pause = self.pause.saturating_mul(2).min(SELDOM);
        while until.is_some_and(|until| Instant::now() < until)
            && !self.shared.is_over.load(Ordering::Acquire)
        {
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn tell_again(&mut self, opening: Opening) {
        self.shared.set_trouble(None);
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let since = lost.saturating_sub(self.lost_told);
        self.lost_told = lost;
        drop(self.tell.blocking_send(News::Again { lost: since, opening }));
    }
}
