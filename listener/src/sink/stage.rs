//! The one thread on which all sinks run.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::crypto::ring;

use super::BLOCKING;
use super::lookup::Lookups;
use crate::background;

/// The thread; it ends, with all that runs on it, soon after this is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    handle: Handle,
    lookups: Lookups,
    _until_dropped: oneshot::Sender<()>,
}

impl Stage {
    /// # Errors
    /// When the system makes no thread, or no descriptor to wait with.
    pub(super) fn start() -> io::Result<Self> {
        // TLS of NATS takes what the process prefers. If something else was chosen before, that will do.
        drop(ring::default_provider().install_default());
        let runtime =
            Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()?;
        let handle = runtime.handle().clone();
        let (until_dropped, dropped) = oneshot::channel::<()>();
        let play = move || {
            background::give_way();
            // An error is what it waits for: that the other end is gone.
            drop(runtime.block_on(dropped));
            // What a thread still waits for the system for, nobody else waits for.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("sinks".to_owned()).spawn(play)?;
        Ok(Self { handle, lookups: Lookups::new(), _until_dropped: until_dropped })
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }

    /// One for all sinks, since their number is bounded together.
    pub(super) fn lookups(&self) -> Lookups {
        self.lookups.clone()
    }
}
