//! To a web server, again and again until it took it.

mod post;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use tokio::time::{Instant, sleep, timeout};
use zeroize::Zeroizing;

use super::SinkError;
use super::config::{Url, WebhookConfig};
use super::fields;
use super::lookup::Lookups;
use super::pace::Pace;
use super::queue::{Queue, Taken};
use super::ready::{self, Files};
use crate::fleet::event::Event;
use crate::voice::Weight;
use post::{Line, Server};

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How far an event may be chosen past others whose node is busy.
const REACH: usize = 256;

/// The files that `config` names, and whether each is a secret.
pub(super) fn files(config: &WebhookConfig) -> Vec<(&PathBuf, bool)> {
    let secrets = [&config.bearer_token_file, &config.hmac_secret_file];
    let secrets = secrets.into_iter().flatten().map(|path| (path, true));
    secrets.chain(config.ca_file.as_ref().map(|path| (path, false))).collect()
}

/// Whether [`Hook::new`] would make one.
pub(super) fn check(name: &str, config: &WebhookConfig, files: &Files) -> Result<(), SinkError> {
    Hook::new(name, config, files, Lookups::new()).map(drop)
}

/// One web server, and how to speak to it.
pub(super) struct Hook {
    server: Server,
    fixed: HeaderMap,
    secret: Option<Zeroizing<Vec<u8>>>,
    timeout: Duration,
    attempts: usize,
    max_age: Duration,
    retry_after: Duration,
    at_once: usize,
    /// What people should know of its settings.
    remark: Option<String>,
    /// Connections that are open and unused.
    lines: Mutex<Vec<Line>>,
}

impl Hook {
    pub(super) fn new(
        name: &str,
        config: &WebhookConfig,
        files: &Files,
        lookups: Lookups,
    ) -> Result<Self, SinkError> {
        let file = |path: &Option<PathBuf>, why: &str| SinkError::File {
            name: name.to_owned(),
            path: path.clone().unwrap_or_default(),
            why: why.to_owned(),
        };
        let ca = ready::of(files, config.ca_file.as_ref());
        let server = Server::new(&config.url, ca, lookups).map_err(|why| match ca {
            Some(_) => file(&config.ca_file, &why),
            None => SinkError::Settings { name: name.to_owned(), why },
        })?;
        let mut fixed = HeaderMap::new();
        let token = ready::line(name, files, config.bearer_token_file.as_ref())?;
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| {
                file(&config.bearer_token_file, "has characters that no token can have")
            })?;
            value.set_sensitive(true);
            fixed.insert(AUTHORIZATION, value);
        }
        let secret = ready::of(files, config.hmac_secret_file.as_ref()).map(|text| {
            let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
            let end = end.map_or(0, |last| last.saturating_add(1));
            Zeroizing::new(text.get(..end).unwrap_or_default().to_vec())
        });
        if secret.as_ref().is_some_and(|secret| secret.len() < 16) {
            return Err(file(&config.hmac_secret_file, "a secret has to have 16 bytes or more"));
        }
        let in_the_clear = token.is_some() && !config.url.is_secure();
        let remark = in_the_clear.then(|| remark(&config.url));
        Ok(Self {
            server,
            fixed,
            secret,
            timeout: config.timeout.get(),
            attempts: config.attempts.get(),
            max_age: config.max_age.get(),
            retry_after: config.retry_after.get(),
            at_once: config.at_once.get(),
            remark,
            lines: Mutex::default(),
        })
    }

    /// The headers that go with `body`, the JSON of `event`.
    fn headers(&self, event: &Event, body: &[u8]) -> HeaderMap {
        let mut headers = self.fixed.clone();
        let id = event.id.to_string().replace(|letter: char| !letter.is_ascii_graphic(), "_");
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(HeaderName::from_static("idempotency-key"), id);
        }
        if let Some(signature) = self.secret.as_ref().and_then(|secret| sign(secret, body)) {
            headers.insert(HeaderName::from_static("fence-kdump-signature"), signature);
        }
        headers
    }

    /// One try.
    async fn post(&self, headers: HeaderMap, body: Bytes) -> Result<StatusCode, String> {
        let lines = || self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let open = lines().pop();
        let answer = self.server.post(open, headers, body, self.timeout);
        let (status, line) = match timeout(self.timeout, answer).await {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(format!("no answer in {}", humantime::format_duration(self.timeout)));
            }
        };
        if let Some(line) = line {
            lines().push(line);
        }
        Ok(status)
    }
}

