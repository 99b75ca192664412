//! What a node with a key says, PROTOCOL.md §4 to §6, and which challenges are its own, §9.

use core::fmt;

use fence_kdump_core::wire::{
    CHALLENGE_LEN, CHALLENGE_MARK, CODE_LEN, DATAGRAM_MAX, HMAC_SHA_256, MARK, field,
};
use heapless::Vec;
use zeroize::Zeroize as _;

use crate::hmac;
use crate::key_file::{Secret, key};
use crate::message::PLAIN;
use crate::schedule::Millis;

/// PHASE: has started its crash kernel.
pub const BOOTED: u8 = 1;

/// What every message begins with, up to its KEY ID.
#[cfg(feature = "early")]
const START: [u8; 14] = {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l]) = (PLAIN, MARK);
    [a, b, c, d, e, f, g, h, i, j, k, l, field::KEY_ID, 4]
};

/// What every message begins with, up to its KEY ID.
#[cfg(not(feature = "early"))]
const START: [u8; 17] = {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l]) = (PLAIN, MARK);
    [a, b, c, d, e, f, g, h, i, j, k, l, field::PHASE, 1, BOOTED, field::KEY_ID, 4]
};

/// What comes before the MAC of a challenge.
const COVERED: usize = CHALLENGE_LEN - CODE_LEN;

/// When something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since this kernel started.
    pub boot: u64,
    /// Nanoseconds since 1970-01-01 00:00 UTC by this machine's clock, 0 while it was not asked. Only
    /// people are shown it.
    pub wall: u64,
}

/// Speaks in the name of a node.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
pub struct Signer {
    /// That of the last message, in nanoseconds since the kernel started, or one more.
    sequence: u64,
    /// How much of `message` is in every message.
    start: usize,
    /// What the node is doing.
    #[cfg(feature = "early")]
    pub doing: crate::phase::Doing,
    /// The key, and where it comes from.
    pub secret: Secret,
    /// What a challenge to this run begins with: mark, KEY ID and CRASH ID.
    challenge: [[u8; 4]; 6],
    message: Vec<u8, DATAGRAM_MAX>,
}

impl Signer {
    /// Says nothing yet.
    pub const fn new() -> Self {
        Self {
            sequence: 0,
            start: 0,
            #[cfg(feature = "early")]
            doing: crate::phase::Doing::BOOTED,
            secret: [0; 40],
            challenge: [[0; 4]; 6],
            message: Vec::new(),
        }
    }

    /// Whether it has a key to sign with.
    pub fn is_ready(&self) -> bool {
        self.start > 0
    }

    /// From now on speaks as the node `name`, with the key in `secret`.
    ///
    /// `random` need not be good: it is mixed with the time and the key, so that two crashes differ of
    /// which the kernel says the same.
    pub fn speak_as(&mut self, name: &[u8], random: &[u8; 16], boot: u64) {
        let seed = (u128::from_ne_bytes(*random) ^ u128::from(boot)).to_ne_bytes();
        let [a, b, c, d, ..] = hmac::code(key(&self.secret), &seed);
        let key_id = *self.secret.first_chunk().unwrap_or(&[0; 4]);
        self.challenge = [CHALLENGE_MARK, key_id, a, b, c, d];
        self.put(&START);
        self.put(&key_id);
        self.field(field::CRASH_ID, [a, b, c, d].as_flattened());
        self.field(field::NODE_NAME, name);
        self.start = self.message.len();
    }

    /// Wipes the key from memory.
    pub fn forget(&mut self) {
        self.secret.zeroize();
        self.start = 0;
    }

    /// A message for this one time, which it has to be signed for. `next` is how long the message after
    /// it takes to come at most, in milliseconds, 0 for no promise; `answer`, the nonce that it
    /// answers, empty for none.
    #[inline(never)]
    pub fn sign(&mut self, moment: &Moment, next: u32, answer: &[u8]) -> &[u8] {
        self.sequence = self.sequence.wrapping_add(1).max(moment.boot);
        self.message.truncate(self.start);
        #[cfg(feature = "early")]
        {
            self.number([field::PHASE, 1], self.doing.phase.into());
            if self.doing.progress != [0; 2] {
                let [done, total] = self.doing.progress;
                self.put(&[field::PROGRESS, 16]);
                self.put(&done.to_be_bytes());
                self.put(&total.to_be_bytes());
            }
        }
        self.number([field::SEQUENCE, 8], self.sequence);
        if moment.wall > 0 {
            self.number([field::WALL_CLOCK, 8], milliseconds(moment.wall));
        }
        self.number([field::UPTIME, 8], milliseconds(moment.boot));
        if next > 0 {
            self.number([field::INTERVAL, 4], next.into());
        }
        if !answer.is_empty() {
            self.field(field::ANSWER, answer);
        }
        self.put(&[field::MAC, 1 + CODE_LEN as u8, HMAC_SHA_256]);
        let code = hmac::code(key(&self.secret), &self.message);
        self.put(code.as_flattened());
        &self.message
    }

    /// The nonce in `datagram` when that is a challenge to this very run.
    pub fn asked<'d>(&self, datagram: &'d [u8]) -> Option<&'d [u8; 16]> {
        let (covered, found) = datagram.split_at_checked(COVERED)?;
        // What costs nothing comes first.
        let nonce = covered.strip_prefix(self.challenge.as_flattened())?.first_chunk()?;
        hmac::is_code(key(&self.secret), covered, found).then_some(nonce)
    }

    /// Adds a field of that type and length.
    #[inline(never)]
    fn number(&mut self, head: [u8; 2], value: u64) {
        let [_, length] = head;
        let bytes = value.to_be_bytes();
        self.put(&head);
        self.put(bytes.get(bytes.len().wrapping_sub(length.into())..).unwrap_or_default());
    }

    #[inline(never)]
    fn field(&mut self, kind: u8, value: &[u8]) {
        self.put(&[kind, value.len() as u8]);
        self.put(value);
    }

    /// What does not fit is left out: a name of 253 characters and every field fit.
    fn put(&mut self, bytes: &[u8]) {
        let _ = self.message.extend_from_slice(bytes);
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Signer").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

fn milliseconds(nanoseconds: u64) -> u64 {
    Millis::from_nanos(nanoseconds).0
}

#[cfg(test)]
#[path = "signer_tests.rs"]
mod tests;
