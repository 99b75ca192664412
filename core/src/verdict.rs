//! The one safety decision (PROTOCOL.md §12).

use core::fmt;
use core::time::Duration;

use crate::challenge::FRESH;
use crate::message::{Message, Phase};
use crate::policy::Policy;
use crate::session::{Session, State};
use crate::time::Instant;

/// No message is older than this and evidence of now, whenever the question was asked: the interval at which
/// senders speak by default. The node may have rebooted since.
pub const MAX_AGE: Duration = Duration::from_secs(10);

/// How much longer than its interval a node may take to speak again.
const LATE: Duration = Duration::from_secs(1);

/// How old `message` may be when the question about its node came only after it (PROTOCOL.md §12.1): never
/// more than [`MAX_AGE`], and less when it says itself that another one was due by then. When it says
/// that the dump is over, it is worth nothing.
///
/// What is not proven is heeded, too, since it can only make this shorter.
#[must_use]
pub fn max_age(message: &Message<'_>) -> Duration {
    let Some(said) = &message.extension else {
        return MAX_AGE;
    };
    match (said.phase, said.interval) {
        (Some(phase), _) if Phase::is_end(phase) => Duration::ZERO,
        (_, None) => MAX_AGE,
        (_, Some(interval)) => {
            MAX_AGE.min(Duration::from_millis(interval.into()).saturating_add(LATE))
        }
    }
}

/// What is asked about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Messages that arrived before this point are no evidence: the node may have rebooted since.
    /// An agent asks by [`Question::since`]; the clock's origin would accept any memory.
    pub not_before: Instant,
    /// The present.
    pub now: Instant,
}

impl Question {
    /// Asked at `now` by somebody who was started at `started` to know it: what has arrived since is
    /// evidence as long as it is not older than [`MAX_AGE`], since who asks may have been held up in
    /// between; and what was remembered then, as long as it is not older than `max_age` either.
    #[must_use]
    pub fn since(started: Instant, now: Instant, max_age: Duration) -> Self {
        let fresh = now.saturating_sub(max_age.min(MAX_AGE));
        Self { not_before: started.min(fresh).max(now.saturating_sub(MAX_AGE)), now }
    }

    /// The same about a node of this policy: what was live is so for no longer than [`FRESH`].
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        let oldest = self.now.saturating_sub(match policy {
            Policy::Plain | Policy::Signed => return self,
            Policy::Live => FRESH,
        });
        Self { not_before: self.not_before.max(oldest), ..self }
    }
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
        let Some(heard_at) = session.last_heard().filter(|_| !session.is_written()) else {
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
    use crate::message::{ByteOrder, Extension, Progress, Report};
    use crate::policy::Proof;
    use crate::session::{Earlier, SILENCE};
    use proptest::prelude::*;

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
    fn what_was_only_written_down_is_no_evidence() {
        let (first, last) = (s(10), s(20));
        let earlier = Earlier {
            first,
            last,
            messages: 2,
            proof: Proof::Live,
            phase: Some(Phase::Dumping),
            progress: Progress::default(),
        };
        let mut session = Session::resumed(&earlier, s(50));
        assert_eq!(session.state(s(21)), State::Dumping);
        assert_eq!(ask(&session, 0, 21), Verdict::NotKnown(Doubt::NeverHeard));
        session.hear(s(22), &Report::PLAIN, SILENCE);
        assert!(matches!(ask(&session, 0, 23), Verdict::InCrashKernel(_)));
    }

    #[test]
    fn what_a_message_says_makes_it_older_never_younger() {
        let plain = Message::v1(ByteOrder::Little);
        assert_eq!(max_age(&plain), MAX_AGE);
        let says = |phase, interval| {
            let extension = Extension { phase, interval, ..Extension::default() };
            max_age(&Message { extension: Some(extension), ..plain })
        };
        assert_eq!(says(None, None), MAX_AGE);
        assert_eq!(says(Some(Phase::Dumping), Some(2_000)), Duration::from_secs(3));
        assert_eq!(says(Some(Phase::Booted), Some(0)), LATE);
        assert_eq!(says(None, Some(9_001)), MAX_AGE);
        assert_eq!(says(None, Some(u32::MAX)), MAX_AGE);
        for end in [Phase::Finished, Phase::Leaving] {
            assert_eq!(says(Some(end), Some(60_000)), Duration::ZERO);
        }
    }

    proptest! {
        /// Whoever asks, and whatever is believed about ages: nothing that is older than [`MAX_AGE`] ever
        /// counts, nor does anything count again once it did not.
        #[test]
        fn nothing_old_ever_counts(
            heard in 0..100_000u64,
            started in 0..100_000u64,
            waited in 0..100_000u64,
            longer in 0..100_000u64,
            ages in (0..40_000u64, 0..40_000u64),
            phase in any::<Option<u8>>(),
            interval in any::<Option<u32>>(),
        ) {
            let ms = |milliseconds| Instant::from_nanos(milliseconds * 1_000_000);
            let mut session = Session::new();
            session.hear(ms(heard), &Report::PLAIN, SILENCE);
            let now = started + waited;
            let is_known = |now, age| {
                let question = Question::since(ms(started), ms(now), Duration::from_millis(age));
                matches!(Verdict::of(&session, question), Verdict::InCrashKernel(_))
            };
            let (less, more) = (ages.0.min(ages.1), ages.0.max(ages.1));
            if is_known(now, more) {
                prop_assert!(heard >= started || now - heard <= more);
                prop_assert!(heard <= now && now - heard <= 10_000);
            }
            prop_assert!(is_known(now, more) || !is_known(now, less), "a shorter age allows more");
            let later_too = is_known(now, more) || !is_known(now + longer, more) || heard > now;
            prop_assert!(later_too, "older, and counts again");
            let phase = phase.map(Phase::of);
            let extension = Extension { phase, interval, ..Extension::default() };
            let message = Message { extension: Some(extension), ..Message::v1(ByteOrder::Big) };
            prop_assert!(max_age(&message) <= MAX_AGE);
        }
    }

    /// Whoever asks may have been held up, by a disk, a name server or the host, while the node rebooted.
    #[test]
    fn what_came_since_the_start_does_not_count_for_ever() {
        let since = |now| Question::since(s(5), s(now), MAX_AGE);
        let is_known =
            |question| matches!(Verdict::of(&heard_at(10), question), Verdict::InCrashKernel(_));
        assert!(is_known(since(20)) && !is_known(since(21)));
        for policy in [Policy::Plain, Policy::Signed] {
            assert_eq!(since(20).under(policy), since(20));
        }
        assert!(
            is_known(since(12).under(Policy::Live)) && !is_known(since(13).under(Policy::Live))
        );
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
