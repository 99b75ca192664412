//! What can be configured: the table `sink` of the daemon's configuration.
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```

mod values;

use std::path::PathBuf;

use serde::Deserialize;

pub use values::{Argv, Count, Kinds, Name, NatsServers, Prefix, Url, Wait};

/// Everything about where events go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkConfig {
    /// To the journal of this host; on unless it is turned off.
    pub journal: JournalConfig,
    /// Programs that are run for each event; none.
    pub command: Vec<CommandConfig>,
    /// Web servers that each event is posted to; none.
    pub webhook: Vec<WebhookConfig>,
    /// NATS JetStream, for more than one machine; not without this table.
    pub nats: Option<NatsConfig>,
}

/// How many events wait for a sink before the oldest are lost.
pub type Room = Count<16, 1_000_000>;

/// The journal of systemd on this host, with a field for everything that is known.
///
/// Where there is no such journal, there is no such sink, and nothing is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Whether to write to it; true.
    pub enabled: bool,
    /// Its socket; `/run/systemd/journal/socket`.
    pub socket: PathBuf,
    /// Which events; all.
    pub kinds: Kinds,
    /// How many may wait; 8192.
    pub queue: Room,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            socket: "/run/systemd/journal/socket".into(),
            kinds: Kinds::default(),
            queue: Count::of(8192),
        }
    }
}

/// A program that is run once for each event.
///
/// It finds the event in its environment, as `FENCE_KDUMP_NODE`, `FENCE_KDUMP_KIND` and so on: every field
/// of the JSON form that is known, in upper case. Of the daemon's own environment it gets `PATH`, `HOME`,
/// `LANG`, `LC_ALL` and `TZ` alone. It runs in `/`, as a process group of its own and as the daemon's user.
/// What it writes is shown when it fails. Events of one node come one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// What it is called in messages and metrics; `command-1`, `command-2`, ...
    #[serde(default)]
    pub name: Option<Name>,
    /// The program, with its whole path, and what it is always called with. No shell reads it.
    pub argv: Argv,
    /// What it can read from its standard input; nothing.
    #[serde(default)]
    pub stdin: Stdin,
    /// How long it may take; `30s`, at most a day. Then its process group gets SIGTERM, and what is left of it
    /// two seconds later SIGKILL.
    #[serde(default = "thirty_seconds")]
    pub time_limit: Wait<1, 86_400>,
    /// How many may run at once; 4.
    #[serde(default = "four")]
    pub at_once: Count<1, 64>,
    /// Which events; all.
    #[serde(default)]
    pub kinds: Kinds,
    /// How many may wait; 1024.
    #[serde(default = "thousand")]
    pub queue: Room,
}

/// What a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdin {
    /// The end at once.
    #[default]
    Nothing,
    /// The event as one line of JSON.
    Event,
}

/// A web server: each event is the body of a POST, as JSON.
///
/// The header `Idempotency-Key` has the event's id, the same in every try. An answer of 200 to 299 means that
/// the event arrived. 408, 425, 429, 500 and above, and no answer at all, mean to try again; anything else,
/// redirections too, that the event is given up at once. No proxy is used. Events of one node come one
/// after the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// What it is called in messages and metrics; `webhook-1`, `webhook-2`, ...
    #[serde(default)]
    pub name: Option<Name>,
    /// `https://` or `http://`. Only its server is ever shown.
    pub url: Url,
    /// How long one try may take; `10s`.
    #[serde(default = "ten_seconds")]
    pub timeout: Wait<1, 300>,
    /// How many tries each event gets; 20.
    #[serde(default = "twenty")]
    pub attempts: Count<1, 1000>,
    /// How old an event may be, counted from when it happened here, before it is given up; `1h`.
    #[serde(default = "hour")]
    pub max_age: Wait<1, 604_800>,
    /// How long to wait after the first failure of an event, then twice as long each time, at most five
    /// minutes, and up to a half less by chance; `1s`.
    #[serde(default = "second")]
    pub retry_after: Wait<1, 300>,
    /// How many events may be on their way at once; 4.
    #[serde(default = "four")]
    pub at_once: Count<1, 64>,
    /// A file with the token to send as `Authorization: Bearer`.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// A file with the secret to sign with: the header `Fence-Kdump-Signature` is then `sha256=` and the
    /// HMAC-SHA-256 of the body in hexadecimal. A line end that ends the file is not part of the secret.
    #[serde(default)]
    pub hmac_secret_file: Option<PathBuf>,
    /// A file with the certificates (PEM) to believe instead of those of this host.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Which events; all.
    #[serde(default)]
    pub kinds: Kinds,
    /// How many may wait; 8192.
    #[serde(default = "eight_thousand")]
    pub queue: Room,
}

