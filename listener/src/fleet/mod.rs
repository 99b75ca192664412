//! The fleet: the nodes that the daemon follows, and what happens to them.
//!
//! | module | its one truth |
//! |---|---|
//! | [`event`] | something that happened to a node, as it is stored and told to others; [`event_id`]: what it is called |
//! | [`registry`] | who the nodes are: names, addresses, policies; [`resolver`]: names to addresses |
//! | [`reload`] | from one configuration to the next |

mod addresses;
pub mod event;
pub mod event_id;
pub(crate) mod names;
pub mod registry;
pub mod reload;
pub mod resolver;
