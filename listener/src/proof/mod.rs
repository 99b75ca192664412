//! What a signed message proves, as far as one look at it can tell: the key, the MAC, and whether it
//! answers a challenge of this program (PROTOCOL.md §6, §9). Whether it is a replay, the memory knows:
//! see [`crate::store`].

use std::time::Duration;

use fence_kdump_core::wire::CHALLENGE_LEN;
use fence_kdump_core::{
    Challenge, Challenger, CrashId, Disbelief, Instant, KeyId, Nonce, ReadyKey, Signed,
};
use smallvec::SmallVec;

use crate::keys::Ring;

/// Of so many crashes of a node it is known which of their messages were challenged.
const CRASHES: usize = 8;

/// A crash kernel that answers none of so many challenges cannot hear them, or does not understand them,
const IN_VAIN: u8 = 8;

/// and is challenged no more often than this from then on.
const SELDOM: Duration = Duration::from_secs(5);

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

/// The keys of a cluster.
#[derive(Debug)]
pub struct Examiner {
    ring: Ring,
    key_ids: Vec<KeyId>,
}

/// The keys of one node, and its challenges. It belongs to one [`Examiner`] and one NODE NAME.
#[derive(Debug, Default)]
pub struct Watched {
    /// Found or derived once; `None` where the ring has none for this node. One for each KEY ID of the
    /// ring at most.
    keys: SmallVec<[(KeyId, Option<ReadyKey>); 1]>,
    challenger: Challenger,
    /// The latest crashes.
    challenged: SmallVec<[Challenged; 1]>,
}

/// What was challenged of one crash.
#[derive(Debug, Clone, Copy)]
struct Challenged {
    crash_id: CrashId,
    /// The greatest SEQUENCE that was, and when.
    sequence: u64,
    at: Instant,
    /// How often it was in vain since the last answer.
    in_vain: u8,
}

impl Examiner {
    /// With the keys of `ring`.
    #[must_use]
    pub fn new(ring: Ring) -> Self {
        Self { key_ids: ring.key_ids(), ring }
    }

    /// Whether there is a key with which a message of the node `name` can be verified.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.key_ids.iter().any(|&id| self.ring.node_key(id, name).is_some())
    }

    /// Looks at a message that arrived at `at`, `now` at the latest. The caller knows that its name is
    /// that of a node of its own, so that nothing is computed or kept for strangers, and what is `watched` of
    /// it. `random` gives the nonce of a new challenge; without one, none is sent.
    ///
    /// A message that is itself an answer is not challenged, also when it answers somebody else: two
    /// programs on one host, each of which challenges what the other was answered, would never come
    /// to an end. Nor is one that is no later than one that was: a captured message, sent again and
    /// again, makes nobody a target of challenges.
    ///
    /// # Errors
    /// [`Disbelief::UnknownKey`] or [`Disbelief::BadMac`].
    pub fn examine(
        &self,
        watched: &mut Watched,
        at: Instant,
        now: Instant,
        signed: &Signed<'_>,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Result<Right, Disbelief> {
        if !self.key_ids.contains(&signed.key_id) {
            return Err(Disbelief::UnknownKey);
        }
        let place = watched.key(&self.ring, signed);
        let key = watched.keys.get(place).and_then(|(_, key)| key.as_ref());
        let key = key.ok_or(Disbelief::UnknownKey)?;
        if !signed.verify(key) {
            return Err(Disbelief::BadMac);
        }
        let Some(answer) = &signed.answer else {
            let challenge = watched.challenge(at, now, signed, place, random);
            return Ok(Right { is_live: false, challenge });
        };
        let is_live = watched.challenger.is_answered(at, answer);
        if is_live {
            watched.challenged.iter_mut().for_each(|one| one.in_vain = 0);
        }
        Ok(Right { is_live, challenge: None })
    }
}

impl Watched {
    /// What is to come back.
    #[must_use]
    pub fn challenger(&self) -> Challenger {
        self.challenger
    }

