//! The open file, as the thread that writes has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::HistoryError;
use super::file::{self, Place};
use super::prune::{self, Room};
use super::rows::{self, Stamp};
use super::schema::{self, Found};
use super::writer::Item;
use super::{Known, Limits, Opening};
use crate::background::Work;
use crate::clock::unix_ms;
use crate::store::clock_name;

/// How long is waited for another process.
const PATIENCE: Duration = Duration::from_secs(2);

/// After so many events it is looked how much room their commit takes: each may change some pages of the file, all of
/// which stand in the log before any of them can leave it.
const LOOK: usize = 512;

/// The open file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    place: Place,
    /// `None` when the boot cannot be told from others: then nothing that is read back is evidence of anything.
    clock: Option<String>,
    opening: i64,
    next_event: i64,
}

impl Database {
    /// Since when it shows which sessions were told again.
    pub(super) fn opening(&self) -> Opening {
        Opening(self.opening)
    }

    /// Which file it is.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// How many bytes the file and its log take.
    pub(super) fn size(&self) -> u64 {
        file::sizes(&self.path).0
    }

    /// How many events there are.
    pub(super) fn events(&self) -> Result<u64, HistoryError> {
        prune::events(&self.connection).map_err(|error| HistoryError::of(&self.path, error))
    }

    /// Tells the latest session of every node, in bundles.
    pub(super) fn known(&self, tell: impl FnMut(Vec<Known>)) -> Result<(), HistoryError> {
        rows::known(&self.connection, self.clock.as_deref(), tell)
            .map_err(|error| HistoryError::of(&self.path, error))
    }

    /// Whether it was empty, too.
    pub(super) fn open(dir: &Path) -> Result<(Self, bool), HistoryError> {
        let path = file::find(dir)?;
        let told = |error| HistoryError::of(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(told)?;
        connection.busy_timeout(PATIENCE).map_err(told)?;
        connection.set_prepared_statement_cache_capacity(32);
        let (is_new, opening) = match schema::settle(&mut connection).map_err(told)? {
            Found::History { is_new, opening } => (is_new, opening),
            Found::Foreign => return Err(HistoryError::Foreign { path }),
            Found::Newer(found) => {
                return Err(HistoryError::Newer { path, found, known: schema::VERSION });
            }
            Found::Damaged(trouble) => {
                let aside = file::aside(&path);
                return Err(HistoryError::Damaged { path, aside, trouble });
            }
        };
        let next = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'event'";
        let next_event = connection.query_row(next, [], |row| row.get(0)).map_err(told)?;
        let clock = clock_name().ok();
        let place = file::place(&path);
        Ok((Self { connection, path, place, clock, opening, next_event }, is_new))
    }

    /// Whether what is written is still in reach under its name.
    pub(super) fn is_in_place(&self) -> Result<(), HistoryError> {
        let is_whole = self.place.iter().all(Option::is_some);
        if is_whole && file::place(&self.path) == self.place {
            Ok(())
        } else {
            Err(HistoryError::Moved { path: self.path.clone() })
        }
    }

    /// Closes a file of which a part was taken away, so that what is left can be opened again.
    pub(super) fn leave(self) {
        let Self { connection, path, place, .. } = self;
        // Saves what is in a log that is gone. If that cannot be, it is lost, which has been told.
        drop(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        drop(connection);
        file::clear(&path, place);
    }

    /// Writes some with one commit, from the first one on; when this returns, they are on the disk. How many; and how
    /// many of them could not be written for what they are.
    pub(super) fn write(
        &mut self,
        batch: &[Item],
        limits: Limits,
    ) -> Result<(usize, u64), HistoryError> {
        self.make_room(limits)?;
        let path = &self.path;
        let told = |error| HistoryError::of(path, error);
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate).map_err(told)?;
        let stamp =
            Stamp { clock: self.clock.as_deref().unwrap_or_default(), opening: self.opening };
        let mut next = self.next_event;
        let (mut done, mut skipped) = (0_usize, 0_u64);
        let mut work = Work::begin();
        for item in batch {
            if done > 0 && done.is_multiple_of(LOOK) && file::sizes(path).1 > prune::LOG {
                break;
            }
            done = done.saturating_add(1);
            let written = match item {
                Item::Event { event, heard, .. } => {
                    next = next.saturating_add(1);
                    let number = next.saturating_sub(1);
                    rows::write_event(&transaction, event, (*heard, number, stamp))
                }
                Item::Keep { known, .. } => {
                    rows::keep(&transaction, known, next.saturating_sub(1), stamp)
                }
                // Of what was kept before, the present opening knows nothing: all would seem to be over.
                Item::Settle { opening, .. } if opening.0 != stamp.opening => Ok(()),
                Item::Settle { .. } => rows::settle(&transaction, stamp),
            };
            match written {
                Ok(()) => {}
                Err(error) if is_of_item(&error) => skipped = skipped.saturating_add(1),
                Err(error) => return Err(told(error)),
            }
            work.let_others();
        }
        transaction.commit().map_err(told)?;
        self.next_event = next;
        Ok((done, skipped))
    }

    /// An error unless there is room for one more batch.
    fn make_room(&mut self, limits: Limits) -> Result<(), HistoryError> {
        let most = prune::LOG.saturating_mul(2);
        if file::sizes(&self.path).1 > most {
            let told = |error| HistoryError::of(&self.path, error);
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .map_err(told)?;
            let size = file::sizes(&self.path).1;
            if size > most {
                return Err(HistoryError::HeldUp { path: self.path.clone(), size });
            }
        }
        match self.room(limits)? {
            Room::Enough | Room::Tight => Ok(()),
            Room::None => Err(HistoryError::Small { path: self.path.clone(), most: limits.most }),
        }
    }

    pub(super) fn room(&self, limits: Limits) -> Result<Room, HistoryError> {
        prune::room(&self.connection, limits).map_err(|error| HistoryError::of(&self.path, error))
    }

    pub(super) fn prune(&mut self, limits: Limits) -> Result<bool, HistoryError> {
        prune::step(&mut self.connection, limits, unix_ms())
            .map_err(|error| HistoryError::of(&self.path, error))
    }

    pub(super) fn forget_nodes(&self) -> Result<usize, HistoryError> {
        prune::forget_nodes(&self.connection).map_err(|error| HistoryError::of(&self.path, error))
    }

    /// From now on it shows which sessions were told again.
    pub(super) fn begin_anew(&mut self) -> Result<(), HistoryError> {
        let begin = "UPDATE opened SET times = times + 1 RETURNING times";
        let opening = self.connection.query_row(begin, [], |row| row.get(0));
        self.opening = opening.map_err(|error| HistoryError::of(&self.path, error))?;
        Ok(())
    }
}

/// Whether it is about one row alone.
fn is_of_item(error: &rusqlite::Error) -> bool {
    let codes = [ErrorCode::ConstraintViolation, ErrorCode::TooBig, ErrorCode::TypeMismatch];
    error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
        || matches!(error, rusqlite::Error::ToSqlConversionFailure(_))
}
