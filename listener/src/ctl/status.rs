//! How the nodes are.

use anstyle::{AnsiColor, Style};

use super::table::{Cell, Column, Table};
use super::{Failure, ask, screen, words};
use crate::control::packet::{Inquiry, NodeStatus, Status};
use crate::control::query::{Counter, QueryError};

/// In such a small fleet, those that were not heard are named.
const FEW: u64 = 40;

/// So many of them.
const NAMED: usize = 8;

/// How wide a progress bar is, in characters between its ends.
const BAR: usize = 10;

const COLUMNS: [Column; 11] = [
    Column::of("NODE", 0),
    Column::of("STATE", 0),
    Column::of_numbers("SINCE", 2),
    Column::of_numbers("LAST HEARD", 1),
    Column::of_numbers("INTERVAL", 9),
    Column::of("PHASE", 4),
    Column::of_numbers("DONE", 3),
    Column::of("PROGRESS", 6),
    Column::of("SIZE", 7),
    Column::of("PROOF", 5),
    Column::of("FROM", 8),
];

/// Asks who reads UDP port `port`, and tells it. `all`: also of nodes that were not heard.
///
/// # Errors
/// When nobody is there, or nobody who answers.
pub fn run(port: u16, all: bool, json: bool) -> Result<String, Failure> {
    let status = ask::block_on(async {
        let counter = Counter::visit(port, ask::PATIENCE).await?;
        Ok(if all || json {
            counter.all(&Inquiry::default()).await?
        } else {
            heard(&counter).await?
        })
    })?;
    if json {
        return Ok(serde_json::to_string(&status)?);
    }
    let mut lines = vec![holder(&status)];
    let table = table(&status, all);
    if !table.is_empty() {
        lines.extend(table.lines(screen::width()));
    }
    lines.extend(unheard(&status, all));
    Ok(lines.join("\n"))
}

/// Of a large fleet, only those that were heard.
///
/// # Errors
/// When nobody answers.
pub async fn heard(counter: &Counter) -> Result<Status, QueryError> {
    let status = counter.page(&Inquiry::default()).await?;
    if status.next.is_none() && status.known.is_none_or(|known| known <= FEW) {
        return Ok(status);
    }
    counter.all(&Inquiry { heard: true, ..Inquiry::default() }).await
}

/// Who answers.
#[must_use]
pub fn holder(status: &Status) -> String {
    let Status { program, pid, port, clients, .. } = status;
    let reads = if status.listening { "reads" } else { "waits for" };
    let program = words::plain(program);
    format!("{program} (process {pid}) {reads} UDP port {port} and serves {clients} others")
}

/// How many were not heard, and which, unless they are in the table.
#[must_use]
pub fn unheard(status: &Status, all: bool) -> Option<String> {
    let names = status.nodes.iter().filter(|node| node.state == "unheard");
    let names: Vec<_> = names.map(|node| node.name.as_str()).collect();
    let told = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let count = told.saturating_add(status.left_out);
    if count == 0 || (all && status.left_out == 0) {
        return None;
    }
    let verb = if count == 1 { "was" } else { "were" };
    let count_text = format!("{} {verb} never heard", words::nodes(count));
    Some(match names.is_empty() {
        true => format!("{count_text} (--all shows them)"),
        false => format!("{count_text}: {}", words::some(names, NAMED, count)),
    })
}

/// The nodes, those that matter first.
#[must_use]
pub fn table(status: &Status, all: bool) -> Table {
    let mut nodes: Vec<_> = status.nodes.iter().collect();
    nodes.retain(|node| all || node.state != "unheard");
    nodes.sort_by(|one, other| order(one).cmp(&order(other)));
    let mut table = Table::new(&COLUMNS);
    for node in nodes {
        table.push(row(node));
    }
    table
}

/// Of those in one state, the latest crash first.
fn order(node: &NodeStatus) -> (u8, u64, &str) {
    (weight(&node.state), node.since_ms.unwrap_or(u64::MAX), &node.name)
}

/// The less, the more it matters.
fn weight(state: &str) -> u8 {
    match state {
        "started" => 0,
        "dumping" => 1,
        "lost" => 2,
        "finished" => 4,
        "rebooted" => 5,
        "candidate" => 6,
        "unheard" => 7,
        // Of a newer daemon.
        _ => 3,
    }
}

/// Whether this state means that the node is in its crash kernel.
#[must_use]
pub fn is_in_crash_kernel(node: &NodeStatus) -> bool {
    matches!(node.state.as_str(), "started" | "dumping")
}

