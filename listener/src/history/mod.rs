//! What happened: every session and every event, for people and for the next start of the daemon.
//!
//! - [`History`] writes it, on a thread of its own: nothing that calls it ever waits for the disk.
//! - [`Reader`] reads it, in this process or another; [`Archive`] does so for the web server.
//!
//! # What is promised
//!
//! [`History::flushed`] tells up to which event everything is on the disk for good: whatever then ends the daemon,
//! or the host, the next start knows it, and the daemon gets all sessions back with [`News::Known`]. What
//! cannot be written for now waits in a queue of [`ROOM`] places; what does not fit is lost, counted,
//! and told.
//!
//! The history decides nothing: a message counts or does not, whatever is written here (that is what
//! [`crate::store`] is for). So one that is damaged is set aside, and one that was deleted is
//! begun anew, after a loud word.
//!
//! # How it is kept
//!
//! One SQLite file with a write-ahead log, `history.db`, so that readers and the writer never wait for each other;
//! each batch of events is one transaction and one sync. The oldest events go, a few at a time, when they are
//! too old or the file gets too large.

mod archive;
mod database;
mod error;
mod file;
mod prune;
mod reader;
mod rows;
mod schema;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fence_kdump_core::{Instant, Phase, Proof};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

pub use archive::Archive;
pub use error::HistoryError;
pub use file::NAME;
pub use reader::{Entry, Page, Reader};

use crate::address::Address;
use crate::background;
use crate::fleet::event::{self, Event, Kind};
use crate::fleet::event_id::EventId;
use writer::{Item, Shared, Writer};

/// How many events may wait to be written, besides those that are just being written: in 3 MB.
pub const ROOM: usize = 10_752;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What is older goes.
    pub keep: Duration,
    /// The file and its log take so many bytes at most, and the oldest goes first. At least [`Self::LEAST`].
    pub most: u64,
}

impl Limits {
    /// No history is smaller, in bytes.
    pub const LEAST: u64 = 16 * 1024 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self { keep: Duration::from_secs(90 * 24 * 3600), most: 256 * 1024 * 1024 }
    }
}

/// When messages of a session came, by [`crate::clock::now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The first.
    pub first: Instant,
    /// The latest.
    pub last: Instant,
    /// The session is over when nothing follows the latest for so long.
    pub silence: Duration,
}

/// One dump of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// [`Event::session`] of its events.
    pub id: EventId,
    /// The node.
    pub node: Arc<str>,
    /// When it began, in milliseconds since 1970-01-01 00:00 UTC.
    pub started_ms: u64,
    /// When it last changed, likewise.
    pub changed_ms: u64,
    /// How it ended; `None` as long as it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Kind>,
    /// The rest is as in the latest [`Event`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// How far it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "event::proof")]
    pub proof: Option<Proof>,
    /// What the node said that it does.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "event::phase")]
    pub phase: Option<Phase>,
    /// How much of the dump was done, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How much there was, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Messages.
    pub messages: u32,
}

/// A session from before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it was.
    pub session: Session,
    /// When its messages came; `None` when that was by another clock than today's: the host was started
    /// since, or the daemon runs in another time namespace. Then nobody can tell how long ago it was, and it
    /// must not be evidence of anything.
    pub heard: Option<Heard>,
}

/// What [`History::next`] tells.
#[derive(Debug)]
pub enum News {
    /// Sessions from before: the latest of each node that ever had one. More of them may follow, until
    /// [`News::Opened`]. Those that go on come last, in the order in which they were heard.
    Known(Vec<Known>),
    /// The history is open.
    Opened {
        /// Whether there was none before.
        is_new: bool,
    },
    /// It cannot be written at present. It is tried again; meanwhile up to [`ROOM`] events wait.
    Trouble(Arc<HistoryError>),
    /// It can be written again.
    Again {
        /// How many events were lost since the last time.
        lost: u64,
        /// Something may be missing in it: [`History::keep`] all sessions that go on, and then
        /// [`History::settle`] this.
        opening: Opening,
    },
}

/// From when on sessions are told or kept that are settled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening(i64);

/// How it is with the history.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Events and sessions that wait to be written.
    pub waiting: u64,
    /// How many could not be written, since the start.
    pub lost: u64,
    /// How large the file and its log are, in bytes.
    pub size: u64,
    /// How many events were in it when that was last looked at: at the start, and every ten seconds.
    pub events: u64,
    /// How often it could not be opened or written, since the start.
    pub failed: u64,
    /// Why nothing can be written, at present.
    pub trouble: Option<Arc<HistoryError>>,
}

