//! `off`: waits until the node is known to be in its crash kernel.

use std::collections::BTreeSet;
use std::time::Duration;

use fence_kdump_core::Instant;
use tokio::sync::mpsc;

use super::inquiry::{Inquiry, Standing};
use super::tally::Tally;
use super::{Ending, left};
use crate::address::Address;
use crate::clock;
use crate::control::packet::Status;
use crate::line::{Line, News, Notice};
use crate::lookup::{self, Found};
use crate::nodes::{Known, Node};
use crate::options::Settings;
use crate::socket::Datagram;
use crate::voice::{Voice, Weight};

/// How many datagrams that are no messages get a line of their own, without and with `-v`.
const LINES: [u64; 2] = [3, 100];

struct Wait<'a> {
    settings: &'a Settings,
    voice: &'a Voice,
    inquiry: Inquiry,
    started: Instant,
    line: Line,
    tally: Tally,
    unfound: BTreeSet<String>,
    port_trouble: Option<String>,
}

/// Waits until the node of `settings` is known to be in its crash kernel, at most until `deadline`.
pub fn off(settings: &Settings, started: Instant, deadline: Instant, voice: &Voice) -> Ending {
    let node = Node::new(&settings.nodename, settings.port.as_deref(), settings.family);
    if node.names().next().is_none() {
        voice.say(Weight::Error, "off: nodename or port is needed, to know whose message counts");
        return Ending::Unwell;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            voice.say(Weight::Error, format!("off: cannot wait for anything: {error}"));
            return Ending::Unwell;
        }
    };
    let wait = Wait {
        settings,
        voice,
        inquiry: Inquiry::new(node, started, deadline),
        started,
        line: Line::new(settings.ipport),
        tally: Tally::default(),
        unfound: BTreeSet::new(),
        port_trouble: None,
    };
    let ending = runtime.block_on(wait.run(deadline));
    // Whoever is still looking up a name is not waited for.
    runtime.shutdown_background();
    ending
}

