//! The nodes that the daemon is told to follow.

use std::str::FromStr;

use fence_kdump_core::Policy;
use thiserror::Error;

use crate::fleet::registry::{NewNode, NodeError, Registry};

/// A node that the daemon follows: `NAME=ADDRESS[,ADDRESS...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// What it is called.
    pub name: String,
    /// Its addresses, or names of them; at least one.
    pub addresses: Vec<String>,
}

/// Not of the form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not NAME=ADDRESS[,ADDRESS...]")]
pub struct NotOfForm(String);

impl FromStr for Follow {
    type Err = NotOfForm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || NotOfForm(text.to_owned());
        let (name, addresses) = text.split_once('=').ok_or_else(form)?;
        let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
        if name.is_empty() || addresses.iter().any(String::is_empty) {
            return Err(form());
        }
        Ok(Self { name: name.to_owned(), addresses })
    }
}

/// The nodes of a command line, whose messages have to prove what `policy` says.
///
/// # Errors
/// When a name or an address is none, or is another node's.
pub fn registry(nodes: &[Follow], policy: Policy) -> Result<Registry, NodeError> {
    let mut registry = Registry::new();
    for Follow { name, addresses } in nodes {
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let node = NewNode { name, key_name: None, policy };
        let _ = registry.add(&node, Some(&addresses))?;
    }
    registry.shrink();
    Ok(registry)
}
