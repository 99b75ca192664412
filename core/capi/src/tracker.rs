//! Many nodes' dumps, in one piece of memory.

use core::ffi::c_int;
use core::ptr::NonNull;

use fence_kdump_core::{DecodeError, Instant, NodeId, Slot};

use crate::code::{
    FENCE_KDUMP_ERROR_MEMORY, FENCE_KDUMP_ERROR_NODE, FENCE_KDUMP_ERROR_SIZE,
    FENCE_KDUMP_ERROR_VALUE, FENCE_KDUMP_OK, code, disbelief, of_refusal,
};
use crate::follow::{self, Arrival, FENCE_KDUMP_EVENT_NONE, Status, event_number};
use crate::pointer::{Place, check};

/// Bytes of a tracker besides its nodes.
pub const FENCE_KDUMP_TRACKER_BASE: usize = 384;
/// Bytes of a tracker for each node.
pub const FENCE_KDUMP_TRACKER_NODE: usize = 80;
/// How memory for a tracker has to be aligned, in bytes.
pub const FENCE_KDUMP_TRACKER_ALIGN: usize = 8;

const _: () = assert!(
    size_of::<Head>() <= FENCE_KDUMP_TRACKER_BASE
        && align_of::<Head>() <= FENCE_KDUMP_TRACKER_ALIGN
        && size_of::<Slot>() <= FENCE_KDUMP_TRACKER_NODE
        && align_of::<Slot>() <= FENCE_KDUMP_TRACKER_ALIGN
        && FENCE_KDUMP_TRACKER_BASE.is_multiple_of(FENCE_KDUMP_TRACKER_ALIGN)
);

/// The sessions of many nodes, which are numbered from 0 on. No function's cost grows with their number.
pub struct TrackerRoom {
    _private: [u8; 0],
}

/// cbindgen:ignore
type Many = fence_kdump_core::Tracker<Slots>;

#[repr(C)]
struct Head {
    mark: u64,
    /// Its own address: what was moved has pointers to where it was.
    here: usize,
    many: Many,
}

const MARK: u64 = u64::from_ne_bytes(*b"KDtrack1");

/// The nodes, behind the head.
struct Slots {
    first: NonNull<Slot>,
    len: usize,
}