    /// Where in `keys` the one is that the message names.
    fn key(&mut self, ring: &Ring, signed: &Signed<'_>) -> usize {
        let known = self.keys.iter().position(|(id, _)| *id == signed.key_id);
        known.unwrap_or_else(|| {
            let key = ring.node_key(signed.key_id, signed.node_name);
            self.keys.push((signed.key_id, key.map(|key| key.ready())));
            self.keys.len().saturating_sub(1)
        })
    }

    fn challenge(
        &mut self,
        at: Instant,
        now: Instant,
        signed: &Signed<'_>,
        key: usize,
        random: impl FnOnce() -> Option<Nonce>,
    ) -> Option<Packet> {
        let Signed { key_id, crash_id, sequence, .. } = *signed;
        if now.saturating_since(at) > OLD {
            return None;
        }
        match self.challenged.iter_mut().find(|one| one.crash_id == crash_id) {
            Some(one) if sequence <= one.sequence => return None,
            Some(one) if one.in_vain >= IN_VAIN && now.saturating_since(one.at) < SELDOM => {
                return None;
            }
            Some(one) => {
                let in_vain = one.in_vain.saturating_add(1);
                *one = Challenged { crash_id, sequence, at: now, in_vain };
            }
            None => {
                if self.challenged.len() >= CRASHES {
                    self.challenged.remove(0);
                }
                self.challenged.push(Challenged { crash_id, sequence, at: now, in_vain: 1 });
            }
        }
        let nonce = self.challenger.challenge(now, random()?);
        let (_, key) = self.keys.get(key)?;
        Some(Challenge { key_id, crash_id, nonce }.encode(key.as_ref()?))
    }
}

/// 16 random bytes that nobody can guess; `None` when the kernel has none to give.
#[must_use]
pub fn random() -> Option<Nonce> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(Nonce(bytes))
}

#[cfg(test)]
pub(crate) mod specimen;

#[cfg(test)]
mod tests {
    use super::specimen::{Specimen, examiner, nonce, ring};
    use super::*;
    use crate::socket::Datagram;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    /// One node, as it is watched.
    struct Scene {
        examiner: Examiner,
        watched: Watched,
    }

    impl Scene {
        fn of(examiner: Examiner) -> Self {
            Self { examiner, watched: Watched::default() }
        }

        fn examine(
            &mut self,
            datagram: &Datagram,
            now: Instant,
            random: u8,
        ) -> Result<Right, Disbelief> {
            let message = datagram.message().unwrap();
            let (at, signed) = (datagram.received_at, message.signed().unwrap());
            let nonce = || Some(Nonce([random; 16]));
            self.examiner.examine(&mut self.watched, at, now, &signed, nonce)
        }

        fn hear(&mut self, specimen: &Specimen<'_>, at: u64) -> Result<Right, Disbelief> {
            let datagram = specimen.arrived("10.0.0.1", ms(at));
            self.examine(&datagram, ms(at), u8::try_from(specimen.sequence).unwrap())
        }
    }

    #[test]
    fn a_right_mac_is_challenged_and_a_right_answer_is_live_once() {
        let mut scene = Scene::of(examiner());
        let first = scene.hear(&Specimen::of("N1", 1), 100).unwrap();
        let challenge = first.challenge.unwrap();
        let answer = Some(nonce(&challenge, "n1"));
        assert_eq!(answer, Some(Nonce([1; 16])));
        let again = scene.hear(&Specimen::of("n1", 2), 300).unwrap();
        assert_eq!(again.challenge.map(|packet| nonce(&packet, "n1")), answer, "the same");
        let wrong = Specimen { answer: Some(Nonce([9; 16])), ..Specimen::of("n1", 3) };
        let nothing = Right { is_live: false, challenge: None };
        assert_eq!(scene.hear(&wrong, 400), Ok(nothing));
        let right = Specimen { answer, ..Specimen::of("n1", 4) };
        let live = Right { is_live: true, challenge: None };
        assert_eq!(scene.hear(&right, 500), Ok(live));
        assert_eq!(scene.hear(&right, 500), Ok(nothing), "right once");
        let late = scene.hear(&Specimen::of("n1", 5), 1_000).unwrap();
        let answer = late.challenge.map(|packet| nonce(&packet, "n1"));
        let right = Specimen { answer, ..Specimen::of("n1", 6) };
        assert_eq!(scene.hear(&right, 3_000), Ok(nothing), "2 s later");
    }

