//! Which words are options, which are their values, and which are nodes.

use super::{Name, OPTIONS, Row, Takes};
use crate::text::pieces;

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
