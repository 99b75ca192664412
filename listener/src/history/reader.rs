//! What happened, for those who ask.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params, params_from_iter};

use super::Session;
use super::error::HistoryError;
use super::file::{self, Place};
use super::rows::{self, EVENT, SESSION};
use super::schema::{self, Found};
use super::writer::Shared;
use crate::fleet::event::Event;
use crate::store::clock_name;

/// How long is waited for the writer, which only keeps readers out for as long as it takes to open the file.
const PATIENCE: Duration = Duration::from_secs(1);

/// An event and its place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Grows with each event.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

/// Which part of the history is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Only of this node, in any case.
    pub node: Option<String>,
    /// Only of this session: [`Event::session`].
    pub session: Option<String>,
    /// Only what is older than the entry of this number: that of the last entry of the page before.
    pub before: Option<u64>,
    /// Only what is newer than the entry of this number.
    pub after: Option<u64>,
    /// Only what happened at that time or later, in milliseconds since 1970-01-01 00:00 UTC.
    pub since_ms: Option<u64>,
    /// Only what happened before that time, likewise.
    pub until_ms: Option<u64>,
    /// How many at most.
    pub most: u32,
}

/// Reads the history while it is being written, by this process or another. Blocks for as long as the disk does.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    path: PathBuf,
    place: Place,
    writer: Option<Arc<Shared>>,
    connection: Connection,
}

impl Reader {
    /// Opens the history in the directory `dir`, which another process writes, or none: in the process that writes
    /// it, [`super::History::opener`] is what is needed.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, HistoryError> {
        let path = file::checked(file::existing(dir)?)?;
        let told = |error| HistoryError::of(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = if is_frozen(&path) {
            // Otherwise it would want to make the index of the log.
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(uri(&path), flags)
        } else {
            Connection::open_with_flags(&path, flags)
        };
        let connection = connection.map_err(told)?;
        connection.busy_timeout(PATIENCE).map_err(told)?;
        match schema::look(&connection).map_err(told)? {
            None | Some(Found::History { .. }) => {}
            Some(Found::Foreign) => return Err(HistoryError::Foreign { path }),
            Some(Found::Newer(found)) => {
                return Err(HistoryError::Newer { path, found, known: schema::VERSION });
            }
            Some(Found::Damaged(_)) => return Err(HistoryError::Missing { path }),
        }
        let place = file::place(&path);
        Ok(Self { dir: dir.to_owned(), path, place, writer: None, connection })
    }

    /// Opens the history in `dir` that a thread of this process writes.
    pub(super) fn beside(dir: &Path, writer: Arc<Shared>) -> Result<Self, HistoryError> {
        let path = file::existing(dir)?;
        // One that is not the writer's may come with what is left of the writer's: see `file::clear`.
        if writer.place() != Some(file::place(&path)) {
            return Err(HistoryError::Moved { path });
        }
        Ok(Self { writer: Some(writer), ..Self::open(dir)? })
    }

    /// Opens the file again when it is another than before.
    fn refresh(&mut self) -> Result<(), HistoryError> {
        if file::place(&self.path) != self.place {
            *self = match &self.writer {
                Some(writer) => Self::beside(&self.dir, Arc::clone(writer))?,
                None => Self::open(&self.dir)?,
            };
        }
        Ok(())
    }

    /// Events, the newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn events(&mut self, page: &Page) -> Result<Vec<Entry>, HistoryError> {
        self.refresh()?;
        let bits = |number: Option<u64>| number.map(|number| Value::Integer(number.cast_signed()));
        let conditions = [
            // The number first: with a join, SQLite might begin with all events.
            (
                "event.node = (SELECT number FROM node WHERE name = ?)",
                page.node.clone().map(Value::Text),
            ),
            (
                "event.session = (SELECT number FROM session WHERE id = ?)",
                page.session.clone().map(Value::Text),
            ),
            ("event.number < ?", bits(page.before)),
            ("event.number > ?", bits(page.after)),
            ("event.time_ms >= ?", bits(page.since_ms)),
            ("event.time_ms < ?", bits(page.until_ms)),
        ];
        let (mut conditions, mut values): (Vec<&str>, Vec<Value>) = conditions
            .into_iter()
            .filter_map(|(condition, value)| Some((condition, value?)))
            .unzip();
        if page.session.is_some() && page.node.is_none() {
            // Events are found by node, not by session.
            conditions.push("event.node = (SELECT node FROM session WHERE id = ?)");
            values.extend(page.session.clone().map(Value::Text));
        }
        let conditions =
            if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
        let query = format!(
            "SELECT {EVENT} FROM event JOIN session ON session.number = event.session
             JOIN node ON node.number = event.node
             WHERE {conditions} ORDER BY event.number DESC LIMIT ?"
        );
        values.push(Value::Integer(page.most.into()));
        let told = |error| HistoryError::of(&self.path, error);
        let mut query = self.connection.prepare_cached(&query).map_err(told)?;
        let rows = query.query_map(params_from_iter(values), rows::entry).map_err(told)?;
        rows.collect::<rusqlite::Result<_>>().map_err(told)
    }

    /// The number of the event with this [`Event::id`], for [`Page::before`] and [`Page::after`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn number(&mut self, event_id: &str) -> Result<Option<u64>, HistoryError> {
        self.refresh()?;
        let query = "SELECT number FROM event WHERE id = ?1";
        let number = self.connection.prepare_cached(query).and_then(|mut query| {
            query.query_row([event_id], |row| row.get::<_, i64>(0)).optional()
        });
        let number = number.map_err(|error| HistoryError::of(&self.path, error))?;
        Ok(number.map(i64::cast_unsigned))
    }

    /// Sessions, the newest first: those of `node`, or of all; with `since_ms`, those that changed at that time or
    /// later, or go on. At most `most`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn sessions(
        &mut self,
        node: Option<&str>,
        since_ms: Option<u64>,
        most: u32,
    ) -> Result<Vec<Session>, HistoryError> {
        self.refresh()?;
        let of_node = match node {
            Some(_) => "session.node = (SELECT number FROM node WHERE name = ?1)",
            None => "?1 IS NULL",
        };
        let query = format!(
            "SELECT {SESSION} FROM session JOIN node ON node.number = session.node
             WHERE {of_node} AND (?2 IS NULL OR session.changed_ms >= ?2 OR session.end IS NULL)
             ORDER BY session.number DESC LIMIT ?3"
        );
        let told = |error| HistoryError::of(&self.path, error);
        let mut query = self.connection.prepare_cached(&query).map_err(told)?;
        let rows = query
            .query_map(params![node, since_ms.map(u64::cast_signed), most], rows::session)
            .map_err(told)?;
        rows.collect::<rusqlite::Result<_>>().map_err(told)
    }

    /// What the daemon will get with [`super::News::Known`] when it starts.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn known(&mut self) -> Result<Vec<super::Known>, HistoryError> {
        self.refresh()?;
        let mut all = Vec::new();
        let clock = clock_name().ok();
        rows::known(&self.connection, clock.as_deref(), |mut known| all.append(&mut known))
            .map_err(|error| HistoryError::of(&self.path, error))?;
        Ok(all)
    }
}

/// Whether nobody can write to `path`, and all of it is in that one file: on a read-only file system, closed as it
/// should be.
fn is_frozen(path: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let is_read_only = path
        .parent()
        .is_some_and(|folder| access(folder, AccessFlags::W_OK) == Err(nix::errno::Errno::EROFS));
    is_read_only && file::sizes(path).1 == 0
}

/// The file as one that does not change.
fn uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    uri
}
