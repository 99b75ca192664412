//! The daemon: holds the port for good, follows every node's dump, and serves the agents.

mod chronicle;
pub mod fleet;
pub mod node;

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use fence_kdump_core::{Disbelief, Instant};

pub use chronicle::told;
pub use fleet::Fleet;
pub use node::{Follow, registry};

use crate::clock;
use crate::control::packet::Status;
use crate::fleet::event::{Event, Kind};
use crate::fleet::registry::LookupId;
use crate::fleet::resolver::Resolver;
use crate::line::{Line, News, Notice};
use crate::lookup::Found;
use crate::nodes::Known;
use crate::options::Family;
use crate::proof;
use crate::socket::Datagram;
use crate::store::{self, Judged, Notary, StoreError};
use crate::voice::{Voice, Weight};
use fleet::{Heard, Ticket, Told};

/// What a run of the daemon is told to do.
#[derive(Debug)]
pub struct Plan {
    /// The nodes, and how their messages are verified.
    pub fleet: Fleet,
    /// The UDP port.
    pub port: u16,
    /// Where it is remembered what was heard, if there are keys to verify it with.
    pub memory_in: Option<PathBuf>,
}

/// One run of the daemon.
struct Run<'a> {
    fleet: Fleet,
    line: Line,
    port: u16,
    resolver: Option<Resolver>,
    notary: Option<Notary<Ticket>>,
    voice: &'a Voice,
}

/// Follows the plan's nodes for good.
pub async fn follow(plan: Plan, voice: &Voice) {
    let Plan { fleet, port, memory_in } = plan;
    let notary = memory_in.and_then(|dir| match Notary::start(&dir) {
        Ok(notary) => Some(notary),
        Err(error) => {
            voice.say(Weight::Error, format!("state_dir: no thread to remember with: {error}"));
            None
        }
    });
    let resolver = match Resolver::start(Family::Any) {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            voice.say(Weight::Error, format!("names: no thread to look them up with: {error}"));
            None
        }
    };
    let line = Line::to_everything(port);
    let mut run = Run { fleet, line, port, resolver, notary, voice };
    run.settle();
    run.run().await;
}

impl Run<'_> {
    /// The nodes are others than before.
    fn settle(&mut self) {
        if let Some(resolver) = &mut self.resolver {
            resolver.look_up(self.fleet.registry().to_look_up());
        }
        for name in self.fleet.without_key() {
            let line = format!("{name} is never believed: there is no key for that very name");
            self.voice.say(Weight::Warning, line);
        }
    }

    async fn run(mut self) {
        loop {
            while let Some(event) = self.fleet.tick(clock::now()) {
                self.tell(event);
            }
            let next_end = self.fleet.next_end();
            tokio::select! {
                news = self.line.next() => self.heed(news),
                news = next_judged(&mut self.notary) => self.heed_notary(news),
                found = next_found(&mut self.resolver) => self.learn(found),
                () = sleep_until(next_end) => {}
            }
        }
    }

    fn heed(&mut self, news: News) {
        match news {
            News::Datagram(datagram) => self.hear(&datagram),
            News::Notice(notice) => tell_notice(&notice, self.port, self.voice),
            News::Asked { .. } => {}
            News::StatusAsked(id) => {
                let status = Status {
                    program: "fence_kdumpd".to_owned(),
                    nodes: self.fleet.status(clock::now()).collect(),
                    ..Status::default()
                };
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

    fn hear(&mut self, datagram: &Datagram) {
        let Heard { told, challenge, hearing } =
            self.fleet.hear(datagram, clock::now(), proof::random);
        match told {
            Some(told) => self.tell_of_datagram(told),
            None => tell_details(datagram, self.voice),
        }
        if let Some(challenge) = challenge
            && let Err(error) = self.line.send(datagram.from, datagram.port, &challenge)
        {
            let line = format!("no challenge could be sent to {}: {error}", datagram.from);
            self.voice.say_once(Weight::Detail, line);
        }
        if let Some((hearing, ticket)) = hearing {
            let judged = match &mut self.notary {
                Some(notary) => notary.submit(hearing, ticket),
                None => {
                    let result = Err(Disbelief::Unremembered);
                    Some(Judged { ticket, result, trouble: None })
                }
            };
            if let Some(judged) = judged {
                self.judged(judged);
            }
        }
    }

    fn tell_of_datagram(&mut self, told: Told) {
        match told {
            Told::Event(event) => self.tell(event),
            Told::Disbelief(line) => self.voice.say(Weight::Info, line),
        }
    }

    /// Something happened to a node.
    fn tell(&mut self, event: Event) {
        let weight = match event.kind {
            Kind::Lost => Weight::Warning,
            _ => Weight::Info,
        };
        self.voice.say(weight, chronicle::told(&event));
        let event = Arc::new(event);
        drop(event);
    }

    fn heed_notary(&mut self, news: store::News<Ticket>) {
        match news {
            store::News::Judged(judged) => self.judged(judged),
            store::News::Began(path) => {
                let path = path.display();
                let line = format!(
                    "{path} is new: a message captured before today would count once, unless the \
                     policy is live"
                );
                self.voice.say_once(Weight::Info, line);
            }
            store::News::Trouble(error) => self.tell_state_trouble(&error),
        }
    }

    fn judged(&mut self, judged: Judged<Ticket>) {
        let Judged { ticket, result, trouble } = judged;
        if let Some(trouble) = trouble {
            self.tell_state_trouble(&trouble);
        }
        if let Some(told) = self.fleet.judged(&ticket, result) {
            self.tell_of_datagram(told);
        }
    }

    /// Once, since each message that cannot be remembered would say the same.
    fn tell_state_trouble(&self, error: &StoreError) {
        let weight = if self.fleet.has_signed() { Weight::Error } else { Weight::Warning };
        self.voice.say_once(weight, format!("state_dir: {error}"));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep(at.saturating_since(clock::now())).await,
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

fn tell_details(datagram: &Datagram, voice: &Voice) {
    if voice.verbose() > 0 {
        let from = datagram.from;
        voice.say(
            Weight::Detail,
            match datagram.said {
                Ok(_) => format!("heard a message from {from}"),
                Err(error) => format!("refused a datagram from {from}: {error}"),
            },
        );
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
