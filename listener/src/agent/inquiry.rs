//! The question of one run, and what is known that bears on it. Here, and only here, the agent
//! decides.

use std::collections::HashMap;
use std::time::Duration;

use fence_kdump_core::{
    CrashId, DecodeError, Disbelief, Instant, MAX_AGE, NodeId, Nonce, Phase, Policy, Proof,
    Question, Signed, Slot, Tracker, Verdict, max_age, session,
};

use crate::address::Address;
use crate::nodes::{Believed, Node};
use crate::proof::{Examiner, Packet, Watched};
use crate::socket::Datagram;
use crate::store::Hearing;

/// Is this node in its crash kernel?
#[derive(Debug)]
pub struct Inquiry {
    started: Instant,
    deadline: Instant,
    node: Node,
    believed: Believed,
    policy: Policy,
    examiner: Option<Examiner>,
    /// The keys and challenges of each of the names, in lower case.
    watched: HashMap<String, Watched>,
    /// The latest message from each address of any of the names, believed by now or not.
    heard: HashMap<Address, Datagram>,
    /// What was proven of each of the names, in lower case, believed by now or not.
    proven: HashMap<String, Proven>,
    /// When a message came that may be the node's and said that the dump is over, whether proven or not.
    ended: Option<Instant>,
}

/// What was proven of one name.
#[derive(Debug, Default)]
struct Proven {
    /// The latest message that is known to be no replay.
    signed: Option<Datagram>,
    /// The latest one that answered a challenge.
    live: Option<Datagram>,
    /// With this message of this crash the node said that it is about to reboot.
    end: Option<(CrashId, u64)>,
}

/// What the inquiry has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// The node is in its crash kernel.
    InCrashKernel {
        /// The address of the latest message.
        from: Address,
        /// When it arrived.
        heard_at: Instant,
        /// What it proved.
        proof: Proof,
    },
    /// It is not known to be.
    Open,
    /// It was not known to be by the deadline.
    TooLate,
}

/// What came of one datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Heard {
    /// What it was.
    pub found: Found,
    /// It has a right MAC: then this is what has to be remembered, and [`Inquiry::judged`] wants to know
    /// what became of it;
    pub hearing: Option<Hearing>,
    /// and this is to be sent back to where it came from.
    pub challenge: Option<Packet>,
}

/// What one datagram was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No message.
    Refused(DecodeError),
    /// A message that does not count.
    Disbelieved(Disbelief),
    /// A message from the node's address that is signed as somebody else.
    SignedAs(String),
    /// A message with a right MAC, of which it is not known yet whether it counts.
    Right,
    /// A message that counts.
    Counts(Proof),
}

impl From<Found> for Heard {
    fn from(found: Found) -> Self {
        Self { found, hearing: None, challenge: None }
    }
}

