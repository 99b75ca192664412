//! Cutting text into pieces and reading numbers, for the command line, addresses and files alike.
//!
//! The iterators of the standard library would do, but each use of them becomes code of its own;
//! these are compiled once.

/// The pieces of a text between separators. A text without a separator is one piece.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
}

impl<'t> Pieces<'t> {
    /// What has not been cut yet, the separator before it not included; `None` after the last
    /// piece.
    pub fn rest(&self) -> Option<&'t [u8]> {
        self.rest
    }
}

/// Cuts `text` at every `separator`.
pub fn pieces(text: &[u8], separator: u8) -> Pieces<'_> {
    Pieces { rest: Some(text), separator }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'t [u8]> {
        let text = self.rest?;
        let mut end = 0usize;
        for byte in text {
            if *byte == self.separator {
                self.rest = text.get(end.wrapping_add(1)..);
                return text.get(..end);
            }
            end = end.wrapping_add(1);
        }
        self.rest = None;
        Some(text)
    }
}

/// The words of a line, up to a comment that begins with `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'t>(&'t [u8]);

impl<'t> Words<'t> {
    /// What has not been cut yet.
    pub fn rest(&self) -> &'t [u8] {
        self.0
    }
}

/// Cuts `line` at white space.
pub fn words(line: &[u8]) -> Words<'_> {
    Words(pieces(line, b'#').next().unwrap_or_default())
}

/// Cuts `line` at white space, where `#` means nothing.
pub fn fields(line: &[u8]) -> Words<'_> {
    Words(line)
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'t [u8]> {
        let is_space = |byte: &u8| *byte <= b' ';
        while let [first, rest @ ..] = self.0
            && is_space(first)
        {
            self.0 = rest;
        }
        let text = self.0;
        let mut length = 0usize;
        while let [first, rest @ ..] = self.0
            && !is_space(first)
        {
            self.0 = rest;
            length = length.wrapping_add(1);
        }
        text.get(..length).filter(|word| !word.is_empty())
    }
}

/// The value of a digit, for decimal and hexadecimal numbers and what lies between; 16 or more when it
/// is none.
#[inline(always)]
pub fn digit(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte.wrapping_sub(b'0')),
        // Letters, in lower case; what lies before `a` wraps around.
        _ => u32::from((byte | 0x20).wrapping_sub(b'a')).wrapping_add(10),
    }
}

/// Reads digits up to what is none. Gives the number, `None` when it has more than 32 bits, and
/// what follows the digits.
#[inline(never)]
pub fn leading_number(mut text: &[u8], radix: u32) -> (Option<u32>, &[u8]) {
    let mut number = 0u64;
    while let [first, rest @ ..] = text {
        let digit = digit(*first);
        if digit >= radix {
            break;
        }
        // Once it is too large it stays so.
        number = number.wrapping_mul(radix.into()).wrapping_add(digit.into()).min(1 << 32);
        text = rest;
    }
    (u32::try_from(number).ok(), text)
}

/// Reads a number that is all of `text`.
#[inline(never)]
pub fn number(text: &[u8], radix: u32) -> Option<u32> {
    match leading_number(text, radix) {
        (number, []) if !text.is_empty() => number,
        _ => None,
    }
}

/// The place of `word` among the words of `list`, in upper or lower case; how many there are when it
/// is none of them.
#[inline(never)]
pub fn which(word: &[u8], list: &[u8]) -> usize {
    let mut place = 0usize;
    for known in Words(list) {
        if same(word, known) {
            break;
        }
        place = place.wrapping_add(1);
    }
    place
}

/// Whether both are the same but for upper and lower case.
#[inline(never)]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    let mut pairs = left.iter().zip(right);
    left.len() == right.len() && pairs.all(|(left, right)| left.eq_ignore_ascii_case(right))
}

/// Whether `byte` is in `text`.
pub fn has(text: &[u8], byte: u8) -> bool {
    let mut pieces = pieces(text, byte);
    pieces.next();
    pieces.rest().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"4294967295", 10), Some(u32::MAX));
        assert_eq!(number(b"ffffFFFF", 16), Some(u32::MAX));
        for not in ["", "4294967296", "99999999999999999999999999", "1x", "x", "-1", "+1", " 1"] {
            assert_eq!(number(not.as_bytes(), 10), None, "{not}");
        }
        assert_eq!(leading_number(b"12ab", 10), (Some(12), &b"ab"[..]));
        assert_eq!(leading_number(b"4294967296 ", 10), (None, &b" "[..]));
    }

    #[test]
    fn places() {
        for (word, place) in [("a", 0), ("BC", 1), ("b", 2), ("", 2), ("a bc", 2)] {
            assert_eq!(which(word.as_bytes(), b"a bc"), place, "{word}");
        }
    }

    proptest! {
        /// `std` is the judge.
        #[test]
        fn pieces_as_std_cuts_them(text in "[ab.]{0,20}") {
            let cut = pieces(text.as_bytes(), b'.').map(String::from_utf8_lossy);
            prop_assert!(cut.eq(text.split('.')));
        }

        #[test]
        fn words_as_std_cuts_them(text in "[ab \t\r#]{0,20}") {
            let line = text.split('#').next().unwrap();
            prop_assert!(words(text.as_bytes()).map(String::from_utf8_lossy).eq(line.split_whitespace()));
        }

        #[test]
        fn sameness_as_std_sees_it(left in "[aAbB0@`]{0,3}", right in "[aAbB0@`]{0,3}") {
            let std = left.eq_ignore_ascii_case(&right);
            prop_assert_eq!(same(left.as_bytes(), right.as_bytes()), std);
            prop_assert_eq!(has(left.as_bytes(), b'a'), left.contains('a'));
        }

        #[test]
        fn numbers_as_std_reads_them(number_text in "[0-9]{1,12}", radix in 2u32..=16) {
            prop_assert_eq!(number(number_text.as_bytes(), radix), u32::from_str_radix(&number_text, radix).ok());
        }
    }
}
