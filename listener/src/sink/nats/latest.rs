//! Which of two events of a node is the newer one.

use std::cmp::Ordering;

use crate::fleet::event::Event;

/// Whether `event` happened after `stored`, which the server has had since `stored_ms` by its own clock, in
/// milliseconds since 1970-01-01 00:00 UTC.
///
/// Two events of one listener are in the order in which it numbered them, whatever its clock did in between.
/// Those of different listeners, or of one before and after its restart, are in the order of their times;
/// except that what is stored cannot be newer than its storing, so that a listener whose clock is ahead does
/// not have the last word for as long as that. The same time twice is decided by the ids: in one way, wherever
/// it is decided.
pub(super) fn is_newer(event: &Event, stored: &Event, stored_ms: u64) -> bool {
    if let (Some((run, number)), Some((stored_run, stored_number))) =
        (event.id.numbered(), stored.id.numbered())
        && run == stored_run
    {
        return number > stored_number;
    }
    match event.time_ms.cmp(&stored.time_ms.min(stored_ms)) {
        Ordering::Greater => true,
        Ordering::Less => false,
        Ordering::Equal => event.id.to_string() > stored.id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::event::Kind;
    use crate::sink::fields::tests::event;

    fn at(id: &str, time_ms: u64) -> Event {
        Event { id: id.into(), time_ms, ..event(1, "n1", Kind::Started) }
    }

    #[test]
    fn one_listener_counts() {
        let stored = at("h-1-9", 5000);
        for (id, time_ms, newer) in [
            ("h-1-10", 5000, true),
            ("h-1-10", 10, true),
            ("h-1-9", 5000, false),
            ("h-1-8", 9000, false),
        ] {
            assert_eq!(is_newer(&at(id, time_ms), &stored, 5001), newer, "{id} at {time_ms}");
        }
    }

    #[test]
    fn several_listeners_have_clocks() {
        let stored = at("h-1-9", 5000);
        for (id, time_ms, newer) in [
            ("h-2-1", 5001, true),
            ("h-2-1", 4999, false),
            ("h-2-1", 5000, true),
            ("a-7-1", 5000, false),
            ("a-7-99", 4999, false),
            ("no number", 5001, true),
        ] {
            assert_eq!(is_newer(&at(id, time_ms), &stored, 5001), newer, "{id} at {time_ms}");
        }
    }

    /// The time of what a clock far ahead wrote is that of its storing.
    #[test]
    fn a_clock_that_is_ahead_is_believed_only_so_far() {
        let stored = at("ahead-1-1", 4_000_000_000_000);
        assert!(is_newer(&at("h-1-1", 6001), &stored, 6000));
        assert!(!is_newer(&at("h-1-1", 5999), &stored, 6000));
    }
}
