//! What a session and a tracker have in common.

use core::ffi::c_int;
use core::time::Duration;

use fence_kdump_core::{
    Disbelief, Event, Instant, NodeId, Outcome, Phase, Question, Session, Slot, State, Tracker,
    Verdict, decode, max_age,
};

use crate::code::{
    FENCE_KDUMP_ERROR_NODE, FENCE_KDUMP_ERROR_VALUE, code, of_disbelief, of_refusal, of_verdict,
};
use crate::pointer::{Place, bytes};
use crate::proof::{FENCE_KDUMP_PLAIN, admitted, number};

/// How long a node may be silent by default, in nanoseconds: 30 s.
pub const FENCE_KDUMP_SILENCE: u64 = 30_000_000_000;
/// How old a remembered message may be at most, in nanoseconds: 10 s.
pub const FENCE_KDUMP_MAX_AGE: u64 = 10_000_000_000;
/// No such time.
pub const FENCE_KDUMP_NEVER: u64 = u64::MAX;

const _: () = assert!(
    FENCE_KDUMP_SILENCE as u128 == fence_kdump_core::session::SILENCE.as_nanos()
        && FENCE_KDUMP_MAX_AGE as u128 == fence_kdump_core::MAX_AGE.as_nanos()
);

/// Nothing happened.
pub const FENCE_KDUMP_EVENT_NONE: c_int = 0;
/// The first message of a session. An earlier one of this node, if any, is over.
pub const FENCE_KDUMP_EVENT_STARTED: c_int = 1;
/// The second message of a session, or one that shows that it had not finished after all.
pub const FENCE_KDUMP_EVENT_DUMPING: c_int = 2;
/// One more message that changes nothing.
pub const FENCE_KDUMP_EVENT_HEARD: c_int = 3;
/// The node does something else now, and has proven that it says so: see the status.
pub const FENCE_KDUMP_EVENT_PHASE: c_int = 4;
/// The node was silent for too long, or has said (and proven) that it is done.
pub const FENCE_KDUMP_EVENT_FINISHED: c_int = 5;

/// Nothing was ever heard of this node.
pub const FENCE_KDUMP_STATE_UNHEARD: u8 = 0;
/// One message was heard.
pub const FENCE_KDUMP_STATE_STARTED: u8 = 1;
/// More than one message was heard.
pub const FENCE_KDUMP_STATE_DUMPING: u8 = 2;
/// The node was silent for too long, or said that its dump is over: it may have rebooted.
pub const FENCE_KDUMP_STATE_FINISHED: u8 = 3;

/// What is known of a node, for showing it. Whether it counts as fenced, only a verdict says.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// When the first message of the present or last session arrived, or `FENCE_KDUMP_NEVER`.
    pub first_heard: u64,
    /// When the latest message arrived, or `FENCE_KDUMP_NEVER`.
    pub last_heard: u64,
    /// How much of the dump is done, in bytes.
    pub done: u64,
    /// How much there is, in bytes; 0 when that is not known.
    pub total: u64,
    /// How many messages the session had.
    pub messages: u32,
    /// `FENCE_KDUMP_STATE_…`.
    pub state: u8,
    /// How far the latest message was proven: `FENCE_KDUMP_PLAIN`, `_SIGNED`, `_LIVE`, or 0.
    pub proof: u8,
    /// What the node has proven that it does: `FENCE_KDUMP_BOOTED` and its kin, or 0.
    pub phase: u8,
    /// Zero.
    pub reserved: u8,
}

impl Status {
    fn of(session: &Session, now: Instant) -> Self {
        let nanos = |at: Option<Instant>| at.map_or(FENCE_KDUMP_NEVER, Instant::as_nanos);
        let progress = session.progress();
        Self {
            first_heard: nanos(session.first_heard()),
            last_heard: nanos(session.last_heard()),
            done: progress.done,
            total: progress.total,
            messages: session.messages(),
            state: match session.state(now) {
                State::Unheard => FENCE_KDUMP_STATE_UNHEARD,
                State::Started => FENCE_KDUMP_STATE_STARTED,
                State::Dumping => FENCE_KDUMP_STATE_DUMPING,
                _ => FENCE_KDUMP_STATE_FINISHED,
            },
            proof: number(session.proof()),
            phase: session.phase().map_or(0, Phase::number),
            reserved: 0,
        }
    }
}

pub(crate) const fn event_number(event: Event) -> c_int {
    match event {
        Event::Started => FENCE_KDUMP_EVENT_STARTED,
        Event::Dumping => FENCE_KDUMP_EVENT_DUMPING,
        Event::Phase(_) => FENCE_KDUMP_EVENT_PHASE,
        Event::Finished => FENCE_KDUMP_EVENT_FINISHED,
        _ => FENCE_KDUMP_EVENT_HEARD,
    }
}

/// The time of silence, which cannot be zero.
pub(crate) fn silence(nanos: u64) -> Result<Duration, c_int> {
    if nanos == 0 { Err(FENCE_KDUMP_ERROR_VALUE) } else { Ok(Duration::from_nanos(nanos)) }
}

const UNSIGNED: Disbelief = Disbelief::Unsigned;

/// A datagram, and what is to be believed of it.
pub(crate) struct Arrival {
    pub(crate) at: u64,
    pub(crate) datagram: *const u8,
    pub(crate) len: usize,
    pub(crate) policy: c_int,
    pub(crate) proof: c_int,
}

