//! `fence_kdump_send`: says from the crash kernel that this node has crashed.
//!
//! The program runs where little is left: a few dozen MiB of memory, perhaps no shared library, a
//! network that comes up at some moment, a resolver that may be dead. So it is one static file
//! without libc and without an allocator, whose code cannot panic (the linker has checked that),
//! and it never gives up: what fails is tried again, and no node waits for another.
//!
//! | module | its one truth |
//! |---|---|
//! | [`args`] | what the command line says |
//! | [`address`] | what is an address, in numbers |
//! | [`schedule`] | when each address hears the next message |
//! | [`hosts`], [`resolv_conf`], [`dns`], [`lookup`] | what a name means, and what to ask next |
//! | [`resolver`] | the DNS servers' sockets |
//! | [`transport`] | how a message leaves |
//! | [`sender`] | the nodes, and the loop that serves them |
//! | [`text`] | how text is cut into pieces and numbers |
//! | [`report`] | what a person is told |
//! | [`sys`] | the kernel, and all unsafe code |
//!
//! Its binary is built alone:
//!
//! ```text
//! cargo build -p fence-kdump-send --profile static --features static-bin
//! ```
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod address;
pub mod args;
pub mod dns;
pub mod hosts;
pub mod lookup;
pub mod program;
pub mod report;
pub mod resolv_conf;
pub mod resolver;
pub mod schedule;
pub mod sender;
pub mod sys;
pub mod text;
pub mod transport;