/// The history of this host.
///
/// ```no_run
/// # async fn f(event: std::sync::Arc<fence_kdump_listener::fleet::event::Event>,
/// #     heard: fence_kdump_listener::history::Heard) -> std::io::Result<()> {
/// use fence_kdump_listener::history::{History, Limits, News};
///
/// let mut history = History::start("/var/lib/fence_kdump".as_ref(), Limits::default())?;
/// // Neither waits for the disk.
/// let number = history.tell(event, heard);
/// if let News::Trouble(why) = history.next().await {
///     println!("{why}");
/// }
/// // This does: whoever wants to be sure.
/// if let Some(number) = number {
///     let _ = history.flushed().wait_for(|done| *done >= number).await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct History {
    desk: Desk,
    told: u64,
    flushed: watch::Receiver<u64>,
    news: mpsc::Receiver<News>,
    thread: JoinHandle<()>,
    path: PathBuf,
}

/// Where events are handed in. Without it, the thread ends.
#[derive(Debug)]
struct Desk {
    items: SyncSender<Item>,
    shared: Arc<Shared>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// Opens readers in the process that writes the history.
#[derive(Debug, Clone)]
pub struct Opener {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Opener {
    /// A reader.
    ///
    /// # Errors
    /// When the history is not open at present, or cannot be read.
    pub fn open(&self) -> Result<Reader, HistoryError> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        Reader::beside(dir, Arc::clone(&self.shared))
    }
}

impl History {
    /// Opens the history in the directory `dir`, in a new thread.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub fn start(dir: &Path, limits: Limits) -> io::Result<Self> {
        let (items, submitted) = sync_channel(ROOM);
        let (tell, news) = mpsc::channel(16);
        let (done, flushed) = watch::channel(0);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(dir, limits, Arc::clone(&shared), (tell, done));
        let thread = thread::Builder::new().name("history".to_owned()).spawn(move || {
            background::give_way();
            writer.work(&submitted);
        })?;
        let (desk, path) = (Desk { items, shared }, dir.join(NAME));
        Ok(Self { desk, told: 0, flushed, news, thread, path })
    }

    /// Writes down that `event` happened, and when the messages of its session came. Never waits.
    ///
    /// Its number, for [`Self::flushed`]; `None` when it is lost, because too many wait already.
    pub fn tell(&mut self, event: Arc<Event>, heard: Heard) -> Option<u64> {
        let told = self.submit(|number| Item::Event { number, event, heard });
        if told.is_none() {
            self.desk.shared.overrun();
        }
        told
    }

    /// Writes down how a session stands that goes on, without an event: before the end of the daemon, and after
    /// something was lost. Never waits.
    ///
    /// Its number, as with [`Self::tell`]; `None` when too many wait already: then it is to be kept later.
    pub fn keep(&mut self, session: Session, heard: Heard) -> Option<u64> {
        let known = Box::new(Known { session, heard: Some(heard) });
        self.submit(|number| Item::Keep { number, known })
    }

    /// Says that no other sessions go on than those of which something was told or kept since `opening`. Has no
    /// effect when there was another one since. Never waits.
    ///
    /// Its number, as with [`Self::keep`].
    pub fn settle(&mut self, opening: Opening) -> Option<u64> {
        self.submit(|number| Item::Settle { number, opening })
    }

    /// Whether there is room to [`Self::keep`] something that can wait, and for events besides. It changes together
    /// with [`Self::flushed`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting = self.told.saturating_sub(*self.flushed.borrow());
        usize::try_from(waiting).is_ok_and(|waiting| waiting < ROOM / 2)
    }

    fn submit(&mut self, item: impl FnOnce(u64) -> Item) -> Option<u64> {
        let number = self.told.saturating_add(1);
        match self.desk.items.try_send(item(number)) {
            Ok(()) => {
                self.told = number;
                Some(number)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// Up to which number everything is on the disk for good, or, as [`Health::lost`] tells, lost.
    #[must_use]
    pub fn flushed(&self) -> watch::Receiver<u64> {
        self.flushed.clone()
    }

    /// What there is to tell next; forever pending when nothing will be. Cancel-safe. To be waited for all the time.
    pub async fn next(&mut self) -> News {
        tokio::select! {
            biased;
            Some(news) = self.news.recv() => news,
            () = self.desk.shared.overran.notified() => {
                let path = self.path.clone();
                News::Trouble(Arc::new(HistoryError::Overrun { path, room: ROOM }))
            }
            else => std::future::pending().await,
        }
    }

    /// Opens readers for other threads of this process.
    #[must_use]
    pub fn opener(&self) -> Opener {
        Opener { path: self.path.clone(), shared: Arc::clone(&self.desk.shared) }
    }

    /// How it is with it.
    #[must_use]
    pub fn health(&self) -> Health {
        let waiting = self.told.saturating_sub(*self.flushed.borrow());
        self.desk.shared.health(waiting)
    }

    /// Writes what waits, and closes the file, for at most `patience`; whether all is written.
    pub async fn finish(self, patience: Duration) -> bool {
        let Self { desk, told, flushed, news, thread, .. } = self;
        drop((desk, news));
        let closed = async {
            while !thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // A disk that hangs may never let it end.
        drop(tokio::time::timeout(patience, closed).await);
        *flushed.borrow() >= told
    }
}

#[cfg(test)]
mod tests;
