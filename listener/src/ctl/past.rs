//! What was.

use std::path::Path;
use std::time::Duration;

use fence_kdump_core::Proof;
use serde::Serialize;

use super::table::{Cell, Column, Table};
use super::{Failure, screen, status, words};
use crate::clock::unix_ms;
use crate::deputy;
use crate::fleet::event::{Event, phase_name};
use crate::history::{Page, Reader, Session};

const SESSIONS: [Column; 8] = [
    Column::of("NODE", 0),
    Column::of("STARTED (UTC)", 0),
    Column::of_numbers("DURATION", 1),
    Column::of("END", 0),
    Column::of_numbers("MESSAGES", 4),
    Column::of("PROOF", 2),
    Column::of("SIZE", 3),
    Column::of("FROM", 5),
];

const EVENTS: [Column; 7] = [
    Column::of("TIME (UTC)", 0),
    Column::of("NODE", 0),
    Column::of("EVENT", 0),
    Column::of("PHASE", 2),
    Column::of("SIZE", 3),
    Column::of("PROOF", 1),
    Column::of("FROM", 4),
];

/// What is asked for.
#[derive(Debug)]
pub struct Want {
    /// Only of this node.
    pub node: Option<String>,
    /// Only what changed in this time.
    pub since: Option<Duration>,
    /// How many at most.
    pub limit: u32,
    /// For programs.
    pub json: bool,
}

/// All there is of one kind, as one JSON object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Told<'a> {
    Sessions(&'a [Session]),
    Events(&'a [Event]),
}

/// Tells what the history in the directory `dir` has of it.
///
/// # Errors
/// When there is no history, or it cannot be read.
pub fn run(dir: &Path, want: &Want, events: bool) -> Result<String, Failure> {
    // As a service, the daemon has a user of its own: what is in its directory is not to be touched with the
    // powers of root.
    deputy::act_in(dir).map_err(|error| Failure::Io("cannot act as the daemon's user", error))?;
    let mut reader = Reader::open(dir)?;
    let since_ms = want.since.map(|since| {
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        unix_ms().saturating_sub(since)
    });
    if events {
        let node = want.node.clone();
        let page = Page { node, since_ms, most: want.limit, ..Page::default() };
        let entries = reader.events(&page)?;
        let events: Vec<_> = entries.into_iter().map(|entry| entry.event).collect();
        return match want.json {
            true => Ok(serde_json::to_string(&Told::Events(&events))?),
            false => Ok(shown(&events_table(&events), want)),
        };
    }
    let sessions = reader.sessions(want.node.as_deref(), since_ms, want.limit)?;
    match want.json {
        true => Ok(serde_json::to_string(&Told::Sessions(&sessions))?),
        false => Ok(shown(&sessions_table(&sessions, unix_ms()), want)),
    }
}

fn shown(table: &Table, want: &Want) -> String {
    if !table.is_empty() {
        return table.lines(screen::width()).join("\n");
    }
    let of = want.node.as_ref().map(|node| format!(" of {}", words::plain(node)));
    let since =
        want.since.map(|since| format!(" in the last {}", humantime::format_duration(since)));
    format!("nothing was heard{}{}", of.unwrap_or_default(), since.unwrap_or_default())
}

fn size(done: Option<u64>, total: Option<u64>) -> Option<String> {
    match (done, total) {
        (Some(done), Some(total)) => {
            Some(format!("{} / {}", words::size(done), words::size(total)))
        }
        (done, _) => done.map(words::size),
    }
}

fn sessions_table(sessions: &[Session], now_ms: u64) -> Table {
    let mut table = Table::new(&SESSIONS);
    for session in sessions {
        let Session { node, started_ms, changed_ms, end, from, proof, done, total, .. } = session;
        let (until, end) = match end {
            Some(end) => (*changed_ms, end.name()),
            None => (now_ms, "goes on"),
        };
        let style = match session.end {
            Some(end) => status::style(end.name()),
            None => status::style("dumping"),
        };
        table.push(vec![
            (&**node).into(),
            words::time(*started_ms).into(),
            words::span(until.saturating_sub(*started_ms)).into(),
            Cell::styled(end, style),
            session.messages.to_string().into(),
            proof.map(Proof::name).into(),
            size(*done, *total).into(),
            from.map(|from| from.to_string()).into(),
        ]);
    }
    table
}

fn events_table(events: &[Event]) -> Table {
    let mut table = Table::new(&EVENTS);
    for event in events {
        let kind = event.kind.name();
        table.push(vec![
            words::time(event.time_ms).into(),
            (&*event.node).into(),
            Cell::styled(kind, status::style(kind)),
            event.phase.and_then(phase_name).into(),
            size(event.done, event.total).into(),
            event.proof.map(Proof::name).into(),
            event.from.map(|from| from.to_string()).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::event::Kind;

    fn session(end: Option<Kind>) -> Session {
        Session {
            id: "h-1-1".into(),
            node: "n1".into(),
            started_ms: 1_795_316_645_000,
            changed_ms: 1_795_316_768_000,
            end,
            from: Some("192.0.2.7".parse().unwrap()),
            proof: Some(Proof::Live),
            phase: None,
            done: Some(1 << 30),
            total: None,
            messages: 12,
        }
    }

    #[test]
    fn a_dump_is_one_line() {
        let sessions = [session(Some(Kind::Finished)), session(None)];
        let lines = sessions_table(&sessions, 1_795_316_646_000).lines(None).join("\n");
        let text = anstream::adapter::strip_str(&lines).to_string();
        let expected = "\
            NODE  STARTED (UTC)        DURATION  END       MESSAGES  PROOF  SIZE     FROM\n\
            n1    2026-11-22 03:04:05    2m 03s  finished        12  live   1.0 GiB  192.0.2.7\n\
            n1    2026-11-22 03:04:05        1s  goes on         12  live   1.0 GiB  192.0.2.7";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_is_told_as_well() {
        let since = Some(Duration::from_secs(7200));
        let want = Want { node: Some("n1".into()), since, limit: 1, json: false };
        let text = shown(&Table::new(&EVENTS), &want);
        assert_eq!(text, "nothing was heard of n1 in the last 2h");
    }
}
