//! Replays: what is remembered of a crash, and what follows from it (PROTOCOL.md §10).

use core::time::Duration;

use crate::auth::Signed;
use crate::challenge::FRESH;
use crate::policy::Disbelief;
use crate::time::Instant;

/// What a receiver remembers of one crash of a node: of all messages with one CRASH ID.
///
/// Its times are by one monotonic clock. When that has begun anew, the crash is [`Disbelief::Over`],
/// which is for the memory to tell: nothing here knows which clock it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crash {
    /// When the crash kernel started at the latest, in nanoseconds of the receiver's clock: the
    /// smallest difference between the arrival of a message and its UPTIME, and a little later for the
    /// time that has passed since.
    pub origin: i64,
    /// The greatest SEQUENCE.
    pub sequence: u64,
    /// When the message with that one arrived.
    pub heard_at: Instant,
}

impl Crash {
    /// A message with a right MAC arrived at `at`; `known` is what is remembered of its crash, and
    /// `live` whether it answers a challenge. What is to be remembered from now on, and only when that
    /// is done the message may be believed; or why it is not believed.
    ///
    /// # Errors
    /// [`Disbelief::Replayed`] or [`Disbelief::Late`]; never when it is live.
    pub fn judge(
        known: Option<&Self>,
        at: Instant,
        signed: &Signed<'_>,
        live: bool,
    ) -> Result<Self, Disbelief> {
        Self::judge_stamp(known, at, (signed.sequence, signed.uptime), live)
    }

    /// [`Self::judge`] for a message of which only SEQUENCE and UPTIME (in milliseconds) are at hand.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn judge_stamp(
        known: Option<&Self>,
        at: Instant,
        (sequence, uptime): (u64, u64),
        live: bool,
    ) -> Result<Self, Disbelief> {
        if uptime > UPTIME_MAX && !live {
            return Err(Disbelief::Late);
        }
        let origin = nanoseconds(at.as_nanos()).saturating_sub(nanoseconds(from_millis(uptime)));
        let now = Self { origin, sequence, heard_at: at };
        let Some(known) = known else {
            return Ok(now);
        };
        let is_newest = sequence > known.sequence;
        let newest = if is_newest { now } else { *known };
        if live {
            return Ok(Self { origin, ..newest });
        }
        // The same datagram, read by another program of this host.
        if sequence == known.sequence && at == known.heard_at {
            return Ok(*known);
        }
        if !is_newest {
            return Err(Disbelief::Replayed);
        }
        // Clocks that run at different speeds (less than 0.1 %) must not make messages late.
        let drift = at.as_nanos().saturating_sub(known.heard_at.as_nanos()) >> 10;
        let latest = known.origin.saturating_add(nanoseconds(drift));
        if origin.saturating_sub(latest) > nanoseconds(from_millis(FRESH_MILLIS)) {
            return Err(Disbelief::Late);
        }
        Ok(Self { origin: origin.min(latest), ..newest })
    }

    /// This is what was written down by a receiver that was ended at `until`, at the latest, and had not written all
    /// that it heard. Whether that may include a message with this UPTIME (in milliseconds), which arrives at `at`: it
    /// was sent before, and under way for longer than [`PROMPT`].
    #[must_use]
    pub fn may_have_included(&self, at: Instant, uptime: u64, until: Instant) -> bool {
        let sent = self.origin.saturating_add(nanoseconds(from_millis(uptime)));
        let late = nanoseconds(at.as_nanos()).saturating_sub(sent);
        // What was known when it was heard may have been earlier by so much than what is written.
        let until = nanoseconds(until.as_nanos()).saturating_add(nanoseconds(OFF));
        sent < until && late > nanoseconds(from_millis(PROMPT_MILLIS))
    }
}

/// What is written down of a crash, by a receiver that hears for long and need not write down each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Written {
    origin: i64,
    heard_at: Instant,
}

impl From<Crash> for Written {
    fn from(Crash { origin, heard_at, .. }: Crash) -> Self {
        Self { origin, heard_at }
    }
}

