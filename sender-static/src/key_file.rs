//! Key files, PROTOCOL.md §5.1: which key this node has.

use core::num::NonZero;

use crate::hmac::code;
use crate::message::is_node_name;
use crate::sys::Errno;
use crate::text::{Words, fields, number, pieces, same, which};

/// What is wrong with a key file.
// In one number: the line in the upper 20 bits, the error in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble(NonZero<u32>);

impl Trouble {
    /// The file is longer than any is.
    pub const TOO_LONG: Self = Self::of(201);
    /// No line is of the node.
    pub const NOT_THERE: Self = Self::of(202);
    /// A line is not as it should be.
    pub const DAMAGED: Self = Self::of(203);
    /// A line has the key of the whole cluster: whoever has it can speak for every node.
    pub const CLUSTER: Self = Self::of(204);
    /// Not only its owner can read it. It is used all the same.
    pub const OTHERS: Self = Self::of(205);

    /// No file was named.
    pub const NONE: Self = Self::of(206);

    const fn of(number: u16) -> Self {
        match NonZero::new(number as u32) {
            Some(number) => Self(number),
            None => Self(NonZero::<u32>::MAX),
        }
    }

    fn at(self, line: u32) -> Self {
        Self(self.0 | line.wrapping_shl(12))
    }

    /// The number of the kernel's error, or one beyond all of those.
    pub fn number(self) -> u16 {
        self.0.get() as u16 & 0xfff
    }

    /// The line that it is about, counted from 1; 0 for the whole file.
    pub fn line(self) -> u32 {
        self.0.get() >> 12
    }
}

impl From<Errno> for Trouble {
    fn from(error: Errno) -> Self {
        Self::of(error.number())
    }
}

/// What a line says of a node besides its name: KEYID, KEY, CHECK.
pub type Secret = [u8; 40];

/// Looks for the line of `wanted`, of the first node if that is empty, and gives the name in it. A
/// damaged line does not keep another one from being used.
///
/// # Errors
/// What is wrong with the file.
pub fn read<'t>(text: &'t [u8], wanted: &[u8], secret: &mut Secret) -> Result<&'t [u8], Trouble> {
    let (mut found, mut trouble) = (None, Trouble::NOT_THERE);
    let mut number = 0u32;
    for line in pieces(text, b'\n') {
        number = number.wrapping_add(1);
        let mut words = fields(line);
        let Some(first) = words.next() else {
            continue;
        };
        let kind = which(first, b"node cluster");
        if kind == 1 {
            return Err(Trouble::CLUSTER.at(number));
        }
        if found.is_some() || matches!(first, [b'#', ..]) {
            continue;
        }
        found = node(words, secret).filter(|_| kind == 0);
        match found {
            Some(name) if !wanted.is_empty() && !same(name, wanted) => found = None,
            Some(_) => {}
            None => trouble = Trouble::DAMAGED.at(number),
        }
    }
    found.ok_or(trouble)
}

/// What follows `node`. `None` when it is damaged, which CHECK shows for the key.
fn node<'t>(mut words: Words<'t>, secret: &mut Secret) -> Option<&'t [u8]> {
    let mut word: &[u8] = &[];
    for place in secret.as_chunks_mut::<4>().0 {
        if word.is_empty() {
            word = words.next()?;
        }
        let (digits, rest) = word.split_at_checked(8)?;
        *place = number(digits, 16)?.to_be_bytes();
        word = rest;
    }
    let [code, ..] = code(key(secret), b"fence_kdump key id");
    let right = word.is_empty() && secret.last_chunk() == Some(&code);
    let name = words.next().filter(|name| right && is_node_name(name))?;
    words.next().is_none().then_some(name)
}

/// The key itself.
pub fn key(secret: &Secret) -> &[u8] {
    secret.get(4..36).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::Key;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The line of a node with a key of this byte.
    fn line(byte: u8, name: &str) -> String {
        let check = Key::from_bytes(&[byte; 32]).id();
        format!("node 0102030{} {} {} {name}", byte % 10, hex(&[byte; 32]), hex(&check.0))
    }

    fn found(text: &str, wanted: &str) -> Result<(u8, String), Trouble> {
        let mut secret = [0; 40];
        let name = read(text.as_bytes(), wanted.as_bytes(), &mut secret)?;
        let byte = secret[4];
        assert_eq!(
            (key(&secret), secret[..4].to_vec()),
            (&[byte; 32][..], vec![1, 2, 3, byte % 10])
        );
        Ok((byte, String::from_utf8(name.to_vec()).unwrap()))
    }

    #[test]
    fn the_line_of_the_node_or_the_first() {
        let file =
            format!("# keys\n\n  {}\r\n{}\n{}", line(1, "n1"), line(2, "N2#a"), line(3, "n1"));
        assert_eq!(found(&file, ""), Ok((1, "n1".into())));
        assert_eq!(found(&file, "N1"), Ok((1, "n1".into())), "the first of that name");
        assert_eq!(found(&file, "n2#A"), Ok((2, "N2#a".into())));
        assert_eq!(found(&file, "n2"), Err(Trouble::NOT_THERE));
        assert_eq!(found("# nothing\n", ""), Err(Trouble::NOT_THERE));
        assert_eq!(found("", ""), Err(Trouble::NOT_THERE));
    }

    #[test]
    fn a_cluster_key_does_not_belong_on_a_node() {
        let cluster = format!("cluster 01020304 {}", hex(&[9; 32]));
        for file in [cluster.clone(), format!("{}\n{cluster}\n", line(1, "n1"))] {
            let lines = file.lines().count() as u32;
            assert_eq!(found(&file, ""), Err(Trouble::CLUSTER.at(lines)));
        }
    }

    #[test]
    fn a_damaged_line_does_not_keep_another_from_being_used() {
        let good = line(1, "n1");
        for bad in
            ["node", "nodes", "node 0102", &good[..88], &format!("{good} n2"), &good[5..], "\x7f"]
        {
            let alone = format!("#\n{bad}\n");
            assert_eq!(found(&alone, ""), Err(Trouble::DAMAGED.at(2)), "{bad}");
            for file in [format!("{alone}{good}"), format!("{good}\n{alone}")] {
                assert_eq!(found(&file, "n1"), Ok((1, "n1".into())), "{bad}");
            }
        }
    }

    #[test]
    fn troubles_keep_their_line() {
        let trouble = Trouble::DAMAGED.at(77);
        assert_eq!((trouble.number(), trouble.line()), (203, 77));
        let trouble = Trouble::from(Errno::ENOENT);
        assert_eq!((trouble.number(), trouble.line()), (2, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_key_file_or_not(
            text in proptest::collection::vec(any::<u8>(), 0..300),
            words in "((node|cluster|#|[0-9a-f]{8}|[0-9a-f]{64}|n1)[ \n]){0,12}",
        ) {
            for text in [&text[..], words.as_bytes()] {
                let mut secret = [0; 40];
                if let Ok(name) = read(text, b"", &mut secret) {
                    prop_assert!(is_node_name(name));
                }
            }
        }

        /// Any digit of KEY or CHECK changed or cut off, any added: the key is not used.
        #[test]
        fn damage_is_seen(at in 14usize..87, letter in "[0-9a-f]{0,2}") {
            let good = line(7, "n1");
            let mut bad = good.clone();
            bad.replace_range(at..=at, &letter);
            prop_assume!(bad != good && at != 78);
            prop_assert_eq!(found(&bad, ""), Err(Trouble::DAMAGED.at(1)));
        }
    }
}
