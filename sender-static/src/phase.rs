//! What this node is doing, as far as that is known: PHASE and PROGRESS, PROTOCOL.md §4.
//!
//! It is known from scripts that say so (`--phase`), and otherwise from what can be seen of whoever has the
//! memory of the crashed kernel open.
//!
//! Only a script says *finished*. That a reader has gone does not say that the dump is whole, nor does it that the
//! reader has ended well: it may have written into a pipe whose other end fails, or to where a script then finds too
//! little room. And *finished* ends the session: who says so too soon is power-fenced while it still works.
//!
//! *Failed* ends nothing, and the kernel tells who asks when a process has ended badly. But not everybody who reads
//! makes the dump: scripts also take the log of the crashed kernel, before or after it. And when a tool fails, they try
//! another one, which may write less and do well. So somebody who has written as much as a dump must have ended
//! badly, and nobody else have written as much; or everybody who was seen has ended badly. Then it is waited whether
//! somebody tries again.

use crate::schedule::Millis;
use crate::signer::BOOTED;
use crate::text::which;

/// PHASE: writes its dump.
pub const DUMPING: u8 = 2;
/// PHASE: has written its dump and will reboot.
pub const FINISHED: u8 = 3;
/// PHASE: could not write its dump.
pub const FAILED: u8 = 4;
/// PHASE: is about to reboot.
pub const LEAVING: u8 = 5;

/// No PHASE, but a script's word: the dump is written, and *finished* is to be said when everything ends, since only
/// then is nothing left to be done.
pub const WRITTEN: u8 = 6;

/// The phase of that name.
pub fn named(name: &[u8]) -> Option<u8> {
    let place = which(name, b"booted dumping finished failed leaving written");
    (place < 6).then_some(BOOTED.wrapping_add(place as u8))
}

/// What the node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doing {
    /// PHASE.
    pub phase: u8,
    /// PROGRESS: how much is done, how much there is; in bytes, 0 if not known.
    pub progress: [u64; 2],
}

impl Doing {
    /// Nothing else yet.
    pub const BOOTED: Self = Self { phase: BOOTED, progress: [0; 2] };
}

/// What was seen of a process that has the crashed kernel's memory open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Where in it the process reads next.
    pub position: u64,
    /// How much there is, 0 if not known.
    pub size: u64,
    /// How much the process has read and written altogether, since it was started. `None` where the
    /// kernel does not count.
    pub moved: Option<[u64; 2]>,
}

/// How much a process reads besides: programs, libraries, configuration. Nor has a log more, and so little is no
/// dump.
const BESIDES: u64 = 1 << 20;

/// How long nobody may read before the dump counts as not going on: there are tools that read twice,
/// and scripts that run another one.
const PAUSE: Millis = Millis::seconds(10);

/// One dump, as it can be seen.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    /// What is known.
    pub doing: Doing,
    /// Whether the reader goes from the beginning to the end, once, as cp(1) does, as far as was seen.
    straight: bool,
    /// Whether it was seen more than once: everybody begins at the beginning.
    again: bool,
    position: u64,
    /// When nobody was seen for the first time.
    gone: Millis,
    /// Whether it has ended badly.
    broken: bool,
    /// How much the one has written that reads, or was the last to.
    written: Amount,
    /// The most that anybody before it has written, of those who have ended badly; and of all others.
    lost: Amount,
    kept: Amount,
}

/// How much somebody has written, and 1 more; 0 when there was nobody, the most there is where that is not known.
type Amount = u64;

impl Dump {
    /// Nobody has been seen.
    pub const NONE: Self = Self {
        doing: Doing::BOOTED,
        straight: false,
        again: false,
        position: 0,
        gone: Millis(0),
        broken: false,
        written: 0,
        lost: 0,
        kept: 0,
    };

