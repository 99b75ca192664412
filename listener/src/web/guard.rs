//! Who may ask, and what browsers may do with the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::api::Problem;

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);

/// What each response says to browsers: nothing from elsewhere, nothing inline, no frame, no guessing.
const RULES: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Stands before everything.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    app.requests.count();
    let mut response = match refuse(&app, &request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it took too long").into_response()
            }
        },
    };
    let headers = response.headers_mut();
    for (name, value) in RULES {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is shown is true now; only the files of the page say otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refuse(app: &App, request: &Request) -> Option<Response> {
    let secrets = app.secrets();
    let Some(token) = &secrets.token else {
        return refuse_host(app, request);
    };
    if !needs_token(request.uri().path()) {
        return None;
    }
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let detail = match shown {
        Some(shown) if token.is(shown) => return None,
        Some(_) => "this is not the token in web.token_file",
        None => {
            "the header 'Authorization: Bearer TOKEN' is needed; the token is in web.token_file"
        }
    };
    let problem = Problem::new(StatusCode::UNAUTHORIZED, detail);
    Some(([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response())
}

/// Whether `path` shows anything of the fleet. The files of the page do not, and the health is asked for
/// by those who know no token.
pub(super) fn needs_token(path: &str) -> bool {
    path.starts_with("/api/") || path == "/metrics"
}

/// Without a token, a page from elsewhere could have its own name mean 127.0.0.1, and read along. Its
/// browser then names that page's host.
fn refuse_host(app: &App, request: &Request) -> Option<Response> {
    let named = request.uri().authority().map(|authority| authority.as_str()).or_else(|| {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let host = hosts.next()?.to_str().ok()?;
        hosts.next().is_none().then_some(host)
    });
    let is_here = |name: &str| match name.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => {
            let own = app.config.host_names.iter().map(String::as_str);
            own.chain(["localhost"]).any(|own| own.eq_ignore_ascii_case(name))
        }
    };
    if named.and_then(name_of).is_some_and(is_here) {
        return None;
    }
    let detail = "this server is reached by an address of this host or as 'localhost'; other names are \
                  to be listed in web.host_names";
    Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response())
}

/// The name in `name:port`, `[address]:port` or either without port.
fn name_of(host: &str) -> Option<&str> {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(name, _)| name),
        None => Some(host.rsplit_once(':').map_or(host, |(name, _)| name)),
    }
}
