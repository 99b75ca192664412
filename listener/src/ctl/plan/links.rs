//! Which network cards lie under an interface, through bonds, bridges and VLANs.

use std::collections::BTreeSet;
use std::fmt;

/// How deep interfaces lie upon each other at most; the kernel's own bound is 8.
const DEEPEST: usize = 16;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The mark of a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// 1 to 4094.
    pub id: u16,
    /// Whether it is one of IEEE 802.1ad, which the outer one of two is.
    pub is_service: bool,
}

/// An interface, as the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// What made it, as `ip link` says (`vlan`, `bond`); none for the network cards.
    pub kind: Option<String>,
    /// What it is instead of Ethernet.
    pub layer: Option<String>,
    /// The address that its card comes up with, as far as the kernel tells.
    pub mac: Option<Mac>,
    /// The one that it lies upon.
    pub parent: Option<u32>,
    /// The bond, bridge or team that it is a member of.
    pub controller: Option<u32>,
    /// With which mark, when it is a VLAN.
    pub tag: Option<Tag>,
    /// Whether it is a WLAN's.
    pub is_wireless: bool,
    /// Whether there is a device: what virtual machines and containers have here has none.
    pub has_device: bool,
}

/// What lies under an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cards {
    /// Network cards, the kernel's order.
    pub cards: Vec<Link>,
    /// The VLAN between.
    pub vlan: Option<u16>,
    /// What is not as one might think.
    pub remarks: Vec<String>,
}

/// Finds the cards under interface `index`.
///
/// # Errors
/// Why nobody can send there without the running system: in words, beginning with the interface's name.
pub fn cards(links: &[Link], index: u32) -> Result<Cards, String> {
    let mut found = Vec::new();
    let mut reasons = Vec::new();
    descend(links, index, None, 0, &mut found, &mut reasons);
    // A bridge's ports are also those of guests, by which nobody else is reached.
    if found.iter().any(|(link, _)| link.has_device) {
        found.retain(|(link, _)| link.has_device);
    }
    let Some(&(_, vlan)) = found.first() else {
        let why = if reasons.is_empty() {
            let name = links.iter().find(|link| link.index == index);
            let name = name.map_or("an interface", |link| &link.name);
            format!("{name}: no network card lies under it")
        } else {
            reasons.join("; ")
        };
        return Err(why);
    };
    let mut remarks = reasons;
    let mut seen = BTreeSet::new();
    let mut cards = Vec::new();
    for (link, tag) in found {
        if tag == vlan {
            if seen.insert(link.index) {
                cards.push(link.clone());
            }
        } else {
            remarks.push(format!("{}: left out, its VLAN is another one", link.name));
        }
    }
    Ok(Cards { cards, vlan, remarks })
}

type Found<'a> = Vec<(&'a Link, Option<u16>)>;

fn descend<'a>(
    links: &'a [Link],
    index: u32,
    vlan: Option<u16>,
    depth: usize,
    found: &mut Found<'a>,
    reasons: &mut Vec<String>,
) {
    let Some(link) = links.iter().find(|link| link.index == index && depth < DEEPEST) else {
        return;
    };
    let name = &link.name;
    let mut down = |index, vlan, reasons: &mut Vec<String>| {
        descend(links, index, vlan, depth.saturating_add(1), found, reasons);
    };
    match link.kind.as_deref() {
        Some("vlan") => match (link.parent, link.tag, vlan) {
            (_, _, Some(outer)) => reasons.push(format!("{name}: a VLAN inside VLAN {outer}")),
            (_, Some(Tag { is_service: true, .. }), _) => {
                reasons.push(format!("{name}: a VLAN of IEEE 802.1ad"));
            }
            (Some(parent), Some(tag), None) => down(parent, Some(tag.id), reasons),
            _ => reasons.push(format!("{name}: the kernel does not tell its VLAN")),
        },
        Some("bond" | "team" | "bridge") => {
            for member in links.iter().filter(|link| link.controller == Some(index)) {
                down(member.index, vlan, reasons);
            }
        }
        Some("macvlan" | "macvtap" | "ipvlan" | "ipvtap") => match link.parent {
            Some(parent) => down(parent, vlan, reasons),
            None => reasons.push(format!("{name}: what it lies upon is in another namespace")),
        },
        None | Some("veth" | "netdevsim") => match (link.mac, &link.layer) {
            (_, Some(layer)) => {
                reasons.push(format!("{name}: {layer}, and only Ethernet can be spoken"));
            }
            _ if link.is_wireless => {
                reasons.push(format!("{name}: a WLAN, which nobody joins in a crash kernel"));
            }
            (None, None) => reasons.push(format!("{name}: has no Ethernet address")),
            (Some(_), None) => found.push((link, vlan)),
        },
        Some(kind) => reasons.push(format!("{name}: {kind}, which is no network card's")),
    }
}
