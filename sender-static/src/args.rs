//! The command line, read as GNU getopt_long(3) reads it: options and nodes in any order, `--`
//! before what is no option, long names shortened as far as they stay unambiguous, values attached
//! or as the next word.
//!
//! Numbers are read as the stock tool reads them, by their leading digits: a sender that refuses
//! to speak over a typing error would cost the fence it is there for. What was ignored is told.

use crate::address::Zone;
use crate::schedule::{BURST, Burst, Cadence, Millis};
use crate::text::{leading_number, number, pieces};

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

/// What the command line asks for, nodes aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options<'a> {
    /// UDP port, 1 to 65535.
    pub port: u16,
    /// Which addresses are used.
    pub family: Family,
    /// How many messages, and how far apart.
    pub cadence: Cadence,
    /// 0: only what is wrong with the command line or came to nothing; 1: every event; 2: also an
    /// error that repeats itself.
    pub verbose: u8,
    /// TTL of IPv4, hop limit of IPv6, 1 to 255; 0 for the kernel's choice.
    pub hops: u8,
    /// The interface that everything leaves through.
    pub device: Option<&'a [u8]>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            port: fence_kdump_core::PORT,
            family: Family::Auto,
            cadence: Cadence {
                interval: Millis::seconds(10),
                count: 0,
                burst: BURST.into_iter().collect(),
            },
            verbose: 0,
            hops: 0,
            device: None,
        }
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
    Verbose,
    Version,
    Help,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// A number from .. to ..
    Number(u32, u32),
    ValueOrNothing,
}

/// An option: long name, short name, value.
type Row = (&'static str, u8, Takes, Name);

/// The largest count and interval of the stock tool.
const MOST: u32 = i32::MAX as u32;

/// Nothing may begin with one of the abbreviations of the stock tool's names that are unambiguous
/// there: `ip`, `f`, `c`, `in`, `verb`, `vers`, `h`.
static OPTIONS: [Row; 10] = [
    ("ipport", b'p', Takes::Number(1, 65535), Name::Port),
    ("family", b'f', Takes::Value, Name::Family),
    ("count", b'c', Takes::Number(0, MOST), Name::Count),
    ("interval", b'i', Takes::Number(1, MOST), Name::Interval),
    ("burst", b'b', Takes::Value, Name::Burst),
    ("ttl", b't', Takes::Number(1, 255), Name::Ttl),
    ("device", b'd', Takes::Value, Name::Device),
    ("verbose", b'v', Takes::ValueOrNothing, Name::Verbose),
    ("version", b'V', Takes::Nothing, Name::Version),
    ("help", b'h', Takes::Nothing, Name::Help),
];

impl Name {
    fn row(self) -> &'static Row {
        let [first, ..] = &OPTIONS;
        OPTIONS
            .iter()
            .find(|option| option.3 == self)
            .unwrap_or(first)
    }

    /// The long name.
    pub fn text(self) -> &'static str {
        self.row().0
    }
}

