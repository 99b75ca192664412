//! One line of a key file.

use fence_kdump_core::auth::KEY_LEN;
use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{Key, KeyId};
use zeroize::Zeroizing;

use super::error::Fault;

const CLUSTER: &str = "cluster KEYID KEY";
const NODE: &str = "node KEYID KEY CHECK NAME";

/// What a line says, when it says anything.
#[derive(Debug)]
pub enum Line {
    /// `cluster KEYID KEY`
    Cluster {
        /// Its KEY ID.
        id: KeyId,
        /// The cluster key.
        key: Key,
    },
    /// `node KEYID KEY CHECK NAME`
    Node {
        /// The KEY ID of the cluster key that it comes from.
        key_id: KeyId,
        /// The node key.
        key: Key,
        /// The node, as it was written.
        name: String,
    },
}

impl Line {
    /// Reads one line, without its end; `None` for an empty one and for a remark.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        if bytes.is_empty() || bytes.starts_with(b"#") {
            return Ok(None);
        }
        if bytes.ends_with(b"\r") {
            return Err(Fault::CarriageReturn);
        }
        let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let text = std::str::from_utf8(bytes).ok().filter(|_| bytes.iter().all(is_text));
        let text = text.ok_or(Fault::NotText)?;
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(Fault::OuterSpace);
        }
        // They borrow from the text, and are wiped with it.
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["cluster", id, key] => {
                let (id, key) = (id_of("KEYID", id)?, key_of(key)?);
                fits("KEYID", id, &key)?;
                Ok(Some(Self::Cluster { id, key }))
            }
            ["node", key_id, key, check, name] => {
                let (key_id, key) = (id_of("KEYID", key_id)?, key_of(key)?);
                fits("CHECK", id_of("CHECK", check)?, &key)?;
                if !is_node_name(name) {
                    return Err(Fault::BadName);
                }
                Ok(Some(Self::Node { key_id, key, name: (*name).to_owned() }))
            }
            ["cluster", ..] => Err(Fault::Words { found: words.len(), form: CLUSTER }),
            ["node", ..] => Err(Fault::Words { found: words.len(), form: NODE }),
            _ => Err(Fault::UnknownKind),
        }
    }

    /// The line as it stands in a file, with its end.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        // With all the room that it needs from the start: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(512));
        match self {
            Self::Cluster { id, key } => {
                text.push_str(&format!("cluster {id} "));
                push_hexadecimal(&mut text, key.as_bytes());
            }
            Self::Node { key_id, key, name } => {
                text.push_str(&format!("node {key_id} "));
                push_hexadecimal(&mut text, key.as_bytes());
                text.push_str(&format!(" {} {name}", key.id()));
            }
        }
        text.push('\n');
        text
    }
}

fn fits(what: &'static str, said: KeyId, key: &Key) -> Result<(), Fault> {
    let is = key.id();
    if said == is { Ok(()) } else { Err(Fault::Damaged { what, said, is }) }
}

fn id_of(what: &'static str, word: &str) -> Result<KeyId, Fault> {
    Ok(KeyId(*from_hexadecimal(what, word)?))
}

fn key_of(word: &str) -> Result<Key, Fault> {
    let bytes: Zeroizing<[u8; KEY_LEN]> = from_hexadecimal("KEY", word)?;
    Ok(Key::from_bytes(&bytes))
}

fn from_hexadecimal<const N: usize>(
    what: &'static str,
    word: &str,
) -> Result<Zeroizing<[u8; N]>, Fault> {
    let wrong = || Fault::NotHexadecimal { what, digits: N.saturating_mul(2), found: word.len() };
    let mut bytes = Zeroizing::new([0; N]);
    let (pairs, rest) = word.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(wrong());
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let digits = digit(high).zip(digit(low)).ok_or_else(wrong)?;
        *byte = digits.0 << 4 | digits.1;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn push_hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('?'));
        }
    }
}