/// A datagram of `node` came.
///
/// # Safety
/// The datagram and `event` are NULL or what they have to be; they are apart from the tracker.
pub(crate) unsafe fn hear<S: AsRef<[Slot]> + AsMut<[Slot]>>(
    tracker: &mut Tracker<S>,
    node: NodeId,
    arrival: &Arrival,
    event: *mut c_int,
) -> Result<(), c_int> {
    let Arrival { at, datagram, len, policy, proof } = *arrival;
    let admitted = admitted(policy, proof)?;
    // SAFETY: the caller vouches for both; the slice is no longer used when the place is written.
    let (datagram, place) = unsafe { (bytes(datagram, len)?, Place::optional(event)?) };
    let message = match decode(datagram) {
        Ok(message) => message,
        Err(error) => {
            let _ = tracker.refuse(error);
            return Err(of_refusal(error));
        }
    };
    // Whoever says that something without a MAC is proven is mistaken.
    let is_proven = proof == FENCE_KDUMP_PLAIN || message.signed().is_some();
    let outcome = match admitted.and_then(|proof| is_proven.then_some(proof).ok_or(UNSIGNED)) {
        Ok(proof) => tracker.hear(Instant::from_nanos(at), node, &message.report(proof)),
        Err(cause) => tracker.disbelieve(cause),
    };
    match outcome {
        Outcome::Heard { event, .. } => {
            if let Some(place) = place {
                place.put(event_number(event));
            }
            Ok(())
        }
        Outcome::Disbelieved(cause) => Err(of_disbelief(cause)),
        Outcome::Refused(error) => Err(of_refusal(error)),
    }
}

/// # Safety
/// `heard_at` is NULL or what it has to be, apart from the tracker.
pub(crate) unsafe fn verdict<S: AsRef<[Slot]> + AsMut<[Slot]>>(
    tracker: &Tracker<S>,
    node: NodeId,
    [not_before, now]: [u64; 2],
    heard_at: *mut u64,
) -> Result<(), c_int> {
    // SAFETY: the caller vouches for it.
    let place = unsafe { Place::optional(heard_at)? };
    tracker.session(node).ok_or(FENCE_KDUMP_ERROR_NODE)?;
    let [not_before, now] = [not_before, now].map(Instant::from_nanos);
    let verdict = tracker.verdict(node, Question { not_before, now });
    match verdict {
        Verdict::InCrashKernel(evidence) => {
            if let Some(place) = place {
                place.put(evidence.heard_at.as_nanos());
            }
            Ok(())
        }
        Verdict::NotKnown(_) => Err(of_verdict(verdict)),
    }
}

/// # Safety
/// `status` is NULL or what it has to be, apart from the tracker.
pub(crate) unsafe fn status<S: AsRef<[Slot]> + AsMut<[Slot]>>(
    tracker: &Tracker<S>,
    node: NodeId,
    now: u64,
    status: *mut Status,
) -> Result<(), c_int> {
    // SAFETY: the caller vouches for it.
    let place = unsafe { Place::new(status)? };
    let session = tracker.session(node).ok_or(FENCE_KDUMP_ERROR_NODE)?;
    place.put(Status::of(session, Instant::from_nanos(now)));
    Ok(())
}

/// # Safety
/// `at` is NULL or what it has to be, apart from the tracker.
pub(crate) unsafe fn deadline<S: AsRef<[Slot]> + AsMut<[Slot]>>(
    tracker: &Tracker<S>,
    at: *mut u64,
) -> Result<(), c_int> {
    // SAFETY: the caller vouches for it.
    let place = unsafe { Place::new(at)? };
    place.put(tracker.poll_timeout().map_or(FENCE_KDUMP_NEVER, Instant::as_nanos));
    Ok(())
}

/// The `not_before` of a question that is asked at `now` by somebody who was started at `started` to
/// know it and accepts remembered messages that are not older than `max_age`, or `FENCE_KDUMP_MAX_AGE` if
/// that is less (PROTOCOL.md, section 12.1). All in nanoseconds of one monotonic clock.
///
/// With a `max_age` of 0, only what arrived after `started` counts. It is never more than
/// `FENCE_KDUMP_MAX_AGE` before `now`, since who asks may have been held up while the node rebooted; what only
/// counts when it is live counts for 2 s, for which the caller takes what is later.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_not_before(started: u64, now: u64, max_age: u64) -> u64 {
    let since = Question::since(
        Instant::from_nanos(started),
        Instant::from_nanos(now),
        Duration::from_nanos(max_age),
    );
    let not_before = since.not_before.as_nanos();
    if max_age == 0 { not_before.max(started) } else { not_before }
}

/// Writes to `max_age` how old a remembered message of `len` bytes may be, in nanoseconds: never more
/// than `FENCE_KDUMP_MAX_AGE`, and 0 when it says that the dump is over (PROTOCOL.md, section 12.1).
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes; `max_age` is NULL or points to a writable
/// `uint64_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_max_age(
    datagram: *const u8,
    len: usize,
    max_age: *mut u64,
) -> c_int {
    let tell = || {
        // SAFETY: the caller vouches for both; the slice is no longer used when the place is written.
        let (datagram, place) = unsafe { (bytes(datagram, len)?, Place::new(max_age)?) };
        let age = self::max_age(&decode(datagram).map_err(of_refusal)?);
        place.put(u64::try_from(age.as_nanos()).unwrap_or(FENCE_KDUMP_MAX_AGE));
        Ok(())
    };
    code(tell())
}
