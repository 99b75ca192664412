//! Addresses given by number, in every form that getaddrinfo(3) takes.

use crate::text::{number, pieces};

/// Where a message can go: an address, and the interface that a link-local one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address in the form of IPv6; one of IPv4 is mapped into it (RFC 4291, 2.5.5.2). So the
    /// same address is the same whichever way it was written, and one of IPv4 in IPv6 clothes
    /// needs no IPv6 in the kernel.
    ip: [u64; 2],
    /// What stood behind `%`.
    pub zone: Zone,
}

/// An interface by name or by number. A name is looked up whenever a message is sent, since in a
/// crash kernel the interface may appear after the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Zero bytes behind the name, one of them at least; all zero when there is no zone.
    name: [u8; Self::LENGTH],
}

impl Zone {
    /// `IFNAMSIZ`: the longest name and a zero byte.
    const LENGTH: usize = Self::LONGEST + 1;

    /// How many bytes the name of an interface can have.
    pub const LONGEST: usize = 15;

    /// Takes the name of an interface, `None` when no interface can have that name.
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > Self::LONGEST {
            return None;
        }
        let mut name = [0; Self::LENGTH];
        for (to, from) in name.iter_mut().zip(text) {
            *to = *from;
        }
        Some(Self { name })
    }

    /// The name as the kernel takes it.
    pub fn name(&self) -> [u8; Self::LENGTH] {
        self.name
    }

    /// The name without what fills it up.
    pub fn text(&self) -> &[u8] {
        pieces(&self.name, 0).next().unwrap_or_default()
    }

    /// The number of the interface when that is what was given; 0 for no zone at all.
    pub fn number(&self) -> Option<u32> {
        match self.text() {
            [] => Some(0),
            text => number(text, 10),
        }
    }
}

impl Address {
    /// What stands above the 32 bits of an IPv4 address.
    const MAPPED: u64 = 0xffff;

    const fn from_bits(bits: u128) -> Self {
        Self::from_halves([(bits >> 64) as u64, bits as u64])
    }

    const fn from_halves(ip: [u64; 2]) -> Self {
        Self { ip, zone: Zone { name: [0; Zone::LENGTH] } }
    }

    /// An address of IPv4.
    pub fn from_v4(ip: [u8; 4]) -> Self {
        Self::from_halves([0, Self::MAPPED << 32 | u64::from(u32::from_be_bytes(ip))])
    }

    /// An address in the form of IPv6, in two halves.
    pub const fn from_v6([high, low]: [[u8; 8]; 2]) -> Self {
        Self::from_halves([u64::from_be_bytes(high), u64::from_be_bytes(low)])
    }

    /// An address from the 4 or 16 bytes that it has on the wire.
    #[inline(never)]
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        if let Ok(ip) = bytes.try_into() {
            return Some(Self::from_bits(u128::from_be_bytes(ip)));
        }
        let ip = u32::from_be_bytes(bytes.try_into().ok()?);
        Some(Self::from_bits(u128::from(Self::MAPPED << 32 | u64::from(ip))))
    }

    /// Whether both are the same but for the interface.
    pub fn is_like(&self, other: &Self) -> bool {
        self.ip == other.ip
    }

    /// Whether it is one of IPv6.
    pub fn is_v6(&self) -> bool {
        let [high, low] = self.ip;
        high != 0 || low >> 32 != Self::MAPPED
    }

    /// The four bytes of an IPv4 address.
    #[inline(always)]
    pub fn as_v4(&self) -> Option<[u8; 4]> {
        let [_, low] = self.ip;
        (!self.is_v6()).then_some((low as u32).to_be_bytes())
    }

    /// The bytes of the address in the form of IPv6, in two halves.
    pub fn as_v6(&self) -> [[u8; 8]; 2] {
        self.ip.map(u64::to_be_bytes)
    }

    /// Reads an IPv4 address in any form of inet_aton(3) (`127.1`, `0x7f000001`), or an IPv6
    /// address with or without `%zone`. `None` for anything else: it is a name.
    #[inline(never)]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = pieces(text, b'%');
        let first = parts.next()?;
        let bits = match parse_v4(text) {
            Some(ip) => u128::from(Self::MAPPED << 32 | u64::from(ip)),
            None => parse_v6(first)?,
        };
        let mut address = Self::from_bits(bits);
        if let Some(zone) = parts.rest() {
            address.zone = Zone::new(zone)?;
        }
        Some(address)
    }
}

/// One to four numbers, each decimal, octal (`0…`) or hexadecimal (`0x…`); the last one fills all
/// the bytes that are left.
fn parse_v4(text: &[u8]) -> Option<u32> {
    let mut address = 0u32;
    let mut shift = 32u32;
    let mut parts = pieces(text, b'.');
    while let Some(part) = parts.next() {
        let value = match part {
            [b'0', b'x' | b'X', digits @ ..] => number(digits, 16),
            [b'0', ..] => number(part, 8),
            _ => number(part, 10),
        }?;
        if parts.rest().is_none() {
            let fits = value.checked_shr(shift).unwrap_or(0) == 0;
            return fits.then_some(address | value);
        }
        shift = shift.wrapping_sub(8);
        if value > 0xff || shift == 0 {
            return None;
        }
        address |= value.wrapping_shl(shift);
    }
    None
}