    /// A process begins to read: another one, or the same once more.
    pub fn begin(&mut self, is_other: bool) {
        if is_other {
            [self.lost, self.kept] = self.all();
            (self.written, self.broken) = (Amount::MAX, false);
        }
        let Self { broken, written, lost, kept, .. } = *self;
        *self = Self { straight: true, broken, written, lost, kept, ..Self::NONE };
        self.doing.phase = DUMPING;
    }

    /// The most that anybody has written, of those who have ended badly; and of all others.
    fn all(&self) -> [Amount; 2] {
        if self.broken {
            [self.lost.max(self.written), self.kept]
        } else {
            [self.lost, self.kept.max(self.written)]
        }
    }

    /// The process that reads, or was the last to, has ended by a signal or with another status than 0.
    pub fn break_off(&mut self, now: Millis) {
        // Who goes on without the file for so long does not end because of it.
        self.broken |= self.gone == Millis(0) || now.since(self.gone) < PAUSE;
    }

    /// Whether the dump was not written, should nobody try again.
    pub fn has_failed(&self) -> bool {
        let [lost, kept] = self.all();
        kept <= BESIDES && lost > BESIDES || kept == 0 && lost > 0
    }

    /// It goes on.
    ///
    /// Of who reads straight through, it is known how far he is. Of who does not, as makedumpfile, which
    /// looks for what is worth keeping first, and maps it: only how much has been written, not of how much. Before so much is
    /// read that it cannot be anything besides, nobody can tell the two apart.
    pub fn go_on(&mut self, sight: &Sight) {
        let Sight { position, size, moved } = *sight;
        let enough = position.saturating_add(position / 8).saturating_add(BESIDES);
        let read = moved.map_or(position, |[read, _]| read);
        self.straight &= position >= self.position && read >= position && read <= enough;
        self.position = position;
        if let Some([_, written]) = moved {
            self.written = written.saturating_add(1);
        }
        let sure = core::mem::replace(&mut self.again, true) && position >= BESIDES;
        self.doing.progress = match moved {
            // It may yet be mapped, or jumped in.
            Some([_, written]) if !(self.straight && sure) => [written, 0],
            None if !(self.straight && sure) => [0, 0],
            _ => [position.min(size), size],
        };
        self.gone = Millis(0);
    }

