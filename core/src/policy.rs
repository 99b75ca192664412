//! What a node's messages must prove before they are believed (PROTOCOL.md §8).

use core::fmt;
use core::str::FromStr;

/// What is demanded of a node's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// To come from one of its addresses.
    Plain,
    /// To be signed with its key, and no replay.
    Signed,
    /// To answer a challenge with its key.
    Live,
}

/// What a message proves. What proves more is worth more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// It came from an address.
    Plain,
    /// It was signed with the node's key, and is no replay.
    Signed,
    /// The holder of the node's key runs now.
    Live,
}

impl Policy {
    /// Believes a message that proves so much, or says why not.
    ///
    /// # Errors
    /// [`Disbelief::Unsigned`] or [`Disbelief::Unproven`], when more is demanded.
    pub const fn admit(self, proof: Proof) -> Result<Proof, Disbelief> {
        match (self, proof) {
            (Self::Plain, Proof::Plain | Proof::Signed | Proof::Live)
            | (Self::Signed, Proof::Signed | Proof::Live)
            | (Self::Live, Proof::Live) => Ok(proof),
            (Self::Signed | Self::Live, Proof::Plain) => Err(Disbelief::Unsigned),
            (Self::Live, Proof::Signed) => Err(Disbelief::Unproven),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plain => "plain",
            Self::Signed => "signed",
            Self::Live => "live",
        })
    }
}

impl Proof {
    /// What it is called: like the [`Policy`] that demands it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Signed => "signed",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPolicy;

impl fmt::Display for NoPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of: plain, signed, live")
    }
}

impl core::error::Error for NoPolicy {}

impl FromStr for Policy {
    type Err = NoPolicy;

    fn from_str(word: &str) -> Result<Self, NoPolicy> {
        [Self::Plain, Self::Signed, Self::Live]
            .into_iter()
            .zip(["plain", "signed", "live"])
            .find_map(|(policy, name)| word.eq_ignore_ascii_case(name).then_some(policy))
            .ok_or(NoPolicy)
    }
}

/// Why a message is not believed. One variant per cause that a person can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disbelief {
    /// It is of nobody that is known here.
    Stranger,
    /// It has no MAC, and one is demanded.
    Unsigned,
    /// It was signed with a key that comes from a cluster key which is not known here.
    UnknownKey,
    /// Its authentication code is wrong.
    BadMac,
    /// It, or a later one of the same crash, was heard before.
    Replayed,
    /// It was under way for too long.
    Late,
    /// It is of a crash that was heard before the receiver's host was started.
    Over,
    /// It would have to be remembered, and that is not possible.
    Unremembered,
    /// It answers no challenge, and that is demanded.
    Unproven,
}

impl Disbelief {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 9] = [
        Self::Stranger,
        Self::Unsigned,
        Self::UnknownKey,
        Self::BadMac,
        Self::Replayed,
        Self::Late,
        Self::Over,
        Self::Unremembered,
        Self::Unproven,
    ];

    /// Its place among [`Self::ALL`].
    pub(crate) const fn place(self) -> usize {
        match self {
            Self::Stranger => 0,
            Self::Unsigned => 1,
            Self::UnknownKey => 2,
            Self::BadMac => 3,
            Self::Replayed => 4,
            Self::Late => 5,
            Self::Over => 6,
            Self::Unremembered => 7,
            Self::Unproven => 8,
        }
    }

    /// The cause as PROTOCOL.md §8 calls it.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Unsigned => "unsigned",
            Self::UnknownKey => "unknown key",
            Self::BadMac => "bad MAC",
            Self::Replayed => "replayed",
            Self::Late => "late",
            Self::Over => "over",
            Self::Unremembered => "unremembered",
            Self::Unproven => "unproven",
        }
    }
}

impl fmt::Display for Disbelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "of nobody that is known here",
            Self::Unsigned => "not signed, as messages of this node have to be",
            Self::UnknownKey => "signed with a key that is not known here",
            Self::BadMac => "wrong MAC: forged, damaged, or signed with another key",
            Self::Replayed => "a replay: it was heard before",
            Self::Late => "a replay, or too long under way",
            Self::Over => "a replay of a crash from before this host was started",
            Self::Unremembered => "it cannot be remembered, so a replay of it could not be told",
            Self::Unproven => "signed, but no answer to a challenge, as this node has to give one",
        })
    }
}

impl core::error::Error for Disbelief {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_admits_what_proves_as_much_or_more() {
        use {Policy as P, Proof as R};
        for (policy, proof, admitted) in [
            (P::Plain, R::Plain, Ok(R::Plain)),
            (P::Plain, R::Signed, Ok(R::Signed)),
            (P::Plain, R::Live, Ok(R::Live)),
            (P::Signed, R::Plain, Err(Disbelief::Unsigned)),
            (P::Signed, R::Signed, Ok(R::Signed)),
            (P::Signed, R::Live, Ok(R::Live)),
            (P::Live, R::Plain, Err(Disbelief::Unsigned)),
            (P::Live, R::Signed, Err(Disbelief::Unproven)),
            (P::Live, R::Live, Ok(R::Live)),
        ] {
            assert_eq!(policy.admit(proof), admitted, "{policy} {proof}");
        }
    }

    #[test]
    fn policies_are_words() {
        for policy in [Policy::Plain, Policy::Signed, Policy::Live] {
            assert_eq!(policy.to_string().to_uppercase().parse(), Ok(policy));
        }
        for word in ["", "sign", "lives", "none"] {
            assert_eq!(word.parse::<Policy>(), Err(NoPolicy));
        }
        assert_eq!(NoPolicy.to_string(), "none of: plain, signed, live");
        let proofs = [Proof::Plain, Proof::Signed, Proof::Live].map(|proof| proof.to_string());
        assert_eq!(proofs, ["plain", "signed", "live"]);
    }

    #[test]
    fn every_cause_is_counted_once() {
        for (place, disbelief) in Disbelief::ALL.into_iter().enumerate() {
            assert_eq!(disbelief.place(), place);
            assert!(disbelief.to_string().len() > disbelief.cause().len(), "{disbelief}");
        }
    }
}
