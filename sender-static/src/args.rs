//! The command line, read as GNU getopt_long(3) reads it: options and nodes in any order, `--`
//! before what is no option, long names shortened as far as they stay unambiguous, values attached
//! or as the next word.
//!
//! Numbers are read as the stock tool reads them, by their leading digits: a sender that refuses
//! to speak over a typing error would cost the fence it is there for. What was ignored is told.

mod values;

use crate::address::Zone;
use crate::message::Form;
#[cfg(feature = "early")]
use crate::phase::named;
use crate::schedule::{Burst, Cadence, Millis};
use crate::text::pieces;
use values::{MOST, burst, family, stock_number};

/// Which addresses are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// All of them.
    Auto,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

impl Family {
    /// Whether addresses of IPv6 (`v6`), or of IPv4, are among them.
    pub fn has(self, v6: bool) -> bool {
        match self {
            Self::Auto => true,
            Self::V4 => !v6,
            Self::V6 => v6,
        }
    }
}

/// What `--burst` is when nobody says otherwise.
pub const BURST: &[u8] = b"0,0.2,0.5,1,2";

/// What the command line asks for, nodes aside.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// UDP port, 1 to 65535.
    pub port: u16,
    /// Which addresses are used.
    pub family: Family,
    /// 0: only what is wrong with the command line or came to nothing; 1: every event; 2: also an
    /// error that repeats itself.
    pub verbose: u8,
    /// TTL of IPv4, hop limit of IPv6, 1 to 255; 0 for the kernel's choice.
    pub hops: u8,
    /// What each node is sent, unless it says otherwise itself.
    pub form: Option<Form>,
    /// The interface that everything leaves through; empty for the one that the route names.
    pub device: &'a [u8],
    /// Where the key is; empty for none.
    pub key_file: &'a [u8],
    /// Whose key it is; empty for the first one in the file.
    pub node_name: &'a [u8],
    /// How many messages, and how far apart.
    pub cadence: Cadence,
    /// Where the plan is; empty for none.
    #[cfg(feature = "link")]
    pub plan: &'a [u8],
    /// The phase that a sender that runs is to be told; 0 for none.
    #[cfg(feature = "early")]
    pub phase: u8,
    /// Whether this is the sender that an initrd began with, which others hand over to.
    #[cfg(feature = "early")]
    pub early: bool,
    /// Whether it was started to speak first, and to tell later.
    #[cfg(feature = "early")]
    pub hurry: bool,
    /// What stands in for the memory of the crashed kernel; empty for nothing.
    #[cfg(feature = "early")]
    pub vmcore: &'a [u8],
}

impl Options<'_> {
    fn new() -> Self {
        Self {
            port: fence_kdump_core::PORT,
            family: Family::Auto,
            cadence: Cadence { interval: Millis::seconds(10), count: 0, burst: Burst::new() },
            verbose: 0,
            hops: 0,
            form: None,
            device: &[],
            key_file: &[],
            node_name: &[],
            #[cfg(feature = "link")]
            plan: &[],
            #[cfg(feature = "early")]
            phase: 0,
            #[cfg(feature = "early")]
            early: false,
            #[cfg(feature = "early")]
            hurry: false,
            #[cfg(feature = "early")]
            vmcore: &[],
        }
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        let mut options = Self::new();
        let _ = options.take(Name::Burst, BURST);
        options
    }
}

/// The options that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented by its line in the help")]
pub enum Name {
    Port,
    Family,
    Count,
    Interval,
    Burst,
    Ttl,
    Device,
    KeyFile,
    NodeName,
    Message,
    Verbose,
    Version,
    Help,
    #[cfg(feature = "link")]
    Plan,
    #[cfg(feature = "early")]
    Early,
    #[cfg(feature = "early")]
    Phase,
    #[cfg(feature = "early")]
    Vmcore,
}

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    ValueOrNothing,
}

/// An option: long name with zero bytes behind it, short name, value. Without pointers, it needs no
/// memory of its own that is written to.
#[derive(Clone, Copy)]
struct Row([u8; 9], u8, Takes, Name);

