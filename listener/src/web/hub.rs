//! What the web server knows: the latest snapshot, and the latest events.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{Notify, watch};

use super::board::Reader;
use super::view::Snapshot;
use crate::fleet::event::Event;

/// A snapshot is shown to all who ask within this time.
const FRESH: Duration = Duration::from_secs(1);

/// How long the daemon may take for a snapshot until it is said that it does not answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// A snapshot that nobody asks for is dropped, since it may be large.
const KEEP: Duration = Duration::from_secs(10);

/// How many events are kept for those who were away for a moment.
pub(super) const LOG: usize = 1024;

/// The daemon's thread has not made a snapshot in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the daemon has not answered its own web server within {} s", PATIENCE.as_secs())]
pub(super) struct Mute;

/// What the web server knows. Used by its one thread alone.
#[derive(Debug)]
pub(super) struct Hub {
    wanted: Arc<Notify>,
    ordered: Mutex<Option<Instant>>,
    latest: watch::Sender<Option<Arc<Snapshot>>>,
    log: Mutex<Log>,
    /// The place of the next event.
    end: watch::Sender<u64>,
    missed: Arc<AtomicU64>,
}

/// The latest events.
#[derive(Debug, Default)]
struct Log {
    kept: VecDeque<Kept>,
    /// The place of the first one that is kept.
    first: u64,
    /// The id of the latest event, whether it is kept or not.
    latest: Option<String>,
    /// How many were missed when it was last looked.
    missed: u64,
}

#[derive(Debug)]
struct Kept {
    id: String,
    frame: Bytes,
}

/// What one who follows the events gets next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Portion {
    /// Where it goes on.
    pub(super) next: u64,
    /// Whole frames of `text/event-stream`.
    pub(super) bytes: Bytes,
}

/// Those that are needed to run [`Hub::keep`].
#[derive(Debug)]
pub(super) struct Inlets {
    snapshots: Receiver<Snapshot>,
    events: Receiver<Arc<Event>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(super) fn new(reader: Reader) -> (Arc<Self>, Inlets) {
        let Reader { wanted, snapshots, events, missed } = reader;
        let hub = Self {
            wanted,
            ordered: Mutex::default(),
            latest: watch::Sender::new(None),
            log: Mutex::default(),
            end: watch::Sender::new(0),
            missed,
        };
        (Arc::new(hub), Inlets { snapshots, events })
    }

    /// Takes in what the daemon says, until the daemon is gone: then nothing is known any more.
    pub(super) async fn keep(&self, mut inlets: Inlets) {
        self.take_in(&mut inlets).await;
        self.latest.send_replace(None);
    }

    async fn take_in(&self, inlets: &mut Inlets) {
        let mut tick = tokio::time::interval(FRESH);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut news = Vec::new();
        loop {
            tokio::select! {
                snapshot = inlets.snapshots.recv() => match snapshot {
                    Some(snapshot) => {
                        *locked(&self.ordered) = None;
                        self.latest.send_replace(Some(Arc::new(snapshot)));
                    }
                    None => return,
                },
                _ = inlets.events.recv_many(&mut news, 256) => self.log(&mut news),
                _ = tick.tick() => {
                    self.log(&mut news);
                    self.latest.send_if_modified(|latest| {
                        latest.take_if(|old| old.taken.elapsed() > KEEP).is_some()
                    });
                }
            }
        }
    }

    fn log(&self, news: &mut Vec<Arc<Event>>) {
        let mut log = locked(&self.log);
        let missed = self.missed.load(Ordering::Relaxed);
        if missed != log.missed {
            // Something is missing right here: whoever is before it cannot go on.
            log.missed = missed;
            log.forget();
        }
        for event in news.drain(..) {
            log.add(&event);
        }
        let end = log.end();
        drop(log);
        self.end.send_if_modified(|old| std::mem::replace(old, end) != end);
    }

    /// How the daemon is now, at most [`FRESH`] ago.
    pub(super) async fn fresh(&self) -> Result<Arc<Snapshot>, Mute> {
        let is_fresh = |snapshot: &Option<Arc<Snapshot>>| {
            snapshot.as_ref().is_some_and(|snapshot| snapshot.taken.elapsed() < FRESH)
        };
        let mut latest = self.latest.subscribe();
        if !is_fresh(&latest.borrow()) {
            self.order();
        }
        match tokio::time::timeout(PATIENCE, latest.wait_for(is_fresh)).await {
            Ok(Ok(snapshot)) => snapshot.clone().ok_or(Mute),
            _ => Err(Mute),
        }
    }

