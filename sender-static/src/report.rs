//! What a person is told, on standard error, one line an event.

use heapless::Vec;

use crate::address::Address;
use crate::args::{Name, Wrong};
use crate::key_file::Trouble;
use crate::sys::{self, Errno};
use crate::text::pieces;

/// One line. What does not fit is cut off: a line is for reading, nothing depends on it.
#[derive(Debug)]
pub struct Line(Vec<u8, { LONGEST + 1 }>);

/// How many bytes of a line are told.
const LONGEST: usize = 399;

impl Line {
    /// Begins with the program's name.
    #[expect(
        clippy::new_without_default,
        reason = "a line that begins with something is not empty"
    )]
    pub fn new() -> Self {
        let mut line = Self(Vec::new());
        line.text(b"fence_kdump_send: ");
        line
    }

    /// Adds `text`.
    #[inline(never)]
    pub fn text(&mut self, text: &[u8]) -> &mut Self {
        for byte in text {
            // One byte stays free for the end of the line.
            if self.0.len() < LONGEST {
                let _ = self.0.push(*byte);
            }
        }
        self
    }

    /// Adds a number in decimal or hexadecimal digits.
    #[inline(never)]
    pub fn number(&mut self, number: u32, radix: u32) -> &mut Self {
        let mut digits = [0; 10];
        let mut rest = number;
        let mut length = 0usize;
        for digit in digits.iter_mut().rev() {
            *digit = char::from_digit(rest % radix.max(2), radix).unwrap_or('0') as u8;
            rest /= radix.max(2);
            length = length.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        let skipped = digits.len().wrapping_sub(length);
        self.text(digits.get(skipped..).unwrap_or_default())
    }

    /// Adds an address. The zero groups of IPv6 are written out.
    pub fn address(&mut self, address: &Address) -> &mut Self {
        match address.as_v4() {
            Some(ip) => self.groups(&ip, b".", 10),
            None => self.groups(address.as_v6().as_flattened(), b":", 16),
        }
        let zone = address.zone.text();
        if !zone.is_empty() {
            self.text(b"%").text(zone);
        }
        self
    }

    /// Adds each byte, or in hexadecimal each two bytes, with a separator between them.
    #[inline(never)]
    fn groups(&mut self, bytes: &[u8], separator: &[u8], radix: u32) {
        let mut before: &[u8] = &[];
        let mut value = 0;
        let mut whole = radix == 10;
        for byte in bytes {
            value = value << 8 | u32::from(*byte);
            if whole {
                self.text(before).number(value, radix);
                (before, value) = (separator, 0);
            }
            whole = radix == 10 || !whole;
        }
    }

    /// Adds the address of a network card.
    #[cfg(feature = "link")]
    pub fn mac(&mut self, mac: &[u8; 6]) -> &mut Self {
        let mut before: &[u8] = &[];
        for byte in mac {
            self.text(before).number(u32::from(byte >> 4), 16).number(u32::from(byte & 15), 16);
            before = b":";
        }
        self
    }

    /// Adds what went wrong, in words where there are some.
    pub fn error(&mut self, error: Errno) -> &mut Self {
        self.reason(error.number())
    }

    /// Adds what a number of [`ERRORS`] stands for.
    #[inline(never)]
    fn reason(&mut self, number: u16) -> &mut Self {
        #[cfg(feature = "link")]
        if number == Errno::SOUGHT.number() {
            return self.text(b"asked which card that is, no answer yet");
        }
        for line in pieces(ERRORS, b'\n') {
            if let [first, words @ ..] = line
                && u16::from(*first) == number
            {
                return self.text(words);
            }
        }
        self.text(b"error ").number(number.into(), 10)
    }

    /// Adds an option's value that is not as it should be, and what would be right.
    #[inline(never)]
    fn value(&mut self, name: Name, text: &[u8]) -> &mut Self {
        self.text(name.text()).text(b": '").text(text).text(b"' is not ").text(right(name))
    }

    /// Writes the line, unless that would have to wait.
    pub fn say(&mut self) {
        let _ = self.0.push(b'\n');
        sys::complain(&self.0);
    }
}

