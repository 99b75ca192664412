//! Where events go: the journal, commands, webhooks, NATS. Whatever becomes of them there, whoever tells
//! an event never waits.
//!
//! | module | its one truth |
//! |---|---|
//! | [`config`] | what can be configured |
//! | `queue` | what waits for one sink, and what became of the rest: [`Counters`] |
//! | `stage` | the one thread on which all sinks run |
//! | `ready` | a sink with everything that it reads from files, before it runs |
//! | `fields` | an event as names and values |
//! | `journal` | to the journal of systemd, field by field |
//! | `command` | to a program, in its environment |
//! | `webhook` | to a web server, again and again until it took it |
//! | `nats` | to a stream and a key-value bucket of NATS JetStream |
//! | `pace` | how long to wait before the next try |
//! | `lookup` | names of servers to addresses, a few at once |
//! | `complaints` | what is said of trouble, so that it fills no log |
//!
//! Every sink has a queue of its own. What does not fit into it pushes out the oldest that waits there,
//! and is counted. All sinks share one thread; besides it, at most [`BLOCKING`] more threads live while a
//! name is looked up or a program is started, for which the system has nothing that does not block.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//! use fence_kdump_listener::fleet::event::Event;
//! use fence_kdump_listener::sink::{SinkConfig, Sinks};
//!
//! # fn f(event: Arc<Event>, config: SinkConfig) -> Result<(), fence_kdump_listener::sink::SinkError> {
//! let sinks = Sinks::start(&config, Arc::new(|_, line: &str| eprintln!("{line}")))?;
//! sinks.tell(&event);
//! for sink in sinks.reader().counters() {
//!     println!("{} {}: {} of {} delivered", sink.kind, sink.name, sink.delivered, sink.told);
//! }
//! sinks.finish(Duration::from_secs(5));
//! # Ok(())
//! # }
//! ```

mod command;
mod complaints;
pub mod config;
mod fields;
mod journal;
mod lookup;
mod nats;
mod pace;
mod queue;
mod ready;
mod stage;
mod webhook;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinHandle;

pub use complaints::Say;
pub use config::SinkConfig;
pub use nats::token;
pub use queue::Counters;

use crate::fleet::event::Event;
use crate::voice::Weight;
use queue::Queue;
use ready::Ready;
use stage::Stage;

/// The most threads that wait for the system on behalf of sinks.
pub const BLOCKING: usize = 8;

/// Why sinks cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The system makes no thread, or no descriptor to wait with.
    #[error("no thread for the sinks: {0}")]
    Thread(io::Error),
    /// A file with a key, a token or certificates.
    #[error("{name}: {path}: {why}")]
    File {
        /// Of which sink.
        name: String,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Settings that do not go together.
    #[error("{name}: {why}")]
    Settings {
        /// Of which sink.
        name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}

/// All sinks of the daemon.
pub struct Sinks {
    stage: Stage,
    say: Say,
    sinks: Vec<Sink>,
    reader: Reader,
}

struct Sink {
    queue: Arc<Queue>,
    ready: Ready,
    worker: JoinHandle<()>,
}

/// Reads the counters of all sinks, from any thread and at any moment.
#[derive(Clone, Default)]
pub struct Reader(Arc<Mutex<Vec<Arc<Queue>>>>);

impl Reader {
    /// The counters, sink by sink.
    #[must_use]
    pub fn counters(&self) -> Vec<Counters> {
        let queues = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queues.iter().map(|queue| queue.counters()).collect()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.counters()).finish()
    }
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sinks").field(&self.reader).finish()
    }
}

impl Sinks {
    /// Starts all sinks of `config`; `say` is called with what people have to know of them, from the
    /// thread of the sinks, and must not block.
    ///
    /// That nobody answers at the other end is no error: the sinks go on trying.
    ///
    /// # Errors
    /// When a file that `config` names cannot be used, when settings contradict each other, or when the
    /// system makes no thread.
    pub fn start(config: &SinkConfig, say: Say) -> Result<Self, SinkError> {
        let ready = ready::all(config)?;
        let stage = Stage::start().map_err(SinkError::Thread)?;
        let mut sinks = Self { stage, say, sinks: Vec::new(), reader: Reader::default() };
        sinks.replace(ready);
        Ok(sinks)
    }

