//! What is known of a node besides its session.

use std::num::NonZeroU32;

use fence_kdump_core::{Disbelief, KeyId, NodeId};

use crate::address::Address;
use crate::daemon::chronicle::Dump;
use crate::daemon::remembered::Short;
use crate::fleet::event::Kind;

/// What is known of a node besides its session. Small, since there may be 100,000 of them that were heard.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Seen {
    /// Where the latest message that was believed came from.
    pub(in crate::daemon) from: Option<Address>,
    /// That message, if it was one of eight bytes.
    pub(super) short: Option<Short>,
    /// Of the latest one that proved it.
    pub(super) key_id: Option<KeyId>,
    /// Causes of disbelief that were told since the last message that was believed; *unsigned*, in this
    /// session.
    pub(super) told: Causes,
    /// The name of its present or latest dump.
    pub(in crate::daemon) dump: Dump,
    /// Whether that goes on.
    pub(in crate::daemon) course: Course,
    /// How soon the node says that it speaks again, in milliseconds.
    pub(super) interval: Option<NonZeroU32>,
}

const _: () = assert!(size_of::<(NodeId, Seen)>() <= 72);

/// How it is with the latest dump of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::daemon) enum Course {
    /// There was none.
    #[default]
    None,
    /// It goes on.
    Active,
    /// It ended in this way.
    Ended(Kind),
}

impl Course {
    /// How it ended, if it has.
    pub(super) fn end(self) -> Option<Kind> {
        match self {
            Self::Ended(kind) => Some(kind),
            Self::None | Self::Active => None,
        }
    }
}

/// Some causes of disbelief.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Causes(u16);

impl Causes {
    fn bit(cause: Disbelief) -> u16 {
        let place = Disbelief::ALL.iter().position(|known| *known == cause);
        place.map_or(0, |place| 1 << place)
    }

    /// Whether it was not among them.
    pub(super) fn add(&mut self, cause: Disbelief) -> bool {
        let before = self.0;
        self.0 |= Self::bit(cause);
        self.0 != before
    }

    /// No other any more.
    pub(super) fn keep(&mut self, cause: Disbelief) {
        self.0 &= Self::bit(cause);
    }
}
