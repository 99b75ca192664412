//! The safety claim, model-checked: *nobody is told that a node is fenced while its production kernel
//! runs*.
//!
//! [stateright](https://docs.rs/stateright) visits every state that [`World`] can come to within the
//! [`Bounds`] of a check. The states are made by the very code that ships: the sender's schedule, and
//! of the protocol crate decoding, keys and codes, challenges, the replay memory's rule, policies,
//! sessions, the tracker and the verdict. Nothing of it is modelled, not even HMAC. What is modelled
//! is what surrounds it:
//!
//! | module | |
//! |---|---|
//! | [`machine`] | nodes that crash, dump, reboot and crash again, whose clocks are wrong |
//! | [`packet`] | what is on the wire |
//! | [`host`] | a receiver, which restarts, with its memory or without |
//! | [`world`] | the network and the attacker: everything that was ever said can be delivered, at any time, in any order, any number of times, or never; eight bytes can be forged; so can messages with a wrong key |
//! | [`seat`] | the hand-over of the port among the programs of one host |
//!
//! Time goes in ticks, of the length at which the protocol decides: 1 or 2 s, of which the limits of
//! PROTOCOL.md (2, 10 and 30 s) are multiples. So *exactly at the limit* and *one tick later* are both
//! visited.
//!
//! What is documented to be possible (PROTOCOL.md §14) is a [`Lie`] of a kind that the check expects;
//! it has to be found, and nothing else may be.
#![forbid(unsafe_code)]

pub mod check;
pub mod host;
pub mod machine;
pub mod packet;
pub mod seat;

pub mod trace;
pub mod world;

use fence_kdump_core::Policy;

pub use check::{Found, check};
pub use world::{Action, State, World};

/// A moment, in ticks since the beginning.
pub type Tick = u8;

/// What a check goes through.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// What it is called in the output.
    pub name: &'static str,
    /// What the nodes' messages have to prove.
    pub policy: Policy,
    /// The length of a tick in milliseconds.
    pub tick: u64,
    /// The last tick.
    pub horizon: Tick,
    /// How many nodes there are; 3 at most.
    pub nodes: u8,
    /// How often each can crash.
    pub crashes: u8,
    /// How many ticks after a node's last moment in its crash kernel its production kernel runs; no
    /// reboots at all when that is beyond the horizon.
    pub reboot: Tick,
    /// The sender's interval in milliseconds.
    pub interval: u64,
    /// Whether senders begin with a burst.
    pub bursts: bool,
    /// Whether senders sign.
    pub signs: bool,
    /// How the nodes' monotonic clocks go, in millionths.
    pub rate: u32,
    /// How many challenges a sender answers.
    pub answers: u8,
    /// For how many ticks a message can be under way; `None` when somebody records all of them and sends
    /// them again whenever he likes.
    pub delay: Option<Tick>,
    /// Whether somebody sends the eight bytes from a node's address, and signs in its name with a
    /// key that is another node's.
    pub forges: bool,
    /// How many times the receiving program can be restarted,
    pub restarts: u8,
    /// lose its memory,
    pub losses_of_memory: u8,
    /// and its host be booted.
    pub boots: u8,
    /// Whether the receiver hears for long, and does not write down each message.
    pub lags: bool,
    /// Whether the memory can be written.
    pub writable: bool,
    /// Whether nodes say that they are about to reboot.
    pub leaves: bool,
    /// How many ticks after a crash the network may come up.
    pub network: &'static [Tick],
    /// The network delivers everything at once but for so many packets.
    pub fair: Option<u8>,
    /// What is documented to be possible, and must be found.
    pub expects: &'static [Lie],
}

impl Bounds {
    /// A world in which nothing goes wrong, for each check to say what does.
    #[must_use]
    pub fn calm(name: &'static str, policy: Policy) -> Self {
        Self {
            name,
            policy,
            tick: 2_000,
            horizon: 16,
            nodes: 1,
            crashes: 2,
            reboot: 6,
            interval: 10_000,
            bursts: true,
            signs: !matches!(policy, Policy::Plain),
            rate: 1_000_000,
            answers: 0,
            delay: Some(0),
            forges: false,
            restarts: 0,
            losses_of_memory: 0,
            boots: 0,
            lags: false,
            writable: true,
            leaves: false,
            network: &[0],
            fair: None,
            expects: &[],
        }
    }
}

/// How somebody can be told that a node is fenced while its production kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lie {
    /// Under *plain*: the message that is believed was never said (PROTOCOL.md §14.4, forgery).
    Forged,
    /// Under *plain*: it was said, and delivered later (§14.4, replay and delay).
    Replayed,
    /// Under *signed*: of its crash, the receiver heard no message when it was said, or has forgotten
    /// (§10, the gap).
    Gap,
    /// Under *signed*: the node's monotonic clock goes wrong by more than a 1024th (§14.1).
    Clock,
    /// The node reboots faster than is assumed (§12.1, §14.1).
    Reboot,
    /// Anything else: a hole.
    Undocumented,
}

impl Lie {
    /// What the example of it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Gap => "gap",
            Self::Clock => "clock",
            Self::Reboot => "reboot",
            Self::Undocumented => "undocumented",
        }
    }
}
