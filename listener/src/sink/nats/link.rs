//! A connection, with the stream and the bucket that are there.

use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode, kv};
use async_nats::{Client, Event};
use tokio::sync::watch;
use tokio::time::timeout;

use super::plan::Plan;
use crate::sink::lookup::Lookups;

/// An open connection; it closes when this is dropped.
pub(super) struct Link {
    pub(super) context: Context,
    pub(super) bucket: kv::Store,
    /// What people should know of what is there.
    pub(super) remarks: Vec<String>,
    lost: watch::Receiver<Option<String>>,
}

impl Link {
    /// Connects to one of the servers, and makes the stream and the bucket if they are not there.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) async fn open(plan: &Plan, lookups: &Lookups) -> Result<Self, String> {
        // By the way of a bounded number of lookups, before the client looks the names up on its own.
        let reachable = reachable(plan, lookups).await?;
        let (tell, lost) = watch::channel(None);
        let listen = move |event: Event| {
            match event {
                Event::Disconnected | Event::Closed => {
                    tell.send_if_modified(|why| {
                        let first = why.is_none();
                        why.get_or_insert_with(|| "the connection is lost".to_owned());
                        first
                    });
                }
                // Such as a subject that this user must not publish to, for which no answer comes.
                Event::ServerError(error) => {
                    tell.send_replace(Some(error.to_string()));
                }
                _ => {}
            }
            std::future::ready(())
        };
        let options = plan.options()?.event_callback(listen);
        // Each server may have several addresses.
        let patience = plan.timeout.saturating_mul(u32::try_from(plan.servers.len()).unwrap_or(1));
        let patience = patience.saturating_mul(2).saturating_add(Duration::from_secs(1));
        let client = match timeout(patience, options.connect(reachable)).await {
            Ok(client) => client.map_err(|error| error.to_string())?,
            Err(_) => return Err("no server answers".to_owned()),
        };
        let context = ContextBuilder::new().timeout(plan.timeout).build(client.clone());
        let mut remarks = Vec::new();
        let found = ensure(plan, &context, &client, stream_config(plan)).await?;
        if found.duplicate_window < plan.duplicate_window {
            remarks.push(format!(
                "stream {} knows the ids of events for {} only: one that is sent again later than that may be \
                 there twice",
                plan.stream,
                humantime::format_duration(found.duplicate_window)
            ));
        }
        ensure(plan, &context, &client, bucket_config(plan)).await?;
        let bucket = context.get_key_value(&plan.bucket).await;
        let bucket = bucket.map_err(|error| format!("bucket {}: {error}", plan.bucket))?;
        Ok(Self { context, bucket, remarks, lost })
    }

    /// Waits until the connection is lost: why.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        // Gone together with whoever tells.
        let told = lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        told.unwrap_or_else(|| "the connection is closed".to_owned())
    }
}

/// Those servers whose names are found; at least one.
async fn reachable(plan: &Plan, lookups: &Lookups) -> Result<Vec<async_nats::ServerAddr>, String> {
    let mut found = Vec::new();
    let mut why = String::new();
    for server in &plan.servers {
        match timeout(plan.timeout, lookups.find(server.host(), server.port())).await {
            Ok(Ok(_)) => found.push(server.clone()),
            Ok(Err(error)) => why = format!("{}: {error}", server.host()),
            Err(_) => why = format!("{}: no answer from the resolver", server.host()),
        }
    }
    if found.is_empty() { Err(why) } else { Ok(found) }
}

/// On how many servers something new is kept.
fn replicas(plan: &Plan, client: &Client) -> usize {
    let known = client.server_info().connect_urls.len().max(plan.servers.len());
    plan.replicas.unwrap_or(if known >= 3 { 3 } else { 1 })
}

fn stream_config(plan: &Plan) -> Config {
    Config {
        name: plan.stream.clone(),
        description: Some("Events of crashed nodes, from fence_kdumpd".to_owned()),
        subjects: vec![plan.subjects()],
        max_age: plan.keep,
        duplicate_window: plan.duplicate_window,
        ..Config::default()
    }
}

/// A bucket is a stream like this one (ADR-8 of NATS). What the client has for it asks for the account's
/// limits first, and does not understand the answer of servers before 2.10.
fn bucket_config(plan: &Plan) -> Config {
    Config {
        name: format!("KV_{}", plan.bucket),
        description: Some("The latest event of each node, from fence_kdumpd".to_owned()),
        subjects: vec![format!("$KV.{}.>", plan.bucket)],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..Config::default()
    }
}

/// Makes the stream `wanted` unless it is there: how it is.
async fn ensure(
    plan: &Plan,
    context: &Context,
    client: &Client,
    mut wanted: Config,
) -> Result<Config, String> {
    let name = wanted.name.clone();
    let wrong = |error: &dyn std::fmt::Display| format!("stream {name}: {error}");
    match context.get_stream(&wanted.name).await {
        Ok(found) => return Ok(found.cached_info().config.clone()),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(told) if told.code() == 404 => {}
            _ => return Err(wrong(&error)),
        },
    }
    wanted.storage = StorageType::File;
    wanted.num_replicas = replicas(plan, client);
    let mut made = context.create_stream(&wanted).await;
    if plan.replicas.is_none() && made.as_ref().is_err_and(|error| is_alone(&error.kind())) {
        wanted.num_replicas = 1;
        made = context.create_stream(&wanted).await;
    }
    match made {
        Ok(made) => Ok(made.cached_info().config.clone()),
        Err(error) => Err(wrong(&error)),
    }
}

/// Whether the server is none of a cluster.
fn is_alone(kind: &CreateStreamErrorKind) -> bool {
    matches!(
        kind,
        CreateStreamErrorKind::JetStream(told)
            if told.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
    )
}
