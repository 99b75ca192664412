//! Which numbers stand where: the tables of the README.

use crate::{Numbers, Value};

/// What a number counts, and so how it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// A file, to the byte.
    Bytes,
    /// Memory of which only the magnitude matters.
    Memory,
    Nanoseconds,
    Milliseconds,
    /// Of anything.
    Count,
    /// So many times as much.
    Times,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Bytes | Self::Count if value.fract() == 0.0 => thousands(value),
            Self::Bytes | Self::Count => figures(value),
            Self::Memory if value < 1024.0 => format!("{value:.0} B"),
            Self::Memory if value < 1_048_576.0 => format!("{:.0} KiB", value / 1024.0),
            Self::Memory => format!("{:.1} MiB", value / 1_048_576.0),
            Self::Nanoseconds if value >= 10_000.0 => format!("{:.1} µs", value / 1000.0),
            Self::Nanoseconds => format!("{} ns", figures(value)),
            Self::Milliseconds => format!("{} ms", figures(value)),
            Self::Times => format!("{value:.2} ×"),
        }
    }

    /// With the quartiles, where there are some that differ.
    fn show_spread(self, value: Value) -> String {
        let middle = self.show(value.median());
        match value {
            Value::Several([_, low, high]) if self.show(low) != self.show(high) => {
                let bare = |value| self.show(value).trim_end_matches([' ', '×']).to_owned();
                format!("{middle} ({}–{})", bare(low), self.show(high).trim_end_matches([' ', '×']))
            }
            _ => middle,
        }
    }
}

/// Three figures are enough of what varies.
fn figures(value: f64) -> String {
    match value {
        ..0.005 => "0".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => thousands(value.round()),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A column of a table: its title, and one or more values that stand in a cell together.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) values: &'static [(&'static str, &'static str, Unit)],
}

/// A table: one row for each of those that are compared.
pub(crate) struct Table {
    pub(crate) corner: &'static str,
    pub(crate) rows: &'static [(&'static str, &'static str)],
    pub(crate) columns: &'static [Column],
}

const fn column(
    title: &'static str,
    values: &'static [(&'static str, &'static str, Unit)],
) -> Column {
    Column { title, values }
}

pub(crate) const RECEIVERS: &[(&str, &str)] = &[
    ("bare", "bare `recvmmsg` loop"),
    ("daemon", "`fence_kdumpd`"),
    ("agent", "`fence_kdump`"),
    ("stock", "stock `fence_kdump`"),
    ("python", "Python listener"),
];

pub(crate) const FULL_QUEUE: Table = Table {
    corner: "from a full queue",
    rows: RECEIVERS,
    columns: &[
        column(
            "valid",
            &[
                ("peers", "full valid ratio", Unit::Times),
                ("peers", "full valid", Unit::Nanoseconds),
            ],
        ),
        column(
            "signed",
            &[
                ("peers", "full signed ratio", Unit::Times),
                ("peers", "full signed", Unit::Nanoseconds),
            ],
        ),
        column(
            "stranger",
            &[
                ("peers", "full stranger ratio", Unit::Times),
                ("peers", "full stranger", Unit::Nanoseconds),
            ],
        ),
        column(
            "invalid",
            &[
                ("peers", "full invalid ratio", Unit::Times),
                ("peers", "full invalid", Unit::Nanoseconds),
            ],
        ),
    ],
};

pub(crate) const ONE_BY_ONE: Table = Table {
    corner: "one by one, 20,000 a second",
    rows: RECEIVERS,
    columns: &[
        column(
            "valid",
            &[
                ("peers", "each valid ratio", Unit::Times),
                ("peers", "each valid", Unit::Nanoseconds),
            ],
        ),
        column(
            "signed",
            &[
                ("peers", "each signed ratio", Unit::Times),
                ("peers", "each signed", Unit::Nanoseconds),
            ],
        ),
        column(
            "stranger",
            &[
                ("peers", "each stranger ratio", Unit::Times),
                ("peers", "each stranger", Unit::Nanoseconds),
            ],
        ),
        column(
            "invalid",
            &[
                ("peers", "each invalid ratio", Unit::Times),
                ("peers", "each invalid", Unit::Nanoseconds),
            ],
        ),
    ],
};

