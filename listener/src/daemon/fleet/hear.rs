//! The corridor that a message walks here: whose it is, what it proves, whether it is believed, and what it changes.

use std::num::NonZeroU32;

use fence_kdump_core::{
    Crash, Disbelief, Event, Instant, KeyId, Message, NodeId, Nonce, Outcome, Phase, Policy, Proof,
    Report, Session,
};

use super::{Fleet, Heard, Signer, Ticket, Told};
use crate::daemon::chronicle::Happening;
use crate::fleet::event::Kind;
use crate::socket::{Datagram, Words};
use crate::store::Hearing;

impl Fleet {
    /// From whose addresses these came, in their order.
    ///
    /// All of them at once, and a look at what is known of each, so that the processor waits for its memory once for
    /// many and not for each when it is heard.
    pub(in crate::daemon) fn look_up(&self, batch: &[Datagram]) -> Vec<Option<NodeId>> {
        let whose: Vec<_> = batch.iter().map(|datagram| self.registry.at(datagram.from)).collect();
        for (node, datagram) in whose.iter().zip(batch) {
            let Some(node) = *node else { continue };
            std::hint::black_box(self.tracker.session(node).and_then(Session::phase));
            std::hint::black_box(self.seen.get(node).map(|seen| seen.course));
            if datagram.said.as_ref().is_ok_and(Words::is_signed) {
                let name = self.registry.key_name(node).unwrap_or_default();
                std::hint::black_box(name.as_bytes().first().copied());
                self.signers.get(node).map(Signer::touch);
                self.remembered.touch(node);
            }
        }
        whose
    }

    /// A datagram came; it is `now`. `random` gives the nonce of a new challenge.
    pub fn hear(
        &mut self,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        self.hear_from(self.registry.at(datagram.from), datagram, now, random)
    }

