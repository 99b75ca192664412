//! What is too old, or too much, goes: a little at a time.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::Limits;

/// The log of SQLite is emptied when it has so many bytes, more or less.
pub(super) const LOG: u64 = 4 * 1024 * 1024;

/// The most events that go at once.
const STEP: u32 = 500;

/// The most pages that are given back to the file system at once.
const PAGES: u32 = 256;

/// How the file stands to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is enough.
    Enough,
    /// Something has to go.
    Tight,
    /// There is none, and nothing can go.
    None,
}

/// How much room there is for more, when the file and its log may take what `limits` says.
pub(super) fn room(connection: &Connection, limits: Limits) -> rusqlite::Result<Room> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    let used = pages.saturating_mul(number("page_size")?).unsigned_abs();
    // The log can be twice as large for a moment, and one batch is written before anything goes.
    let most = limits.most.saturating_sub(LOG.saturating_mul(2));
    let percent = used.saturating_mul(100).checked_div(most).unwrap_or(100);
    if percent < 90 {
        return Ok(Room::Enough);
    }
    let is_empty = oldest(connection)?.is_none();
    Ok(if is_empty && percent >= 100 { Room::None } else { Room::Tight })
}

/// The number of the oldest event.
fn oldest(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = connection.prepare_cached("SELECT min(number) FROM event")?;
    query.query_row([], |row| row.get(0))
}

/// How many events there are, by their numbers, since to count millions takes a while: only the oldest ever go. One that
/// could not be written for what it was counts as well.
pub(super) fn events(connection: &Connection) -> rusqlite::Result<u64> {
    let mut query = connection.prepare_cached(
        "SELECT (SELECT max(number) FROM event) - (SELECT min(number) FROM event) + 1",
    )?;
    let count: Option<i64> = query.query_row([], |row| row.get(0))?;
    Ok(count.unwrap_or(0).unsigned_abs())
}

/// One step; whether there is more to do at once. `now_ms` is the time of day, which may be wrong: nothing
/// counts as older than it is compared with the latest event.
pub(super) fn step(
    connection: &mut Connection,
    limits: Limits,
    now_ms: u64,
) -> rusqlite::Result<bool> {
    let is_tight = room(connection, limits)? != Room::Enough;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let upto = if is_tight {
        let nth = "SELECT number FROM event ORDER BY number LIMIT 1 OFFSET ?1";
        let nth =
            transaction.prepare_cached(nth)?.query_row([STEP], |row| row.get(0)).optional()?;
        match nth {
            Some(number) => Some(number),
            None => transaction.query_row("SELECT max(number) FROM event", [], |row| row.get(0))?,
        }
    } else {
        expired(&transaction, limits.keep, now_ms)?
    };
    let gone = match upto {
        Some(upto) => transaction.execute("DELETE FROM event WHERE number <= ?1", [upto])?,
        None => 0,
    };
    let over = forget_sessions(&transaction)?;
    let free: i64 = transaction.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    transaction.commit()?;
    let page_count: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    // Some free pages are left for what comes next, so that they need not be asked for again.
    let is_loose = free > page_count / 8 + i64::from(PAGES);
    if is_loose {
        give_back(connection)?;
    }
    Ok((gone > 0 || over > 0) || is_loose)
}

/// Gives back a few free pages to the file system.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut give_back =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    // Each row is a page.
    let mut rows = give_back.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// Up to which number events are too old: at most [`STEP`] of them.
fn expired(
    transaction: &Transaction<'_>,
    keep: Duration,
    now_ms: u64,
) -> rusqlite::Result<Option<i64>> {
    let newest = "SELECT time_ms FROM event ORDER BY number DESC LIMIT 1";
    let newest: Option<i64> = transaction.query_row(newest, [], |row| row.get(0)).optional()?;
    let Some(newest) = newest else { return Ok(None) };
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let before = newest.cast_unsigned().min(now_ms).saturating_sub(keep);
    let oldest =
        "SELECT max(number) FROM (SELECT number, time_ms FROM event ORDER BY number LIMIT ?1)
         WHERE time_ms < ?2";
    transaction
        .prepare_cached(oldest)?
        .query_row(params![STEP, before.cast_signed()], |row| row.get(0))
}

/// Sessions that are over, and of which no event is left.
fn forget_sessions(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let oldest = oldest(transaction)?.unwrap_or(i64::MAX);
    let mut forget = transaction.prepare_cached(
        "DELETE FROM session WHERE number IN
             (SELECT number FROM session WHERE end IS NOT NULL AND last_event < ?1 LIMIT ?2)",
    )?;
    forget.execute(params![oldest, STEP])
}

/// Forgets nodes of which nothing is left. Looks at all of them.
pub(super) fn forget_nodes(connection: &Connection) -> rusqlite::Result<usize> {
    let forget = "DELETE FROM node WHERE NOT EXISTS
         (SELECT 1 FROM session WHERE session.node = node.number)
         AND NOT EXISTS (SELECT 1 FROM event WHERE event.node = node.number)";
    connection.execute(forget, [])
}
