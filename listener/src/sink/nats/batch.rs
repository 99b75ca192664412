//! Some events on their way, and what is still to do for each.

use std::error::Error as StdError;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::kv::{Store, UpdateErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use futures_util::future::join_all;

use super::latest::is_newer;
use super::link::Link;
use super::plan::Plan;
use super::token;
use crate::fleet::event::Event;
use crate::sink::fields;
use crate::sink::queue::Taken;

/// How often a key is read and written anew because somebody else wrote it in between.
const CONTENTIONS: usize = 16;

/// Events, no two of one node.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Item>);

#[derive(Debug)]
struct Item {
    taken: Taken,
    next: Step,
}

/// What is to do next for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// To the stream with it.
    Publish,
    /// The stream has it; to the bucket with it.
    Put,
    /// Both have it.
    Done,
    /// It will never be taken: why.
    Refused(String),
}

impl Batch {
    pub(super) fn of(taken: Vec<Taken>) -> Self {
        Self(taken.into_iter().map(|taken| Item { taken, next: Step::Publish }).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does all that is still to do. Can be dropped at any point, and begun again over another link.
    ///
    /// # Errors
    /// What went wrong, for people; the batch then holds what has to be done again.
    pub(super) async fn deliver(&mut self, plan: &Plan, link: &Link) -> Result<(), String> {
        let published = self.publish(plan, link).await;
        // Those that the stream has need not wait for the others.
        let put = self.put(&link.bucket).await;
        let mut left = Vec::new();
        for Item { taken, next } in std::mem::take(&mut self.0) {
            match next {
                Step::Publish | Step::Put => left.push(Item { taken, next }),
                Step::Done => taken.delivered(),
                Step::Refused(why) => taken.failed(&why),
            }
        }
        self.0 = left;
        published.and(put)
    }

    /// Sends all to the stream, one after the other, and only then waits for the acknowledgements.
    async fn publish(&mut self, plan: &Plan, link: &Link) -> Result<(), String> {
        let mut awaited = Vec::new();
        for (item, at) in self.0.iter().zip(0_usize..) {
            if item.next != Step::Publish {
                continue;
            }
            let event = item.taken.event();
            let message = PublishMessage::build()
                .payload(Bytes::from(fields::json(event)))
                .message_id(id(event))
                .expected_stream(&plan.stream);
            awaited.push((at, link.context.send_publish(plan.subject(event), message).await));
        }
        let mut trouble = Ok(());
        for (at, sent) in awaited {
            let acknowledged = match sent {
                Ok(sent) => sent.await.map(drop),
                Err(error) => Err(error),
            };
            let Some(item) = self.0.get_mut(at) else { continue };
            match acknowledged {
                Ok(()) => item.next = Step::Put,
                Err(error) if is_final(&error) => item.next = Step::Refused(error.to_string()),
                // The others will not be answered sooner.
                Err(error) if error.kind() == PublishErrorKind::TimedOut => {
                    return Err(format!("stream {}: {error}", plan.stream));
                }
                Err(error) => trouble = Err(format!("stream {}: {error}", plan.stream)),
            }
        }
        trouble
    }

    /// Puts all that the stream has into the bucket, all at once.
    async fn put(&mut self, bucket: &Store) -> Result<(), String> {
        let to_put = self.0.iter_mut().filter(|item| item.next == Step::Put);
        let all = join_all(to_put.map(async |item| {
            put(bucket, item.taken.event()).await?;
            item.next = Step::Done;
            Ok(())
        }));
        let outcomes: Vec<Result<(), String>> = all.await;
        outcomes.into_iter().collect::<Result<(), _>>()
    }
}

/// The event's id as a header can have it.
fn id(event: &Event) -> String {
    event.id.to_string().replace(|letter: char| !letter.is_ascii_graphic(), "_")
}

/// Whether the very same event will be refused again, and others not.
fn is_final(error: &PublishError) -> bool {
    if error.kind() == PublishErrorKind::MaxPayloadExceeded {
        return true;
    }
    let told = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    told.is_some_and(|told| {
        matches!(
            told.error_code(),
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM
        )
    })
}

/// Makes `event` the value of its node's key, unless what is there is as new or newer.
async fn put(bucket: &Store, event: &Event) -> Result<(), String> {
    let key = token(&event.node);
    let wrong =
        |error: &dyn std::fmt::Display| format!("bucket {}, key {key}: {error}", bucket.name);
    for _ in 0..CONTENTIONS {
        // Asked of the one server that decides. The others may not know of the latest yet.
        let subject = format!("{}{key}", bucket.prefix);
        let revision = match bucket.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(found) => {
                let stored_ms = found.time.unix_timestamp_nanos() / 1_000_000;
                let stored_ms = u64::try_from(stored_ms).unwrap_or(0);
                // What is no event, such as the mark of a key that was removed, is older than any.
                let stored = serde_json::from_slice::<Event>(&found.payload).ok();
                if stored.is_some_and(|stored| !is_newer(event, &stored, stored_ms)) {
                    return Ok(());
                }
                found.sequence
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => 0,
            Err(error) => return Err(wrong(&error)),
        };
        match bucket.update(&key, Bytes::from(fields::json(event)), revision).await {
            Ok(_) => return Ok(()),
            // Somebody else was faster; or this was, and its acknowledgement is lost.
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
            Err(error) => return Err(wrong(&error)),
        }
    }
    Err(wrong(&"others write it all the time"))
}
