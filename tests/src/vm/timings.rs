use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Crash;

/// One run of one scenario.
#[derive(Debug, Clone)]
pub struct Row {
    /// What stands in the first column.
    pub scenario: &'static str,
    /// What the console showed; `None` when the node was not made to crash.
    pub crash: Option<Crash>,
    /// When the agent ended, and its exit code.
    pub end: (Instant, i32),
    /// What the sender costs the crash kernel, empty when that was not asked.
    pub memory: String,
}

/// The timing table of all tests in one process. Every row is on disk as soon as it is known.
#[derive(Debug, Default)]
pub struct Timings {
    rows: Mutex<Vec<Row>>,
}

impl Timings {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { rows: Mutex::new(Vec::new()) }
    }

    /// Adds a run and writes the table to `timings.txt` in [`super::directory`].
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn record(&self, row: Row) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(row);
        let path = super::directory().join("timings.txt");
        std::fs::write(&path, table(&rows))
            .unwrap_or_else(|e| panic!("{}: cannot be written: {e}", path.display()));
    }

    /// The table: seconds after the panic, the median where a scenario ran more than once.
    #[must_use]
    pub fn table(&self) -> String {
        table(&self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn table(rows: &[Row]) -> String {
    let mut scenarios: Vec<&str> = rows.iter().map(|row| row.scenario).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    let mut out = format!(
        "Seconds after the panic of {} under qemu without KVM\n\n{:<44} {:>4} {:>9} {:>7} {:>7} {:>7}   {}\n",
        super::Assets::get().kernel_version(),
        "sender in the crash kernel -> agent",
        "runs",
        "kernel",
        "/init",
        "sender",
        "heard",
        "agent's exit code",
    );
    let mut memory = String::new();
    for scenario in scenarios {
        let runs: Vec<&Row> = rows.iter().filter(|row| row.scenario == scenario).collect();
        let column = |step: fn(&Row) -> Option<Duration>| {
            let times: Option<Vec<Duration>> = runs.iter().map(|row| step(row)).collect();
            times.map_or("-".to_owned(), |times| format!("{:.2}", median(times).as_secs_f64()))
        };
        let codes: Vec<String> = runs.iter().map(|row| row.end.1.to_string()).collect();
        writeln!(
            out,
            "{scenario:<44} {:>4} {:>9} {:>7} {:>7} {:>7}   {}",
            runs.len(),
            column(|row| since_panic(row, |crash| crash.kernel)),
            column(|row| since_panic(row, |crash| crash.init)),
            column(|row| since_panic(row, |crash| crash.sender)),
            column(|row| since_panic(row, |_| row.end.0).filter(|_| row.end.1 == 0)),
            codes.join(" "),
        )
        .expect("a string grows");
        if let Some(row) = runs.iter().find(|row| !row.memory.is_empty()) {
            writeln!(memory, "{scenario:<44} {}", row.memory).expect("a string grows");
        }
    }
    format!("{out}\n{memory}")
}

fn since_panic(row: &Row, step: impl FnOnce(&Crash) -> Instant) -> Option<Duration> {
    row.crash.as_ref().map(|crash| step(crash).saturating_duration_since(crash.panic))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 }
}
