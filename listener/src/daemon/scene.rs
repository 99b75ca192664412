//! The whole daemon at a glance, for those who look from outside.

use std::ops::Range;
use std::sync::Arc;

use fence_kdump_core::Instant;

use super::fleet::Fleet;
use super::herald::Herald;
use crate::line::Line;
use crate::sink::Counters;
use crate::web::{NodeView, SinkView, StoreView, Summary, Survey};

/// What is shown, at one moment.
pub(super) struct Scene<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) now: Instant,
    pub(super) summary: Summary,
}

impl Survey for Scene<'_> {
    fn places(&self) -> usize {
        self.fleet.places()
    }

    fn show(&self, places: Range<usize>, nodes: &mut Vec<NodeView>) {
        nodes.extend(self.fleet.show(places, self.now));
    }

    fn summary(&self) -> Summary {
        self.summary.clone()
    }
}

/// Everything that is no node.
pub(super) fn summary(fleet: &Fleet, line: &mut Line, herald: &Herald, port: u16) -> Summary {
    let health = herald.health();
    let trouble = health.as_ref().and_then(|health| health.trouble.clone());
    let sinks = herald.sinks().counters();
    let mut troubles = Vec::new();
    if !line.is_listening() {
        troubles.push(format!("UDP port {port} is not read here"));
    }
    if let Some(trouble) = &trouble {
        troubles.push(format!("history: {trouble}"));
    }
    for sink in sinks.iter().filter(|sink| is_down(sink)) {
        let why = sink.last_error.as_deref().unwrap_or("events wait");
        troubles.push(format!("{} {}: {why}", sink.kind, sink.name));
    }
    let contested = fleet.registry().contested().take(super::MOST);
    troubles.extend(contested.map(|(address, _)| format!("{address} is an address of two nodes")));
    Summary {
        port,
        is_listening: line.is_listening(),
        clients: line.clients(),
        datagrams: *fleet.counters(),
        kernel_drops: line.dropped(),
        sessions: fleet.sessions(),
        sinks: sinks.iter().map(sink).collect(),
        store: health.map(|health| StoreView {
            is_up: trouble.is_none(),
            bytes: health.size,
            events: health.events,
            failed: health.failed,
            dropped: health.lost,
        }),
        troubles,
    }
}

/// Something waits, and the latest try failed.
fn is_down(sink: &Counters) -> bool {
    sink.waiting > 0 && sink.last_error.is_some()
}

fn sink(counters: &Counters) -> SinkView {
    SinkView {
        name: if *counters.name == *counters.kind {
            Arc::clone(&counters.name)
        } else {
            format!("{}:{}", counters.kind, counters.name).into()
        },
        is_up: !is_down(counters),
        delivered: counters.delivered,
        failed: counters.failed,
        dropped: counters.dropped,
        waiting: counters.waiting,
    }
}
