//! What must not be forgotten: which messages were heard, so that none counts twice (PROTOCOL.md §10).
//!
//! - [`Memory`] is the replay memory of this host: one file, shared by all programs that hear, and
//!   written to the disk before anything in it counts.
//! - [`Notary`] runs it on a thread of its own, so that a disk that hangs holds nothing up.
//!
//! # Why it is kept this way
//!
//! The file is an SQLite database, since several processes write to it at once and any of them can be
//! killed at any time. It has a rollback journal that is emptied with each commit, not a write-ahead
//! log: once a commit has returned, what it wrote is in the one file `replay.db`. With a log it would
//! be in `replay.db-wal` for as long as the daemon runs, and who then copies, restores or cleans up the
//! one file without the other sets the memory back without anybody noticing. It also maps no memory
//! that another process can take away.
//!
//! A memory that is damaged, full, deleted or not to be read is never begun anew in silence, and never
//! believed: each is a [`StoreError`] that says what can be done.

mod clock;
mod error;
pub(crate) mod heard;
mod memory;
mod notary;
mod place;
mod schema;

use fence_kdump_core::auth::Signed;
use fence_kdump_core::{CrashId, Instant, KeyId};

pub use clock::name as clock_name;
pub use error::StoreError;
pub use memory::{CRASHES_PER_NODE, Memory};
pub use notary::{Judged, News, Notary, PATIENCE, PATIENCE_LIVE, ROOM};

/// Where the memory is kept unless configured otherwise.
pub const STATE_DIR: &str = "/var/lib/fence_kdump";

/// What people have to know of a memory that is new: see [`Memory::is_new`].
#[must_use]
pub fn began(path: &std::path::Path) -> String {
    format!(
        "{} is new: a message captured before today would count once, unless the policy is live",
        path.display()
    )
}

/// What has to be remembered of a message with a right MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    node_name: String,
    key_id: KeyId,
    crash_id: CrashId,
    sequence: u64,
    uptime: u64,
    at: Instant,
    live: bool,
}

impl Hearing {
    /// `signed` arrived at `at`, its MAC has been verified, and `live` tells whether it answers a challenge
    /// of this receiver.
    ///
    /// `at` is by [`crate::clock::now`], and the same in all programs that read the same datagram.
    #[must_use]
    pub fn new(at: Instant, signed: &Signed<'_>, live: bool) -> Self {
        Self {
            node_name: signed.node_name.to_ascii_lowercase(),
            key_id: signed.key_id,
            crash_id: signed.crash_id,
            sequence: signed.sequence,
            uptime: signed.uptime,
            at,
            live,
        }
    }
}

#[cfg(test)]
mod tests;
