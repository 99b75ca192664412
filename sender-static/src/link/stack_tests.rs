//! Tests of one link's protocols, on a cable that ends in the test.

use super::*;
use crate::link::fed::{Fed, MAC};
use crate::link::wire::parts;
use proptest::prelude::*;

const THEM: Mac = [2, 0, 0, 0, 0, 2];

fn to(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

/// Their answer: `ip` is at them.
fn arp(ip: [u8; 4]) -> std::vec::Vec<u8> {
    [&MAC[..], &THEM, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &THEM, &ip, &MAC, &[10, 0, 0, 1]].concat()
}

/// The protocols of all frames that have gone out.
fn out(fed: &mut Fed) -> std::vec::Vec<(Mac, u16)> {
    std::iter::from_fn(|| fed.next_frame())
        .map(|frame| {
            let (to, from, protocol, _) = parts(&frame).unwrap();
            assert_eq!(from, MAC);
            (to, protocol)
        })
        .collect()
}

#[test]
fn a_neighbour_is_asked_for_and_then_told() {
    let mut fed = Fed::new();
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    assert_eq!(out(&mut fed), [([0xff; 6], 0x806)]);
    fed.feed(&arp([10, 0, 0, 2]));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

/// However often a dead neighbour is asked for, the others are asked for at once.
#[test]
fn the_dead_hold_up_nobody() {
    let mut fed = Fed::new();
    for _ in 0..3 {
        for last in [2, 3, 4] {
            let message = fed.send(b"message!", &to(&format!("10.0.0.{last}")));
            assert_eq!(message, Err(Errno::SOUGHT));
            assert_eq!(out(&mut fed), [([0xff; 6], 0x806)], "{last}");
        }
        assert_eq!(fed.send(b"message!", &to("fd00::2")), Err(Errno::SOUGHT));
        assert_eq!(out(&mut fed), [([0x33, 0x33, 0xff, 0, 0, 2], 0x86dd)]);
    }
    fed.feed(&arp([10, 0, 0, 4]));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.4")), Ok(()));
}

#[test]
fn far_away_is_at_the_gateway() {
    let mut fed = Fed::new();
    fed.feed(&arp([10, 0, 0, 254]));
    out(&mut fed);
    for far in ["192.0.2.7", "8.8.8.8"] {
        assert_eq!(fed.send(b"message!", &to(far)), Ok(()), "{far}");
        assert_eq!(out(&mut fed), [(THEM, 0x800)]);
    }
    assert_eq!(fed.send(b"message!", &to("2001:db8::7")), Err(Errno::SOUGHT));
    assert_eq!(out(&mut fed), [([0x33, 0x33, 0xff, 0, 0, 0xfe], 0x86dd)]);
}

#[test]
fn all_and_groups_need_no_question() {
    let mut fed = Fed::new();
    for (ip, mac, protocol) in [
        ("255.255.255.255", [0xff; 6], 0x800),
        ("10.0.0.255", [0xff; 6], 0x800),
        ("239.1.2.3", [1, 0, 0x5e, 1, 2, 3], 0x800),
        ("ff02::1", [0x33, 0x33, 0, 0, 0, 1], 0x86dd),
    ] {
        assert_eq!(fed.send(b"message!", &to(ip)), Ok(()), "{ip}");
        assert_eq!(out(&mut fed), [(mac, protocol)]);
    }
}

/// A message that cannot be sent is told so; nothing panics over it.
#[test]
fn destinations_that_make_no_sense() {
    let mut fed = Fed::new();
    for ip in ["0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1", "fd00::1"] {
        assert!(fed.send(b"message!", &to(ip)).is_err(), "{ip}");
    }
    assert_eq!(fed.send(&[0; 600], &to("10.0.0.255")), Err(Errno::EMSGSIZE));
    assert_eq!(fed.send(&[0; 508], &to("10.0.0.255")), Ok(()));
}

#[test]
fn questions_for_this_node_are_answered() {
    let mut fed = Fed::new();
    let question = [
        &[0xff; 6][..],
        &THEM,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &THEM,
        &[10, 0, 0, 2],
        &[0; 6],
        &[10, 0, 0, 1],
    ];
    fed.feed(&question.concat());
    assert!(out(&mut fed).contains(&(THEM, 0x806)));
    // Whoever has asked needs not be asked for.
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
}

/// Another card says that it is them, again and again: both get the message, and all do.
#[test]
fn a_disputed_address() {
    const MALLORY: Mac = [2, 0, 0, 0, 0, 9];
    let mut fed = Fed::new();
    let mut lie = arp([10, 0, 0, 2]);
    for at in [6, 22] {
        lie[at..at + 6].copy_from_slice(&MALLORY);
    }
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    for truth_first in [true, false] {
        let truth = arp([10, 0, 0, 2]);
        let (first, second) = if truth_first { (&truth, &lie) } else { (&lie, &truth) };
        fed.feed(first);
        fed.feed(second);
        out(&mut fed);
        assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
        let mut cards = out(&mut fed);
        assert_eq!(cards.remove(0), ([0xff; 6], 0x806), "it is asked for each time");
        cards.sort_unstable();
        assert_eq!(cards, [(THEM, 0x800), (MALLORY, 0x800), ([0xff; 6], 0x800)]);
    }
    // He has gone.
    fed.pass(Millis::seconds(29));
    fed.feed(&arp([10, 0, 0, 2]));
    fed.pass(Millis::seconds(2));
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

/// Hosts that are made up take nobody's place.
#[test]
fn a_crowd_of_strangers() {
    let mut fed = Fed::new();
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Err(Errno::SOUGHT));
    fed.feed(&arp([10, 0, 0, 2]));
    for last in 3..=250 {
        fed.pass(Millis(10));
        fed.feed(&arp([10, 0, 0, last]));
    }
    out(&mut fed);
    assert_eq!(fed.send(b"message!", &to("10.0.0.2")), Ok(()));
    assert_eq!(out(&mut fed), [(THEM, 0x800)]);
}

proptest! {
    /// The entry for fuzzing.
    #[test]
    fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(crate::link::fed::any_frames(&input), Ok(()));
    }

    /// Whatever comes in, a message to all goes out.
    #[test]
    fn any_frames(
        frames in proptest::collection::vec(
            (
                prop_oneof![Just(0x806u16), Just(0x800), Just(0x86dd), any::<u16>()],
                proptest::collection::vec(any::<u8>(), 0..120),
            ),
            0..20,
        ),
    ) {
        let mut fed = Fed::new();
        for (protocol, body) in frames {
            let frame = [&MAC[..], &THEM, &protocol.to_be_bytes(), &body].concat();
            fed.feed(&frame);
            fed.pass(Millis(500));
        }
        out(&mut fed);
        prop_assert_eq!(fed.send(b"message!", &to("255.255.255.255")), Ok(()));
        prop_assert_eq!(out(&mut fed), [([0xff; 6], 0x800)]);
    }
}

/// smoltcp's own interface on the other end of the cable: the judge of every byte here.
mod judge {
    use super::*;
    use crate::link::fed::PORT;
    use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
    use smoltcp::socket::udp;
    use smoltcp::wire::{
        EthernetAddress, EthernetFrame, EthernetProtocol, HardwareAddress, Icmpv6Packet,
        Icmpv6Repr, IpAddress, IpCidr, IpProtocol, Ipv6ExtHeader, Ipv6HopByHopHeader,
        Ipv6HopByHopRepr, Ipv6Packet, Ipv6Repr, MldAddressRecord, MldRecordType, MldRepr,
    };
    use std::collections::VecDeque;

    /// Their end of the cable. Every checksum counts.
    #[derive(Default)]
    struct End {
        inward: VecDeque<std::vec::Vec<u8>>,
        outward: VecDeque<std::vec::Vec<u8>>,
    }

    struct In(std::vec::Vec<u8>);
    struct Out<'a>(&'a mut VecDeque<std::vec::Vec<u8>>);

    impl RxToken for In {
        fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
            read(&self.0)
        }
    }

    impl TxToken for Out<'_> {
        fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
            let mut frame = vec![0; length];
            let result = write(&mut frame);
            self.0.push_back(frame);
            result
        }
    }

    impl Device for End {
        type RxToken<'a> = In;
        type TxToken<'a> = Out<'a>;

        fn receive(&mut self, _: Instant) -> Option<(In, Out<'_>)> {
            let frame = self.inward.pop_front()?;
            Some((In(frame), Out(&mut self.outward)))
        }

        fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
            Some(Out(&mut self.outward))
        }

        fn capabilities(&self) -> DeviceCapabilities {
            let mut capabilities = DeviceCapabilities::default();
            capabilities.medium = Medium::Ethernet;
            capabilities.max_transmission_unit = FRAME;
            capabilities
        }
    }

    struct Judge {
        end: End,
        interface: Interface,
        sockets: SocketSet<'static>,
        socket: SocketHandle,
        now: i64,
    }

    impl Judge {
        fn new() -> Self {
            let mut end = End::default();
            let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(THEM)));
            let mut interface = Interface::new(config, &mut end, Instant::ZERO);
            interface.update_ip_addrs(|addresses| {
                for (ip, prefix) in [("10.0.0.2", 24), ("fd00::2", 64), ("fe80::2", 64)] {
                    addresses.push(IpCidr::new(ip.parse::<IpAddress>().unwrap(), prefix)).unwrap();
                }
            });
            let buffer = || {
                udp::PacketBuffer::new(
                    &mut vec![udp::PacketMetadata::EMPTY; 8].leak()[..],
                    &mut vec![0; 4096].leak()[..],
                )
            };
            let mut socket = udp::Socket::new(buffer(), buffer());
            socket.bind(7410).unwrap();
            let mut sockets = SocketSet::new(&mut vec![SocketStorage::EMPTY].leak()[..]);
            let socket = sockets.add(socket);
            Self { end, interface, sockets, socket, now: 0 }
        }

        fn socket(&mut self) -> &mut udp::Socket<'static> {
            self.sockets.get_mut(self.socket)
        }

        /// Lets frames go to and fro until there are none.
        fn exchange(&mut self, fed: &mut Fed) {
            for _ in 0..10 {
                self.now += 1;
                while let Some(frame) = fed.next_frame() {
                    self.end.inward.push_back(frame.to_vec());
                }
                let now = Instant::from_millis(self.now);
                self.interface.poll(now, &mut self.end, &mut self.sockets);
                while let Some(frame) = self.end.outward.pop_front() {
                    fed.feed(&frame);
                }
            }
        }
    }

    #[test]
    fn hears_messages_and_is_answered() {
        for (ip, own) in
            [("10.0.0.2", "10.0.0.1"), ("fd00::2", "fd00::1"), ("fe80::2", "fe80::ff:fe00:1")]
        {
            let (mut judge, mut fed) = (Judge::new(), Fed::new());
            assert_eq!(fed.send(b"message!", &to(ip)), Err(Errno::SOUGHT));
            judge.exchange(&mut fed);
            for message in [&b"message!"[..], b"odd", &[0x5a; 508]] {
                assert_eq!(fed.send(message, &to(ip)), Ok(()), "{ip}");
                judge.exchange(&mut fed);
                let (heard, from) = judge.socket().recv().expect("a message");
                assert_eq!(heard, message);
                assert_eq!(from.endpoint.addr, own.parse().unwrap());
                assert_eq!(from.endpoint.port, PORT);
            }
        }
    }

    /// A challenge comes from somebody who has to ask where this node is.
    #[test]
    fn finds_this_node_and_asks_it() {
        for own in ["10.0.0.1", "fd00::1"] {
            let (mut judge, mut fed) = (Judge::new(), Fed::new());
            let to = (own.parse::<IpAddress>().unwrap(), PORT);
            judge.socket().send_slice(b"challenge", to).unwrap();
            judge.exchange(&mut fed);
            let mut buffer = [MaybeUninit::uninit(); 128];
            assert_eq!(fed.next_datagram(&mut buffer), Some(&b"challenge"[..]), "{own}");
            assert_eq!(fed.next_datagram(&mut buffer), None);
        }
    }

    /// The groups of a frame that reports them, if it is one; checksums and lengths count.
    fn reported(frame: &[u8]) -> Option<std::vec::Vec<std::net::Ipv6Addr>> {
        let ethernet = EthernetFrame::new_checked(frame).unwrap();
        if ethernet.ethertype() != EthernetProtocol::Ipv6 {
            return None;
        }
        let packet = Ipv6Packet::new_checked(ethernet.payload()).unwrap();
        if packet.next_header() != IpProtocol::HopByHop {
            return None;
        }
        assert_eq!(ethernet.dst_addr(), EthernetAddress([0x33, 0x33, 0, 0, 0, 0x16]));
        let repr = Ipv6Repr::parse(&packet).unwrap();
        assert_eq!((repr.hop_limit, repr.dst_addr), (1, "ff02::16".parse().unwrap()));
        assert_eq!(repr.src_addr, "fe80::ff:fe00:1".parse::<std::net::Ipv6Addr>().unwrap());
        let header = Ipv6ExtHeader::new_checked(packet.payload()).unwrap();
        assert_eq!(header.next_header(), IpProtocol::Icmpv6);
        let options = Ipv6HopByHopHeader::new_checked(header.payload()).unwrap();
        // What follows is padding.
        let options = Ipv6HopByHopRepr::parse(&options).unwrap().options;
        assert_eq!(options.first(), Ipv6HopByHopRepr::mldv2_router_alert().options.first());
        let body = &packet.payload()[2 + header.payload().len()..];
        let message = Icmpv6Packet::new_checked(body).unwrap();
        let checked = ChecksumCapabilities::default();
        let parsed = Icmpv6Repr::parse(&repr.src_addr, &repr.dst_addr, &message, &checked);
        let Ok(Icmpv6Repr::Mld(MldRepr::Report { nr_mcast_addr_rcrds, mut data })) = parsed else {
            panic!("{parsed:?}");
        };
        let mut groups = std::vec::Vec::new();
        for _ in 0..nr_mcast_addr_rcrds {
            let record = MldAddressRecord::new_checked(&data[..20]).unwrap();
            assert_eq!(
                (record.record_type(), record.num_srcs()),
                (MldRecordType::ChangeToExclude, 0)
            );
            groups.push(record.mcast_addr());
            data = &data[20..];
        }
        assert!(data.is_empty());
        Some(groups)
    }

    /// Behind a switch that passes on only what somebody listens to, nobody could ask for this node otherwise.
    #[test]
    fn is_told_which_groups_are_listened_to() {
        let mut fed = Fed::new();
        let mut times = std::vec::Vec::new();
        for second in 0..100 {
            fed.pass(Millis::seconds(u32::from(second > 0)));
            let frames = std::iter::from_fn(|| fed.next_frame());
            for groups in frames.filter_map(|frame| reported(&frame)) {
                let expected: std::net::Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
                assert_eq!(groups, [expected], "one group of both addresses");
                times.push(second);
            }
        }
        assert_eq!(times, [0, 1, 31, 61, 91]);
        // Begins anew where the card is another one.
        fed.renew();
        fed.pass(Millis(0));
        assert!(std::iter::from_fn(|| fed.next_frame()).any(|frame| reported(&frame).is_some()));
    }

    #[test]
    fn hears_what_is_for_all() {
        let (mut judge, mut fed) = (Judge::new(), Fed::new());
        for all in ["255.255.255.255", "10.0.0.255", "ff02::1"] {
            assert_eq!(fed.send(b"message!", &to(all)), Ok(()));
            judge.exchange(&mut fed);
            assert!(judge.socket().recv().is_ok(), "{all}");
        }
    }

    /// The device is one that smoltcp's interface can use as well.
    #[test]
    fn speaks_through_the_same_device() {
        let cable = crate::link::fed::Cable::default();
        let mut buffer = [MaybeUninit::uninit(); FRAME];
        let mut wire = Wire { ether: &cable, vlan: 7, buffer: &mut buffer };
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(MAC)));
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24)).unwrap();
        });
        let mut judge = Judge::new();
        judge.socket().send_slice(b"message!", (IpAddress::v4(255, 255, 255, 255), 1)).unwrap();
        interface.poll(Instant::ZERO, &mut wire, &mut judge.sockets);
        let frame = cable.next_frame().expect("a frame");
        assert_eq!(frame[12..18], [0x81, 0, 0, 7, 8, 0], "with its tag");
    }
}
