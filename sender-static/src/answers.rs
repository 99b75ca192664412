//! How many challenges are answered. Pure: time is an argument.

use heapless::Vec;

use crate::schedule::Millis;

/// How many in [`SPAN`], PROTOCOL.md §9.
pub const MOST: usize = 32;

/// No more than [`MOST`] answers go out within any span of this length.
pub const SPAN: Millis = Millis::seconds(1);

/// When the last answers went out.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How many there were.
    count: usize,
    /// From when on the place of each can be used again.
    free: Vec<Millis, MOST>,
}

impl Answers {
    /// None yet.
    pub const fn new() -> Self {
        Self { count: 0, free: Vec::new() }
    }

    /// Whether one more may go out at `now`; then it counts.
    pub fn may(&mut self, now: Millis) -> bool {
        let until = now.plus(SPAN);
        match self.free.get_mut(self.count % MOST) {
            Some(free) if *free > now => return false,
            Some(free) => *free = until,
            // The first ones find their places empty.
            None => drop(self.free.push(until)),
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

    proptest! {
        /// In no second are there more than 32, and none of the first 32 is refused.
        #[test]
        fn no_second_has_more(gaps in proptest::collection::vec(0u64..100, 1..400)) {
            let mut answers = Answers::new();
            let (mut now, mut given) = (5u64, std::vec::Vec::new());
            for gap in gaps {
                now += gap;
                let recent = given.iter().filter(|at| *at + 1000 > now).count();
                let may = answers.may(Millis(now));
                prop_assert_eq!(may, recent < MOST);
                if may {
                    given.push(now);
                }
            }
        }
    }
}
