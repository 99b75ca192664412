//! smoltcp's own interface on the other end of the cable: the judge of every byte here.

use super::*;
use crate::link::fed::PORT;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::udp;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, HardwareAddress, Icmpv6Packet, Icmpv6Repr,
    IpAddress, IpCidr, IpProtocol, Ipv6ExtHeader, Ipv6HopByHopHeader, Ipv6HopByHopRepr, Ipv6Packet,
    Ipv6Repr, MldAddressRecord, MldRecordType, MldRepr,
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
        assert_eq!((record.record_type(), record.num_srcs()), (MldRecordType::ChangeToExclude, 0));
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
    // Whoever asks is told, and however often, twice a second.
    let mut question = [&[0x33, 0x33, 0, 0, 0, 1][..], &THEM, &[0x86, 0xdd]].concat();
    question.extend([0x60, 0, 0, 0, 0, 36, 0, 1, 0xfe, 0x80]);
    question.extend([0; 13]);
    question.extend([2, 0xff, 2]);
    question.extend([0; 13]);
    question.extend([1, 58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0, 0x3, 0xe8]);
    question.extend([0; 22]);
    let mut said = 0;
    for _ in 0..200 {
        fed.feed(&question);
        fed.pass(Millis(10));
        said += std::iter::from_fn(|| fed.next_frame()).filter_map(|it| reported(&it)).count();
    }
    assert_eq!(said, 4, "two seconds of questions");
    fed.pass(Millis::seconds(29));
    assert!(std::iter::from_fn(|| fed.next_frame()).all(|frame| reported(&frame).is_none()));
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
