//! The JSON API, under `/api/v1`.

mod document;
mod events;
mod select;
mod shape;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

pub use document::openapi;
pub(super) use document::serve as openapi_document;
pub(super) use events::{Followers, follow};
pub(super) use shape::{Health, Problem};

use super::App;
use super::hub::Mute;
use super::past::{PastError, Wanted};
use select::{FleetQuery, MOST, USUAL};
use shape::{Counters, Fleet, History, Node, OneNode};

/// How long the store of the history may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many may ask the store of the history at once.
const AT_ONCE: usize = 4;

/// What a handler answers with.
type Answer<T> = Result<Json<T>, Problem>;

/// Who may ask the store of the history.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl From<Mute> for Problem {
    fn from(mute: Mute) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, mute.to_string())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<PastError> for Problem {
    fn from(error: PastError) -> Self {
        let status = match error {
            PastError::Off | PastError::NoEvent(_) => StatusCode::NOT_FOUND,
            PastError::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// The fleet, a page at a time.
#[utoipa::path(get, path = "/api/v1/fleet", operation_id = "fleet", tag = "fleet", params(FleetQuery), responses(
    (status = 200, description = "Some of the nodes.", body = Fleet),
    (status = 400, description = "What was asked for does not exist.", body = Problem,
     content_type = "application/problem+json"),
    (status = 503, description = "The daemon does not answer.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn fleet(
    State(app): State<Arc<App>>,
    query: Result<Query<FleetQuery>, QueryRejection>,
) -> Answer<Fleet> {
    let Query(query) = query?;
    if let Some(trouble) = query.trouble() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, trouble));
    }
    let snapshot = app.hub.fresh().await?;
    let found = query.find(&snapshot);
    let nodes = found.nodes.into_iter().map(Node::from).collect();
    Ok(Json(Fleet::new(&snapshot, (found.matching, found.offset), nodes)))
}

/// One node.
#[utoipa::path(get, path = "/api/v1/nodes/{name}", operation_id = "node", tag = "fleet",
    params(("name" = String, Path, description = "Its name, in any case.")),
    responses(
    (status = 200, description = "What is known of it.", body = OneNode),
    (status = 400, description = "This can be no name.", body = Problem,
     content_type = "application/problem+json"),
    (status = 404, description = "There is no node of that name.", body = Problem,
     content_type = "application/problem+json"),
    (status = 503, description = "The daemon does not answer.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn node(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<OneNode> {
    let Path(name) = name?;
    let snapshot = app.hub.fresh().await?;
    match snapshot.nodes.iter().find(|node| node.name.eq_ignore_ascii_case(&name)) {
        Some(node) => Ok(Json(OneNode { time_ms: snapshot.time_ms, node: node.into() })),
        None => {
            let detail = format!("there is no node '{name}'");
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
    }
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Only events of this node, in any case.
    #[param(nullable = false)]
    node: Option<String>,
    /// Only events that are older than the one with this id.
    #[param(nullable = false)]
    before: Option<String>,
    /// How many at most; 100 if not given.
    #[param(nullable = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What happened, the newest first.
#[utoipa::path(get, path = "/api/v1/history", operation_id = "history", tag = "fleet", params(HistoryQuery), responses(
    (status = 200, description = "Some of the events.", body = History),
    (status = 400, description = "What was asked for does not exist.", body = Problem,
     content_type = "application/problem+json"),
    (status = 404, description = "No history is kept, or the event that it should begin at is gone.",
     body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "The store does not answer.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn history(
    State(app): State<Arc<App>>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<History> {
    let Query(HistoryQuery { node, before, limit }) = query?;
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let detail = format!("limit: {limit} is not a number from 1 to {MOST}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    // One more tells whether there are older ones.
    let wanted = Wanted { node, before, limit: limit.saturating_add(1) };
    let asked = async {
        // Never closed.
        let _turn = app.turns.0.acquire().await.ok();
        app.past.history(wanted).await
    };
    let late = || PastError::Failed(format!("no answer within {} s", PATIENCE.as_secs()));
    let answer = tokio::time::timeout(PATIENCE, asked).await;
    let mut events = answer.unwrap_or_else(|_| Err(late()))?;
    let next = (events.len() > limit).then(|| {
        events.truncate(limit);
        events.last().map(|event| event.id.to_string())
    });
    Ok(Json(History { events, next: next.flatten() }))
}

/// What became of everything so far.
#[utoipa::path(get, path = "/api/v1/counters", operation_id = "counters", tag = "numbers", responses(
    (status = 200, description = "All counters.", body = Counters),
    (status = 503, description = "The daemon does not answer.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn counters(State(app): State<Arc<App>>) -> Answer<Counters> {
    let snapshot = app.hub.fresh().await?;
    Ok(Json(Counters::from(&*snapshot)))
}
