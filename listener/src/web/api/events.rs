//! Events as they happen: server-sent events (WHATWG HTML, "Server-sent events").

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::App;
use super::super::hub::{Hub, Portion};
use super::shape::Problem;

/// How often those who follow get a sign that the connection lives.
const BEAT: Duration = Duration::from_secs(5);

/// Longer than this nobody is served without coming again.
const LONGEST: Duration = Duration::from_secs(3600);

/// About how many bytes one who follows gets at once, and so how many wait for him.
const ROOM: usize = 32 * 1024;

/// Those who follow the events.
#[derive(Debug)]
pub(crate) struct Followers {
    places: Arc<Semaphore>,
    most: usize,
    reloads: AtomicU64,
}

impl Followers {
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most, reloads: AtomicU64::new(0) }
    }

    /// How many follow.
    pub(crate) fn count(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// How often one was too slow, and was told to look at the whole fleet again.
    pub(crate) fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }
}

/// Events as they happen, as `text/event-stream`.
///
/// Each has its `id` and, as `data`, the event as one line of JSON. `event: reload` means that events are
/// missing here, so that the fleet has to be looked at again. A comment comes every 5 seconds.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "events", tag = "fleet",
    params(("Last-Event-ID" = Option<String>, Header,
            description = "The id of the last event that was seen; later ones follow.")),
    responses(
    (status = 200, description = "Events, until the client goes.", body = String,
     content_type = "text/event-stream"),
    (status = 503, description = "Too many follow already.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn follow(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let followers = &app.followers;
    let Ok(place) = Arc::clone(&followers.places).try_acquire_owned() else {
        let detail = format!("{} follow the events already, and no more can", followers.most);
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return ([(header::RETRY_AFTER, "10")], problem).into_response();
    };
    let hub = &app.hub;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let start = match last {
        None | Some("") => Portion { next: *hub.end().borrow(), bytes: Bytes::new() },
        Some(id) => match hub.after(id) {
            Some(next) => Portion { next, bytes: Bytes::new() },
            None => hub.reload(),
        },
    };
    // The sender waits until the receiver has taken what is there: this is all that waits for a client.
    let (sender, portions) = channel(1);
    let told = async move {
        // He ends when the client is gone, or has been here for too long.
        drop(tokio::time::timeout(LONGEST, tell(&app, start, sender)).await);
        drop(place);
    };
    tokio::spawn(told);
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::new(Portions(portions))).into_response()
}

/// Tells everything from `start` on, until nobody listens.
async fn tell(app: &App, start: Portion, sender: Sender<Bytes>) {
    let hub: &Hub = &app.hub;
    let mut end = hub.end();
    let Portion { next: mut place, bytes } = start;
    // The first bytes tell the client that it is connected.
    let hello = [b": fence_kdumpd\nretry: 2000\n\n", &bytes[..]].concat();
    if sender.send(hello.into()).await.is_err() {
        return;
    }
    loop {
        end.mark_unchanged();
        let portion = hub.portion(place, ROOM).unwrap_or_else(|| {
            app.followers.reloads.fetch_add(1, Ordering::Relaxed);
            hub.reload()
        });
        place = portion.next;
        let bytes = if portion.bytes.is_empty() {
            tokio::select! {
                changed = end.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                () = sender.closed() => return,
                () = tokio::time::sleep(BEAT) => Bytes::from_static(b":\n\n"),
            }
        } else {
            portion.bytes
        };
        if sender.send(bytes).await.is_err() {
            return;
        }
    }
}

/// The body of a response.
struct Portions(Receiver<Bytes>);

impl http_body::Body for Portions {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|portion| portion.map(|bytes| Ok(Frame::data(bytes))))
    }
}
