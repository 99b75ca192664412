//! The tables, and whether a file has them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

/// `application_id`: says what the file is (`fKDr`).
const APPLICATION: i64 = 0x664b_4472;

/// `user_version`: the format below.
pub(super) const VERSION: i64 = 1;

/// `sequence` is an unsigned number whose bits are kept as a signed one.
const TABLES: &str = "
    CREATE TABLE crash (
        node TEXT NOT NULL,             -- its name in lower case
        key_id BLOB NOT NULL CHECK (length(key_id) = 4),
        crash_id BLOB NOT NULL CHECK (length(crash_id) = 16),
        sequence INTEGER NOT NULL,      -- the greatest one heard
        heard_at INTEGER NOT NULL,      -- when, in nanoseconds by `clock`
        origin INTEGER NOT NULL,        -- the least of arrival less UPTIME, likewise
        clock TEXT NOT NULL,            -- boot id and time namespace of the receiver
        PRIMARY KEY (node, crash_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX crash_of_key ON crash (node, key_id);
    -- Written with each opening, to know early that it can be.
    CREATE TABLE opened (times INTEGER NOT NULL) STRICT;
    INSERT INTO opened VALUES (0);
";

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A memory, which can be written.
    Memory {
        /// Whether it was empty before.
        is_new: bool,
    },
    /// Of something else.
    Foreign,
    /// Of a later version.
    Newer(i64),
    /// Not whole.
    Damaged(String),
}

/// Looks at the database `path`, makes the tables in one that is empty, and writes to it.
///
/// # Errors
/// Those of SQLite.
pub(super) fn settle(connection: &mut Connection, path: &Path) -> rusqlite::Result<Found> {
    // A rollback journal, emptied and synced with each commit: see the module above.
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // In memory: no other file is needed to commit.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if !mode.eq_ignore_ascii_case("truncate") {
        return Ok(Found::Damaged(format!("its journal mode stays {mode}")));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Now nobody else writes, and what a killed process left half written has been undone. SQLite
    // fills a last page that is cut off with zeros, and takes less than one page for no database.
    let (size, page): (u64, i64) = (
        path.symlink_metadata().map_or(0, |file| file.len()),
        transaction.pragma_query_value(None, "page_size", |row| row.get(0))?,
    );
    if !size.is_multiple_of(page.unsigned_abs()) {
        return Ok(Found::Damaged(format!("cut off after {size} bytes")));
    }
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = (application, version, tables) == (0, 0, 0);
    if is_new {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if application != APPLICATION {
        return Ok(Found::Foreign);
    } else if version > VERSION {
        return Ok(Found::Newer(version));
    } else if version < VERSION {
        return Ok(Found::Damaged(format!("there never was a format {version}")));
    }
    let check: String = transaction.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if check != "ok" {
        return Ok(Found::Damaged(check));
    }
    transaction.execute("UPDATE opened SET times = times + 1", [])?;
    transaction.commit()?;
    Ok(Found::Memory { is_new })
}
