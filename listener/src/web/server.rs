//! One thread that serves: connections in, requests to their handlers, and nothing that waits for long.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::board::{self, Reporter};
use super::config::{WebConfig, WebError};
use super::hub::{Hub, Inlets};
use super::past::Past;
use super::places::{Busy, Place};
use super::stall::{self, Stall};
use super::{App, api, guard, health, metrics, pages};
use crate::background;

/// How long a client may take to say what it wants, and to agree on encryption; so long, too, may a
/// connection be without a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// No request is longer, in bytes, and no connection has more than twice that in memory.
const REQUEST_MAX: usize = 16 * 1024;

/// How much the kernel keeps for a client that does not read, in bytes; it takes twice that.
const SEND_BUFFER: usize = 128 * 1024;

/// No request has more headers.
const HEADERS_MAX: usize = 64;

/// The web server. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    /// Dropped first: the thread ends.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the web server as `config` says, on a thread of its own. What it shows comes from the
    /// [`Reporter`], which the daemon keeps, and from `past`.
    ///
    /// # Errors
    /// When the configuration cannot be followed; see [`WebError`].
    pub fn start(config: WebConfig, past: Arc<dyn Past>) -> Result<(Self, Reporter), WebError> {
        let listen = config.listen;
        let bind = || TcpListener::bind(listen);
        let listener = bind().map_err(|error| WebError::Bind { listen, error })?;
        Self::start_on(listener, config, past)
    }

    /// As [`Self::start`], on a socket that listens already: one that systemd has opened, for example.
    ///
    /// # Errors
    /// As [`Self::start`]. The address of the socket counts, not the configured one.
    pub fn start_on(
        listener: TcpListener,
        mut config: WebConfig,
        past: Arc<dyn Past>,
    ) -> Result<(Self, Reporter), WebError> {
        let address = listener
            .local_addr()
            .map_err(|error| WebError::Bind { listen: config.listen, error })?;
        config.listen = address;
        let secrets = config.load()?;
        listener.set_nonblocking(true).map_err(WebError::Thread)?;
        let socket = SockRef::from(&listener);
        // Connections inherit it; the kernel would keep megabytes for each.
        drop(socket.set_send_buffer_size(SEND_BUFFER));
        drop(socket.set_recv_buffer_size(2 * REQUEST_MAX));
        let (reporter, reader) = board::pair();
        let (hub, inlets) = Hub::new(reader);
        let app = Arc::new(App::new(config, secrets, hub, past));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(WebError::Thread)?;
        let served = Arc::clone(&app);
        let serve = move || {
            background::give_way();
            let serve = serve(listener, served, inlets);
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
            // Whoever is still connected is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(serve)
            .map_err(WebError::Thread)?;
        Ok((Self { address, app, stop: Some(stop), thread: Some(thread) }, reporter))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads the token and the certificate anew, for connections from now on. Another token ends all that
    /// are open: an event stream that the old one has opened would show everything for as long as it lasts.
    ///
    /// # Errors
    /// When that is not possible; what was known before stays.
    pub fn reread(&self) -> Result<(), WebError> {
        let secrets = self.app.config.load()?;
        let is_other = secrets.token != self.app.secrets().token;
        self.app.set_secrets(secrets);
        if is_other {
            self.app.places.clear();
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to wait for.
            drop(thread.join());
        }
    }
}

/// What is found where.
fn routes(app: &Arc<App>) -> Router {
    let refused = |status: StatusCode, why: &'static str| async move {
        api::Problem::new(status, why).into_response()
    };
    Router::new()
        .merge(pages::routes())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::serve))
        .route("/api/v1/fleet", get(api::fleet))
        .route("/api/v1/nodes/{name}", get(api::node))
        .route("/api/v1/history", get(api::history))
        .route("/api/v1/events", get(api::follow))
        .route("/api/v1/counters", get(api::counters))
        .route("/api/v1/openapi.json", get(api::openapi_document))
        .fallback(move || refused(StatusCode::NOT_FOUND, "there is nothing here"))
        .method_not_allowed_fallback(move || {
            refused(StatusCode::METHOD_NOT_ALLOWED, "there is nothing to be changed here")
        })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}

async fn serve(listener: TcpListener, app: Arc<App>, inlets: Inlets) {
    let keeper = Arc::clone(&app);
    // Ends when the daemon is gone; the server still tells that the daemon does not answer.
    tokio::spawn(async move { keeper.hub.keep(inlets).await });
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let routes = routes(&app);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (routes, served) = (routes.clone(), Arc::clone(&app));
                // Without a place, it is closed at once.
                app.places.admit(|place| {
                    tokio::spawn(connection(stream, routes, served, place)).abort_handle()
                });
            }
            // Out of descriptors or memory: those who have connections may leave meanwhile.
            Err(error) if !of_the_client(&error) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => {}
        }
    }
}

fn of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn connection(stream: TcpStream, routes: Router, app: Arc<App>, place: Arc<Place>) {
    let socket = SockRef::from(&stream);
    let keepalive = TcpKeepalive::new().with_time(PATIENCE).with_interval(PATIENCE);
    // All of them only help to be rid of the dead sooner.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&keepalive));
    drop(socket.set_tcp_user_timeout(Some(stall::PATIENCE)));
    let stream = Stall::new(stream, stall::PATIENCE);
    let tls = app.secrets().tls.clone();
    match tls {
        None => converse(stream, routes, place).await,
        Some(tls) => {
            let agreed = TlsAcceptor::from(tls).accept(stream);
            if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, agreed).await {
                converse(stream, routes, place).await;
            }
        }
    }
}

async fn converse<T>(stream: T, routes: Router, place: Arc<Place>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = place.begin();
        let answer = routes.call(request);
        async move { answer.await.map(|response| response.map(|body| Held { body, _busy: busy })) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(HEADERS_MAX)
        .max_header_size(REQUEST_MAX)
        .max_buf_size(2 * REQUEST_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong here concerns the client alone, who has been told.
    drop(served.await);
}

/// A body that keeps its connection's place until it was sent.
struct Held {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
