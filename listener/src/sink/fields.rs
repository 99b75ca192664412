//! An event as names and values.

use serde_json::Value;

use crate::fleet::event::Event;

/// All fields of `event` that are known: the names of its JSON form in upper case after `FENCE_KDUMP_`,
/// such as `FENCE_KDUMP_NODE`, and the values as text.
pub(super) fn of(event: &Event) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(event) else { return Vec::new() };
    let named = |(name, value): (String, Value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        Some((format!("FENCE_KDUMP_{}", name.to_ascii_uppercase()), value))
    };
    fields.into_iter().filter_map(named).collect()
}

/// `event` as JSON; empty if it cannot be written, which no event is.
pub(super) fn json(event: &Event) -> Vec<u8> {
    serde_json::to_vec(event).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fleet::event::Kind;

    /// Event `number` of a listener.
    pub(in crate::sink) fn event(number: u64, node: &str, kind: Kind) -> Event {
        Event {
            id: format!("h-1-{number}").as_str().into(),
            time_ms: 1_700_000_000_000 + number,
            node: node.into(),
            kind,
            session: format!("h-1-{node}").as_str().into(),
            from: Some("192.0.2.7".parse().unwrap()),
            proof: Some(fence_kdump_core::Proof::Live),
            phase: None,
            done: Some(5),
            total: None,
            messages: 2,
        }
    }

    #[test]
    fn every_known_field_has_its_name() {
        let fields = of(&event(3, "n1", Kind::Lost));
        let mut fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                ("FENCE_KDUMP_DONE", "5"),
                ("FENCE_KDUMP_FROM", "192.0.2.7"),
                ("FENCE_KDUMP_ID", "h-1-3"),
                ("FENCE_KDUMP_KIND", "lost"),
                ("FENCE_KDUMP_MESSAGES", "2"),
                ("FENCE_KDUMP_NODE", "n1"),
                ("FENCE_KDUMP_PROOF", "live"),
                ("FENCE_KDUMP_SESSION", "h-1-n1"),
                ("FENCE_KDUMP_TIME_MS", "1700000000003"),
            ]
        );
    }
}
