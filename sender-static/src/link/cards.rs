//! What the kernel says of its interfaces, rtnetlink(7): questions, answers, requests.
//!
//! Nothing here trusts a length: an answer that is cut off is read as far as it goes.

use heapless::Vec;

use crate::address::{Address, Zone};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// A request: the largest has a header, a fixed part, and a few attributes.
pub type Request = Vec<u8, 96>;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;

const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;

/// An interface that frames can leave through: a network card, as far as this machine can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// The kernel's number of it.
    pub index: u32,
    /// Its address now, and the one it was made with, where it says so.
    pub macs: [Mac; 2],
    /// Its name now.
    pub name: Zone,
    /// Whether it is to be up.
    pub up: bool,
    /// Whether something is at the other end.
    pub carrier: bool,
}

/// What a message of the kernel's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is this card.
    Card(Card),
    /// Something has happened to interfaces that are no cards, or to one that is gone.
    Other,
    /// A request was refused, or taken (0).
    Answer(u16),
    /// All has been told.
    Done,
}

/// Walks over the messages of one datagram.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'d>(&'d [u8]);

/// Reads a datagram of the kernel's.
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages(datagram)
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let (_, rest) = bytes.split_at_checked(at)?;
    rest.first_chunk().map(|number| u32::from_ne_bytes(*number))
}

fn short_at(bytes: &[u8], at: usize) -> Option<u16> {
    let (_, rest) = bytes.split_at_checked(at)?;
    rest.first_chunk().map(|number| u16::from_ne_bytes(*number))
}

/// Cuts `length` bytes off, and what fills them up to a multiple of four.
fn cut(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (part, _) = bytes.split_at_checked(length)?;
    let whole = length.checked_next_multiple_of(4)?;
    Some((part, bytes.get(whole..).unwrap_or_default()))
}

impl Iterator for Messages<'_> {
    type Item = News;

    fn next(&mut self) -> Option<News> {
        let length = number_at(self.0, 0)? as usize;
        if length < 16 {
            return None;
        }
        let (message, rest) = cut(self.0, length)?;
        self.0 = rest;
        let body = message.get(16..)?;
        Some(match short_at(message, 4)? {
            RTM_NEWLINK => card(body).map_or(News::Other, News::Card),
            NLMSG_ERROR => {
                let code = number_at(body, 0)?;
                News::Answer(code.wrapping_neg() as u16)
            }
            NLMSG_DONE => News::Done,
            // RTM_DELLINK and whatever else there is.
            _ => News::Other,
        })
    }
}

/// The attributes of a message, each a type and a value.
struct Attributes<'d>(&'d [u8]);

impl<'d> Iterator for Attributes<'d> {
    type Item = (u16, &'d [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = short_at(self.0, 0)?;
        let kind = short_at(self.0, 2)?;
        let (attribute, rest) = cut(self.0, length.into())?;
        let value = attribute.get(4..)?;
        self.0 = rest;
        Some((kind & 0x3fff, value))
    }
}

/// `struct ifinfomsg` and its attributes. `None` for what is no card, or is one in clothes of another:
/// a bond, a bridge or a VLAN has the MAC address of a card below it.
fn card(body: &[u8]) -> Option<Card> {
    const ARPHRD_ETHER: u16 = 1;
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_PERM_ADDRESS: u16 = 54;
    const STACKED: [&[u8]; 9] = [
        b"bond", b"bridge", b"team", b"vlan", b"macvlan", b"macvtap", b"ipvlan", b"ipvtap", b"vrf",
    ];
    if short_at(body, 2)? != ARPHRD_ETHER {
        return None;
    }
    let flags = number_at(body, 8)?;
    let mut card = Card {
        index: number_at(body, 4)?,
        macs: [[0; 6]; 2],
        name: Zone::default(),
        up: flags & IFF_UP != 0,
        carrier: flags & IFF_LOWER_UP != 0,
    };
    for (kind, value) in Attributes(body.get(16..)?) {
        let [now, permanent] = &mut card.macs;
        match kind {
            IFLA_ADDRESS => *now = value.try_into().ok()?,
            IFLA_PERM_ADDRESS => *permanent = value.try_into().unwrap_or_default(),
            IFLA_IFNAME => {
                let name = value.strip_suffix(b"\0").unwrap_or(value);
                card.name = Zone::new(name).unwrap_or_default();
            }
            IFLA_LINKINFO => {
                for (kind, value) in Attributes(value) {
                    let name = value.strip_suffix(b"\0").unwrap_or(value);
                    if kind == IFLA_INFO_KIND && STACKED.contains(&name) {
                        return None;
                    }
                }
            }
            _ => {}
        }
    }
    Some(card)
}

