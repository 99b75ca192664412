//! The nodes of a large fleet: one a line, `NAME [ADDRESS[,ADDRESS...] [POLICY]]`.
//!
//! It is read line by line: the whole of it never is in memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use fence_kdump_core::Policy;

use super::error::ConfigError;
use super::fleet::Standard;
use crate::fleet::registry::{NewNode, NodeError, Part, Registry};

/// No line is longer, in bytes.
const LONGEST: usize = 4096;

/// How much is read at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// U+FEFF.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Instead of addresses: there are none.
const NONE: &str = "-";

#[derive(Debug)]
pub(super) enum Error {
    /// It is not there, or cannot be read.
    Open(io::Error),
    /// Something in it is wrong.
    Line(ConfigError),
}

/// A word and in which column it begins, from 0.
type Word<'a> = (usize, &'a str);

/// Adds the nodes of the list `path`.
pub(super) fn read(path: &Path, standard: Standard, nodes: &mut Registry) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::Open)?;
    if !file.metadata().map_err(Error::Open)?.is_file() {
        return Err(Error::Open(io::Error::other("it is no regular file")));
    }
    let mut file = BufReader::with_capacity(CHUNK, file);
    let mut line = Vec::with_capacity(LONGEST);
    let mut number = 0_usize;
    let longest = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    loop {
        line.clear();
        number = number.saturating_add(1);
        let mut rest = file.by_ref().take(longest);
        if rest.read_until(b'\n', &mut line).map_err(Error::Open)? == 0 {
            return Ok(());
        }
        let wrong = |(column, what): (usize, String)| {
            let place = Some((number, column.saturating_add(1)));
            Error::Line(ConfigError { path: path.to_owned(), place, what })
        };
        if line.len() == LONGEST {
            return Err(wrong((0, format!("a line has at most {LONGEST} bytes"))));
        }
        // What editors elsewhere begin a file with, to say that it is UTF-8. TOML passes over it as well.
        let begin = if number == 1 && line.starts_with(MARK) { MARK.len() } else { 0 };
        add(nodes, line.get(begin..).unwrap_or_default(), standard).map_err(wrong)?;
    }
}

/// Adds the node of one line, if it has one.
fn add(nodes: &mut Registry, line: &[u8], standard: Standard) -> Result<(), (usize, String)> {
    if let Some(column) = line.iter().position(|byte| !byte.is_ascii()) {
        return Err((column, "only ASCII characters can stand here".to_owned()));
    }
    let line = str::from_utf8(line).unwrap_or_default();
    let mut words = words(line);
    let Some(name) = words.next() else { return Ok(()) };
    let (addresses, policy) = (words.next(), words.next());
    if let Some((column, word)) = words.next() {
        let what = format!("'{word}' is too much: a line is NAME [ADDRESS[,ADDRESS...] [POLICY]]");
        return Err((column, what));
    }
    let asked: Option<Policy> = match policy {
        None => None,
        Some((column, word)) => match word.parse() {
            Ok(policy) => Some(policy),
            Err(error) => return Err((column, format!("'{word}' is not a policy: {error}"))),
        },
    };
    let policy_at = policy.unwrap_or(name).0;
    let policy = standard.policy(asked).map_err(|what| (policy_at, what))?;
    // All of one node's that most have at once, without asking for memory for each line.
    let mut few = [""; 8];
    let many: Vec<&str>;
    let list: Option<&[&str]> = match addresses {
        None => None,
        Some((_, NONE)) => Some(&[]),
        Some((_, all)) => {
            let count = all.split(',').count();
            match few.get_mut(..count) {
                Some(few) => {
                    few.iter_mut().zip(all.split(',')).for_each(|(to, address)| *to = address);
                    Some(few)
                }
                None => {
                    many = all.split(',').collect();
                    Some(&many)
                }
            }
        }
    };
    let node = NewNode { name: name.1, key_name: None, policy };
    nodes.add(&node, list).map(drop).map_err(|NodeError { part, fault }| {
        let (addresses_at, all) = addresses.unwrap_or(name);
        let column = match part {
            Part::Name | Part::KeyName => name.0,
            Part::Addresses => addresses_at,
            Part::Address(place) => {
                let before = all.split(',').take(place).map(|address| address.len());
                before.fold(addresses_at, |at, length| at.saturating_add(length).saturating_add(1))
            }
        };
        (column, fault.to_string())
    })
}

/// The words of a line, up to one that begins with `#`.
fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let mut at = 0_usize;
    let words = line.split_inclusive(|c: char| c.is_ascii_whitespace());
    let words = words.map(move |piece| {
        let begin = at;
        at = at.saturating_add(piece.len());
        (begin, piece.trim_end())
    });
    words.filter(|(_, word)| !word.is_empty()).take_while(|(_, word)| !word.starts_with('#'))
}
