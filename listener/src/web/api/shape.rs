//! What the API answers with. The comments here are the descriptions in the OpenAPI document.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::view::{self, NodeState, NodeView, SinkView, Snapshot, StoreView};
use crate::fleet::event::Event;

/// Some of the nodes, and how many there are in all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fleet {
    /// When the daemon was asked: milliseconds since 1970-01-01 00:00 UTC by its host's clock.
    time_ms: u64,
    /// The daemon itself.
    daemon: Daemon,
    /// How many nodes there are in which state, whatever was asked for.
    states: States,
    /// How many nodes are as was asked for.
    matching: u64,
    /// How many of those were passed over.
    offset: u64,
    /// Those in a dump first, then the lost, then the others that were heard, the latest first, then
    /// candidates, then the rest by name.
    nodes: Vec<Node>,
}

/// The daemon itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Daemon {
    /// Its version.
    version: &'static str,
    /// Its process.
    pid: u32,
    /// The UDP port that nodes send to.
    port: u16,
    /// Whether it has that port.
    listening: bool,
    /// How many agents and other local clients it serves.
    clients: u64,
    /// What a person should look at, one sentence each.
    troubles: Vec<String>,
}

/// How many nodes are in which state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct States {
    /// All of them.
    all: u64,
    /// In their crash kernel: one message was heard.
    started: u64,
    /// Writing their dump.
    dumping: u64,
    /// Silent before they were done.
    lost: u64,
    /// Done.
    finished: u64,
    /// Left their crash kernel, or crashed anew.
    rebooted: u64,
    /// In no configuration.
    candidate: u64,
    /// Never heard.
    unheard: u64,
}

/// What is known of one node. What is not known is left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// Its name.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// What it does: `started`, `dumping`, `lost`, `finished`, `rebooted` or `unheard`; or `candidate`:
    /// it is in no configuration, so that it is shown and fences nothing.
    #[schema(pattern = "^(started|dumping|lost|finished|rebooted|candidate|unheard)$")]
    state: &'static str,
    /// How long before `time_ms` the first message of its latest dump came, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    since_ms: Option<u64>,
    /// How long before `time_ms` its latest message came, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_heard_ms: Option<u64>,
    /// How often it says that it speaks, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    interval_ms: Option<u64>,
    /// Messages of its latest dump that were believed.
    messages: u32,
    /// What its messages have to prove: `plain`, `signed` or `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(plain|signed|live)$")]
    policy: Option<String>,
    /// What the latest one proved: `plain`, `signed` or `live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^(plain|signed|live)$")]
    proof: Option<String>,
    /// What the node says that it does: `booted`, `dumping`, `finished`, `failed` or `leaving`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    phase: Option<&'static str>,
    /// How much of the dump is done, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    done: Option<u64>,
    /// How much there is to dump, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total: Option<u64>,
    /// From which cluster key the key of its latest signed message comes, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{8}$")]
    key_id: Option<String>,
    /// Where its latest believed message came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<String>,
}

/// One node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OneNode {
    /// When the daemon was asked: milliseconds since 1970-01-01 00:00 UTC by its host's clock.
    pub(super) time_ms: u64,
    /// What is known of it.
    pub(super) node: Node,
}

/// Some of the events, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The events.
    #[schema(value_type = Vec<EventShape>)]
    pub(super) events: Vec<Event>,
    /// The value of `before` for those that are older; left out when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

/// Something that happened to a node. What is not known is left out.
#[derive(Debug, ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "events are written as they are; this is how the document knows them")]
pub(crate) struct EventShape {
    /// Unique among all events of all hosts, and the same however often it is told.
    id: String,
    /// When it happened: milliseconds since 1970-01-01 00:00 UTC by the listener's clock.
    time_ms: u64,
    /// The node.
    node: String,
    /// What happened: `started`, `dumping`, `phase`, `finished`, `lost` or `rebooted`.
    #[schema(pattern = "^(started|dumping|phase|finished|lost|rebooted)$")]
    kind: String,
    /// Which dump: the same for all events from `started` to its end.
    session: String,
    /// Where the message came from that made it happen.
    #[schema(nullable = false)]
    from: Option<String>,
    /// How far that message was proven: `plain`, `signed` or `live`.
    #[schema(nullable = false, pattern = "^(plain|signed|live)$")]
    proof: Option<String>,
    /// What the node said that it does.
    #[schema(nullable = false)]
    phase: Option<String>,
    /// How much of the dump was done, in bytes.
    #[schema(nullable = false)]
    done: Option<u64>,
    /// How much there was, in bytes.
    #[schema(nullable = false)]
    total: Option<u64>,
    /// Messages of this dump by then.
    messages: u32,
}

