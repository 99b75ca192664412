//! Whom to ask, and what may come of it.

use std::future::Future;
use std::time::Duration;

use super::{Failure, words};
use crate::control::packet::{Inquiry, Status};
use crate::control::query::{Counter, QueryError};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// So many nodes are named to somebody who asked for one that is not there.
const NAMED: usize = 5;

/// Waits for `future`.
///
/// # Errors
/// When the system does not let anybody wait.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Io("cannot wait for an answer", error))?;
    runtime.block_on(future)
}

/// The whole answer to `inquiry` of who reads UDP port `port`.
///
/// # Errors
/// When nobody answers.
pub async fn all(port: u16, inquiry: &Inquiry) -> Result<Status, QueryError> {
    Counter::visit(port, PATIENCE).await?.all(inquiry).await
}

/// `status` if it is of one who keeps a list of nodes.
///
/// # Errors
/// When it does not.
pub fn with_list(status: Status) -> Result<Status, Failure> {
    if status.known.is_some() || !status.nodes.is_empty() {
        return Ok(status);
    }
    let Status { program, pid, port, .. } = status;
    Err(Failure::NoList { program: words::plain(&program), pid, port })
}

/// There is no node `node`; `counter` says which there are.
///
/// # Errors
/// When nobody answers.
pub async fn no_such(counter: &Counter, node: &str) -> Result<Failure, QueryError> {
    let status = counter.page(&Inquiry::default()).await?;
    let known = status.known.unwrap_or(0);
    let names = status.nodes.iter().filter(|node| node.state != "candidate");
    let names = names.map(|node| node.name.as_str());
    let named = words::some(names, NAMED, known);
    let named = if named.is_empty() { "none".to_owned() } else { named };
    let program = words::plain(&status.program);
    let known = format!("{program} (process {}) knows {named}", status.pid);
    Ok(Failure::NoNode { node: node.to_owned(), known })
}
