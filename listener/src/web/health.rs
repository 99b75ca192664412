//! Whether the daemon is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::App;
use super::api::Health;

/// Whether the daemon is alive: its thread answers. If not, it has to be started anew.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "health", responses(
    (status = 200, description = "It is alive; what else is not well is told.", body = Health),
    (status = 503, description = "It does not answer.", body = Health),
))]
pub(super) async fn alive(State(app): State<Arc<App>>) -> Response {
    match app.hub.fresh().await {
        Ok(snapshot) => answer(true, snapshot.summary.troubles.clone()),
        Err(mute) => answer(false, vec![mute.to_string()]),
    }
}

/// Whether the daemon hears nodes: it is alive, and has the UDP port.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "health", responses(
    (status = 200, description = "It hears nodes; what else is not well is told.", body = Health),
    (status = 503, description = "It hears no node, and why.", body = Health),
))]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let snapshot = match app.hub.fresh().await {
        Ok(snapshot) => snapshot,
        Err(mute) => return answer(false, vec![mute.to_string()]),
    };
    let summary = &snapshot.summary;
    let mut reasons = summary.troubles.clone();
    if !summary.is_listening {
        reasons.insert(0, format!("the daemon does not have UDP port {}", summary.port));
    }
    answer(summary.is_listening, reasons)
}

fn answer(ok: bool, reasons: Vec<String>) -> Response {
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { ok, reasons })).into_response()
}
