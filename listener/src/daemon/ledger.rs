//! What is known of a node's crashes without asking the disk: which messages of them were heard (PROTOCOL.md §10).
//!
//! That a crash was heard of is on the disk before any message of it counts. The greatest SEQUENCE of it, and when that
//! came, follow once in [`fence_kdump_core::replay::LAG`]: what a restart of this program makes it forget of them is a
//! message that would be late within a moment anyway, and [`crate::store::Notary::since`] sees to that moment.

use std::time::Duration;

use fence_kdump_core::auth::Signed;
use fence_kdump_core::replay::Written;
use fence_kdump_core::{Crash, CrashId, Disbelief, Instant};
use smallvec::SmallVec;

/// Of so many crashes of a node it is known; the messages of others are looked up and written one by one.
const CRASHES: usize = 8;

/// Nothing is said by a crash that nothing was heard of for so long.
const SILENT: Duration = Duration::from_secs(240);

/// What is known of a node's crashes without asking the disk.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    crashes: SmallVec<[Known; 1]>,
}

#[derive(Debug)]
struct Known {
    id: CrashId,
    crash: Crash,
    /// What of it is on the disk.
    written: Written,
}

impl Ledger {
    /// The crash that was heard of first, of those that are known.
    pub(super) fn first(&self) -> Option<Crash> {
        self.crashes.first().map(|known| known.crash)
    }

    fn find(&mut self, signed: &Signed<'_>) -> Option<&mut Known> {
        self.crashes.iter_mut().find(|known| known.id == signed.crash_id)
    }

    /// Whether the message is believed, which arrived at `at` and has a right MAC; `None` when only the disk knows, or
    /// has to know. `is_end` when it says that the dump is over.
    pub(super) fn judge(
        &mut self,
        at: Instant,
        signed: &Signed<'_>,
        is_live: bool,
        is_end: bool,
    ) -> Option<Result<(), Disbelief>> {
        let known = self.find(signed)?;
        match Crash::judge(Some(&known.crash), at, signed, is_live) {
            Ok(crash) if !is_end && known.written.is_enough_for(&crash) => {
                known.crash = crash;
                Some(Ok(()))
            }
            // Nothing that another program of this host heard can change that.
            Err(Disbelief::Replayed) => Some(Err(Disbelief::Replayed)),
            Ok(_) | Err(_) => None,
        }
    }

