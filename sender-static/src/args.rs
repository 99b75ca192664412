//! The command line, read as GNU getopt_long(3) reads it: options and nodes in any order, `--`
//! before what is no option, long names shortened as far as they stay unambiguous, values attached
//! or as the next word.
//!
//! Numbers are read as the stock tool reads them, by their leading digits: a sender that refuses
//! to speak over a typing error would cost the fence it is there for. What was ignored is told.

mod values;
mod words;

use crate::address::Zone;
use crate::message::Form;
#[cfg(feature = "early")]
use crate::phase::named;
use crate::schedule::{Burst, Cadence, Millis};
use crate::text::pieces;
use values::{MOST, burst, family, stock_number};
pub use words::{What, Word, Words, Wrong};

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