/// RFC 4291, section 2.2: eight groups, `::` for a run of zero groups, the last two groups also
/// as an IPv4 address. A single colon at either end is taken for two: it cannot be a name.
fn parse_v6(text: &[u8]) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    // What stands before the gap, and what behind it or all of it, shifted in from the right.
    let (mut high, mut low) = (0u128, 0u128);
    let mut count = 0u32;
    let mut gap = None;
    let mut groups = pieces(text, b':');
    while let Some(group) = groups.next() {
        if group.is_empty() {
            // One in the middle; at either end it makes two, on its own three.
            if gap.is_none() {
                (high, low) = (low, 0);
                gap = Some(count);
            }
            if gap != Some(count) {
                return None;
            }
            continue;
        }
        let mut value = number(group, 16).filter(|_| group.len() <= 4);
        if groups.rest().is_none() && value.is_none() {
            value = parse_v4(group);
            count = count.wrapping_add(1);
            low <<= 16;
        }
        count = count.wrapping_add(1);
        low = low << 16 | u128::from(value?);
    }
    if count > 8 || gap.is_some() == (count == 8) {
        return None;
    }
    for _ in gap.unwrap_or(8)..8 {
        high <<= 16;
    }
    Some(high | low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    fn v4(text: &str) -> Option<Ipv4Addr> {
        parse_v4(text.as_bytes()).map(Ipv4Addr::from_bits)
    }

    #[test]
    fn every_form_of_inet_aton() {
        let same = [
            ("127.1", "127.0.0.1"),
            ("0x7f.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("10.1.258", "10.1.1.2"),
            ("10.66051", "10.1.2.3"),
            ("0", "0.0.0.0"),
            ("0xffffffff", "255.255.255.255"),
            ("1.2.3.4", "1.2.3.4"),
        ];
        for (given, meant) in same {
            assert_eq!(v4(given), Some(meant.parse().unwrap()), "{given}");
        }
        for not in [
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4.",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.256",
            "1.2.65536",
            "1.16777216",
            "4294967296",
            "08",
            "0x",
            "0xg",
            "1.2.3.4 ",
            " 1.2.3.4",
            "-1",
            "+1",
            "1a",
            "node",
            "::1",
        ] {
            assert_eq!(v4(not), None, "{not}");
        }
    }

    #[test]
    fn zones() {
        let zone = |text: &str| Address::parse(text.as_bytes()).map(|address| address.zone);
        assert_eq!(zone("fe80::1"), Some(Zone::default()));
        assert_eq!(zone("fe80::1").unwrap().number(), Some(0));
        assert_eq!(zone("fe80::1%7").unwrap().number(), Some(7));
        let named = zone("fe80::1%eth0").unwrap();
        assert_eq!((named.number(), named.text()), (None, &b"eth0"[..]));
        assert_eq!(named.name(), *b"eth0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(zone("fe80::1%abcdefghijklmno").unwrap().text().len(), 15);
        for not in ["fe80::1%", "fe80::1%abcdefghijklmnop", "127.0.0.1%lo", "%lo"] {
            assert_eq!(zone(not), None, "{not}");
        }
    }

    #[test]
    fn v4_in_v6_is_v4() {
        assert_eq!(Address::parse(b"::ffff:10.0.0.1"), Address::parse(b"10.1"));
        assert_eq!(Address::parse(b"10.1").unwrap().as_v4(), Some([10, 0, 0, 1]));
        assert_eq!(Address::parse(b"::1").unwrap().as_v4(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_address_or_not(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Address::parse(&text);
        }

        /// `std` is the judge of what is an IPv6 address. Nothing without a colon is one, and what
        /// more is taken than `std` does has a colon too many or too few, or an IPv4 address in
        /// another form.
        #[test]
        fn v6_as_std_reads_it(
            text in "[0-9a-fA-F:]{0,45}|([0-9a-f]{0,5}:){1,9}([0-9a-f]{0,4}|[0-9]{1,3}(\\.[0-9]{1,3}){3})",
        ) {
            let (ours, std) = (parse_v6(text.as_bytes()).map(Ipv6Addr::from_bits), text.parse().ok());
            let odd = text.contains(":::")
                || text.starts_with(':') || text.ends_with(':') || text.contains('.')
                || text.split(':').any(|group| group.len() > 4);
            if std.is_some() || !odd {
                prop_assert_eq!(ours, std, "{}", text);
            }
            prop_assert!(ours.is_none() || text.contains(':'));
        }

        #[test]
        fn a_name_is_no_address(name in "[a-zA-Z][a-zA-Z0-9-]{0,20}(\\.[a-zA-Z][a-z0-9]{0,5}){0,3}") {
            prop_assert_eq!(Address::parse(name.as_bytes()), None);
        }

        #[test]
        fn v6_round_trip(bits: u128, zeros in 0u32..128) {
            let ip = Ipv6Addr::from_bits(bits.checked_shr(zeros).unwrap_or(0));
            prop_assert_eq!(parse_v6(ip.to_string().as_bytes()), Some(ip.to_bits()));
        }

        #[test]
        fn v4_round_trip(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(parse_v4(ip.to_string().as_bytes()), Some(bits));
            let hexadecimal = format!("{bits:#x}");
            prop_assert_eq!(parse_v4(hexadecimal.as_bytes()), Some(bits));
        }
    }
}
