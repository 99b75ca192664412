//! `off`: waits until the node is known to be in its crash kernel.

use std::collections::BTreeSet;
use std::time::Duration;

use fence_kdump_core::{DecodeError, Disbelief, Instant, Policy, Proof};
use tokio::sync::mpsc;

use super::inquiry::{Found, Heard, Inquiry, Standing};
use super::tally::Tally;
use super::telling::join;
use super::{Ending, credentials, left};
use crate::clock;
use crate::control::packet::Status;
use crate::line::{Line, News};
use crate::lookup::{self, Found as Name};
use crate::nodes::{Known, Node};
use crate::options::Settings;
use crate::proof::{self, Packet};
use crate::scribe::{self, Judged, Scribe};
use crate::socket::Datagram;
use crate::store::began;
use crate::voice::{Voice, Weight};

/// How many datagrams that are no messages get a line of their own, without and with `-v`.
const LINES: [u64; 2] = [3, 100];

/// A message that is being remembered, and whether it is live and counts already.
pub(super) type Ticket = (Datagram, bool);

/// What this run waits for, and what it has come to.
pub(super) struct Wait<'a> {
    pub(super) settings: &'a Settings,
    pub(super) voice: &'a Voice,
    pub(super) inquiry: Inquiry,
    pub(super) started: Instant,
    pub(super) line: Line,
    pub(super) tally: Tally,
    pub(super) unfound: BTreeSet<String>,
    pub(super) port_trouble: Option<String>,
    /// Has remembered what was heard; `None` without keys, or when the system makes no process.
    pub(super) scribe: Option<Scribe<Ticket>>,
    pub(super) state_trouble: Option<String>,
}

/// Waits until the node of `settings` is known to be in its crash kernel, at most until `deadline`.
pub fn off(settings: &Settings, started: Instant, deadline: Instant, voice: &Voice) -> Ending {
    let node = Node::new(&settings.nodename, settings.port.as_deref(), settings.family);
    let fail = |why: &str| {
        voice.say(Weight::Error, format!("off: {why}"));
        Ending::Unwell
    };
    if node.names().next().is_none() {
        return fail("nodename or port is needed, to know whose message counts");
    }
    let names: Vec<_> = node.names().map(|name| name.text.as_str()).collect();
    let (policy, examiner) = match credentials::load(settings, &names, deadline) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&format!("nothing can be verified: {error}")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot wait for anything: {error}")),
    };
    let mut state_trouble = None;
    let scribe = examiner.as_ref().and_then(|_| match Scribe::start(&settings.state_dir) {
        Ok(scribe) => Some(scribe),
        Err(error) => {
            state_trouble = Some(format!("state_dir: no process to remember with: {error}"));
            None
        }
    });
    let wait = Wait {
        settings,
        voice,
        inquiry: Inquiry::new(node, (policy, examiner), started, deadline),
        started,
        line: Line::new(settings.ipport),
        tally: Tally::default(),
        unfound: BTreeSet::new(),
        port_trouble: None,
        scribe,
        state_trouble,
    };
    let ending = runtime.block_on(wait.run(deadline));
    // Whoever is still looking up a name is not waited for.
    runtime.shutdown_background();
    ending
}

