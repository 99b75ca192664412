//! The one safety decision (PROTOCOL.md §12).

use core::fmt;
use core::time::Duration;

use crate::session::{Session, State};
use crate::time::Instant;

/// What is asked about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Messages that arrived before this point are no evidence: the node may have rebooted since.
    /// An agent puts the time of its own start here; the clock's origin would accept any memory.
    pub not_before: Instant,
    /// The present.
    pub now: Instant,
}

/// The answer. Every way of doubting ends in [`Verdict::NotKnown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The node's production kernel has stopped: it need not be fenced by other means.
    InCrashKernel(Evidence),
    /// Nothing is known that would allow to treat the node as fenced.
    NotKnown(Doubt),
}

/// What a [`Verdict::InCrashKernel`] rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// When the latest message of the node arrived.
    pub heard_at: Instant,
    /// How long before the question's present that was.
    pub age: Duration,
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// The node never sent a message.
    NeverHeard,
    /// The latest message came too early to be evidence of now.
    TooOld {
        /// How long before the question's present it came.
        age: Duration,
    },
    /// The node has said that its dump is over, or was silent for so long that it must be.
    Ended {
        /// How long before the question's present the latest message came.
        age: Duration,
    },
    /// The latest message is dated after the question's present: one of the two clocks lies.
    FromTheFuture,
}

impl Verdict {
    /// Decides whether the node of `session` is in its crash kernel.
    pub fn of(session: &Session, question: Question) -> Self {
        let Question { not_before, now } = question;
        let Some(heard_at) = session.last_heard() else {
            return Self::NotKnown(Doubt::NeverHeard);
        };
        if heard_at > now {
            return Self::NotKnown(Doubt::FromTheFuture);
        }
        let age = now.saturating_since(heard_at);
        if heard_at < not_before {
            return Self::NotKnown(Doubt::TooOld { age });
        }
        match session.state(now) {
            State::Unheard => Self::NotKnown(Doubt::NeverHeard),
            State::Finished => Self::NotKnown(Doubt::Ended { age }),
            State::Started | State::Dumping => Self::InCrashKernel(Evidence { heard_at, age }),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverHeard => write!(f, "no message was heard"),
            Self::TooOld { age } => write!(f, "the latest message came {age:.1?} ago, too early"),
            Self::Ended { age } => {
                write!(f, "its dump is over: the latest message came {age:.1?} ago")
            }
            Self::FromTheFuture => write!(f, "the latest message is dated in the future"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Report;
    use crate::session::SILENCE;

    fn s(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn heard_at(seconds: u64) -> Session {
        let mut session = Session::new();
        session.hear(s(seconds), &Report::PLAIN, SILENCE);
        session
    }

    fn ask(session: &Session, not_before: u64, now: u64) -> Verdict {
        Verdict::of(session, Question { not_before: s(not_before), now: s(now) })
    }

    #[test]
    fn only_a_message_between_the_start_and_now_is_evidence() {
        let age = Duration::from_secs(2);
        assert_eq!(
            ask(&heard_at(10), 10, 12),
            Verdict::InCrashKernel(Evidence { heard_at: s(10), age })
        );
        assert_eq!(ask(&Session::new(), 0, 12), Verdict::NotKnown(Doubt::NeverHeard));
        assert_eq!(ask(&heard_at(10), 11, 12), Verdict::NotKnown(Doubt::TooOld { age }));
        assert_eq!(ask(&heard_at(13), 10, 12), Verdict::NotKnown(Doubt::FromTheFuture));
        let age = Duration::from_secs(30);
        assert_eq!(ask(&heard_at(10), 0, 40), Verdict::NotKnown(Doubt::Ended { age }));
    }

    #[test]
    fn doubts_are_told_in_words() {
        let age = Duration::from_millis(41_250);
        assert_eq!(
            Doubt::Ended { age }.to_string(),
            "its dump is over: the latest message came 41.2s ago"
        );
    }
}
