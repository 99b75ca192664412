//! Proof of life: challenges and their answers (PROTOCOL.md §9).

use core::ffi::c_int;
use core::time::Duration;

use fence_kdump_core::wire::CHALLENGE_LEN;
use fence_kdump_core::{Challenge as Sealed, Challenger, CrashId, Instant, KeyId, Nonce, decode};

use crate::code::{
    FENCE_KDUMP_ERROR_BAD_MAC, FENCE_KDUMP_ERROR_NO_CHALLENGE, FENCE_KDUMP_ERROR_NOT_OURS,
    FENCE_KDUMP_ERROR_TOO_MANY, FENCE_KDUMP_ERROR_UNCHALLENGED, FENCE_KDUMP_ERROR_UNSIGNED, code,
    of_refusal,
};
use crate::key::{array, key};
use crate::memory::{held, init, room};
use crate::message::{
    FENCE_KDUMP_HAS_ANSWER, FENCE_KDUMP_HAS_CRASH_ID, FENCE_KDUMP_HAS_KEY_ID, Message,
};
use crate::pointer::{Place, bytes, fill, read};

/// Length in bytes of a challenge.
pub const FENCE_KDUMP_CHALLENGE_LEN: usize = 72;
/// Length in bytes of a nonce.
pub const FENCE_KDUMP_NONCE_LEN: usize = 16;

const _: () = assert!(FENCE_KDUMP_CHALLENGE_LEN == CHALLENGE_LEN);

/// What a challenge says.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Challenge {
    /// The `key_id` of the message that it follows.
    pub key_id: [u8; 4],
    /// The `crash_id` of the message that it follows.
    pub crash_id: [u8; 16],
    /// What has to come back as `answer`.
    pub nonce: [u8; FENCE_KDUMP_NONCE_LEN],
}

/// Reads one whole datagram of `len` bytes as a challenge that was made with the node's key `key`, and
/// writes it to `challenge`.
///
/// Returns `FENCE_KDUMP_OK`, `FENCE_KDUMP_ERROR_NO_CHALLENGE` or `_BAD_MAC`.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes, `key` is NULL or points to
/// `FENCE_KDUMP_KEY_LEN` readable bytes, `challenge` is NULL or points to a writable challenge.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_challenge_read(
    datagram: *const u8,
    len: usize,
    key: *const u8,
    challenge: *mut Challenge,
) -> c_int {
    let open = || {
        // SAFETY: the caller vouches for all three; the slice is no longer used when the place is written.
        let (datagram, key, place) =
            unsafe { (bytes(datagram, len)?, self::key(key)?, Place::new(challenge)?) };
        let sealed = Sealed::decode(datagram).ok_or(FENCE_KDUMP_ERROR_NO_CHALLENGE)?;
        let Sealed { key_id, crash_id, nonce } =
            sealed.open(&key).ok_or(FENCE_KDUMP_ERROR_BAD_MAC)?;
        place.put(Challenge { key_id: key_id.0, crash_id: crash_id.0, nonce: nonce.0 });
        Ok(())
    };
    code(open())
}

/// Memory of a sender's: how many challenges it has answered lately.
#[repr(C)]
pub struct Answers {
    /// For the library alone.
    pub opaque: [u64; 72],
}

room!(Answers, Given, b"KDanswer");

/// The answers of the last second, and those before them that are still remembered (PROTOCOL.md §9).
pub(crate) struct Given {
    count: usize,
    /// When each was given, and half of its nonce, which is random.
    last: [(Instant, u64); MOST],
}

const MOST: usize = 32;
const SAME: usize = 4;
const SPAN: Duration = Duration::from_secs(1);

impl Given {
    const NONE: Self = Self { count: 0, last: [(Instant::from_nanos(0), 0); MOST] };

