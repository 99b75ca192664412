//! Whose an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use ahash::RandomState;
use fence_kdump_core::NodeId;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};

use crate::address::Address;

/// Instead of a node: more than one claims the address.
const CONTESTED: u32 = u32::MAX;

/// An IPv4 address and whose it is.
type V4 = (u32, u32);

/// An IPv6 address without a zone, and whose it is. In four parts, so that it takes 20 bytes.
type V6 = ([u32; 4], u32);

/// One with a zone. There are few of them.
type Zoned = ([u32; 4], u32, u32);

/// Source addresses and whose they are.
///
/// An address that two nodes claim belongs to neither, until one of them gives it up: nobody could tell
/// whose message it is. The hashes are keyed at random with each start, so that nobody can choose addresses that
/// share one.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    keys: RandomState,
    v4: HashTable<V4>,
    v6: HashTable<V6>,
    zoned: HashTable<Zoned>,
    /// Those that claim the same address.
    contested: HashMap<Address, Vec<u32>, RandomState>,
}

/// An address as it is kept.
#[derive(Debug, Clone, Copy)]
enum Kept {
    V4(u32),
    V6([u32; 4]),
    Zoned([u32; 4], u32),
}

impl From<Address> for Kept {
    fn from(address: Address) -> Self {
        // The zone is only to be seen with a port.
        match address.with_port(0) {
            SocketAddr::V4(v4) => Self::V4(v4.ip().to_bits()),
            SocketAddr::V6(v6) => match (parts(*v6.ip()), v6.scope_id()) {
                (ip, 0) => Self::V6(ip),
                (ip, zone) => Self::Zoned(ip, zone),
            },
        }
    }
}

fn parts(ip: Ipv6Addr) -> [u32; 4] {
    let bits = ip.to_bits();
    [96, 64, 32, 0].map(|shift| u32::try_from(bits >> shift & u128::from(u32::MAX)).unwrap_or(0))
}

fn whole(parts: [u32; 4]) -> Ipv6Addr {
    Ipv6Addr::from_bits(parts.into_iter().fold(0, |bits, part| bits << 32 | u128::from(part)))
}

fn address(ip: IpAddr, zone: u32) -> Address {
    Address::of_source(match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, 0),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, zone).into(),
    })
}

impl Addresses {
    /// Whose `address` is; `None` also when more than one node claims it.
    pub(super) fn owner(&self, address: Address) -> Option<NodeId> {
        self.entry(address).filter(|&id| id != CONTESTED).map(NodeId)
    }

    fn entry(&self, address: Address) -> Option<u32> {
        match Kept::from(address) {
            Kept::V4(ip) => {
                self.v4.find(self.keys.hash_one(ip), |entry| entry.0 == ip).map(|entry| entry.1)
            }
            Kept::V6(ip) => {
                self.v6.find(self.keys.hash_one(ip), |entry| entry.0 == ip).map(|entry| entry.1)
            }
            Kept::Zoned(ip, zone) => {
                let hash = self.keys.hash_one((ip, zone));
                let found = self.zoned.find(hash, |entry| (entry.0, entry.1) == (ip, zone));
                found.map(|entry| entry.2)
            }
        }
    }

    /// Whoever claims `address` before: one, several, or none.
    fn set(&mut self, address: Address, id: u32) {
        let keys = &self.keys;
        match Kept::from(address) {
            Kept::V4(ip) => set(
                self.v4.entry(keys.hash_one(ip), |it| it.0 == ip, |it| keys.hash_one(it.0)),
                (ip, id),
            ),
            Kept::V6(ip) => set(
                self.v6.entry(keys.hash_one(ip), |it| it.0 == ip, |it| keys.hash_one(it.0)),
                (ip, id),
            ),
            Kept::Zoned(ip, zone) => set(
                self.zoned.entry(
                    keys.hash_one((ip, zone)),
                    |it| (it.0, it.1) == (ip, zone),
                    |it| keys.hash_one((it.0, it.1)),
                ),
                (ip, zone, id),
            ),
        }
    }

    fn remove(&mut self, address: Address) {
        let keys = &self.keys;
        match Kept::from(address) {
            Kept::V4(ip) => drop(
                self.v4.find_entry(keys.hash_one(ip), |it| it.0 == ip).map(|found| found.remove()),
            ),
            Kept::V6(ip) => drop(
                self.v6.find_entry(keys.hash_one(ip), |it| it.0 == ip).map(|found| found.remove()),
            ),
            Kept::Zoned(ip, zone) => {
                let hash = keys.hash_one((ip, zone));
                let found = self.zoned.find_entry(hash, |it| (it.0, it.1) == (ip, zone));
                drop(found.map(|found| found.remove()));
            }
        }
    }

