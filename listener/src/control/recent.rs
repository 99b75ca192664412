//! Messages that came a moment ago, from anybody: whoever asks a moment later must still hear of them.

use std::collections::{HashMap, HashSet};

use crate::address::Address;
use crate::socket::Datagram;

/// At most twice as many messages are remembered.
const GENERATION: usize = 2048;

/// From which address, and whether it has a MAC: a node may send plain and signed messages side by
/// side, and neither may take the place of the other.
type Sender = (Address, bool);

/// The latest message of each of the latest senders, within a bound: 4,096 of at most 508 bytes each,
/// which is less than 3 MiB with all that belongs to them.
///
/// Two generations: when the younger is full it becomes the elder, and the elder is forgotten. So
/// remembering costs the same whatever is sent.
#[derive(Debug, Default)]
pub struct Recent {
    younger: HashMap<Sender, Datagram>,
    elder: HashMap<Sender, Datagram>,
}

impl Recent {
    /// A datagram came. Nothing is remembered of one that is no message.
    pub fn remember(&mut self, datagram: &Datagram) {
        let Ok(message) = datagram.message() else {
            return;
        };
        let sender = (datagram.from, message.signed().is_some());
        if self.younger.len() >= GENERATION && !self.younger.contains_key(&sender) {
            self.elder = std::mem::take(&mut self.younger);
        }
        let known = self.younger.entry(sender).or_insert_with(|| datagram.clone());
        if datagram.received_at >= known.received_at {
            known.clone_from(datagram);
        }
    }

    /// All that are remembered, in the order of their arrival.
    #[must_use]
    pub fn all(&self) -> Vec<&Datagram> {
        let forgotten = |(sender, _): &(&Sender, _)| !self.younger.contains_key(sender);
        let elder = self.elder.iter().filter(forgotten).map(|(_, datagram)| datagram);
        let mut all: Vec<&Datagram> = self.younger.values().chain(elder).collect();
        all.sort_by_key(|datagram| datagram.received_at);
        all
    }

    /// The latest messages from `addresses`, and those that have one of `names` (in any case) as
    /// their node name, wherever they came from; in the order of their arrival.
    #[must_use]
    pub fn of(&self, addresses: &[Address], names: &[String]) -> Vec<&Datagram> {
        let mut found: Vec<&Datagram> = Vec::new();
        if names.is_empty() {
            let senders = addresses.iter().flat_map(|&from| [(from, false), (from, true)]);
            let latest = |sender| self.younger.get(&sender).or_else(|| self.elder.get(&sender));
            found.extend(senders.filter_map(latest));
        } else {
            let addresses: HashSet<_> = addresses.iter().collect();
            let names: HashSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            let asked = |datagram: &&Datagram| {
                addresses.contains(&datagram.from)
                    || named(datagram).is_some_and(|name| names.contains(&name))
            };
            let forgotten = |(sender, _): &(&Sender, _)| !self.younger.contains_key(sender);
            let elder = self.elder.iter().filter(forgotten).map(|(_, datagram)| datagram);
            found.extend(self.younger.values().chain(elder).filter(asked));
        }
        found.sort_by_key(|datagram| datagram.received_at);
        found
    }
}

/// The node name of a message, in lower case.
#[must_use]
pub fn named(datagram: &Datagram) -> Option<String> {
    let message = datagram.message().ok()?;
    Some(message.extension?.node_name?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Words;
    use fence_kdump_core::{ByteOrder, Extension, Instant, encode, encode_extended};
    use std::net::{Ipv4Addr, SocketAddr};

    fn address(number: u32) -> Address {
        Address::of_source(SocketAddr::from((Ipv4Addr::from(number), 0)))
    }

    fn datagram(from: u32, at: u64, name: Option<&str>) -> Datagram {
        let mut bytes = fence_kdump_core::Datagram::new();
        match name {
            None => bytes.extend_from_slice(&encode(ByteOrder::Little)).unwrap(),
            Some(_) => {
                let extension = Extension { node_name: name, ..Extension::default() };
                encode_extended(ByteOrder::Little, &extension, &mut bytes).unwrap();
            }
        }
        let said = Words::read(&bytes);
        Datagram { received_at: Instant::from_nanos(at), from: address(from), port: 9, said }
    }

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let mut recent = Recent::default();
        for number in 0..100_000 {
            recent.remember(&datagram(number, number.into(), None));
        }
        let last = datagram(99_999, 99_999, None);
        assert_eq!(recent.of(&[last.from], &[]), [&last]);
        recent.remember(&datagram(99_999, 5, None));
        assert_eq!(recent.of(&[last.from], &[]), [&last]);
        assert!(recent.of(&[address(0)], &[]).is_empty());
        assert!(recent.younger.len() + recent.elder.len() <= 2 * GENERATION);
        recent.remember(&Datagram { said: Words::read(b""), ..datagram(1, 1, None) });
        assert!(recent.of(&[address(1)], &[]).is_empty(), "no message");
    }

    #[test]
    fn names_are_found_wherever_they_speak_from() {
        let mut recent = Recent::default();
        recent.remember(&datagram(2, 30, Some("N1")));
        recent.remember(&datagram(1, 20, Some("n2")));
        recent.remember(&datagram(3, 10, Some("n1")));
        for number in 0..u32::try_from(GENERATION).unwrap() - 1 {
            recent.remember(&datagram(1_000 + number, 1, None));
        }
        recent.remember(&datagram(2, 40, Some("n1")));
        let at = |found: Vec<&Datagram>| -> Vec<u64> {
            found.iter().map(|datagram| datagram.received_at.as_nanos()).collect()
        };
        let names = ["n1".to_owned()];
        assert_eq!(at(recent.of(&[], &names)), [10, 40]);
        assert_eq!(at(recent.of(&[address(1)], &names)), [10, 20, 40]);
        assert_eq!(at(recent.of(&[address(2)], &["N".to_owned()])), [40]);
    }
}