    /// One order for all who wait.
    fn order(&self) {
        let mut ordered = locked(&self.ordered);
        if ordered.is_none_or(|at| at.elapsed() > PATIENCE) {
            *ordered = Some(Instant::now());
            // The old one is of no use to anybody; a large fleet is not kept twice.
            self.latest.send_if_modified(|latest| latest.take().is_some());
            self.wanted.notify_one();
        }
    }

    /// Changes whenever there is an event: the place of the next one.
    pub(super) fn end(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// The place after the event `id`; `None` when it is not known any more.
    pub(super) fn after(&self, id: &str) -> Option<u64> {
        locked(&self.log).after(id)
    }

    /// What comes at `place`, at most about `room` bytes; `None` when it is not known any more.
    pub(super) fn portion(&self, place: u64, room: usize) -> Option<Portion> {
        locked(&self.log).portion(place, room)
    }

    /// Events that did not fit into the queue.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Where one goes on who has to look at the whole fleet again, and what tells him to.
    pub(super) fn reload(&self) -> Portion {
        let log = locked(&self.log);
        let id = log.latest.as_ref().map_or_else(String::new, |id| format!("id: {id}\n"));
        let bytes = Bytes::from(format!("{id}event: reload\ndata: {{}}\n\n"));
        Portion { next: log.end(), bytes }
    }
}

impl Log {
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.kept.len()).unwrap_or(u64::MAX))
    }

    fn forget(&mut self) {
        // One place is left empty: nobody is at the end of what was, and thinks that nothing is missing.
        self.first = self.end().saturating_add(1);
        self.kept.clear();
    }

    fn add(&mut self, event: &Event) {
        // JSON has no line breaks outside of strings, and inside they are escaped.
        let Ok(json) = serde_json::to_string(event) else {
            return;
        };
        if self.kept.len() >= LOG {
            self.kept.pop_front();
            self.first = self.first.saturating_add(1);
        }
        let id = event.id.to_string().replace(char::is_control, " ");
        let frame = Bytes::from(format!("id: {id}\ndata: {json}\n\n"));
        self.latest = Some(id.clone());
        self.kept.push_back(Kept { id, frame });
    }

    fn after(&self, id: &str) -> Option<u64> {
        let back = self.kept.iter().rev().position(|kept| kept.id == id)?;
        self.end().checked_sub(u64::try_from(back).ok()?)
    }

    fn portion(&self, place: u64, room: usize) -> Option<Portion> {
        let start = usize::try_from(place.checked_sub(self.first)?).ok()?;
        if start > self.kept.len() {
            return None;
        }
        let mut next = place;
        let mut bytes = Vec::new();
        for kept in self.kept.range(start..) {
            if !bytes.is_empty() && bytes.len().saturating_add(kept.frame.len()) > room {
                break;
            }
            bytes.extend_from_slice(&kept.frame);
            next = next.saturating_add(1);
        }
        Some(Portion { next, bytes: bytes.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::event::Kind;

    fn event(number: usize) -> Event {
        Event {
            id: format!("h-1-{number}").as_str().into(),
            time_ms: 1,
            node: "a\nb".into(),
            kind: Kind::Started,
            session: "h-1-1".into(),
            from: None,
            proof: None,
            phase: None,
            done: None,
            total: None,
            messages: 1,
        }
    }

    #[test]
    fn the_latest_events_are_kept_in_order() {
        let mut log = Log::default();
        assert_eq!(log.portion(0, 100), Some(Portion { next: 0, bytes: Bytes::new() }));
        for number in 0..LOG + 10 {
            log.add(&event(number));
        }
        assert_eq!(log.portion(9, 100), None, "no longer kept");
        let first = log.portion(10, 1).unwrap();
        assert_eq!(first.next, 11);
        let text = std::str::from_utf8(&first.bytes).unwrap();
        assert!(text.starts_with("id: h-1-10\ndata: {\"id\":\"h-1-10\""), "{text}");
        assert_eq!(text.lines().count(), 3, "one line of data: {text}");
        assert_eq!(log.after("h-1-10"), Some(11));
        assert_eq!(log.after("h-1-9"), None);
        let newest = format!("h-1-{}", LOG + 9);
        assert_eq!(log.after(&newest), Some(log.end()));
        let all = log.portion(10, usize::MAX).unwrap();
        assert_eq!(all.next, log.end());
        assert_eq!(log.portion(log.end(), 5).unwrap().bytes, Bytes::new());
        assert_eq!(log.portion(log.end() + 1, 5), None);
    }

    #[test]
    fn after_a_gap_nobody_goes_on() {
        let mut log = Log::default();
        log.add(&event(1));
        let end = log.end();
        log.forget();
        log.add(&event(3));
        assert_eq!(log.portion(end, 100), None);
        assert_eq!(log.after("h-1-1"), None);
        assert!(log.portion(end + 1, 100).unwrap().bytes.starts_with(b"id: h-1-3"));
    }
}