fn remark(url: &Url) -> String {
    format!("the token goes to {url} unencrypted, where everybody on the way can read it")
}

/// The value of the header with the signature.
fn sign(secret: &[u8], body: &[u8]) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(body);
    let mut value = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        for digit in [byte >> 4, byte & 0xf] {
            value.push(char::from_digit(digit.into(), 16).unwrap_or('?'));
        }
    }
    HeaderValue::try_from(value).ok()
}

/// Posts the events of `queue`.
pub(super) async fn work(hook: Hook, queue: Arc<Queue>) {
    if let Some(remark) = &hook.remark {
        queue.complain(Weight::Warning, remark);
    }
    let busy: Mutex<HashSet<Arc<str>>> = Mutex::default();
    let lock = || busy.lock().unwrap_or_else(PoisonError::into_inner);
    // When this goes, what was on its way is in the queue again.
    let mut under_way = FuturesUnordered::new();
    loop {
        let room = under_way.len() < hook.at_once;
        let mut taken = tokio::select! {
            Some(()) = under_way.next() => continue,
            taken = queue.take(1, REACH, |event| !lock().contains(&event.node)), if room => taken,
        };
        let Some(taken) = taken.pop() else { break };
        lock().insert(Arc::clone(&taken.event().node));
        under_way.push(async {
            let taken = taken;
            let outcome = deliver(&hook, &taken).await;
            // First, so that the next event of the node is found by whoever hears of the end of this.
            lock().remove(&taken.event().node);
            settle(taken, outcome);
        });
    }
    while under_way.next().await.is_some() {}
}

fn settle(taken: Taken, outcome: Result<(), String>) {
    match outcome {
        Ok(()) => taken.delivered(),
        Err(why) => {
            let Event { kind, node, .. } = &**taken.event();
            let line = format!("{kind} of {node} is given up: {why}");
            taken.queue().complain(Weight::Warning, &line);
            taken.failed(&why);
        }
    }
}

/// Tries until the event arrived or is given up.
async fn deliver(hook: &Hook, taken: &Taken) -> Result<(), String> {
    let body = Bytes::from(fields::json(taken.event()));
    let headers = hook.headers(taken.event(), &body);
    let mut pace = Pace::new(hook.retry_after, LONGEST_PAUSE);
    let too_old = Instant::from_std(taken.since).checked_add(hook.max_age);
    let is_late = |at: Instant| too_old.is_none_or(|too_old| at >= too_old);
    if is_late(Instant::now()) {
        return Err("it waited for too long".to_owned());
    }
    for attempt in 1_usize.. {
        let why = match hook.post(headers.clone(), body.clone()).await {
            Ok(status) if status.is_success() => return Ok(()),
            Ok(status) if !is_passing(status) => return Err(format!("the server said {status}")),
            Ok(status) => format!("the server said {status}"),
            Err(why) => why,
        };
        taken.queue().trouble(&why);
        let pause = pace.pause();
        let next = Instant::now().checked_add(pause);
        if attempt >= hook.attempts || next.is_none_or(is_late) {
            return Err(format!("{why} (the last of {attempt} tries)"));
        }
        sleep(pause).await;
    }
    Err("no try was left".to_owned())
}

/// Whether the same request may find another answer later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

#[cfg(test)]
mod tests;