    /// Nobody reads any more. What was read to its end may still have to be written.
    pub fn pause(&mut self, now: Millis) {
        let [done, total] = self.doing.progress;
        let whole = total > 0 && done >= total;
        if self.gone == Millis(0) {
            self.gone = now;
        }
        if now.since(self.gone) < PAUSE {
            return;
        }
        if self.has_failed() {
            self.doing = Doing { phase: FAILED, ..Doing::BOOTED };
        } else if !whole {
            self.doing = Doing::BOOTED;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn seen(position: u64, read: u64, written: u64) -> Sight {
        Sight { position, size: 100 * MIB, moved: Some([read, written]) }
    }

    /// One who reads, writes so much, and may end badly.
    #[derive(Clone, Copy, Debug)]
    struct Reader {
        written: Option<u64>,
        breaks: bool,
    }

    const fn well(written: u64) -> Reader {
        Reader { written: Some(written), breaks: false }
    }

    const fn badly(written: u64) -> Reader {
        Reader { written: Some(written), breaks: true }
    }

    /// What is said when these have read, a moment after each other.
    fn after(readers: &[Reader]) -> u8 {
        let mut dump = Dump::NONE;
        let mut now = 0;
        for Reader { written, breaks } in readers {
            dump.begin(true);
            let moved = written.map(|written| [3 * MIB, written]);
            dump.go_on(&Sight { position: 2, size: 100 * MIB, moved });
            now += 1000;
            dump.pause(Millis(now));
            if *breaks {
                dump.break_off(Millis(now));
            }
            assert_eq!(dump.doing.phase, DUMPING, "{readers:?}");
        }
        dump.pause(Millis(now + 9_999));
        assert_eq!(dump.doing.phase, DUMPING, "somebody may try again: {readers:?}");
        dump.pause(Millis(now + 10_000));
        let phase = dump.doing.phase;
        assert_eq!(dump.has_failed(), phase == FAILED);
        dump.break_off(Millis(now + 20_000));
        dump.pause(Millis(now + 20_000));
        assert_eq!(dump.doing, Doing { phase, ..Doing::BOOTED }, "{readers:?}");
        phase
    }

    fn progress(sights: &[Sight]) -> [u64; 2] {
        let mut dump = Dump::NONE;
        dump.begin(true);
        sights.iter().for_each(|sight| dump.go_on(sight));
        assert_eq!(dump.doing.phase, DUMPING);
        dump.doing.progress
    }

    #[test]
    fn names() {
        for (number, name) in
            ["booted", "dumping", "finished", "failed", "leaving"].iter().enumerate()
        {
            assert_eq!(named(name.as_bytes()), Some(number as u8 + 1));
        }
        assert_eq!((named(b"Leaving"), named(b"left"), named(b"")), (Some(LEAVING), None, None));
        assert_eq!((named(b"finished"), named(b"failed")), (Some(FINISHED), Some(FAILED)));
        assert_eq!(named(b"written"), Some(WRITTEN));
    }

    #[test]
    fn who_reads_straight_through() {
        assert_eq!(progress(&[seen(0, 4000, 0)]), [0, 0]);
        assert_eq!(
            progress(&[seen(0, 4000, 0), seen(50 * MIB, 50 * MIB + 4000, 9)]),
            [50 * MIB, 100 * MIB]
        );
        let bare = Sight { moved: None, ..seen(MIB, 0, 0) };
        assert_eq!(progress(&[bare]), [0, 0], "everybody begins like this");
        assert_eq!(progress(&[bare, bare]), [MIB, 100 * MIB]);
        // The size is that of a file that grows, or not known.
        assert_eq!(progress(&[bare, Sight { size: 0, ..bare }]), [0, 0]);
        assert_eq!(
            progress(&[bare, Sight { position: 101 * MIB, ..bare }]),
            [100 * MIB, 100 * MIB]
        );
    }

    #[test]
    fn who_does_not() {
        // Jumps ahead, goes back, reads the same again, maps.
        assert_eq!(progress(&[seen(90 * MIB, MIB, 7)]), [7, 0]);
        assert_eq!(progress(&[seen(9 * MIB, 9 * MIB, 1), seen(8 * MIB, 10 * MIB, 7)]), [7, 0]);
        assert_eq!(progress(&[seen(MIB, 30 * MIB, 7)]), [7, 0]);
        assert_eq!(progress(&[seen(0, 0, 7), seen(0, 0, 8)]), [8, 0]);
        // Has read the head of it, maps the rest, and waits for whoever it writes to.
        let waits = seen(7_760, 60_000, 110_404);
        assert_eq!(progress(&[waits, waits, waits]), [110_404, 0]);
        // Once seen, never believed again.
        assert_eq!(progress(&[seen(90 * MIB, MIB, 7), seen(91 * MIB, 92 * MIB, 9)]), [9, 0]);
        let bare = Sight { moved: None, ..seen(MIB, 0, 0) };
        assert_eq!(progress(&[bare, Sight { position: 0, ..bare }]), [0, 0]);
    }

    #[test]
    fn nobody_reads_any_more() {
        let mut dump = Dump::NONE;
        dump.begin(true);
        dump.go_on(&seen(0, 0, 0));
        dump.go_on(&seen(50 * MIB, 50 * MIB, 0));
        dump.pause(Millis(5_000));
        dump.pause(Millis(14_999));
        assert_eq!(dump.doing, Doing { phase: DUMPING, progress: [50 * MIB, 100 * MIB] });
        dump.pause(Millis(15_000));
        assert_eq!(dump.doing, Doing::BOOTED, "half of it: what came of it is not known");
        dump.begin(true);
        dump.go_on(&seen(0, 0, 0));
        dump.go_on(&seen(100 * MIB, 100 * MIB, 0));
        for now in [1, 60_000, 3_600_000] {
            dump.pause(Millis(now));
            assert_eq!(dump.doing, Doing { phase: DUMPING, progress: [100 * MIB, 100 * MIB] });
        }
    }

    #[test]
    fn how_readers_end() {
        const LOG: u64 = 200_000;
        for readers in [
            &[badly(50 * MIB)][..],
            &[badly(0)],
            &[Reader { written: None, breaks: true }],
            &[well(LOG), badly(50 * MIB)],
            &[badly(50 * MIB), well(LOG)],
            &[badly(LOG), badly(50 * MIB), badly(0)],
        ] {
            assert_eq!(after(readers), FAILED, "{readers:?}");
        }
        for readers in [
            &[well(50 * MIB)][..],
            &[badly(LOG), well(50 * MIB)],
            &[well(50 * MIB), badly(LOG)],
            // Another tool, which writes less.
            &[badly(50 * MIB), well(5 * MIB)],
            // Nobody can tell which of them is the dump.
            &[badly(LOG), well(0)],
            &[well(0), badly(LOG)],
            &[Reader { written: None, breaks: true }, Reader { written: None, breaks: false }],
        ] {
            assert_eq!(after(readers), BOOTED, "{readers:?}");
        }
    }

    /// Who opens the file again is nobody else, of whom it would not be known how he ended.
    #[test]
    fn once_more() {
        let mut dump = Dump::NONE;
        dump.begin(true);
        dump.go_on(&seen(0, 0, 50 * MIB));
        dump.begin(false);
        dump.go_on(&seen(0, 0, 60 * MIB));
        dump.break_off(Millis(1000));
        dump.pause(Millis(1000));
        dump.pause(Millis(11_000));
        assert_eq!(dump.doing.phase, FAILED);
    }

    /// What it has read to its end is of no use to anybody if it could not write it.
    #[test]
    fn whole_but_broken() {
        let mut dump = Dump::NONE;
        dump.begin(true);
        dump.go_on(&seen(0, 0, 0));
        dump.go_on(&seen(100 * MIB, 100 * MIB, 99 * MIB));
        dump.break_off(Millis(1000));
        dump.pause(Millis(1000));
        dump.pause(Millis(11_000));
        assert_eq!(dump.doing.phase, FAILED);
        dump.begin(true);
        assert_eq!(dump.doing.phase, DUMPING, "somebody tries again");
    }

    proptest! {
        /// Nothing is said of a dump that may be well: nobody has ended badly, or somebody else has written as much.
        #[test]
        fn any_readers(list in proptest::collection::vec((0u64..4 * MIB, any::<bool>()), 1..6)) {
            let readers: Vec<_> =
                list.iter().map(|(written, breaks)| Reader { written: Some(*written), breaks: *breaks }).collect();
            let may_be_well = !list.iter().any(|(_, breaks)| *breaks)
                || list.iter().any(|(written, breaks)| !breaks && *written >= BESIDES);
            let phase = after(&readers);
            prop_assert!(phase == BOOTED || phase == FAILED && !may_be_well);
            if list.iter().all(|(_, breaks)| *breaks) {
                prop_assert_eq!(phase, FAILED);
            }
        }

        /// Whatever is seen, the node dumps, and no more is done than there is.
        #[test]
        fn any_sight(numbers: [u64; 4], counts: bool, earlier: [u64; 4]) {
            let [position, size, read, written] = numbers;
            let moved = counts.then_some([read, written]);
            let [before, ..] = earlier;
            let mut dump = Dump::NONE;
            dump.begin(true);
            dump.go_on(&Sight { position: before, size, moved });
            dump.go_on(&Sight { position, size, moved });
            let [done, total] = dump.doing.progress;
            prop_assert_eq!(dump.doing.phase, DUMPING);
            prop_assert!(total == 0 || done <= total);
        }
    }
}
