//! What came instead of the message, for the one who has to find out why.

use std::collections::BTreeMap;

use fence_kdump_core::{Counters, Outcome};

use crate::address::Address;
use crate::socket::Datagram;

/// How many strangers are told by address.
const STRANGERS: usize = 8;

/// Counts what was no message of the node.
#[derive(Debug, Default)]
pub struct Tally {
    counters: Counters,
    /// Datagrams from the node itself that were no messages.
    from_node: u64,
    strangers: BTreeMap<Address, u64>,
    others: u64,
}

impl Tally {
    /// Counts a datagram that is no message, from the node (`own`) or from anybody else.
    pub fn refused(&mut self, datagram: &Datagram, own: bool) {
        if let Err(error) = datagram.said {
            self.counters.count(&Outcome::Refused(error));
            self.from_node = self.from_node.saturating_add(u64::from(own));
        }
    }

    /// Counts a message from an address that is not believed. True when it is the first from there
    /// and worth a line.
    pub fn stranger(&mut self, from: Address) -> bool {
        self.counters.count(&Outcome::Stranger);
        let room = self.strangers.len() < STRANGERS;
        match self.strangers.get_mut(&from) {
            Some(count) => *count = count.saturating_add(1),
            None if room => {
                self.strangers.insert(from, 1);
                return true;
            }
            None => self.others = self.others.saturating_add(1),
        }
        false
    }

    /// How many datagrams were no messages.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.counters.refused()
    }

    /// In words; `None` when nothing came.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let mut parts = Vec::new();
        let counters = &self.counters;
        if counters.refused() > 0 {
            let kinds = [
                (counters.empty, "empty"),
                (counters.truncated, "too short"),
                (counters.bad_magic, "with a wrong magic number"),
                (counters.unsupported_version, "of an unknown version"),
                (counters.trailing_bytes, "too long"),
            ];
            let kinds: Vec<_> = kinds
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, kind)| format!("{count} {kind}"))
                .collect();
            parts.push(format!(
                "{} refused ({}; {} of them from the node)",
                counted(counters.refused(), "datagram"),
                kinds.join(", "),
                self.from_node
            ));
        }
        if counters.strangers > 0 {
            let mut who: Vec<_> = self
                .strangers
                .iter()
                .map(|(address, count)| format!("{address}: {count}"))
                .collect();
            if self.others > 0 {
                who.push(format!("others: {}", self.others));
            }
            parts.push(format!(
                "{} of other nodes ({})",
                counted(counters.strangers, "message"),
                who.join(", ")
            ));
        }
        (!parts.is_empty()).then(|| parts.join(", and "))
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{DecodeError, Instant};

    #[test]
    fn what_came_is_told_within_a_bound() {
        let mut tally = Tally::default();
        assert_eq!(tally.told(), None);
        let from: Address = "10.0.0.1".parse().unwrap();
        tally.refused(
            &Datagram { received_at: Instant::from_nanos(0), from, said: Err(DecodeError::Empty) },
            true,
        );
        for end in 1..=20 {
            let from = format!("10.0.1.{end}").parse().unwrap();
            assert_eq!(tally.stranger(from), end <= 8);
            assert!(!tally.stranger(from));
        }
        let told = tally.told().unwrap();
        assert!(told.starts_with("1 datagram refused (1 empty; 1 of them"), "{told}");
        assert!(told.contains("40 messages of other nodes (10.0.1.1: 2,"), "{told}");
        assert!(told.ends_with("others: 24)"), "{told}");
    }
}
