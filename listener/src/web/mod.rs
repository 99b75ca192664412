//! The daemon's web page, API, metrics and health, on one thread of their own.
//!
//! | module | its one truth |
//! |---|---|
//! | [`config`] | where it listens, for whom, and what is refused |
//! | [`board`] | what the daemon hands over, in small steps and only when somebody looks |
//! | [`view`] | nodes and counters, as they are handed over |
//! | [`past`] | what is asked of the store of the history |
//! | `hub` | the latest snapshot and the latest events |
//! | `server` | connections; `places`: how many; `stall`: none that is never read |
//! | `guard` | who may ask: the token, the host that a browser names, the rules for browsers |
//! | [`api`] | the JSON API, its OpenAPI document, and events as they happen |
//! | `metrics` | all numbers, for Prometheus; `process`: those of the system |
//! | `health` | whether the daemon is well |
//! | `pages` | the page |
//!
//! Nothing can be changed from here: whoever gets in can look, and no more.
//!
//! ```no_run
//! use std::sync::Arc;
//! use fence_kdump_listener::web::{NoPast, Server, WebConfig};
//!
//! let (server, mut reporter) = Server::start(WebConfig::default(), Arc::new(NoPast))?;
//! println!("http://{}/", server.address());
//! // In the daemon's loop: `() = reporter.wanted() => reporter.turn(&survey)`, and
//! // `reporter.tell(&event)` whenever something happened.
//! # Ok::<(), fence_kdump_listener::web::WebError>(())
//! ```

pub mod api;
pub mod board;
pub mod config;
mod guard;
mod health;
mod hub;
mod metrics;
mod pages;
pub mod past;
mod places;
mod process;
mod server;
mod stall;
pub mod view;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use api::openapi;
pub use board::{Reporter, Survey};
pub use config::{PORT, WebConfig, WebError};
pub use past::{NoPast, Past, PastError, Wanted};
pub use server::Server;
pub use view::{NodeState, NodeView, SinkView, StoreView, Summary};

use config::Secrets;
use hub::Hub;
use places::Places;

/// What all handlers share.
struct App {
    config: WebConfig,
    secrets: Mutex<Arc<Secrets>>,
    hub: Arc<Hub>,
    past: Arc<dyn Past>,
    turns: api::Turns,
    places: Places,
    followers: api::Followers,
    requests: Requests,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How many requests there were.
#[derive(Debug, Default)]
struct Requests(AtomicU64);

impl Requests {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl App {
    fn new(config: WebConfig, secrets: Secrets, hub: Arc<Hub>, past: Arc<dyn Past>) -> Self {
        let connections = usize::from(config.connections);
        Self {
            config,
            secrets: Mutex::new(Arc::new(secrets)),
            hub,
            past,
            turns: api::Turns::default(),
            places: Places::new(connections),
            followers: api::Followers::new(connections / 2),
            requests: Requests::default(),
        }
    }

    fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_secrets(&self, secrets: Secrets) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(secrets);
    }
}