    /// `address` is one of `id`; another node that claims it, if any: then it is nobody's.
    pub(super) fn claim(&mut self, address: Address, id: NodeId) -> Option<NodeId> {
        match self.entry(address) {
            None => {
                self.set(address, id.0);
                None
            }
            Some(owner) if owner == id.0 => None,
            Some(CONTESTED) => {
                let claims = self.contested.entry(address).or_default();
                if !claims.contains(&id.0) {
                    claims.push(id.0);
                }
                claims.iter().copied().find(|&other| other != id.0).map(NodeId)
            }
            Some(owner) => {
                self.contested.insert(address, vec![owner, id.0]);
                self.set(address, CONTESTED);
                Some(NodeId(owner))
            }
        }
    }

    /// `address` is no longer one of `id`. If one other node is left that claims it, it is that node's now.
    pub(super) fn give_up(&mut self, address: Address, id: NodeId) {
        match self.entry(address) {
            Some(owner) if owner == id.0 => self.remove(address),
            Some(CONTESTED) => {
                let Some(claims) = self.contested.get_mut(&address) else { return };
                claims.retain(|&claim| claim != id.0);
                if let [owner] = claims[..] {
                    self.contested.remove(&address);
                    self.set(address, owner);
                }
            }
            _ => {}
        }
    }

    /// Every address and whose it is, in no order; those that are claimed by several, for each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Address, NodeId)> {
        let v4 = self.v4.iter().map(|&(ip, id)| (address(Ipv4Addr::from_bits(ip).into(), 0), id));
        let v6 = self.v6.iter().map(|&(ip, id)| (address(whole(ip).into(), 0), id));
        let zoned = self.zoned.iter().map(|&(ip, zone, id)| (address(whole(ip).into(), zone), id));
        let contested = self.contested.iter();
        let contested =
            contested.flat_map(|(&address, claims)| claims.iter().map(move |&id| (address, id)));
        let owned = v4.chain(v6).chain(zoned).filter(|&(_, id)| id != CONTESTED);
        owned.chain(contested).map(|(address, id)| (address, NodeId(id)))
    }

    /// Each address that is claimed by several, and by whom.
    pub(super) fn contested(&self) -> impl Iterator<Item = (Address, &[u32])> {
        self.contested.iter().map(|(&address, claims)| (address, &claims[..]))
    }

    /// Every node gets another number.
    pub(super) fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        let ids = self.v4.iter_mut().map(|entry| &mut entry.1);
        let ids = ids.chain(self.v6.iter_mut().map(|entry| &mut entry.1));
        let ids = ids.chain(self.zoned.iter_mut().map(|entry| &mut entry.2));
        let ids = ids.filter(|id| **id != CONTESTED);
        for id in ids.chain(self.contested.values_mut().flatten()) {
            *id = number(*id);
        }
    }

    /// Bytes in use, but for those of contested addresses.
    pub(super) fn size(&self) -> usize {
        [self.v4.allocation_size(), self.v6.allocation_size(), self.zoned.allocation_size()]
            .into_iter()
            .sum()
    }
}

fn set<T>(entry: Entry<'_, T>, value: T) {
    match entry {
        Entry::Occupied(mut occupied) => *occupied.get_mut() = value,
        Entry::Vacant(vacant) => drop(vacant.insert(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn some_address() -> impl Strategy<Value = Address> {
        (0..3_u8, 0..6_u32).prop_map(|(kind, number)| match kind {
            0 => address(Ipv4Addr::from_bits(number << 8).into(), 0),
            1 => address(Ipv6Addr::from_bits(u128::from(number) << 40 | 1).into(), 0),
            _ => address(Ipv6Addr::from_bits(0xfe80 << 112 | 1).into(), number),
        })
    }

    proptest! {
        #[test]
        fn an_address_is_that_of_the_only_one_that_claims_it(
            steps in prop::collection::vec((some_address(), 0..4_u32, any::<bool>()), 0..200)
        ) {
            let mut addresses = Addresses::default();
            let mut claims: BTreeMap<Address, BTreeSet<u32>> = BTreeMap::new();
            for (address, id, is_claim) in steps {
                let of_address = claims.entry(address).or_default();
                if is_claim {
                    let other = addresses.claim(address, NodeId(id)).map(|id| id.0);
                    let mut others = of_address.iter().filter(|&&other| other != id);
                    let is_right = match other {
                        None => others.next().is_none(),
                        Some(other) => others.any(|&it| it == other),
                    };
                    prop_assert!(is_right);
                    of_address.insert(id);
                } else {
                    addresses.give_up(address, NodeId(id));
                    of_address.remove(&id);
                }
                for (&address, ids) in &claims {
                    let owner = if ids.len() == 1 { ids.first().copied() } else { None };
                    prop_assert_eq!(addresses.owner(address), owner.map(NodeId));
                }
            }
            let mut told: Vec<_> = addresses.iter().map(|(at, id)| (at, id.0)).collect();
            told.sort_unstable();
            let all = claims.iter().flat_map(|(&at, ids)| ids.iter().map(move |&id| (at, id)));
            prop_assert_eq!(&told, &all.collect::<Vec<_>>());
            addresses.renumber(|id| id + 10);
            let mut renumbered: Vec<_> = addresses.iter().map(|(at, id)| (at, id.0 - 10)).collect();
            renumbered.sort_unstable();
            prop_assert_eq!(renumbered, told);
        }
    }
}