/// The kernel's errors that a person can do something about: number, then words.
const ERRORS: &[u8] = b"\x02no such file
\x01not permitted (packet filter?)
\x0bthe send buffer is full
\x0dnot permitted
\x13no such interface
\x61no such address family
\x63the address is not available yet
\x64the interface is down
\x65the network is unreachable
\x69no buffer left
\x71the host is unreachable
\xc9is longer than 2048 bytes
\xcahas no key of this node
\xcbis damaged
\xcca cluster key does not belong on a node
\xcdothers can read it, which mode 0600 prevents
\xcenone was given";

/// What an option's value has to be, in the order of [`Name`].
const RIGHT: &[u8] = b"a port from 1 to 65535
auto, ipv4 or ipv6
a number from 0 to 2147483647
a number of seconds from 1 to 2147483647
'none' or up to 16 times of up to 3600 seconds, as 0,0.2
a number from 1 to 255
the name of an interface


plain, signed or both
a digit";

/// What an option's value has to be.
fn right(name: Name) -> &'static [u8] {
    #[cfg(feature = "early")]
    if name == Name::Phase {
        return b"booted, dumping, written, finished, failed or leaving";
    }
    pieces(RIGHT, b'\n').nth(name as usize).unwrap_or_default()
}

/// Says something about a node.
#[inline(never)]
pub fn node(name: &[u8], what: &[u8]) {
    Line::new().text(name).text(b": ").text(what).say();
}

/// Says what is wrong with a key file.
pub fn key_file(path: &[u8], trouble: Trouble) {
    let mut line = Line::new();
    line.text(b"key-file: ");
    if !path.is_empty() {
        line.text(path).text(b": ");
    }
    line.reason(trouble.number());
    if trouble.line() > 0 {
        line.text(b", line ").number(trouble.line(), 10);
    }
    line.say();
}

/// Says what is wrong with the command line, and what would be right.
pub fn wrong(wrong: Wrong, text: &[u8]) {
    let mut line = Line::new();
    let why: &[u8] = match wrong {
        Wrong::BadValue(name) => {
            line.value(name, text);
            b""
        }
        Wrong::Unknown => b": no such option",
        Wrong::Ambiguous => b": more than one option begins like this",
        Wrong::NoValue => b": needs a value",
        Wrong::NeedlessValue => b": takes no value",
    };
    if !why.is_empty() {
        line.text(text).text(why);
    }
    line.text(b"; see --help").say();
}

/// Says that a value is taken for what can be read of it.
#[inline(never)]
pub fn in_part(name: Name, text: &[u8]) {
    Line::new().value(name, text).text(b"; read as far as it is").say();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Zone;
    use proptest::prelude::*;

    fn said(build: impl FnOnce(&mut Line)) -> String {
        let mut line = Line(Vec::new());
        build(&mut line);
        String::from_utf8(line.0.to_vec()).unwrap()
    }

    #[test]
    fn errors_in_words_or_numbers() {
        assert_eq!(
            said(|line| {
                line.error(Errno::new(101));
            }),
            "the network is unreachable"
        );
        assert_eq!(
            said(|line| {
                line.error(Errno::new(4095));
            }),
            "error 4095"
        );
        assert_eq!(
            said(|line| {
                line.error(Errno::new(99));
            }),
            "the address is not available yet"
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        let line = said(|line| {
            line.text(&[b'x'; 1000]).text(b"y");
        });
        assert_eq!(line.len(), 399);
    }

    proptest! {
        #[test]
        fn numbers(number: u32) {
            let line = said(|line| { line.number(number, 10).text(b" ").number(number, 16); });
            prop_assert_eq!(line, format!("{number} {number:x}"));
        }

        #[test]
        fn addresses_read_back(bits: u128, v4: bool, zone in "[a-z]{0,5}") {
            let mut address = if v4 {
                Address::from_wire(&(bits as u32).to_be_bytes()).unwrap()
            } else {
                Address::from_wire(&bits.to_be_bytes()).unwrap()
            };
            if address.as_v4().is_none() {
                address.zone = Zone::new(zone.as_bytes()).unwrap_or_default();
            }
            let line = said(|line| { line.address(&address); });
            prop_assert_eq!(Address::parse(line.as_bytes()), Some(address));
        }
    }
}
