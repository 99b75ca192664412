//! The daemon: holds the port for good, follows every node's dump, and serves the agents.
//!
//! | module | its one truth |
//! |---|---|
//! | [`options`] | the command line; [`setup`]: what it and the files that it names say, read |
//! | [`fleet`] | the nodes and what is known of them; `resume`: from one run to the next |
//! | `ledger` | which messages were heard, as far as the disk need not be asked |
//! | `chronicle` | what happened, in words and as events |
//! | `hear` | what is done with a datagram; `queue`: those that came before the start |
//! | `reload` | another configuration, while everything goes on |
//! | `herald` | who is told: people, the history, sinks, the web page |
//! | `scene` | all of it at a glance |

mod by_node;
mod chronicle;
pub mod fleet;
pub mod follow;
mod hear;
mod herald;
mod ledger;
pub mod options;
mod queue;
mod reload;
pub mod remembered;
mod resume;
mod scene;
pub mod setup;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use fence_kdump_core::Instant;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant as Timer, sleep_until};

pub use chronicle::{Happened, told};
pub use fleet::Fleet;
pub use follow::Follow;
pub use herald::HeraldError;
pub use options::Options;

use crate::background;
use crate::clock;
use crate::config::Config;
use crate::control::packet::Status;
use crate::fleet::registry::LookupId;
use crate::fleet::resolver::Resolver;
use crate::line::{Line, News, Notice};
use crate::lookup::Found;
use crate::nodes::Known;
use crate::service::{Given, Manager};
use crate::store::{self, Notary};
use crate::voice::{Voice, Weight};
use fleet::Ticket;
use fleet::page::Pages;
use herald::Herald;
use queue::Note;
use setup::{Setup, SetupError, Source};

/// How often the service manager is told how it goes.
const STATUS: Duration = Duration::from_secs(10);

/// The most troubles of one kind that are told.
const MOST: usize = 10;

/// One run of the daemon.
struct Run {
    source: Source,
    /// What it does now; its nodes are in the fleet.
    config: Config,
    fleet: Fleet,
    line: Line,
    note: Note,
    resolver: Option<Resolver>,
    notary: Option<Notary<Ticket>>,
    herald: Herald,
    manager: Manager,
    is_ready: bool,
    /// Some node has to sign.
    is_signing: bool,
    /// Nodes that have to sign, and cannot: the first few.
    keyless: Vec<String>,
    pages: Pages,
    /// A configuration that is being read, and whether it has to be read once more.
    reading: Option<(oneshot::Receiver<Result<Setup, SetupError>>, bool)>,
    voice: Arc<Voice>,
}

/// Follows the nodes of `setup`, which was read from `source`, until this process is told to end.
///
/// # Errors
/// When what `setup` asks for cannot be had.
pub async fn follow(
    setup: Setup,
    source: Source,
    (manager, given): (Manager, Given),
    voice: Arc<Voice>,
) -> Result<(), HeraldError> {
    let Setup { mut config, examiner } = setup;
    let (line, note) = queue::open(&mut config, given, &voice);
    let herald = Herald::start(&config, manager.is_there(), Arc::clone(&voice))?;
    let nodes = std::mem::take(&mut config.nodes);
    let mut run = Run {
        source,
        fleet: Fleet::new(nodes, examiner),
        line,
        note,
        resolver: None,
        notary: None,
        herald,
        manager,
        is_ready: false,
        is_signing: false,
        keyless: Vec::new(),
        pages: Pages::default(),
        reading: None,
        config,
        voice,
    };
    match Resolver::start(run.config.family) {
        Ok(resolver) => run.resolver = Some(resolver),
        Err(error) => {
            let line = format!("names: no thread to look them up with: {error}");
            run.voice.say(Weight::Error, line);
        }
    }
    run.settle();
    background::come_first();
    run.run().await;
    Ok(())
}

/// What wakes the daemon up.
enum Ready {
    Line(News),
    Memory(store::News<Ticket>),
    Name(LookupId, Found),
    Herald(herald::News),
    Read(Box<Result<Setup, SetupError>>),
    Reload,
    End,
    Alive,
    Tick,
}

