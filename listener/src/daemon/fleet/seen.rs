//! What is known of a node besides its session.

use fence_kdump_core::{Disbelief, KeyId};

use crate::address::Address;
use crate::daemon::chronicle::Dump;
use crate::fleet::event::Kind;

/// What is known of a node besides its session.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Seen {
    /// Where the latest message that was believed came from.
    pub(in crate::daemon) from: Option<Address>,
    /// Of the latest one that proved it.
    pub(super) key_id: Option<KeyId>,
    /// Causes of disbelief that were told since the last message that was believed; *unsigned*, in this
    /// session.
    pub(super) told: Causes,
    /// The name of its present or latest dump.
    pub(in crate::daemon) dump: Dump,
    /// How that ended.
    pub(in crate::daemon) end: Option<Kind>,
    /// Its dump goes on.
    pub(super) is_active: bool,
    /// How soon the node says that it speaks again, in milliseconds.
    pub(super) interval: Option<u32>,
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