    fn may(&mut self, now: Instant, nonce: &Nonce) -> bool {
        let half = u128::from_ne_bytes(nonce.0) as u64;
        let given = self.count.min(MOST);
        let same = self.last.iter().take(given).filter(|(_, other)| *other == half).count();
        let Some(place) = self.last.get_mut(self.count % MOST) else {
            return false;
        };
        let full = given == MOST && now < place.0.saturating_add(SPAN);
        if same >= SAME || full {
            return false;
        }
        *place = (now, half);
        self.count = self.count.wrapping_add(1);
        true
    }
}

/// Prepares `answers`, `size` being its size.
///
/// # Safety
///
/// `answers` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_answers_init(answers: *mut Answers, size: usize) -> c_int {
    // SAFETY: the caller's promise.
    code(unsafe { init(answers, size, Given::NONE) })
}

/// Answers a challenge of `len` bytes that has arrived at `now`: writes a signed message that says what
/// `message` says, and the answer, to `buffer` and its length to `answer_len`. Send it to where the
/// challenge came from, at once, and to nobody else.
///
/// `message` is to have a `sequence` of its own, as for `fence_kdump_message_sign`. `now` is in nanoseconds
/// of a monotonic clock. Returns `FENCE_KDUMP_OK`, or `FENCE_KDUMP_ERROR_NO_CHALLENGE`, `_BAD_MAC`,
/// `_NOT_OURS` when it does not have the `key_id` and `crash_id` of `message`, `_TOO_MANY`, and what
/// `fence_kdump_message_sign` returns; then nothing is to be sent.
///
/// # Safety
///
/// `challenge` is NULL or points to `len` readable bytes, `key` to `FENCE_KDUMP_KEY_LEN` ones or nothing,
/// `message` to a message or nothing, `answers` to what `fence_kdump_answers_init` has prepared or
/// nothing, `buffer` to `size` writable bytes or nothing, `answer_len` to a writable `size_t` or nothing;
/// these do not overlap.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_answer(
    challenge: *const u8,
    len: usize,
    message: *const Message,
    key: *const u8,
    now: u64,
    answers: *mut Answers,
    buffer: *mut u8,
    size: usize,
    answer_len: *mut usize,
) -> c_int {
    let answer = || {
        // SAFETY: the caller vouches for all of them.
        let (datagram, mut message, key, answers, place) = unsafe {
            let key = self::key(key)?;
            let answers: &mut Given = held(answers)?;
            (bytes(challenge, len)?, read(message)?, key, answers, Place::new(answer_len)?)
        };
        let sealed = Sealed::decode(datagram).ok_or(FENCE_KDUMP_ERROR_NO_CHALLENGE)?;
        let challenge = sealed.open(&key).ok_or(FENCE_KDUMP_ERROR_BAD_MAC)?;
        let ids = FENCE_KDUMP_HAS_KEY_ID | FENCE_KDUMP_HAS_CRASH_ID;
        let ours = message.has & ids == ids
            && challenge.key_id == KeyId(message.key_id)
            && challenge.crash_id == CrashId(message.crash_id);
        if !ours {
            return Err(FENCE_KDUMP_ERROR_NOT_OURS);
        }
        message.has |= FENCE_KDUMP_HAS_ANSWER;
        message.answer = challenge.nonce.0;
        let datagram = message.signed(&key)?;
        if buffer.is_null() || size < datagram.len() {
            // SAFETY: nothing is written to a buffer that is not there or too small.
            return unsafe { fill(buffer, size, &datagram) };
        }
        if !answers.may(Instant::from_nanos(now), &challenge.nonce) {
            return Err(FENCE_KDUMP_ERROR_TOO_MANY);
        }
        // SAFETY: the caller vouches for the buffer, and the datagram is a variable of this function.
        unsafe { fill(buffer, size, &datagram)? };
        place.put(datagram.len());
        Ok(())
    };
    code(answer())
}

/// Memory of a receiver's, for one node: which nonce is to come back, and which messages were challenged.
#[repr(C)]
pub struct ChallengerRoom {
    /// For the library alone.
    pub opaque: [u64; 40],
}

room!(ChallengerRoom, Challenging, b"KDchall1");

/// Of so many crashes of a node it is known which of their messages were challenged.
const CRASHES: usize = 8;

