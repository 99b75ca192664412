//! What the web server can be told, and what it refuses to be told.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};
use zeroize::Zeroizing;

use crate::custody;

/// The TCP port of the web server unless another is configured. Next to the UDP port of the messages and
/// assigned to nobody by IANA; 7411 is left alone, since OpenStack's own listener has its heartbeat there.
pub const PORT: u16 = 7412;

/// A token has at least so many characters.
pub const TOKEN_MIN: usize = 20;

/// No file with a token or a certificate is larger, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The section `[web]` of the daemon's configuration. Without the section there is no web server; an
/// empty one means a page for this host alone, on 127.0.0.1 port 7412.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebConfig {
    /// Where to listen: an address and a port. Unless it is of this host alone (127.0.0.0/8 or ::1), a
    /// token and a certificate are needed.
    pub listen: SocketAddr,
    /// The file with the token that clients have to show, in one line of at least 20 characters without
    /// spaces. Nobody but its owner may read it, and that is root or the user of the daemon.
    pub token_file: Option<PathBuf>,
    /// The file with the certificate, and those that vouch for it, in PEM.
    pub certificate_file: Option<PathBuf>,
    /// The file with the private key of the certificate, in PEM. Nobody but its owner may read it, and
    /// that is root or the user of the daemon.
    pub private_key_file: Option<PathBuf>,
    /// Names, besides `localhost`, by which browsers may reach a server without a token: a proxy on this
    /// host that passes the name on, for example. Without port.
    pub host_names: Vec<String>,
    /// How many connections may be open at once, 8 to 10000. Half of them may follow the events.
    pub connections: u16,
    /// How many nodes get time series of their own in `/metrics`, 0 to 10000: those that are in a dump,
    /// in the order of their names. None by default, since each name is a new series.
    pub node_metrics: u16,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], PORT)),
            token_file: None,
            certificate_file: None,
            private_key_file: None,
            host_names: Vec::new(),
            connections: 256,
            node_metrics: 0,
        }
    }
}