pub(crate) const FOOTPRINT: Table = Table {
    corner: "receiver",
    rows: RECEIVERS,
    columns: &[
        column("resident", &[("peers", "resident", Unit::Memory)]),
        column("its own", &[("peers", "anonymous", Unit::Memory)]),
        column("file", &[("peers", "file", Unit::Bytes)]),
        column("libraries and the like", &[("peers", "libraries", Unit::Memory)]),
        column(
            "system calls for each datagram, full queue",
            &[("peers", "calls full", Unit::Count)],
        ),
        column("one by one", &[("peers", "calls each", Unit::Count)]),
        column("start → reads the port", &[("peers", "start", Unit::Milliseconds)]),
    ],
};

pub(crate) const SENDERS: Table = Table {
    corner: "sender",
    rows: &[
        ("stock", "stock `fence_kdump_send`"),
        ("whole", "`fence_kdump_send`"),
        ("whole-key", "… with a key"),
        ("udp", "`udp/fence_kdump_send`"),
        ("udp-key", "… with a key"),
    ],
    columns: &[
        column("file", &[("sender", "file", Unit::Bytes)]),
        column("libraries", &[("sender", "libraries", Unit::Memory)]),
        column("resident", &[("sender", "resident", Unit::Memory)]),
        column("system calls up to the first message", &[("sender", "calls", Unit::Count)]),
        column("of a whole run", &[("peers", "sender calls run", Unit::Count)]),
        column("instructions of a whole run", &[("sender", "instructions", Unit::Count)]),
        column("start → on the wire", &[("peers", "on the wire", Unit::Milliseconds)]),
    ],
};

pub(crate) const AGENTS: Table = Table {
    corner: "agent",
    rows: &[
        ("stock", "stock `fence_kdump`"),
        ("agent", "`fence_kdump`"),
        ("agent-daemon", "`fence_kdump` where `fence_kdumpd` has heard"),
    ],
    columns: &[
        column(
            "its node speaks all the time: start → exit 0",
            &[("peers", "start to exit", Unit::Milliseconds)],
        ),
        column("it waits: message → exit 0", &[("peers", "message to exit", Unit::Milliseconds)]),
        column(
            "sender of the same make starts → exit 0",
            &[("peers", "sender to exit", Unit::Milliseconds)],
        ),
        column("system calls of a whole run", &[("peers", "calls run", Unit::Count)]),
    ],
};

pub(crate) const CRASHES: Table = Table {
    corner: "`fence_kdumpd`",
    rows: &[
        ("crash", "100,000 nodes crash at once, and speak each second"),
        ("million", "1,000,000 nodes are configured"),
        ("flood", "200,000 messages a second, of 1,000,000 forged sources"),
    ],
    columns: &[
        column("starts", &[("fleet", "start", Unit::Milliseconds)]),
        column("memory then", &[("fleet", "memory at start", Unit::Memory)]),
        column("memory at most", &[("fleet", "memory", Unit::Memory)]),
        column("datagrams", &[("fleet", "datagrams", Unit::Count)]),
        column("dropped", &[("fleet", "dropped", Unit::Count)]),
        column("processors", &[("fleet", "processors", Unit::Count)]),
        column("verdict, median", &[("fleet", "verdict", Unit::Milliseconds)]),
        column("verdict, 99.9 % within", &[("fleet", "late verdict", Unit::Milliseconds)]),
        column("not answered", &[("fleet", "unanswered", Unit::Count)]),
        column("dumps in the history", &[("fleet", "dumps", Unit::Count)]),
        column("events in it", &[("fleet", "events", Unit::Count)]),
        column("each datagram", &[("fleet", "cost", Unit::Nanoseconds)]),
        column("as a multiple of 10 nodes", &[("fleet", "ratio", Unit::Times)]),
    ],
};

