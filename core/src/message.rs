//! What can be said.

use core::fmt;
use core::time::Duration;

use crate::auth::Signed;
use crate::policy::Proof;
use crate::wire::{CODE_LEN, DATAGRAM_MAX};

/// Room for any message.
pub type Datagram = heapless::Vec<u8, DATAGRAM_MAX>;

/// The order in which a sender wrote the numbers of the first eight bytes: its own, since they never
/// had a network byte order (PROTOCOL.md §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first: x86_64, aarch64, ppc64le.
    Little,
    /// Most significant byte first: s390x.
    Big,
}

impl ByteOrder {
    /// The byte order of the machine that this code was compiled for.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// "The production kernel of the machine that sends this has stopped and its crash kernel runs"
/// (PROTOCOL.md §1), and what it says besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// The byte order that the sender used.
    pub byte_order: ByteOrder,
    /// What follows; `None` in a plain message, of which only the source address is known.
    pub extension: Option<Extension<'a>>,
    /// The authentication code, if there is one.
    pub(crate) mac: Option<Mac<'a>>,
}

/// An authentication code and what it is to be computed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mac<'a> {
    pub(crate) code: &'a [u8; CODE_LEN],
    pub(crate) covered: &'a [u8],
}

impl<'a> Message<'a> {
    /// The plain version 1 message in the given byte order.
    #[must_use]
    pub const fn v1(byte_order: ByteOrder) -> Self {
        Self { byte_order, extension: None, mac: None }
    }

    /// What there is to be verified; `None` when the message has no MAC.
    #[must_use]
    pub fn signed(&self) -> Option<Signed<'a>> {
        Signed::of(self)
    }

    /// What counts of it, when so much of it is proven: of an unproven message nothing but that it
    /// came (PROTOCOL.md §11.1).
    #[must_use]
    pub fn report(&self, proof: Proof) -> Report {
        match (proof, &self.extension) {
            (Proof::Signed | Proof::Live, Some(said)) => Report {
                proof,
                interval: said.interval,
                phase: said.phase,
                progress: said.progress.unwrap_or_default(),
            },
            (Proof::Signed | Proof::Live, None) | (Proof::Plain, _) => {
                Report { proof, ..Report::PLAIN }
            }
        }
    }
}

/// What a message can say besides (PROTOCOL.md §4.2). Nothing of it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extension<'a> {
    /// The node's name: 1 to 253 characters, `!` to `~`.
    pub node_name: Option<&'a str>,
    /// The machine's id (`machine-id(5)`).
    pub machine_id: Option<[u8; 16]>,
    /// Which run of the sender this is.
    pub crash_id: Option<CrashId>,
    /// Greater in each message of one run.
    pub sequence: Option<u64>,
    /// The sender's clock, in milliseconds since 1970-01-01 00:00 UTC. For people only.
    pub wall_clock: Option<u64>,
    /// Since the crash kernel started, in milliseconds.
    pub uptime: Option<u64>,
    /// Until the next message at the latest, in milliseconds.
    pub interval: Option<u32>,
    /// What the node is doing.
    pub phase: Option<Phase>,
    /// How far the dump has come.
    pub progress: Option<Progress>,
    /// Which challenge this answers.
    pub answer: Option<Nonce>,
    /// Which cluster key the node's key comes from.
    pub key_id: Option<KeyId>,
}

/// What counts of a message once it is known how far it is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How far.
    pub proof: Proof,
    /// Until the next message at the latest, in milliseconds.
    pub interval: Option<u32>,
    /// What the node is doing.
    pub phase: Option<Phase>,
    /// How far the dump has come.
    pub progress: Progress,
}

impl Report {
    /// A message came, and that is all.
    pub const PLAIN: Self = Self {
        proof: Proof::Plain,
        interval: None,
        phase: None,
        progress: Progress { done: 0, total: 0 },
    };
}

/// What a node is doing (PROTOCOL.md §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Has started its crash kernel.
    Booted,
    /// Writes its dump.
    Dumping,
    /// Has written its dump and will reboot.
    Finished,
    /// Could not write its dump.
    Failed,
    /// Is about to reboot.
    Leaving,
    /// Something that is not in the registry: as good as nothing.
    Unregistered(u8),
}

impl Phase {
    /// The phase of that number.
    #[must_use]
    pub const fn of(number: u8) -> Self {
        match number {
            1 => Self::Booted,
            2 => Self::Dumping,
            3 => Self::Finished,
            4 => Self::Failed,
            5 => Self::Leaving,
            other => Self::Unregistered(other),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Booted => 1,
            Self::Dumping => 2,
            Self::Finished => 3,
            Self::Failed => 4,
            Self::Leaving => 5,
            Self::Unregistered(other) => other,
        }
    }

    /// Its name in the registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booted => "booted",
            Self::Dumping => "dumping",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
            Self::Unregistered(_) => "unregistered",
        }
    }

    /// Whether a session ends with it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Leaving)
    }
}

/// How far a dump has come, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is; 0 when that is not known.
    pub total: u64,
}

/// A random id of one run of the sender (PROTOCOL.md §4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CrashId(pub [u8; 16]);

/// Random bytes that a receiver chose (PROTOCOL.md §9).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

/// Names a cluster key without giving it away (PROTOCOL.md §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 4]);

macro_rules! in_hexadecimal {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($id))
            }
        }
    )*};
}

in_hexadecimal!(CrashId, Nonce, KeyId);

/// Three times the interval that was promised, or as much as is counted.
#[must_use]
pub(crate) const fn three_times(interval: u32) -> Duration {
    Duration::from_millis((interval as u64).saturating_mul(3))
}

/// Whether `name` can be a NODE NAME: 1 to 253 characters, `!` to `~`.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    (1..=crate::wire::NODE_NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_have_the_numbers_and_names_of_the_registry() {
        let names = ["unregistered", "booted", "dumping", "finished", "failed", "leaving"];
        for number in 0..=u8::MAX {
            let phase = Phase::of(number);
            assert_eq!(phase.number(), number);
            assert_eq!(phase.name(), *names.get(usize::from(number)).unwrap_or(&names[0]));
            assert_eq!(phase.is_end(), number == 3 || number == 5);
        }
    }

    #[test]
    fn of_a_plain_message_only_counts_that_it_came() {
        for proof in [Proof::Plain, Proof::Signed, Proof::Live] {
            let report = Message::v1(ByteOrder::Big).report(proof);
            assert_eq!(report, Report { proof, ..Report::PLAIN });
        }
    }

    #[test]
    fn ids_are_shown_in_hexadecimal() {
        assert_eq!(KeyId([0, 1, 0xab, 0xff]).to_string(), "0001abff");
        assert_eq!(format!("{:?}", KeyId([0, 1, 0xab, 0xff])), "KeyId(0001abff)");
    }
}
