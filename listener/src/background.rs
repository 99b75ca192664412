//! Which threads come first, and which can wait a moment.

use std::time::{Duration, Instant};

use rustix::process::getpriority_process;

use crate::sys::schedule;

/// How much less of the processor a thread gets that can wait, when one that hears or answers wants it, too: about a
/// tenth.
const NICE: i32 = 10;

/// For no longer does a thread that comes first want the processor at once. The kernel lets it interrupt those that take
/// longer turns, which are some milliseconds (`sched(7)`; Linux 6.12).
const TURN: Duration = Duration::from_micros(100);

/// This thread gives way to all others of the process from now on: to those that read the port and answer agents,
/// on a host with a single processor, too. What it is late with, it does later.
pub(crate) fn give_way() {
    // Where that is forbidden, as by a service manager's filter, all goes on as it was.
    drop(schedule(NICE, Duration::ZERO));
}

/// A thread that gives way and works for longer without asking the kernel for anything.
pub(crate) struct Work {
    /// When it last let others.
    since: Instant,
}

impl Work {
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Now is a good moment to stop, if it went on for longer than those want to wait that come first. Without one, there are
    /// kernels that let it go on to their next tick, for 4 ms or 10 (`sched(7)`); with one more often than that, others
    /// that only give way, too, would have all of the processor.
    pub(crate) fn let_others(&mut self) {
        if self.since.elapsed() >= TURN {
            std::thread::yield_now();
            self.since = Instant::now();
        }
    }
}

/// This thread hears and answers: it has its turn as soon as there is something to do.
pub(crate) fn come_first() {
    drop(getpriority_process(None).map(|nice| schedule(nice, TURN)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_says_so_gives_way() {
        let before = getpriority_process(None).unwrap();
        let other = std::thread::spawn(|| {
            come_first();
            let first = getpriority_process(None).unwrap();
            give_way();
            (first, getpriority_process(None).unwrap())
        });
        assert_eq!(other.join().unwrap(), (before, NICE));
        assert_eq!(getpriority_process(None).unwrap(), before);
        assert!(schedule(before, TURN).is_ok() && schedule(before, Duration::ZERO).is_ok());
    }
}
