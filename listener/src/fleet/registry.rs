//! Who the nodes are: their names, their addresses, and what their messages have to prove.
//!
//! A message is a node's by the address that it came from or, if it is signed, by the name in it; both are
//! found in a time that does not depend on how many nodes there are. A node takes some 40 bytes besides its
//! name and one IPv4 address, and so do a million of them.
//!
//! Names that have to be looked up are found later ([`super::resolver`]): until then the node is known by its
//! own name alone. With a new configuration, nodes that stay keep their numbers ([`super::reload`]).

use std::net::{IpAddr, SocketAddr};

use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{NodeId, Policy, Proof};
use thiserror::Error;

use super::addresses::Addresses;
use super::names::{MOST, Names, Span};
use crate::address::{Address, AddressError};

/// The nodes of a fleet.
#[derive(Debug, Default)]
pub struct Registry {
    pub(super) names: Names,
    pub(super) addresses: Addresses,
    /// In the order of the nodes.
    pub(super) sources: Vec<Source>,
}

/// A node that is to be known.
#[derive(Debug, Clone, Copy)]
pub struct NewNode<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The NODE NAME in its signed messages; without one, its name.
    pub key_name: Option<&'a str>,
    /// What its messages have to prove.
    pub policy: Policy,
}

/// Where some addresses of a node come from: a name, or the configuration.
///
/// There is none for a node all of whose addresses are configured.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) node: u32,
    /// To be looked up; `None` for configured addresses.
    pub(super) text: Option<Span>,
    pub(super) found: Box<[Address]>,
}

/// A name to be looked up, in one registry: see [`Registry::to_look_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(u32);

/// Two nodes have one address: its messages count for neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{address} is an address of two nodes")]
pub struct Contested {
    /// Which.
    pub address: Address,
    /// One of the nodes.
    pub one: NodeId,
    /// The other.
    pub other: NodeId,
}

/// What of a [`NewNode`] is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Name,
    /// Its name in signed messages.
    KeyName,
    /// Its addresses, all of them.
    Addresses,
    /// One address: its place in the list.
    Address(usize),
}

/// Why a node cannot be one of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct NodeError {
    /// What of it.
    pub part: Part,
    /// Why.
    pub fault: NodeFault,
}

/// What is wrong with a node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeFault {
    /// PROTOCOL.md §4.1.
    #[error("'{0}' cannot be a node's name: 1 to 253 ASCII characters without spaces are needed")]
    Name(String),
    /// Nobody could tell them apart.
    #[error("'{0}' is the name of another node already; letters are the same in either case")]
    Twice(String),
    /// Nobody could tell whose message it is.
    #[error("{address} is an address of node {other} already; a node needs its own")]
    Shared {
        /// Which.
        address: Address,
        /// Whose.
        other: String,
    },
    /// No node has such an address.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// It cannot even be looked up.
    #[error(
        "'{0}' is neither an address, such as 192.0.2.7, fd00::7 or fe80::7%eth0, nor a host name"
    )]
    NeitherNor(String),
    /// Nothing would ever be heard of it.
    #[error(
        "node {0} has no address, and with the policy plain a message counts by its address alone; \
         name one, or let it sign"
    )]
    Nowhere(String),
    /// More than fit.
    #[error("there is no room for more nodes than {MOST}, nor for more than 4 GiB of names")]
    Full,
}

/// An address, or a name that may have some.
enum Whereabouts<'a> {
    Known(Address),
    Name(&'a str),
}

impl<'a> Whereabouts<'a> {
    fn of(text: &'a str) -> Result<Self, NodeFault> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Known(Address::of_node(SocketAddr::new(ip, 0))?));
        }
        // An interface may appear, and have another number, later.
        let is_zoned = |(ip, zone): (&str, &str)| {
            ip.parse::<std::net::Ipv6Addr>().is_ok() && (1..=15).contains(&zone.len())
        };
        if text.split_once('%').is_some_and(is_zoned) || is_host_name(text) {
            return Ok(Self::Name(text));
        }
        Err(NodeFault::NeitherNor(text.to_owned()))
    }
}

