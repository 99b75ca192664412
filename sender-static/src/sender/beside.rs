//! Other senders of this machine, and what is known of its dump.
//!
//! An initrd may begin with a sender, and its scripts start another one later. That one hands over what it
//! was told, and keeps silent for as long as the other one says that everybody gets messages: so there is one
//! crash, and one who uses the network. Every doubt makes it speak.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use heapless::Vec;

use super::Sender;
use crate::args::{Options, What, Words};
use crate::message::Form;
use crate::phase::{DUMPING, Doing, FAILED, FINISHED, LEAVING, WRITTEN};
use crate::report;
use crate::schedule::Millis;
use crate::signer::BOOTED;
use crate::sys::unix::{PLACES, Place};
use crate::sys::{Arguments, List, Socket};
use crate::text::{fields, has};
use crate::transport::Transport;
use crate::vmcore::Watch;

/// A phase to be told.
const PHASE: u8 = b'P';
/// Words of a command line, to somebody who began before.
const HAND_OVER: u8 = b'H';
/// Whether everybody gets messages.
const QUESTION: u8 = b'Q';
/// Whether everybody does, from a sender that others hand over to.
const ANSWER: u8 = b'A';
/// From one that nobody hands over to.
const NO: u8 = b'N';

/// How long a message can be.
const LONGEST: usize = 2048;

/// How long an answer to the first question is waited for in silence.
const AT_FIRST: Millis = Millis(250);

/// How often a question is asked, and for how long silence is kept without a good answer.
const AGAIN: Millis = Millis::seconds(1);
const PATIENCE: Millis = Millis::seconds(3);

/// How many messages are read at a time.
const TOGETHER: usize = 16;

/// Tells all senders of `port` what this node is doing. Says whether there is any.
pub fn tell_phase(port: u16, phase: u8) -> bool {
    let place = Place::nowhere(port);
    let mut told = false;
    for other in 0..PLACES {
        told |= place.tell(other, &[PHASE, phase]);
    }
    told
}

/// What this sender has to do with others, and with the dump.
#[derive(Debug)]
pub struct Beside<'a> {
    place: Place,
    /// Where merged options are kept, once.
    slot: Option<&'a mut MaybeUninit<Options<'a>>>,
    /// Who speaks for this one, or may.
    other: u8,
    /// How many may still answer for the first time.
    asked: u8,
    /// Whether somebody else speaks.
    silent: bool,
    /// When the other one is to be asked again.
    due: Millis,
    /// When it said that all is well.
    well: Millis,
    /// What a script has said; 0 for nothing.
    told: u8,
    /// What was seen.
    seen: Doing,
    watch: Watch,
}

impl Beside<'_> {
    /// Nobody is known of.
    pub(super) fn new() -> Self {
        Self {
            place: Place::NONE,
            slot: None,
            other: PLACES,
            asked: 0,
            silent: false,
            due: Millis::NEVER,
            well: Millis(0),
            told: 0,
            seen: Doing::BOOTED,
            watch: Watch::NOBODY,
        }
    }

    /// Whether another one is known to speak for this one.
    fn relies(&self) -> bool {
        self.silent && self.other < PLACES
    }

    pub(super) fn due(&self) -> Millis {
        self.due.min(self.watch.due)
    }

    pub(super) fn socket(&self) -> &Socket {
        self.place.socket()
    }
}