impl AsRef<[Slot]> for Slots {
    fn as_ref(&self) -> &[Slot] {
        // SAFETY: `fence_kdump_tracker_init` has written so many slots there, in memory that the caller
        // left to the tracker; who has a reference to this has one to the tracker.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl AsMut<[Slot]> for Slots {
    fn as_mut(&mut self) -> &mut [Slot] {
        // SAFETY: as above, and the reference to this is the only one.
        unsafe { core::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

/// How many bytes a tracker of so many nodes needs, as `FENCE_KDUMP_TRACKER_SIZE`; 0 when there is no
/// such size.
#[unsafe(no_mangle)]
pub extern "C" fn fence_kdump_tracker_size(nodes: u32) -> usize {
    let slots = usize::try_from(nodes).ok().and_then(|n| n.checked_mul(FENCE_KDUMP_TRACKER_NODE));
    slots.and_then(|slots| slots.checked_add(FENCE_KDUMP_TRACKER_BASE)).unwrap_or(0)
}

/// Makes a tracker of the nodes from 0 to `nodes` - 1 in `memory`, of which nothing was heard, and writes
/// it to `tracker`. The memory belongs to the tracker for as long as that is used, and must not be moved.
/// There is nothing to be freed.
///
/// `size` is the memory's: `FENCE_KDUMP_TRACKER_SIZE(nodes)` or more; it has to be aligned to
/// `FENCE_KDUMP_TRACKER_ALIGN` bytes. A session has finished when nothing is heard for `silence`
/// nanoseconds, usually `FENCE_KDUMP_SILENCE`; longer for nodes that have proven to have promised to speak
/// less often.
///
/// # Safety
///
/// `memory` is NULL or points to `size` writable bytes, `tracker` is NULL or points to a writable pointer
/// elsewhere.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_init(
    memory: *mut core::ffi::c_void,
    size: usize,
    nodes: u32,
    silence: u64,
    tracker: *mut *mut TrackerRoom,
) -> c_int {
    let prepare = || {
        // The whole word: on machines where less is enough for us, it still is what the header says.
        check(memory.cast::<Aligned>())?;
        // SAFETY: the caller vouches for it.
        let place = unsafe { Place::new(tracker)? };
        let silence = follow::silence(silence)?;
        let (needed, len) = (fence_kdump_tracker_size(nodes), nodes as usize);
        if nodes == 0 {
            return Err(FENCE_KDUMP_ERROR_VALUE);
        }
        if needed == 0 || size < needed {
            return Err(FENCE_KDUMP_ERROR_SIZE);
        }
        // SAFETY: `size` bytes are there, which are more.
        let first = unsafe { memory.cast::<u8>().add(FENCE_KDUMP_TRACKER_BASE) }.cast::<Slot>();
        for index in 0..len {
            // SAFETY: `len` slots fit behind the head, at a multiple of their alignment.
            unsafe { first.add(index).write(Slot::EMPTY) };
        }
        let first = NonNull::new(first).ok_or(FENCE_KDUMP_ERROR_SIZE)?;
        let many = Many::new(Slots { first, len }, silence);
        let head = Head { mark: MARK, here: memory.addr(), many };
        // SAFETY: the head fits before the slots, and the memory is aligned for it.
        unsafe { memory.cast::<Head>().write(head) };
        place.put(memory.cast());
        Ok(())
    };
    code(prepare())
}

#[repr(align(8))]
struct Aligned {
    _word: [u8; FENCE_KDUMP_TRACKER_ALIGN],
}

/// A tracker, as far as one look tells.
///
/// # Safety
/// `tracker` is NULL, misaligned, or points to memory which nobody writes meanwhile; when it has mark and
/// address, it is what `fence_kdump_tracker_init` has made.
unsafe fn head(tracker: *const TrackerRoom) -> Result<*const Head, c_int> {
    let head = tracker.cast::<Head>();
    check(head)?;
    // SAFETY: not NULL and aligned; whatever is there starts with two words.
    let (mark, here) =
        unsafe { ((&raw const (*head).mark).read(), (&raw const (*head).here).read()) };
    if mark != MARK || here != tracker.addr() {
        return Err(FENCE_KDUMP_ERROR_MEMORY);
    }
    Ok(head)
}

/// # Safety
/// As for [`head`]; nobody else has a reference to the tracker while `'a` lasts.
unsafe fn many<'a>(tracker: *mut TrackerRoom) -> Result<&'a mut Many, c_int> {
    // SAFETY: the caller's promise; it was made there and not moved since.
    Ok(unsafe { &mut (*head(tracker)?.cast_mut()).many })
}

/// # Safety
/// As for [`head`]; others may read the tracker, too.
unsafe fn shown<'a>(tracker: *const TrackerRoom) -> Result<&'a Many, c_int> {
    // SAFETY: the caller's promise; it was made there and not moved since.
    Ok(unsafe { &(*head(tracker)?).many })
}

/// A whole datagram of `len` bytes of the node `node` came, which arrived at `at`, in nanoseconds of a
/// monotonic clock; `policy` is the node's, and `proof` what the message proves: what `fence_kdump_prove`
/// has said, or `FENCE_KDUMP_PLAIN`. What it changed is written to `event` unless that is NULL.
///
/// Whose datagram it is, is for the caller to say, by its source address or, when it was proven, its
/// name. A node that there is not is `FENCE_KDUMP_ERROR_STRANGER`. Returns `FENCE_KDUMP_OK` when it is
/// believed, or why it is not; then no session has changed. Each datagram is counted once.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `datagram` is NULL or points to `len`
/// readable bytes, `event` is NULL or points to a writable int; these do not overlap.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_hear(
    tracker: *mut TrackerRoom,
    node: u32,
    at: u64,
    datagram: *const u8,
    len: usize,
    policy: c_int,
    proof: c_int,
    event: *mut c_int,
) -> c_int {
    let arrival = Arrival { at, datagram, len, policy, proof };
    // SAFETY: the caller vouches for all of them.
    code(unsafe {
        many(tracker).and_then(|many| follow::hear(many, NodeId(node), &arrival, event))
    })
}

/// A message came that is not believed for the cause `cause`, one of `FENCE_KDUMP_ERROR_STRANGER` to
/// `_UNPROVEN`: it is counted, and that is all.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_disbelieve(
    tracker: *mut TrackerRoom,
    cause: c_int,
) -> c_int {
    let count = || {
        // SAFETY: the caller vouches for it.
        let many = unsafe { many(tracker)? };
        let _ = many.disbelieve(disbelief(cause).ok_or(FENCE_KDUMP_ERROR_VALUE)?);
        Ok(())
    };
    code(count())
}

/// The next session that has finished by `now`: writes its node to `node` and
/// `FENCE_KDUMP_EVENT_FINISHED` to `event`; call until that is `FENCE_KDUMP_EVENT_NONE`. Verdicts do not
/// wait for this call.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `node` is NULL or points to a writable
/// `uint32_t`, `event` to a writable int or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_poll(
    tracker: *mut TrackerRoom,
    now: u64,
    node: *mut u32,
    event: *mut c_int,
) -> c_int {
    let poll = || {
        // SAFETY: the caller vouches for all three.
        let (many, node, event) =
            unsafe { (many(tracker)?, Place::new(node)?, Place::new(event)?) };
        match many.poll(Instant::from_nanos(now)) {
            Some((NodeId(which), told)) => {
                node.put(which);
                event.put(event_number(told));
            }
            None => event.put(FENCE_KDUMP_EVENT_NONE),
        }
        Ok(())
    };
    code(poll())
}