    /// The same of one that came from an address of `whose`.
    pub(in crate::daemon) fn hear_from(
        &mut self,
        whose: Option<NodeId>,
        datagram: &Datagram,
        now: Instant,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Heard {
        self.is_kept = false;
        let is_short = datagram.said.as_ref().is_ok_and(|said| said.short().is_some());
        if is_short {
            // As most are: nothing in it is to be looked at.
            return self.plain((whose, datagram), None, Disbelief::Unsigned).into();
        }
        let message = match datagram.message() {
            Ok(message) => message,
            Err(error) => {
                let _ = self.tracker.refuse(error);
                return Heard::default();
            }
        };
        let claimed = message.extension.and_then(|said| said.node_name);
        let by_name = claimed.and_then(|name| self.registry.signed_from(name, whose));
        let (Some(signed), Some(node)) = (message.signed(), by_name) else {
            return self.plain((whose, datagram), by_name, Disbelief::Unsigned).into();
        };
        let Some((examiner, signer)) = self.examiner.as_ref().zip(self.signers.of(node)) else {
            return self.plain((whose, datagram), by_name, Disbelief::UnknownKey).into();
        };
        let Signer { watched, ledger } = signer;
        match examiner.examine(watched, datagram.received_at, now, &signed, random) {
            Ok(right) => {
                let (is_live, at) = (right.is_live, datagram.received_at);
                let is_end =
                    message.extension.and_then(|said| said.phase).is_some_and(Phase::is_end);
                let known = ledger.judge(at, &signed, is_live, is_end);
                let proof = match (is_live, known) {
                    (true, _) => Some(Ok(Proof::Live)),
                    (false, known) => known.map(|result| result.map(|()| Proof::Signed)),
                };
                let told = match proof {
                    Some(Ok(proof)) => self.proven(node, datagram, &message, proof),
                    Some(Err(why)) => self.plain((whose, datagram), Some(node), why),
                    None => None,
                };
                let pending = || {
                    let (name, datagram) = (self.name(node), datagram.clone());
                    let ticket = Ticket { node, name, datagram, is_live };
                    Box::new((Hearing::new(at, &signed, is_live), ticket))
                };
                let hearing = known.is_none().then(pending);
                Heard { told, challenge: right.challenge.map(Box::new), hearing }
            }
            Err(disbelief) => self.plain((whose, datagram), by_name, disbelief).into(),
        }
    }

    /// Whether the message that was heard last is among those that [`Fleet::remembered`] tells of.
    #[must_use]
    pub fn has_kept(&self) -> bool {
        self.is_kept
    }

    /// This much of the crash of a message that [`Fleet::hear`] wanted to have remembered is on the disk.
    pub fn on_disk(&mut self, ticket: &Ticket, crash: Crash) {
        let Ticket { node, datagram, .. } = ticket;
        let Some(signed) = datagram.message().ok().and_then(|message| message.signed()) else {
            return;
        };
        // Its number may be another one's by now, or it may sign by another name.
        let is_still = self.registry.signed_from(signed.node_name, Some(*node)) == Some(*node);
        if let Some(signer) = self.signers.get_mut(*node).filter(|_| is_still) {
            signer.ledger.written(datagram.received_at, &signed, crash);
        }
    }

    /// What the memory says of a message that [`Fleet::hear`] wanted to have remembered: what that
    /// changed.
    pub fn judged(&mut self, ticket: &Ticket, result: Result<(), Disbelief>) -> Option<Box<Told>> {
        let Ticket { node, name, datagram, is_live } = ticket;
        if *is_live || self.registry.name(*node) != Some(name) {
            return None;
        }
        match (datagram.message(), result) {
            (Ok(message), Ok(())) => self.proven(*node, datagram, &message, Proof::Signed),
            (_, Err(disbelief)) => {
                if disbelief == Disbelief::Unremembered {
                    // An agent may challenge it.
                    self.remember(*node, Proof::Signed, datagram);
                }
                let whose = self.registry.at(datagram.from);
                self.plain((whose, datagram), Some(*node), disbelief)
            }
            (Err(_), Ok(())) => None,
        }
    }

    /// A message proved who sent it.
    fn proven(
        &mut self,
        node: NodeId,
        datagram: &Datagram,
        message: &Message<'_>,
        proof: Proof,
    ) -> Option<Box<Told>> {
        match self.policy(node).admit(proof) {
            Ok(proof) => {
                let key_id = message.signed().map(|signed| signed.key_id);
                self.believe(node, datagram, &message.report(proof), key_id)
            }
            Err(disbelief) => {
                // An agent may challenge it, or ask for less.
                self.remember(node, proof, datagram);
                self.disbelieve(Some(node), datagram, disbelief)
            }
        }
    }

    /// A message proved nothing but where it came from, for want of what `disbelief` says.
    fn plain(
        &mut self,
        (by_address, datagram): (Option<NodeId>, &Datagram),
        by_name: Option<NodeId>,
        disbelief: Disbelief,
    ) -> Option<Box<Told>> {
        let believed = by_address.filter(|id| self.policy(*id).admit(Proof::Plain).is_ok());
        match believed {
            Some(node) => self.believe(node, datagram, &Report::PLAIN, None),
            None => {
                let signing = |id: &NodeId| self.policy(*id) != Policy::Plain;
                let whose = by_name.filter(signing).or(by_address);
                let cause = if whose.is_some() { disbelief } else { Disbelief::Stranger };
                self.disbelieve(whose, datagram, cause)
            }
        }
    }

    /// A message of `node` counts: `report`, and the key that it was signed with.
    fn believe(
        &mut self,
        node: NodeId,
        datagram: &Datagram,
        report: &Report,
        key_id: Option<KeyId>,
    ) -> Option<Box<Told>> {
        let Datagram { received_at, from, .. } = datagram;
        let Outcome::Heard { event, .. } = self.tracker.hear(*received_at, node, report) else {
            return None;
        };
        let latest = self.tracker.session(node).and_then(Session::last_heard);
        let seen = self.seen.of(node)?;
        if latest == Some(*received_at) {
            if seen.from.replace(*from) != Some(*from) {
                seen.short = None;
            }
            seen.interval = report.interval.and_then(NonZeroU32::new);
        }
        seen.key_id = key_id.or(seen.key_id);
        // A node may well send plain messages beside signed ones.
        seen.told.keep(Disbelief::Unsigned);
        self.is_kept = true;
        // One that was overtaken by another one from elsewhere is no use to anybody.
        let mut overtaken = None;
        let is_from_there = seen.from == Some(*from);
        let short = if is_from_there { &mut seen.short } else { &mut overtaken };
        self.remembered.remember(node, report.proof, datagram, short);
        let kind = match event {
            Event::Started => Kind::Started,
            Event::Dumping | Event::Phase(Phase::Dumping) => Kind::Dumping,
            Event::Phase(_) => Kind::Phase,
            Event::Finished if report.phase == Some(Phase::Leaving) => Kind::Rebooted,
            Event::Finished => Kind::Finished,
            _ => return None,
        };
        let happening = Happening { node: self.name(node), kind, from: Some(*from) };
        Some(Box::new(Told::Event(self.happened(happening, node)?)))
    }

    /// One that is not believed as it is; what an address alone vouches for is never among them.
    fn remember(&mut self, node: NodeId, proof: Proof, datagram: &Datagram) {
        self.is_kept = true;
        if let Some(seen) = self.seen.of(node) {
            self.remembered.remember(node, proof, datagram, &mut seen.short);
        }
    }

    /// Told once for each cause, until something is believed again.
    fn disbelieve(
        &mut self,
        node: Option<NodeId>,
        datagram: &Datagram,
        cause: Disbelief,
    ) -> Option<Box<Told>> {
        let _ = self.tracker.disbelieve(cause);
        let Some(node) = node else {
            self.candidates.hear(datagram);
            return None;
        };
        let seen = self.seen.of(node)?;
        // Each message that is no answer is unproven; whether an answer follows, shows.
        if cause == Disbelief::Unproven || !seen.told.add(cause) {
            return None;
        }
        let (name, from) = (self.name(node), datagram.from);
        let line = format!("{name}: a message from {from} does not count: {cause}");
        Some(Box::new(Told::Disbelief(line)))
    }
}