impl<'a, T: Transport> Sender<'a, '_, T> {
    /// Takes its place among the senders of this machine, and hands over to one that was there before.
    pub fn look_beside(&mut self, arguments: Arguments, slot: &'a mut MaybeUninit<Options<'a>>) {
        if self.identity.wanted {
            self.watch(arguments.terminated(self.options.vmcore));
        }
        if self.options.cadence.count > 0 {
            return;
        }
        let beside = &mut self.beside;
        beside.slot = Some(slot);
        beside.place = Place::take(self.options.port);
        let Some(message) = words(arguments).filter(|_| beside.place.socket().is_open()) else {
            return;
        };
        for other in 0..beside.place.number {
            beside.asked = beside.asked.wrapping_add(beside.place.tell(other, &message).into());
        }
        if beside.asked > 0 {
            beside.silent = true;
            beside.well = self.now;
            beside.due = self.now.plus(AT_FIRST);
        }
    }

    /// Looks at the dump from now on.
    fn watch(&mut self, instead: Option<&'static CStr>) {
        self.beside.watch.begin(instead);
        if self.options.early {
            self.beside.watch.hear_of_end();
        }
    }

    /// Listens to others, and looks at the dump. Says whether somebody else speaks for this one.
    #[inline(never)]
    pub(super) fn attend_beside(&mut self) -> bool {
        let (was_silent, relied) = (self.beside.silent, self.beside.relies());
        let mut buffer = [MaybeUninit::uninit(); LONGEST];
        for _ in 0..TOGETHER {
            let Some((place, text)) = self.beside.place.hear(&mut buffer) else {
                break;
            };
            self.hear_beside(place, text);
        }
        if self.beside.due <= self.now {
            self.ask();
        }
        if self.beside.silent != was_silent {
            for target in self.targets.iter_mut() {
                target.turn = target.turn.afresh(self.now);
            }
        }
        if self.beside.relies() != relied && self.options.verbose > 0 {
            let what: &[u8] = if relied { b"is not relied on" } else { b"speaks" };
            report::node(b"the early sender", what);
        }
        self.look_at_dump();
        self.beside.silent
    }

    fn hear_beside(&mut self, place: u8, text: &[u8]) {
        let beside = &mut self.beside;
        match text {
            [PHASE, phase] => beside.told = *phase,
            [HAND_OVER | QUESTION, ..] if !self.options.early || beside.silent => {
                beside.place.tell(place, &[NO]);
            }
            [HAND_OVER, words @ ..] if place > beside.place.number => {
                self.take_over(words);
                self.answer_beside(place);
            }
            [QUESTION] => self.answer_beside(place),
            [ANSWER, well] => {
                beside.other = place;
                beside.asked = 0;
                if *well > 0 {
                    beside.well = self.now;
                    beside.silent = true;
                }
                beside.due = self.now.plus(AGAIN);
            }
            [NO] => {
                beside.asked = beside.asked.saturating_sub(1);
                if beside.asked == 0 && beside.other == PLACES {
                    (beside.silent, beside.due) = (false, Millis::NEVER);
                }
            }
            _ => {}
        }
    }

    /// Says whether every node gets messages.
    fn answer_beside(&self, place: u8) {
        let mut well = true;
        for (at, node) in self.nodes.iter().enumerate() {
            let mut targets = self.targets.iter();
            well &= node.spoken_to
                && targets.any(|target| target.node == at && target.trouble.is_none());
        }
        self.beside.place.tell(place, &[ANSWER, well.into()]);
    }

    /// Asks whoever speaks for this one whether he still does.
    fn ask(&mut self) {
        let beside = &mut self.beside;
        if beside.other == PLACES || !beside.place.tell(beside.other, &[QUESTION]) {
            // Nobody, or he is gone.
            (beside.silent, beside.due, beside.other) = (false, Millis::NEVER, PLACES);
            return;
        }
        beside.due = self.now.plus(AGAIN);
        beside.silent &= self.now.since(beside.well) < PATIENCE;
    }

    /// Does what another sender was told: its nodes, and its options where they say more.
    #[inline(never)]
    fn take_over(&mut self, text: &[u8]) {
        let Some(mut list) = List::new() else {
            return;
        };
        for word in fields(text) {
            list.push(word);
        }
        let arguments = list.arguments(self.identity.arguments());
        let mut options = Options::default();
        for word in Words::new(arguments.clone()) {
            if let What::Option(name) = word.what {
                options.take(name, word.text);
            }
        }
        if let Some(slot) = self.beside.slot.take() {
            let own = self.options;
            let has_key = !own.key_file.is_empty();
            let merged = slot.write(Options {
                cadence: options.cadence,
                verbose: own.verbose.max(options.verbose),
                form: own.form.or(options.form),
                key_file: if has_key { own.key_file } else { options.key_file },
                node_name: if has_key { own.node_name } else { options.node_name },
                ..own.clone()
            });
            self.options = merged;
            if !has_key {
                self.identity.take_over(merged, arguments.clone());
            }
        }
        for word in Words::new(arguments) {
            let (_, name) = Form::of_node(word.text);
            if word.what == What::Node && !self.nodes.iter().any(|node| node.name == name) {
                self.add(word.text);
            }
        }
        if self.identity.wanted && self.beside.watch.due == Millis::NEVER {
            self.watch(None);
        }
    }

    /// Looks at the dump, and has everybody told who is told more than that this node has crashed.
    fn look_at_dump(&mut self) {
        let beside = &mut self.beside;
        if beside.watch.due <= self.now {
            beside.seen = beside.watch.look(self.now);
            if beside.watch.has_begun() {
                // Whatever a script has said of another dump.
                beside.told = 0;
            }
        }
        let mut doing = beside.seen;
        let is_ending = doing.phase == LEAVING;
        match beside.told {
            WRITTEN if is_ending => doing.phase = FINISHED,
            // That was somebody who had read for something else.
            WRITTEN if doing.phase == FAILED => doing.phase = BOOTED,
            0 | WRITTEN => {}
            told if is_ending && told != FINISHED => {}
            told => doing.phase = told,
        }
        if doing.phase != DUMPING {
            doing.progress = [0; 2];
        }
        let before = core::mem::replace(&mut self.identity.signer.doing, doing);
        if doing.phase == before.phase {
            return;
        }
        for target in self.targets.iter_mut() {
            let signed = self.nodes.get(target.node).is_some_and(|node| node.form.has_signed());
            if signed && target.turn.due < Millis::NEVER {
                target.turn = target.turn.afresh(self.now);
            }
        }
    }
}

/// A message that hands a command line over. `None` when it cannot say that: words with blanks, empty ones,
/// too many.
fn words(arguments: Arguments) -> Option<Vec<u8, LONGEST>> {
    let mut message = Vec::new();
    message.push(HAND_OVER).ok()?;
    for word in arguments {
        if word.is_empty() || has_blank(word) {
            return None;
        }
        message.extend_from_slice(word).ok()?;
        message.push(b' ').ok()?;
    }
    Some(message)
}

fn has_blank(word: &[u8]) -> bool {
    (1..=b' ').any(|blank| has(word, blank))
}