/// Begins a request. Its length is filled in by [`finish`].
fn begin(kind: u16, flags: u16, body: &[u8]) -> Request {
    let mut request = Request::new();
    put(&mut request, &[0; 4]);
    put(&mut request, &kind.to_ne_bytes());
    put(&mut request, &(NLM_F_REQUEST | flags).to_ne_bytes());
    put(&mut request, &[0; 8]);
    put(&mut request, body);
    request
}

/// The largest request fits.
fn put(request: &mut Request, bytes: &[u8]) {
    let _ = request.extend_from_slice(bytes);
}

/// Adds an attribute whose length is a multiple of four.
fn attribute(request: &mut Request, kind: u16, value: &[u8]) {
    put(request, &(value.len() as u16).wrapping_add(4).to_ne_bytes());
    put(request, &kind.to_ne_bytes());
    put(request, value);
}

fn finish(mut request: Request) -> Request {
    let length = (request.len() as u32).to_ne_bytes();
    for (to, from) in request.iter_mut().zip(length) {
        *to = from;
    }
    request
}

/// `struct ifinfomsg`
fn interface(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut body = [0; 16];
    let words = [0, index, flags, change].map(u32::to_ne_bytes);
    for (to, from) in body.iter_mut().zip(words.as_flattened()) {
        *to = *from;
    }
    body
}

/// Asks for all interfaces.
pub fn ask() -> Request {
    const IFLA_EXT_MASK: u16 = 29;
    // Their counters are not wanted.
    const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    let mut request = begin(RTM_GETLINK, NLM_F_DUMP, &interface(0, 0, 0));
    attribute(&mut request, IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    finish(request)
}

/// Brings an interface up.
pub fn raise(index: u32) -> Request {
    finish(begin(RTM_NEWLINK, 0, &interface(index, IFF_UP, IFF_UP)))
}

/// The address in the form of its family.
fn bytes_of(address: &Address) -> Vec<u8, 16> {
    let mut bytes = Vec::new();
    let _ = match address.as_v4() {
        Some(ip) => bytes.extend_from_slice(&ip),
        None => bytes.extend_from_slice(address.as_v6().as_flattened()),
    };
    bytes
}

const fn family(v6: bool) -> u8 {
    if v6 { 10 } else { 2 }
}

/// Gives an interface an address.
pub fn add_address(index: u32, address: &Address, prefix: u8) -> Request {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    // What was this node's when it was well needs no asking whether it is somebody else's.
    const IFA_F_NODAD: u8 = 2;
    let [a, b, c, d] = index.to_ne_bytes();
    let body = [family(address.is_v6()), prefix, IFA_F_NODAD, 0, a, b, c, d];
    let mut request = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &body);
    let bytes = bytes_of(address);
    attribute(&mut request, IFA_LOCAL, &bytes);
    attribute(&mut request, IFA_ADDRESS, &bytes);
    finish(request)
}

