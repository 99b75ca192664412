//! The tables, and whether a file has them.

use rusqlite::{Connection, TransactionBehavior};

/// `application_id`: says what the file is (`fKDh`).
const APPLICATION: i64 = 0x664b_4468;

/// `user_version`: the format below.
pub(super) const VERSION: i64 = 1;

/// `cache_size`, in KiB as SQLite wants them: the kernel keeps the rest of the file in its own memory.
const CACHE: i64 = -512;

/// Unsigned numbers of 64 bits are kept as signed ones with the same bits, times in nanoseconds by `clock`.
const TABLES: &str = "
    CREATE TABLE node (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL COLLATE NOCASE UNIQUE
    ) STRICT;
    CREATE TABLE session (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        node INTEGER NOT NULL,          -- node.number
        started_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL,
        end TEXT,                       -- NULL as long as it goes on
        source TEXT,
        proof TEXT,
        phase TEXT,
        done INTEGER,
        total INTEGER,
        messages INTEGER NOT NULL,
        last_event INTEGER NOT NULL,    -- its number, or that of the event before it
        clock TEXT NOT NULL,            -- boot id and time namespace of the listener
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        silence INTEGER NOT NULL,
        opening INTEGER NOT NULL        -- which opening of the file it was last changed in
    ) STRICT;
    CREATE INDEX session_of_node ON session (node);
    CREATE INDEX session_over ON session (last_event) WHERE end IS NOT NULL;
    CREATE TABLE event (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        node INTEGER NOT NULL,          -- node.number
        session INTEGER NOT NULL,       -- session.number
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        source TEXT,
        proof TEXT,
        phase TEXT,
        done INTEGER,
        total INTEGER,
        messages INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX event_of_node ON event (node);
    -- Written with each opening, to know early that it can be.
    CREATE TABLE opened (times INTEGER NOT NULL) STRICT;
    INSERT INTO opened VALUES (0);
";

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A history.
    History {
        /// Whether it was empty before.
        is_new: bool,
        /// How often it was opened to be written, with this time.
        opening: i64,
    },
    /// Of something else.
    Foreign,
    /// Of a later version.
    Newer(i64),
    /// Not whole.
    Damaged(String),
}

/// Looks at a database, makes the tables in one that is empty, and writes to it.
///
/// # Errors
/// Those of SQLite.
pub(super) fn settle(connection: &mut Connection) -> rusqlite::Result<Found> {
    // Before anything is changed in what may be a database of something else.
    let (is_empty, marks) = marks(connection)?;
    if let Some(other) = wrong(marks).filter(|_| !is_empty) {
        return Ok(other);
    }
    // In an empty file only: later it would have to be written anew as a whole.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    // A sync with each commit.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    // What the log may keep for later use, once it is emptied.
    connection.pragma_update(None, "journal_size_limit", super::prune::LOG.cast_signed())?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Ok(Found::Damaged(format!("its journal mode stays {mode}")));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (is_new, marks) = self::marks(&transaction)?;
    if is_new {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if let Some(other) = wrong(marks) {
        return Ok(other);
    }
    transaction.execute("UPDATE opened SET times = times + 1", [])?;
    let opening = transaction.query_row("SELECT times FROM opened", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(Found::History { is_new, opening })
}

/// Whether a database is empty, and its `application_id` and `user_version`.
fn marks(connection: &Connection) -> rusqlite::Result<(bool, (i64, i64))> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let marks = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((marks == (0, 0) && tables == 0, marks))
}

/// What is wrong with a file that has these marks.
fn wrong((application, version): (i64, i64)) -> Option<Found> {
    if application != APPLICATION {
        return Some(Found::Foreign);
    }
    match version {
        VERSION => None,
        later if later > VERSION => Some(Found::Newer(later)),
        none => Some(Found::Damaged(format!("there never was a format {none}"))),
    }
}

/// Looks at a database without writing to it; `None` when it is a history.
///
/// # Errors
/// Those of SQLite.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Option<Found>> {
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    let (is_empty, marks) = marks(connection)?;
    // The daemon is about to make it.
    Ok(if is_empty { Some(Found::Damaged("it is empty".to_owned())) } else { wrong(marks) })
}
