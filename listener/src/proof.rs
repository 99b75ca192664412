//! What a signed message proves, as far as one look at it can tell: the key, the MAC, and whether it
//! answers a challenge of this program (PROTOCOL.md §6, §9). Whether it is a replay, the memory knows:
//! see [`crate::store`].

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use fence_kdump_core::wire::CHALLENGE_LEN;
use fence_kdump_core::{
    Challenge, Challenger, CrashId, Disbelief, Instant, Key, KeyId, Nonce, Signed,
};

use crate::keys::Ring;

/// Of so many crashes of a node it is known which of their messages were challenged.
const CRASHES: usize = 8;

/// A message that is older is not challenged: the longest time for which a node may be silent.
const OLD: Duration = Duration::from_secs(240);

/// A challenge as it is sent.
pub type Packet = [u8; CHALLENGE_LEN];

/// What a message with a right MAC deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// Whether it answers a challenge: then it is live, and no replay.
    pub is_live: bool,
    /// The challenge that is to be sent back, if one is.
    pub challenge: Option<Packet>,
}

/// The keys of a cluster, and the challenges of its nodes.
#[derive(Debug)]
pub struct Examiner {
    ring: Ring,
    key_ids: Vec<KeyId>,
    /// By name, in lower case. Only of nodes that were asked about.
    nodes: HashMap<String, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Found or derived once; `None` where the ring has none for this node. One for each KEY ID of the
    /// ring at most.
    keys: Vec<(KeyId, Option<Key>)>,
    challenger: Challenger,
    /// The greatest SEQUENCE that was challenged, of the latest crashes.
    challenged: VecDeque<(CrashId, u64)>,
}

impl Examiner {
    /// With the keys of `ring`.
    #[must_use]
    pub fn new(ring: Ring) -> Self {
        Self { key_ids: ring.key_ids(), ring, nodes: HashMap::new() }
    }

    /// Whether there is a key with which a message of the node `name` can be verified.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.key_ids.iter().any(|&id| self.ring.node_key(id, name).is_some())
    }

    /// Looks at a message that arrived at `at`, `now` at the latest. The caller knows that its name is
    /// that of a node of its own, so that nothing is computed or kept for strangers. `random` gives the
    /// nonce of a new challenge; without one, none is sent.
    ///
    /// A message that is itself an answer is not challenged, also when it answers somebody else: two
    /// programs on one host, each of which challenges what the other was answered, would never come
    /// to an end. Nor is one that is no later than one that was: a captured message, sent again and
    /// again, makes nobody a target of challenges.
    ///
    /// # Errors
    /// [`Disbelief::UnknownKey`] or [`Disbelief::BadMac`].
    pub fn examine(
        &mut self,
        at: Instant,
        now: Instant,
        signed: &Signed<'_>,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Result<Right, Disbelief> {
        if !self.key_ids.contains(&signed.key_id) {
            return Err(Disbelief::UnknownKey);
        }
        let name = signed.node_name.to_ascii_lowercase();
        let watched = self.nodes.entry(name).or_default();
        let key = watched.key(&self.ring, signed).ok_or(Disbelief::UnknownKey)?;
        if !signed.verify(&key) {
            return Err(Disbelief::BadMac);
        }
        let Some(answer) = &signed.answer else {
            let challenge = watched.challenge(at, now, signed, &key, random);
            return Ok(Right { is_live: false, challenge });
        };
        let is_live = watched.challenger.is_answered(at, answer);
        Ok(Right { is_live, challenge: None })
    }
}

impl Watched {
    fn key(&mut self, ring: &Ring, signed: &Signed<'_>) -> Option<Key> {
        let known = self.keys.iter().find(|(id, _)| *id == signed.key_id);
        if let Some((_, key)) = known {
            return key.clone();
        }
        let key = ring.node_key(signed.key_id, signed.node_name);
        self.keys.push((signed.key_id, key.clone()));
        key
    }

    fn challenge(
        &mut self,
        at: Instant,
        now: Instant,
        signed: &Signed<'_>,
        key: &Key,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Option<Packet> {
        let Signed { key_id, crash_id, sequence, .. } = *signed;
        if now.saturating_since(at) > OLD {
            return None;
        }
        let before = self.challenged.iter_mut().find(|(id, _)| *id == crash_id);
        match before {
            Some((_, latest)) if sequence <= *latest => return None,
            Some((_, latest)) => *latest = sequence,
            None => {
                if self.challenged.len() >= CRASHES {
                    self.challenged.pop_front();
                }
                self.challenged.push_back((crash_id, sequence));
            }
        }
        let nonce = self.challenger.challenge(now, random()?);
        Some(Challenge { key_id, crash_id, nonce }.encode(key))
    }
}

/// 16 random bytes that nobody can guess; `None` when the kernel has none to give.
#[must_use]
pub fn random() -> Option<Nonce> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(Nonce(bytes))
}