/// Adds a route through a gateway behind an interface.
pub fn add_route(index: u32, to: &Address, prefix: u8, gateway: &Address) -> Request {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_BOOT: u8 = 3;
    const RT_SCOPE_UNIVERSE: u8 = 0;
    const RTN_UNICAST: u8 = 1;
    const RTNH_F_ONLINK: u8 = 4;
    let body = [
        family(to.is_v6()),
        prefix,
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_BOOT,
        RT_SCOPE_UNIVERSE,
        RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    let body = if to.is_v6() { body } else { with_flags(body, RTNH_F_ONLINK) };
    let mut request = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &body);
    if prefix > 0 {
        attribute(&mut request, RTA_DST, &bytes_of(to));
    }
    attribute(&mut request, RTA_GATEWAY, &bytes_of(gateway));
    attribute(&mut request, RTA_OIF, &index.to_ne_bytes());
    finish(request)
}

/// The same with `rtm_flags`, of which the lowest byte counts here.
fn with_flags(body: [u8; 12], flags: u8) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h, ..] = body;
    let [i, j, k, l] = u32::from(flags).to_ne_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer about one interface.
    fn link(kind: u16, index: u32, flags: u32, attributes: &[(u16, &[u8])]) -> std::vec::Vec<u8> {
        let mut body = interface(index, flags, 0).to_vec();
        body[2..4].copy_from_slice(&1u16.to_ne_bytes());
        for (kind, value) in attributes {
            body.extend((value.len() as u16 + 4).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = (body.len() as u32 + 16).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    const MAC: Mac = [2, 0, 0, 0, 0, 1];
    const OTHER: Mac = [2, 0, 0, 0, 0, 2];

    #[test]
    fn a_card_and_what_stands_above_it() {
        let card = link(16, 7, 0x10001, &[(3, b"eth0\0"), (1, &MAC), (54, &OTHER)]);
        let bond_info = [&8u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"bond"].concat();
        let bond = link(16, 8, 1, &[(3, b"bond0\0"), (1, &MAC), (18, &bond_info)]);
        let gone = link(17, 9, 0, &[(3, b"eth9\0"), (1, &MAC)]);
        let all = [card, bond, gone].concat();
        let expected = Card {
            index: 7,
            macs: [MAC, OTHER],
            name: Zone::new(b"eth0").unwrap(),
            up: true,
            carrier: true,
        };
        let news: std::vec::Vec<_> = messages(&all).collect();
        assert_eq!(news, [News::Card(expected), News::Other, News::Other]);
    }

    #[test]
    fn answers() {
        let mut refused = link(2, 0, 0, &[]);
        refused[16..20].copy_from_slice(&(-17i32).to_ne_bytes());
        assert_eq!(messages(&refused).next(), Some(News::Answer(17)));
        assert_eq!(messages(&link(3, 0, 0, &[])).next(), Some(News::Done));
        assert_eq!(messages(&[]).next(), None);
    }

    #[test]
    fn requests_say_how_long_they_are() {
        let address = Address::parse(b"fd00::1").unwrap();
        for request in [
            ask(),
            raise(7),
            add_address(7, &address, 64),
            add_route(7, &Address::parse(b"fd00::").unwrap(), 8, &address),
            add_route(
                7,
                &Address::parse(b"0.0.0.0").unwrap(),
                0,
                &Address::parse(b"10.0.0.1").unwrap(),
            ),
        ] {
            assert_eq!(number_at(&request, 0), Some(request.len() as u32));
            assert!(request.len() < request.capacity() && request.len() % 4 == 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
            let count = messages(&garbage).count();
            prop_assert!(count <= garbage.len() / 16);
        }

        #[test]
        fn a_damaged_answer_is_read(at in 0usize..80, value: u8) {
            let mut message = link(16, 7, 0x10001, &[(3, b"eth0\0"), (1, &MAC), (18, &[8, 0, 1, 0, 1, 1, 1, 1])]);
            let at = at % message.len();
            message[at] = value;
            prop_assert!(messages(&message).count() <= 5);
        }
    }
}
