//! How many challenges are answered. Pure: time is an argument.

use heapless::Vec;

use crate::schedule::Millis;

/// How many in [`SPAN`], PROTOCOL.md §9. As many are remembered.
pub const MOST: usize = 32;

/// No more than [`MOST`] answers go out within any span of this length.
pub const SPAN: Millis = Millis::seconds(1);

/// How many of the answers that are remembered may be to the same nonce, PROTOCOL.md §9: whoever sends a
/// captured challenge again and again is not to use them up.
pub const SAME: usize = 4;

/// The last answers.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How many there were.
    count: usize,
    /// The last of them.
    last: Vec<Answer, MOST>,
}

/// An answer.
#[derive(Clone, Debug)]
struct Answer {
    /// From when on its place can be used again.
    over: Millis,
    /// Half of the nonce, which is random.
    nonce: u64,
}

impl Answers {
    /// None yet.
    pub const fn new() -> Self {
        Self { count: 0, last: Vec::new() }
    }

    /// Whether one more may go out at `now`, to `nonce`; then it counts.
    pub fn may(&mut self, now: Millis, nonce: &[u8; 16]) -> bool {
        let nonce = u128::from_ne_bytes(*nonce) as u64;
        let answer = Answer { over: now.plus(SPAN), nonce };
        let mut left = SAME;
        for last in &self.last {
            left = left.wrapping_sub(usize::from(last.nonce == answer.nonce));
        }
        if left == 0 {
            return false;
        }
        match self.last.get_mut(self.count % MOST) {
            Some(last) if last.over > now => return false,
            Some(last) => *last = answer,
            // The first ones find their places empty.
            None => drop(self.last.push(answer)),
        }
        self.count = self.count.wrapping_add(1);
        true
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonce(number: u64) -> [u8; 16] {
        u128::from(number).to_ne_bytes()
    }

    /// Whoever repeats one challenge gets a few answers, and others get theirs.
    #[test]
    fn one_nonce_does_not_use_them_up() {
        let mut answers = Answers::new();
        let mut times =
            |number, now| (0..100).filter(|_| answers.may(Millis(now), &nonce(number))).count();
        assert_eq!(times(1, 5), SAME);
        assert_eq!((2..20).map(|number| times(number, 6)).sum::<usize>(), MOST - SAME);
        assert_eq!(times(1, 2000), 0, "it is still remembered");
        assert_eq!((20..28).map(|number| times(number, 2000)).sum::<usize>(), MOST);
        assert_eq!(times(1, 4000), SAME, "that was long ago");
    }

    proptest! {
        /// In no second are there more than 32, among 32 no more than 4 to one nonce, and whatever
        /// keeps within that goes out.
        #[test]
        fn no_second_has_more(
            asked in proptest::collection::vec((0u64..60, 0u64..20), 1..400),
        ) {
            let mut answers = Answers::new();
            let (mut now, mut given) = (5u64, std::vec::Vec::new());
            for (gap, number) in asked {
                now += gap;
                let last: &[(u64, u64)] = &given[given.len().saturating_sub(MOST)..];
                let recent = last.iter().filter(|(at, _)| at + 1000 > now).count();
                let same = last.iter().filter(|(_, other)| *other == number).count();
                let may = answers.may(Millis(now), &nonce(number));
                prop_assert_eq!(may, recent < MOST && same < SAME);
                if may {
                    given.push((now, number));
                }
            }
        }
    }
}
