//! `plan`: what the running system knows of the way to the nodes, for its crash kernel, which knows nothing.
//!
//! | module | its one truth |
//! |---|---|
//! | [`netlink`] | what the kernel says of interfaces, addresses and routes |
//! | [`sysfs`] | what drives a network card |
//! | [`links`] | which cards lie under an interface |
//! | [`modules`] | which modules are loaded, in which order |
//! | [`ways`] | by which interfaces the nodes are reached |
//! | [`words`] | the sender's command line in it |
//! | [`draft`] | how it is written down |

pub mod draft;
pub mod links;
pub mod modules;
pub mod netlink;
pub mod sysfs;
pub mod ways;
pub mod words;

#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Failure;
use super::command::Plan;
use crate::keys::Ring;
use crate::keys::write::{self, WriteError};
use draft::Draft;
use links::Link;
use modules::Modules;
use netlink::Netlink;
use ways::{Network, Reached, Ways};

/// Where the kernel shows its devices.
const SYS: &str = "/sys";
/// Where modules are, a folder for each kernel.
const MODULES: &str = "/lib/modules";

/// Why there is no plan.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The kernel does not tell.
    #[error("the kernel does not tell {0}: {1}")]
    Kernel(&'static str, std::io::Error),
    /// Nobody can be told.
    #[error("no node can be reached without the running system")]
    Nobody,
    /// depmod has not been there.
    #[error("{0}: {1}; 'depmod VERSION' writes it, and --kernel names another kernel")]
    Modules(PathBuf, std::io::Error),
    /// A plan is made of words.
    #[error("{0:?}: cannot stand in a plan, where spaces part words and '#' begins a remark")]
    Word(String),
    /// The key file holds no node's key.
    #[error("{0}: holds no key of a node, and a crash kernel is to have no other")]
    NoNodeKey(PathBuf),
}

/// Makes a plan, and writes it where it is wanted.
///
/// # Errors
/// When there is none, or it cannot be written. What cannot be planned while something else can is only
/// remarked, on standard error.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    if let Some(key_file) = &plan.sender.key_file
        && Ring::load(key_file)?.nodes().is_empty()
    {
        return Err(PlanError::NoNodeKey(key_file.clone()).into());
    }
    let (draft, remarks) = make(plan)?;
    for remark in &remarks {
        drop(writeln!(std::io::stderr(), "fence_kdumpctl: {remark}"));
    }
    if draft.ways.is_empty() {
        return Err(PlanError::Nobody.into());
    }
    let text = draft.to_string();
    match &plan.output {
        None => Ok(text.trim_end().to_owned()),
        Some(path) if path == Path::new("-") => Ok(text.trim_end().to_owned()),
        Some(path) => {
            match write::create(path, text.as_bytes()) {
                Err(WriteError::Exists(_)) => write::replace(path, text.as_bytes())?,
                other => other?,
            }
            Ok(String::new())
        }
    }
}

