//! The receiver: a program that tells who is in its crash kernel, and the host that it runs on.
//!
//! It is the protocol crate, driven as PROTOCOL.md says: [`decode`], [`Signed::verify`],
//! [`Challenger`], [`Crash::judge`], [`Policy::admit`], [`Tracker`] and [`Verdict`]. What is here is
//! only what a receiver has to keep between them.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use fence_kdump_core::replay::Written;
use fence_kdump_core::{
    Challenger, Crash, Disbelief, FRESH, Instant, Message, NodeId, Policy, Proof, Question, Signed,
    Slot, State, Tracker, Verdict, decode, max_age, session,
};

use crate::packet::{Asked, Keys, Packet, Said, crash_id, name, nonce};
use crate::{Bounds, Tick};

/// The receiver's host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// How often it was booted: each time has a monotonic clock of its own.
    pub boot: u8,
    /// When it was.
    pub booted: Tick,
    /// What is written on its disk.
    pub memory: Vec<Remembered>,
    /// How many challenges it has sent.
    pub nonces: u8,
    /// With a receiver that lags: whose messages and of which crash were believed, as bits; and the number of the
    /// latest of them, and when it was. Only the model can know.
    pub counted: Vec<(u8, u8, u32, (u8, Tick))>,
    /// Whether one of them was believed a second time.
    pub counts_twice: bool,
    /// The program that runs.
    pub program: Program,
}

/// What is remembered of one crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Remembered {
    /// Of which node.
    pub node: u8,
    /// Which of its crashes.
    pub crash: u8,
    /// By which boot's clock.
    pub boot: u8,
    /// What core wants to be remembered.
    pub known: Crash,
    /// Whether any message of this crash was heard when it was said. Only the model can know.
    pub in_time: bool,
}

/// What a program knows until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program {
    sessions: Sessions,
    /// For each node the latest believed message.
    pub latest: Vec<Option<Latest>>,
    /// Since when it hears, if it does not write down each message.
    since: Option<Instant>,
    /// Of each node and crash: what it knows, and what is written.
    ledger: Vec<(u8, u8, Crash, Written)>,
    challengers: Vec<Challenger>,
    /// For each node the challenge that was sent last.
    asked: Vec<Option<Asked>>,
    /// For each node and crash the greatest number that was challenged.
    challenged: Vec<(u8, u8, u64)>,
}

/// The latest believed message of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Latest {
    /// How old it may be for somebody who was started after it.
    max_age: Duration,
    /// When it arrived, in truth.
    pub arrived: Tick,
    /// What it was, in truth; `None` when no node ever said it.
    pub said: Option<Said>,
    /// [`Remembered::in_time`] of its crash.
    pub in_time: bool,
}

/// The tracker, compared by what can be seen of it.
#[derive(Debug, Clone)]
struct Sessions(Tracker<Vec<Slot>>);

impl Sessions {
    fn seen(&self) -> impl Iterator<Item = impl Hash + Eq + use<>> + '_ {
        (0..).map_while(|node| self.0.session(NodeId(node))).map(|session| {
            let last = session.last_heard();
            let state = session.state(last.unwrap_or(Instant::from_nanos(0)));
            (state, last, session.deadline(), session.proof(), session.phase())
        })
    }
}

impl PartialEq for Sessions {
    fn eq(&self, other: &Self) -> bool {
        self.seen().eq(other.seen())
    }
}

impl Eq for Sessions {}

impl Hash for Sessions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seen().for_each(|session| session.hash(state));
    }
}

impl Program {
    fn start(bounds: &Bounds, since: Instant) -> Self {
        let nodes = usize::from(bounds.nodes);
        Self {
            sessions: Sessions(Tracker::new(vec![Slot::EMPTY; nodes], session::SILENCE)),
            latest: vec![None; nodes],
            since: bounds.lags.then_some(since),
            ledger: Vec::new(),
            challengers: vec![Challenger::IDLE; nodes],
            asked: vec![None; nodes],
            challenged: Vec::new(),
        }
    }
}

/// What a datagram is, in truth.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// What was said, if it was.
    pub said: Option<Said>,
    /// The node from whose address it seems to come.
    pub from: u8,
}

