//! Messages that came a moment ago, from anybody: whoever asks a moment later must still hear of them.

use std::collections::HashMap;

use fence_kdump_core::{Instant, Message};

use crate::address::Address;

/// At most twice as many senders are remembered.
const GENERATION: usize = 2048;

/// The latest message of each of the latest senders, within a bound.
///
/// Two generations: when the younger is full it becomes the elder, and the elder is forgotten. So
/// remembering costs the same whatever is sent.
#[derive(Debug, Default)]
pub struct Recent {
    younger: HashMap<Address, (Instant, Message)>,
    elder: HashMap<Address, (Instant, Message)>,
}

impl Recent {
    /// A message from `from` arrived at `at`.
    pub fn remember(&mut self, from: Address, at: Instant, message: Message) {
        if self.younger.len() >= GENERATION && !self.younger.contains_key(&from) {
            self.elder = std::mem::take(&mut self.younger);
        }
        let known = self.younger.entry(from).or_insert((at, message));
        if at >= known.0 {
            *known = (at, message);
        }
    }

    /// The latest message from `from`, if it is remembered.
    #[must_use]
    pub fn of(&self, from: Address) -> Option<(Instant, Message)> {
        self.younger.get(&from).or_else(|| self.elder.get(&from)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::ByteOrder;
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let message = Message::v1(ByteOrder::Little);
        let address =
            |number: u32| Address::of_source(SocketAddr::from((Ipv4Addr::from(number), 0)));
        let mut recent = Recent::default();
        for number in 0..100_000 {
            recent.remember(address(number), Instant::from_nanos(number.into()), message);
        }
        let last = address(99_999);
        assert_eq!(recent.of(last), Some((Instant::from_nanos(99_999), message)));
        recent.remember(last, Instant::from_nanos(5), message);
        assert_eq!(recent.of(last), Some((Instant::from_nanos(99_999), message)));
        assert_eq!(recent.of(address(0)), None);
        assert!(recent.younger.len() + recent.elder.len() <= 2 * GENERATION);
    }
}
