//! The ways to the nodes: one for each interface that the running system reaches them by.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_route::route::RouteType;

use super::draft::Way;
use super::links::{self, Link};
use super::netlink::{Held, Netlink, Route};

/// All that is known of the network.
pub struct Network {
    /// The kernel, for routes.
    pub netlink: Netlink,
    /// Every interface.
    pub links: Vec<Link>,
    /// Every address.
    pub held: Vec<Held>,
}

/// Ways found so far, and what was remarkable.
#[derive(Debug, Default)]
pub struct Ways {
    /// Each with the cards under its interface.
    pub found: Vec<(Way, Vec<Link>)>,
    /// For people.
    pub remarks: Vec<String>,
}

/// What one address of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It is reached, through an interface of this name.
    By(String),
    /// It is an address of this host itself.
    Itself,
    /// It is not, for this reason.
    Not(String),
}

impl Ways {
    /// Finds the way to `to`, or uses one that is there already.
    pub fn add(&mut self, network: &mut Network, to: SocketAddr) -> Reached {
        let through = match to {
            SocketAddr::V6(to) if to.scope_id() != 0 => Some(to.scope_id()),
            _ => None,
        };
        let to = to.ip();
        let route = match network.netlink.route(to, through) {
            Ok(route) => route,
            Err(error) => return Reached::Not(format!("no route there: {error}")),
        };
        match route.kind {
            RouteType::Local => return Reached::Itself,
            RouteType::Unicast
            | RouteType::Broadcast
            | RouteType::Multicast
            | RouteType::Anycast => {}
            other => return Reached::Not(format!("the route there is {other:?}").to_lowercase()),
        }
        if route.is_wrapped {
            return Reached::Not("the route there goes through a tunnel".to_owned());
        }
        let interface =
            route.index.and_then(|index| network.links.iter().find(|it| it.index == index));
        let Some(interface) = interface.cloned() else {
            return Reached::Not("the route there names no interface".to_owned());
        };
        let prefix = match (route.kind, route.gateway) {
            // Broadcast and multicast need no router on the way.
            (RouteType::Broadcast | RouteType::Multicast, _) => None,
            (_, Some(gateway)) if gateway.is_ipv4() != to.is_ipv4() => {
                return Reached::Not(format!("its gateway, {gateway}, is of the other family"));
            }
            (_, gateway) => Some((network.netlink.prefix(to, through), gateway)),
        };
        let source = match source(&network.held, &interface, &route) {
            Ok(source) => source,
            Err(why) => return Reached::Not(why),
        };
        let number = match self.number(network, &interface) {
            Ok(number) => number,
            Err(why) => return Reached::Not(why),
        };
        let Some((way, _)) = self.found.get_mut(number) else {
            return Reached::Not("no way".to_owned());
        };
        add_once(&mut way.addresses, (source.address, source.prefix));
        way.dhcp4 |= source.is_leased && source.address.is_ipv4();
        way.slaac |= source.is_leased && source.address.is_ipv6() && !is_link_local(source.address);
        if let Some((prefix, gateway)) = prefix {
            let (net, length) = prefix.unwrap_or((to, if to.is_ipv4() { 32 } else { 128 }));
            match gateway {
                Some(gateway) => add_once(&mut way.routes, (net, length, gateway)),
                // Beside this host, though none of its addresses says so.
                None if !is_in(to, source) => {
                    let whole = if to.is_ipv4() { 32 } else { 128 };
                    add_once(&mut way.routes, (to, whole, to));
                }
                None => {}
            }
        }
        Reached::By(interface.name)
    }

    /// The way through `interface`, made when it is not there.
    fn number(&mut self, network: &Network, interface: &Link) -> Result<usize, String> {
        if let Some(number) = self.found.iter().position(|(way, _)| way.name == interface.name) {
            return Ok(number);
        }
        let cards = links::cards(&network.links, interface.index)?;
        self.remarks.extend(cards.remarks);
        let way = Way {
            name: interface.name.clone(),
            macs: cards.cards.iter().filter_map(|card| card.mac).collect(),
            vlan: cards.vlan,
            addresses: Vec::new(),
            routes: Vec::new(),
            dhcp4: false,
            slaac: false,
        };
        self.found.push((way, cards.cards));
        Ok(self.found.len().saturating_sub(1))
    }
}

fn add_once<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// The address that this host sends from. One that lives for a day only is not what it has tomorrow.
fn source<'a>(held: &'a [Held], interface: &Link, route: &Route) -> Result<&'a Held, String> {
    let name = &interface.name;
    let source =
        route.source.ok_or_else(|| format!("{name}: the kernel names no address of this host"))?;
    let chosen = held.iter().find(|it| it.address == source);
    let chosen = chosen.ok_or_else(|| format!("{source}: an address that no interface has"))?;
    let lasting = held.iter().find(|it| {
        it.index == chosen.index
            && !it.is_temporary
            && it.prefix == chosen.prefix
            && is_in(it.address, chosen)
    });
    Ok(if chosen.is_temporary { lasting.unwrap_or(chosen) } else { chosen })
}

/// Whether `address` is beside the host that has `held`.
#[must_use]
pub fn is_in(address: IpAddr, held: &Held) -> bool {
    let shift = |bits: u8| u32::from(bits.saturating_sub(held.prefix));
    match (address, held.address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
