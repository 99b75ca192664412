//! The files of the page: all of them are in the program.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Where each is found, what it is, and its content.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/daemon.js", SCRIPT, include_str!("page/daemon.js")),
    ("/rows.js", SCRIPT, include_str!("page/rows.js")),
    ("/text.js", SCRIPT, include_str!("page/text.js")),
    ("/timeline.js", SCRIPT, include_str!("page/timeline.js")),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// Serves the files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        // A browser asks again each time, so that a new daemon is never shown by an old page.
        let headers: [(HeaderName, &str); 2] =
            [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
        router.route(path, get(move || async move { (headers, content) }))
    })
}
