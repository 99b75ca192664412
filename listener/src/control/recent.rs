//! Messages that came a moment ago, from anybody: whoever asks a moment later must still hear of them.

use std::collections::HashSet;
use std::net::IpAddr;

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

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
/// remembering costs the same whatever is sent, and once both were full, nothing is allocated for it.
#[derive(Debug, Default)]
pub struct Recent {
    /// Keyed at random with each start, so that nobody can choose addresses that share a place.
    keys: RandomState,
    younger: Generation,
    elder: Generation,
}

/// At most one message of a sender.
#[derive(Debug, Default)]
struct Generation {
    /// Where in `all` the message of a sender is.
    places: HashTable<usize>,
    all: Vec<Datagram>,
}

fn sender(datagram: &Datagram) -> Sender {
    let is_signed = datagram.said.as_ref().is_ok_and(|words| words.is_signed());
    (datagram.from, is_signed)
}

fn hash(keys: &RandomState, (address, is_signed): Sender) -> u64 {
    match address.ip() {
        // In one number, since it is done for each datagram.
        IpAddr::V4(v4) => keys.hash_one(u64::from(v4.to_bits()) << 1 | u64::from(is_signed)),
        IpAddr::V6(_) => keys.hash_one((address, is_signed)),
    }
}

impl Generation {
    fn get(&self, keys: &RandomState, wanted: Sender) -> Option<&Datagram> {
        let is_its = |&place: &usize| self.all.get(place).map(sender) == Some(wanted);
        self.all.get(*self.places.find(hash(keys, wanted), is_its)?)
    }

    /// Keeps it, unless what is kept of its sender is later. False when there is no room.
    fn keep(&mut self, keys: &RandomState, datagram: &Datagram) -> bool {
        let Self { places, all } = self;
        let of = sender(datagram);
        let is_its = |&place: &usize| all.get(place).map(sender) == Some(of);
        let rehash = |&place: &usize| all.get(place).map_or(0, |one| hash(keys, sender(one)));
        match places.entry(hash(keys, of), is_its, rehash) {
            Entry::Occupied(entry) => {
                let known = all.get_mut(*entry.get());
                if let Some(known) = known.filter(|one| one.received_at <= datagram.received_at) {
                    known.clone_from(datagram);
                }
                true
            }
            Entry::Vacant(_) if all.len() >= GENERATION => false,
            Entry::Vacant(entry) => {
                entry.insert(all.len());
                all.push(datagram.clone());
                true
            }
        }
    }
}

impl Recent {
    /// A datagram came. Nothing is remembered of one that is no message.
    pub fn remember(&mut self, datagram: &Datagram) {
        if datagram.said.is_err() || self.younger.keep(&self.keys, datagram) {
            return;
        }
        std::mem::swap(&mut self.younger, &mut self.elder);
        self.younger.places.clear();
        self.younger.all.clear();
        self.younger.keep(&self.keys, datagram);
    }

    /// The latest message of each sender.
    fn latest(&self) -> impl Iterator<Item = &Datagram> {
        let forgotten = |one: &&Datagram| self.younger.get(&self.keys, sender(one)).is_none();
        self.younger.all.iter().chain(self.elder.all.iter().filter(forgotten))
    }

    /// All that are remembered, in the order of their arrival.
    #[must_use]
    pub fn all(&self) -> Vec<&Datagram> {
        let mut all: Vec<&Datagram> = self.latest().collect();
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
            let latest = |sender| {
                let younger = self.younger.get(&self.keys, sender);
                younger.or_else(|| self.elder.get(&self.keys, sender))
            };
            found.extend(senders.filter_map(latest));
        } else {
            let addresses: HashSet<_> = addresses.iter().collect();
            let names: HashSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            let asked = |datagram: &&Datagram| {
                addresses.contains(&datagram.from)
                    || named(datagram).is_some_and(|name| names.contains(&name))
            };
            found.extend(self.latest().filter(asked));
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
        assert!(recent.younger.all.len() + recent.elder.all.len() <= 2 * GENERATION);
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