impl Written {
    /// Whether it need not be written down yet that `crash` is known by now: should it be forgotten,
    /// [`Crash::may_have_included`] tells of what.
    #[must_use]
    pub fn is_enough_for(&self, crash: &Crash) -> bool {
        crash.heard_at.saturating_since(self.heard_at) <= LAG
            && crash.origin.abs_diff(self.origin) <= OFF
    }
}

/// What a receiver that hears for long has heard of a crash so long after what is written down, or a little less, may
/// be missing there.
pub const LAG: Duration = Duration::from_secs(60);

/// How far what is written may be from when the crash kernel started, in nanoseconds.
const OFF: u64 = 50_000_000;

/// How long a message may be under way that may have been heard before, by a receiver that was ended before it
/// wrote that down.
pub const PROMPT: Duration = Duration::from_millis(PROMPT_MILLIS);

const PROMPT_MILLIS: u64 = 100;

const FRESH_MILLIS: u64 = 2_000;
const _: () = assert!(FRESH_MILLIS as u128 == FRESH.as_millis());

/// The longest UPTIME of a message that is not live, in milliseconds: 49 days. No dump takes as long.
const UPTIME_MAX: u64 = u32::MAX as u64;

fn from_millis(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}

fn nanoseconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Instant {
        Instant::from_nanos(milliseconds * 1_000_000)
    }

    /// A crash kernel that started at 1,000 s; messages at these seconds of its uptime, all received
    /// after 1 ms.
    fn heard(uptimes: &[u64]) -> Option<Crash> {
        uptimes.iter().fold(None, |known, uptime| {
            let at = ms(1_000_001 + uptime * 1_000);
            Some(Crash::judge_stamp(known.as_ref(), at, (*uptime, uptime * 1_000), false).unwrap())
        })
    }

    fn judge(known: Option<Crash>, at: Instant, uptime: u64) -> Result<Crash, Disbelief> {
        Crash::judge_stamp(known.as_ref(), at, (uptime, uptime * 1_000), false)
    }

    #[test]
    fn each_message_counts_once_and_in_its_time() {
        let known = heard(&[5, 10, 20]);
        for captured in [5, 10, 20] {
            let again = judge(known, ms(1_020_500), captured);
            assert_eq!(again, Err(Disbelief::Replayed));
        }
        assert!(judge(known, ms(1_030_001), 30).is_ok());
        // Captured, suppressed, and sent after the node has rebooted.
        assert_eq!(judge(known, ms(9_000_000), 30), Err(Disbelief::Late));
        // The edge of the window: 2 s, and a 1024th of the 12.288 s since the message before.
        let at = |late: u64| Instant::from_nanos((1_000_001 + 20_000) * 1_000_000 + late);
        let stamp = (30, 20_000 + 12_288 - 2_012);
        let judge = |late| Crash::judge_stamp(known.as_ref(), at(late), stamp, false);
        assert!(judge(12_288_000_000).is_ok());
        assert_eq!(judge(12_288_000_001), Err(Disbelief::Late));
    }

    #[test]
    fn no_message_is_of_a_machine_that_has_run_for_months() {
        let most = 1 << 32;
        let judge = |uptime, live| Crash::judge_stamp(None, ms(5), (1, uptime), live);
        assert!(judge(most - 1, false).is_ok());
        for uptime in [most, u64::MAX] {
            assert_eq!(judge(uptime, false), Err(Disbelief::Late));
            assert!(judge(uptime, true).is_ok(), "proven otherwise");
        }
    }

    #[test]
    fn the_fastest_message_sets_the_origin() {
        // The first ones waited 3 s for the network.
        let known = judge(None, ms(1_003_000), 0).unwrap();
        let known = judge(Some(known), ms(1_003_000), 1).unwrap();
        let known = judge(Some(known), ms(1_003_000), 2).unwrap();
        assert_eq!(known.origin, 1_001_000_000_000);
        assert_eq!(judge(Some(known), ms(1_013_100), 10), Err(Disbelief::Late));
        assert!(judge(Some(known), ms(1_012_900), 10).is_ok());
        // A slow one does not move it, but for a thousandth of the time that has passed.
        let slow = judge(Some(known), ms(1_012_900), 10).unwrap();
        assert_eq!(slow.origin, 1_001_000_000_000 + (9_900_000_000 >> 10));
    }

    #[test]
    fn a_live_message_is_always_believed_and_sets_the_origin_anew() {
        let known = heard(&[5, 10]).unwrap();
        let later = ms(1_100_000);
        let live = Crash::judge_stamp(Some(&known), later, (11, 11_000), true).unwrap();
        assert_eq!((live.origin, live.sequence), (1_089_000_000_000, 11));
        assert!(judge(Some(live), ms(1_101_000), 12).is_ok());
        let overtaken = Crash::judge_stamp(Some(&live), later, (9, 9_000), true).unwrap();
        assert_eq!((overtaken.sequence, overtaken.heard_at), (11, later));
    }

    #[test]
    fn the_same_datagram_is_no_replay() {
        let known = heard(&[5]).unwrap();
        assert_eq!(judge(Some(known), known.heard_at, 5), Ok(known));
        let a_nanosecond_later = Instant::from_nanos(known.heard_at.as_nanos() + 1);
        assert_eq!(judge(Some(known), a_nanosecond_later, 5), Err(Disbelief::Replayed));
    }

    #[test]
    fn clocks_may_differ_by_a_thousandth() {
        let (hour, known) = (3_600, heard(&[5]));
        let slow = 1_000_001 + hour * 1_000 + 3_600;
        assert!(judge(known, ms(slow), hour).is_ok());
        assert_eq!(judge(known, ms(slow + 2_000), hour), Err(Disbelief::Late));
        // Hour after hour, each time by as much more.
        let mut known = known;
        for hours in 1..100 {
            let at = 1_000_001 + hours * (hour * 1_000 + 3_500);
            known = Some(judge(known, ms(at), hours * hour).unwrap());
        }
    }

    /// A receiver that was ended at 1,020 s, and one that was not.
    #[test]
    fn what_may_have_been_heard_and_forgotten_is_late_soon() {
        let written = heard(&[5]).unwrap();
        let until = ms(1_020_000);
        // Sent at 1,000.001 s and its UPTIME; arrives so much later.
        let forgets = |uptime: u64, late: u64| {
            let at = Instant::from_nanos((1_000_001 + uptime) * 1_000_000 + late);
            written.may_have_included(at, uptime, until)
        };
        let prompt = u64::try_from(PROMPT.as_nanos()).unwrap();
        for uptime in [0, 5_000, 19_998, 20_000, 20_048] {
            assert!(forgets(uptime, prompt + 1), "{uptime} ms");
            assert!(!forgets(uptime, prompt), "{uptime} ms");
        }
        for uptime in [20_049, 20_050, 30_000, u64::from(u32::MAX)] {
            assert!(!forgets(uptime, 3_600_000_000_000), "{uptime} ms: it was sent after");
        }
        for uptime in [0, u64::MAX] {
            let _ = written.may_have_included(Instant::from_nanos(0), uptime, until);
            let _ = written.may_have_included(until, uptime, Instant::from_nanos(u64::MAX));
        }
    }

    #[test]
    fn what_is_written_is_never_far_behind() {
        let crash = heard(&[5]).unwrap();
        let written = Written::from(crash);
        let later = |nanoseconds| {
            let heard_at = Instant::from_nanos(crash.heard_at.as_nanos() + nanoseconds);
            written.is_enough_for(&Crash { heard_at, sequence: 99, ..crash })
        };
        let lag = u64::try_from(LAG.as_nanos()).unwrap();
        assert!(later(0) && later(lag) && !later(lag + 1) && !later(3_600 * lag));
        let off = |origin| written.is_enough_for(&Crash { origin: crash.origin + origin, ..crash });
        assert!(off(50_000_000) && off(-50_000_000));
        assert!(!off(50_000_001) && !off(-50_000_001));
    }

    #[test]
    fn no_number_is_too_large() {
        for uptime in [0, u64::MAX / 2, u64::MAX] {
            for at in [0, u64::MAX] {
                let at = Instant::from_nanos(at);
                let known = Crash::judge_stamp(None, at, (1, uptime), true).unwrap();
                let _ = Crash::judge_stamp(Some(&known), at, (2, 0), false);
                let _ =
                    Crash::judge_stamp(Some(&known), Instant::from_nanos(0), (2, uptime), false);
            }
        }
    }
}
