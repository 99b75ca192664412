//! A connection, with the stream and the bucket that are there.

use std::time::Duration;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind, KeyValueErrorKind,
};
use async_nats::jetstream::stream::{self, StorageType};
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
        ensure_stream(plan, &client, &context, &mut remarks).await?;
        let bucket = ensure_bucket(plan, &client, &context).await?;
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

async fn ensure_stream(
    plan: &Plan,
    client: &Client,
    context: &Context,
    remarks: &mut Vec<String>,
) -> Result<(), String> {
    let name = &plan.stream;
    let wrong = |error: &dyn std::fmt::Display| format!("stream {name}: {error}");
    match context.get_stream(name).await {
        Ok(stream) => {
            let window = stream.cached_info().config.duplicate_window;
            if window < plan.duplicate_window {
                remarks.push(format!(
                    "stream {name} knows the ids of events for {} only: one that is sent again later \
                     than that may be there twice",
                    humantime::format_duration(window)
                ));
            }
            return Ok(());
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(told) if told.code() == 404 => {}
            _ => return Err(wrong(&error)),
        },
    }
    let mut config = stream::Config {
        name: name.clone(),
        description: Some("Events of crashed nodes, from fence_kdumpd".to_owned()),
        subjects: vec![plan.subjects()],
        max_age: plan.keep,
        duplicate_window: plan.duplicate_window,
        storage: StorageType::File,
        num_replicas: replicas(plan, client),
        ..stream::Config::default()
    };
    let made = match context.create_stream(&config).await {
        Err(error) if plan.replicas.is_none() && is_alone(&error.kind()) => {
            config.num_replicas = 1;
            context.create_stream(&config).await
        }
        made => made,
    };
    made.map(drop).map_err(|error| wrong(&error))
}

/// Whether the server is none of a cluster.
fn is_alone(kind: &CreateStreamErrorKind) -> bool {
    matches!(
        kind,
        CreateStreamErrorKind::JetStream(told)
            if told.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
    )
}

async fn ensure_bucket(
    plan: &Plan,
    client: &Client,
    context: &Context,
) -> Result<kv::Store, String> {
    let name = &plan.bucket;
    let wrong = |error: &dyn std::fmt::Display| format!("bucket {name}: {error}");
    let missing = match context.get_key_value(name).await {
        Ok(bucket) => return Ok(bucket),
        Err(error) => error,
    };
    if missing.kind() != KeyValueErrorKind::GetBucket {
        return Err(wrong(&missing));
    }
    let config = |replicas| kv::Config {
        bucket: name.clone(),
        description: "The latest event of each node, from fence_kdumpd".to_owned(),
        history: 1,
        storage: StorageType::File,
        num_replicas: replicas,
        ..kv::Config::default()
    };
    let many = replicas(plan, client);
    match context.create_key_value(config(many)).await {
        Ok(bucket) => Ok(bucket),
        // For a server that is none of a cluster; whatever else is wrong is wrong for one, too.
        Err(_)
            if plan.replicas.is_none()
                && many > 1
                && client.server_info().connect_urls.is_empty() =>
        {
            context.create_key_value(config(1)).await.map_err(|error| wrong(&error))
        }
        Err(error) => Err(wrong(&error)),
    }
}