const CORE: &[Column] = &[
    column("bytes", &[("core", "bytes", Unit::Memory)]),
    column("time", &[("core", "nanoseconds", Unit::Nanoseconds)]),
    column("instructions", &[("core", "instructions", Unit::Count)]),
];

pub(crate) const MESSAGES: Table = Table {
    corner: "a message",
    rows: &[
        ("encode", "encode, plain"),
        ("decode-plain", "decode, plain"),
        ("decode-foreign", "refuse what is none"),
        ("decode-signed", "decode, signed"),
        ("sign", "encode and sign"),
        ("verify", "decode and verify"),
        ("verify-forgery", "find a forgery"),
        ("judge-replay", "judge sequence and time"),
        ("challenge", "make a challenge, and open it"),
        ("derive-key", "derive a node's key"),
    ],
    columns: CORE,
};

/// What is done with a fleet of so many nodes.
pub(crate) const FLEET: [(&str, &str); 4] = [
    ("hear", "hear a message"),
    ("tick", "a tick, nothing is due"),
    ("hear-and-end", "hear one node, end another's session"),
    ("verdict", "decide"),
];

pub(crate) const NODES: [(&str, &str); 4] =
    [("10", "10"), ("1000", "1,000"), ("100000", "100,000"), ("1000000", "1,000,000")];

impl Table {
    /// In Markdown. A cell for which nothing was measured has a dash; nothing at all, no table.
    pub(crate) fn markdown(&self, numbers: &Numbers) -> String {
        let cell = |column: &Column, row: &str| {
            let shown = column.values.iter().filter_map(|(section, name, unit)| {
                let value = numbers.get(section, row, name)?;
                let limit = numbers.get(section, row, &format!("{name} limit"));
                let limit = limit.map(|limit| format!(" of {}", unit.show(limit.median())));
                Some(unit.show_spread(value) + &limit.unwrap_or_default())
            });
            shown.collect::<Vec<_>>().join(", ")
        };
        let mut rows = Vec::new();
        for (key, title) in self.rows {
            let cells: Vec<_> = self.columns.iter().map(|column| cell(column, key)).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                let cells = cells
                    .into_iter()
                    .map(|cell| if cell.is_empty() { "–".to_owned() } else { cell });
                rows.push(line(std::iter::once((*title).to_owned()).chain(cells)));
            }
        }
        if rows.is_empty() {
            return String::new();
        }
        let titles = self.columns.iter().map(|column| column.title.to_owned());
        let head = line(std::iter::once(self.corner.to_owned()).chain(titles));
        format!("{head}|---|{}\n{}\n", "---:|".repeat(self.columns.len()), rows.concat())
    }
}

/// A row of a table in Markdown.
pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (unit, value, text) in [
            (Unit::Bytes, 14_576.0, "14,576"),
            (Unit::Bytes, 999.0, "999"),
            (Unit::Memory, 40_960.0, "40 KiB"),
            (Unit::Memory, 9_650_000.0, "9.2 MiB"),
            (Unit::Nanoseconds, 3.3223, "3.32 ns"),
            (Unit::Nanoseconds, 19_036.0, "19.0 µs"),
            (Unit::Count, 0.0156, "0.02"),
            (Unit::Count, 163_017.0, "163,017"),
            (Unit::Times, 1.249, "1.25 ×"),
            (Unit::Milliseconds, 0.0001, "0 ms"),
        ] {
            assert_eq!(unit.show(value), text);
        }
        let spread = Unit::Times.show_spread(Value::Several([1.2, 1.1, 1.3]));
        assert_eq!(spread, "1.20 × (1.10–1.30)");
        assert_eq!(Unit::Times.show_spread(Value::Several([1.2, 1.2, 1.2])), "1.20 ×");
    }
}
