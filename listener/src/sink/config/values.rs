//! Values that are checked where they are read, so that what is wrong is shown with its line.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use async_nats::ServerAddr;
use hyper::Uri;
use serde::Deserialize;

use crate::fleet::event::Kind;

/// A number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Count<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    /// `number`, or the bound next to it.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        if number < LEAST {
            return Self(LEAST);
        }
        if number > MOST {
            return Self(MOST);
        }
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        // No machine with 16 bits runs this.
        self.0 as usize
    }
}

impl<const LEAST: u32, const MOST: u32> TryFrom<i64> for Count<LEAST, MOST> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(fits) if (LEAST..=MOST).contains(&fits) => Ok(Self(fits)),
            _ => Err(format!("{number} is not a number from {LEAST} to {MOST}")),
        }
    }
}

/// A time from `LEAST` to `MOST` seconds, written as people do: `10s`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Wait<const LEAST: u64, const MOST: u64>(Duration);

impl<const LEAST: u64, const MOST: u64> Wait<LEAST, MOST> {
    /// `seconds`, or the bound next to it.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds.clamp(LEAST, MOST)))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<String> for Wait<LEAST, MOST> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bounds = Duration::from_secs(LEAST)..=Duration::from_secs(MOST);
        match humantime::parse_duration(&text) {
            Ok(time) if bounds.contains(&time) => Ok(Self(time)),
            _ => {
                let least = humantime::format_duration(*bounds.start());
                let most = humantime::format_duration(*bounds.end());
                Err(format!(
                    "'{text}' is not a time from {least} to {most}, such as '90s' or '2h 30m'"
                ))
            }
        }
    }
}

/// Kinds of events; all when none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// Whether `kind` is among them.
    #[must_use]
    pub fn contain(&self, kind: Kind) -> bool {
        self.0.is_empty() || self.0.contains(&kind)
    }
}

/// 1 to 64 letters, digits, `_` and `-`: what a stream, a bucket and a sink can be called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    pub(super) fn fixed(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_name(&text, 64) {
            return Ok(Self(text));
        }
        Err(format!(
            "'{text}' is not 1 to 64 of the characters A to Z, a to z, 0 to 9, '_' and '-'"
        ))
    }
}

/// The beginning of subjects: such names, with dots in between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix(String);

impl Prefix {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("fence_kdump.event".to_owned())
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() <= 255 && text.split('.').all(|part| is_name(part, 255)) {
            return Ok(Self(text));
        }
        Err(format!("'{text}' is not a beginning of subjects such as 'fence_kdump.event'"))
    }
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Argv(Vec<String>);

impl Argv {
    /// The program.
    #[must_use]
    pub fn program(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// What it is called with.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl TryFrom<Vec<String>> for Argv {
    type Error = String;

    fn try_from(argv: Vec<String>) -> Result<Self, String> {
        let Some(program) = argv.first() else {
            return Err("no program; it has to be ['/path/of/program', 'argument', ...]".to_owned());
        };
        if !program.starts_with('/') {
            return Err(format!("'{program}' does not begin with '/': the whole path is needed"));
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return Err("no argument can contain a NUL".to_owned());
        }
        Ok(Self(argv))
    }
}

/// Where to post to. Shown without its path, which often is a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(Uri);

impl Url {
    /// All of it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The server's name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let server = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{server}")
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/...")
    }
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Not repeated in any error: it may contain a secret.
        let wrong = |why: &str| Err(format!("no URL such as 'https://example.org/path': {why}"));
        let Ok(uri) = Uri::from_str(&text) else { return wrong("not understood") };
        let Some(authority) = uri.authority() else { return wrong("it names no server") };
        match uri.scheme_str() {
            Some("http" | "https") => {}
            _ => return wrong("it begins with neither 'https://' nor 'http://'"),
        }
        if authority.as_str().contains('@') {
            return wrong("it has a user or password in it; see bearer_token_file");
        }
        if authority.host().is_empty() {
            return wrong("it names no server");
        }
        if authority.as_str().len() != authority.host().len() && authority.port_u16().is_none() {
            return wrong("its port is not a number from 1 to 65535");
        }
        if authority.port_u16() == Some(0) {
            return wrong("its port is 0");
        }
        Ok(Self(uri))
    }
}

/// Where NATS is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct NatsServers(Vec<ServerAddr>);

impl NatsServers {
    /// At least one.
    #[must_use]
    pub fn all(&self) -> &[ServerAddr] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for NatsServers {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        if !(1..=32).contains(&texts.len()) {
            return Err(format!("{} servers; there have to be 1 to 32", texts.len()));
        }
        let mut servers = Vec::new();
        for text in texts {
            // Neither is a URL with a password repeated.
            if text.contains('@') {
                return Err("a user or password in the URL of a server; see user, password_file, \
                            token_file, nkey_file and credentials_file"
                    .to_owned());
            }
            let server = ServerAddr::from_str(&text).ok();
            let known = server.filter(|server| matches!(server.scheme(), "nats" | "tls"));
            match known.filter(|server| !server.host().is_empty() && server.port() != 0) {
                Some(server) => servers.push(server),
                None => {
                    return Err(format!(
                        "'{text}' is not a server such as 'nats://192.0.2.1:4222'"
                    ));
                }
            }
        }
        Ok(Self(servers))
    }
}
