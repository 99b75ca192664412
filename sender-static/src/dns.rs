//! DNS messages, RFC 1035: one question out, the addresses of an answer in.

use heapless::Vec;

use crate::address::Address;
use crate::text::{pieces, same};

/// Before the question stand its number, flags, and how many records each section has.
const HEADER: usize = 12;

/// The longest question: header, a name of 255 bytes, type and class.
pub const QUERY_MAX: usize = 12 + 255 + 4;

/// The largest answer to a question that allows no more (RFC 1035, 4.2.1): 28 addresses of IPv4 or
/// 17 of IPv6. What a server leaves out of it is not asked for again.
pub const REPLY_MAX: usize = 512;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4, type A.
    A,
    /// IPv6, type AAAA (RFC 3596).
    Aaaa,
}

impl Kind {
    /// Both, in the order they are asked for.
    pub const BOTH: [Self; 2] = [Self::A, Self::Aaaa];

    const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }

    /// How long an address of that kind is.
    const fn length(self) -> usize {
        match self {
            Self::A => 4,
            Self::Aaaa => 16,
        }
    }
}

/// A question, ready to be sent.
pub type Query = Vec<u8, QUERY_MAX>;

/// Makes `query` ask for the addresses of `name`, followed by `domain` unless that is empty.  `None` when no host can have that name: a label has more
/// than 63 bytes, or the whole none or more than 255.
pub fn query(query: &mut Query, id: u16, [name, domain]: [&[u8]; 2], kind: Kind) -> Option<()> {
    query.clear();
    put(query, &id.to_be_bytes())?;
    // A standard query, recursion desired, one question; nothing in the other sections.
    put(query, &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    for part in [name, domain] {
        for label in pieces(part, b'.') {
            if label.len() > 63 {
                return None;
            }
            // A dot too many, as at the end of a name that is whole, is no label.
            if !label.is_empty() {
                put(query, &[label.len() as u8])?;
                put(query, label)?;
            }
        }
    }
    if query.len() == HEADER || query.len() >= HEADER + 255 {
        return None;
    }
    let [kind_high, kind_low] = kind.code().to_be_bytes();
    put(query, &[0, kind_high, kind_low, 0, 1])
}

#[inline(never)]
fn put(query: &mut Query, bytes: &[u8]) -> Option<()> {
    query.extend_from_slice(bytes).ok()
}

/// What an answer means for the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// These are the addresses, or there are none of this kind.
    Final,
    /// These are some of the addresses, or none of them.
    CutShort,
    /// This server could not or would not say: another one may.
    Unhelpful,
}

/// The number that says which question a message belongs to.
pub fn id(packet: &[u8]) -> Option<u16> {
    Records(packet).number()
}

/// Reads `packet` as the answer to `query` about `kind`: what it means, and the
/// addresses in it. `None` when it is none: too short, not a response, or another question than the
/// one that was asked. That the number is the same, see [`id`], has been seen before.
///
/// Whose the addresses are is not asked: a resolver puts the whole chain of aliases into its
/// answer (RFC 1034, 4.3.2), so every address in it belongs to the name at the chain's head.
pub fn reply<'p>(packet: &'p [u8], query: &Query, kind: Kind) -> Option<(Meaning, Addresses<'p>)> {
    let mut rest = Records(packet);
    let head = rest.take(HEADER)?.first_chunk()?;
    let [_, _, response, code, q_high, q_low, a_high, a_low] = *head;
    // The question comes back as it was sent, but perhaps in other letters.
    let asked = query.get(HEADER..)?;
    if response & 0x80 == 0 || [q_high, q_low] != [0, 1] || !same(rest.take(asked.len())?, asked) {
        return None;
    }
    let addresses = Addresses { kind, records: rest, left: u16::from_be_bytes([a_high, a_low]) };
    // RFC 1035, 4.1.1: no error, and no such name (3), are knowledge; the others are not.
    let meaning = match code & 0xf {
        0 if response & 2 != 0 => Meaning::CutShort,
        0 | 3 => Meaning::Final,
        _ => Meaning::Unhelpful,
    };
    Some((meaning, addresses))
}

/// The addresses in an answer.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'p> {
    kind: Kind,
    records: Records<'p>,
    left: u16,
}

impl Addresses<'_> {
    /// Whether there is any.
    pub fn any(mut self) -> bool {
        self.next().is_some()
    }
}

