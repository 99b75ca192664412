//! What is configured, with the secrets from their files.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use zeroize::Zeroizing;

use crate::fleet::event::Event;
use crate::sink::SinkError;
use crate::sink::config::NatsConfig;
use crate::sink::ready::{self, Files};

use super::token;

/// After how long without a word from the server it is asked whether it is there.
const PING: Duration = Duration::from_secs(10);

/// Everything about where events are published.
pub(in crate::sink) struct Plan {
    pub(super) servers: Vec<ServerAddr>,
    pub(super) stream: String,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) replicas: Option<usize>,
    pub(super) keep: Duration,
    pub(super) duplicate_window: Duration,
    pub(super) timeout: Duration,
    pub(super) at_once: usize,
    credentials: Credentials,
    ca_file: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

enum Credentials {
    None,
    File(Zeroizing<String>),
    Nkey(Zeroizing<String>),
    Token(Zeroizing<String>),
    Password(String, Zeroizing<String>),
}

/// The files that `config` names, and whether each is a secret.
pub(in crate::sink) fn files(config: &NatsConfig) -> Vec<(&PathBuf, bool)> {
    let secrets = [
        &config.credentials_file,
        &config.nkey_file,
        &config.token_file,
        &config.password_file,
        &config.key_file,
    ];
    let open = [&config.ca_file, &config.certificate_file];
    let secrets = secrets.into_iter().flatten().map(|path| (path, true));
    secrets.chain(open.into_iter().flatten().map(|path| (path, false))).collect()
}

/// Whether [`Plan::new`] would make one.
pub(in crate::sink) fn check(
    name: &str,
    config: &NatsConfig,
    files: &Files,
) -> Result<(), SinkError> {
    Plan::new(name, config.clone(), files).map(drop)
}

impl Plan {
    pub(in crate::sink) fn new(
        name: &str,
        config: NatsConfig,
        files: &Files,
    ) -> Result<Self, SinkError> {
        let wrong =
            |why: &str| Err(SinkError::Settings { name: name.to_owned(), why: why.to_owned() });
        let line = |path: &Option<PathBuf>| {
            let line = ready::line(name, files, path.as_ref());
            line.map(|line| line.map(|line| Zeroizing::new(line.to_owned())))
        };
        let mut ways = Vec::new();
        if let Some(text) = ready::of(files, config.credentials_file.as_ref()) {
            let text = std::str::from_utf8(text).unwrap_or_default();
            if ConnectOptions::with_credentials(text).is_err() {
                let path = config.credentials_file.clone().unwrap_or_default();
                let why = "no credentials file as 'nsc generate creds' writes it".to_owned();
                return Err(SinkError::File { name: name.to_owned(), path, why });
            }
            ways.push(Credentials::File(Zeroizing::new(text.to_owned())));
        }
        if let Some(seed) = line(&config.nkey_file)? {
            // Base32 of two bytes that say what it is, 32, and two to check them.
            let is_seed = seed.starts_with("SU") && seed.len() == 58;
            if !is_seed || !seed.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) {
                let path = config.nkey_file.clone().unwrap_or_default();
                let why =
                    "no seed of a user's NKey ('nk -gen user'), which begins with SU".to_owned();
                return Err(SinkError::File { name: name.to_owned(), path, why });
            }
            ways.push(Credentials::Nkey(seed));
        }
        ways.extend(line(&config.token_file)?.map(Credentials::Token));
        match (&config.user, line(&config.password_file)?) {
            (Some(user), Some(password)) => {
                ways.push(Credentials::Password(user.clone(), password));
            }
            (None, None) => {}
            _ => return wrong("user and password_file need each other"),
        }
        if ways.len() > 1 {
            return wrong(
                "more than one of credentials_file, nkey_file, token_file and user; one is enough",
            );
        }
        let certificate = match (config.certificate_file, config.key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return wrong("certificate_file and key_file need each other"),
        };
        if config.duplicate_window.get() > config.keep.get() {
            return wrong("duplicate_window is longer than keep; it can be as long at most");
        }
        Ok(Self {
            servers: config.servers.all().to_vec(),
            stream: config.stream.as_str().to_owned(),
            bucket: config.bucket.as_str().to_owned(),
            prefix: config.subject_prefix.as_str().to_owned(),
            replicas: config.replicas.map(|replicas| replicas.get()),
            keep: config.keep.get(),
            duplicate_window: config.duplicate_window.get(),
            timeout: config.timeout.get(),
            at_once: config.at_once.get(),
            credentials: ways.pop().unwrap_or(Credentials::None),
            ca_file: config.ca_file,
            certificate,
        })
    }

    /// The subject of `event`.
    pub(super) fn subject(&self, event: &Event) -> String {
        format!("{}.{}.{}", self.prefix, token(&event.node), event.kind)
    }

    /// All subjects of events.
    pub(super) fn subjects(&self) -> String {
        format!("{}.*.*", self.prefix)
    }

    /// How to connect.
    pub(super) fn options(&self) -> Result<ConnectOptions, String> {
        let options = ConnectOptions::new();
        let options = match &self.credentials {
            Credentials::None => options,
            Credentials::File(text) => {
                options.credentials(text).map_err(|error| error.to_string())?
            }
            Credentials::Nkey(seed) => options.nkey(seed.to_string()),
            Credentials::Token(token) => options.token(token.to_string()),
            Credentials::Password(user, password) => {
                options.user_and_password(user.clone(), password.to_string())
            }
        };
        let mut options = options
            .name("fence_kdumpd")
            .no_echo()
            .connection_timeout(self.timeout)
            .request_timeout(Some(self.timeout))
            .ping_interval(PING)
            // A connection that is lost is opened anew by its user. This only keeps one that nobody uses
            // any more from being repaired for ever.
            .max_reconnects(self.servers.len());
        if let Some(ca_file) = &self.ca_file {
            options = options.add_root_certificates(ca_file.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options.require_tls(self.ca_file.is_some() || self.certificate.is_some()))
    }
}
