//! Time is an argument.

use core::time::Duration;

/// A point on the caller's monotonic clock, in nanoseconds since an origin of the caller's choice.
///
/// Wall clocks step; no decision here is ever taken by one. On Linux use `CLOCK_MONOTONIC`.
/// Covers 584 years; arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `nanos` nanoseconds after the clock's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This point moved `by` later, or the last point of the clock where that is beyond it.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// This point moved `by` earlier, or the clock's origin where that is before it.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// How long after `earlier` this point is; zero when it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// All of `span` that fits the clock.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let (first, last) = (Instant::from_nanos(0), Instant::from_nanos(u64::MAX));
        assert_eq!(last.saturating_add(Duration::from_nanos(1)), last);
        assert_eq!(first.saturating_since(last), Duration::ZERO);
        assert_eq!(last.saturating_since(first).as_nanos(), u128::from(u64::MAX));
        // Both the longest span and one that just does not fit the clock.
        for beyond in [Duration::MAX, Duration::from_secs(18_446_744_074)] {
            assert_eq!(Instant::from_nanos(7).saturating_add(beyond), last);
            assert_eq!(last.saturating_sub(beyond), first);
        }
    }

    #[test]
    fn moments_are_nanoseconds() {
        let moment = Instant::from_nanos(5_000_000_007);
        assert_eq!(moment.saturating_add(Duration::from_secs(1)).as_nanos(), 6_000_000_007);
        assert_eq!(moment.saturating_sub(Duration::from_secs(2)).as_nanos(), 3_000_000_007);
        assert_eq!(moment.saturating_since(Instant::from_nanos(7)), Duration::from_secs(5));
    }
}