/// How many options only link mode has.
const OF_LINK: usize = if cfg!(feature = "link") { 1 } else { 0 };

/// How many options only the whole program has.
const ROWS: usize = if cfg!(feature = "early") { 3 } else { 0 };

/// In the order of [`Name`]. Nothing may begin with one of the abbreviations of the stock tool's names that are unambiguous
/// there: `ip`, `f`, `c`, `in`, `verb`, `vers`, `h`.
static OPTIONS: [Row; 13 + OF_LINK + ROWS] = [
    Row(*b"ipport\0\0\0", b'p', Takes::Value, Name::Port),
    Row(*b"family\0\0\0", b'f', Takes::Value, Name::Family),
    Row(*b"count\0\0\0\0", b'c', Takes::Value, Name::Count),
    Row(*b"interval\0", b'i', Takes::Value, Name::Interval),
    Row(*b"burst\0\0\0\0", b'b', Takes::Value, Name::Burst),
    Row(*b"ttl\0\0\0\0\0\0", b't', Takes::Value, Name::Ttl),
    Row(*b"device\0\0\0", b'd', Takes::Value, Name::Device),
    Row(*b"key-file\0", b'k', Takes::Value, Name::KeyFile),
    Row(*b"node-name", b'n', Takes::Value, Name::NodeName),
    Row(*b"message\0\0", b'm', Takes::Value, Name::Message),
    Row(*b"verbose\0\0", b'v', Takes::ValueOrNothing, Name::Verbose),
    Row(*b"version\0\0", b'V', Takes::Nothing, Name::Version),
    Row(*b"help\0\0\0\0\0", b'h', Takes::Nothing, Name::Help),
    #[cfg(feature = "link")]
    Row(*b"plan\0\0\0\0\0", b'l', Takes::Value, Name::Plan),
    #[cfg(feature = "early")]
    Row(*b"early\0\0\0\0", b'e', Takes::ValueOrNothing, Name::Early),
    #[cfg(feature = "early")]
    Row(*b"phase\0\0\0\0", b'P', Takes::Value, Name::Phase),
    #[cfg(feature = "early")]
    Row(*b"vmcore\0\0\0", b'C', Takes::Value, Name::Vmcore),
];

impl Name {
    /// The long name.
    pub fn text(self) -> &'static [u8] {
        OPTIONS.get(self as usize).map_or(&[], Row::long)
    }
}

impl Row {
    fn long(&self) -> &[u8] {
        pieces(&self.0, 0).next().unwrap_or_default()
    }
}

/// One thing that the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// What it is.
    pub what: What,
    /// The node, the option's value (empty without one), or the option that is wrong.
    pub text: &'a [u8],
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A node's name or address.
    Node,
    /// An option with its value.
    Option(Name),
    /// Something that cannot be.
    Wrong(Wrong),
}

/// What is wrong with the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No option has this name.
    Unknown,
    /// More than one option's name begins like this.
    Ambiguous,
    /// The option needs a value and has none.
    NoValue,
    /// The option takes no value and has one.
    NeedlessValue,
    /// The option's value is not one it can have.
    BadValue(Name),
}

