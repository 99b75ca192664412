//! What happened to a node, put into words and into events.

use std::sync::Arc;

use fence_kdump_core::{Proof, Session};

use crate::address::Address;
use crate::clock::unix_ms;
use crate::fleet::event::{Event, Kind, phase_name, registered};
use crate::fleet::event_id::EventId;
use crate::history::Heard;

/// Gives events their ids: the host's name, when the daemon was started, and a number that grows by one.
#[derive(Debug)]
pub(super) struct Chronicle {
    run: Arc<str>,
    next: u64,
}

/// A dump: it is called like the event with which it began.
#[derive(Debug, Default)]
pub(super) enum Dump {
    /// There was none.
    #[default]
    None,
    /// The number of an event of this run.
    Own(u64),
    /// It began in an earlier run.
    Earlier(Box<EventId>),
}

/// Whose, what, and from where.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) node: Arc<str>,
    pub(super) kind: Kind,
    pub(super) from: Option<Address>,
}

/// Something that happened, and when the messages of its session came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// What.
    pub event: Arc<Event>,
    /// Since when, and for how long it may be silent.
    pub heard: Heard,
}

impl Chronicle {
    /// For events of this run of the daemon on this host.
    pub(super) fn new() -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned());
        Self { run: format!("{host}-{:x}", unix_ms()).into(), next: 0 }
    }

    /// The id of the next event.
    pub(super) fn id(&mut self) -> EventId {
        self.next = self.next.wrapping_add(1);
        self.name(self.next)
    }

    fn name(&self, number: u64) -> EventId {
        EventId::new(Arc::clone(&self.run), number)
    }

    /// The name of a dump; `None` when there was none.
    pub(super) fn dump(&self, dump: &Dump) -> Option<EventId> {
        match dump {
            Dump::None => None,
            Dump::Own(number) => Some(self.name(*number)),
            Dump::Earlier(name) => Some((**name).clone()),
        }
    }

    /// The event, with what the node's session says at the time. `dump` is the session's name so far, and
    /// becomes that of this event when a dump begins with it.
    pub(super) fn write(
        &mut self,
        happening: Happening,
        state: &Session,
        dump: &mut Dump,
    ) -> Event {
        let id = self.id();
        if happening.kind == Kind::Started || matches!(dump, Dump::None) {
            *dump = Dump::Own(self.next);
        }
        let session = self.dump(dump).unwrap_or_else(|| id.clone());
        let Happening { node, kind, from } = happening;
        let progress = state.progress();
        let is_known = progress != fence_kdump_core::Progress::default();
        Event {
            id,
            time_ms: unix_ms(),
            node,
            kind,
            session,
            from,
            proof: state.proof(),
            phase: state.phase().filter(registered),
            done: is_known.then_some(progress.done),
            total: Some(progress.total).filter(|total| *total > 0),
            messages: state.messages(),
        }
    }
}

/// The event, for people.
#[must_use]
pub fn told(event: &Event) -> String {
    let Event { node, kind, from, proof, phase, .. } = event;
    let proven = proof.filter(|proof| *proof != Proof::Plain);
    let who = match (from, proven) {
        (Some(from), Some(proof)) => format!("{node} ({from}, {proof})"),
        (Some(from), None) => format!("{node} ({from})"),
        (None, _) => node.to_string(),
    };
    let what = match (kind, phase.and_then(phase_name), from) {
        (Kind::Started, ..) => "started, it is in its crash kernel".to_owned(),
        (Kind::Dumping, ..) => "dumping".to_owned(),
        (Kind::Phase, phase, _) => phase.unwrap_or("does something else").to_owned(),
        (Kind::Finished, _, Some(_)) => "finished, it says so itself".to_owned(),
        (Kind::Finished, _, None) => "finished, as silent as it is".to_owned(),
        (Kind::Lost, ..) => "lost: silent, though it had not said that it was done".to_owned(),
        (Kind::Rebooted, ..) => "leaves its crash kernel".to_owned(),
    };
    format!("{who}: {what}")
}