/// Why the web server cannot be as configured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebError {
    /// Others could read along or look in.
    #[error(
        "web.listen: {listen} can be reached from other hosts, so {missing} needed as well; or listen on \
         127.0.0.1:{PORT} and reach it through ssh -L {PORT}:127.0.0.1:{PORT}"
    )]
    Exposed {
        /// Where it would listen.
        listen: SocketAddr,
        /// What is missing, with its verb.
        missing: &'static str,
    },
    /// One of two files without the other.
    #[error("web.{given} is given and web.{missing} is not; a certificate needs both")]
    Half {
        /// The one that is there.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A number that is out of its range.
    #[error("web.{what}: {found} is not a number from {min} to {max}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What was given.
        found: u16,
        /// The least.
        min: u16,
        /// The most.
        max: u16,
    },
    /// A file that cannot be read, or that others could read or write.
    #[error("web.{what}: {}: {why}", path.display())]
    File {
        /// Which one.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// Somebody else has the port, or the address is not of this host.
    #[error("web.listen: {listen}: {error}")]
    Bind {
        /// Where it would listen.
        listen: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// No thread, or no runtime on it.
    #[error("web: no thread to serve from: {0}")]
    Thread(io::Error),
}

/// What clients have to know.
#[derive(Debug)]
pub(super) struct Token(Zeroizing<String>);

impl Token {
    /// Whether `shown` is it, in a time that does not depend on where they differ.
    pub(super) fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

/// What is in the files of a [`WebConfig`]. `Debug` shows nothing of it.
#[derive(Default)]
pub(super) struct Secrets {
    pub(super) token: Option<Token>,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl WebConfig {
    /// Everything that can be checked without opening the port; reads the files.
    ///
    /// # Errors
    /// As [`WebError`] has them, save [`WebError::Bind`] and [`WebError::Thread`].
    pub fn check(&self) -> Result<(), WebError> {
        self.load().map(drop)
    }

    pub(super) fn load(&self) -> Result<Secrets, WebError> {
        let range = |what, found, min, max| match found {
            found if (min..=max).contains(&found) => Ok(()),
            found => Err(WebError::Range { what, found, min, max }),
        };
        range("connections", self.connections, 8, 10_000)?;
        range("node_metrics", self.node_metrics, 0, 10_000)?;
        let files = match (&self.certificate_file, &self.private_key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let (given, missing) = match given {
                    Some(_) => ("certificate_file", "private_key_file"),
                    None => ("private_key_file", "certificate_file"),
                };
                return Err(WebError::Half { given, missing });
            }
        };
        if !self.listen.ip().to_canonical().is_loopback() {
            let (listen, exposed) =
                (self.listen, |listen, missing| WebError::Exposed { listen, missing });
            match (&self.token_file, files) {
                (Some(_), Some(_)) => {}
                (None, Some(_)) => return Err(exposed(listen, "web.token_file is")),
                (Some(_), None) => {
                    return Err(exposed(
                        listen,
                        "web.certificate_file and web.private_key_file are",
                    ));
                }
                (None, None) => {
                    let all = "web.token_file, web.certificate_file and web.private_key_file are";
                    return Err(exposed(listen, all));
                }
            }
        }
        let token = self.token_file.as_deref().map(load_token).transpose()?;
        let tls = files.map(|(certificate, key)| load_tls(certificate, key)).transpose()?;
        Ok(Secrets { token, tls })
    }
}

fn load_token(path: &Path) -> Result<Token, WebError> {
    let what = "token_file";
    let file = |why| WebError::File { what, path: path.to_owned(), why };
    let bytes = read(what, path, custody::ANY)?;
    let text = std::str::from_utf8(&bytes).map_or("", str::trim);
    if text.len() < TOKEN_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!(
            "no token; it is one line of at least {TOKEN_MIN} letters, digits and signs, as 'openssl rand \
             -hex 32' writes it"
        );
        return Err(file(why));
    }
    Ok(Token(Zeroizing::new(text.to_owned())))
}

fn load_tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, WebError> {
    let of = |what, path: &Path| {
        let path = path.to_owned();
        move |why: String| WebError::File { what, path, why }
    };
    let of_certificate = of("certificate_file", certificate);
    let bytes = read("certificate_file", certificate, custody::WRITE)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| of_certificate(format!("not PEM: {error}")))?;
    if chain.is_empty() {
        let of_certificate = of("certificate_file", certificate);
        return Err(of_certificate("there is no certificate (BEGIN CERTIFICATE) in it".to_owned()));
    }
    let bytes = read("private_key_file", key, custody::ANY)?;
    let private = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| of("private_key_file", key)(format!("no private key in PEM: {error}")))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private));
    match config {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        }
        Err(error) => {
            let certificate = certificate.display();
            let why = format!("cannot be used with the certificate in {certificate}: {error}");
            Err(of("private_key_file", key)(why))
        }
    }
}

/// Reads a file that is in safe custody.
fn read(what: &'static str, path: &Path, forbidden: u32) -> Result<Zeroizing<Vec<u8>>, WebError> {
    let file_error = |why: String| WebError::File { what, path: path.to_owned(), why };
    // Before it is opened, since opening a pipe would wait for its writer.
    let is_file = |of: &std::fs::Metadata| match of.is_file() {
        true => Ok(()),
        false => Err(file_error("this is no file".to_owned())),
    };
    is_file(&path.metadata().map_err(|error| file_error(error.to_string()))?)?;
    let file = File::open(path).map_err(|error| file_error(error.to_string()))?;
    let metadata = file.metadata().map_err(|error| file_error(error.to_string()))?;
    is_file(&metadata)?;
    if let Some(trouble) = custody::trouble(&metadata, forbidden) {
        let mode = if forbidden == custody::ANY { "0600" } else { "0644" };
        return Err(file_error(format!("{trouble}; it should be its owner's, with mode {mode}")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| file_error(error.to_string()))?;
    Ok(bytes)
}
