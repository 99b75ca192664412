//! How long to wait before the next try.

use std::time::Duration;

/// Twice as long after each failure, up to a bound, and never quite the same, so that many who failed
/// together do not come again together.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Pace {
    /// Begins with `first` and never waits longer than `most`.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// All is well: the next failure is the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures there were since all was well.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Something failed: how long to wait now.
    pub(super) fn pause(&mut self) -> Duration {
        // Without randomness all wait equally long, which is no reason to fail.
        self.pause_with(getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    fn pause_with(&mut self, random: u32) -> Duration {
        let factor = 1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(factor).min(self.most);
        let half = whole / 2;
        half.saturating_add(half.mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twice_as_long_each_time_up_to_a_bound() {
        let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(10));
        let longest: Vec<_> = (0..6).map(|_| pace.pause_with(u32::MAX).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 10, 10]);
        assert_eq!(pace.failures(), 6);
        pace.reset();
        assert_eq!(pace.pause_with(0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn always_within_its_bounds(first in 0..100_000_u64, most in 0..u64::MAX, randoms: Vec<u32>) {
            let mut pace = Pace::new(Duration::from_millis(first), Duration::from_millis(most));
            for random in randoms.iter().chain([&0, &u32::MAX]) {
                prop_assert!(pace.pause_with(*random) <= Duration::from_millis(most));
            }
        }
    }
}