    /// Whether [`Self::start`] or [`Self::reload`] would take `config`: reads the files that it names,
    /// and starts nothing. May take as long as these files take to read.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn check(config: &SinkConfig) -> Result<(), SinkError> {
        ready::all(config).map(drop)
    }

    /// Tells `event` to all sinks that are to know of it. Never waits for any of them.
    pub fn tell(&self, event: &Arc<Event>) {
        for sink in &self.sinks {
            sink.queue.offer(event);
        }
    }

    /// Whether there is none that could be told anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    /// Goes over to `config`, whose files are read anew. A sink that is in both keeps its counters and
    /// what waits for it; one that is new in nothing goes on undisturbed. What waits for a sink that is
    /// no more is given up.
    ///
    /// # Errors
    /// As [`Self::start`]; everything then stays as it was.
    pub fn reload(&mut self, config: &SinkConfig) -> Result<(), SinkError> {
        let ready = ready::all(config)?;
        self.replace(ready);
        Ok(())
    }

    /// For those who only want to know how the sinks are.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    fn replace(&mut self, ready: Vec<Ready>) {
        let mut before = std::mem::take(&mut self.sinks);
        for ready in ready {
            let same = |sink: &Sink| sink.ready.key() == ready.key();
            let old = before.iter().position(same).map(|at| before.swap_remove(at));
            self.sinks.push(match old {
                Some(old) if old.ready == ready => old,
                Some(old) => {
                    old.queue.reshape(ready.room(), ready.kinds());
                    old.worker.abort();
                    self.work(old.queue, ready, Some(old.worker))
                }
                None => self.work(ready.queue(Arc::clone(&self.say)), ready, None),
            });
        }
        for gone in before {
            gone.queue.close();
            gone.worker.abort();
            let lost = gone.queue.give_up();
            if lost > 0 {
                let name = gone.ready.name();
                let line = format!("{name} is no longer configured: {lost} events are lost");
                (self.say)(Weight::Warning, &line);
            }
        }
        let queues = self.sinks.iter().map(|sink| Arc::clone(&sink.queue)).collect();
        *self.reader.0.lock().unwrap_or_else(PoisonError::into_inner) = queues;
    }

    /// Puts a worker to `queue`, once `before` has left it.
    fn work(&self, queue: Arc<Queue>, ready: Ready, before: Option<JoinHandle<()>>) -> Sink {
        let work = ready.worker(Arc::clone(&queue), &self.stage);
        let worker = self.stage.spawn(async move {
            if let Some(before) = before {
                // Aborted, which is no news.
                drop(before.await);
            }
            work.await;
        });
        Sink { queue, ready, worker }
    }

    /// Takes no more events, waits until all were delivered, but no longer than `within`, and says what
    /// was not.
    pub fn finish(mut self, within: Duration) {
        let mut workers = Vec::new();
        for sink in &mut self.sinks {
            sink.queue.close();
            workers.push(std::mem::replace(&mut sink.worker, self.stage.spawn(async {})));
        }
        let (done, all_done) = channel();
        self.stage.spawn(async move {
            for worker in workers {
                drop(worker.await);
            }
            // Whoever waited may have gone.
            let _ = done.send(());
        });
        // Whether in time or not is seen from what is left.
        let _ = all_done.recv_timeout(within);
        for sink in &self.sinks {
            let lost = sink.queue.counters().waiting;
            if lost > 0 {
                let line = format!("{}: {lost} events were not delivered", sink.ready.name());
                (self.say)(Weight::Warning, &line);
            }
        }
    }
}

#[cfg(test)]
mod tests;
