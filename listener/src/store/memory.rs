//! The replay memory of this host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fence_kdump_core::{Crash, Disbelief, Instant};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params,
};

use super::error::StoreError;
use super::place::{Identity, Place};
use super::schema::{self, Found};
use super::{Hearing, clock};

/// The most crashes of one node and one key that are remembered: whoever got hold of a node's key fills
/// no disk with it. One crash every five minutes takes two months to get there.
pub const CRASHES_PER_NODE: u32 = 16_384;

/// How long is waited for another process that writes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of one hearing: believed, and what is on the disk of its crash, or why not; or why it could not be
/// remembered.
pub(super) type Judgement = Result<Result<Crash, Disbelief>, StoreError>;

/// The replay memory of this host: what was heard of each crash of each node (PROTOCOL.md §10).
///
/// It may be open in several processes, and more than once in one.
#[derive(Debug)]
pub struct Memory {
    connection: Connection,
    path: PathBuf,
    identity: Identity,
    clock: String,
    is_new: bool,
    /// See [`Memory::lagging`].
    since: Option<Instant>,
}

impl Memory {
    /// Opens the memory in the directory `dir`, and makes both when they are not there.
    ///
    /// Writes to it, so that a disk which is full or read-only shows at once and not when a node has
    /// crashed. Blocks for as long as the disk does.
    ///
    /// # Errors
    /// When it cannot be read, or not be written, or not be trusted.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_at(Place::find(dir, true)?)
    }

    /// Opens the memory in `dir` again, after it was open in this process: one that is no longer there is
    /// lost, and not begun anew.
    pub(super) fn reopen(dir: &Path) -> Result<Self, StoreError> {
        Self::open_at(Place::find(dir, false)?)
    }

    fn open_at(place: Place) -> Result<Self, StoreError> {
        let Place { path, identity, is_new: is_new_file } = place;
        let clock = clock::name()?;
        let told = |error| StoreError::of(&path, PATIENCE, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(told)?;
        connection.busy_timeout(PATIENCE).map_err(told)?;
        let is_new = match schema::settle(&mut connection, &path).map_err(told)? {
            Found::Memory { is_new } => is_new,
            Found::Foreign => return Err(StoreError::Foreign { path }),
            Found::Newer(found) => {
                return Err(StoreError::Newer { path, found, known: schema::VERSION });
            }
            Found::Damaged(trouble) => return Err(StoreError::Damaged { path, trouble }),
        };
        let is_new = is_new || is_new_file;
        let memory = Self { connection, path, identity, clock, is_new, since: None };
        memory.is_in_place()?;
        Ok(memory)
    }

    /// Whether it was empty when it was opened: then nothing is known of crashes from before, and a message
    /// captured then counts once under the policy *signed*.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Programs that hear for long write the greatest SEQUENCE of a crash only once in [`LAG`](fence_kdump_core::replay::LAG). The one that did so
    /// before may have heard messages until `since` that it did not write down: of a crash that was heard of
    /// before then, a message that was sent before then counts only if it was not under way for longer than [`PROMPT`](fence_kdump_core::replay::PROMPT).
    #[must_use]
    pub(super) fn lagging(self, since: Option<Instant>) -> Self {
        Self { since, ..self }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the message is believed. When this returns `Ok(Ok(()))`, it is on the disk that it was
    /// heard.
    ///
    /// # Errors
    /// The outer one when it cannot be remembered: then nothing has changed.
    pub fn judge(&mut self, hearing: &Hearing) -> Result<Result<(), Disbelief>, StoreError> {
        let mut judgements = self.judge_all(std::slice::from_ref(hearing))?;
        let judgement = judgements.pop();
        let judgement = judgement.map(|judgement| judgement.map(|result| result.map(drop)));
        judgement.unwrap_or_else(|| Err(StoreError::Gone { path: self.path.clone() }))
    }

    /// [`Self::judge`] for each, in this order, with one commit for all.
    ///
    /// # Errors
    /// When none of them can be remembered: then nothing has changed.
    pub(super) fn judge_all(&mut self, hearings: &[Hearing]) -> Result<Vec<Judgement>, StoreError> {
        let (path, clock) = (&self.path, &self.clock);
        let told = |error| StoreError::of(path, PATIENCE, error);
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate).map_err(told)?;
        let mut judgements = Vec::with_capacity(hearings.len());
        for hearing in hearings {
            judgements.push(judge_one(&transaction, path, (clock, self.since), hearing)?);
        }
        transaction.commit().map_err(told)?;
        self.is_in_place()?;
        Ok(judgements)
    }

    /// What is written to a file without a name is gone with this process.
    fn is_in_place(&self) -> Result<(), StoreError> {
        if Identity::of(&self.path) == Some(self.identity) {
            Ok(())
        } else {
            Err(StoreError::Moved { path: self.path.clone() })
        }
    }
}