    #[test]
    fn other_keys_are_told_apart() {
        let mut scene = Scene::of(Examiner::new(ring(&[1, 2])));
        let good = Specimen::of("n1", 1);
        for (specimen, expected) in [
            (good, None),
            (Specimen { key_id: 2, cluster: 2, ..good }, None),
            (Specimen { cluster: 2, ..good }, Some(Disbelief::BadMac)),
            (Specimen { key_of: "n2", ..good }, Some(Disbelief::BadMac)),
            (Specimen { key_id: 3, cluster: 3, ..good }, Some(Disbelief::UnknownKey)),
        ] {
            assert_eq!(scene.hear(&specimen, 100).err(), expected, "{specimen:?}");
        }
    }

    /// What a captured message, or many, can make a receiver send.
    #[test]
    fn nobody_is_made_a_target_of_challenges() {
        let mut scene = Scene::of(examiner());
        assert!(scene.hear(&Specimen::of("n1", 5), 100).unwrap().challenge.is_some());
        for sequence in [5, 4, 5] {
            let replay = scene.hear(&Specimen::of("n1", sequence), 200).unwrap();
            assert_eq!(replay.challenge, None);
        }
        let other = Specimen { crash: 2, ..Specimen::of("n1", 1) };
        assert!(scene.hear(&other, 300).unwrap().challenge.is_some());
        assert_eq!(scene.hear(&other, 400).unwrap().challenge, None);
        let next = Specimen::of("n1", 6).arrived("10.0.0.1", ms(500));
        let later = ms(500).saturating_add(OLD + Duration::from_millis(1));
        assert_eq!(scene.examine(&next, later, 1).unwrap().challenge, None, "old");
        let forged = Specimen { key_of: "n2", ..Specimen::of("n1", 9) };
        assert_eq!(scene.hear(&forged, 600), Err(Disbelief::BadMac));
        assert!(scene.hear(&Specimen::of("n1", 7), 700).unwrap().challenge.is_some());
    }

    /// Who cannot hear challenges is not sent one for each message.
    #[test]
    fn challenges_in_vain_become_few() {
        let mut scene = Scene::of(examiner());
        let mut hear = |sequence: u64, answer: Option<Nonce>, at: u64| {
            let specimen = Specimen { answer, ..Specimen::of("n1", sequence) };
            scene.hear(&specimen, at).unwrap().challenge
        };
        for sequence in 1..=8 {
            assert!(hear(sequence, None, 1_000 + sequence).is_some());
        }
        assert!(hear(9, None, 2_000).is_none());
        assert!(hear(10, None, 6_007).is_none());
        let answer = hear(11, None, 6_008).map(|packet| nonce(&packet, "n1"));
        assert!(answer.is_some() && hear(12, None, 6_500).is_none());
        assert!(hear(13, answer, 6_600).is_none());
        assert!(hear(14, None, 6_700).is_some(), "it hears");
    }

    #[test]
    fn keys_of_nodes_are_kept_once_and_unknown_ones_not_at_all() {
        let mut scene = Scene::of(examiner());
        for number in 2..100 {
            let unknown = Specimen { key_id: number, cluster: number, ..Specimen::of("n1", 1) };
            assert_eq!(scene.hear(&unknown, 100), Err(Disbelief::UnknownKey));
        }
        assert!(scene.watched.keys.is_empty());
        for crash in 0..100 {
            let specimen = Specimen { crash, ..Specimen::of("n1", 1) };
            assert!(scene.hear(&specimen, 100).is_ok());
        }
        let watched = &scene.watched;
        assert_eq!((watched.keys.len(), watched.challenged.len()), (1, CRASHES));
    }

    #[test]
    fn without_random_numbers_nobody_is_challenged() {
        let datagram = Specimen::of("n1", 1).arrived("10.0.0.1", ms(1));
        let message = datagram.message().unwrap();
        let signed = message.signed().unwrap();
        let watched = &mut Watched::default();
        let right = examiner().examine(watched, ms(1), ms(1), &signed, || None).unwrap();
        assert_eq!(right.challenge, None);
        assert_ne!(random(), random());
    }
}
