//! What whoever holds the port knows.

use std::time::Duration;

use super::Failure;
use crate::control::packet::{Inquiry, Status};
use crate::control::query::Counter;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks who holds UDP port `port`.
///
/// # Errors
/// When nobody is there, or nobody who answers.
pub fn run(port: u16, json: bool) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("cannot wait for an answer", error))?;
    let status = runtime
        .block_on(async { Counter::visit(port, PATIENCE).await?.all(&Inquiry::default()).await })?;
    if json { Ok(serde_json::to_string(&status)?) } else { Ok(table(&status)) }
}

fn table(status: &Status) -> String {
    let port = if status.listening { "reads" } else { "waits for" };
    let mut text = format!(
        "{} (process {}) {port} UDP port {} and serves {} others",
        status.program, status.pid, status.port, status.clients
    );
    let width = status.nodes.iter().map(|node| node.name.len()).max();
    let width = width.unwrap_or(0).max("NODE".len());
    if !status.nodes.is_empty() {
        text.push_str(&format!(
            "\n{:width$}  {:9} {:>9} {:>11} {:>8}",
            "NODE", "STATE", "SINCE", "LAST HEARD", "MESSAGES"
        ));
    }
    for node in &status.nodes {
        text.push_str(&format!(
            "\n{:width$}  {:9} {:>9} {:>11} {:>8}",
            node.name,
            node.state,
            ago(node.since_ms),
            ago(node.last_heard_ms),
            node.messages
        ));
    }
    text
}

/// `1.5 s`, or `-` for never.
fn ago(milliseconds: Option<u64>) -> String {
    milliseconds.map_or("-".to_owned(), |milliseconds| {
        format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64())
    })
}