/// The outer error ends the whole transaction, the one within is of this hearing alone.
fn judge_one(
    transaction: &Transaction<'_>,
    path: &Path,
    (clock, since): (&str, Option<Instant>),
    hearing: &Hearing,
) -> Result<Judgement, StoreError> {
    let told = |error| StoreError::of(path, PATIENCE, error);
    let known = recall(transaction, hearing).map_err(told)?;
    if let Some((_, heard_by)) = &known
        && heard_by != clock
        && !hearing.live
    {
        return Ok(Ok(Err(Disbelief::Over)));
    }
    if known.is_none() {
        let crashes = count(transaction, hearing).map_err(told)?;
        if crashes >= CRASHES_PER_NODE {
            let (path, node) = (path.to_owned(), hearing.node_name.clone());
            return Ok(Err(StoreError::Crowded { path, node, crashes }));
        }
    }
    let stamp = (hearing.sequence, hearing.uptime);
    let crash = known.as_ref().map(|(crash, _)| crash);
    if let (Some(crash), Some(since), false) = (crash, since, hearing.live)
        && crash.may_have_included(hearing.at, hearing.uptime, since)
    {
        return Ok(Ok(Err(Disbelief::Replayed)));
    }
    match Crash::judge_stamp(crash, hearing.at, stamp, hearing.live) {
        Ok(crash) => {
            // Programs that read the same datagram need not all write it.
            if known.is_none_or(|(known, heard_by)| known != crash || heard_by != clock) {
                remember(transaction, hearing, &crash, clock).map_err(told)?;
            }
            Ok(Ok(Ok(crash)))
        }
        Err(disbelief) => Ok(Ok(Err(disbelief))),
    }
}

/// What is remembered of the crash, and by which clock.
fn recall(
    transaction: &Transaction<'_>,
    hearing: &Hearing,
) -> rusqlite::Result<Option<(Crash, String)>> {
    let mut query = transaction.prepare_cached(
        "SELECT sequence, heard_at, origin, clock FROM crash WHERE node = ?1 AND crash_id = ?2",
    )?;
    let row = query.query_row(params![hearing.node_name, hearing.crash_id.0], |row| {
        let crash = Crash {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            heard_at: Instant::from_nanos(row.get::<_, i64>(1)?.cast_unsigned()),
            origin: row.get(2)?,
        };
        Ok((crash, row.get(3)?))
    });
    row.optional()
}

fn count(transaction: &Transaction<'_>, hearing: &Hearing) -> rusqlite::Result<u32> {
    transaction
        .prepare_cached("SELECT count(*) FROM crash WHERE node = ?1 AND key_id = ?2")?
        .query_row(params![hearing.node_name, hearing.key_id.0], |row| row.get(0))
}

fn remember(
    transaction: &Transaction<'_>,
    hearing: &Hearing,
    crash: &Crash,
    clock: &str,
) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached(
        "INSERT OR REPLACE INTO crash (node, key_id, crash_id, sequence, heard_at, origin, clock)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    update.execute(params![
        hearing.node_name,
        hearing.key_id.0,
        hearing.crash_id.0,
        crash.sequence.cast_signed(),
        crash.heard_at.as_nanos().cast_signed(),
        crash.origin,
        clock,
    ])?;
    Ok(())
}
