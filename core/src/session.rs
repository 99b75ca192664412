//! One node's dump, as a state machine (PROTOCOL.md §11).
//!
//! ```text
//!              message             message              message
//!   Unheard ───────────▶ Started ───────────▶ Dumping ◀─────────┐
//!                          ▲  │ silence          │ │            │
//!                  message │  ▼ or said so       │ └────────────┘
//!                        Finished ◀──────────────┘
//!                                   silence or said so
//! ```

use core::time::Duration;

use crate::message::{Phase, Progress, Report};
use crate::policy::Proof;
use crate::time::Instant;

/// How long a node may be silent before its session has finished: three times the interval at which
/// senders speak by default, so that two messages may be lost (PROTOCOL.md §11.2).
pub const SILENCE: Duration = Duration::from_secs(30);

/// Where one node's dump stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Nothing was ever heard of this node.
    Unheard,
    /// One message was heard.
    Started,
    /// More than one message was heard.
    Dumping,
    /// The node spoke and then was silent for too long, or said that its dump is over: it may have
    /// rebooted.
    Finished,
}

/// What a message or the passing of time changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The first message of a session. An earlier session of this node, if any, is over.
    Started,
    /// The second message of a session, or one that shows that it had not finished after all.
    Dumping,
    /// One more message that changes nothing.
    Heard,
    /// The node does something else now, and has proven that it says so.
    Phase(Phase),
    /// The node has been silent for too long, or has said (and proven that it did) that it is done.
    Finished,
}

/// What was written down of a session: see [`Session::resumed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// When its first message arrived.
    pub first: Instant,
    /// When its latest message arrived, as far as is known.
    pub last: Instant,
    /// How many messages it had, 1 or more.
    pub messages: u32,
    /// How far the latest message was proven.
    pub proof: Proof,
    /// What the node said that it does.
    pub phase: Option<Phase>,
    /// How far the dump had come.
    pub progress: Progress,
}

/// One node's dump.
///
/// Times may be handed in out of order; a session never moves backwards in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    state: State,
    source: Source,
    phase: Option<Phase>,
    messages: u32,
    first: Instant,
    last: Instant,
    deadline: Instant,
    progress: Progress,
}

/// How far the latest message was proven, and whether it was heard or only [written down](Session::resumed). One byte,
/// since there may be a million sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source(u8);

impl Source {
    const WRITTEN: u8 = 1 << 7;

    const fn heard(proof: Proof) -> Self {
        Self(proof as u8)
    }

    const fn written(proof: Proof) -> Self {
        Self(proof as u8 | Self::WRITTEN)
    }

    const fn is_written(self) -> bool {
        self.0 & Self::WRITTEN != 0
    }

    const fn proof(self) -> Proof {
        const SIGNED: u8 = Proof::Signed as u8;
        const LIVE: u8 = Proof::Live as u8;
        match self.0 & !Self::WRITTEN {
            LIVE => Proof::Live,
            SIGNED => Proof::Signed,
            _ => Proof::Plain,
        }
    }
}

impl Session {
    /// A node of which nothing was heard.
    pub const UNHEARD: Self = Self {
        state: State::Unheard,
        source: Source::heard(Proof::Plain),
        phase: None,
        messages: 0,
        first: Instant::from_nanos(0),
        last: Instant::from_nanos(0),
        deadline: Instant::from_nanos(0),
        progress: Progress { done: 0, total: 0 },
    };

    /// A node of which nothing was heard.
    #[must_use]
    pub const fn new() -> Self {
        Self::UNHEARD
    }

    /// A believed message of this node arrived at `at`, and `report` is what counts of it; the session
    /// has finished when nothing follows it for `silence`: more than the interval at which the node
    /// speaks, or it is never believed for long.
    ///
    /// A message that arrived after a silence begins a new session, whether or not [`Self::tick`]
    /// was called in between. When one is handed in so late that the session was told to have
    /// finished, although it had arrived before that, the session goes on after all; unless the node
    /// itself had said that it is over.
    pub fn hear(&mut self, at: Instant, report: &Report, silence: Duration) -> Event {
        if self.has_said_end() && (at <= self.last || report.phase.is_some_and(Phase::is_end)) {
            self.messages = self.messages.saturating_add(1);
            self.last = self.last.max(at);
            return Event::Heard;
        }
        let deadline = at.saturating_add(silence);
        let event = match self.state(at) {
            State::Finished if at < self.deadline && deadline <= self.deadline => Event::Heard,
            State::Finished if at < self.deadline => {
                self.state = State::Dumping;
                Event::Dumping
            }
            State::Unheard | State::Finished => {
                *self = Self { state: State::Started, first: at, ..Self::UNHEARD };
                Event::Started
            }
            State::Started => {
                self.state = State::Dumping;
                Event::Dumping
            }
            State::Dumping => Event::Heard,
        };
        // Asked only now: what begins a session is the latest of it, whatever came before; and so is what is
        // heard of one that was only written down, by whatever clock.
        let is_latest = self.messages == 0 || self.is_written() || at >= self.last;
        self.messages = self.messages.saturating_add(1);
        if is_latest {
            self.first = self.first.min(at);
            self.last = at;
            self.deadline = deadline;
            self.heed(report, event)
        } else {
            self.deadline = self.deadline.max(deadline);
            event
        }
    }

