//! When each address hears the next message. Pure: time is an argument.
//!
//! Without a count, as in a crash kernel, an address first gets a burst, since one lost datagram
//! must not cost a whole interval, and then one message an interval, counted from its first. While
//! the network does not take a message it is tried again every [`RETRY`], and the burst starts
//! over with the first message that goes out: the network may come up at any moment.
//!
//! With a count there are that many rounds, one an interval, whether they went out or not.

use heapless::Vec;

/// Milliseconds of monotonic time, as a moment or as a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than everything.
    pub const NEVER: Self = Self(u64::MAX);

    /// So many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self((seconds as u64).wrapping_mul(1000))
    }

    /// What is whole of so many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos / 1_000_000)
    }

    /// That much later.
    #[must_use]
    pub const fn plus(self, span: Self) -> Self {
        Self(self.0.wrapping_add(span.0))
    }

    /// How long ago `earlier` was, nothing when it is yet to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// How soon a message is tried again that the network did not take, when there is no count.
pub const RETRY: Millis = Millis(250);

/// When the messages of the burst go out, counted from the first of them.
pub type Burst = Vec<Millis, 16>;

/// How many messages, and how far apart.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// From one message to the next. At least a millisecond.
    pub interval: Millis,
    /// How many rounds; 0 for no end.
    pub count: u32,
    /// The messages that come before the first interval is over. Only where there is no count.
    pub burst: Burst,
}

/// Where one address, or one name's resolution, stands in its rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// From when the intervals are counted.
    start: Millis,
    /// Whether the network has taken a message and has taken every one since.
    steady: bool,
    /// How many rounds are left; unused where there is no count.
    left: u32,
    /// When the next one is due; [`Millis::NEVER`] when all have been.
    pub due: Millis,
}

impl Turn {
    /// The same rounds, from now on.
    #[must_use]
    pub fn afresh(self, now: Millis) -> Self {
        Self { start: now, steady: false, due: now, ..self }
    }
}

impl Cadence {
    /// The first turn, due now.
    pub fn begin(&self, now: Millis) -> Turn {
        Turn { start: now, steady: false, left: self.count, due: now }
    }

    /// Where there is a count: puts a round off that could not go out at `now`, unless the next one would
    /// be due by then. Says whether it did.
    pub fn put_off(&self, turn: &mut Turn, now: Millis) -> bool {
        let done = self.count.wrapping_sub(turn.left).wrapping_add(1);
        let end = turn.start.plus(Millis(self.interval.0.wrapping_mul(done.into())));
        let later = now.plus(RETRY);
        let possible = self.count > 0 && later < end;
        if possible {
            turn.due = later;
        }
        possible
    }

    /// Moves `turn` on after a message went out at `now` (`taken`), or could not.
    pub fn advance(&self, turn: &mut Turn, now: Millis, taken: bool) {
        if self.count > 0 {
            turn.left = turn.left.saturating_sub(1);
            turn.due = if turn.left > 0 {
                turn.start.plus(self.interval_after(now.since(turn.start)))
            } else {
                Millis::NEVER
            };
            return;
        }
        if !taken {
            turn.steady = false;
            turn.due = now.plus(RETRY.min(self.interval));
            return;
        }
        if !turn.steady {
            turn.start = now;
            turn.steady = true;
        }
        turn.due = turn.start.plus(self.message_after(now.since(turn.start)));
    }

    /// How long the message after the one that `turn` stands at takes to come at most, in
    /// milliseconds; 0 when that is the last one.
    pub fn promise(&self, turn: &Turn) -> u32 {
        let more = self.count == 0 || turn.left > 1;
        if more { self.interval.0.min(u32::MAX.into()) as u32 } else { 0 }
    }

    /// The first multiple of the interval behind `offset`. A multiple that passed while the
    /// machine stood still is not made up for.
    fn interval_after(&self, offset: Millis) -> Millis {
        let interval = self.interval.0.max(1);
        let into = offset.0.checked_rem(interval).unwrap_or(0);
        Millis(offset.0.wrapping_add(interval.wrapping_sub(into)))
    }

