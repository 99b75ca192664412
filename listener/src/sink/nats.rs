//! To a stream and a key-value bucket of NATS JetStream.
//!
//! | module | its one truth |
//! |---|---|
//! | `plan` | what is configured, with the secrets from their files |
//! | `link` | a connection, with the stream and the bucket that are there |
//! | `batch` | some events on their way, and what is still to do for each |
//! | `latest` | which of two events of a node is the newer one |
//! | `token` | a node's name in subjects and keys |

mod batch;
mod latest;
mod link;
mod plan;
mod token;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::lookup::Lookups;
use super::pace::Pace;
use super::queue::Queue;
use crate::fleet::event::Event;
use crate::voice::Weight;
use batch::Batch;
use link::Link;

pub(super) use plan::{Plan, check, files};
pub use token::token;

/// How long to wait after the first failure, then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What held for so long was good.
const STEADY: Duration = Duration::from_secs(60);

/// Publishes the events of `queue`.
pub(super) async fn work(plan: Plan, queue: Arc<Queue>, lookups: Lookups) {
    let mut pace = Pace::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut batch = Batch::default();
    while let Err(why) = serve(&plan, &queue, &lookups, &mut batch, &mut pace).await {
        queue.trouble(&why);
        let pause = pace.pause();
        // The first failure is how a server that leaves its cluster shows itself.
        if pace.failures() == 2 {
            queue.complain(Weight::Warning, &format!("events wait: {why}"));
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = queue.done(), if batch.is_empty() => return,
        }
    }
}

/// Publishes over one connection, until that is lost or nothing is left to do. What is not done then is in
/// `batch`.
async fn serve(
    plan: &Plan,
    queue: &Arc<Queue>,
    lookups: &Lookups,
    batch: &mut Batch,
    pace: &mut Pace,
) -> Result<(), String> {
    let link = tokio::select! {
        link = Link::open(plan, lookups) => link?,
        () = queue.done(), if batch.is_empty() => return Ok(()),
    };
    for remark in &link.remarks {
        queue.complain(Weight::Warning, remark);
    }
    let opened = Instant::now();
    loop {
        if batch.is_empty() {
            let mut nodes = HashSet::new();
            let fits = |event: &Event| nodes.insert(Arc::clone(&event.node));
            // Up to the first node that is in it already: then order is kept, and nothing overtakes.
            let next = queue.take(plan.at_once, 1, fits);
            let next = tokio::select! {
                next = next => next,
                why = link.lost() => {
                    if opened.elapsed() >= STEADY {
                        pace.reset();
                    }
                    return Err(why);
                }
            };
            if next.is_empty() {
                return Ok(());
            }
            *batch = Batch::of(next);
        }
        tokio::select! {
            delivered = batch.deliver(plan, &link) => delivered?,
            why = link.lost() => return Err(why),
        }
        if pace.failures() > 1 {
            queue.complain(Weight::Info, "events are delivered again");
        }
        pace.reset();
    }
}
