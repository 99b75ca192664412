//! Times, amounts and names as people read them.

use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;

/// `4s`, `2m 03s`, `5h 07m` or `12d 05h`.
#[must_use]
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest:02}s"),
        (0, ..) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// `3.2 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// How much of `total` is `done`, in percent, 0 to 100.
#[must_use]
pub fn percent(done: u64, total: u64) -> u8 {
    let share = u128::from(done).saturating_mul(100).checked_div(total.into());
    share.and_then(|share| u8::try_from(share).ok()).unwrap_or(100).min(100)
}

/// `[####......]`, with so many places.
#[must_use]
pub fn bar(percent: u8, places: usize) -> String {
    let full = usize::from(percent).saturating_mul(places) / 100;
    let full = full.min(places);
    format!("[{}{}]", "#".repeat(full), ".".repeat(places.saturating_sub(full)))
}

/// `2026-11-22 03:04:05`, UTC.
#[must_use]
pub fn time(ms_since_1970: u64) -> String {
    // Beyond that, humantime has no words.
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(ms_since_1970.min(253_402_300_799_000)));
    let at = humantime::format_rfc3339_seconds(at.unwrap_or(UNIX_EPOCH)).to_string();
    at.replace('T', " ").replace('Z', "")
}

/// What somebody else says, without what a terminal might take for a command.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

/// `n1, n2, n3 and 7 more`: no more than `most` of `names`, which are so many in all.
#[must_use]
pub fn some<'a>(names: impl IntoIterator<Item = &'a str>, most: usize, all: u64) -> String {
    let told: Vec<_> = names.into_iter().take(most).map(plain).collect();
    let more = all.saturating_sub(u64::try_from(told.len()).unwrap_or(u64::MAX));
    let told = told.join(", ");
    if more > 0 { format!("{told} and {more} more") } else { told }
}

/// `1 node` or `5 nodes`.
#[must_use]
pub fn nodes(count: u64) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let expected = [
            (0, "0s"),
            (999, "0s"),
            (59_999, "59s"),
            (60_000, "1m 00s"),
            (123_000, "2m 03s"),
            (3_599_999, "59m 59s"),
            (3_600_000, "1h 00m"),
            (86_399_999, "23h 59m"),
            (86_400_000, "1d 00h"),
            (12 * 86_400_000 + 5 * 3_600_000, "12d 05h"),
        ];
        for (milliseconds, text) in expected {
            assert_eq!(span(milliseconds), text);
        }
        assert!(span(u64::MAX).ends_with('h'));
    }

    #[test]
    fn amounts() {
        assert_eq!((size(0), size(3 << 29)), ("0 B".to_owned(), "1.5 GiB".to_owned()));
        assert_eq!([percent(0, 5), percent(1, 3), percent(9, 3), percent(1, 0)], [0, 33, 100, 100]);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
        assert_eq!(
            (bar(0, 4), bar(50, 4), bar(100, 2)),
            ("[....]".into(), "[##..]".into(), "[##]".into())
        );
    }

    #[test]
    fn times() {
        assert_eq!(time(1_795_316_645_999), "2026-11-22 03:04:05");
        assert_eq!(time(u64::MAX), "9999-12-31 23:59:59");
    }

    #[test]
    fn nobody_commands_the_terminal() {
        assert_eq!(plain("n\u{1b}[2J\u{9b}1m\n"), "n?[2J?1m?");
        assert_eq!(some(["a", "b\r", "c"], 2, 9), "a, b? and 7 more");
        assert_eq!(
            (some(["a"], 5, 1), nodes(1), nodes(0)),
            ("a".into(), "1 node".into(), "0 nodes".into())
        );
    }
}
