//! Sessions from one run of the daemon to the next.

use std::sync::Arc;

use fence_kdump_core::{Earlier, Instant, NodeId, Phase, Progress, Proof, Session};

use super::chronicle::{Dump, Happened, Happening};
use super::fleet::{Fleet, heard};
use crate::clock::unix_ms;
use crate::fleet::event::{Kind, phase_name, proof_name};
use crate::history::{self, Heard, Known};

impl Fleet {
    /// What is known of a session from before the start, unless its node is no longer there or was heard
    /// meanwhile. What that means for others to know: a session of before the host was started is lost, since
    /// nobody can tell how long ago it was.
    ///
    /// One that goes on may be silent from `now` on for as long as it might before: nobody listened.
    pub fn resume(&mut self, known: Known, now: Instant) -> Option<Happened> {
        let Known { session, heard } = known;
        let node = self.registry().named(&session.node)?;
        let is_over = session.end.is_some_and(Kind::is_end);
        if self.tracker.session(node).is_none_or(|known| known.messages() > 0) {
            return None;
        }
        let seen = self.seen.of(node)?;
        seen.dump = Dump::Earlier(session.id.as_str().into());
        seen.from = session.from;
        seen.end = session.end;
        let (silence, is_lost) = match heard {
            Some(Heard { silence, .. }) if !is_over => (Some(silence), false),
            Some(_) => (None, false),
            None => (None, !is_over),
        };
        if heard.is_none() && !is_lost {
            return None;
        }
        let Heard { first, last, .. } = heard.unwrap_or(Heard {
            first: now,
            last: now,
            silence: fence_kdump_core::session::SILENCE,
        });
        let earlier = Earlier {
            first,
            last: last.min(now),
            messages: session.messages,
            proof: proof_of(session.proof.as_deref()),
            phase: phase_of(session.phase.as_deref()),
            progress: Progress {
                done: session.done.unwrap_or(0),
                total: session.total.unwrap_or(0),
            },
        };
        let is_resumed = self.tracker.resume(node, &earlier, now, silence);
        self.set_active(node, is_resumed && silence.is_some());
        if !is_resumed || !is_lost {
            return None;
        }
        let name = self.registry().name(node).unwrap_or("?").into();
        self.happened(Happening { node: name, kind: Kind::Lost, from: None }, node)
    }

    /// The sessions that go on at `now`, to be written down.
    pub fn ongoing(&self, now: Instant) -> impl Iterator<Item = (history::Session, Heard)> {
        let ids = self.seen.keys();
        ids.filter_map(move |id| {
            let session = self.tracker.session(id)?;
            session.deadline()?;
            Some((self.written(id, session, now)?, heard(session)?))
        })
    }

    fn written(&self, id: NodeId, session: &Session, now: Instant) -> Option<history::Session> {
        let node: Arc<str> = self.registry().name(id)?.into();
        let seen = self.seen.get(id)?;
        let since = now.saturating_since(session.first_heard()?).as_millis();
        let progress = session.progress();
        let is_known = progress != Progress::default();
        Some(history::Session {
            id: self.chronicle.dump(&seen.dump)?,
            node,
            started_ms: unix_ms().saturating_sub(u64::try_from(since).unwrap_or(u64::MAX)),
            changed_ms: unix_ms(),
            end: None,
            from: seen.from,
            proof: session.proof().map(proof_name),
            phase: session.phase().and_then(phase_name),
            done: is_known.then_some(progress.done),
            total: Some(progress.total).filter(|total| *total > 0),
            messages: session.messages(),
        })
    }
}

/// What [`proof_name`] wrote; the least that it can be when that is not understood.
fn proof_of(name: Option<&str>) -> Proof {
    let known = [Proof::Plain, Proof::Signed, Proof::Live];
    let found = known.into_iter().find(|proof| Some(proof_name(*proof).as_str()) == name);
    found.unwrap_or(Proof::Plain)
}

/// What [`phase_name`] wrote.
fn phase_of(name: Option<&str>) -> Option<Phase> {
    (1..=5).map(Phase::of).find(|phase| name == Some(phase.name()))
}