/// The colour of a state.
#[must_use]
pub fn style(state: &str) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match state {
        "started" | "dumping" => colour(AnsiColor::Yellow).bold(),
        "lost" => colour(AnsiColor::Red).bold(),
        "finished" | "rebooted" => colour(AnsiColor::Green),
        _ => Style::new().dimmed(),
    }
}

/// `42%` and `10.1 GiB / 24.0 GiB`, as far as it is known.
#[must_use]
pub fn progress(node: &NodeStatus) -> (Option<u8>, Option<String>) {
    match (node.done, node.total) {
        (Some(done), Some(total)) => {
            let sizes = format!("{} / {}", words::size(done), words::size(total));
            (Some(words::percent(done, total)), Some(sizes))
        }
        (Some(done), None) => (None, Some(words::size(done))),
        (None, total) => (None, total.map(|total| format!("? / {}", words::size(total)))),
    }
}

fn row(node: &NodeStatus) -> Vec<Cell> {
    let (percent, sizes) = progress(node);
    vec![
        node.name.as_str().into(),
        Cell::styled(&node.state, style(&node.state)),
        node.since_ms.map(words::span).into(),
        node.last_heard_ms.map(words::span).into(),
        node.interval_ms.map(words::span).into(),
        node.phase.as_deref().into(),
        percent.map(|percent| format!("{percent}%")).into(),
        percent.map(|percent| words::bar(percent, BAR)).into(),
        sizes.into(),
        node.proof.as_deref().into(),
        node.from.as_deref().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn node(name: &str, state: &str, since: u64) -> NodeStatus {
        let heard = (state != "unheard").then_some(since);
        NodeStatus {
            name: name.into(),
            state: state.into(),
            since_ms: heard,
            last_heard_ms: heard,
            ..NodeStatus::default()
        }
    }

    fn some() -> Status {
        let dumping = NodeStatus {
            phase: Some("dumping".into()),
            proof: Some("live".into()),
            done: Some(3 << 30),
            total: Some(4 << 30),
            interval_ms: Some(10_000),
            from: Some("192.0.2.7".into()),
            ..node("n4", "dumping", 123_000)
        };
        let mut nodes = vec![node("n1", "unheard", 0), node("10.0.0.9", "candidate", 1)];
        nodes.extend([node("n2", "rebooted", 1), node("n3", "finished", 1), dumping]);
        nodes.extend([node("n5", "lost", 5), node("n6", "hibernating", 5)]);
        nodes.extend([node("n7", "started", 9_000), node("n8", "started", 4_000)]);
        Status { nodes, known: Some(8), ..Status::default() }
    }

    fn names(table: &Table) -> Vec<String> {
        let lines = table.lines(None);
        let first = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        lines.iter().skip(1).map(first).collect()
    }

    #[test]
    fn what_matters_comes_first() {
        let expected = ["n8", "n7", "n4", "n5", "n6", "n3", "n2", "10.0.0.9", "n1"];
        assert_eq!(names(&table(&some(), true)), expected);
        assert_eq!(names(&table(&some(), false)), expected[..8]);
    }

    #[test]
    fn a_row_says_everything_there_is_room_for() {
        let lines = table(&some(), false).lines(None);
        let plain = anstream::adapter::strip_str(&lines[3]).to_string();
        let words: Vec<_> = plain.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "n4 dumping 2m 03s 2m 03s 10s dumping 75% [#######...] 3.0 GiB / 4.0 GiB live 192.0.2.7"
        );
        let lines = table(&some(), false).lines(Some(60)).join("\n");
        let plain = anstream::adapter::strip_str(&lines).to_string();
        assert!(
            plain.contains("75%") && !plain.contains("[##") && !plain.contains("192.0.2.7"),
            "{plain}"
        );
    }

    #[test]
    fn those_that_were_not_heard_are_counted() {
        assert_eq!(unheard(&some(), false).unwrap(), "1 node was never heard: n1");
        assert_eq!(unheard(&some(), true), None);
        let large = Status { left_out: 99, ..Status::default() };
        assert_eq!(unheard(&large, false).unwrap(), "99 nodes were never heard (--all shows them)");
        assert_eq!(unheard(&Status::default(), false), None);
    }

    #[test]
    fn progress_as_far_as_it_is_known() {
        let of = |done, total| progress(&NodeStatus { done, total, ..NodeStatus::default() });
        assert_eq!(of(None, None), (None, None));
        assert_eq!(of(Some(1 << 20), None), (None, Some("1.0 MiB".into())));
        assert_eq!(of(Some(5), Some(0)).0, Some(100));
    }
}
