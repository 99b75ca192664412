//! Events and sessions as rows.

use std::sync::Arc;
use std::time::Duration;

use fence_kdump_core::{Instant, Phase, Proof};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Entry, Heard, Known, Session};
use crate::address::Address;
use crate::fleet::event::{Event, Kind, phase_name, phase_named, proof_named};
use crate::fleet::event_id::EventId;

/// What is written besides the rows themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    pub(super) clock: &'a str,
    pub(super) opening: i64,
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.name()))
    }
}

impl FromSql for Address {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

impl ToSql for Address {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for EventId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::from)
    }
}

impl ToSql for EventId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

/// The words for two columns.
fn words(proof: Option<Proof>, phase: Option<Phase>) -> [Option<&'static str>; 2] {
    [proof.map(Proof::name), phase.and_then(phase_name)]
}

/// Reads what [`words`] wrote, from that column and the next one.
fn read_words(row: &Row<'_>, column: usize) -> rusqlite::Result<(Option<Proof>, Option<Phase>)> {
    let word = |column| row.get::<_, Option<String>>(column);
    let (proof, phase) = (word(column)?, word(column.saturating_add(1))?);
    Ok((proof.and_then(|name| proof_named(&name)), phase.and_then(|name| phase_named(&name))))
}

fn bits(number: Option<u64>) -> Option<i64> {
    number.map(u64::cast_signed)
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// The number of a node, which is new if need be.
fn node(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    let mut find = transaction.prepare_cached("SELECT number FROM node WHERE name = ?1")?;
    if let Some(number) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    transaction.prepare_cached("INSERT INTO node (name) VALUES (?1)")?.insert([name])
}

/// Writes how a session stands; its number and that of its node. `event` is the number of the latest event.
fn write_session(
    transaction: &Transaction<'_>,
    session: &Session,
    (heard, event, stamp): (Heard, i64, Stamp<'_>),
) -> rusqlite::Result<(i64, i64)> {
    let node = node(transaction, &session.node)?;
    let [proof, phase] = words(session.proof, session.phase);
    let mut write = transaction.prepare_cached(
        "INSERT INTO session (id, node, started_ms, changed_ms, end, source, proof, phase, done, total,
             messages, last_event, clock, first, last, silence, opening)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (id) DO UPDATE SET
             changed_ms = ?4, end = ?5, source = coalesce(?6, source), proof = coalesce(?7, proof),
             phase = coalesce(?8, phase), done = coalesce(?9, done), total = coalesce(?10, total),
             messages = ?11, last_event = ?12, clock = ?13, first = ?14, last = ?15, silence = ?16,
             opening = ?17
         RETURNING number",
    )?;
    let number = write.query_row(
        params![
            session.id,
            node,
            session.started_ms.cast_signed(),
            session.changed_ms.cast_signed(),
            session.end,
            session.from,
            proof,
            phase,
            bits(session.done),
            bits(session.total),
            session.messages,
            event,
            stamp.clock,
            heard.first.as_nanos().cast_signed(),
            heard.last.as_nanos().cast_signed(),
            nanos(heard.silence),
            stamp.opening,
        ],
        |row| row.get(0),
    )?;
    Ok((number, node))
}

/// Writes down an event as number `number`, and how its session stands with it.
pub(super) fn write_event(
    transaction: &Transaction<'_>,
    event: &Event,
    (heard, number, stamp): (Heard, i64, Stamp<'_>),
) -> rusqlite::Result<()> {
    let Event { id, time_ms, kind, from, proof, phase, done, total, messages, .. } = event;
    let session = Session {
        id: event.session.clone(),
        node: Arc::clone(&event.node),
        started_ms: *time_ms,
        changed_ms: *time_ms,
        end: kind.is_end().then_some(*kind),
        from: *from,
        proof: *proof,
        phase: *phase,
        done: *done,
        total: *total,
        messages: *messages,
    };
    let (session, node) = write_session(transaction, &session, (heard, number, stamp))?;
    if *kind == Kind::Started {
        // The end of those before was not told, or is lost. A node has one session at a time.
        let mut end = transaction.prepare_cached(
            "UPDATE session SET end = ?1, opening = ?4
             WHERE node = ?2 AND number <> ?3 AND end IS NULL",
        )?;
        end.execute(params![Kind::Lost, node, session, stamp.opening])?;
    }
    let mut write = transaction.prepare_cached(
        "INSERT OR IGNORE INTO event (number, id, node, session, time_ms, kind, source, proof, phase,
             done, total, messages)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let (done, total) = (bits(*done), bits(*total));
    let time_ms = time_ms.cast_signed();
    let [proof, phase] = words(*proof, *phase);
    write.execute(params![
        number, id, node, session, time_ms, kind, from, proof, phase, done, total, messages
    ])?;
    Ok(())
}

/// Writes how a session stands.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    known: &Known,
    number: i64,
    stamp: Stamp<'_>,
) -> rusqlite::Result<()> {
    let Some(heard) = known.heard else { return Ok(()) };
    write_session(transaction, &known.session, (heard, number, stamp)).map(drop)
}

/// Ends all sessions that were not changed since the file was opened.
pub(super) fn settle(transaction: &Transaction<'_>, stamp: Stamp<'_>) -> rusqlite::Result<()> {
    let end = "UPDATE session SET end = ?1 WHERE end IS NULL AND opening <> ?2";
    transaction.execute(end, params![Kind::Lost, stamp.opening]).map(drop)
}

/// The columns that [`session`] reads.
pub(super) const SESSION: &str = "session.id, node.name, started_ms, changed_ms, end, source, proof, \
     phase, done, total, messages";

/// Reads [`SESSION`].
pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let (proof, phase) = read_words(row, 6)?;
    Ok(Session {
        id: row.get(0)?,
        node: row.get::<_, String>(1)?.into(),
        started_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        changed_ms: row.get::<_, i64>(3)?.cast_unsigned(),
        end: row.get(4)?,
        from: row.get(5)?,
        proof,
        phase,
        done: row.get::<_, Option<i64>>(8)?.map(i64::cast_unsigned),
        total: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        messages: row.get(10)?,
    })
}

