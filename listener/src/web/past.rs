//! What the web server asks the store of the history for.

use std::pin::Pin;

use thiserror::Error;

use crate::fleet::event::Event;

/// Which events are wanted: the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of this node alone, in any case.
    pub node: Option<String>,
    /// Only events that were stored before the one with this id.
    pub before: Option<String>,
    /// At most so many: 1 to 1001.
    pub limit: usize,
}

/// Why there is no history.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PastError {
    /// No history is kept.
    #[error("no history is kept: the daemon runs without a store")]
    Off,
    /// There is no such event, or not any more.
    #[error("there is no event '{0}', or not any more")]
    NoEvent(String),
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Failed(String),
}

/// Comes back with the events.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Event>, PastError>> + Send + 'a>>;

/// The history, wherever it is kept. Whoever answers does so from a thread of its own, since the web
/// server waits, but at most a few seconds.
pub trait Past: Send + Sync + 'static {
    /// Finds events. Dropped when nobody waits for them any more.
    fn history(&self, wanted: Wanted) -> Answer<'_>;
}

/// No history is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPast;

impl Past for NoPast {
    fn history(&self, _wanted: Wanted) -> Answer<'_> {
        Box::pin(std::future::ready(Err(PastError::Off)))
    }
}