impl Wait<'_> {
    async fn run(mut self, deadline: Instant) -> Ending {
        let names = self.names();
        if self.settings.key_file.is_some() {
            // Who is signed needs no address.
            self.line.ask(&[], &names);
        }
        let mut lookups = lookup::start(names, self.settings.family);
        let mut found = Vec::new();
        let timeout = tokio::time::sleep(left(deadline));
        tokio::pin!(timeout);
        self.tell_beginning();
        loop {
            // Before anything that waits is looked at, however long this process did not run.
            match self.inquiry.standing(clock::now()) {
                Standing::InCrashKernel { from, heard_at, proof } => {
                    self.line.leave();
                    self.tell_success(from, heard_at, proof);
                    self.hand_over();
                    return Ending::InCrashKernel;
                }
                Standing::TooLate => {
                    self.line.leave();
                    self.tell_failure();
                    self.hand_over();
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
                news = next_judged(&mut self.scribe) => self.heed_scribe(news),
                news = self.line.next() => self.heed(news),
            }
        }
    }

    /// What was heard is remembered, though this process ends.
    fn hand_over(&mut self) {
        if let Some(scribe) = self.scribe.take() {
            scribe.finish();
        }
    }

    /// Every different name.
    fn names(&self) -> Vec<String> {
        let names: BTreeSet<_> =
            self.inquiry.node().names().map(|name| name.text.clone()).collect();
        names.into_iter().collect()
    }

    fn learn(&mut self, found: &mut Vec<Name>) {
        let mut new = Vec::new();
        let mut rule_changed = false;
        for Name { name, known, remarks } in found.drain(..) {
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
                        // Who is signed needs no address.
                        let weight = match self.inquiry.policy() {
                            Policy::Plain => Weight::Warning,
                            Policy::Signed | Policy::Live => Weight::Info,
                        };
                        self.voice.say_once(weight, line);
                    }
                }
                Known::Pending => {}
            }
            rule_changed |= self.inquiry.learn(|node| node.learn(&name, &known));
        }
        self.line.ask(&new, &[]);
        if rule_changed
            && let Some(warning) = self.inquiry.node().warning(&self.inquiry.believed().rule)
        {
            self.voice.say_once(Weight::Warning, warning);
        }
    }

    fn heed(&mut self, news: News) {
        match news {
            News::Datagrams(batch) => {
                batch.iter().for_each(|datagram| self.hear(datagram));
                self.line.reuse(batch);
            }
            News::Notice(notice) => self.heed_notice(notice),
            News::StatusAsked(id, _) => {
                let program = "fence_kdump".to_owned();
                self.line.tell_status(id, Status { program, ..Status::default() });
            }
            // The line remembers as much as this one.
            News::Asked { .. } => {}
        }
    }

    fn hear(&mut self, datagram: &Datagram) {
        let Heard { found, hearing, challenge } =
            self.inquiry.hear(datagram, clock::now(), proof::random);
        self.tell_found(datagram, &found);
        if let Some(challenge) = &challenge {
            self.challenge(datagram, challenge);
        }
        let Some(hearing) = hearing else {
            return;
        };
        let ticket = (datagram.clone(), found == Found::Counts(Proof::Live));
        let judged = match &mut self.scribe {
            Some(scribe) => scribe.submit(&hearing, datagram, ticket),
            None => {
                let result = Err(Disbelief::Unremembered);
                Some(Judged { ticket, result, trouble: None })
            }
        };
        if let Some(judged) = judged {
            self.judged(judged);
        }
    }

    fn challenge(&self, datagram: &Datagram, challenge: &Packet) {
        let Datagram { from, port, .. } = datagram;
        match self.line.send(*from, *port, challenge) {
            Ok(()) => {
                self.voice.say_once(Weight::Detail, format!("challenged {from}"));
            }
            Err(error) => {
                let line = format!("no challenge could be sent to {from}: {error}");
                self.voice.say_once(Weight::Detail, line);
            }
        }
    }

    fn heed_scribe(&mut self, news: scribe::News<Ticket>) {
        match news {
            scribe::News::Judged(judged) => self.judged(judged),
            scribe::News::Began(path) => self.voice.say_once(Weight::Info, began(&path)),
            scribe::News::Trouble(trouble) => self.tell_state_trouble(&trouble),
        }
    }

    fn judged(&mut self, judged: Judged<Ticket>) {
        let Judged { ticket: (datagram, counts_already), result, trouble } = judged;
        if let Some(trouble) = trouble {
            self.tell_state_trouble(&trouble);
        }
        if !counts_already {
            let found = self.inquiry.judged(&datagram, result);
            self.tell_found(&datagram, &found);
        }
    }

    /// One line for the first of each kind, more with `-v`; all are counted.
    fn tell_found(&mut self, datagram: &Datagram, found: &Found) {
        let from = datagram.from;
        let title = self.inquiry.node().title();
        let (first, line) = match found {
            Found::Refused(error) => {
                self.tell_refused(datagram, *error);
                return;
            }
            Found::Disbelieved(Disbelief::Stranger) => {
                let line = format!("heard a message from {from}, which is not known to be {title}");
                (self.tally.stranger(from).then_some(Weight::Info), line)
            }
            // The latest message counts, and those before it need not.
            Found::Disbelieved(Disbelief::Replayed) if datagram.received_at < self.started => {
                let line = format!("a message of {title} from {from} is not its latest");
                (None, line)
            }
            Found::Disbelieved(cause) => {
                let signed = datagram.message().ok().and_then(|message| message.signed());
                let key_id = signed.map(|signed| signed.key_id);
                let first = self.tally.disbelieved(*cause, from, key_id);
                let weight = match cause {
                    // It was challenged; the answer is on its way.
                    Disbelief::Unproven => Weight::Detail,
                    // A node may well send plain messages beside signed ones.
                    Disbelief::Unsigned => Weight::Info,
                    _ => Weight::Warning,
                };
                let line = format!("a message of {title} from {from} does not count: {cause}");
                (first.then_some(weight), line)
            }
            Found::SignedAs(name) => {
                let first = self.tally.signed_as(name);
                let line = format!(
                    "a message from {from}, an address of {title}, is signed as {name}, and does not count"
                );
                (first.then_some(Weight::Warning), line)
            }
            Found::Right | Found::Counts(_) => {
                let now = clock::now();
                if self.inquiry.is_too_old(datagram, now) {
                    let at = datagram.received_at;
                    let when = match self.started.saturating_since(at) {
                        Duration::ZERO => format!("{:.1?} ago", now.saturating_since(at)),
                        before => format!("{before:.1?} before this run began"),
                    };
                    let line =
                        format!("a message from {from} came {when} and is no evidence of now");
                    self.voice.say_once(Weight::Info, line);
                }
                return;
            }
        };
        match first {
            Some(weight) => self.voice.say(weight, line),
            None if self.voice.verbose() > 1 => self.voice.say(Weight::Detail, line),
            None => {}
        }
    }

    fn tell_refused(&mut self, datagram: &Datagram, error: DecodeError) {
        let from = datagram.from;
        let own = self.inquiry.believed().addresses.contains(&from);
        self.tally.refused(error, own);
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
}

/// Waits for names; never comes back when there will be none. Cancel-safe.
async fn next_found(lookups: &mut mpsc::UnboundedReceiver<Name>, found: &mut Vec<Name>) -> usize {
    match lookups.recv_many(found, 256).await {
        0 => std::future::pending().await,
        count => count,
    }
}

/// Waits for the memory; never comes back without one. Cancel-safe.
async fn next_judged(scribe: &mut Option<Scribe<Ticket>>) -> scribe::News<Ticket> {
    match scribe {
        Some(scribe) => scribe.next().await,
        None => std::future::pending().await,
    }
}
