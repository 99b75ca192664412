//! What an event is called.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an event is called, and a dump by its first event: the listener's host and start, and a number that grows by
/// one, as in `host-19a2b3c4d5e-17`. Whatever else an id says is kept as it is.
///
/// Small and without a string of its own, since many events may wait at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventId {
    run: Arc<str>,
    /// 0: `run` is all there is.
    number: u64,
}

impl EventId {
    /// The event with this `number` of a `run` of a listener. Numbers begin with 1.
    #[must_use]
    pub fn new(run: Arc<str>, number: u64) -> Self {
        Self { run, number }
    }

    /// Which run of which listener it is from, and its number there.
    #[must_use]
    pub fn numbered(&self) -> Option<(&str, u64)> {
        (self.number > 0).then_some((&self.run, self.number))
    }
}

impl From<&str> for EventId {
    fn from(text: &str) -> Self {
        let split = || {
            let (run, digits) = text.rsplit_once('-')?;
            let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
            // Only what is written again as it was.
            (number.to_string() == digits).then(|| Self::new(run.into(), number))
        };
        split().unwrap_or_else(|| Self::new(text.into(), 0))
    }
}

impl PartialEq<&str> for EventId {
    #[expect(clippy::cmp_owned, reason = "it has no text of its own")]
    fn eq(&self, other: &&str) -> bool {
        self.to_string() == *other
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.numbered() {
            Some((run, number)) => write!(f, "{run}-{number}"),
            None => f.write_str(&self.run),
        }
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| text.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_knows_its_number() {
        let id = EventId::from("my-host-19a-17");
        assert_eq!(id.numbered(), Some(("my-host-19a", 17)));
        assert_eq!(id, EventId::new("my-host-19a".into(), 17));
        for other in ["", "-", "host", "host-", "host-0", "host-07", "host-+7", "-5x", "7"] {
            let id = EventId::from(other);
            assert!(id.numbered().is_none() && id == other, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written(text in "[a-z-]{0,3}-?[0-9+]{0,21}|.*") {
            prop_assert_eq!(EventId::from(text.as_str()).to_string(), text);
        }
    }
}
