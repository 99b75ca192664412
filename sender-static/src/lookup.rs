//! One name's questions to the DNS servers, as a state machine. Pure: time is an argument, and
//! what to do is returned.
//!
//! All servers are asked at the same time, for both families at the same time: a dead server
//! costs nothing as long as another one answers. The answer of one server is enough when it has
//! spoken about every family that is wanted; "no such name" from one server is only believed when
//! the others have had their time.

use crate::args::Family;
use crate::dns::Kind;
use crate::resolv_conf::Settings;
use crate::schedule::Millis;

/// How soon an unanswered question is repeated for the first time: the first datagram on a link
/// that has just come up is the one that gets lost. After that resolv.conf(5) decides.
const FIRST_WAIT: Millis = Millis::seconds(1);

/// A bit for each family of each server: the families of the first one, of the second, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits(u16);

impl Bits {
    const NONE: Self = Self(0);

    const fn one(server: usize, kind: Kind) -> Self {
        Self(1u16.wrapping_shl((server as u32).wrapping_mul(2) | kind as u32))
    }

    const fn server(server: usize) -> Self {
        Self(Self::one(server, Kind::A).0 | Self::one(server, Kind::Aaaa).0)
    }

    /// All servers' bits of the families that are not among `family`.
    const fn without(family: Family) -> Self {
        match family {
            Family::Auto => Self::NONE,
            Family::V4 => Self(0xaaaa),
            Family::V6 => Self(0x5555),
        }
    }

    /// Whether both bits of any one server are set.
    const fn both(self) -> bool {
        self.0 & self.0 >> 1 & 0x5555 != 0
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

/// What to do about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this moment, unless an answer comes.
    Wait(Millis),
    /// Ask (again) whoever [`Lookup::open`] says, then [`Lookup::asked`].
    Ask,
    /// This name has got what there is to get for now.
    Over,
}

/// Where the questions about one name stand.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// The number of the questions; it stays while they are repeated, so that a late answer counts.
    pub id: u16,
    /// Which form of the name is asked for, see [`domain`].
    pub candidate: u8,
    attempt: u32,
    /// Whether any server has said anything.
    pub heard: bool,
    waiting: Bits,
    answered: Bits,
    unwanted: Bits,
    helpful: Bits,
    deadline: Millis,
}

impl Lookup {
    /// Begins with the first form of the name. What is not wanted counts as answered.
    pub fn new(id: u16, family: Family) -> Self {
        Self {
            id,
            candidate: 0,
            attempt: 0,
            heard: false,
            waiting: Bits::NONE,
            answered: Bits::without(family),
            unwanted: Bits::without(family),
            helpful: Bits::NONE,
            deadline: Millis(0),
        }
    }

    /// Whether `server` is still to be asked for `kind`.
    pub fn open(&self, server: usize, kind: Kind) -> bool {
        !self.answered.has(Bits::one(server, kind))
    }

    /// Whether an answer of `server` about `kind` would be news.
    pub fn expects(&self, server: usize, kind: Kind) -> bool {
        self.waiting.has(Bits::one(server, kind))
    }

    /// A question is on its way.
    pub fn asked(&mut self, server: usize, kind: Kind) {
        self.waiting.add(Bits::one(server, kind));
    }

    /// `server` has said all it knows about `kind`.
    pub fn answered(&mut self, server: usize, kind: Kind) {
        self.waiting.remove(Bits::one(server, kind));
        self.answered.add(Bits::one(server, kind));
    }

    /// `server` has named an address.
    pub fn found(&mut self, server: usize) {
        self.helpful.add(Bits::server(server));
    }

    /// `server` will not answer about `kind` any more.
    pub fn refused(&mut self, server: usize, kind: Kind) {
        self.waiting.remove(Bits::one(server, kind));
    }

    /// `server` will not answer anything any more that it was asked.
    pub fn refused_all(&mut self, server: usize) {
        self.waiting.remove(Bits::server(server));
    }

    /// Whether every address is known.
    pub fn complete(&self) -> bool {
        Bits(self.answered.0 & self.helpful.0).both()
    }

