//! What need not be looked up, since it cannot be believed.

use std::collections::HashMap;

use fence_kdump_core::{CrashId, Disbelief, Instant};

use super::Hearing;

/// How many crashes are known without looking them up.
const CRASHES: usize = 1024;

/// The latest believed message of each of the last crashes: what is older is a replay.
///
/// Whoever replays captured messages in a flood must not take the place of a good one that waits to
/// be remembered.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    of: HashMap<Crash, Stamp>,
}

/// One crash of one node.
pub(crate) type Crash = (String, CrashId);

/// What tells one message of a crash from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    sequence: u64,
    at: Instant,
}

impl Hearing {
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { sequence: self.sequence, at: self.at }
    }

    pub(crate) fn crash(&self) -> Crash {
        (self.node_name.clone(), self.crash_id)
    }

    /// Whether both are the same message, and the other one came again.
    pub(crate) fn is_copy_of(&self, crash: &Crash, stamp: Stamp) -> bool {
        !self.live
            && self.sequence == stamp.sequence
            && self.at != stamp.at
            && (&self.node_name, &self.crash_id) == (&crash.0, &crash.1)
    }
}

impl Latest {
    /// [`Disbelief::Replayed`] when the memory is sure to say so. The greatest SEQUENCE that it knows can
    /// only become greater.
    pub(crate) fn judge(&self, hearing: &Hearing) -> Result<(), Disbelief> {
        match self.of.get(&hearing.crash()) {
            Some(latest) if !hearing.live && hearing.sequence < latest.sequence => {
                Err(Disbelief::Replayed)
            }
            Some(latest) if hearing.is_copy_of(&hearing.crash(), *latest) => {
                Err(Disbelief::Replayed)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The memory has believed this one.
    pub(crate) fn believed(&mut self, crash: Crash, stamp: Stamp) {
        match self.of.get_mut(&crash) {
            Some(latest) if latest.sequence < stamp.sequence => *latest = stamp,
            Some(_) => {}
            None => {
                // What is forgotten here is looked up again.
                if self.of.len() >= CRASHES {
                    self.of.clear();
                }
                self.of.insert(crash, stamp);
            }
        }
    }
}
