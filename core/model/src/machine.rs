//! A node: its production kernel runs, or its crash kernel, or neither. Only the model knows which.

use fence_kdump_core::Challenge;
use fence_kdump_sender::schedule::{Cadence, Millis, Turn};

use crate::packet::{Asked, Keys, Packet, Said, crash_id};
use crate::{Bounds, Tick};

/// What a node runs, in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Its production kernel: it uses the shared disks.
    Production,
    /// Its crash kernel, with a sender in it.
    Crash(Sender),
    /// Nothing yet: its firmware, or a kernel that uses no disk yet, since then.
    Reboots(Tick),
}

/// `fence_kdump_send` in one crash kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    /// Since when the crash kernel runs.
    pub since: Tick,
    /// Where the sender's schedule stands.
    pub turn: Turn,
    /// How many messages there were.
    pub said: u8,
    /// How many of them were answers.
    pub answers: u8,
    /// From when on the network takes messages.
    pub network: Tick,
}

/// A node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Machine {
    /// What it runs.
    pub kernel: Kernel,
    /// How often it has crashed.
    pub crashes: u8,
}

impl Machine {
    /// It runs, and has never crashed.
    pub const WELL: Self = Self { kernel: Kernel::Production, crashes: 0 };

    /// Its production kernel panics. The network of the crash kernel comes up `up` ticks later.
    pub fn crash(&mut self, bounds: &Bounds, now: Tick, up: Tick) {
        self.crashes += 1;
        let turn = bounds.cadence().begin(bounds.millis(now));
        self.kernel =
            Kernel::Crash(Sender { since: now, turn, said: 0, answers: 0, network: now + up });
    }

    /// What its sender says at `now`, as its schedule wants it.
    pub fn speak(&mut self, node: u8, bounds: &Bounds, now: Tick) -> Vec<Packet> {
        let crash = self.crashes;
        let Kernel::Crash(sender) = &mut self.kernel else {
            return Vec::new();
        };
        let (cadence, present) = (bounds.cadence(), bounds.millis(now));
        let mut packets = Vec::new();
        // A schedule that never comes to an end would be a fault by itself.
        for _ in 0..32 {
            if sender.turn.due > present {
                return packets;
            }
            let taken = now >= sender.network;
            if taken {
                let interval = cadence.promise(&sender.turn);
                packets.push(sender.say(node, crash, bounds, now, interval, None, false));
            }
            cadence.advance(&mut sender.turn, present, taken);
        }
        unreachable!("the schedule is due again and again at {present:?}")
    }

    /// Its sender receives a challenge: what it answers.
    pub fn answer(
        &mut self,
        node: u8,
        bounds: &Bounds,
        keys: &Keys,
        now: Tick,
        asked: &Asked,
    ) -> Option<Packet> {
        let crash = self.crashes;
        let Kernel::Crash(sender) = &mut self.kernel else {
            return None;
        };
        let bytes = asked.bytes(keys);
        let challenge = Challenge::decode(&bytes)?.open(keys.of(node))?;
        let own = challenge.crash_id == crash_id(node, crash);
        if !own || now < sender.network || sender.answers >= bounds.answers {
            return None;
        }
        sender.answers += 1;
        let interval = bounds.cadence().promise(&sender.turn);
        Some(sender.say(node, crash, bounds, now, interval, Some(asked.nonce), false))
    }

    /// It reboots; with `says` it says so before.
    pub fn reboot(&mut self, node: u8, bounds: &Bounds, now: Tick, says: bool) -> Option<Packet> {
        let Kernel::Crash(sender) = &mut self.kernel else {
            return None;
        };
        let last = says.then(|| sender.say(node, self.crashes, bounds, now, 0, None, true));
        self.kernel = Kernel::Reboots(now);
        last
    }

    /// It is `now`: a reboot takes no longer than it has to.
    pub fn pass(&mut self, bounds: &Bounds, now: Tick) {
        if let Kernel::Reboots(since) = self.kernel
            && now >= since + bounds.reboot
        {
            self.kernel = Kernel::Production;
        }
    }
}

impl Sender {
    #[expect(clippy::too_many_arguments, reason = "each is another field of the message")]
    fn say(
        &mut self,
        node: u8,
        crash: u8,
        bounds: &Bounds,
        now: Tick,
        interval: u32,
        answer: Option<u8>,
        leaving: bool,
    ) -> Packet {
        let number = self.said;
        self.said += 1;
        let uptime = bounds.by_the_nodes_clock(bounds.millis(now).since(bounds.millis(self.since)));
        let signed = bounds.signs;
        Packet::Message(Said {
            at: now,
            node,
            crash,
            number,
            uptime,
            interval,
            answer,
            leaving,
            signed,
        })
    }
}

impl Bounds {
    /// The sender's schedule: an interval of 10 s, and of the burst as much as the model's time resolves.
    #[must_use]
    pub fn cadence(&self) -> Cadence {
        let burst = if self.bursts { &[0, 2_000][..] } else { &[0] };
        let burst = burst.iter().map(|&at| Millis(at)).collect();
        Cadence { interval: Millis(self.interval), count: 0, burst }
    }

    /// A tick by the true clock.
    #[must_use]
    pub fn millis(&self, tick: Tick) -> Millis {
        Millis(u64::from(tick) * self.tick)
    }

    /// So much time as a node's monotonic clock shows it.
    fn by_the_nodes_clock(&self, span: Millis) -> u32 {
        u32::try_from(span.0 * u64::from(self.rate) / 1_000_000).unwrap_or(u32::MAX)
    }
}
