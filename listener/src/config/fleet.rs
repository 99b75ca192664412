//! The nodes of the file.

use std::ops::Range;

use fence_kdump_core::Policy;

use super::tables::NodeTable;
use crate::fleet::registry::{NewNode, NodeError, Part, Registry};

/// What holds for nodes of which nothing else is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standard {
    pub(super) policy: Policy,
    pub(super) has_keys: bool,
}

impl Standard {
    /// The policy of a node.
    pub(super) fn policy(self, asked: Option<Policy>) -> Result<Policy, String> {
        match asked {
            Some(asked) if asked != Policy::Plain && !self.has_keys => Err(needs_keys(asked)),
            asked => Ok(asked.unwrap_or(self.policy)),
        }
    }
}

/// What is wrong with a policy for which there are no keys.
pub(super) fn needs_keys(policy: Policy) -> String {
    format!("the policy {policy} needs keys to verify messages with: set key_file")
}

/// Adds the node of a table; what is wrong with it, and where.
pub(super) fn add(
    nodes: &mut Registry,
    table: NodeTable,
    standard: Standard,
) -> Result<(), (Range<usize>, String)> {
    let NodeTable { name, addresses, policy, key_name } = table;
    let asked = policy.as_ref().map(|policy| policy.get_ref().0);
    let span = policy.map_or(name.span(), |policy| policy.span());
    let policy = standard.policy(asked).map_err(|what| (span, what))?;
    let key = key_name.as_ref().map(|key| key.get_ref().as_str());
    let texts: Option<Vec<&str>> = addresses.as_ref().map(|addresses| {
        let addresses = addresses.get_ref().iter();
        addresses.map(|address| address.get_ref().as_str()).collect()
    });
    let node = NewNode { name: name.get_ref(), key_name: key, policy };
    nodes.add(&node, texts.as_deref()).map(drop).map_err(|NodeError { part, fault }| {
        let place = |place: usize| {
            let address = addresses.as_ref()?.get_ref().get(place)?;
            Some(address.span())
        };
        let span = match part {
            Part::Name => None,
            Part::KeyName => key_name.as_ref().map(toml::Spanned::span),
            Part::Addresses => addresses.as_ref().map(toml::Spanned::span),
            Part::Address(number) => place(number),
        };
        (span.unwrap_or_else(|| name.span()), fault.to_string())
    })
}
