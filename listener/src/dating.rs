//! When a datagram truly arrived, however long it lay in the queue.
//!
//! A process that was stopped, or that inherited a socket, reads datagrams long after they came; one
//! that came before a question was asked is no evidence. The kernel stamps each with the time of
//! CLOCK_REALTIME, which may be set at any moment. What is known for certain is the last moment
//! at which the queue was seen empty: what is read now came later. Between the two, every doubt makes
//! a datagram older than it is, never younger.

use fence_kdump_core::Instant;

use crate::clock::Reading;

/// Turns kernel stamps into moments of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Dating {
    /// Whatever is in the queue arrived after this.
    emptied: Instant,
    /// The clocks' offset at that moment.
    offset: i64,
}

impl Dating {
    /// For a queue that was empty at `emptied`, when the clocks stood as in `reading`.
    #[must_use]
    pub fn new(emptied: Instant, reading: Reading) -> Self {
        Self { emptied, offset: reading.offset }
    }

    /// The queue was seen empty after `reading` was taken.
    pub fn emptied(&mut self, reading: Reading) {
        self.emptied = self.emptied.max(reading.now);
        self.offset = reading.offset;
    }

    /// Since when the queue may hold datagrams.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.emptied
    }

    /// The offset of the clocks at that moment.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// When a datagram with the stamp `stamp` (nanoseconds of CLOCK_REALTIME) arrived, given that it
    /// had arrived by `reading`. The true moment or an earlier one, never before the queue was last
    /// empty.
    ///
    /// The clock may have been set once since the queue was empty: the larger of the two offsets is
    /// the one that makes the datagram older. A stamp that still lies in the future was made by
    /// a clock that has been set since: as old as can be. So is a datagram without a stamp.
    #[must_use]
    pub fn date(&self, stamp: Option<i64>, reading: Reading) -> Instant {
        let arrived = stamp
            .map(|stamp| stamp.saturating_sub(self.offset.max(reading.offset)))
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map(Instant::from_nanos)
            .filter(|&arrived| arrived <= reading.now);
        arrived.map_or(self.emptied, |arrived| arrived.max(self.emptied))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    fn at(seconds: i64) -> Instant {
        Instant::from_nanos(u64::try_from(seconds * S).unwrap())
    }

    fn reading(now: i64, offset: i64) -> Reading {
        Reading { now: at(now), offset: offset * S }
    }

    #[test]
    fn a_datagram_that_lay_in_the_queue_is_dated_when_it_came() {
        let dating = Dating::new(at(10), reading(10, 1000));
        assert_eq!(dating.date(Some(1015 * S), reading(40, 1000)), at(15));
    }

    #[test]
    fn a_clock_that_was_set_back_never_makes_a_datagram_younger() {
        let dating = Dating::new(at(10), reading(10, 1000));
        assert_eq!(dating.date(Some(1015 * S), reading(40, 980)), at(15), "true");
        assert_eq!(dating.date(Some(1015 * S), reading(40, 500)), at(15), "true");
        let future = Some(9999 * S);
        assert_eq!(dating.date(future, reading(40, 500)), at(10), "as old as can be");
        assert_eq!(dating.date(None, reading(40, 1000)), at(10), "no stamp");
    }

    #[test]
    fn an_empty_queue_forgets_the_past() {
        let mut dating = Dating::new(at(10), reading(10, 1000));
        dating.emptied(reading(20, 500));
        assert_eq!(dating.date(Some(525 * S), reading(30, 500)), at(25));
        assert_eq!(dating.date(Some(0), reading(30, 500)), at(20), "not before it was empty");
    }

    proptest! {
        #[test]
        fn one_step_of_the_clock_never_makes_a_datagram_younger(
            empty in 0i64..100, arrived in 0i64..100, read in 0i64..100,
            step_at in 0i64..100, step in -5000i64..5000,
        ) {
            let (arrived, read) = (empty + arrived, empty + arrived + read);
            let offset = |moment: i64| 10_000 + if moment >= step_at { step } else { 0 };
            let dating = Dating::new(at(empty), reading(empty, offset(empty)));
            let stamp = (arrived + offset(arrived)) * S;
            let dated = dating.date(Some(stamp), reading(read, offset(read)));
            prop_assert!(dated <= at(arrived));
            prop_assert!(dated >= at(empty));
        }
    }
}
