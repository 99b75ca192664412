//! What a message proves, and whether that is enough (PROTOCOL.md §8, §10).

use core::ffi::c_int;
use core::ptr;

use fence_kdump_core::{Crash as Known, Disbelief, Instant, Policy, Proof, decode};

use crate::challenge::{ChallengerRoom, Challenging};
use crate::code::{
    FENCE_KDUMP_ERROR_BAD_MAC, FENCE_KDUMP_ERROR_CRASH_ID, FENCE_KDUMP_ERROR_UNSIGNED,
    FENCE_KDUMP_ERROR_VALUE, code, of_disbelief, of_refusal,
};
use crate::key::{array, key};
use crate::memory::held;
use crate::pointer::{Place, bytes, read};

/// It came from an address; as a policy: it has to come from one of the node's addresses.
pub const FENCE_KDUMP_PLAIN: c_int = 1;
/// It was signed with the node's key and is no replay; as a policy: that is demanded.
pub const FENCE_KDUMP_SIGNED: c_int = 2;
/// The holder of the node's key runs now; as a policy: that is demanded.
pub const FENCE_KDUMP_LIVE: c_int = 3;

/// What a receiver remembers of one crash of a node, so that no message counts twice. What is
/// remembered MUST survive restarts of the receiver and of its host.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// Which crash.
    pub crash_id: [u8; 16],
    /// Which clock the times are of: on Linux, the 16 bytes of `/proc/sys/kernel/random/boot_id`.
    pub clock: [u8; 16],
    /// When the crash kernel started at the latest, in nanoseconds of that clock.
    pub origin: i64,
    /// The greatest sequence.
    pub sequence: u64,
    /// When the message with that one arrived, in nanoseconds of that clock.
    pub heard_at: u64,
}

/// What a message of `len` bytes proves that arrived at `at`, in nanoseconds of the clock `clock` (16
/// bytes): writes `FENCE_KDUMP_SIGNED` or `_LIVE` to `proof`, and to `remember` what is to be remembered.
///
/// `key` is that of the node which the message names, `challenger` that node's or NULL. `known` is what
/// is remembered of this node and the message's `crash_id`, NULL if that is nothing; it may be the same
/// as `remember`. **A message that proves `FENCE_KDUMP_SIGNED` counts only once `remember` is written
/// down.** A message without MAC is not looked at here: it proves `FENCE_KDUMP_PLAIN` when its source
/// address is the node's.
///
/// Returns `FENCE_KDUMP_OK`; or `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, `_REPLAYED`, `_LATE`, `_OVER`,
/// `_CRASH_ID` when `known` is of another crash, or why it is no message; then the message does not count.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes, `key` and `clock` to `FENCE_KDUMP_KEY_LEN` and 16
/// ones or nothing, `challenger` to what `fence_kdump_challenger_init` has prepared or nothing, `known` and
/// `remember` to a crash or nothing, `proof` to a writable int or nothing.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_prove(
    datagram: *const u8,
    len: usize,
    key: *const u8,
    at: u64,
    clock: *const u8,
    challenger: *mut ChallengerRoom,
    known: *const Crash,
    remember: *mut Crash,
    proof: *mut c_int,
) -> c_int {
    let prove = || {
        // SAFETY: the caller vouches for all of them; the slice is no longer used when places are
        // written.
        let (datagram, key, clock, known, place, proof) = unsafe {
            let known = if ptr::eq(known, ptr::null()) { None } else { Some(read(known)?) };
            let places = (Place::new(remember)?, Place::new(proof)?);
            let clock: [u8; 16] = *array(clock)?;
            (bytes(datagram, len)?, self::key(key)?, clock, known, places.0, places.1)
        };
        let challenging: Option<&mut Challenging> = if challenger.is_null() {
            None
        } else {
            // SAFETY: the caller vouches for it.
            Some(unsafe { held(challenger)? })
        };
        let signed = decode(datagram).map_err(of_refusal)?.signed();
        let signed = signed.ok_or(FENCE_KDUMP_ERROR_UNSIGNED)?;
        if !signed.verify(&key) {
            return Err(FENCE_KDUMP_ERROR_BAD_MAC);
        }
        let at = Instant::from_nanos(at);
        let crash_id = signed.crash_id.0;
        if known.is_some_and(|known| known.crash_id != crash_id) {
            return Err(FENCE_KDUMP_ERROR_CRASH_ID);
        }
        let live = signed.answer.zip(challenging);
        let live = live.is_some_and(|(answer, with)| with.challenger.is_answered(at, &answer));
        if known.is_some_and(|known| known.clock != clock) && !live {
            return Err(of_disbelief(Disbelief::Over));
        }
        let before = known.map(|Crash { clock: by, origin, sequence, heard_at, .. }| {
            // A time of another clock means nothing on this one.
            let heard_at = if by == clock { Instant::from_nanos(heard_at) } else { at };
            Known { origin, sequence, heard_at }
        });
        let judged = Known::judge(before.as_ref(), at, &signed, live).map_err(of_disbelief)?;
        let Known { origin, sequence, heard_at } = judged;
        let heard_at = heard_at.as_nanos();
        place.put(Crash { crash_id, clock, origin, sequence, heard_at });
        proof.put(if live { FENCE_KDUMP_LIVE } else { FENCE_KDUMP_SIGNED });
        Ok(())
    };
    code(prove())
}

/// Whether `policy` lets a message be believed that proves `proof`: `FENCE_KDUMP_OK`,
/// `FENCE_KDUMP_ERROR_UNSIGNED`, `_UNPROVEN`, or `_VALUE` when one of them is none of
/// `FENCE_KDUMP_PLAIN`, `_SIGNED` and `_LIVE`.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn fence_kdump_admit(policy: c_int, proof: c_int) -> c_int {
    code(admitted(policy, proof).and_then(|admitted| admitted.map(drop).map_err(of_disbelief)))
}

/// What is believed of a message; the outer error is one of the caller's.
pub(crate) fn admitted(policy: c_int, proof: c_int) -> Result<Result<Proof, Disbelief>, c_int> {
    let policy = match policy {
        FENCE_KDUMP_PLAIN => Policy::Plain,
        FENCE_KDUMP_SIGNED => Policy::Signed,
        FENCE_KDUMP_LIVE => Policy::Live,
        _ => return Err(FENCE_KDUMP_ERROR_VALUE),
    };
    let proof = match proof {
        FENCE_KDUMP_PLAIN => Proof::Plain,
        FENCE_KDUMP_SIGNED => Proof::Signed,
        FENCE_KDUMP_LIVE => Proof::Live,
        _ => return Err(FENCE_KDUMP_ERROR_VALUE),
    };
    Ok(policy.admit(proof))
}

/// The number of a proof; 0 for none.
pub(crate) const fn number(proof: Option<Proof>) -> u8 {
    match proof {
        None => 0,
        Some(Proof::Plain) => FENCE_KDUMP_PLAIN as u8,
        Some(Proof::Signed) => FENCE_KDUMP_SIGNED as u8,
        Some(Proof::Live) => FENCE_KDUMP_LIVE as u8,
    }
}
