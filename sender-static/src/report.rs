//! What a person is told, on standard error, one line an event.

use heapless::Vec;

use crate::address::Address;
use crate::args::{Name, Wrong};
use crate::sys::{self, Errno};

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
        let mut separator: &[u8] = b"";
        if let Some(ip) = address.as_v4() {
            for byte in ip {
                self.text(separator).number(byte.into(), 10);
                separator = b".";
            }
        } else {
            for [high, low] in address.as_v6().as_chunks().0 {
                self.text(separator)
                    .number(u16::from_be_bytes([*high, *low]).into(), 16);
                separator = b":";
            }
        }
        let zone = address.zone.text();
        if !zone.is_empty() {
            self.text(b"%").text(zone);
        }
        self
    }

    /// Adds what went wrong, in words where there are some.
    pub fn error(&mut self, error: Errno) -> &mut Self {
        let words = match error {
            Errno::EPERM => "not permitted (packet filter?)",
            Errno::EAGAIN => "the send buffer is full",
            Errno::EACCES => "not permitted (broadcast?)",
            Errno::ENODEV => "no such interface",
            Errno::EAFNOSUPPORT => "the kernel has no such address family",
            Errno::ENETDOWN => "the interface is down",
            Errno::ENETUNREACH => "the network is unreachable",
            Errno::ENOBUFS => "the kernel has no buffer left",
            Errno::ECONNREFUSED => "refused",
            Errno::EHOSTUNREACH => "the host is unreachable",
            Errno(number) => return self.text(b"error ").number(number.into(), 10),
        };
        self.text(words.as_bytes())
    }

    /// Writes the line, unless that would have to wait.
    pub fn say(&mut self) {
        let _ = self.0.push(b'\n');
        sys::complain(&self.0);
    }
}

/// Says what is wrong with the command line, and what would be right.
pub fn wrong(wrong: Wrong<'_>) {
    let mut line = Line::new();
    match wrong {
        Wrong::Unknown(given) => line.text(b"there is no option '").text(given).text(b"'"),
        Wrong::Ambiguous(given) => line
            .text(b"'--")
            .text(given)
            .text(b"' is the beginning of more than one option"),
        Wrong::NoValue(name) => line.text(name.text().as_bytes()).text(b": needs a value"),
        Wrong::NeedlessValue(name) => line.text(name.text().as_bytes()).text(b": takes no value"),
        Wrong::BadValue(name, given) => line
            .text(name.text().as_bytes())
            .text(b": '")
            .text(given)
            .text(b"' is not ")
            .text(right(name).as_bytes()),
    };
    line.text(b"; see --help").say();
}

/// What an option's value has to be.
pub fn right(name: Name) -> &'static str {
    match name {
        Name::Port => "a port from 1 to 65535",
        Name::Family => "auto, ipv4 or ipv6",
        Name::Count => "a number of messages from 0 to 2147483647",
        Name::Interval => "a number of seconds from 1 to 2147483647",
        Name::Burst => "'none' or up to 16 rising times in seconds from 0 to 3600, as 0,0.2,0.5",
        Name::Ttl => "a number of hops from 1 to 255",
        Name::Device => "the name of an interface",
        Name::Verbose => "a digit",
        Name::Version | Name::Help => "allowed",
    }
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
                line.error(Errno::ENETUNREACH);
            }),
            "the network is unreachable"
        );
        assert_eq!(
            said(|line| {
                line.error(Errno(4095));
            }),
            "error 4095"
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
                Address::v4((bits as u32).to_be_bytes())
            } else {
                Address::v6(bits.to_be_bytes())
            };
            if address.as_v4().is_none() {
                address.zone = Zone::new(zone.as_bytes()).unwrap_or_default();
            }
            let line = said(|line| { line.address(&address); });
            prop_assert_eq!(Address::parse(line.as_bytes()), Some(address));
        }
    }
}
