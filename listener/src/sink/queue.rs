//! What waits for one sink, and what became of the rest.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Notify;

use super::complaints::{Complaints, Say};
use super::config::Kinds;
use crate::fleet::event::Event;
use crate::voice::Weight;

/// What became of the events that one sink was told.
///
/// At any moment `told` is the sum of `delivered`, `dropped`, `failed` and `waiting`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// `journal`, `command`, `webhook` or `nats`.
    pub kind: &'static str,
    /// The sink's own name.
    pub name: Arc<str>,
    /// Events that it was to know of.
    pub told: u64,
    /// Those that arrived: the journal has them, the command ended with 0, the web server said that it
    /// took them, the stream has them.
    pub delivered: u64,
    /// Those that found no room, or were pushed out by newer ones while they waited.
    pub dropped: u64,
    /// Those that were given up: the other end refused them, or did not take them in time.
    pub failed: u64,
    /// Those that wait, or are on their way at this moment.
    pub waiting: u64,
    /// Why the latest try that failed did so; kept when later ones succeed.
    pub last_error: Option<Arc<str>>,
}

/// The queue of one sink.
#[derive(Debug)]
pub(super) struct Queue {
    kind: &'static str,
    name: Arc<str>,
    complaints: Complaints,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    room: usize,
    kinds: Kinds,
    closed: bool,
    /// In the order of their numbers.
    waiting: VecDeque<Item>,
    in_hand: usize,
    next_number: u64,
    told: u64,
    delivered: u64,
    dropped: u64,
    /// Of those, how many people were told of.
    dropped_said: u64,
    failed: u64,
    last_error: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Item {
    number: u64,
    since: Instant,
    event: Arc<Event>,
}

/// An event in the hands of a worker. Unless it is settled it goes back to its place in the queue.
#[derive(Debug)]
pub(super) struct Taken {
    queue: Arc<Queue>,
    item: Option<Item>,
    event: Arc<Event>,
    /// When the sink was told.
    pub(super) since: Instant,
}

impl Queue {
    pub(super) fn new(
        kind: &'static str,
        name: &str,
        room: usize,
        kinds: Kinds,
        say: Say,
    ) -> Arc<Self> {
        let name: Arc<str> = name.into();
        let state = State {
            room,
            kinds,
            closed: false,
            waiting: VecDeque::new(),
            in_hand: 0,
            next_number: 0,
            told: 0,
            delivered: 0,
            dropped: 0,
            dropped_said: 0,
            failed: 0,
            last_error: None,
        };
        let complaints = Complaints::new(Arc::clone(&name), say);
        let (state, changed) = (Mutex::new(state), Notify::new());
        Arc::new(Self { kind, name, complaints, state, changed })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a few instructions each time, never while anything is waited for.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `event` in, if the sink is to know of it: never waits.
    pub(super) fn offer(&self, event: &Arc<Event>) {
        let pushed_out;
        {
            let mut state = self.state();
            if !state.kinds.contain(event.kind) {
                return;
            }
            state.told = state.told.saturating_add(1);
            if state.closed {
                state.dropped = state.dropped.saturating_add(1);
                return;
            }
            let number = state.next_number;
            state.next_number = number.saturating_add(1);
            pushed_out = state.make_room(1);
            let item = Item { number, since: Instant::now(), event: Arc::clone(event) };
            state.waiting.push_back(item);
        }
        self.changed.notify_waiters();
        // The last to hold an event frees it, for which nobody has to wait.
        drop(pushed_out);
    }

    /// Takes up to `most` events, as soon as there is one; none when the queue is closed and nothing
    /// waits in it any more. `fits` is asked whether an event may be taken now, from the front on, until
    /// `reach` of them may not.
    pub(super) async fn take(
        self: &Arc<Self>,
        most: usize,
        reach: usize,
        mut fits: impl FnMut(&Event) -> bool,
    ) -> Vec<Taken> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let news = self.state().news();
            if let Some(news) = news {
                self.complaints.say(Weight::Warning, &news);
            }
            if let ControlFlow::Break(taken) = self.try_take(most, reach, &mut fits) {
                return taken;
            }
            changed.await;
        }
    }