/// The plan, and what is to be said of it.
fn make(plan: &Plan) -> Result<(Draft, Vec<String>), PlanError> {
    let mut network = network(Path::new(SYS))?;
    let mut ways = Ways::default();
    let mut remarks = Vec::new();
    let mut nodes = Vec::new();
    let mut words = plan.sender.words();
    let mut itself = 0_usize;
    for word in &plan.nodes {
        let name = words::node(word);
        let addresses = match resolve(name, plan.sender.family()) {
            Ok(addresses) => addresses,
            Err(why) => {
                remarks.push(format!(
                    "{name}: {why}; it can only be told if the crash kernel finds it"
                ));
                words.push(word.clone());
                continue;
            }
        };
        let mut told = Vec::new();
        let mut is_itself = false;
        for address in addresses {
            match ways.add(&mut network, address) {
                Reached::By(interface) => told.push(shown(address, &interface)),
                Reached::Itself => is_itself = true,
                Reached::Not(why) => {
                    remarks.push(format!("{name}: {}: not planned: {why}", address.ip()));
                }
            }
        }
        if is_itself {
            // The same list is on every node of a cluster.
            remarks.push(format!("{name}: is this host itself, and is left out"));
            itself = itself.saturating_add(1);
            continue;
        }
        words.push(word.clone());
        told.dedup();
        // An address says itself what it means, with a zone, too.
        let is_address = name.split('%').next().is_some_and(|it| it.parse::<IpAddr>().is_ok());
        if !told.is_empty() && !is_address {
            nodes.push((name.to_owned(), told));
        }
    }
    remarks.append(&mut ways.remarks);
    for word in &words {
        if word.is_empty()
            || word.contains(|it: char| it.is_whitespace() || it == '#' || it.is_control())
        {
            return Err(PlanError::Word(word.clone()));
        }
    }
    let running = running_kernel();
    let kernel = plan.kernel.clone().unwrap_or_else(|| running.clone());
    let cards: Vec<&Link> = ways.found.iter().flat_map(|(_, cards)| cards).collect();
    let is_other = kernel != running;
    let modules = modules_for(&cards, &kernel, is_other, &mut remarks)?;
    let ways = ways.found.into_iter().map(|(way, _)| way).collect();
    let in_kernel = plan.mode == super::command::Mode::Kernel;
    let init = plan.init.clone();
    Ok((Draft { kernel, init, modules, words, nodes, ways, in_kernel }, remarks))
}

fn network(sys: &Path) -> Result<Network, PlanError> {
    let mut netlink =
        Netlink::open().map_err(|error| PlanError::Kernel("of its network", error))?;
    let links = netlink.links().map_err(|error| PlanError::Kernel("its interfaces", error));
    let mut links = links?;
    for link in &mut links {
        sysfs::complete(sys, link);
    }
    let held = netlink.addresses().map_err(|error| PlanError::Kernel("its addresses", error))?;
    Ok(Network { netlink, links, held })
}

/// The modules for `cards`, and for packets that are not the kernel's own.
fn modules_for(
    cards: &[&Link],
    kernel: &str,
    is_other: bool,
    remarks: &mut Vec<String>,
) -> Result<Vec<PathBuf>, PlanError> {
    let sys = Path::new(SYS);
    if !is_other && cards.iter().all(|card| !card.has_device) {
        return Ok(Vec::new());
    }
    let folder = Path::new(MODULES).join(kernel);
    let modules = match Modules::read(&folder) {
        // A kernel that has none.
        Err(error) if error.kind() == ErrorKind::NotFound && !is_other => Modules::default(),
        read => read.map_err(|error| PlanError::Modules(folder.join("modules.dep"), error))?,
    };
    let mut order = Vec::new();
    modules.add("af_packet", &mut order);
    for card in cards {
        remarks.append(&mut sysfs::doubts(sys, &card.name));
        match sysfs::modules_of(sys, &card.name, &modules, is_other) {
            Ok(names) => names.iter().for_each(|name| modules.add(name, &mut order)),
            Err(why) => remarks.push(why),
        }
    }
    Ok(order)
}

fn running_kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// All addresses of a node, each once, IPv4 as IPv4.
fn resolve(name: &str, family: Option<bool>) -> Result<Vec<SocketAddr>, String> {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        text.rsplit("information: ").next().unwrap_or_default().to_owned()
    })?;
    let mut addresses = Vec::new();
    for address in found {
        let address = match address.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), 0),
            IpAddr::V6(_) => address,
        };
        let counts = family.is_none_or(|v6| address.is_ipv6() == v6);
        if counts && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err("no address".to_owned());
    }
    Ok(addresses)
}

/// An address with its zone, which is the name of a `link` of the plan.
fn shown(address: SocketAddr, interface: &str) -> String {
    match address {
        SocketAddr::V6(it) if it.scope_id() != 0 => format!("{}%{interface}", it.ip()),
        other => other.ip().to_string(),
    }
}
