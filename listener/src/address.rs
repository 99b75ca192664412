//! Where a datagram came from, and where a node's datagrams come from: the only identity there is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An address without a port: IPv4 inside IPv6 folded to IPv4, and a zone where, and only where, the
/// address means nothing without one (link-local IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address {
    ip: IpAddr,
    zone: u32,
}

/// Why an address is none that a node could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// `0.0.0.0` or `::`.
    #[error("{0} is no node's address but stands for any")]
    Unspecified(IpAddr),
    /// What `getaddrinfo(3)` makes of a name that is a small number.
    #[error("{0} is no node's address: nothing in 0.0.0.0/8 is")]
    ThisNetwork(IpAddr),
    /// Datagrams never come from such an address.
    #[error("{0} is a multicast address; a node's own address is needed")]
    Multicast(IpAddr),
    /// Datagrams never come from such an address.
    #[error("{0} is the broadcast address; a node's own address is needed")]
    Broadcast(IpAddr),
    /// Every interface has such an address.
    #[error("{0} is link-local and needs its interface, as in {0}%eth0")]
    ZoneMissing(Ipv6Addr),
    /// The zone says nothing here.
    #[error("{0} is not link-local and takes no zone")]
    ZoneNeedless(Ipv6Addr),
}

impl Address {
    /// The source of a datagram.
    #[must_use]
    pub fn of_source(source: SocketAddr) -> Self {
        let ip = source.ip().to_canonical();
        let zone = match (source, ip) {
            (SocketAddr::V6(v6), IpAddr::V6(ip)) if ip.is_unicast_link_local() => v6.scope_id(),
            _ => 0,
        };
        Self { ip, zone }
    }

    /// The address of a node, as configured or resolved.
    ///
    /// # Errors
    /// When no node could ever send from it.
    pub fn of_node(address: SocketAddr) -> Result<Self, AddressError> {
        let folded = Self::of_source(address);
        match folded.ip {
            ip if ip.is_unspecified() => Err(AddressError::Unspecified(ip)),
            ip if ip.is_multicast() => Err(AddressError::Multicast(ip)),
            IpAddr::V4(v4) if v4.octets().first() == Some(&0) => {
                Err(AddressError::ThisNetwork(folded.ip))
            }
            IpAddr::V4(v4) if v4.is_broadcast() => Err(AddressError::Broadcast(folded.ip)),
            IpAddr::V6(v6) if v6.is_unicast_link_local() && folded.zone == 0 => {
                Err(AddressError::ZoneMissing(v6))
            }
            IpAddr::V6(v6) if folded.zone == 0 && has_zone(address) => {
                Err(AddressError::ZoneNeedless(v6))
            }
            _ => Ok(folded),
        }
    }

    /// The address itself.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Where UDP port `port` of it is.
    #[must_use]
    pub fn with_port(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(_) => SocketAddr::new(self.ip, port),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, self.zone).into(),
        }
    }
}

fn has_zone(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone {
            0 => write!(f, "{}", self.ip),
            zone => write!(f, "{}%{zone}", self.ip),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads what [`fmt::Display`] writes: the zone is the number of an interface.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("'{text}' is not an address");
        let (ip, zone) = text.split_once('%').unwrap_or((text, "0"));
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let zone: u32 = zone.parse().map_err(|_| wrong())?;
        Ok(Self::of_source(match ip {
            IpAddr::V4(_) => SocketAddr::new(ip, 0),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, 0, 0, zone).into(),
        }))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v6(text: &str, zone: u32) -> SocketAddr {
        SocketAddrV6::new(text.parse().unwrap(), 5, 0, zone).into()
    }

    #[test]
    fn one_address_however_it_is_seen() {
        let v4 = Address::of_node("192.0.2.7:1".parse().unwrap()).unwrap();
        assert_eq!(Address::of_source(v6("::ffff:192.0.2.7", 0)), v4);
        assert_eq!(v4.to_string(), "192.0.2.7");
        let global = Address::of_node(v6("2001:db8::7", 0)).unwrap();
        assert_eq!(Address::of_source(v6("2001:db8::7", 3)), global);
        let local = Address::of_node(v6("fe80::7", 3)).unwrap();
        assert_ne!(Address::of_source(v6("fe80::7", 4)), local);
        assert_eq!("fe80::7%3".parse(), Ok(local));
    }

    #[test]
    fn what_no_node_can_have() {
        for (address, why) in [
            ("0.0.0.0:0", "stands for any"),
            ("[::]:0", "stands for any"),
            ("[::ffff:0.0.0.0]:0", "stands for any"),
            ("0.0.28.242:0", "nothing in 0.0.0.0/8"),
            ("224.0.0.1:0", "multicast"),
            ("[ff02::1%2]:0", "multicast"),
            ("255.255.255.255:0", "broadcast"),
            ("[fe80::1]:0", "as in fe80::1%eth0"),
            ("[2001:db8::1%2]:0", "takes no zone"),
        ] {
            let error = Address::of_node(address.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(why), "{address}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ip: std::net::Ipv6Addr, zone: u32) {
            let address = Address::of_source(SocketAddrV6::new(ip, 1, 0, zone).into());
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