/// Walks over the words of a command line.
#[derive(Clone, Debug)]
pub struct Words<'a, I> {
    rest: I,
    /// What is left of a word with several short options.
    letters: &'a [u8],
    only_nodes: bool,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Words<'a, I> {
    /// Over `words`, the program's own name not among them.
    pub fn new(words: I) -> Self {
        Self { rest: words, letters: &[], only_nodes: false }
    }

    /// How many words are left.
    #[cfg(feature = "link")]
    pub fn left(&self) -> usize
    where
        I: Clone,
    {
        self.rest.clone().count()
    }

    fn long(&mut self, text: &'a [u8]) -> Word<'a> {
        let mut parts = pieces(text, b'=');
        let given = parts.next().unwrap_or_default();
        let mut found = Wrong::Unknown;
        let mut last = None;
        for row in &OPTIONS {
            if row.0.starts_with(given) {
                found = Wrong::Ambiguous;
                if last.replace(row).is_some() {
                    last = None;
                    break;
                }
            }
        }
        match last {
            Some(row) => self.value(row, parts.rest()),
            None => Word { what: What::Wrong(found), text: given },
        }
    }

    fn short(&mut self, text: &'a [u8]) -> Word<'a> {
        let (letter, after) = text.split_at_checked(1).unwrap_or_default();
        for row in &OPTIONS {
            if letter == [row.1] {
                let attached = if row.2 == Takes::Nothing {
                    self.letters = after;
                    &[]
                } else {
                    after
                };
                return self.value(row, Some(attached).filter(|text| !text.is_empty()));
            }
        }
        Word { what: What::Wrong(Wrong::Unknown), text: letter }
    }

    /// An option with its value: what is attached to it, or the next word where it needs one.
    #[inline(never)]
    fn value(&mut self, row: &'static Row, mut value: Option<&'a [u8]>) -> Word<'a> {
        let mut what = What::Option(row.3);
        if value.is_some() {
            if row.2 == Takes::Nothing {
                what = What::Wrong(Wrong::NeedlessValue);
                value = Some(row.long());
            }
        } else if row.2 == Takes::Value {
            value = self.rest.next();
            if value.is_none() {
                what = What::Wrong(Wrong::NoValue);
                value = Some(row.long());
            }
        }
        Word { what, text: value.unwrap_or_default() }
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Iterator for Words<'a, I> {
    type Item = Word<'a>;

    #[inline(never)]
    fn next(&mut self) -> Option<Word<'a>> {
        let letters = core::mem::take(&mut self.letters);
        if !letters.is_empty() {
            return Some(self.short(letters));
        }
        let mut text = self.rest.next()?;
        if !self.only_nodes {
            if text == b"--" {
                self.only_nodes = true;
                text = self.rest.next()?;
            } else if let [b'-', b'-', long @ ..] = text {
                return Some(self.long(long));
            } else if let [b'-', short @ ..] = text
                && !short.is_empty()
            {
                return Some(self.short(short));
            }
        }
        Some(Word { what: What::Node, text })
    }
}

/// How well a value was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Understood {
    /// All of it.
    Whole,
    /// Only its beginning, or nothing at all; the rest was ignored.
    InPart,
}

impl<'a> Options<'a> {
    /// Takes one option over.
    ///
    /// `None` when the option cannot have that value.
    #[inline(never)]
    pub fn take(&mut self, name: Name, text: &'a [u8]) -> Option<Understood> {
        let mut understood = Understood::Whole;
        let mut number = 0;
        let most = match name {
            Name::Port => 65535,
            Name::Ttl => 255,
            Name::Interval | Name::Count => MOST,
            _ => 0,
        };
        if most > 0 {
            (number, understood) = stock_number(text)?;
            if number > most || number == 0 && name != Name::Count {
                return None;
            }
        }
        match name {
            Name::Port => self.port = number as u16,
            Name::Count => self.cadence.count = number,
            Name::Interval => self.cadence.interval = Millis::seconds(number),
            Name::Ttl => self.hops = number as u8,
            Name::Family => self.family = family(text)?,
            Name::Burst => burst(&mut self.cadence.burst, text)?,
            Name::Device => {
                if text.is_empty() || text.len() > Zone::LONGEST {
                    return None;
                }
                self.device = text;
            }
            Name::KeyFile => {
                self.key_file = text;
                self.form = self.form.or(Some(Form::Signed));
            }
            Name::NodeName => self.node_name = text,
            Name::Message => self.form = Some(Form::parse(text)?),
            Name::Verbose => match text.first() {
                None => self.verbose = self.verbose.saturating_add(1),
                Some(level @ b'0'..=b'9') => self.verbose = level.wrapping_sub(b'0'),
                Some(_) => understood = Understood::InPart,
            },
            Name::Version | Name::Help => {}
            #[cfg(feature = "link")]
            Name::Plan => self.plan = text,
            #[cfg(feature = "early")]
            Name::Early => {}
            #[cfg(feature = "early")]
            Name::Phase => self.phase = named(text)?,
            #[cfg(feature = "early")]
            Name::Vmcore => self.vmcore = text,
        }
        Some(understood)
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
