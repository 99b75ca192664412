//! The host's clocks. Decisions are taken by the monotonic one alone.

use std::os::unix::fs::MetadataExt as _;

use fence_kdump_core::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, by CLOCK_BOOTTIME: monotonic, and counting also while the host is suspended, so that what was
/// heard before stays old. One clock for all processes of a host (`clock_gettime(2)`), as long as
/// they share a time namespace, which [`crate::control`] makes sure of.
#[must_use]
pub fn now() -> Instant {
    Instant::from_nanos(u64::try_from(nanoseconds(ClockId::CLOCK_BOOTTIME)).unwrap_or(0))
}

/// By CLOCK_REALTIME, in nanoseconds, as the kernel stamps datagrams.
#[must_use]
pub fn realtime() -> i64 {
    nanoseconds(ClockId::CLOCK_REALTIME)
}

/// Milliseconds since 1970-01-01 00:00 UTC by CLOCK_REALTIME, for people.
#[must_use]
pub fn unix_ms() -> u64 {
    u64::try_from(realtime() / 1_000_000).unwrap_or(0)
}

/// The time namespace of this process (`time_namespaces(7)`), by inode; `None` where the kernel has
/// none.
#[must_use]
pub fn namespace() -> Option<u64> {
    std::fs::metadata("/proc/self/ns/time").ok().map(|file| file.ino())
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// By the monotonic clock.
    pub now: Instant,
    /// How many nanoseconds CLOCK_REALTIME is ahead of it; never too small.
    pub offset: i64,
}

impl Reading {
    /// Reads both clocks.
    ///
    /// They cannot be read at once: being scheduled away in between makes `offset` too large, which
    /// dates datagrams too old. So the reading with the shortest pause is taken.
    #[must_use]
    pub fn take() -> Self {
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..4 {
            let before = now();
            let realtime = nanoseconds(ClockId::CLOCK_REALTIME);
            let now = now();
            let pause = now.as_nanos().saturating_sub(before.as_nanos());
            let before = i64::try_from(before.as_nanos()).unwrap_or(i64::MAX);
            let offset = realtime.saturating_sub(before);
            if best.is_none_or(|(least, _)| pause < least) {
                best = Some((pause, Self { now, offset }));
            }
            if pause < 20_000 {
                break;
            }
        }
        let worst = Self { now: now(), offset: i64::MAX };
        best.map_or(worst, |(_, reading)| reading)
    }
}

/// 0 when the kernel has no such clock, which no Linux lacks.
fn nanoseconds(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec())
    })
}