/// The columns that [`entry`] reads.
pub(super) const EVENT: &str = "event.number, event.id, event.time_ms, node.name, event.kind, session.id, \
     event.source, event.proof, event.phase, event.done, event.total, event.messages";

/// Reads [`EVENT`].
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (proof, phase) = read_words(row, 7)?;
    let event = Event {
        id: row.get(1)?,
        time_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        node: row.get::<_, String>(3)?.into(),
        kind: row.get(4)?,
        session: row.get(5)?,
        from: row.get(6)?,
        proof,
        phase,
        done: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
        total: row.get::<_, Option<i64>>(10)?.map(i64::cast_unsigned),
        messages: row.get(11)?,
    };
    Ok(Entry { number: row.get::<_, i64>(0)?.cast_unsigned(), event })
}

/// Tells the latest session of every node, in bundles; those that go on come last, in the order in which
/// they were heard.
pub(super) fn known(
    connection: &Connection,
    clock: Option<&str>,
    mut tell: impl FnMut(Vec<Known>),
) -> rusqlite::Result<()> {
    const BUNDLE: usize = 512;
    let columns = format!("{SESSION}, clock, first, last, silence");
    let latest = "session.number = (SELECT max(number) FROM session WHERE node = node.number)";
    let ended =
        format!("SELECT {columns} FROM node JOIN session ON {latest} WHERE end IS NOT NULL");
    // With a limit, only two numbers of each are kept to be sorted, instead of everything.
    let open = format!(
        "SELECT {columns} FROM (SELECT number AS open FROM session WHERE end IS NULL ORDER BY last LIMIT -1)
         CROSS JOIN session ON session.number = open CROSS JOIN node ON node.number = session.node"
    );
    for query in [ended, open] {
        let mut query = connection.prepare(&query)?;
        let mut rows = query.query([])?;
        let mut bundle = Vec::new();
        while let Some(row) = rows.next()? {
            let moment = |column| -> rusqlite::Result<Instant> {
                Ok(Instant::from_nanos(row.get::<_, i64>(column)?.cast_unsigned()))
            };
            let is_same_clock = clock == Some(row.get_ref(11)?.as_str()?);
            let silence = Duration::from_nanos(row.get::<_, i64>(14)?.unsigned_abs());
            let heard = Heard { first: moment(12)?, last: moment(13)?, silence };
            bundle.push(Known { session: session(row)?, heard: is_same_clock.then_some(heard) });
            if bundle.len() >= BUNDLE {
                tell(std::mem::take(&mut bundle));
            }
        }
        if !bundle.is_empty() {
            tell(bundle);
        }
    }
    Ok(())
}