/// What became of everything so far. All numbers only grow, save where it is said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counters {
    /// When the daemon was asked: milliseconds since 1970-01-01 00:00 UTC by its host's clock.
    time_ms: u64,
    /// Messages that were believed.
    heard: u64,
    /// Messages that were not, by cause.
    disbelieved: Vec<Cause>,
    /// Datagrams that were no message, by cause.
    refused: Vec<Cause>,
    /// Datagrams that the kernel threw away: they could not be messages, or there was no room.
    kernel_drops: u64,
    /// Dumps that were heard of.
    sessions: u64,
    /// Where events go.
    sinks: Vec<Sink>,
    /// The store of the history, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    store: Option<Store>,
}

/// How many datagrams met with one cause.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cause {
    /// As the protocol's description calls it.
    cause: &'static str,
    /// How many.
    count: u64,
}

/// Where events go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sink {
    /// What it is called.
    #[schema(value_type = String)]
    name: Arc<str>,
    /// Whether the last attempt went well.
    up: bool,
    /// Events that it took.
    delivered: u64,
    /// Attempts that failed.
    failed: u64,
    /// Events that it will never get.
    dropped: u64,
    /// Events that wait for it now; goes up and down.
    waiting: u64,
}

/// The store of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Store {
    /// Whether the last write went well.
    up: bool,
    /// Its size; goes up and down.
    bytes: u64,
    /// Events that are in it; goes up and down.
    events: u64,
    /// Writes that failed.
    failed: u64,
    /// Events that were not written, for want of room.
    dropped: u64,
}

/// How the daemon is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Whether all is well, as far as was asked.
    pub(crate) ok: bool,
    /// Why not; and what is not well although nobody asked for it.
    pub(crate) reasons: Vec<String>,
}

/// Why there is no answer (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The status of the response.
    status: u16,
    /// What is wrong.
    title: String,
    /// What is wrong with this very request, and what would be right.
    detail: String,
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Fleet {
    pub(super) fn new(
        snapshot: &Snapshot,
        (matching, offset): (usize, usize),
        nodes: Vec<Node>,
    ) -> Self {
        let summary = &snapshot.summary;
        Self {
            time_ms: snapshot.time_ms,
            daemon: Daemon {
                version: env!("CARGO_PKG_VERSION"),
                pid: std::process::id(),
                port: summary.port,
                listening: summary.is_listening,
                clients: number(summary.clients),
                troubles: summary.troubles.clone(),
            },
            states: States::of(snapshot),
            matching: number(matching),
            offset: number(offset),
            nodes,
        }
    }
}

impl States {
    fn of(snapshot: &Snapshot) -> Self {
        let states = snapshot.states();
        let count = |state: NodeState| states.get(state.place()).copied().unwrap_or(0);
        Self {
            all: number(snapshot.nodes.len()),
            started: count(NodeState::Started),
            dumping: count(NodeState::Dumping),
            lost: count(NodeState::Lost),
            finished: count(NodeState::Finished),
            rebooted: count(NodeState::Rebooted),
            candidate: count(NodeState::Candidate),
            unheard: count(NodeState::Unheard),
        }
    }
}

impl From<&NodeView> for Node {
    fn from(node: &NodeView) -> Self {
        Self {
            name: Arc::clone(&node.name),
            state: node.state.name(),
            since_ms: node.since.map(millis),
            last_heard_ms: node.last_heard.map(millis),
            interval_ms: node.interval.map(millis),
            messages: node.messages,
            policy: node.policy.map(|policy| policy.to_string()),
            proof: node.proof.map(|proof| proof.to_string()),
            phase: node.phase.map(|phase| phase.name()),
            done: node.done,
            total: node.total,
            key_id: node.key_id.map(|id| id.to_string()),
            from: node.from.map(|from| from.to_string()),
        }
    }
}

impl From<&Snapshot> for Counters {
    fn from(snapshot: &Snapshot) -> Self {
        let summary = &snapshot.summary;
        let cause = |&(cause, count): &(&'static str, u64)| Cause { cause, count };
        Self {
            time_ms: snapshot.time_ms,
            heard: summary.datagrams.heard(),
            disbelieved: view::disbelieved(&summary.datagrams).iter().map(cause).collect(),
            refused: view::refused(&summary.datagrams).iter().map(cause).collect(),
            kernel_drops: summary.kernel_drops,
            sessions: summary.sessions,
            sinks: summary.sinks.iter().map(Sink::from).collect(),
            store: summary.store.as_ref().map(Store::from),
        }
    }
}

impl From<&SinkView> for Sink {
    fn from(sink: &SinkView) -> Self {
        let &SinkView { ref name, is_up, delivered, failed, dropped, waiting } = sink;
        Self { name: Arc::clone(name), up: is_up, delivered, failed, dropped, waiting }
    }
}

impl From<&StoreView> for Store {
    fn from(store: &StoreView) -> Self {
        let &StoreView { is_up, bytes, events, failed, dropped } = store;
        Self { up: is_up, bytes, events, failed, dropped }
    }
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