impl Inquiry {
    /// Asks about `node` from `started` to `deadline`. Without an `examiner` nothing can be proven, and
    /// no policy but *plain* is ever satisfied.
    #[must_use]
    pub fn new(
        node: Node,
        (policy, examiner): (Policy, Option<Examiner>),
        started: Instant,
        deadline: Instant,
    ) -> Self {
        let believed = node.believed();
        let (heard, proven, watched) = (HashMap::new(), HashMap::new(), HashMap::new());
        let ended = None;
        Self { started, deadline, node, believed, policy, examiner, watched, heard, proven, ended }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whose messages count by now.
    #[must_use]
    pub fn believed(&self) -> &Believed {
        &self.believed
    }

    /// What messages have to prove.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// More is known of the node's names. True when the rule by which addresses count has changed.
    pub fn learn(&mut self, learn: impl FnOnce(&mut Node)) -> bool {
        learn(&mut self.node);
        let before = std::mem::replace(&mut self.believed, self.node.believed());
        before.rule != self.believed.rule
    }

    /// A datagram came; it is `now`. Only whole, valid messages are kept, and only the latest of each
    /// address and each name that is the node's, or may turn out to be. Nothing is kept or computed
    /// for strangers. `random` gives the nonce of a new challenge.
    pub fn hear(
        &mut self,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        let message = match datagram.message() {
            Ok(message) => message,
            Err(error) => return Found::Refused(error).into(),
        };
        if !self.is_stranger(datagram.from) {
            let known = self.heard.entry(datagram.from).or_insert_with(|| datagram.clone());
            keep_latest(known, datagram);
        }
        let rule = &self.believed.rule;
        let claimed = message.extension.and_then(|said| said.node_name);
        let claimed = claimed.map(str::to_ascii_lowercase).unwrap_or_default();
        let may_count = self.node.may_be_signed_by(rule, &claimed);
        let phase = message.extension.and_then(|said| said.phase);
        if phase.is_some_and(Phase::is_end) && (may_count || !self.is_stranger(datagram.from)) {
            self.ended = self.ended.max(Some(datagram.received_at));
        }
        match message.signed() {
            Some(signed) if may_count => {
                let at = datagram.received_at;
                let examined = self.examiner.as_ref().map(|examiner| {
                    let watched = self.watched.entry(claimed).or_default();
                    examiner.examine(watched, at, now, &signed, random)
                });
                match examined {
                    Some(Ok(right)) => {
                        let phase = message.report(Proof::Signed).phase;
                        let found = self.right(datagram, &signed, right.is_live, phase);
                        let hearing = Some(Hearing::new(at, &signed, right.is_live));
                        Heard { found, hearing, challenge: right.challenge }
                    }
                    Some(Err(disbelief)) => self.plain(datagram.from, disbelief).into(),
                    None => self.plain(datagram.from, Disbelief::UnknownKey).into(),
                }
            }
            Some(_) if self.counts(datagram.from) => {
                let found = self.policy.admit(Proof::Plain).map(Found::Counts);
                found.unwrap_or(Found::SignedAs(claimed)).into()
            }
            None if may_count => self.plain(datagram.from, Disbelief::Unsigned).into(),
            Some(_) | None => self.plain(datagram.from, Disbelief::Stranger).into(),
        }
    }

    /// A message has a right MAC.
    fn right(
        &mut self,
        datagram: &Datagram,
        signed: &Signed<'_>,
        is_live: bool,
        phase: Option<Phase>,
    ) -> Found {
        let name = signed.node_name.to_ascii_lowercase();
        let counts = self.node.is_signed_by(&self.believed.rule, &name);
        let proven = self.proven.entry(name).or_default();
        if phase.is_some_and(Phase::is_end) {
            // Known from now on, whenever the memory gets round to saying that it is no replay.
            proven.end = Some((signed.crash_id, signed.sequence));
        }
        if is_live {
            keep_latest(proven.live.get_or_insert_with(|| datagram.clone()), datagram);
        }
        match self.policy.admit(Proof::Live) {
            Ok(proof) if is_live && counts => Found::Counts(proof),
            Err(disbelief) if is_live && counts => Found::Disbelieved(disbelief),
            _ if self.policy == Policy::Plain && self.counts(datagram.from) => {
                Found::Counts(Proof::Plain)
            }
            _ => Found::Right,
        }
    }

    /// What the memory says of a message with a right MAC.
    pub fn judged(&mut self, datagram: &Datagram, result: Result<(), Disbelief>) -> Found {
        let signed = datagram.message().ok().and_then(|message| message.signed());
        let Some(signed) = signed else {
            return Found::Disbelieved(Disbelief::Unsigned);
        };
        if let Err(disbelief) = result {
            return self.plain(datagram.from, disbelief);
        }
        let name = signed.node_name.to_ascii_lowercase();
        let counts = self.node.is_signed_by(&self.believed.rule, &name);
        let proven = self.proven.entry(name).or_default();
        keep_latest(proven.signed.get_or_insert_with(|| datagram.clone()), datagram);
        match self.policy.admit(Proof::Signed) {
            Ok(proof) if counts => Found::Counts(proof),
            Err(disbelief) if counts => Found::Disbelieved(disbelief),
            Ok(_) | Err(_) => Found::Right,
        }
    }

    /// What a message is that proved nothing but where it came from, and for want of what.
    fn plain(&self, from: Address, disbelief: Disbelief) -> Found {
        match (self.policy.admit(Proof::Plain), self.counts(from)) {
            (Ok(proof), true) => Found::Counts(proof),
            (Ok(_), false) if disbelief == Disbelief::Unsigned => {
                Found::Disbelieved(Disbelief::Stranger)
            }
            (Err(unsigned), true) if disbelief == Disbelief::Stranger => {
                Found::Disbelieved(unsigned)
            }
            (Ok(_) | Err(_), _) => Found::Disbelieved(disbelief),
        }
    }

    fn counts(&self, from: Address) -> bool {
        self.believed.addresses.contains(&from)
    }

    /// Whether `from` is no address of any of the names.
    #[must_use]
    pub fn is_stranger(&self, from: Address) -> bool {
        !self.counts(from) && !self.node.has(from)
    }

    /// What is known at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        if now >= self.deadline {
            return Standing::TooLate;
        }
        let mut evidence: Vec<_> = self.evidence().collect();
        evidence.sort_by_key(|(datagram, proof)| (datagram.received_at, *proof));
        let node = NodeId(0);
        let mut tracker = Tracker::new([Slot::EMPTY], session::SILENCE);
        for (datagram, proof) in &evidence {
            if let Ok(message) = datagram.message() {
                let _ = tracker.hear(datagram.received_at, node, &message.report(*proof));
            }
        }
        let latest = evidence.last().map(|(datagram, _)| datagram.received_at);
        let latest = evidence.iter().filter(|(datagram, _)| Some(datagram.received_at) == latest);
        let max_age = latest.map(|(datagram, _)| may_be_old(datagram)).min();
        let question = Question::since(self.started, now, max_age.unwrap_or_default());
        let question = question.under(self.policy);
        match (tracker.verdict(node, question), evidence.last()) {
            (Verdict::InCrashKernel(found), Some((latest, proof))) => Standing::InCrashKernel {
                from: latest.from,
                heard_at: found.heard_at,
                proof: *proof,
            },
            (Verdict::InCrashKernel(_), None) | (Verdict::NotKnown(_), _) => Standing::Open,
        }
    }

    /// Whether `datagram` came so long ago that it is no evidence at `now`.
    #[must_use]
    pub fn is_too_old(&self, datagram: &Datagram, now: Instant) -> bool {
        let question = Question::since(self.started, now, may_be_old(datagram)).under(self.policy);
        datagram.received_at < question.not_before
    }

    /// The messages that count, by what is known now.
    fn evidence(&self) -> impl Iterator<Item = (&Datagram, Proof)> {
        let plain = self.heard.iter().filter(|(from, _)| self.counts(**from));
        let plain = plain.map(|(_, datagram)| (datagram, Proof::Plain));
        let rule = &self.believed.rule;
        let proven = self.proven.iter().filter(|(name, _)| self.node.is_signed_by(rule, name));
        let proven = proven.flat_map(|(_, Proven { signed, live, .. })| {
            let signed = signed.as_ref().map(|datagram| (datagram, Proof::Signed));
            let live = live.as_ref().map(|datagram| (datagram, Proof::Live));
            signed.into_iter().chain(live)
        });
        plain
            .chain(proven)
            .filter(|(_, proof)| self.policy.admit(*proof).is_ok())
            .filter(|(datagram, proof)| !self.is_over(datagram, *proof))
            .filter(|(datagram, proof)| *proof > Proof::Plain || !self.may_have_ended(datagram))
    }

    /// Whether a message from before the start came so soon after the node had said that its dump is
    /// over that it may be of that dump: an address does not tell one crash from another.
    fn may_have_ended(&self, datagram: &Datagram) -> bool {
        let at = datagram.received_at;
        at < self.started && self.ended.is_some_and(|end| at <= end.saturating_add(MAX_AGE))
    }

    /// Whether the node has said meanwhile that it is about to reboot.
    fn is_over(&self, datagram: &Datagram, proof: Proof) -> bool {
        let signed = datagram.message().ok().and_then(|message| message.signed());
        let known = signed.and_then(|signed| {
            let (crash_id, end) = self.proven.get(&signed.node_name.to_ascii_lowercase())?.end?;
            Some((signed, crash_id, end))
        });
        known.is_some_and(|(signed, crash_id, end)| {
            // The one that says so ends the session, unless only its address counts.
            let is_before = signed.sequence < end;
            let is_it = signed.sequence == end && proof == Proof::Plain;
            signed.crash_id == crash_id && (is_before || is_it)
        })
    }
}

/// What cannot be read makes nothing young.
fn may_be_old(datagram: &Datagram) -> Duration {
    datagram.message().map_or(Duration::ZERO, |said| max_age(&said))
}

fn keep_latest(known: &mut Datagram, datagram: &Datagram) {
    if known.received_at < datagram.received_at {
        known.clone_from(datagram);
    }
}

#[cfg(test)]
mod signed_tests;
#[cfg(test)]
mod tests;