impl Run {
    /// The nodes or their keys are others than before.
    fn settle(&mut self) {
        let most = self.config.discovery.and_then(|most| usize::try_from(most).ok());
        self.fleet.discover(most.unwrap_or(0));
        if let Some(resolver) = &mut self.resolver {
            resolver.look_up(self.fleet.registry().to_look_up());
        }
        self.is_signing = self.fleet.has_signed();
        self.keyless = self.fleet.without_key().take(MOST).map(str::to_owned).collect();
        for name in &self.keyless {
            let line = format!("{name} is never believed: there is no key for that very name");
            self.voice.say_once(Weight::Warning, line);
        }
        if self.keyless.len() >= MOST {
            self.voice.say_once(Weight::Warning, "there may be more such nodes".to_owned());
        }
        if self.fleet.registry().is_empty() && self.config.discovery.is_none() {
            let line = "no node is configured: nothing that is heard will count";
            self.voice.say(Weight::Warning, line);
        }
        if self.config.key_file.is_some() && self.notary.is_none() {
            match Notary::since(&self.config.state_dir, clock::now()) {
                Ok(notary) => self.notary = Some(notary),
                Err(error) => {
                    let line = format!("state_dir: no thread to remember with: {error}");
                    self.voice.say(Weight::Error, line);
                }
            }
        }
    }

    async fn run(mut self) {
        let mut hang_up = self.signal(SignalKind::hangup());
        let mut terminate = self.signal(SignalKind::terminate());
        let mut interrupt = self.signal(SignalKind::interrupt());
        let mut alive = tokio::time::interval(self.manager.alive_every().unwrap_or(STATUS));
        let timer = sleep_until(Timer::now());
        tokio::pin!(timer);
        // When it goes off: not later than the next dump ends. Most ends are put off before they come, and to
        // set a timer for each message would cost more than the message.
        let mut is_set: Option<Instant> = None;
        self.recall().await;
        loop {
            while let Some(happened) = self.fleet.tick(clock::now()) {
                self.herald.tell(happened);
            }
            if let Some(end) = self.fleet.next_end()
                && is_set.is_none_or(|set| end < set)
            {
                is_set = Some(end);
                timer.as_mut().reset(Timer::now() + end.saturating_since(clock::now()));
            }
            let ready = tokio::select! {
                news = self.line.next() => Ready::Line(news),
                news = next_judged(&mut self.notary) => Ready::Memory(news),
                (lookup, found) = next_found(&mut self.resolver) => Ready::Name(lookup, found),
                news = self.herald.next() => Ready::Herald(news),
                setup = next_setup(&mut self.reading) => Ready::Read(Box::new(setup)),
                () = received(&mut hang_up) => Ready::Reload,
                () = received(&mut terminate) => Ready::End,
                () = received(&mut interrupt) => Ready::End,
                _ = alive.tick() => Ready::Alive,
                () = &mut timer, if is_set.is_some() => Ready::Tick,
            };
            match ready {
                Ready::Line(news) => self.heed(news),
                Ready::Memory(news) => self.heed_notary(news),
                Ready::Name(lookup, found) => self.learn((lookup, found)),
                Ready::Herald(herald::News::Wanted) => self.show(),
                Ready::Herald(herald::News::Room) => self.keep_more(),
                Ready::Herald(herald::News::History(news)) => self.heed_history(news),
                Ready::Read(setup) => self.take_over(*setup),
                Ready::Reload => self.reload(),
                Ready::End => break,
                Ready::Alive => {
                    self.manager.alive();
                    self.note_queue();
                    self.manager.status(&self.status_line());
                }
                Ready::Tick => is_set = None,
            }
        }
        self.end().await;
    }

    fn signal(&self, kind: SignalKind) -> Option<Signal> {
        let say = |error| {
            let line = format!("signal {}: {error}", kind.as_raw_value());
            self.voice.say(Weight::Error, line);
        };
        signal(kind).map_err(say).ok()
    }

    /// For the next run, when it gets the same socket.
    fn note_queue(&self) {
        if let Some((emptied, offset)) = self.line.queue()
            && let Err(error) = self.note.write(emptied, offset)
        {
            self.voice.say_once(Weight::Warning, format!("runtime directory: {error}"));
        }
    }

    /// The port goes to whoever waits for a node; all that is known is written down.
    async fn end(mut self) {
        self.manager.stopping();
        self.note_queue();
        self.voice.say(Weight::Info, "told to end");
        self.line.leave();
        let Self { fleet, herald, line, voice, .. } = self;
        drop(line);
        herald.finish(fleet.ongoing(0..fleet.heard(), clock::now())).await;
        voice.finish();
    }

    /// For people, in a line.
    fn status_line(&self) -> String {
        let nodes = u64::try_from(self.fleet.registry().len()).unwrap_or(u64::MAX);
        let nodes = crate::ctl::words::nodes(nodes);
        let dumps = self.fleet.active();
        let port = self.config.port;
        let reads = if self.line.is_listening() { "listening" } else { "NOT listening" };
        format!("{reads} on UDP port {port} for {nodes}, {dumps} in their crash kernels")
    }

