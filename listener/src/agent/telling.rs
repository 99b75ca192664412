//! What `off` tells people.

use fence_kdump_core::{Instant, Policy, Proof};

use super::off::Wait;
use crate::address::Address;
use crate::clock;
use crate::line::Notice;
use crate::scribe::Scribe;
use crate::voice::Weight;

impl Wait<'_> {
    pub(super) fn tell_beginning(&self) {
        let message = match self.inquiry.policy() {
            Policy::Plain => "a message",
            Policy::Signed => "a signed message",
            Policy::Live => "a signed answer",
        };
        self.voice.say(
            Weight::Info,
            format!(
                "waiting up to {} s for {message} of {} on UDP port {}",
                self.settings.timeout.as_secs(),
                self.inquiry.node().title(),
                self.settings.ipport
            ),
        );
    }

    /// Once, since each message that cannot be remembered would say the same.
    pub(super) fn tell_state_trouble(&mut self, trouble: &str) {
        let weight = match self.inquiry.policy() {
            Policy::Signed => Weight::Error,
            Policy::Plain | Policy::Live => Weight::Warning,
        };
        let line = format!("state_dir: {trouble}");
        self.voice.say_once(weight, line.clone());
        self.state_trouble = Some(line);
    }

    pub(super) fn heed_notice(&mut self, notice: Notice) {
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
            // Whoever cannot read a flood as fast as it is told loses the other one again and again.
            Notice::Served(peer) => self.voice.say_once(
                Weight::Detail,
                format!("process {} reads UDP port {port} for this one, too", peer.pid),
            ),
            Notice::Bereft => self.voice.say_once(
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

    pub(super) fn tell_success(&self, from: Address, heard_at: Instant, proof: Proof) {
        let node = self.node_at(&[from]);
        let when = if heard_at < self.started {
            let before = self.started.saturating_since(heard_at);
            format!("{:.1} s before this run began", before.as_secs_f64())
        } else {
            let after = heard_at.saturating_since(self.started);
            format!("after {:.1} s", after.as_secs_f64())
        };
        let decided = clock::now().saturating_since(heard_at);
        let heard = match proof {
            Proof::Plain => "heard",
            Proof::Signed => "heard, signed,",
            Proof::Live => "heard, signed and live,",
        };
        self.voice.say(Weight::Info, format!("{node} is in its crash kernel: {heard} {when}"));
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

    pub(super) fn tell_failure(&self) {
        let believed: Vec<_> = self.inquiry.believed().addresses.iter().copied().collect();
        let node = self.node_at(&believed);
        let message = match self.inquiry.policy() {
            Policy::Plain => "no message",
            Policy::Signed => "no signed message that counts",
            Policy::Live => "no signed answer to a challenge",
        };
        let mut line = format!(
            "{node} is not known to be in its crash kernel: {message} within {} s",
            self.settings.timeout.as_secs()
        );
        if let Some(instead) = self.tally.told(&self.inquiry.node().title()) {
            line.push_str("; heard instead: ");
            line.push_str(&instead);
        }
        let by_address = self.inquiry.policy() == Policy::Plain;
        if by_address && believed.is_empty() && !self.unfound.is_empty() {
            let names: Vec<_> = self.unfound.iter().take(8).map(String::as_str).collect();
            line.push_str("; no address was found for: ");
            line.push_str(&names.join(", "));
        }
        let unanswered = self.scribe.as_ref().map_or(0, Scribe::unanswered);
        if unanswered > 0 {
            let dir = self.settings.state_dir.display();
            line.push_str(&format!(
                "; {unanswered} with a right MAC could not be remembered in time: does the disk of \
                 {dir} answer?"
            ));
        }
        for trouble in [&self.port_trouble, &self.state_trouble].into_iter().flatten() {
            line.push_str("; ");
            line.push_str(trouble);
        }
        self.voice.say(Weight::Error, line);
    }
}

/// At most eight addresses.
pub(super) fn join(addresses: &[Address]) -> String {
    let mut texts: Vec<_> = addresses.iter().take(8).map(ToString::to_string).collect();
    if addresses.len() > texts.len() {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}