    /// One that was heard before this program was started, and goes on: `earlier` is what is known of it,
    /// and it has finished when nothing is heard by `deadline`. Nobody listened in between, so the silence
    /// until now means nothing.
    ///
    /// It is for showing: no verdict rests on it before a message was heard.
    #[must_use]
    pub fn resumed(earlier: &Earlier, deadline: Instant) -> Self {
        let Earlier { first, last, messages, proof, phase, progress } = *earlier;
        let messages = messages.max(1);
        let last = last.max(first);
        let (state, deadline) = match phase {
            Some(phase) if phase.is_end() => (State::Finished, last),
            _ if messages == 1 => (State::Started, deadline),
            _ => (State::Dumping, deadline),
        };
        let source = Source::written(proof);
        Self { state, source, phase, messages, first, last, deadline, progress }
    }

    /// The same when it is over.
    #[must_use]
    pub fn over(earlier: &Earlier) -> Self {
        let resumed = Self::resumed(earlier, earlier.last);
        Self { state: State::Finished, deadline: resumed.last, ..resumed }
    }

    /// What the latest message said about itself.
    fn heed(&mut self, report: &Report, event: Event) -> Event {
        self.source = Source::heard(report.proof);
        if report.proof == Proof::Plain {
            return event;
        }
        let before = self.phase;
        self.phase = report.phase.or(before);
        self.progress = report.progress;
        match self.phase {
            Some(phase) if phase.is_end() => {
                self.state = State::Finished;
                self.deadline = self.last;
                Event::Finished
            }
            Some(phase) if before != self.phase && event == Event::Heard => Event::Phase(phase),
            _ => event,
        }
    }

    /// Whether the session is over because the node said so.
    fn has_said_end(&self) -> bool {
        self.state == State::Finished && self.phase.is_some_and(Phase::is_end)
    }

    /// Time has passed: tells once when the session has finished.
    pub fn tick(&mut self, now: Instant) -> Option<Event> {
        match (self.state, self.state(now)) {
            (State::Started | State::Dumping, State::Finished) => {
                self.state = State::Finished;
                Some(Event::Finished)
            }
            _ => None,
        }
    }

    /// When [`Self::tick`] will have something to tell, unless a message comes first.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Started | State::Dumping => Some(self.deadline),
            State::Unheard | State::Finished => None,
        }
    }

    /// Where the dump stands at `now`. Does not depend on [`Self::tick`] having been called.
    #[must_use]
    pub fn state(&self, now: Instant) -> State {
        match self.deadline() {
            Some(deadline) if now >= deadline => State::Finished,
            _ => self.state,
        }
    }

    /// When the first message of the present or last session arrived.
    #[must_use]
    pub const fn first_heard(&self) -> Option<Instant> {
        if self.messages == 0 { None } else { Some(self.first) }
    }

    /// When the latest message arrived.
    #[must_use]
    pub const fn last_heard(&self) -> Option<Instant> {
        if self.messages == 0 { None } else { Some(self.last) }
    }

    /// Whether nothing was heard of it since it was [resumed](Self::resumed): it is no evidence.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        self.source.is_written()
    }

    /// How many messages the present or last session had; stays at its maximum once there.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// How far the latest message was proven; `None` when nothing was ever heard.
    #[must_use]
    pub const fn proof(&self) -> Option<Proof> {
        if self.messages == 0 { None } else { Some(self.source.proof()) }
    }

    /// What the node does, by the latest message of the session that said so and proved it.
    #[must_use]
    pub const fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// How far the dump has come, by the latest message that proved what it said.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::UNHEARD
    }
}

#[cfg(test)]
mod tests;