    /// Shows the next part of the fleet to who looks at the web page.
    fn show(&mut self) {
        let keyless = self.keyless.iter().map(|name| format!("{name} has no key"));
        let mut summary =
            scene::summary(&self.fleet, &mut self.line, &self.herald, self.config.port);
        summary.troubles.extend(keyless);
        let scene = scene::Scene { fleet: &self.fleet, now: clock::now(), summary };
        self.herald.show(&scene);
    }

    fn heed(&mut self, news: News) {
        match news {
            News::Datagrams(batch) => {
                let now = clock::now();
                let whose = self.fleet.look_up(&batch);
                batch.iter().zip(whose).for_each(|(datagram, node)| self.hear(datagram, node, now));
                self.line.reuse(batch);
            }
            News::Notice(notice) => {
                tell_notice(&notice, self.config.port, &self.voice);
                if !std::mem::replace(&mut self.is_ready, true) {
                    self.manager.ready(&self.status_line());
                }
            }
            News::Asked { id, addresses, names } => {
                for datagram in self.fleet.remembered(&addresses, &names, clock::now()) {
                    self.line.tell_heard(id, &datagram);
                }
                self.line.tell_recent(id, &addresses, &names);
            }
            News::StatusAsked(id, inquiry) => {
                let page = self.pages.page(&self.fleet, &inquiry, clock::now());
                let status = Status { program: "fence_kdumpd".to_owned(), ..page };
                self.line.tell_status(id, status);
            }
        }
    }

    /// What a node's name was found to be.
    fn learn(&mut self, (lookup, found): (LookupId, Found)) {
        let registry = self.fleet.registry_mut();
        for remark in found.remarks {
            self.voice.say_once(Weight::Warning, remark);
        }
        match found.known {
            Known::At(addresses) => {
                for contested in registry.found(lookup, &addresses) {
                    let name = |id| registry.name(id).unwrap_or("?");
                    let (one, other) = (name(contested.one), name(contested.other));
                    let line = format!(
                        "{} is an address of {one} and of {other}: its messages count for neither",
                        contested.address
                    );
                    self.voice.say_once(Weight::Warning, line);
                }
            }
            Known::Failed(why) => {
                let line = format!("{}: {why}; it is looked up again", found.name);
                self.voice.say_once(Weight::Warning, line);
            }
            Known::Pending => {}
        }
    }
}

/// Waits for a configuration that is being read; never comes back when none is. Cancel-safe.
async fn next_setup(
    reading: &mut Option<(oneshot::Receiver<Result<Setup, SetupError>>, bool)>,
) -> Result<Setup, SetupError> {
    match reading {
        Some((setup, _)) => {
            let gone = || SetupError::Thread(std::io::Error::other("it ended"));
            setup.await.unwrap_or_else(|_| Err(gone()))
        }
        None => pending().await,
    }
}

/// Waits for a signal; never comes back when it cannot be received. Cancel-safe.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            if signal.recv().await.is_none() {
                pending().await
            }
        }
        None => pending().await,
    }
}

/// Waits for the names; never comes back without any. Cancel-safe.
async fn next_found(resolver: &mut Option<Resolver>) -> (LookupId, Found) {
    match resolver {
        Some(resolver) => resolver.next().await,
        None => pending().await,
    }
}

/// Waits for the memory; never comes back without one. Cancel-safe.
async fn next_judged(notary: &mut Option<Notary<Ticket>>) -> store::News<Ticket> {
    match notary {
        Some(notary) => notary.next().await,
        None => pending().await,
    }
}

fn tell_notice(notice: &Notice, port: u16, voice: &Voice) {
    match notice {
        Notice::Listening => voice.say(Weight::Info, format!("listening on UDP port {port}")),
        Notice::Served(peer) => voice.say(
            Weight::Info,
            format!("process {} reads UDP port {port} and serves this one", peer.pid),
        ),
        Notice::Bereft => voice.say(Weight::Info, "the process that read the port is gone"),
        Notice::Hangs(peer) | Notice::ServedInVain(peer) => voice.say_once(
            Weight::Warning,
            format!("process {} should read UDP port {port} and does not", peer.pid),
        ),
        Notice::PortInUse(trouble) | Notice::Untrusted(trouble) | Notice::Trouble(trouble) => {
            voice.say_once(Weight::Warning, trouble.clone());
        }
    }
}