/// NATS JetStream: a stream of all events, and a key-value bucket with the latest event of each node.
///
/// An event is published as JSON under the subject `PREFIX.NODE.KIND`, with its id as `Nats-Msg-Id`, and
/// leaves the queue once the stream and the bucket have acknowledged it. The events of one listener stand
/// in the stream in their order. The key of a node is its name as [`super::token`] writes it. Several
/// listeners may write the same stream and bucket.
///
/// Every file with a secret has to belong to root or to the daemon's user, and to be closed to all others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// At least one, as in `nats://192.0.2.1:4222`, or `tls://` to insist on TLS. Other servers of their
    /// cluster are found by themselves.
    pub servers: NatsServers,
    /// Begins every subject; `fence_kdump.event`.
    #[serde(default)]
    pub subject_prefix: Prefix,
    /// The stream; `FENCE_KDUMP`. Made when it is not there; left as it is when it is.
    #[serde(default = "stream")]
    pub stream: Name,
    /// The bucket; `fence_kdump_nodes`. Made when it is not there; left as it is when it is.
    #[serde(default = "bucket")]
    pub bucket: Name,
    /// On how many servers a new stream and bucket are kept; 3 when the cluster has three or more
    /// servers, else 1.
    #[serde(default)]
    pub replicas: Option<Count<1, 5>>,
    /// How long a new stream keeps events; `365days`.
    #[serde(default = "year")]
    pub keep: Wait<3600, 3_153_600_000>,
    /// How long a new stream knows the ids of events, so that it takes none twice; `1day`. An event whose
    /// acknowledgement is lost, and that cannot be sent again for longer than this, may be there twice.
    #[serde(default = "day")]
    pub duplicate_window: Wait<120, 2_592_000>,
    /// How long to wait for an acknowledgement; `5s`.
    #[serde(default = "five_seconds")]
    pub timeout: Wait<1, 60>,
    /// How many events, of as many nodes, may be on their way at once; 64.
    #[serde(default = "sixty_four")]
    pub at_once: Count<1, 512>,
    /// A credentials file (`nsc generate creds`).
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// A file with the seed of an NKey.
    #[serde(default)]
    pub nkey_file: Option<PathBuf>,
    /// A file with a token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A user, together with `password_file`.
    #[serde(default)]
    pub user: Option<String>,
    /// A file with the password of `user`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) to believe instead of those of this host. TLS is then insisted
    /// on.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A file with the listener's own certificate (PEM), together with `key_file`.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// A file with the private key (PEM) of `certificate_file`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// How many may wait; 16384.
    #[serde(default = "sixteen_thousand")]
    pub queue: Room,
}

fn second() -> Wait<1, 300> {
    Wait::seconds(1)
}

fn five_seconds() -> Wait<1, 60> {
    Wait::seconds(5)
}

fn ten_seconds() -> Wait<1, 300> {
    Wait::seconds(10)
}

fn thirty_seconds() -> Wait<1, 86_400> {
    Wait::seconds(30)
}

fn hour() -> Wait<1, 604_800> {
    Wait::seconds(3600)
}

fn day() -> Wait<120, 2_592_000> {
    Wait::seconds(86_400)
}

fn year() -> Wait<3600, 3_153_600_000> {
    Wait::seconds(365 * 86_400)
}

fn four() -> Count<1, 64> {
    Count::of(4)
}

fn twenty() -> Count<1, 1000> {
    Count::of(20)
}

fn sixty_four() -> Count<1, 512> {
    Count::of(64)
}

fn thousand() -> Room {
    Count::of(1024)
}

fn eight_thousand() -> Room {
    Count::of(8192)
}

fn sixteen_thousand() -> Room {
    Count::of(16_384)
}

fn stream() -> Name {
    Name::fixed("FENCE_KDUMP")
}

fn bucket() -> Name {
    Name::fixed("fence_kdump_nodes")
}

#[cfg(test)]
mod tests;
