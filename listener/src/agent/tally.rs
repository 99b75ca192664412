//! What came instead of the message, for the one who has to find out why.

use std::collections::BTreeMap;

use fence_kdump_core::{DecodeError, Disbelief, KeyId};

use crate::address::Address;

/// How many sources of anything are told one by one.
const SOURCES: usize = 8;

/// How much of a name that somebody else chose is shown.
const NAME: usize = 64;

/// Counts what was no message of the node. However much comes, it takes no more room than a few
/// addresses and names for each cause.
#[derive(Debug, Default)]
pub struct Tally {
    /// By cause.
    refused: [(&'static str, u64); DecodeError::COUNT],
    /// Datagrams from the node itself that were no messages.
    from_node: u64,
    strangers: Sources,
    /// Messages from the node's address that were signed as somebody else, by that name.
    signed_as: BTreeMap<String, u64>,
    signed_as_others: u64,
    /// Messages of the node that are not believed.
    disbelieved: Vec<(Disbelief, Sources)>,
    /// The first few that the key file does not have.
    unknown_keys: Vec<KeyId>,
}

/// How often something came, and from where.
#[derive(Debug, Default)]
struct Sources {
    total: u64,
    by: BTreeMap<Address, u64>,
    others: u64,
}

impl Sources {
    /// True when it is the first from there, and worth a line.
    fn count(&mut self, from: Address) -> bool {
        self.total = self.total.saturating_add(1);
        let room = self.by.len() < SOURCES;
        match self.by.get_mut(&from) {
            Some(count) => *count = count.saturating_add(1),
            None if room => {
                self.by.insert(from, 1);
                return true;
            }
            None => self.others = self.others.saturating_add(1),
        }
        false
    }

    /// `10.0.0.1: 2, others: 1`.
    fn each(&self) -> String {
        let mut each: Vec<_> =
            self.by.iter().map(|(from, count)| format!("{from}: {count}")).collect();
        if self.others > 0 {
            each.push(format!("others: {}", self.others));
        }
        each.join(", ")
    }

    /// `10.0.0.1, 10.0.0.2, …`.
    fn all(&self) -> String {
        let mut all: Vec<_> = self.by.keys().map(ToString::to_string).collect();
        if self.others > 0 {
            all.push("…".to_owned());
        }
        all.join(", ")
    }
}

impl Tally {
    /// Counts a datagram that is no message, from the node (`own`) or from anybody else.
    pub fn refused(&mut self, error: DecodeError, own: bool) {
        let (place, cause) = error.cause();
        if let Some((name, count)) = self.refused.get_mut(place) {
            (*name, *count) = (cause, count.saturating_add(1));
        }
        self.from_node = self.from_node.saturating_add(u64::from(own));
    }

    /// Counts a message from an address that is not believed. True when it is the first from there
    /// and worth a line.
    pub fn stranger(&mut self, from: Address) -> bool {
        self.strangers.count(from)
    }

    /// Counts a message of the node that is not believed, and by which KEY ID it was signed. True when it
    /// is the first from there for this cause and worth a line.
    pub fn disbelieved(&mut self, cause: Disbelief, from: Address, key_id: Option<KeyId>) -> bool {
        if let Some(id) = key_id.filter(|_| cause == Disbelief::UnknownKey)
            && self.unknown_keys.len() < SOURCES
            && !self.unknown_keys.contains(&id)
        {
            self.unknown_keys.push(id);
        }
        let place = self.disbelieved.iter().position(|(known, _)| *known == cause);
        let place = place.unwrap_or_else(|| {
            self.disbelieved.push((cause, Sources::default()));
            self.disbelieved.len().saturating_sub(1)
        });
        self.disbelieved.get_mut(place).is_some_and(|(_, sources)| sources.count(from))
    }

    /// Counts a message from the node's address that is signed as `name`. True when it is the first of
    /// that name and worth a line.
    pub fn signed_as(&mut self, name: &str) -> bool {
        let name: String = name.chars().take(NAME).collect();
        let room = self.signed_as.len() < SOURCES;
        match self.signed_as.get_mut(&name) {
            Some(count) => *count = count.saturating_add(1),
            None if room => {
                self.signed_as.insert(name, 1);
                return true;
            }
            None => self.signed_as_others = self.signed_as_others.saturating_add(1),
        }
        false
    }

    /// How many datagrams were no messages.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// In words, for the node that people call `title`; `None` when nothing came.
    #[must_use]
    pub fn told(&self, title: &str) -> Option<String> {
        let mut parts = Vec::new();
        for cause in Disbelief::ALL {
            let known = self.disbelieved.iter().find(|(known, _)| *known == cause);
            parts.extend(known.map(|(_, sources)| self.disbelief(cause, sources, title)));
        }
        for (name, count) in &self.signed_as {
            let messages = counted(*count, "message");
            parts.push(format!(
                "{messages} of {title} signed as {name}, and only what is signed as {title} counts"
            ));
        }
        if self.signed_as_others > 0 {
            parts.push(format!("{} signed as others", counted(self.signed_as_others, "message")));
        }
        let refused = self.refused_total();
        if refused > 0 {
            let kinds = self.refused.iter().filter(|(_, count)| *count > 0);
            let kinds: Vec<_> = kinds.map(|(cause, count)| format!("{count} {cause}")).collect();
            parts.push(format!(
                "{} refused ({}; {} of them from the node)",
                counted(refused, "datagram"),
                kinds.join(", "),
                self.from_node
            ));
        }
        if self.strangers.total > 0 {
            parts.push(format!(
                "{} of other nodes ({})",
                counted(self.strangers.total, "message"),
                self.strangers.each()
            ));
        }
        (!parts.is_empty()).then(|| parts.join(", and "))
    }

    fn disbelief(&self, cause: Disbelief, sources: &Sources, title: &str) -> String {
        let who = match sources.all() {
            from if from == title => from,
            from => format!("{title} ({from})"),
        };
        let messages = counted(sources.total, "message");
        match cause {
            Disbelief::Stranger => format!("{messages} of {who}, who is a stranger"),
            Disbelief::Unsigned => format!(
                "{} of {who}: is its key in its crash kernel's image, for fence_kdump_send --key-file?",
                counted(sources.total, "unsigned message")
            ),
            Disbelief::UnknownKey => {
                let ids: Vec<_> = self.unknown_keys.iter().map(ToString::to_string).collect();
                format!(
                    "{messages} of {who} signed with a key that comes from cluster key {}, which \
                     key_file does not have: was the cluster key rotated on one side only?",
                    ids.join(", ")
                )
            }
            Disbelief::BadMac => format!(
                "{messages} of {who} with a wrong MAC: if nobody forges, its key is that of another \
                 node or damaged; derive it anew"
            ),
            Disbelief::Replayed => {
                format!("{messages} of {who} that had been heard before, or came out of order")
            }
            Disbelief::Late => format!("{messages} of {who} that had been under way for too long"),
            Disbelief::Over => format!(
                "{messages} of {who} of a crash that was heard before this host was started, and no \
                 answer to a challenge"
            ),
            Disbelief::Unremembered => {
                format!("{messages} of {who} that could not be remembered: see state_dir")
            }
            Disbelief::Unproven => format!(
                "{} of {who} and no answer to a challenge: can it receive on the UDP port that it \
                 sends from?",
                counted(sources.total, "signed message")
            ),
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn what_came_is_told_within_a_bound() {
        let mut tally = Tally::default();
        assert_eq!(tally.told("n1"), None);
        tally.refused(DecodeError::Empty, true);
        for end in 1..=20 {
            let from = address(&format!("10.0.1.{end}"));
            assert_eq!(tally.stranger(from), end <= 8);
            assert!(!tally.stranger(from));
        }
        let told = tally.told("n1").unwrap();
        assert!(told.starts_with("1 datagram refused (1 empty; 1 of them"), "{told}");
        assert!(told.contains("40 messages of other nodes (10.0.1.1: 2,"), "{told}");
        assert!(told.ends_with("others: 24)"), "{told}");
    }

    #[test]
    fn what_is_wrong_with_keys_comes_first() {
        let mut tally = Tally::default();
        let from = address("10.0.0.1");
        assert!(tally.stranger(from));
        assert!(tally.disbelieved(Disbelief::BadMac, from, None));
        for _ in 0..3 {
            tally.disbelieved(Disbelief::Unsigned, from, None);
        }
        let told = tally.told("n1").unwrap();
        let start = "3 unsigned messages of n1 (10.0.0.1): is its key in its crash kernel's image";
        assert!(told.starts_with(start), "{told}");
        assert!(told.contains(", and 1 message of n1 (10.0.0.1) with a wrong MAC"), "{told}");
        assert!(tally.told("10.0.0.1").unwrap().starts_with("3 unsigned messages of 10.0.0.1: "));
        for byte in 0..100 {
            tally.disbelieved(Disbelief::UnknownKey, from, Some(KeyId([0, 0, 0, byte])));
            tally.signed_as(&format!("{byte}{}", "x".repeat(200)));
        }
        let told = tally.told("n1").unwrap();
        assert!(told.contains("100 messages of n1 (10.0.0.1) signed with a key"), "{told}");
        assert!(told.contains("cluster key 00000000, 00000001,"), "{told}");
        assert!(told.contains("92 messages signed as others"), "{told}");
        assert!(told.len() < 4_000, "{}", told.len());
    }

    #[test]
    fn every_cause_has_words_of_its_own() {
        let mut seen = Vec::new();
        for cause in Disbelief::ALL {
            let mut tally = Tally::default();
            tally.disbelieved(cause, address("10.0.0.1"), None);
            let told = tally.told("n1").unwrap();
            assert!(told.contains("n1 (10.0.0.1)") && !seen.contains(&told), "{told}");
            seen.push(told);
        }
    }
}