    /// What to do now. After [`Step::Ask`] comes [`Self::wait`].
    pub fn step(&mut self, now: Millis, settings: &Settings) -> Step {
        if self.complete() {
            return Step::Over;
        }
        if self.waiting != Bits::NONE && now < self.deadline {
            return Step::Wait(self.deadline);
        }
        if self.attempt == 0 {
            self.attempt = 1;
            return Step::Ask;
        }
        // One more than resolv.conf(5) says: the first wait is a short one.
        if !self.answered.both() && self.attempt <= settings.attempts {
            self.attempt = self.attempt.saturating_add(1);
            return Step::Ask;
        }
        // In silence the other forms are no better, and each would keep what resolv.conf(5) and
        // hosts(5) say by then from being seen for as long again.
        if self.helpful != Bits::NONE || self.candidate == u8::MAX || !self.heard {
            return Step::Over;
        }
        self.candidate = self.candidate.wrapping_add(1);
        self.id = self.id.wrapping_add(1);
        self.attempt = 1;
        self.waiting = Bits::NONE;
        // No server has been helpful, and what is not wanted was never waited for.
        self.answered = self.unwanted;
        Step::Ask
    }

    /// Sets the time until when answers are waited for.
    pub fn wait(&mut self, now: Millis, settings: &Settings) {
        let first = self.attempt <= 1;
        let span = if first { FIRST_WAIT.min(settings.timeout) } else { settings.timeout };
        self.deadline = now.plus(span);
    }
}

