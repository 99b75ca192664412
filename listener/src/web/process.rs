//! What this process uses, as `proc(5)` and `getrusage(2)` say it.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What this process uses; nothing where the system does not tell.
#[derive(Debug)]
pub(super) struct Process {
    /// Memory, in bytes.
    pub(super) resident: Option<u64>,
    /// Open file descriptors.
    pub(super) open_files: Option<usize>,
    /// Processor time.
    pub(super) cpu: Option<Duration>,
}

impl Process {
    pub(super) fn now() -> Self {
        let open_files = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self { resident: resident(), open_files, cpu: cpu() }
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn cpu() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let time = |time: TimeVal| {
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec()).ok()?);
        seconds.checked_add(Duration::from_micros(u64::try_from(time.tv_usec()).ok()?))
    };
    time(usage.user_time())?.checked_add(time(usage.system_time())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let process = Process::now();
        assert!(process.resident.unwrap() > 100_000);
        assert!(process.open_files.unwrap() >= 3);
        assert!(process.cpu.is_some());
    }
}
