//! Sessions from one run of the daemon to the next, by way of the history.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fence_kdump_core::{Earlier, Instant, NodeId, Progress, Proof, Session};

use tokio::time::{Instant as Timer, sleep_until};

use super::chronicle::{Dump, Happened, Happening};
use super::fleet::{Course, Fleet, heard};
use super::{Run, herald};
use crate::clock::{self, unix_ms};
use crate::fleet::event::{Kind, registered};
use crate::history::{self, Heard, Known};
use crate::line::News;
use crate::voice::Weight;

/// How long the history may take to say what is known from before,
const PATIENCE: Duration = Duration::from_secs(1);

/// and how many times datagrams are read meanwhile, at most.
const MOST: usize = 256;

impl Run {
    /// What is known from before comes first: a node that goes on with its dump, and speaks the very moment that this
    /// is started, would be taken for one that crashed anew. Datagrams are read meanwhile, and heard afterwards.
    ///
    /// A disk that hangs holds nothing up for longer than a second.
    pub(super) async fn recall(&mut self) {
        let until = Timer::now() + PATIENCE;
        let mut early = Vec::new();
        let mut is_known = self.herald.health().is_none();
        while !is_known && early.len() < MOST {
            tokio::select! {
                news = self.herald.next() => match news {
                    herald::News::Wanted => self.show(),
                    herald::News::Room => self.keep_more(),
                    herald::News::History(news) => {
                        is_known = !matches!(news, history::News::Known(_));
                        self.heed_history(news);
                    }
                },
                news = self.line.next() => match news {
                    News::Datagrams(_) | News::Asked { .. } => early.push(news),
                    News::Notice(_) | News::StatusAsked(..) => self.heed(news),
                },
                () = sleep_until(until) => is_known = true,
            }
        }
        early.into_iter().for_each(|news| self.heed(news));
    }

    /// What the history tells.
    pub(super) fn heed_history(&mut self, news: history::News) {
        match news {
            history::News::Known(known) => {
                for known in known {
                    if let Some(happened) = self.fleet.resume(known, clock::now()) {
                        self.herald.tell(happened);
                    }
                }
            }
            history::News::Opened { is_new: true } => {
                self.voice.say(Weight::Info, "history: begun anew");
            }
            history::News::Opened { is_new: false } => {}
            history::News::Trouble(error) => {
                self.voice.say(Weight::Error, format!("history: {error}"));
            }
            history::News::Again { lost, opening } => {
                let line = format!("history: written again; {lost} events are missing in it");
                self.voice.say(Weight::Warning, line);
                self.herald.keep_anew(Some(opening));
            }
        }
    }

    /// Something is missing in the history, which has room: a few more of the sessions that go on.
    pub(super) fn keep_more(&mut self) {
        let (all, now) = (self.fleet.heard(), clock::now());
        self.herald.keep(all, |places| self.fleet.ongoing(places, now));
    }
}

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
        seen.dump = Dump::Earlier(session.id.into());
        seen.from = session.from;
        self.set_course(node, session.end.map_or(Course::None, Course::Ended));
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
            // The least that it can be when that is not known.
            proof: session.proof.unwrap_or(Proof::Plain),
            phase: session.phase,
            progress: Progress {
                done: session.done.unwrap_or(0),
                total: session.total.unwrap_or(0),
            },
        };
        let is_resumed = self.tracker.resume(node, &earlier, now, silence);
        if is_resumed && silence.is_some() {
            self.set_course(node, Course::Active);
        }
        if !is_resumed || !is_lost {
            return None;
        }
        let name = self.registry().name(node).unwrap_or("?").into();
        self.happened(Happening { node: name, kind: Kind::Lost, from: None }, node)
    }

    /// How many nodes were ever heard.
    pub fn heard(&self) -> usize {
        self.seen.len()
    }

    /// The sessions that go on at `now`, to be written down: those of some of the nodes that were [`Self::heard`].
    pub fn ongoing(
        &self,
        places: Range<usize>,
        now: Instant,
    ) -> impl Iterator<Item = (history::Session, Heard)> {
        let ids = self.seen.keys(places);
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
            proof: session.proof(),
            phase: session.phase().filter(registered),
            done: is_known.then_some(progress.done),
            total: Some(progress.total).filter(|total| *total > 0),
            messages: session.messages(),
        })
    }
}
