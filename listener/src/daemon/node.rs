//! The nodes that the daemon is told to follow.

use std::str::FromStr;

use thiserror::Error;

use crate::address::Address;

/// A node that the daemon follows: `NAME=ADDRESS[,ADDRESS...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// What it is called.
    pub name: String,
    /// Its addresses, or names of them; at least one.
    pub addresses: Vec<String>,
}

/// Why a node cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FollowError {
    /// Not of the form.
    #[error("'{0}' is not NAME=ADDRESS[,ADDRESS...]")]
    Form(String),
    /// An address that is none.
    #[error("{node}: {address}: {why}")]
    Address {
        /// Of which node.
        node: String,
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two nodes with one address: nobody could tell whose message it is.
    #[error("{address} is an address of {first} and of {second}; a node needs its own")]
    Shared {
        /// Which address.
        address: Address,
        /// The node that has it.
        first: String,
        /// The node that would have it, too.
        second: String,
    },
    /// Two nodes with one name.
    #[error("{0} is named twice")]
    Twice(String),
}

impl FromStr for Follow {
    type Err = FollowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || FollowError::Form(text.to_owned());
        let (name, addresses) = text.split_once('=').ok_or_else(form)?;
        let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
        if name.is_empty() || addresses.iter().any(String::is_empty) {
            return Err(form());
        }
        Ok(Self { name: name.to_owned(), addresses })
    }
}
