//! Hears crashed nodes: everything that the agent `fence_kdump` and the daemon `fence_kdumpd` are
//! made of, except the protocol itself and the decision, which are in `fence-kdump-core`.
//!
//! A datagram walks one straight corridor, and each module is a room of it:
//!
//! | module | its one truth |
//! |---|---|
//! | [`socket`] | each [`datagram`] in, whole; [`sieve`]: what the kernel keeps out; [`dating`]: when each truly arrived |
//! | [`address`] | where it came from |
//! | [`control`] | who on this host reads the port, and serves the others |
//! | [`line`](mod@line) | the line of one program to the port, whoever reads it |
//! | [`nodes`] | whose message counts; [`lookup`]: names to addresses |
//! | [`agent`] | what the agent is told and does; [`agent::inquiry`] asks the core for its verdict |
//! | [`daemon`] | the fleet that the daemon follows, and its loop |
//! | [`options`] | what the agent can be told |
//! | [`proof`] | what a signed message proves; challenges |
//! | [`keys`] | the keys of a file, and whose that has to be |
//! | [`store`] | what must not be forgotten: no message counts twice; [`scribe`]: in another process |
//! | [`sink`] | where events go |
//! | [`ctl`] | what administrators do by hand |
//! | [`web`] | the page, the API and the numbers of the daemon, on a thread of their own |
//! | [`config`] | the daemon's configuration file |
//! | [`fleet`] | the nodes of a large fleet, by address and by name; what happens to them |
//! | [`history`] | what happened, for people and for the next start |
//! | [`service`] | what a service manager wants to hear, and gives |
//! | [`custody`] | whose a file is, and what others may do with it |
//! | [`deputy`] | whom root has put in charge, and how root acts in that user's place |
//! | [`voice`] | what is said to people |
//! | [`clock`] | time, by the monotonic clock; `background`: threads whose work can wait |
//!
//! Nothing here waits for anything that others control beyond its deadline: not for names, not for
//! readers of its output, not for other processes on the host.

pub mod address;
pub mod agent;
mod background;
pub mod clock;
pub mod config;
pub mod control;
pub mod ctl;
pub mod custody;
pub mod daemon;
pub mod datagram;
pub mod dating;
pub mod deputy;
pub mod fleet;
pub mod history;
pub mod keys;
pub mod line;
pub mod lookup;
pub mod nodes;
pub mod options;
pub mod proof;
pub mod scribe;
pub mod service;
pub mod sieve;
pub mod sink;
pub mod socket;
pub mod store;
mod sys;
pub mod voice;
pub mod web;