impl Iterator for Addresses<'_> {
    type Item = Address;

    #[inline(never)]
    fn next(&mut self) -> Option<Address> {
        while self.left > 0 {
            self.left = self.left.wrapping_sub(1);
            let (code, data) = self.records.record()?;
            if code == self.kind.code()
                && data.len() == self.kind.length()
                && let Some(address) = Address::from_wire(data)
            {
                return Some(address);
            }
        }
        None
    }
}

/// What is still to be read of a message.
#[derive(Clone, Copy, Debug)]
struct Records<'p>(&'p [u8]);

impl<'p> Records<'p> {
    #[inline(never)]
    fn take(&mut self, count: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline(never)]
    fn number(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    /// RFC 1035, 4.1.3: the type of a record and its data. Only the Internet's class is asked for.
    fn record(&mut self) -> Option<(u16, &'p [u8])> {
        self.name()?;
        let code = self.number()?;
        // Class, time to live.
        self.take(6)?;
        let length = self.number()?;
        Some((code, self.take(length.into())?))
    }

    /// RFC 1035, 4.1.4: labels up to an empty one or up to a pointer. The pointer is stepped over
    /// and never followed, so there is no loop that it could lead into.
    fn name(&mut self) -> Option<()> {
        loop {
            let length = *self.take(1)?.first()?;
            if length > 63 {
                self.take(1)?;
                return Some(());
            }
            if length == 0 {
                return Some(());
            }
            self.take(length.into())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(name: &str, domain: &str, kind: Kind) -> Option<Query> {
        let mut built = Query::new();
        query(&mut built, 0x1234, [name.as_bytes(), domain.as_bytes()], kind).map(|()| built)
    }

    /// The bytes of RFC 1035's form, written out.
    #[test]
    fn a_question_on_the_wire() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
            \x05node1\x07example\x00\x00\x1c\x00\x01";
        assert_eq!(ask("node1.example", "", Kind::Aaaa).unwrap(), expected);
        assert_eq!(ask("node1.example.", "", Kind::Aaaa).unwrap(), expected);
        assert_eq!(ask("node1", "example", Kind::Aaaa).unwrap(), expected);
        assert_eq!(ask("node1", "example.", Kind::Aaaa).unwrap(), expected);
    }

    #[test]
    fn names_that_no_host_has() {
        let long = "a".repeat(64);
        let longer = format!("{0}.{0}.{0}.{0}", "a".repeat(63));
        for name in ["", ".", "...", long.as_str(), longer.as_str()] {
            assert_eq!(ask(name, "", Kind::A), None, "{name}");
        }
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        assert!(ask(&longest, "", Kind::A).is_some());
        assert_eq!(ask(&longest, "a", Kind::A), None);
    }

    /// An answer to `query` with these records, each a name, a type and data.
    fn answer(query: &Query, flags: u16, records: &[(&[u8], u16, &[u8])]) -> std::vec::Vec<u8> {
        let mut packet = query.to_vec();
        packet[2..4].copy_from_slice(&flags.to_be_bytes());
        packet[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (name, code, data) in records {
            packet.extend_from_slice(name);
            packet.extend_from_slice(&code.to_be_bytes());
            packet.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
            packet.extend_from_slice(data);
        }
        packet
    }

    fn addresses(packet: &[u8], query: &Query, kind: Kind) -> std::vec::Vec<String> {
        let (meaning, addresses) = reply(packet, query, kind).unwrap();
        assert_eq!(meaning, Meaning::Final);
        let ip = |at: Address| {
            std::net::Ipv6Addr::from_octets(at.as_v6().as_flattened().try_into().unwrap())
                .to_canonical()
                .to_string()
        };
        addresses.map(ip).collect()
    }

    const POINTER: &[u8] = b"\xc0\x0c";

    #[test]
    fn every_address_behind_an_alias() {
        let query = ask("node1.example", "", Kind::A).unwrap();
        let packet = answer(
            &query,
            0x8180,
            &[
                (POINTER, 5, b"\x04host\xc0\x12"),
                (b"\x04host\xc0\x12", 1, &[192, 0, 2, 1]),
                (b"\x04host\x07example\0", 1, &[192, 0, 2, 2]),
                (b"\x04host\x07example\0", 1, &[192, 0, 2]),
                (POINTER, 28, &[0; 16]),
                (POINTER, 1, &[192, 0, 2, 3]),
            ],
        );
        assert_eq!(addresses(&packet, &query, Kind::A), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    }

    #[test]
    fn v6_addresses() {
        let query = ask("NODE1", "", Kind::Aaaa).unwrap();
        let mut packet = answer(&query, 0x8180, &[(POINTER, 28, &[0x20; 16])]);
        packet[13..18].make_ascii_lowercase();
        assert_eq!(
            addresses(&packet, &query, Kind::Aaaa),
            ["2020:2020:2020:2020:2020:2020:2020:2020"]
        );
    }

    /// The type says what an address is, not how long it happens to be.
    #[test]
    fn addresses_of_another_length_than_their_type_has() {
        let (long, short): (&[u8], &[u8]) = (&[0x20; 16], &[192, 0, 2, 1]);
        for (kind, wrong, right) in [(Kind::A, long, short), (Kind::Aaaa, short, long)] {
            let query = ask("node1", "", kind).unwrap();
            let records = [wrong, right, &[]].map(|data| (POINTER, kind.code(), data));
            assert_eq!(addresses(&answer(&query, 0x8180, &records), &query, kind).len(), 1);
            let (_, found) = reply(&answer(&query, 0x8180, &records[..1]), &query, kind)
                .map(|(meaning, mut found)| (meaning, found.next()))
                .unwrap();
            assert_eq!(found, None, "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_answer_to_the_question() {
        let query = ask("node1", "", Kind::A).unwrap();
        let good = answer(&query, 0x8180, &[(POINTER, 1, &[192, 0, 2, 1])]);
        let parse = |packet: &[u8]| reply(packet, &query, Kind::A).map(|reply| reply.0);
        assert_eq!(parse(&good), Some(Meaning::Final));
        for (at, why) in [
            (14, "another name"),
            (20, "another type"),
            (22, "another class"),
            (5, "two questions"),
        ] {
            let mut other = good.clone();
            other[at] ^= 0x11;
            assert_eq!(parse(&other), None, "{why}");
        }
        assert_eq!(parse(&query), None, "our own question sent back");
        for length in 0..23 {
            assert_eq!(parse(&good[..length]), None, "cut off after {length}");
        }
    }

    #[test]
    fn what_an_answer_means() {
        let query = ask("node1", "", Kind::A).unwrap();
        for (flags, meaning) in [
            (0x8180, Meaning::Final),
            (0x8183, Meaning::Final),
            (0x8580, Meaning::Final),
            (0x8182, Meaning::Unhelpful),
            (0x8185, Meaning::Unhelpful),
            (0x8181, Meaning::Unhelpful),
            (0x8380, Meaning::CutShort),
            (0x8383, Meaning::Final),
        ] {
            let packet = answer(&query, flags, &[]);
            assert_eq!(reply(&packet, &query, Kind::A).unwrap().0, meaning, "{flags:x}");
        }
    }

    #[test]
    fn pointers_in_a_circle_are_stepped_over() {
        let query = ask("node1", "", Kind::A).unwrap();
        let here = 12 + 7 + 4;
        let circle = [0xc0, here as u8];
        let packet = answer(
            &query,
            0x8180,
            &[(&circle, 5, &circle), (&circle, 1, &[192, 0, 2, 1]), (POINTER, 1, &[192, 0, 2, 2])],
        );
        assert_eq!(addresses(&packet, &query, Kind::A), ["192.0.2.1", "192.0.2.2"]);
    }

    #[test]
    fn more_records_promised_than_there_are() {
        let query = ask("node1", "", Kind::A).unwrap();
        let mut packet = answer(&query, 0x8180, &[(POINTER, 1, &[192, 0, 2, 1])]);
        packet[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(addresses(&packet, &query, Kind::A), ["192.0.2.1"]);
        packet.truncate(packet.len() - 1);
        assert_eq!(addresses(&packet, &query, Kind::A), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_not(garbage in proptest::collection::vec(any::<u8>(), 0..REPLY_MAX), keep in 0usize..40) {
            let query = ask("node1", "", Kind::A).unwrap();
            let mut packet = answer(&query, 0x8180, &[]);
            packet.truncate(keep);
            packet.extend_from_slice(&garbage);
            if let Some(count) = packet.get_mut(6..8) {
                count.copy_from_slice(&[0xff, 0xff]);
            }
            if let Some((_, addresses)) = reply(&packet, &query, Kind::A) {
                prop_assert!(addresses.count() <= packet.len() / 11);
            }
        }

        #[test]
        fn any_name_is_asked_for_or_not(
            name in proptest::collection::vec(any::<u8>(), 0..300),
            domain in "[a-z.]{0,80}",
        ) {
            let mut asked = Query::new();
            if query(&mut asked, 7, [&name, domain.as_bytes()], Kind::Aaaa).is_some() {
                let packet = answer(&asked, 0x8180, &[]);
                prop_assert!(reply(&packet, &asked, Kind::Aaaa).is_some());
            }
        }
    }
}