    /// This much is on the disk, of the crash of a message that arrived `at`.
    pub(super) fn written(&mut self, at: Instant, signed: &Signed<'_>, crash: Crash) {
        let written = Written::from(crash);
        if let Some(known) = self.find(signed) {
            if crash.sequence >= known.crash.sequence {
                known.crash = crash;
            }
            known.written = written;
            return;
        }
        self.crashes.retain(|known| at.saturating_since(known.crash.heard_at) < SILENT);
        if self.crashes.len() < CRASHES {
            self.crashes.shrink_to_fit();
            self.crashes.push(Known { id: signed.crash_id, crash, written });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::specimen::Specimen;
    use fence_kdump_core::replay::LAG;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    /// What becomes of the message `sequence` of a crash kernel that started at 100 s, which is sent at that second of
    /// its uptime and arrives `late` milliseconds after.
    fn judge(ledger: &mut Ledger, sequence: u64, late: u64) -> Option<Result<(), Disbelief>> {
        let specimen = Specimen { uptime: sequence * 1_000, ..Specimen::of("N1", sequence) };
        let at = ms(100_000 + sequence * 1_000 + late);
        let datagram = specimen.arrived("10.0.0.1", at);
        let message = datagram.message().unwrap();
        ledger.judge(at, &message.signed().unwrap(), false, false)
    }

    fn write(ledger: &mut Ledger, sequence: u64) {
        let specimen = Specimen { uptime: sequence * 1_000, ..Specimen::of("n1", sequence) };
        let at = ms(100_000 + sequence * 1_000);
        let datagram = specimen.arrived("10.0.0.1", at);
        let message = datagram.message().unwrap();
        let signed = message.signed().unwrap();
        let crash = Crash::judge(None, at, &signed, false).unwrap();
        ledger.written(at, &signed, crash);
    }

    #[test]
    fn what_was_never_written_is_for_the_disk() {
        let mut ledger = Ledger::default();
        assert_eq!(judge(&mut ledger, 1, 0), None);
        write(&mut ledger, 1);
        assert_eq!(judge(&mut ledger, 2, 0), Some(Ok(())));
    }

    #[test]
    fn each_message_counts_once() {
        let mut ledger = Ledger::default();
        write(&mut ledger, 1);
        assert_eq!(judge(&mut ledger, 10, 0), Some(Ok(())));
        for (sequence, late) in [(10, 1), (9, 1_000), (1, 9_000), (2, 0)] {
            assert_eq!(judge(&mut ledger, sequence, late), Some(Err(Disbelief::Replayed)));
        }
        assert_eq!(judge(&mut ledger, 10, 0), Some(Ok(())), "the same datagram");
    }

    #[test]
    fn the_disk_is_never_far_behind() {
        let lag = LAG.as_secs();
        let mut ledger = Ledger::default();
        write(&mut ledger, 1);
        assert_eq!(judge(&mut ledger, 1 + lag, 0), Some(Ok(())));
        assert_eq!(judge(&mut ledger, 2 + lag, 0), None, "it has to be written by now");
        write(&mut ledger, 2 + lag);
        assert_eq!(judge(&mut ledger, 3 + lag, 0), Some(Ok(())));
        assert_eq!(judge(&mut ledger, 4 + lag, 2_500), None, "late, as far as is known here");
    }

    #[test]
    fn an_origin_that_moves_is_written() {
        let mut ledger = Ledger::default();
        let specimen = Specimen { uptime: 1_000, ..Specimen::of("n1", 1) };
        let at = ms(101_400);
        let datagram = specimen.arrived("10.0.0.1", at);
        let message = datagram.message().unwrap();
        let signed = message.signed().unwrap();
        // The first one was under way for 400 ms.
        ledger.written(at, &signed, Crash::judge(None, at, &signed, false).unwrap());
        assert_eq!(judge(&mut ledger, 2, 360), Some(Ok(())));
        assert_eq!(judge(&mut ledger, 3, 340), None);
    }

    /// Those that fell silent make room.
    #[test]
    fn of_many_crashes_of_a_node_the_disk_knows() {
        let mut ledger = Ledger::default();
        let mut write = |crash, second: u64| {
            let specimen = Specimen { crash, ..Specimen::of("n1", 1) };
            let at = ms(second * 1_000);
            let datagram = specimen.arrived("10.0.0.1", at);
            let message = datagram.message().unwrap();
            let signed = message.signed().unwrap();
            ledger.written(at, &signed, Crash::judge(None, at, &signed, false).unwrap());
            (ledger.crashes.len(), ledger.find(&signed).is_some())
        };
        for crash in 1..=8 {
            assert_eq!(write(crash, 100), (usize::from(crash), true));
        }
        assert_eq!(write(9, 339), (CRASHES, false));
        assert_eq!(write(9, 340), (1, true));
    }

    #[test]
    fn an_end_is_on_the_disk_before_it_counts() {
        let mut ledger = Ledger::default();
        write(&mut ledger, 1);
        let specimen = Specimen { uptime: 2_000, ..Specimen::of("n1", 2) };
        let datagram = specimen.arrived("10.0.0.1", ms(102_000));
        let message = datagram.message().unwrap();
        let signed = message.signed().unwrap();
        assert_eq!(ledger.judge(ms(102_000), &signed, false, true), None);
        assert_eq!(ledger.judge(ms(102_000), &signed, true, true), None);
    }
}
