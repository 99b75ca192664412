//! Something that happened to a node, as it is stored and told to others.

use std::fmt;
use std::sync::Arc;

use fence_kdump_core::{Phase, Proof};
use serde::{Deserialize, Serialize};

use super::event_id::EventId;
use crate::address::Address;

/// Something that happened to a node.
///
/// As JSON it is one flat object, the same in the history, in the web interface and in everything that
/// goes out; what is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Names the event: unique among all events of all hosts, and the same however often it is told.
    pub id: EventId,
    /// When it happened, in milliseconds since 1970-01-01 00:00 UTC by the listener's clock. For people.
    pub time_ms: u64,
    /// The node.
    pub node: Arc<str>,
    /// What happened.
    pub kind: Kind,
    /// Which dump: the same for all events from `started` to its end.
    pub session: EventId,
    /// Where the message came from that made it happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Address>,
    /// How far that message was proven: `plain`, `signed` or `live`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "proof")]
    pub proof: Option<Proof>,
    /// What the node said that it does.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "phase")]
    pub phase: Option<Phase>,
    /// How much of the dump was done, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How much there was, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Messages of this dump by then.
    #[serde(default)]
    pub messages: u32,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The first message of a dump: the node is in its crash kernel.
    Started,
    /// The second message, or one that says that the node writes its dump.
    Dumping,
    /// The node does something else now: see [`Event::phase`].
    Phase,
    /// The dump is over: the node said so, or, if it never says what it does, was silent for too long.
    Finished,
    /// The node was silent for too long although it had said that it was not done.
    Lost,
    /// The node said that it reboots, or crashed anew.
    Rebooted,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Dumping, Self::Phase, Self::Finished, Self::Lost, Self::Rebooted];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Dumping => "dumping",
            Self::Phase => "phase",
            Self::Finished => "finished",
            Self::Lost => "lost",
            Self::Rebooted => "rebooted",
        }
    }

    /// Whether the dump is over with it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Finished | Self::Lost | Self::Rebooted)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is called `name` by [`Proof::name`].
#[must_use]
pub fn proof_named(name: &str) -> Option<Proof> {
    [Proof::Plain, Proof::Signed, Proof::Live].into_iter().find(|proof| proof.name() == name)
}

/// The phase's name in PROTOCOL.md §4.3; nothing for one that is not registered.
#[must_use]
pub fn phase_name(phase: Phase) -> Option<&'static str> {
    match phase {
        Phase::Unregistered(_) => None,
        known => Some(known.name()),
    }
}

/// Whether a phase has a name: one that has none is as good as nothing.
#[must_use]
pub fn registered(phase: &Phase) -> bool {
    phase_name(*phase).is_some()
}

/// What is called `name` by [`phase_name`].
#[must_use]
pub fn phase_named(name: &str) -> Option<Phase> {
    (1..=u8::MAX).map(Phase::of).find(|phase| phase_name(*phase) == Some(name))
}

/// A proof as its name. One that is not known, of a later version, proves as much as no word of it.
pub(crate) mod proof {
    use super::{Deserialize, Proof, proof_named};

    pub(crate) fn serialize<S: serde::Serializer>(
        proof: &Option<Proof>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&proof.map(Proof::name), serializer)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Proof>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        Ok(name.and_then(|name| proof_named(&name)))
    }
}

/// A phase as its name, likewise.
pub(crate) mod phase {
    use super::{Deserialize, Phase, phase_name, phase_named};

    pub(crate) fn serialize<S: serde::Serializer>(
        phase: &Option<Phase>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serde::Serialize::serialize(&phase.and_then(phase_name), serializer)
    }

    pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Phase>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        Ok(name.and_then(|name| phase_named(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let event = Event {
            id: "h-1-2".into(),
            time_ms: 5,
            node: "n1".into(),
            kind: Kind::Started,
            session: "h-1-2".into(),
            from: Some("192.0.2.7".parse().unwrap()),
            proof: Some(Proof::Live),
            phase: Some(Phase::Booted),
            done: None,
            total: None,
            messages: 1,
        };
        let text = r#"{"id":"h-1-2","time_ms":5,"node":"n1","kind":"started","session":"h-1-2","from":"192.0.2.7","proof":"live","phase":"booted","messages":1}"#;
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(text).unwrap(), event);
        let later = text.replace("live", "more").replace("booted", "sings");
        let later: Event = serde_json::from_str(&later).unwrap();
        assert_eq!(later, Event { proof: None, phase: None, ..event });
    }

    #[test]
    fn kinds_are_written_in_one_way() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
