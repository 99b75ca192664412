//! What a finished program left behind.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

/// A finished program: how it ended, what it wrote, how long it took.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to its standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// From just before the start to the end.
    pub elapsed: Duration,
    pub(crate) line: String,
}

impl Output {
    pub(crate) fn new(
        line: String,
        status: ExitStatus,
        stdout: String,
        stderr: String,
        elapsed: Duration,
    ) -> Self {
        Self { code: status.code(), signal: status.signal(), stdout, stderr, elapsed, line }
    }

    /// Itself, when it exited 0.
    ///
    /// # Panics
    /// With everything the program wrote, when it did not.
    #[track_caller]
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, Some(0), "should have succeeded: {self}");
        self
    }

    /// Itself, when it ended in any other way than exit code 0 *by itself* (a signal is no answer).
    ///
    /// # Panics
    /// With everything the program wrote, when it did not.
    #[track_caller]
    #[must_use]
    pub fn expect_failure(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "should have failed: {self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.line)?;
        writeln!(
            f,
            "  code {:?}, signal {:?}, after {:.3} s",
            self.code,
            self.signal,
            self.elapsed.as_secs_f64()
        )?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(f, "  {name} ({} bytes):", text.len())?;
            // A flood of output would bury the rest of the failure.
            for line in text.lines().take(40) {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
