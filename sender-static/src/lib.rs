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
//! | [`message`] | which form of the message a node gets |
//! | [`key_file`], [`identity`] | which key this node has, and what is told about it |
//! | [`signer`] | what a signed message says, and what is a challenge |
//! | [`hmac`] | authentication codes |
//! | [`answers`] | how many challenges are answered |
//! | [`hosts`], [`resolv_conf`], [`dns`], [`lookup`] | what a name means, and what to ask next |
//! | [`plan`] | what the running system knew when the image was built |
//! | [`resolver`] | the DNS servers' sockets |
//! | `link` | frames of its own, where the kernel has no network configuration |
//! | [`transport`] | how a message leaves |
//! | [`early`] | what comes before the init of an initrd |
//! | [`phase`], [`vmcore`] | what the node is doing, and who reads the crashed kernel's memory |
//! | [`sender`] | the nodes, and the loop that serves them |
//! | [`text`] | how text is cut into pieces and numbers |
//! | [`report`] | what a person is told |
//! | [`sys`] | the kernel, and all unsafe code |
//!
//! What follows the plain message is put together here, not by the protocol crate: the same fields,
//! but only those that a sender has, and a code over them without the general interfaces of the
//! crates for that, in a quarter of the bytes. The protocol crate is the judge in the tests.
//!
//! Its binary is built alone:
//!
//! ```text
//! cargo sender
//! ```
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod address;
pub mod answers;
pub mod args;
pub mod dns;
#[cfg(feature = "early")]
pub mod early;
pub mod hmac;
pub mod hosts;
pub mod identity;
pub mod key_file;
#[cfg(feature = "link")]
pub mod link;
pub mod lookup;
pub mod message;
#[cfg(feature = "early")]
pub mod phase;
pub mod plan;
pub mod program;
pub mod report;
pub mod resolv_conf;
pub mod resolver;
pub mod schedule;
pub mod sender;
pub mod signer;
pub mod sys;
pub mod text;
pub mod transport;
#[cfg(feature = "early")]
pub mod vmcore;
