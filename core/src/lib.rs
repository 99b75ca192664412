#![doc = include_str!("../PROTOCOL.md")]
//!
//! # This crate
//!
//! A datagram walks one straight corridor, and each module is a room of it:
//!
//! | module | its one truth |
//! |---|---|
//! | [`wire`] | where the bytes are |
//! | [`message`] | what can be said |
//! | [`codec`] | bytes ⇄ message |
//! | [`auth`] | keys and authentication codes |
//! | [`challenge`] | proof of life |
//! | [`replay`] | what is remembered of a crash |
//! | [`policy`] | what a node's messages must prove |
//! | [`session`] | one node's dump, as a state machine |
//! | [`tracker`] | all nodes' sessions, over storage that the caller owns |
//! | [`verdict`] | the one safety decision |
//! | [`time`] | time is an argument: nothing here reads a clock |
//!
//! No allocation, no I/O, no clock, no unsafe code, no panic on any input.
//!
//! ```
//! use core::time::Duration;
//! use fence_kdump_core::{
//!     ByteOrder, Event, Instant, NodeId, Outcome, Proof, Question, Slot, Tracker, Verdict, encode,
//!     session,
//! };
//!
//! // Storage is the caller's: an array in a microcontroller, a boxed slice of a million elsewhere.
//! let mut tracker = Tracker::new([Slot::EMPTY; 3], session::SILENCE);
//! let node = NodeId(2);
//! let asked = Instant::from_nanos(1_000);
//! let heard = asked.saturating_add(Duration::from_secs(4));
//!
//! let datagram = encode(ByteOrder::NATIVE);
//! let outcome = tracker.handle(heard, &datagram, |_message| Ok((node, Proof::Plain)));
//! assert_eq!(outcome, Outcome::Heard { node, event: Event::Started });
//!
//! let question = Question { not_before: asked, now: heard };
//! assert!(matches!(tracker.verdict(node, question), Verdict::InCrashKernel(_)));
//! assert!(matches!(tracker.verdict(NodeId(0), question), Verdict::NotKnown(_)));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(feature = "arbitrary")]
extern crate std;

pub mod auth;
pub mod challenge;
pub mod codec;
mod extension;
pub mod message;
pub mod policy;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
pub mod replay;
pub mod session;
pub mod time;
pub mod tracker;
pub mod verdict;
pub mod wire;

/// Tests of every bit take one in so many in miri, where an HMAC takes half a second: what it looks for is
/// undefined behaviour, which is the same for each. Prime to 8, so that all bits of a byte have their turn.
#[cfg(test)]
const STRIDE: usize = if cfg!(miri) { 97 } else { 1 };

pub use auth::{Key, ReadyKey, Signed};
pub use challenge::{Challenge, Challenger, FRESH};
pub use codec::{DecodeError, EncodeError, decode, encode, encode_extended, sign};
pub use message::{
    ByteOrder, CrashId, Datagram, Extension, KeyId, Message, Nonce, Phase, Progress, Report,
};
pub use policy::{Disbelief, Policy, Proof};
pub use replay::Crash;
pub use session::{Earlier, Event, Session, State};
pub use time::Instant;
pub use tracker::{Counters, NodeId, Outcome, Slot, Tracker};
pub use verdict::{Doubt, Evidence, MAX_AGE, Question, Verdict, max_age};
pub use wire::PORT;
