//! Proof of life: random bytes go out, and come back under a MAC (PROTOCOL.md §9).

use core::time::Duration;

use subtle::ConstantTimeEq as _;

use crate::auth::{Coder, code, is_code};
use crate::message::{CrashId, KeyId, Nonce};
use crate::time::Instant;
use crate::wire::{CHALLENGE_LEN, CHALLENGE_MARK, CODE_LEN};

/// For how long a challenge can be answered, and how long a message that answers none may be under way.
pub const FRESH: Duration = Duration::from_secs(2);

/// A challenge: whoever holds the key is to send a message with this nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The KEY ID of the message that it follows.
    pub key_id: KeyId,
    /// The CRASH ID of the message that it follows.
    pub crash_id: CrashId,
    /// What has to come back.
    pub nonce: Nonce,
}

impl Challenge {
    /// Its bytes, with the MAC by the node's key.
    #[must_use]
    pub fn encode(&self, key: &impl Coder) -> [u8; CHALLENGE_LEN] {
        let mut bytes = [0; CHALLENGE_LEN];
        let (covered, mac) = bytes.split_at_mut(CHALLENGE_LEN - CODE_LEN);
        let parts = [&CHALLENGE_MARK[..], &self.key_id.0, &self.crash_id.0, &self.nonce.0];
        for (place, byte) in covered.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        mac.copy_from_slice(&code(key, covered));
        bytes
    }

    /// Reads what claims to be a challenge; whether it is one, only [`Sealed::open`] says.
    #[must_use]
    pub fn decode(datagram: &[u8]) -> Option<Sealed<'_>> {
        let (covered, code) = datagram.split_last_chunk()?;
        let (mark, rest) = covered.split_first_chunk()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (crash_id, rest) = rest.split_first_chunk()?;
        let nonce = Nonce(rest.try_into().ok()?);
        let claimed = Self { key_id: KeyId(*key_id), crash_id: CrashId(*crash_id), nonce };
        (*mark == CHALLENGE_MARK).then_some(Sealed { claimed, covered, code })
    }
}

/// What claims to be a challenge.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// What it says. Not proven.
    pub claimed: Challenge,
    covered: &'a [u8],
    code: &'a [u8; CODE_LEN],
}

impl Sealed<'_> {
    /// The challenge, when its MAC is by the node's key `key`.
    #[must_use]
    pub fn open(&self, key: &impl Coder) -> Option<Challenge> {
        is_code(key, self.covered, self.code).then_some(self.claimed)
    }
}

/// The receiver's side, for one node: which nonce is to come back, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Challenger {
    outstanding: Option<(Nonce, Instant)>,
}

impl Challenger {
    /// Nothing is to come back.
    pub const IDLE: Self = Self { outstanding: None };

    /// The nonce for a challenge that goes out at `now`: the outstanding one while it can still be
    /// answered, else `random`, which has to be 16 new bytes that nobody can guess.
    pub fn challenge(&mut self, now: Instant, random: Nonce) -> Nonce {
        match self.outstanding {
            Some((nonce, since)) if is_fresh(since, now) => nonce,
            Some(_) | None => {
                self.outstanding = Some((random, now));
                random
            }
        }
    }

    /// Whether a message with a right MAC that arrived at `at` answers the outstanding challenge. Only
    /// the first one does.
    ///
    /// An arrival that is dated before the challenge is a doubt of the clock, not of the answer: a
    /// nonce cannot come back before it was sent.
    pub fn is_answered(&mut self, at: Instant, answer: &Nonce) -> bool {
        let Some((nonce, since)) = self.outstanding else {
            return false;
        };
        let right = is_fresh(since, at) && bool::from(nonce.0.ct_eq(&answer.0));
        if right {
            self.outstanding = None;
        }
        right
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_since(since) < FRESH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Key;

    const KEY: [u8; 32] = [7; 32];

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    #[test]
    fn a_challenge_opens_with_the_key_alone() {
        let key = Key::from_bytes(&KEY);
        let challenge =
            Challenge { key_id: KeyId([1; 4]), crash_id: CrashId([2; 16]), nonce: Nonce([3; 16]) };
        let bytes = challenge.encode(&key);
        assert_eq!(Challenge::decode(&bytes).unwrap().open(&key), Some(challenge));
        assert_eq!(Challenge::decode(&bytes).unwrap().open(&Key::from_bytes(&[8; 32])), None);
        for bit in (0..CHALLENGE_LEN * 8).step_by(crate::STRIDE) {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Challenge::decode(&bytes).and_then(|sealed| sealed.open(&key)), None);
        }
        for len in 0..CHALLENGE_LEN {
            assert!(Challenge::decode(&bytes[..len]).is_none());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Challenge::decode(&longer).is_none());
        assert!(crate::decode(&bytes).is_err(), "no receiver takes it for a message");
    }

    #[test]
    fn a_nonce_is_right_once_and_for_two_seconds() {
        let (one, two) = (Nonce([1; 16]), Nonce([2; 16]));
        let mut challenger = Challenger::IDLE;
        assert!(!challenger.is_answered(ms(0), &one));
        assert_eq!(challenger.challenge(ms(100), one), one);
        assert_eq!(challenger.challenge(ms(2099), two), one, "still outstanding");
        assert!(!challenger.is_answered(ms(2099), &two));
        assert!(!challenger.is_answered(ms(2100), &one), "too late");
        assert_eq!(challenger.challenge(ms(2100), two), two);
        assert!(challenger.is_answered(ms(4099), &two));
        assert!(!challenger.is_answered(ms(4099), &two), "right once");
        assert_eq!(challenger.challenge(ms(4099), one), one);
        assert!(challenger.is_answered(ms(4000), &one), "dated a little too early");
    }
}
