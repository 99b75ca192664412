//! The plan itself: what fence_kdump.plan(5) says of its lines.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::links::Mac;

/// An interface by which nodes are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its name in the system that runs.
    pub name: String,
    /// Of the cards under it.
    pub macs: Vec<Mac>,
    /// The mark of its frames.
    pub vlan: Option<u16>,
    /// What this host is called there, and how much of the network is beside it.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Where gateways lead.
    pub routes: Vec<(IpAddr, u8, IpAddr)>,
    /// Whether an IPv4 address came from DHCP.
    pub dhcp4: bool,
    /// Whether an IPv6 address came from a router's advertisement.
    pub slaac: bool,
}

/// A plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// For which kernel.
    pub kernel: String,
    /// What PID 1 becomes.
    pub init: Option<PathBuf>,
    /// Modules in the order in which they are loaded.
    pub modules: Vec<PathBuf>,
    /// The sender's own command line.
    pub words: Vec<String>,
    /// Names, and what they resolved to.
    pub nodes: Vec<(String, Vec<String>)>,
    /// The ways there.
    pub ways: Vec<Way>,
    /// Whether the kernel is to have the address, instead of the sender alone.
    pub in_kernel: bool,
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Made by 'fence_kdumpctl plan' for kernel {}: see fence_kdump.plan(5).",
            self.kernel
        )?;
        writeln!(f, "fence_kdump_plan 1")?;
        if let Some(init) = &self.init {
            writeln!(f, "init {}", init.display())?;
        }
        for module in &self.modules {
            writeln!(f, "module {}", module.display())?;
        }
        writeln!(f, "send {}", self.words.join(" "))?;
        for (name, addresses) in &self.nodes {
            writeln!(f, "node {name} {}", addresses.join(" "))?;
        }
        for way in &self.ways {
            write!(f, "{way}")?;
            writeln!(f, "{}", if self.in_kernel { " mode kernel" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let macs: Vec<String> = self.macs.iter().map(Mac::to_string).collect();
        write!(f, "link {} mac {}", self.name, macs.join(","))?;
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        for (address, prefix) in &self.addresses {
            write!(f, " address {address}/{prefix}")?;
        }
        for (to, prefix, gateway) in &self.routes {
            write!(f, " route {to}/{prefix} {gateway}")?;
        }
        if self.dhcp4 {
            f.write_str(" dhcp4")?;
        }
        if self.slaac {
            f.write_str(" slaac")?;
        }
        Ok(())
    }
}
