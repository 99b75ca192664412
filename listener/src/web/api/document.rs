//! The OpenAPI document: made from the handlers and the types that they answer with.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::super::{guard, health, metrics};
use super::shape::EventShape;

/// What the API is, for those who write clients.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "fence_kdumpd",
        description = "Nodes that crash, and what is known of them. Nothing can be changed from here. \
                       Fields that are not described may come at any time and are to be passed over.",
    ),
    paths(
        super::fleet,
        super::node,
        super::history,
        super::events::follow,
        super::counters,
        serve,
        metrics::serve,
        health::alive,
        health::ready,
    ),
    components(schemas(EventShape)),
    modifiers(&Security),
)]
struct Document;

/// Who is refused: a server with a token wants to see it, and one without is asked for by its own name.
#[derive(Debug)]
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
        for (path, item) in &mut document.paths.paths {
            let Some(operation) = &mut item.get else {
                continue;
            };
            let mut refused =
                vec![("421", "The server was asked for by a name that is not its own.")];
            if guard::needs_token(path) {
                refused.push(("401", "The token is missing or wrong."));
            }
            for (status, why) in refused {
                let content = Content::new(Some(Ref::from_schema_name("Problem")));
                let response = ResponseBuilder::new()
                    .description(why)
                    .content("application/problem+json", content)
                    .build();
                operation.responses.responses.insert(status.to_owned(), response.into());
            }
        }
        // Either is enough: a server on the loopback interface may be without a token.
        document.security = Some(vec![
            utoipa::openapi::security::SecurityRequirement::default(),
            utoipa::openapi::security::SecurityRequirement::new::<_, [&str; 0], &str>("token", []),
        ]);
    }
}

/// The OpenAPI document, as JSON with line breaks.
#[must_use]
pub fn openapi() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    })
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "document", responses(
    (status = 200, description = "The OpenAPI document.", body = Object,
     content_type = "application/json"),
))]
pub(in super::super) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi())
}