    /// Waits until it is closed and nothing waits in it any more.
    pub(super) async fn done(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.closed && state.waiting.is_empty() {
                    return;
                }
            }
            changed.await;
        }
    }

    fn try_take(
        self: &Arc<Self>,
        most: usize,
        reach: usize,
        fits: &mut impl FnMut(&Event) -> bool,
    ) -> ControlFlow<Vec<Taken>> {
        let mut state = self.state();
        let mut taken = Vec::new();
        let mut at = 0_usize;
        for _ in 0..most.saturating_add(reach) {
            if taken.len() >= most || at >= reach {
                break;
            }
            let Some(item) = state.waiting.get(at) else { break };
            if !fits(&item.event) {
                at = at.saturating_add(1);
                continue;
            }
            let Some(item) = state.waiting.remove(at) else { break };
            state.in_hand = state.in_hand.saturating_add(1);
            let (event, since) = (Arc::clone(&item.event), item.since);
            taken.push(Taken { queue: Arc::clone(self), item: Some(item), event, since });
        }
        if taken.is_empty() && !(state.closed && state.waiting.is_empty()) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(taken)
    }

    /// Says `line` of this sink to people.
    pub(super) fn complain(&self, weight: Weight, line: &str) {
        self.complaints.say(weight, line);
    }

    /// A try failed, and will be repeated.
    pub(super) fn trouble(&self, why: &str) {
        self.state().last_error = Some(why.into());
    }

    /// What it holds, and what it is for, are others from now on.
    pub(super) fn reshape(&self, room: usize, kinds: Kinds) {
        let pushed_out = {
            let mut state = self.state();
            state.room = room;
            state.kinds = kinds;
            state.make_room(0)
        };
        drop(pushed_out);
    }

    /// Takes nothing in from now on.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    /// Drops all that waits: how many.
    pub(super) fn give_up(&self) -> usize {
        let given_up = {
            let mut state = self.state();
            let given_up = std::mem::take(&mut state.waiting);
            state.dropped = state.dropped.saturating_add(count(given_up.len()));
            given_up
        };
        given_up.len()
    }

    pub(super) fn counters(&self) -> Counters {
        let state = self.state();
        Counters {
            kind: self.kind,
            name: Arc::clone(&self.name),
            told: state.told,
            delivered: state.delivered,
            dropped: state.dropped,
            failed: state.failed,
            waiting: count(state.waiting.len().saturating_add(state.in_hand)),
            last_error: state.last_error.clone(),
        }
    }
}

impl State {
    /// Pushes the oldest out until there is room for `more`.
    fn make_room(&mut self, more: usize) -> Vec<Item> {
        let excess = self.waiting.len().saturating_add(more).saturating_sub(self.room);
        let pushed_out: Vec<_> = self.waiting.drain(..excess.min(self.waiting.len())).collect();
        self.dropped = self.dropped.saturating_add(count(pushed_out.len()));
        pushed_out
    }

    /// What people have to be told.
    fn news(&mut self) -> Option<String> {
        let lost = self.dropped.saturating_sub(self.dropped_said);
        self.dropped_said = self.dropped;
        (lost > 0).then(|| format!("{lost} events are lost: only {} can wait", self.room))
    }
}

impl Taken {
    pub(super) fn event(&self) -> &Arc<Event> {
        &self.event
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// It arrived.
    pub(super) fn delivered(self) {
        self.settle(|state| state.delivered = state.delivered.saturating_add(1));
    }

    /// It is given up.
    pub(super) fn failed(self, why: &str) {
        self.settle(|state| {
            state.failed = state.failed.saturating_add(1);
            state.last_error = Some(why.into());
        });
    }

    fn settle(mut self, count: impl FnOnce(&mut State)) {
        if self.item.take().is_some() {
            let mut state = self.queue.state();
            state.in_hand = state.in_hand.saturating_sub(1);
            count(&mut state);
            drop(state);
            self.queue.changed.notify_waiters();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(item) = self.item.take() else { return };
        let mut state = self.queue.state();
        state.in_hand = state.in_hand.saturating_sub(1);
        let place = state.waiting.partition_point(|other| other.number < item.number);
        state.waiting.insert(place, item);
        drop(state);
        self.queue.changed.notify_waiters();
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