    fn message_after(&self, offset: Millis) -> Millis {
        let mut next = self.interval_after(offset);
        for at in &self.burst {
            if *at > offset {
                next = next.min(*at);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Options;
    use proptest::prelude::*;

    fn cadence(interval: u64, count: u32) -> Cadence {
        Cadence { interval: Millis(interval), count, ..Options::default().cadence }
    }

    /// Walks through the turns of one address, each `late` after it was due.
    fn run(
        cadence: &Cadence,
        late: u64,
        network: impl Fn(u64) -> bool,
        until: u64,
    ) -> Vec<u64, 512> {
        let start = Millis(1_000_000);
        let mut turn = cadence.begin(start);
        let mut sent = Vec::new();
        for _ in 0..512 {
            if turn.due == Millis::NEVER {
                break;
            }
            let now = turn.due.plus(Millis(late));
            let at = now.since(start).0;
            if at > until {
                break;
            }
            let taken = network(at);
            if taken {
                sent.push(at).unwrap();
            }
            cadence.advance(&mut turn, now, taken);
        }
        sent
    }

    #[test]
    fn a_burst_and_then_intervals_counted_from_the_start() {
        let sent = run(&cadence(10_000, 0), 0, |_| true, 40_000);
        assert_eq!(sent, [0, 200, 500, 1000, 2000, 10_000, 20_000, 30_000, 40_000]);
    }

    #[test]
    fn being_late_does_not_add_up() {
        let sent = run(&cadence(10_000, 0), 3, |_| true, 30_006);
        assert_eq!(sent, [3, 206, 506, 1006, 2006, 10_006, 20_006, 30_006]);
    }

    #[test]
    fn a_short_interval_runs_through_the_burst() {
        let sent = run(&cadence(1000, 0), 0, |_| true, 4000);
        assert_eq!(sent, [0, 200, 500, 1000, 2000, 3000, 4000]);
    }

    #[test]
    fn no_burst_is_one_message_an_interval() {
        let plain = Cadence { burst: Burst::new(), ..cadence(10_000, 0) };
        assert_eq!(run(&plain, 0, |_| true, 20_000), [0, 10_000, 20_000]);
    }

    #[test]
    fn the_burst_starts_when_the_network_does() {
        let sent = run(&cadence(10_000, 0), 0, |at| at >= 5_100, 16_000);
        assert_eq!(sent, [5250, 5450, 5750, 6250, 7250, 15_250]);
    }

    #[test]
    fn a_network_that_comes_back_gets_a_burst() {
        let sent = run(&cadence(10_000, 0), 0, |at| !(9_000..25_000).contains(&at), 37_000);
        assert_eq!(sent, [0, 200, 500, 1000, 2000, 25_000, 25_200, 25_500, 26_000, 27_000, 35_000]);
    }

    #[test]
    fn a_count_is_rounds() {
        assert_eq!(run(&cadence(1000, 3), 0, |_| true, u64::MAX), [0, 1000, 2000]);
        assert_eq!(run(&cadence(1000, 3), 0, |at| at == 1000, u64::MAX), [1000]);
        assert_eq!(run(&cadence(1000, 1), 0, |_| true, u64::MAX), [0]);
    }

    proptest! {
        #[test]
        fn a_count_is_exact(interval in 1u64..100_000, count in 1u32..100, late in 0u64..2_000) {
            let sent = run(&cadence(interval, count), late, |_| true, u64::MAX);
            prop_assert_eq!(sent.len(), count as usize);
        }

        /// Whatever happens, an address is never left alone longer than the interval.
        #[test]
        fn never_silent(
            interval in 1u64..100_000,
            offsets in proptest::collection::btree_set(0u64..50_000, 0..16),
            lost: u64,
            start in 0..u64::MAX / 2,
        ) {
            let burst = offsets.into_iter().map(Millis).collect();
            let cadence = Cadence { interval: Millis(interval), count: 0, burst };
            let mut now = Millis(start);
            let mut turn = cadence.begin(now);
            for step in 0..64u32 {
                let taken = lost >> step & 1 == 0;
                cadence.advance(&mut turn, now, taken);
                let due = turn.due;
                prop_assert!(due > now && due <= now.plus(Millis(interval)));
                prop_assert!(taken || due <= now.plus(RETRY));
                now = due;
            }
        }
    }
}