impl Wait<'_> {
    async fn run(mut self, deadline: Instant) -> Ending {
        let mut lookups = lookup::start(self.names(), self.settings.family);
        let mut found = Vec::new();
        let timeout = tokio::time::sleep(left(deadline));
        tokio::pin!(timeout);
        self.voice.say(
            Weight::Info,
            format!(
                "waiting up to {} s for a message of {} on UDP port {}",
                self.settings.timeout.as_secs(),
                self.inquiry.node().title(),
                self.settings.ipport
            ),
        );
        loop {
            // Before anything that waits is looked at, however long this process did not run.
            match self.inquiry.standing(clock::now()) {
                Standing::InCrashKernel { from, heard_at } => {
                    self.line.leave();
                    self.tell_success(from, heard_at);
                    return Ending::InCrashKernel;
                }
                Standing::TooLate => {
                    self.line.leave();
                    self.tell_failure();
                    return Ending::NotKnown;
                }
                Standing::Open => {}
            }
            tokio::select! {
                () = &mut timeout => {}
                count = next_found(&mut lookups, &mut found) => {
                    if count > 0 {
                        self.learn(&mut found);
                    }
                }
                news = self.line.next() => self.heed(news),
            }
        }
    }

    /// Every different name.
    fn names(&self) -> Vec<String> {
        let names: BTreeSet<_> =
            self.inquiry.node().names().map(|name| name.text.clone()).collect();
        names.into_iter().collect()
    }

    fn learn(&mut self, found: &mut Vec<Found>) {
        let mut new = Vec::new();
        let mut rule_changed = false;
        for Found { name, known, remarks } in found.drain(..) {
            for remark in remarks {
                self.voice.say_once(Weight::Warning, remark);
            }
            match &known {
                Known::At(addresses) => {
                    self.unfound.remove(&name);
                    let at = join(addresses);
                    if at != name {
                        self.voice.say(Weight::Detail, format!("{name} is {at}"));
                    }
                    new.extend_from_slice(addresses);
                }
                Known::Failed(why) => {
                    if self.unfound.insert(name.clone()) {
                        let line = format!("{name}: {why}; it is looked up again while waiting");
                        self.voice.say_once(Weight::Warning, line);
                    }
                }
                Known::Pending => {}
            }
            rule_changed |= self.inquiry.learn(|node| node.learn(&name, &known));
        }
        self.line.ask(&new);
        if rule_changed
            && let Some(warning) = self.inquiry.node().warning(&self.inquiry.believed().rule)
        {
            self.voice.say_once(Weight::Warning, warning);
        }
    }

    fn heed(&mut self, news: News) {
        match news {
            News::Datagram(datagram) => self.hear(&datagram),
            News::Notice(notice) => self.heed_notice(notice),
            News::StatusAsked(id) => {
                let program = "fence_kdump".to_owned();
                self.line.tell_status(id, Status { program, ..Status::default() });
            }
        }
    }

    fn hear(&mut self, datagram: &Datagram) {
        let from = datagram.from;
        self.inquiry.hear(datagram);
        let own = self.inquiry.believed().addresses.contains(&from);
        match datagram.said {
            Err(error) => {
                self.tally.refused(datagram, own);
                let told = self.tally.refused_total();
                let [few, many] = LINES;
                let line = || format!("refused a datagram from {from}: {error}");
                match self.voice.verbose() {
                    0 if told <= few => self.voice.say(Weight::Warning, line()),
                    1 if told <= many => self.voice.say(Weight::Detail, line()),
                    2.. => self.voice.say(Weight::Detail, line()),
                    _ => {}
                }
            }
            Ok(_) if !own => {
                let first = self.tally.stranger(from);
                let title = self.inquiry.node().title();
                let line =
                    || format!("heard a message from {from}, which is not known to be {title}");
                if first {
                    self.voice.say(Weight::Info, line());
                } else if self.voice.verbose() > 1 {
                    self.voice.say(Weight::Detail, line());
                }
            }
            Ok(_) => {
                let age = Duration::from_nanos(
                    self.started.as_nanos().saturating_sub(datagram.received_at.as_nanos()),
                );
                if !age.is_zero() {
                    let line = format!(
                        "a message from {from} came {age:.1?} before this run began and is no evidence of now"
                    );
                    self.voice.say_once(Weight::Info, line);
                }
            }
        }
    }

    fn heed_notice(&mut self, notice: Notice) {
        let port = self.settings.ipport;
        self.port_trouble = match &notice {
            Notice::PortInUse(trouble) | Notice::Trouble(trouble) => Some(trouble.clone()),
            Notice::ServedInVain(peer) => Some(format!(
                "UDP port {port} is in use by another program, also for process {}, which waits for it",
                peer.pid
            )),
            Notice::Listening | Notice::Served(_) => None,
            Notice::Bereft | Notice::Hangs(_) | Notice::Untrusted(_) => self.port_trouble.take(),
        };
        match notice {
            Notice::Listening => self.voice.say(Weight::Detail, format!("UDP port {port} is open")),
            Notice::Served(peer) => self.voice.say(
                Weight::Detail,
                format!("process {} reads UDP port {port} for this one, too", peer.pid),
            ),
            Notice::Bereft => self.voice.say(
                Weight::Detail,
                format!("the process that read UDP port {port} is gone; going on without it"),
            ),
            Notice::Hangs(peer) => self.voice.say_once(
                Weight::Warning,
                format!(
                    "process {} reads UDP port {port} but does not answer; reading in its place",
                    peer.pid
                ),
            ),
            Notice::Untrusted(who) => self.voice.say_once(
                Weight::Warning,
                format!("{who} and is not believed; reading UDP port {port} without it"),
            ),
            Notice::PortInUse(_) | Notice::Trouble(_) | Notice::ServedInVain(_) => {
                if let Some(trouble) = &self.port_trouble {
                    let line = format!("{trouble}; trying again until the time is up");
                    self.voice.say_once(Weight::Warning, line);
                }
            }
        }
    }

    fn tell_success(&self, from: Address, heard_at: Instant) {
        let node = self.node_at(&[from]);
        let after = heard_at.saturating_since(self.started);
        let decided = clock::now().saturating_since(heard_at);
        self.voice.say(
            Weight::Info,
            format!("{node} is in its crash kernel: heard after {:.1} s", after.as_secs_f64()),
        );
        self.voice.say(Weight::Detail, format!("from that message to this verdict: {decided:.1?}"));
    }

    /// The node's name and these of its addresses, unless they are the same.
    fn node_at(&self, addresses: &[Address]) -> String {
        let title = self.inquiry.node().title();
        match join(addresses) {
            addresses if addresses.is_empty() || addresses == title => title,
            addresses => format!("{title} ({addresses})"),
        }
    }

    fn tell_failure(&self) {
        let believed: Vec<_> = self.inquiry.believed().addresses.iter().copied().collect();
        let node = self.node_at(&believed);
        let mut line = format!(
            "{node} is not known to be in its crash kernel: no message within {} s",
            self.settings.timeout.as_secs()
        );
        if let Some(instead) = self.tally.told() {
            line.push_str("; heard instead: ");
            line.push_str(&instead);
        }
        if believed.is_empty() && !self.unfound.is_empty() {
            let names: Vec<_> = self.unfound.iter().take(8).map(String::as_str).collect();
            line.push_str("; no address was found for: ");
            line.push_str(&names.join(", "));
        }
        if let Some(trouble) = &self.port_trouble {
            line.push_str("; ");
            line.push_str(trouble);
        }
        self.voice.say(Weight::Error, line);
    }
}

/// Waits for names; never comes back when there will be none. Cancel-safe.
async fn next_found(lookups: &mut mpsc::UnboundedReceiver<Found>, found: &mut Vec<Found>) -> usize {
    match lookups.recv_many(found, 256).await {
        0 => std::future::pending().await,
        count => count,
    }
}

/// At most eight addresses.
fn join(addresses: &[Address]) -> String {
    let mut texts: Vec<_> = addresses.iter().take(8).map(ToString::to_string).collect();
    if addresses.len() > texts.len() {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}
