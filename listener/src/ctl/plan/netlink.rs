//! What the kernel says of its interfaces, addresses and routes: one question of rtnetlink(7) at a time.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoBondPort, InfoData, InfoPortData, InfoVlan, LinkAttribute, LinkInfo, LinkLayerType,
    LinkMessage, VlanProtocol,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::links::{Link, Mac, Tag};

/// How long an answer may take. The kernel answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The number of its interface.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// How long the prefix is that is reached without a gateway, in bits.
    pub prefix: u8,
    /// Whether it is there for a time only: from DHCP, or from a router's advertisement.
    pub is_leased: bool,
    /// Whether it is one that soon gives way to another one, for privacy.
    pub is_temporary: bool,
}

/// How the kernel sends to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What becomes of it.
    pub kind: RouteType,
    /// Out of which interface.
    pub index: Option<u32>,
    /// From which address.
    pub source: Option<IpAddr>,
    /// By which gateway.
    pub gateway: Option<IpAddr>,
    /// Through a tunnel that the route itself makes.
    pub is_wrapped: bool,
}

/// A connection to the kernel's network configuration.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// # Errors
    /// When the kernel has no such sockets for this process.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(PATIENCE),
        )?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Every interface of this network namespace.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let answers = self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        let link = |answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Some(link(&message)),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(link).collect())
    }

    /// Every address of every interface.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn addresses(&mut self) -> io::Result<Vec<Held>> {
        let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let held = |answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => held(&message),
            _ => None,
        };
        Ok(self.ask(question, NLM_F_DUMP)?.into_iter().filter_map(held).collect())
    }

    /// How this host sends to `to`, through interface `through` if one is given.
    ///
    /// # Errors
    /// When there is no way there, in the kernel's words.
    pub fn route(&mut self, to: IpAddr, through: Option<u32>) -> io::Result<Route> {
        let answer = self.look_up(to, through, RouteFlags::empty())?;
        let mut route = Route {
            kind: answer.header.kind,
            index: None,
            source: None,
            gateway: None,
            is_wrapped: false,
        };
        for attribute in &answer.attributes {
            match attribute {
                RouteAttribute::Oif(index) => route.index = Some(*index),
                RouteAttribute::PrefSource(address) => route.source = ip(address),
                RouteAttribute::Gateway(address) => route.gateway = ip(address),
                RouteAttribute::Via(via) => {
                    use netlink_packet_route::route::RouteVia;
                    route.gateway = match via {
                        RouteVia::Inet(address) => Some((*address).into()),
                        RouteVia::Inet6(address) => Some((*address).into()),
                        _ => None,
                    };
                }
                RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => route.is_wrapped = true,
                _ => {}
            }
        }
        Ok(route)
    }

    /// The destination of the entry in the routing table by which this host sends to `to`; `None` where
    /// the kernel cannot say.
    pub fn prefix(&mut self, to: IpAddr, through: Option<u32>) -> Option<(IpAddr, u8)> {
        let answer = self.look_up(to, through, RouteFlags::FibMatch).ok()?;
        let everything: IpAddr = match to {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let found = answer.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Destination(address) => ip(address),
            _ => None,
        });
        let length = answer.header.destination_prefix_length;
        match found {
            Some(address) => Some((address, length)),
            None if length == 0 => Some((everything, 0)),
            None => None,
        }
    }

    fn look_up(
        &mut self,
        to: IpAddr,
        through: Option<u32>,
        flags: RouteFlags,
    ) -> io::Result<RouteMessage> {
        let mut question = RouteMessage::default();
        (question.header.address_family, question.header.destination_prefix_length) = match to {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        question.header.flags = flags;
        question.attributes.push(RouteAttribute::Destination(to.into()));
        question.attributes.extend(through.map(RouteAttribute::Oif));
        let answers = self.ask(RouteNetlinkMessage::GetRoute(question), 0)?;
        let route = |answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => Some(message),
            _ => None,
        };
        answers.into_iter().find_map(route).ok_or_else(|| io::Error::other("no answer"))
    }

    /// Asks, and takes all that the kernel answers.
    fn ask(
        &mut self,
        question: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(question));
        packet.header.flags = NLM_F_REQUEST | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::other(error.to_string()))?;
                // Each begins where four divides.
                let length = (answer.header.length as usize).next_multiple_of(4);
                rest = rest.get(length.max(4)..).unwrap_or_default();
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io());
                    }
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    _ => {}
                }
                if flags & NLM_F_DUMP == 0 {
                    return Ok(answers);
                }
            }
        }
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn held(message: &AddressMessage) -> Option<Held> {
    let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
    let (mut address, mut local) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(it) => address = Some(*it),
            // Of a point-to-point link, the other one is the peer's.
            AddressAttribute::Local(it) => local = Some(*it),
            AddressAttribute::Flags(it) => flags = *it,
            _ => {}
        }
    }
    Some(Held {
        index: message.header.index,
        address: local.or(address)?,
        prefix: message.header.prefix_len,
        is_leased: !flags.contains(AddressFlags::Permanent),
        // The bit of IFA_F_TEMPORARY means something else with IPv4: a further address of a subnet.
        is_temporary: message.header.family == AddressFamily::Inet6
            && flags.contains(AddressFlags::Secondary),
    })
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        layer: match message.header.link_layer_type {
            LinkLayerType::Ether => None,
            other => Some(other.to_string().to_lowercase()),
        },
        ..Link::default()
    };
    let mut own = None;
    let mut burnt_in = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => own = mac(bytes),
            LinkAttribute::PermAddress(bytes) => burnt_in = burnt_in.or(mac(bytes)),
            LinkAttribute::Link(index) => link.parent = Some(*index),
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
                        LinkInfo::Data(InfoData::Vlan(vlan)) => link.tag = tag(vlan),
                        LinkInfo::PortData(InfoPortData::BondPort(port)) => {
                            // What the bond put in its place is gone in the crash kernel.
                            burnt_in = port.iter().find_map(|it| match it {
                                InfoBondPort::PermHwaddr(bytes) => mac(bytes),
                                _ => None,
                            });
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    link.mac = burnt_in.or(own);
    link
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    let bytes: [u8; 6] = bytes.try_into().ok()?;
    (bytes != [0; 6]).then_some(Mac(bytes))
}

fn tag(vlan: &[InfoVlan]) -> Option<Tag> {
    let id = vlan.iter().find_map(|it| match it {
        InfoVlan::Id(id) => Some(*id),
        _ => None,
    })?;
    let is_service =
        vlan.iter().any(|it| matches!(it, InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)));
    Some(Tag { id, is_service })
}