/// One thing that the command line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// A node's name or address.
    Node(&'a [u8]),
    /// An option with its value, `None` when it has none.
    Option(Name, Option<&'a [u8]>),
}

/// What is wrong with the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'a> {
    /// No option has this name.
    Unknown(&'a [u8]),
    /// More than one option's name begins like this.
    Ambiguous(&'a [u8]),
    /// The option needs a value and has none.
    NoValue(Name),
    /// The option takes no value and has one.
    NeedlessValue(Name),
    /// The option's value is not one it can have.
    BadValue(Name, &'a [u8]),
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
        Self {
            rest: words,
            letters: &[],
            only_nodes: false,
        }
    }

    fn long(&mut self, text: &'a [u8]) -> Result<Word<'a>, Wrong<'a>> {
        let mut parts = pieces(text, b'=');
        let given = parts.next().unwrap_or_default();
        let mut found = None;
        for option in &OPTIONS {
            if option.0.as_bytes().starts_with(given) && found.replace(option).is_some() {
                return Err(Wrong::Ambiguous(given));
            }
        }
        let (_, _, takes, name) = found.ok_or(Wrong::Unknown(given))?;
        let attached = parts.rest();
        if *takes == Takes::Nothing && attached.is_some() {
            return Err(Wrong::NeedlessValue(*name));
        }
        self.value(*takes, *name, attached)
    }

    fn short(&mut self, letter: &'a u8, after: &'a [u8]) -> Result<Word<'a>, Wrong<'a>> {
        let unknown = Wrong::Unknown(core::slice::from_ref(letter));
        let (_, _, takes, name) = OPTIONS
            .iter()
            .find(|option| option.1 == *letter)
            .ok_or(unknown)?;
        if *takes == Takes::Nothing {
            self.letters = after;
            return Ok(Word::Option(*name, None));
        }
        self.value(*takes, *name, Some(after).filter(|after| !after.is_empty()))
    }

    /// The value of an option: what is attached to it, or the next word where it needs one.
    #[inline(never)]
    fn value(
        &mut self,
        takes: Takes,
        name: Name,
        attached: Option<&'a [u8]>,
    ) -> Result<Word<'a>, Wrong<'a>> {
        let needed = !matches!(takes, Takes::Nothing | Takes::ValueOrNothing);
        if attached.is_none() && needed {
            let word = self.rest.next().ok_or(Wrong::NoValue(name))?;
            return Ok(Word::Option(name, Some(word)));
        }
        Ok(Word::Option(name, attached))
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Iterator for Words<'a, I> {
    type Item = Result<Word<'a>, Wrong<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let [letter, after @ ..] = core::mem::take(&mut self.letters) {
            return Some(self.short(letter, after));
        }
        loop {
            let word = self.rest.next()?;
            return Some(match word {
                _ if self.only_nodes => Ok(Word::Node(word)),
                b"--" => {
                    self.only_nodes = true;
                    continue;
                }
                [b'-', b'-', text @ ..] => self.long(text),
                [b'-', letter, after @ ..] => self.short(letter, after),
                _ => Ok(Word::Node(word)),
            });
        }
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
    /// # Errors
    /// [`Wrong::BadValue`] when the option cannot have that value.
    pub fn take(&mut self, name: Name, value: Option<&'a [u8]>) -> Result<Understood, Wrong<'a>> {
        let text = value.unwrap_or_default();
        let wrong = Wrong::BadValue(name, text);
        let mut understood = Understood::Whole;
        let mut number = 0;
        if let Takes::Number(least, most) = name.row().2 {
            (number, understood) = stock_number(text).ok_or(wrong)?;
            if number < least || number > most {
                return Err(wrong);
            }
        }
        match name {
            Name::Port => self.port = number as u16,
            Name::Count => self.cadence.count = number,
            Name::Interval => self.cadence.interval = Millis::seconds(number),
            Name::Ttl => self.hops = number as u8,
            Name::Family => self.family = family(text).ok_or(wrong)?,
            Name::Burst => self.cadence.burst = burst(text).ok_or(wrong)?,
            Name::Device => {
                Zone::new(text).ok_or(wrong)?;
                self.device = Some(text);
            }
            Name::Verbose => match text.first() {
                None => self.verbose = self.verbose.saturating_add(1),
                Some(level @ b'0'..=b'9') => self.verbose = level.wrapping_sub(b'0'),
                Some(_) => understood = Understood::InPart,
            },
            Name::Version | Name::Help => {}
        }
        Ok(understood)
    }
}

/// White space, a sign, digits, and whatever follows, as strtol(3); 0 when there is no number.
/// `None` for a negative number and for one of more than 32 bits.
fn stock_number(text: &[u8]) -> Option<(u32, Understood)> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (number, rest) = leading_number(digits, 10);
    let number = number?;
    if negative && number > 0 {
        return None;
    }
    let whole = rest.is_empty() && !digits.is_empty();
    Some((
        number,
        if whole {
            Understood::Whole
        } else {
            Understood::InPart
        },
    ))
}

fn family(text: &[u8]) -> Option<Family> {
    for (name, family) in [
        ("auto", Family::Auto),
        ("ipv4", Family::V4),
        ("ipv6", Family::V6),
    ] {
        if text.eq_ignore_ascii_case(name.as_bytes()) {
            return Some(family);
        }
    }
    None
}

/// Seconds with up to three decimals, at most 3600, in rising order, at most 16 of them; or
/// `none`.
fn burst(text: &[u8]) -> Option<Burst> {
    let mut burst = Burst::new();
    if text.eq_ignore_ascii_case(b"none") {
        return Some(burst);
    }
    for part in pieces(text, b',') {
        let at = millis(part)?;
        if burst.last().is_some_and(|last| *last >= at) {
            return None;
        }
        burst.push(at).ok()?;
    }
    Some(burst)
}

fn millis(text: &[u8]) -> Option<Millis> {
    let mut parts = pieces(text, b'.');
    let mut value = number(parts.next()?, 10).filter(|seconds| *seconds <= 3600)?;
    value = value.wrapping_mul(1000);
    if let Some(decimals) = parts.rest() {
        let scale = match decimals.len() {
            1 => 100,
            2 => 10,
            3 => 1,
            _ => return None,
        };
        value = value.wrapping_add(number(decimals, 10)?.wrapping_mul(scale));
    }
    (value <= 3_600_000).then_some(Millis(value.into()))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
