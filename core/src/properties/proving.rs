//! What a signed or live message proves, whatever an attacker does who sees and sends everything.

use core::time::Duration;

use crate::challenge::{Challenger, FRESH};
use crate::message::Nonce;
use crate::policy::Disbelief;
use crate::replay::Crash;
use crate::time::Instant;

/// One thing that happens. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Move {
    /// The node reboots, and crashes once more.
    Crash,
    /// The node sends a message, which the attacker sees. It arrives, or the attacker keeps it back.
    Send {
        /// Whether it arrives at once.
        arrives: bool,
    },
    /// The receiver challenges the node, which answers. The answer arrives, or is kept back.
    Challenge {
        /// Whether it arrives at once.
        arrives: bool,
    },
    /// The attacker sends one of the messages that he has seen.
    Replay(u8),
    /// The receiver starts anew. What it remembers of crashes is still there, its challenges are not.
    Restart,
    /// Time passes.
    Wait(u16),
}

/// A message as everybody could see it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    crash: usize,
    sequence: u64,
    uptime: u64,
    answer: Option<Nonce>,
    sent: Instant,
    /// Whether it counted already.
    counted: bool,
}

/// The crash that goes on.
#[derive(Debug, Clone, Copy)]
struct Node {
    crash: usize,
    started: Instant,
    sequence: u64,
}

/// How many crashes and messages one run has room for; what goes beyond is left out.
const ROOM: usize = 64;

/// Plays `moves` against a receiver.
///
/// - What counts as live was sent less than [`FRESH`] before it arrived.
/// - What counts as signed and is not the first message heard of its crash was under way at most that
///   long, and 1/1024 of the time since that first one, longer than the fastest message of its crash.
/// - Nothing counts as signed twice.
/// - What arrives at once counts, unless a later message of its crash was there before it.
pub fn proving(moves: &[Move]) {
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut node = Node { crash: 0, started: now, sequence: 0 };
    let mut seen = heapless::Vec::<Seen, ROOM>::new();
    let mut receiver = Receiver { challenger: Challenger::IDLE, memory: [None; ROOM], nonces: 0 };
    for step in moves {
        match *step {
            Move::Crash if node.crash < ROOM - 1 => {
                node = Node { crash: node.crash.saturating_add(1), started: now, sequence: 0 };
            }
            Move::Crash => {}
            Move::Send { arrives } => {
                if let Some(message) = node.say(now, None, &mut seen) {
                    deliver(&mut receiver, message, now, arrives, true);
                }
            }
            Move::Challenge { arrives } => {
                let nonce = receiver.challenge(now);
                if let Some(message) = node.say(now, Some(nonce), &mut seen) {
                    deliver(&mut receiver, message, now, arrives, true);
                }
            }
            Move::Replay(which) => {
                let which = usize::from(which).checked_rem(seen.len());
                if let Some(message) = which.and_then(|which| seen.get_mut(which)) {
                    deliver(&mut receiver, message, now, true, false);
                }
            }
            Move::Restart => receiver.challenger = Challenger::IDLE,
            Move::Wait(millis) => {
                now = now.saturating_add(Duration::from_millis(millis.into()));
            }
        }
    }
}

impl Node {
    fn say<'a>(
        &mut self,
        now: Instant,
        answer: Option<Nonce>,
        seen: &'a mut heapless::Vec<Seen, ROOM>,
    ) -> Option<&'a mut Seen> {
        self.sequence = self.sequence.saturating_add(1);
        let up = now.saturating_since(self.started).as_millis();
        let uptime = u64::try_from(up).unwrap_or(u64::MAX);
        let (crash, sequence) = (self.crash, self.sequence);
        seen.push(Seen { crash, sequence, uptime, answer, sent: now, counted: false }).ok()?;
        seen.last_mut()
    }
}

struct Receiver {
    challenger: Challenger,
    memory: [Option<Crash>; ROOM],
    nonces: u128,
}

impl Receiver {
    fn challenge(&mut self, now: Instant) -> Nonce {
        self.nonces = self.nonces.saturating_add(1);
        self.challenger.challenge(now, Nonce(self.nonces.to_be_bytes()))
    }

    /// Whether it counts, and whether as live.
    fn hear(&mut self, message: &Seen, at: Instant) -> (Result<Crash, Disbelief>, bool) {
        let answer = message.answer;
        let live = answer.is_some_and(|answer| self.challenger.is_answered(at, &answer));
        let stamp = (message.sequence, message.uptime);
        let Some(memory) = self.memory.get_mut(message.crash) else { panic!("no room") };
        let judged = Crash::judge_stamp(memory.as_ref(), at, stamp, live);
        if let Ok(crash) = judged {
            *memory = Some(crash);
        }
        (judged, live)
    }
}

fn deliver(receiver: &mut Receiver, message: &mut Seen, at: Instant, arrives: bool, fresh: bool) {
    if !arrives {
        return;
    }
    let known = receiver.memory.get(message.crash).copied().flatten();
    let under_way = at.saturating_since(message.sent);
    let (judged, live) = receiver.hear(message, at);
    let same_datagram =
        known.is_some_and(|known| known.sequence == message.sequence && known.heard_at == at);
    if judged.is_ok() && live {
        assert!(under_way < FRESH, "{message:?} is no news at {at:?}");
    }
    if judged.is_ok() && !live && !same_datagram {
        assert!(!message.counted, "{message:?} counts twice");
        // The crash was heard of for at most as long as its kernel runs.
        let ran = Duration::from_millis(message.uptime).saturating_add(under_way);
        let slow = FRESH.saturating_add(ran.checked_div(1024).unwrap_or_default());
        // The network of this model is as fast as can be, so the fastest message took no time; unless the
        // attacker kept back every one that was heard of this crash.
        let first = known.is_none_or(|known| origin_is_late(&known, message));
        let most = slow.saturating_add(Duration::from_millis(1));
        assert!(first || under_way <= most, "{message:?} is late at {at:?}");
    }
    let overtaken = known.is_some_and(|known| known.sequence >= message.sequence);
    assert!(!fresh || overtaken || judged.is_ok(), "{message:?} does not count: {judged:?}");
    message.counted |= judged.is_ok();
}

/// Whether no message of this crash was heard in its time.
fn origin_is_late(known: &Crash, message: &Seen) -> bool {
    let uptime = message.uptime.saturating_mul(1_000_000);
    let started = i64::try_from(message.sent.as_nanos().saturating_sub(uptime)).unwrap_or(i64::MAX);
    // It moves by a thousandth of the time that passes, and its times are whole milliseconds.
    let known_for =
        known.heard_at.as_nanos().saturating_sub(message.sent.as_nanos().saturating_sub(uptime));
    let drift = i64::try_from(known_for >> 10).unwrap_or(i64::MAX);
    known.origin > started.saturating_add(1_000_000).saturating_add(drift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one() -> impl Strategy<Value = Move> {
        prop_oneof![
            1 => Just(Move::Crash),
            4 => any::<bool>().prop_map(|arrives| Move::Send { arrives }),
            3 => any::<bool>().prop_map(|arrives| Move::Challenge { arrives }),
            8 => any::<u8>().prop_map(Move::Replay),
            1 => Just(Move::Restart),
            4 => prop_oneof![0..3000_u16, any::<u16>()].prop_map(Move::Wait),
        ]
    }

    proptest! {
        #[test]
        fn an_attacker_who_sees_and_sends_everything_proves_nothing(
            moves in prop::collection::vec(one(), 0..200)
        ) {
            proving(&moves);
        }
    }
}
