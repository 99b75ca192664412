//! The table of all kinds of images, and what is wanted of it.

use super::Outcome;
use super::build::Kind;
use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

/// One run.
pub(crate) struct Row {
    kind: Kind,
    /// From the panic to the first process.
    init: Duration,
    /// From the panic to the agent's success.
    heard: Option<Duration>,
    dumped: Option<Duration>,
    reset: Option<Duration>,
}

impl Row {
    pub(crate) fn new(kind: Kind, outcome: &Outcome) -> Self {
        let panic = outcome.crash.panic;
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(panic));
        Self {
            kind,
            init: outcome.crash.init.saturating_duration_since(panic),
            heard: since(outcome.heard),
            dumped: since(outcome.dumped),
            reset: since(outcome.reset),
        }
    }

    /// From the first process to the agent's success.
    fn after_init(&self) -> Option<Duration> {
        self.heard.map(|heard| heard.saturating_sub(self.init))
    }
}

/// All runs.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
        let folder = fence_kdump_tests::vm::directory();
        std::fs::write(folder.join("images.txt"), self.to_string()).expect("a file of our own");
        std::fs::write(folder.join("images.md"), self.markdown()).expect("a file of our own");
    }

    /// The medians, as the README has them.
    fn markdown(&self) -> String {
        let mut text =
            "| image of the crash kernel | panic → /init | panic → heard | /init → heard | \
            panic → dump | panic → reset |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for kind in Kind::ALL {
            if let Some(columns) = self.columns(kind) {
                writeln!(text, "| {} | {} |", kind.title(), columns.join(" | "))
                    .expect("a string grows");
            }
        }
        text
    }

    /// The medians of a kind; `None` when it never ran.
    fn columns(&self, kind: Kind) -> Option<[String; 5]> {
        let shown = |time: Option<f64>| time.map_or("-".to_owned(), |it| format!("{it:.2}"));
        self.median(kind, |row| Some(row.init))?;
        Some([
            shown(self.median(kind, |row| Some(row.init))),
            shown(self.median(kind, |row| row.heard)),
            shown(self.median(kind, Row::after_init)),
            shown(self.median(kind, |row| row.dumped)),
            shown(self.median(kind, |row| row.reset)),
        ])
    }

    fn median(&self, kind: Kind, of: impl Fn(&Row) -> Option<Duration>) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.kind == kind);
        let mut times: Vec<Duration> = rows.map(of).collect::<Option<_>>()?;
        times.sort_unstable();
        let (low, high) =
            (times.get(times.len().saturating_sub(1) / 2)?, times.get(times.len() / 2)?);
        Some((*low + *high).as_secs_f64() / 2.0)
    }

    /// What is wanted, what was measured, and the bound; `None` as long as something is missing.
    fn goals(&self) -> [(&'static str, Option<f64>, f64); 4] {
        let heard = |kind| self.median(kind, |row| row.heard);
        let early = heard(Kind::DracutEarly);
        let of = |other: Option<f64>| Some(early? / other?);
        [
            ("dracut early / minimal stock", of(heard(Kind::Minimal)), 1.6),
            ("dracut early / dracut stock", of(heard(Kind::DracutStock)), 0.35),
            (
                "/init to heard, minimal early",
                self.median(Kind::MinimalEarly, Row::after_init),
                0.6,
            ),
            ("/init to heard, ours is /init", self.median(Kind::AsInit, Row::after_init), 0.3),
        ]
    }

    /// # Panics
    /// When a goal was measured and missed.
    pub(crate) fn expect_goals(&self) {
        for (goal, measured, bound) in self.goals() {
            let measured = measured.unwrap_or_else(|| panic!("{goal}: not measured"));
            assert!(
                measured <= bound,
                "{goal}: {measured:.2}, and at most {bound} is wanted\n{self}"
            );
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Seconds after the panic, medians, qemu without KVM\n\n{:<42} {:>4} {:>7} {:>7} {:>14} {:>7} {:>7}",
            "image", "runs", "/init", "heard", "/init to heard", "dump", "reset"
        )?;
        for kind in Kind::ALL {
            let runs = self.rows.iter().filter(|row| row.kind == kind).count();
            let Some([init, heard, after, dumped, reset]) = self.columns(kind) else {
                continue;
            };
            writeln!(
                f,
                "{:<42} {runs:>4} {init:>7} {heard:>7} {after:>14} {dumped:>7} {reset:>7}",
                kind.title(),
            )?;
        }
        writeln!(f)?;
        for (goal, measured, bound) in self.goals() {
            if let Some(measured) = measured {
                let verdict = if measured <= bound { "met" } else { "MISSED" };
                writeln!(f, "{goal}: {measured:.2}, goal {bound}: {verdict}")?;
            }
        }
        Ok(())
    }
}
