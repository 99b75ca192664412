//! One POST over HTTP/1.1, with TLS or without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::sink::config::Url;
use crate::sink::lookup::Lookups;

/// How much of an answer is read before its connection is given up, in bytes.
const ANSWER: usize = 64 * 1024;

/// A server, and what to ask it for.
pub(super) struct Server {
    lookups: Lookups,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    path: Uri,
    authority: HeaderValue,
}

/// An open connection, which closes when this is dropped.
pub(super) struct Line {
    send: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Server {
    /// The server of `url`, believed by the certificates in `ca` (PEM), else by those of this host.
    ///
    /// # Errors
    /// When these are no certificates, or there are none.
    pub(super) fn new(url: &Url, ca: Option<&[u8]>, lookups: Lookups) -> Result<Self, String> {
        let tls = if url.is_secure() { Some(tls(url.host(), ca)?) } else { None };
        let path = url.uri().path_and_query().map_or("/", |path| path.as_str());
        let authority = url.uri().authority().map_or("", |authority| authority.as_str());
        Ok(Self {
            lookups,
            host: url.host().to_owned(),
            port: url.port(),
            tls,
            path: path.parse().map_err(|_| "the path of the URL is none".to_owned())?,
            authority: HeaderValue::from_str(authority)
                .map_err(|_| "the server of the URL is none".to_owned())?,
        })
    }

    /// Posts `body`, over `open` if that is still good: what the server answered, and the connection,
    /// unless it is used up. `limit` is how long all this may take; an address that does not
    /// answer gets only its share.
    pub(super) async fn post(
        &self,
        open: Option<Line>,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, Option<Line>), String> {
        let request = || self.request(headers.clone(), body.clone());
        let mut answered = None;
        // That the server closed it meanwhile is no failure.
        if let Some(mut line) = open
            && line.send.ready().await.is_ok()
            && let Ok(answer) = line.send.send_request(request()).await
        {
            answered = Some((line, answer));
        }
        let (line, answer) = match answered {
            Some(answered) => answered,
            None => {
                let mut line = self.connect(limit).await?;
                let answer = line.send.send_request(request()).await;
                (line, answer.map_err(|error| format!("{}: {}", self.host, chain(&error)))?)
            }
        };
        Ok(finish(line, answer).await)
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        let agent = concat!("fence_kdumpd/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(HOST, self.authority.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        request
    }

    async fn connect(&self, limit: Duration) -> Result<Line, String> {
        let failed = |error: io::Error| format!("{}: {error}", self.host);
        let addresses = self.lookups.find(&self.host, self.port).await.map_err(failed)?;
        let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut why = String::new();
        for address in addresses {
            let line = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    Some((tls, name)) => speak(tls.connect(name.clone(), stream).await?).await,
                    None => speak(stream).await,
                }
            };
            match timeout(share, line).await {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => why = format!("{address}: {error}"),
                Err(_) => why = format!("{address}: no answer"),
            }
        }
        Err(why)
    }
}

/// Reads the rest of the answer, of which nothing but its end matters.
async fn finish(line: Line, answer: Response<Incoming>) -> (StatusCode, Option<Line>) {
    let status = answer.status();
    let rest = Limited::new(answer.into_body(), ANSWER).collect().await;
    (status, rest.is_ok().then_some(line))
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Line> {
    let mut builder = Builder::new();
    builder.max_buf_size(ANSWER);
    let (send, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // What goes wrong with it is told by the request.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Line { send, driver })
}

/// An error with its causes, which alone say what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn tls(host: &str, ca: Option<&[u8]>) -> Result<(TlsConnector, ServerName<'static>), String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| error.to_string())?;
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(
            "no certificates to believe; set ca_file, or install ca-certificates".to_owned()
        );
    }
    // As in a URL, where IPv6 stands in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name))
}