impl Host {
    /// One that has just been booted.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        let program = Program::start(bounds, Instant::from_nanos(0));
        let (memory, counted) = (Vec::new(), Vec::new());
        Self { boot: 0, booted: 0, memory, nonces: 0, counted, counts_twice: false, program }
    }

    /// The program ends and is started anew, a moment after what has just arrived.
    pub fn restart(&mut self, bounds: &Bounds, now: Tick) {
        let since = self.clock(bounds, now).saturating_add(Duration::from_millis(1));
        self.program = Program::start(bounds, since);
    }

    /// The host is booted: its clock begins anew.
    pub fn reboot(&mut self, bounds: &Bounds, now: Tick) {
        (self.boot, self.booted) = (self.boot + 1, now);
        self.restart(bounds, now);
    }

    /// `tick` by the host's monotonic clock.
    #[must_use]
    pub fn clock(&self, bounds: &Bounds, tick: Tick) -> Instant {
        // The first boot was long ago, so that a later clock shows less.
        let base = if self.boot == 0 { 1_000_000 } else { 10 };
        let since = bounds.millis(tick).0 - bounds.millis(self.booted).0;
        Instant::from_nanos((base * 1_000 + since) * 1_000_000)
    }

    /// Time passes.
    pub fn pass(&mut self, bounds: &Bounds, now: Tick) {
        let at = self.clock(bounds, now);
        while self.program.sessions.0.poll(at).is_some() {}
    }

    /// A datagram arrives; what is said in return.
    pub fn hear(
        &mut self,
        bounds: &Bounds,
        keys: &Keys,
        now: Tick,
        bytes: &[u8],
        truth: Truth,
    ) -> Option<Packet> {
        let at = self.clock(bounds, now);
        let mut challenge = None;
        let Ok(message) = decode(bytes) else {
            return None;
        };
        let judged = match message.signed() {
            Some(signed) if bounds.policy != Policy::Plain => {
                self.examine(bounds, keys, now, &signed, &mut challenge)
            }
            Some(_) | None => Ok((truth.from, Proof::Plain)),
        };
        if let Ok((node, proof)) = judged
            && bounds.policy.admit(proof).is_ok()
        {
            self.believe(bounds, (at, now), (node, proof), &message, truth);
        }
        challenge
    }

    fn believe(
        &mut self,
        bounds: &Bounds,
        (at, now): (Instant, Tick),
        (node, proof): (u8, Proof),
        message: &Message<'_>,
        truth: Truth,
    ) {
        let report = message.report(proof);
        let _ = self.program.sessions.0.hear(at, NodeId(node.into()), &report);
        if bounds.lags
            && let Some(Said { crash, number, .. }) = truth.said
        {
            let (bit, latest) = (1 << number, (number, now));
            match self.counted.iter_mut().find(|of| (of.0, of.1) == (node, crash)) {
                Some((_, _, bits, before)) => {
                    self.counts_twice |= *bits & bit != 0 && *before != latest;
                    (*bits, *before) = (*bits | bit, latest);
                }
                None => self.counted.push((node, crash, bit, latest)),
            }
            self.counted.sort_unstable();
        }
        let crash = truth.said.map_or(0, |said| said.crash);
        let remembered =
            self.memory.iter().find(|known| (known.node, known.crash) == (node, crash));
        let in_time = remembered.is_some_and(|known| known.in_time);
        self.program.latest[usize::from(node)] =
            Some(Latest { max_age: max_age(message), arrived: now, said: truth.said, in_time });
    }

    /// Whose a signed message is, and what it proves.
    fn examine(
        &mut self,
        bounds: &Bounds,
        keys: &Keys,
        now: Tick,
        signed: &Signed<'_>,
        challenge: &mut Option<Packet>,
    ) -> Result<(u8, Proof), Disbelief> {
        let mine = |node: &u8| name(*node).eq_ignore_ascii_case(signed.node_name);
        let node = (0..bounds.nodes).find(mine).ok_or(Disbelief::Stranger)?;
        if !signed.verify(keys.of(node)) {
            return Err(Disbelief::BadMac);
        }
        let at = self.clock(bounds, now);
        let crash = signed.crash_id.0[1];
        debug_assert_eq!(signed.crash_id, crash_id(node, crash));
        let live = match &signed.answer {
            Some(answer) => self.program.challengers[usize::from(node)].is_answered(at, answer),
            None if bounds.answers > 0 => {
                *challenge = self.challenge(at, now, node, crash, signed.sequence);
                false
            }
            // Nobody would answer.
            None => false,
        };
        match self.remember(bounds, now, (node, crash), signed, live) {
            Ok(()) if live => Ok((node, Proof::Live)),
            Ok(()) => Ok((node, Proof::Signed)),
            Err(_) if live => Ok((node, Proof::Live)),
            Err(disbelief) => Err(disbelief),
        }
    }

    fn challenge(
        &mut self,
        at: Instant,
        now: Tick,
        node: u8,
        crash: u8,
        sequence: u64,
    ) -> Option<Packet> {
        let place = self.program.challenged.iter_mut().find(|one| (one.0, one.1) == (node, crash));
        match place {
            Some((_, _, latest)) if sequence <= *latest => return None,
            Some((_, _, latest)) => *latest = sequence,
            None => {
                self.program.challenged.push((node, crash, sequence));
                self.program.challenged.sort_unstable();
            }
        }
        let new = self.nonces + 1;
        let chosen = self.program.challengers[usize::from(node)].challenge(at, nonce(new));
        let asked = &mut self.program.asked[usize::from(node)];
        if chosen == nonce(new) {
            self.nonces = new;
            *asked = Some(Asked { at: now, node, crash, nonce: new });
        }
        asked.map(|asked| Packet::Challenge(Asked { crash, ..asked }))
    }

    /// What the memory says of a message with a right MAC.
    fn remember(
        &mut self,
        bounds: &Bounds,
        now: Tick,
        (node, crash): (u8, u8),
        signed: &Signed<'_>,
        live: bool,
    ) -> Result<(), Disbelief> {
        if !bounds.writable {
            return Err(Disbelief::Unremembered);
        }
        let at = self.clock(bounds, now);
        if let Some(judged) = self.recall(at, (node, crash), signed, live) {
            return judged;
        }
        let place = self.memory.iter().position(|known| (known.node, known.crash) == (node, crash));
        let before = place.map(|place| self.memory[place]);
        if before.is_some_and(|before| before.boot != self.boot) && !live {
            return Err(Disbelief::Over);
        }
        let known = before.filter(|before| before.boot == self.boot).map(|before| before.known);
        if let (Some(known), Some(since), false) = (&known, self.program.since, live)
            && known.may_have_included(at, signed.uptime, since)
        {
            return Err(Disbelief::Replayed);
        }
        let known = Crash::judge(known.as_ref(), at, signed, live)?;
        self.write((node, crash), known);
        let in_time = before.is_some_and(|before| before.in_time);
        let after = Remembered { node, crash, boot: self.boot, known, in_time };
        match place {
            Some(place) => self.memory[place] = after,
            None => self.memory.push(after),
        }
        self.memory.sort_unstable_by_key(|known| (known.node, known.crash));
        Ok(())
    }

    /// What a receiver that lags says without its memory.
    fn recall(
        &mut self,
        at: Instant,
        (node, crash): (u8, u8),
        signed: &Signed<'_>,
        live: bool,
    ) -> Option<Result<(), Disbelief>> {
        let mut ledger = self.program.ledger.iter_mut();
        let (_, _, known, written) = ledger.find(|known| (known.0, known.1) == (node, crash))?;
        match Crash::judge(Some(known), at, signed, live) {
            Ok(crash) if written.is_enough_for(&crash) => {
                *known = crash;
                Some(Ok(()))
            }
            Err(Disbelief::Replayed) => Some(Err(Disbelief::Replayed)),
            Ok(_) | Err(_) => None,
        }
    }

    /// This is written.
    fn write(&mut self, (node, crash): (u8, u8), now: Crash) {
        let ledger = &mut self.program.ledger;
        match ledger.iter_mut().find(|known| (known.0, known.1) == (node, crash)) {
            Some((_, _, known, written)) => {
                *known = if now.sequence >= known.sequence { now } else { *known };
                *written = now.into();
            }
            None if self.program.since.is_some() => {
                ledger.push((node, crash, now, now.into()));
                ledger.sort_unstable_by_key(|known| (known.0, known.1));
            }
            None => {}
        }
    }

    /// A message of this crash has arrived in the moment in which it was said.
    pub fn was_in_time(&mut self, node: u8, crash: u8) {
        for known in &mut self.memory {
            known.in_time |= (known.node, known.crash) == (node, crash);
        }
        if let Some(latest) = &mut self.program.latest[usize::from(node)] {
            latest.in_time |= latest.said.is_some_and(|said| said.crash == crash);
        }
    }

    /// Whether somebody who was started at any time since the host was, and asks at `now`, is told that
    /// `node` is in its crash kernel.
    #[must_use]
    pub fn says_fenced(&self, bounds: &Bounds, now: Tick, node: u8) -> bool {
        let Some(latest) = self.program.latest[usize::from(node)] else {
            return false;
        };
        let present = self.clock(bounds, now);
        [self.booted, now].into_iter().any(|started| {
            let started = self.clock(bounds, started);
            let question = Question::since(started, present, latest.max_age).under(bounds.policy);
            let verdict = self.program.sessions.0.verdict(NodeId(node.into()), question);
            matches!(verdict, Verdict::InCrashKernel(_))
        })
    }

    /// Whether what `said` says ought to be believed by all rules, arriving at `now`, as it is said.
    #[must_use]
    pub fn ought_to_believe(&self, bounds: &Bounds, now: Tick, said: &Said) -> bool {
        let crash = |known: &&Remembered| (known.node, known.crash) == (said.node, said.crash);
        let at = self.clock(bounds, now);
        let session = self.program.sessions.0.session(NodeId(said.node.into()));
        // Whoever plays the end of a crash that was never heard ends what arrived up to that moment.
        if session.is_some_and(|ended| {
            ended.last_heard() == Some(at) && ended.state(at) == State::Finished
        }) {
            return false;
        }
        match bounds.policy {
            Policy::Plain => true,
            Policy::Signed => {
                let before = self.memory.iter().find(crash);
                bounds.writable && before.is_none_or(|before| before.boot == self.boot)
            }
            Policy::Live => {
                let asked = self.program.asked[usize::from(said.node)];
                let asked = asked.filter(|asked| said.answer == Some(asked.nonce));
                let age = |asked: Asked| bounds.millis(now).since(bounds.millis(asked.at)).0;
                asked.is_some_and(|asked| u128::from(age(asked)) < FRESH.as_millis())
            }
        }
    }
}
