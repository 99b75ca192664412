//! When the port is read.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant as Timer, Interval, interval, sleep, sleep_until};

use crate::socket::Port;

/// How long after a failure it is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(250);

/// Before the queue of an earlier holder is read, those that it served are waited for: what is in the
/// queue may be for them, and whoever reads it may be gone the next moment. At least this long, since
/// how many they were may be known late,
const GATHERING: Duration = Duration::from_millis(200);

/// and at most this long, since some of them may be gone as well.
const GATHERED: Duration = Duration::from_secs(1);

/// How often a queue that nothing comes to is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// When datagrams come faster than this one after the other, they are read together, once in so long, and nothing
/// wakes this process in between: that would cost more than all else that is done with a datagram. One after a pause
/// is read at once.
const TOGETHER: Duration = Duration::from_millis(1);

/// When the port is read. Must be made within a tokio runtime.
#[derive(Debug)]
pub(super) struct Schedule {
    /// One for good: a timer for each datagram would cost more than the datagram.
    idle: Interval,
    /// Reading waits for so many others.
    gathering: Option<Gathering>,
    /// When something was last read.
    read_at: Option<Timer>,
    /// Reading waits for more to come.
    read_from: Option<Timer>,
}

#[derive(Debug, Clone, Copy)]
struct Gathering {
    others: usize,
    from: Timer,
    to: Timer,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { idle: interval(IDLE), gathering: None, read_at: None, read_from: None }
    }
}

impl Schedule {
    /// There is the queue of an earlier holder, which served so many others.
    pub(super) fn gather(&mut self, others: usize) {
        let now = Timer::now();
        self.gathering = Some(Gathering { others, from: now + GATHERING, to: now + GATHERED });
    }

    /// Whether they are still waited for.
    pub(super) fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// Now it is read, whoever has come.
    pub(super) fn begin(&mut self) {
        self.gathering = None;
    }

    /// There is more in the queue.
    pub(super) fn go_on(&mut self) {
        self.read_from = Some(Timer::now());
    }

    /// `port` was read; whether something was in its queue.
    pub(super) fn was_read(&mut self, port: &mut Port, is_some: bool) {
        self.read_from = None;
        if !is_some {
            return;
        }
        let now = Timer::now();
        let before = self.read_at.replace(now);
        if port.rests() || before.is_some_and(|before| now < before + TOGETHER) {
            port.rest();
            self.read_from = Some(now + TOGETHER);
        }
    }

    /// Until it is time to read; so many others are `asking`. Begins anew with each that asks. Cancel-safe.
    pub(super) async fn due(&mut self, port: Option<&mut Port>, asking: usize) {
        let gathering = self.gathering.map(|gathering| {
            if asking >= gathering.others { gathering.from } else { gathering.to }
        });
        if let Some(until) = gathering.max(self.read_from) {
            // The runtime's clock counts milliseconds: what is due would wait for the next of them.
            if until > Timer::now() {
                sleep_until(until).await;
            }
            return;
        }
        match port {
            // Read now and then although nothing came: the moment at which the queue was last seen
            // empty, and how the clocks stood then, is what datagrams are dated by.
            Some(port) => {
                let is_over = tokio::select! {
                    ready = port.readable() => ready.is_err(),
                    _ = self.idle.tick() => false,
                };
                if is_over {
                    sleep(AGAIN).await;
                }
            }
            None => pending().await,
        }
    }
}
