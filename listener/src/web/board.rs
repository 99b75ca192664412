//! What the daemon writes on, and the web server reads from.
//!
//! Nobody looks: it costs the daemon nothing. Somebody looks: the daemon is asked for one snapshot at a
//! time, at most one a second, and makes it in small steps between its other work.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::view::{NodeView, Snapshot, Summary};
use crate::clock::unix_ms;
use crate::fleet::event::Event;

/// How many events may wait for the web server; what does not fit is counted, and whoever follows the
/// events is told to look at the whole fleet again.
pub const EVENTS: usize = 4096;

/// How many nodes [`Reporter::turn`] looks at: about a tenth of a millisecond.
pub const STEP: usize = 1024;

/// The daemon's knowledge, seen from outside.
pub trait Survey {
    /// How many nodes there are, or places for nodes.
    fn places(&self) -> usize;

    /// Adds the nodes at `places`, of which there are 1 to [`STEP`], to `nodes`; places may be empty.
    fn show(&self, places: Range<usize>, nodes: &mut Vec<NodeView>);

    /// Everything else.
    fn summary(&self) -> Summary;
}

/// The daemon's end.
#[derive(Debug)]
pub struct Reporter {
    wanted: Arc<Notify>,
    draft: Option<Draft>,
    snapshots: Sender<Snapshot>,
    events: Sender<Arc<Event>>,
    missed: Arc<AtomicU64>,
}

/// A snapshot that is not complete.
#[derive(Debug, Default)]
struct Draft {
    nodes: Vec<NodeView>,
    /// Which node is looked at next.
    next: usize,
}

/// The web server's end.
#[derive(Debug)]
pub(super) struct Reader {
    /// Tell it to have a snapshot made.
    pub(super) wanted: Arc<Notify>,
    pub(super) snapshots: Receiver<Snapshot>,
    pub(super) events: Receiver<Arc<Event>>,
    /// Events that did not fit.
    pub(super) missed: Arc<AtomicU64>,
}

/// Both ends.
pub(super) fn pair() -> (Reporter, Reader) {
    let wanted = Arc::new(Notify::new());
    let missed = Arc::new(AtomicU64::new(0));
    let (snapshots, snapshots_in) = channel(1);
    let (events, events_in) = channel(EVENTS);
    let reporter = Reporter {
        wanted: Arc::clone(&wanted),
        draft: None,
        snapshots,
        events,
        missed: Arc::clone(&missed),
    };
    (reporter, Reader { wanted, snapshots: snapshots_in, events: events_in, missed })
}

impl Reporter {
    /// Comes back when [`Self::turn`] has something to do: somebody looks, and the snapshot is not
    /// complete. Cancel-safe; for good when nobody ever looks.
    pub async fn wanted(&mut self) {
        if self.draft.is_none() {
            self.wanted.notified().await;
            self.draft = Some(Draft::default());
        }
    }

    /// Looks at the next [`STEP`] nodes, if somebody wants to see them. Never blocks.
    pub fn turn(&mut self, survey: &impl Survey) {
        let Some(Draft { mut nodes, next }) = self.draft.take() else {
            return;
        };
        let all = survey.places();
        if next == 0 {
            nodes.reserve_exact(all);
        }
        let end = all.min(next.saturating_add(STEP));
        // Places may vanish while the snapshot is made.
        if next < end {
            survey.show(next..end, &mut nodes);
        }
        if end < all {
            self.draft = Some(Draft { nodes, next: end });
            return;
        }
        let time_ms = unix_ms();
        let summary = survey.summary();
        let snapshot = Snapshot { time_ms, taken: Instant::now(), nodes, summary };
        // Nobody is there any more, or has not even taken the one before.
        drop(self.snapshots.try_send(snapshot));
    }

    /// Something happened. Never blocks.
    pub fn tell(&self, event: &Arc<Event>) {
        if self.events.try_send(Arc::clone(event)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events did not fit into the queue.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Forgets a snapshot that is not complete, as when the nodes were exchanged for others: it is made
    /// anew.
    pub fn restart(&mut self) {
        if let Some(draft) = &mut self.draft {
            *draft = Draft::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::Policy;

    struct Nodes(usize);

    impl Survey for Nodes {
        fn places(&self) -> usize {
            self.0
        }

        fn show(&self, places: Range<usize>, nodes: &mut Vec<NodeView>) {
            assert!((1..=STEP).contains(&places.len()));
            let name = |index: usize| format!("n{index}").into();
            nodes.extend(places.map(|index| NodeView::unheard(name(index), Policy::Plain)));
        }

        fn summary(&self) -> Summary {
            Summary { port: 7410, ..Summary::default() }
        }
    }

    fn step(reporter: &mut Reporter, nodes: &Nodes) -> bool {
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        let ready = std::pin::pin!(reporter.wanted()).poll(&mut context).is_ready();
        if ready {
            reporter.turn(nodes);
        }
        ready
    }

    #[test]
    fn nothing_is_done_unless_somebody_looks() {
        let (mut reporter, mut reader) = pair();
        assert!(!step(&mut reporter, &Nodes(3)));
        reporter.turn(&Nodes(3));
        assert!(reader.snapshots.try_recv().is_err());
    }

    #[test]
    fn a_large_fleet_is_seen_in_steps() {
        let (mut reporter, mut reader) = pair();
        for all in [0, 1, STEP, STEP + 1, 10 * STEP] {
            reader.wanted.notify_one();
            let mut steps = 0;
            while step(&mut reporter, &Nodes(all)) {
                steps += 1;
            }
            assert_eq!(steps, all.div_ceil(STEP).max(1));
            let snapshot = reader.snapshots.try_recv().unwrap();
            assert_eq!(snapshot.nodes.len(), all);
            assert_eq!(
                snapshot.nodes.last().map(|node| node.name.to_string()),
                all.checked_sub(1).map(|last| format!("n{last}"))
            );
        }
    }

    #[test]
    fn nodes_may_vanish_meanwhile() {
        let (mut reporter, mut reader) = pair();
        reader.wanted.notify_one();
        assert!(step(&mut reporter, &Nodes(3 * STEP)));
        assert!(step(&mut reporter, &Nodes(5)));
        assert!(reader.snapshots.try_recv().is_ok());
        reader.wanted.notify_one();
        assert!(step(&mut reporter, &Nodes(3 * STEP)));
        reporter.restart();
        assert!(step(&mut reporter, &Nodes(5)));
        assert_eq!(reader.snapshots.try_recv().unwrap().nodes.len(), 5);
    }

    #[test]
    fn a_reader_that_is_stuck_or_gone_holds_nobody_up() {
        let (mut reporter, reader) = pair();
        let event: Arc<Event> = Arc::new(
            serde_json::from_str(
                r#"{"id":"h-1-1","time_ms":1,"node":"a","kind":"started","session":"h-1-1"}"#,
            )
            .unwrap(),
        );
        for _ in 0..EVENTS + 7 {
            reporter.tell(&event);
        }
        assert_eq!(reporter.missed(), 7);
        for _ in 0..5 {
            reader.wanted.notify_one();
            while step(&mut reporter, &Nodes(2)) {}
        }
        let wanted = Arc::clone(&reader.wanted);
        drop(reader);
        wanted.notify_one();
        while step(&mut reporter, &Nodes(2)) {}
        reporter.tell(&event);
        assert_eq!(reporter.missed(), 8);
    }
}
