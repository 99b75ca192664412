//! Replays: what is remembered of a crash, and what follows from it (PROTOCOL.md §10).

use crate::auth::Signed;
use crate::challenge::FRESH;
use crate::policy::Disbelief;
use crate::time::Instant;

/// What a receiver remembers of one crash of a node: of all messages with one CRASH ID.
///
/// Its times are by one monotonic clock. When that has begun anew, the crash is [`Disbelief::Over`],
/// which is for the memory to tell: nothing here knows which clock it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// When the crash kernel started at the latest, in nanoseconds of the receiver's clock: the
    /// smallest difference between the arrival of a message and its UPTIME.
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
        let delay = origin.saturating_sub(known.origin);
        if delay > allowance(uptime) {
            return Err(Disbelief::Late);
        }
        Ok(Self { origin: origin.min(known.origin), ..newest })
    }
}

/// How much longer than the fastest message one may be under way, in nanoseconds: clocks that run at
/// different speeds (less than 0.1 %) must not make messages late.
fn allowance(uptime: u64) -> i64 {
    let fresh = u64::try_from(FRESH.as_nanos()).unwrap_or(u64::MAX);
    nanoseconds(fresh.saturating_add(from_millis(uptime) >> 10))
}

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
        assert!(judge(known, ms(1_030_001 + 2_029), 30).is_ok(), "the edge of the window");
        assert_eq!(judge(known, ms(1_030_001 + 2_030), 30), Err(Disbelief::Late));
        assert_eq!(judge(known, ms(9_000_000), 30), Err(Disbelief::Late));
        // Where the allowance is a whole number: 2 s and a millisecond.
        let known = heard(&[0]);
        let at = |late: u64| Instant::from_nanos(1_000_001_000_000 + 1_024_000_000 + late);
        let stamp = (9, 1_024);
        assert!(Crash::judge_stamp(known.as_ref(), at(2_001_000_000), stamp, false).is_ok());
        let late = Crash::judge_stamp(known.as_ref(), at(2_001_000_001), stamp, false);
        assert_eq!(late, Err(Disbelief::Late));
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
        let slow = 1_000_001 + hour * 1_001;
        assert!(judge(known, ms(slow), hour).is_ok());
        assert_eq!(judge(known, ms(slow + 2_000), hour), Err(Disbelief::Late));
    }

    #[test]
    fn no_number_is_too_large() {
        for uptime in [0, u64::MAX / 2, u64::MAX] {
            for at in [0, u64::MAX] {
                let at = Instant::from_nanos(at);
                let known = Crash::judge_stamp(None, at, (1, uptime), false).unwrap();
                let _ = Crash::judge_stamp(Some(&known), at, (2, 0), false);
                let _ =
                    Crash::judge_stamp(Some(&known), Instant::from_nanos(0), (2, uptime), false);
            }
        }
    }
}
