//! One node's dump.

use core::ffi::c_int;

use fence_kdump_core::{Instant, NodeId, Slot, Tracker};

use crate::code::code;
use crate::follow::{self, Arrival, FENCE_KDUMP_EVENT_NONE, Status, event_number};
use crate::memory::{held, init, room, shown};
use crate::pointer::Place;

/// cbindgen:ignore
type One = Tracker<[Slot; 1]>;

/// Memory for one node's session. It may be moved and copied.
#[repr(C)]
pub struct SessionRoom {
    /// For the library alone.
    pub opaque: [u64; 48],
}

room!(SessionRoom, One, b"KDsessn1");

const NODE: NodeId = NodeId(0);

/// Prepares `session`, `size` being its size, for a node of which nothing was heard. It has finished
/// when nothing is heard for `silence` nanoseconds, usually `FENCE_KDUMP_SILENCE`; longer for a node that
/// has proven to have promised to speak less often.
///
/// # Safety
///
/// `session` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_init(
    session: *mut SessionRoom,
    size: usize,
    silence: u64,
) -> c_int {
    let prepare = || {
        let silence = follow::silence(silence)?;
        // SAFETY: the caller's promise.
        unsafe { init(session, size, One::new([Slot::EMPTY], silence)) }
    };
    code(prepare())
}

/// A whole datagram of `len` bytes of this node came, which arrived at `at`, in nanoseconds of a monotonic
/// clock; `policy` is the node's, and `proof` what the message proves: what `fence_kdump_prove` has said,
/// or `FENCE_KDUMP_PLAIN`. What it changed is written to `event` unless that is NULL.
///
/// Returns `FENCE_KDUMP_OK` when it is believed, or why it is not; then the session is as it was.
///
/// # Safety
///
/// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `datagram` to `len`
/// readable bytes or nothing, `event` to a writable int or nothing; these do not overlap.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_hear(
    session: *mut SessionRoom,
    at: u64,
    datagram: *const u8,
    len: usize,
    policy: c_int,
    proof: c_int,
    event: *mut c_int,
) -> c_int {
    let arrival = Arrival { at, datagram, len, policy, proof };
    // SAFETY: the caller vouches for all of them.
    code(unsafe { held::<One>(session).and_then(|one| follow::hear(one, NODE, &arrival, event)) })
}

/// Time has passed: writes `FENCE_KDUMP_EVENT_FINISHED` to `event`, once, when the session has finished by
/// `now`; `FENCE_KDUMP_EVENT_NONE` otherwise. Verdicts do not wait for this call.
///
/// # Safety
///
/// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `event` to a writable int
/// or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_tick(
    session: *mut SessionRoom,
    now: u64,
    event: *mut c_int,
) -> c_int {
    let tick = || {
        // SAFETY: the caller vouches for both.
        let (one, place) = unsafe { (held::<One>(session)?, Place::new(event)?) };
        let told = one.poll(Instant::from_nanos(now));
        place.put(told.map_or(FENCE_KDUMP_EVENT_NONE, |(_, event)| event_number(event)));
        Ok(())
    };
    code(tick())
}

/// Writes to `at` when `fence_kdump_session_tick` will have something to tell, unless a message comes
/// first; `FENCE_KDUMP_NEVER` when it will not.
///
/// # Safety
///
/// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `at` to a writable
/// `uint64_t` or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_deadline(
    session: *const SessionRoom,
    at: *mut u64,
) -> c_int {
    // SAFETY: the caller vouches for both; the session is only read.
    code(unsafe { shown::<One>(session).and_then(|one| follow::deadline(one, at)) })
}

/// Writes what is known at `now` to `status`, for showing it.
///
/// # Safety
///
/// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `status` to a writable
/// status or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_status(
    session: *const SessionRoom,
    now: u64,
    status: *mut Status,
) -> c_int {
    // SAFETY: the caller vouches for both; the session is only read.
    code(unsafe { shown::<One>(session).and_then(|one| follow::status(one, NODE, now, status)) })
}

/// **The verdict**: `FENCE_KDUMP_OK` if and only if the node is in its crash kernel, so that it need not
/// be fenced by other means. **Every other value means that this is not known**: `FENCE_KDUMP_NEVER_HEARD`,
/// `_TOO_OLD`, `_ENDED`, `_FROM_THE_FUTURE`, `_NOT_KNOWN`, or an error.
///
/// Asked at `now`; messages that arrived before `not_before` are no evidence, since the node may have
/// rebooted: usually the time at which the caller was told to find out, see also
/// `fence_kdump_not_before`. When the latest message arrived is written to `heard_at` unless that is NULL.
///
/// # Safety
///
/// `session` is NULL or points to what `fence_kdump_session_init` has prepared, `heard_at` to a writable
/// `uint64_t` or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_session_verdict(
    session: *const SessionRoom,
    not_before: u64,
    now: u64,
    heard_at: *mut u64,
) -> c_int {
    // SAFETY: the caller vouches for both; the session is only read.
    code(unsafe {
        shown::<One>(session)
            .and_then(|one| follow::verdict(one, NODE, [not_before, now], heard_at))
    })
}