/// Whether `text` may be looked up: what is all numbers, such as a mistyped address, may not.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl Registry {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node. `addresses` are addresses and names to look up; without a list, it is the node's name.
    ///
    /// # Errors
    /// When its name or an address is none, or another node's: then it may be known in part, and the
    /// registry is of no use any more.
    pub fn add(
        &mut self,
        node: &NewNode<'_>,
        addresses: Option<&[&str]>,
    ) -> Result<NodeId, NodeError> {
        let NewNode { name, key_name, policy } = *node;
        for (part, name) in [(Part::Name, Some(name)), (Part::KeyName, key_name)] {
            let Some(name) = name else { continue };
            if !is_node_name(name) {
                return Err(NodeError { part, fault: NodeFault::Name(name.to_owned()) });
            }
            if self.names.known(name).is_some() {
                return Err(NodeError { part, fault: NodeFault::Twice(name.to_owned()) });
            }
        }
        if policy == Policy::Plain && addresses.is_some_and(<[_]>::is_empty) {
            let fault = NodeFault::Nowhere(name.to_owned());
            return Err(NodeError { part: Part::Addresses, fault });
        }
        let full = NodeError { part: Part::Name, fault: NodeFault::Full };
        let id = self.names.add(name, key_name, policy).ok_or_else(|| full.clone())?;
        let Some(addresses) = addresses else {
            let fault = |fault| NodeError { part: Part::Name, fault };
            match Whereabouts::of(name).map_err(fault)? {
                Whereabouts::Known(address) => self.own(id, address).map_err(fault)?,
                Whereabouts::Name(_) => {
                    let text = self.names.span(id);
                    self.sources.push(Source { node: id.0, text, found: Box::default() });
                }
            }
            return Ok(id);
        };
        let mut fixed = Vec::new();
        let mut has_names = false;
        for (place, text) in addresses.iter().enumerate() {
            let fault = |fault| NodeError { part: Part::Address(place), fault };
            match Whereabouts::of(text).map_err(fault)? {
                Whereabouts::Known(address) => {
                    self.own(id, address).map_err(fault)?;
                    if addresses.len() > 1 {
                        fixed.push(address);
                    }
                }
                Whereabouts::Name(text) => {
                    has_names = true;
                    let text = Some(self.names.write(text).ok_or_else(|| full.clone())?);
                    self.sources.push(Source { node: id.0, text, found: Box::default() });
                }
            }
        }
        if has_names && !fixed.is_empty() {
            self.sources.push(Source { node: id.0, text: None, found: fixed.into() });
        }
        Ok(id)
    }

    fn own(&mut self, id: NodeId, address: Address) -> Result<(), NodeFault> {
        match self.addresses.claim(address, id) {
            None => Ok(()),
            Some(other) => {
                let other = self.names.name(other).unwrap_or_default().to_owned();
                Err(NodeFault::Shared { address, other })
            }
        }
    }

    /// Gives back memory that was taken in advance, once all nodes are there.
    pub fn shrink(&mut self) {
        self.names.shrink();
        self.sources.shrink_to_fit();
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.count()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slots a tracker needs: all numbers of nodes are below this.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.names.len()
    }

    /// All nodes.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.names.ids()
    }

    /// The node whose address this is; `None` also when it is one of several nodes'.
    #[must_use]
    pub fn at(&self, address: Address) -> Option<NodeId> {
        self.addresses.owner(address)
    }

    /// The node of this name, in any case.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.names.named(name)
    }

    /// The node whose signed messages have this NODE NAME, in any case.
    #[must_use]
    pub fn signed_as(&self, name: &str) -> Option<NodeId> {
        self.names.signed_as(name)
    }

    /// The same, which is most likely the node `whose`: it is asked first, since that costs less than to search.
    #[must_use]
    pub fn signed_from(&self, name: &str, whose: Option<NodeId>) -> Option<NodeId> {
        let is_it =
            |id: &NodeId| self.key_name(*id).is_some_and(|known| known.eq_ignore_ascii_case(name));
        whose.filter(is_it).or_else(|| self.signed_as(name))
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, id: NodeId) -> Option<&str> {
        self.names.name(id)
    }

    /// The NODE NAME of a node's signed messages.
    #[must_use]
    pub fn key_name(&self, id: NodeId) -> Option<&str> {
        self.names.key_name(id)
    }

    /// What a node's messages have to prove.
    #[must_use]
    pub fn policy(&self, id: NodeId) -> Option<Policy> {
        self.names.policy(id)
    }

    /// Whether what was believed of a node before is still to be believed: a message that came from
    /// `from` and proved so much.
    #[must_use]
    pub fn still_believes(&self, id: NodeId, proof: Proof, from: Address) -> bool {
        let is_enough = self.policy(id).is_some_and(|policy| policy.admit(proof).is_ok());
        is_enough && (proof > Proof::Plain || self.at(from) == Some(id))
    }

    /// All addresses that are known of all nodes, in no order. One that several nodes have is told for each.
    pub fn addresses(&self) -> impl Iterator<Item = (Address, NodeId)> {
        self.addresses.iter()
    }

    /// Addresses that are known of several nodes, so that their messages count for none.
    pub fn contested(&self) -> impl Iterator<Item = (Address, Vec<NodeId>)> {
        let all = self.addresses.contested();
        all.map(|(address, ids)| (address, ids.iter().copied().map(NodeId).collect()))
    }

    /// The names that have to be looked up, for [`Self::found`].
    pub fn to_look_up(&self) -> impl Iterator<Item = (LookupId, &str)> {
        let sources = (0_u32..).map(LookupId).zip(&self.sources);
        sources.filter_map(|(id, source)| Some((id, self.names.read(source.text?))))
    }

    /// Whose name that is to be looked up is, and what is known of it by now.
    #[must_use]
    pub fn looked_up(&self, lookup: LookupId) -> Option<(NodeId, &[Address])> {
        let source = self.sources.get(usize::try_from(lookup.0).ok()?)?;
        Some((NodeId(source.node), &source.found))
    }

    /// A name has these addresses now, and no longer those that it had before; the addresses that
    /// another node has as well.
    pub fn found(&mut self, lookup: LookupId, found: &[Address]) -> Vec<Contested> {
        let source = usize::try_from(lookup.0).ok().and_then(|place| self.sources.get_mut(place));
        let Some(source) = source.filter(|source| source.text.is_some()) else {
            return Vec::new();
        };
        let id = NodeId(source.node);
        let before = std::mem::replace(&mut source.found, found.into());
        let claim = |&address: &Address| {
            let other = self.addresses.claim(address, id)?;
            Some(Contested { address, one: id, other })
        };
        let contested = found.iter().filter_map(claim).collect();
        for &address in &before {
            let of_node = self.sources.partition_point(|source| source.node < id.0);
            let mut of_node = self.sources.iter().skip(of_node);
            let mut of_node = of_node.by_ref().take_while(|source| source.node == id.0);
            if !of_node.any(|source| source.found.contains(&address)) {
                self.addresses.give_up(address, id);
            }
        }
        contested
    }

    /// Bytes in use.
    #[must_use]
    pub fn size(&self) -> usize {
        let found = |source: &Source| size_of_val(&*source.found);
        let sources = self.sources.capacity().saturating_mul(size_of::<Source>());
        let found: usize = self.sources.iter().map(found).sum();
        [self.names.size(), self.addresses.size(), sources, found].into_iter().sum()
    }
}

#[cfg(test)]
mod tests;
