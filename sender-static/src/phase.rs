//! What this node is doing, as far as that is known: PHASE and PROGRESS, PROTOCOL.md §4.
//!
//! It is known from scripts that say so (`--phase`), and otherwise from what can be seen of whoever has the
//! memory of the crashed kernel open. Nothing is concluded from silence: that a reader has gone does not say
//! that the dump is whole, or written, so only a script says *finished* or *failed*. Nor would the way in which it
//! ended, which the kernel tells who asks for process events: scripts read for other things first, pipe into what
//! may fail by itself, and try again with another tool.

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

/// The phase of that name.
pub fn named(name: &[u8]) -> Option<u8> {
    let place = which(name, b"booted dumping finished failed leaving");
    (place < 5).then_some(BOOTED.wrapping_add(place as u8))
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

/// How much a process reads besides: programs, libraries, configuration.
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
}

impl Dump {
    /// Nobody has been seen.
    pub const NONE: Self =
        Self { doing: Doing::BOOTED, straight: false, again: false, position: 0, gone: Millis(0) };

    /// Another process begins to read.
    pub fn begin(&mut self) {
        *self = Self { straight: true, ..Self::NONE };
        self.doing.phase = DUMPING;
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
        } else if now.since(self.gone) >= PAUSE && !whole {
            *self = Self::NONE;
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

    fn progress(sights: &[Sight]) -> [u64; 2] {
        let mut dump = Dump::NONE;
        dump.begin();
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
        dump.begin();
        dump.go_on(&seen(0, 0, 0));
        dump.go_on(&seen(50 * MIB, 50 * MIB, 0));
        dump.pause(Millis(5_000));
        dump.pause(Millis(14_999));
        assert_eq!(dump.doing, Doing { phase: DUMPING, progress: [50 * MIB, 100 * MIB] });
        dump.pause(Millis(15_000));
        assert_eq!(dump.doing, Doing::BOOTED, "half of it: what came of it is not known");
        dump.begin();
        dump.go_on(&seen(0, 0, 0));
        dump.go_on(&seen(100 * MIB, 100 * MIB, 0));
        for now in [1, 60_000, 3_600_000] {
            dump.pause(Millis(now));
            assert_eq!(dump.doing, Doing { phase: DUMPING, progress: [100 * MIB, 100 * MIB] });
        }
    }

    proptest! {
        /// Whatever is seen, the node dumps, and no more is done than there is.
        #[test]
        fn any_sight(numbers: [u64; 4], counts: bool, earlier: [u64; 4]) {
            let [position, size, read, written] = numbers;
            let moved = counts.then_some([read, written]);
            let [before, ..] = earlier;
            let mut dump = Dump::NONE;
            dump.begin();
            dump.go_on(&Sight { position: before, size, moved });
            dump.go_on(&Sight { position, size, moved });
            let [done, total] = dump.doing.progress;
            prop_assert_eq!(dump.doing.phase, DUMPING);
            prop_assert!(total == 0 || done <= total);
        }
    }
}
