//! The daemon: holds the port for good, follows every node's dump, and serves the agents.

pub mod fleet;
pub mod node;

use std::future::pending;
use std::path::Path;

use fence_kdump_core::{Instant, Policy};

pub use fleet::Fleet;
pub use node::{Follow, FollowError};

use crate::clock;
use crate::control::packet::Status;
use crate::line::{Line, News, Notice};
use crate::proof;
use crate::socket::Datagram;
use crate::store::{self, Judged, Notary, StoreError};
use crate::voice::{Voice, Weight};
use fleet::{Heard, Ticket};

/// One run of the daemon.
struct Run<'a> {
    fleet: Fleet,
    line: Line,
    port: u16,
    notary: Option<Notary<Ticket>>,
    voice: &'a Voice,
}

/// Follows `fleet` on UDP port `port` for good. What is heard is remembered in `state_dir`, if there are
/// keys to verify it with.
pub async fn follow(fleet: Fleet, port: u16, state_dir: Option<&Path>, voice: &Voice) {
    let notary = state_dir.and_then(|dir| match Notary::start(dir) {
        Ok(notary) => Some(notary),
        Err(error) => {
            voice.say(Weight::Error, format!("state_dir: no thread to remember with: {error}"));
            None
        }
    });
    Run { fleet, line: Line::new(port), port, notary, voice }.run().await;
}

impl Run<'_> {
    async fn run(mut self) {
        self.line.ask(&self.fleet.addresses(), &self.fleet.names());
        loop {
            while let Some(told) = self.fleet.tick(clock::now()) {
                self.voice.say(Weight::Info, told);
            }
            let next_end = self.fleet.next_end();
            tokio::select! {
                news = self.line.next() => self.heed(news),
                news = next_judged(&mut self.notary) => self.heed_notary(news),
                () = sleep_until(next_end) => {}
            }
        }
    }

    fn heed(&mut self, news: News) {
        match news {
            News::Datagram(datagram) => self.hear(&datagram),
            News::Notice(notice) => tell_notice(&notice, self.port, self.voice),
            News::StatusAsked(id) => {
                let status = Status {
                    program: "fence_kdumpd".to_owned(),
                    nodes: self.fleet.status(clock::now()),
                    ..Status::default()
                };
                self.line.tell_status(id, status);
            }
        }
    }

    fn hear(&mut self, datagram: &Datagram) {
        let Heard { told, challenge, hearing } =
            self.fleet.hear(datagram, clock::now(), proof::random);
        match told {
            Some(told) => self.voice.say(Weight::Info, told),
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
                    let result = Err(fence_kdump_core::Disbelief::Unremembered);
                    Some(Judged { ticket, result, trouble: None })
                }
            };
            if let Some(judged) = judged {
                self.judged(judged);
            }
        }
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
            self.voice.say(Weight::Info, told);
        }
    }

    /// Once, since each message that cannot be remembered would say the same.
    fn tell_state_trouble(&self, error: &StoreError) {
        let weight = match self.fleet.policy() {
            Policy::Signed => Weight::Error,
            Policy::Plain | Policy::Live => Weight::Warning,
        };
        self.voice.say_once(weight, format!("state_dir: {error}"));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep(at.saturating_since(clock::now())).await,
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