/// The domain that makes the `candidate`th form of `name`, empty for the name as it is; `None`
/// when all forms have been tried. resolv.conf(5): a name with at least `dots` dots is first asked
/// for as it is, any other with the search list first; one that ends with a dot only as it is.
#[inline(never)]
pub fn domain<'t>(
    name: &[u8],
    candidate: u8,
    dots: u32,
    search: crate::text::Words<'t>,
) -> Option<&'t [u8]> {
    let mut count = 0u32;
    for byte in name {
        count = count.wrapping_add(u32::from(*byte == b'.'));
    }
    let plain_first = count >= dots || name.ends_with(b".");
    let mut left = candidate;
    if plain_first {
        if left == 0 {
            return Some(&[]);
        }
        left = left.wrapping_sub(1);
    }
    if !name.ends_with(b".") {
        for domain in search {
            if left == 0 {
                return Some(domain);
            }
            left = left.wrapping_sub(1);
        }
    }
    (left == 0 && !plain_first).then_some(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::words;
    use proptest::prelude::*;

    fn settings() -> Settings {
        let mut settings = Settings::new();
        settings.parse(b"");
        settings
    }

    /// Asks both servers for what is open.
    fn ask(lookup: &mut Lookup, now: u64) {
        for server in 0..2 {
            for kind in Kind::BOTH {
                if lookup.open(server, kind) {
                    lookup.asked(server, kind);
                }
            }
        }
        lookup.wait(Millis(now), &settings());
    }

    fn begun(family: Family) -> Lookup {
        let mut lookup = Lookup::new(7, family);
        assert_eq!(lookup.step(Millis(0), &settings()), Step::Ask);
        ask(&mut lookup, 0);
        lookup
    }

    #[test]
    fn one_server_that_knows_is_enough() {
        let mut lookup = begun(Family::Auto);
        assert_eq!(lookup.step(Millis(1), &settings()), Step::Wait(Millis(1000)));
        lookup.answered(1, Kind::A);
        lookup.found(1);
        assert_eq!(lookup.step(Millis(2), &settings()), Step::Wait(Millis(1000)));
        lookup.answered(1, Kind::Aaaa);
        assert_eq!(lookup.step(Millis(3), &settings()), Step::Over);
        assert!(lookup.complete());
    }

    #[test]
    fn only_the_family_that_is_wanted() {
        let mut lookup = begun(Family::V6);
        assert!(!lookup.open(0, Kind::A) && !lookup.expects(0, Kind::A));
        lookup.answered(0, Kind::Aaaa);
        lookup.found(0);
        assert!(lookup.complete());
    }

    #[test]
    fn a_no_of_one_server_waits_for_the_other() {
        let mut lookup = begun(Family::Auto);
        Kind::BOTH.iter().for_each(|kind| lookup.answered(0, *kind));
        assert_eq!(lookup.step(Millis(5), &settings()), Step::Wait(Millis(1000)));
        lookup.answered(1, Kind::A);
        lookup.found(1);
        assert_eq!(lookup.step(Millis(6), &settings()), Step::Wait(Millis(1000)), "its AAAA too");
        lookup.answered(1, Kind::Aaaa);
        assert_eq!(lookup.step(Millis(7), &settings()), Step::Over);
    }

    #[test]
    fn no_from_all_goes_on_to_the_next_form_at_once() {
        let mut lookup = begun(Family::Auto);
        lookup.heard = true;
        for server in 0..2 {
            Kind::BOTH.iter().for_each(|kind| lookup.answered(server, *kind));
        }
        assert_eq!(lookup.step(Millis(5), &settings()), Step::Ask);
        assert_eq!((lookup.candidate, lookup.id), (1, 8));
        assert!(lookup.open(0, Kind::A), "the other form is another question");
    }

    /// Lets nobody say anything until the form of the name changes or the lookup is over: when it
    /// was asked, when that was, and whether it is over.
    fn in_silence(lookup: &mut Lookup) -> (Vec<u64>, u64, bool) {
        let (mut asked, mut now) = (vec![0], 0);
        loop {
            match lookup.step(Millis(now), &settings()) {
                Step::Wait(Millis(until)) => now = until,
                Step::Ask if lookup.candidate > 0 => return (asked, now, false),
                Step::Ask => {
                    asked.push(now);
                    ask(lookup, now);
                }
                Step::Over => return (asked, now, true),
            }
        }
    }

    #[test]
    fn silence_is_asked_again_and_then_given_up() {
        let mut lookup = begun(Family::Auto);
        assert_eq!(in_silence(&mut lookup), (vec![0, 1000, 6000], 11_000, true));
        let mut lookup = begun(Family::Auto);
        lookup.heard = true;
        lookup.refused(0, Kind::A);
        let (asked, until, over) = in_silence(&mut lookup);
        assert_eq!((asked.len(), until, over), (3, 11_000, false), "the next form of the name");
    }

    #[test]
    fn half_an_answer_is_kept_and_the_rest_asked_again() {
        let mut lookup = begun(Family::Auto);
        lookup.answered(0, Kind::A);
        lookup.found(0);
        assert_eq!(lookup.step(Millis(1000), &settings()), Step::Ask);
        assert!(!lookup.open(0, Kind::A) && lookup.open(0, Kind::Aaaa));
        ask(&mut lookup, 1000);
        assert_eq!(lookup.step(Millis(6000), &settings()), Step::Ask);
        ask(&mut lookup, 6000);
        assert_eq!(lookup.step(Millis(11_000), &settings()), Step::Over);
        assert!(!lookup.complete());
    }

    #[test]
    fn forms_of_a_name() {
        let forms = |name: &str, dots| {
            let search = || words(b"a.example b.example");
            let form = |candidate| domain(name.as_bytes(), candidate, dots, search());
            let forms: Vec<_> = (0..9).map_while(form).map(String::from_utf8_lossy).collect();
            forms.join(" ")
        };
        assert_eq!(forms("node", 1), "a.example b.example ");
        assert_eq!(forms("node.x", 1), " a.example b.example");
        assert_eq!(forms("node.x", 2), "a.example b.example ");
        assert_eq!(forms("node", 0), " a.example b.example");
        assert_eq!(forms("node.", 1), "");
        assert_eq!(domain(b"node.", 1, 1, words(b"a")), None);
    }

    proptest! {
        /// Whatever the servers do, each form of a name is over in bounded time and questions.
        #[test]
        fn every_form_ends(events in proptest::collection::vec((0usize..2, 0usize..2, 0u8..4, 0u64..3000), 0..60)) {
            let settings = settings();
            let mut lookup = begun(Family::Auto);
            let (mut now, mut asked) = (0, 1);
            let mut events = events.into_iter();
            while lookup.candidate == 0 {
                match lookup.step(Millis(now), &settings) {
                    Step::Over => break,
                    Step::Ask if lookup.candidate > 0 => break,
                    Step::Ask => {
                        asked += 1;
                        ask(&mut lookup, now);
                    }
                    Step::Wait(Millis(until)) => match events.next() {
                        Some((server, kind, what, later)) => {
                            let kind = Kind::BOTH[kind];
                            match what {
                                0 => lookup.answered(server, kind),
                                1 => lookup.refused(server, kind),
                                2 => {
                                    lookup.answered(server, kind);
                                    lookup.found(server);
                                }
                                _ => {}
                            }
                            now = (now + later).min(until);
                        }
                        None => now = until,
                    },
                }
            }
            prop_assert!(asked <= 3 && now <= 11_000, "{asked} questions, {now} ms");
        }
    }
}