#[derive(Clone, Copy)]
struct Challenged {
    crash_id: [u8; 16],
    sequence: u64,
}

pub(crate) struct Challenging {
    pub(crate) challenger: Challenger,
    /// The greatest SEQUENCE that was challenged, of the latest crashes.
    challenged: [Option<Challenged>; CRASHES],
    next: usize,
}

impl Challenging {
    const IDLE: Self = Self { challenger: Challenger::IDLE, challenged: [None; CRASHES], next: 0 };

    /// Whether a message is later than those of its crash that were challenged; then it is one of them.
    fn is_next(&mut self, crash_id: CrashId, sequence: u64) -> bool {
        let known = self.challenged.iter_mut().flatten();
        if let Some(known) = known.into_iter().find(|known| known.crash_id == crash_id.0) {
            let is_later = sequence > known.sequence;
            known.sequence = known.sequence.max(sequence);
            return is_later;
        }
        if let Some(place) = self.challenged.get_mut(self.next % CRASHES) {
            *place = Some(Challenged { crash_id: crash_id.0, sequence });
        }
        self.next = self.next.wrapping_add(1);
        true
    }
}

/// Prepares `challenger`, `size` being its size. Each node needs one of its own.
///
/// # Safety
///
/// `challenger` is NULL or points to `size` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_challenger_init(
    challenger: *mut ChallengerRoom,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    code(unsafe { init(challenger, size, Challenging::IDLE) })
}

/// Challenges the sender of a message of `len` bytes that has arrived at `now`: writes
/// `FENCE_KDUMP_CHALLENGE_LEN` bytes to `buffer`. Send them to the address and port that the message came
/// from, from the port at which it arrived.
///
/// `random` is to be `FENCE_KDUMP_NONCE_LEN` new bytes that nobody can guess, as from getrandom(2); `now`
/// is in nanoseconds of a monotonic clock. Returns `FENCE_KDUMP_OK`, or why nothing is to be sent:
/// `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, `_UNCHALLENGED`, or why it is no message.
///
/// # Safety
///
/// `challenger` is NULL or points to what `fence_kdump_challenger_init` has prepared, `datagram` to `len`
/// readable bytes or nothing, `key` and `random` to `FENCE_KDUMP_KEY_LEN` and `FENCE_KDUMP_NONCE_LEN` ones
/// or nothing, `buffer` to `size` writable bytes or nothing; these do not overlap.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_challenge(
    challenger: *mut ChallengerRoom,
    datagram: *const u8,
    len: usize,
    key: *const u8,
    now: u64,
    random: *const u8,
    buffer: *mut u8,
    size: usize,
) -> c_int {
    let challenge = || {
        // SAFETY: the caller vouches for all of them.
        let (challenging, datagram, key, random) = unsafe {
            let challenging: &mut Challenging = held(challenger)?;
            (challenging, bytes(datagram, len)?, self::key(key)?, array(random)?)
        };
        let signed = decode(datagram).map_err(of_refusal)?.signed();
        let signed = signed.ok_or(FENCE_KDUMP_ERROR_UNSIGNED)?;
        if !signed.verify(&key) {
            return Err(FENCE_KDUMP_ERROR_BAD_MAC);
        }
        let (key_id, crash_id) = (signed.key_id, signed.crash_id);
        if buffer.is_null() || size < CHALLENGE_LEN {
            // SAFETY: nothing is written to a buffer that is not there or too small.
            return unsafe { fill(buffer, size, &[0; CHALLENGE_LEN]) };
        }
        if signed.answer.is_some() || !challenging.is_next(crash_id, signed.sequence) {
            return Err(FENCE_KDUMP_ERROR_UNCHALLENGED);
        }
        let nonce = challenging.challenger.challenge(Instant::from_nanos(now), Nonce(*random));
        let challenge = Sealed { key_id, crash_id, nonce }.encode(&key);
        // SAFETY: the caller vouches for the buffer, and the challenge is a variable of this function.
        unsafe { fill(buffer, size, &challenge) }
    };
    code(challenge())
}
