//! The fleet: the nodes that the daemon follows, and what happens to them.
//!
//! | module | its one truth |
//! |---|---|
//! | [`event`] | something that happened to a node, as it is stored and told to others |

pub mod event;