/// Writes to `at` when `fence_kdump_tracker_poll` will have something to tell, unless a message comes
/// first; `FENCE_KDUMP_NEVER` when it will not.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `at` is NULL or points to a writable
/// `uint64_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_deadline(
    tracker: *const TrackerRoom,
    at: *mut u64,
) -> c_int {
    // SAFETY: the caller vouches for both; the tracker is only read.
    code(unsafe { shown(tracker).and_then(|many| follow::deadline(many, at)) })
}

/// Writes what is known of the node `node` at `now` to `status`, for showing it.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `status` is NULL or points to a writable
/// status.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_status(
    tracker: *const TrackerRoom,
    node: u32,
    now: u64,
    status: *mut Status,
) -> c_int {
    // SAFETY: the caller vouches for both; the tracker is only read.
    code(unsafe { shown(tracker).and_then(|many| follow::status(many, NodeId(node), now, status)) })
}

/// **The verdict** about the node `node`: see `fence_kdump_session_verdict`. `FENCE_KDUMP_OK` if and only
/// if it is in its crash kernel; every other value means that this is not known.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `heard_at` is NULL or points to a
/// writable `uint64_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_verdict(
    tracker: *const TrackerRoom,
    node: u32,
    not_before: u64,
    now: u64,
    heard_at: *mut u64,
) -> c_int {
    // SAFETY: the caller vouches for both; the tracker is only read.
    code(unsafe {
        shown(tracker)
            .and_then(|many| follow::verdict(many, NodeId(node), [not_before, now], heard_at))
    })
}

/// Forgets everything that was heard of the node `node`, as when it becomes another one's number.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_forget(tracker: *mut TrackerRoom, node: u32) -> c_int {
    let forget = || {
        // SAFETY: the caller vouches for it.
        let many = unsafe { many(tracker)? };
        many.session(NodeId(node)).ok_or(FENCE_KDUMP_ERROR_NODE)?;
        many.forget(NodeId(node));
        Ok(())
    };
    code(forget())
}

/// Writes to `count` how many datagrams ended with `outcome`: `FENCE_KDUMP_OK`, or a code from
/// `FENCE_KDUMP_ERROR_EMPTY` to `_UNPROVEN`.
///
/// # Safety
///
/// `tracker` is NULL or what `fence_kdump_tracker_init` has made, `count` is NULL or points to a writable
/// `uint64_t`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_tracker_count(
    tracker: *const TrackerRoom,
    outcome: c_int,
    count: *mut u64,
) -> c_int {
    let tell = || {
        // SAFETY: the caller vouches for both; the tracker is only read.
        let (many, place) = unsafe { (shown(tracker)?, Place::new(count)?) };
        let counters = many.counters();
        let refused = DecodeError::EACH.into_iter().find(|error| of_refusal(*error) == outcome);
        let disbelieved = disbelief(outcome);
        place.put(match (outcome, refused, disbelieved) {
            (FENCE_KDUMP_OK, ..) => counters.heard(),
            (_, Some(error), _) => counters.refused(error),
            (_, _, Some(cause)) => counters.disbelieved(cause),
            _ => return Err(FENCE_KDUMP_ERROR_VALUE),
        });
        Ok(())
    };
    code(tell())
}
