//! The daemon: holds the port for good, follows every node's dump, and serves the agents.

use std::collections::HashMap;
use std::future::pending;
use std::str::FromStr;

use fence_kdump_core::{Event, Instant, NodeId, Outcome, Slot, State, Tracker, encode, session};
use thiserror::Error;

use crate::address::Address;
use crate::clock;
use crate::control::packet::{NodeStatus, Status};
use crate::line::{Line, News, Notice};
use crate::lookup;
use crate::nodes::Known;
use crate::options::Family;
use crate::socket::Datagram;
use crate::voice::{Voice, Weight};

/// A node that the daemon follows: `NAME=ADDRESS[,ADDRESS...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// What it is called.
    pub name: String,
    /// Its addresses, or names of them; at least one.
    pub addresses: Vec<String>,
}

/// Why a node cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FollowError {
    /// Not of the form.
    #[error("'{0}' is not NAME=ADDRESS[,ADDRESS...]")]
    Form(String),
    /// An address that is none.
    #[error("{node}: {address}: {why}")]
    Address {
        /// Of which node.
        node: String,
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two nodes with one address: nobody could tell whose message it is.
    #[error("{address} is an address of {first} and of {second}; a node needs its own")]
    Shared {
        /// Which address.
        address: Address,
        /// The node that has it.
        first: String,
        /// The node that would have it, too.
        second: String,
    },
    /// Two nodes with one name.
    #[error("{0} is named twice")]
    Twice(String),
}

impl FromStr for Follow {
    type Err = FollowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || FollowError::Form(text.to_owned());
        let (name, addresses) = text.split_once('=').ok_or_else(form)?;
        let addresses: Vec<String> = addresses.split(',').map(str::to_owned).collect();
        if name.is_empty() || addresses.iter().any(String::is_empty) {
            return Err(form());
        }
        Ok(Self { name: name.to_owned(), addresses })
    }
}

/// The nodes and what is known of them.
#[derive(Debug)]
pub struct Fleet {
    names: Vec<String>,
    by_address: HashMap<Address, NodeId>,
    tracker: Tracker<Box<[Slot]>>,
}

impl Fleet {
    /// Finds the addresses of all nodes. Blocks as long as the resolver does.
    ///
    /// # Errors
    /// When an address cannot be found, or belongs to two nodes.
    pub fn new(nodes: &[Follow]) -> Result<Self, FollowError> {
        let mut names: Vec<String> = Vec::new();
        let mut by_address = HashMap::new();
        for (id, node) in (0_u32..).map(NodeId).zip(nodes) {
            if names.contains(&node.name) {
                return Err(FollowError::Twice(node.name.clone()));
            }
            names.push(node.name.clone());
            for address in &node.addresses {
                let found = match lookup::look_up(address, Family::Any).known {
                    Known::At(found) => found,
                    Known::Failed(why) => {
                        let (node, address) = (node.name.clone(), address.clone());
                        return Err(FollowError::Address { node, address, why });
                    }
                    Known::Pending => Vec::new(),
                };
                for address in found {
                    let before = by_address.insert(address, id);
                    if let Some(first) = before.filter(|&before| before != id) {
                        return Err(FollowError::Shared {
                            address,
                            first: name_of(&names, first).to_owned(),
                            second: node.name.clone(),
                        });
                    }
                }
            }
        }
        let slots = vec![Slot::EMPTY; names.len()].into_boxed_slice();
        Ok(Self { names, by_address, tracker: Tracker::new(slots, session::SILENCE) })
    }

    /// All addresses of all nodes.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.by_address.keys().copied().collect()
    }

    /// A datagram came: what it changed, in words; `None` when nothing that is worth a line.
    pub fn hear(&mut self, datagram: &Datagram) -> Option<String> {
        let Datagram { received_at, from, said } = datagram;
        let bytes = encode(said.as_ref().ok()?.byte_order);
        let node = self.by_address.get(from).copied();
        match self.tracker.handle(*received_at, &bytes, |_| node) {
            Outcome::Heard { node, event } => match event {
                Event::Started => Some(format!(
                    "{} ({from}): started, it is in its crash kernel",
                    name_of(&self.names, node)
                )),
                Event::Dumping => Some(format!("{} ({from}): dumping", name_of(&self.names, node))),
                _ => None,
            },
            Outcome::Stranger | Outcome::Refused(_) => None,
        }
    }

    /// Time has passed: the next thing that has ended by `now`.
    pub fn tick(&mut self, now: Instant) -> Option<String> {
        let (node, _) = self.tracker.poll(now)?;
        let name = name_of(&self.names, node);
        let silence = session::SILENCE.as_secs();
        Some(format!("{name}: finished, silent for {silence} s"))
    }

    /// The state of all nodes at `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<NodeStatus> {
        let ago = |then: Instant| {
            u64::try_from(now.saturating_since(then).as_millis()).unwrap_or(u64::MAX)
        };
        let nodes = (0_u32..).map(NodeId).zip(&self.names);
        nodes
            .filter_map(|(id, name)| {
                let session = self.tracker.session(id)?;
                let state = match session.state(now) {
                    State::Unheard => "unheard",
                    State::Started => "started",
                    State::Dumping => "dumping",
                    State::Finished => "finished",
                    _ => "unknown",
                };
                Some(NodeStatus {
                    name: name.clone(),
                    state: state.to_owned(),
                    since_ms: session.first_heard().map(ago),
                    last_heard_ms: session.last_heard().map(ago),
                    messages: session.messages(),
                })
            })
            .collect()
    }
}

fn name_of(names: &[String], id: NodeId) -> &str {
    let index = usize::try_from(id.0).unwrap_or(usize::MAX);
    names.get(index).map_or("?", String::as_str)
}

/// Follows `fleet` on UDP port `port` for good.
pub async fn follow(mut fleet: Fleet, port: u16, voice: &Voice) {
    let mut line = Line::new(port);
    line.ask(&fleet.addresses());
    loop {
        while let Some(told) = fleet.tick(clock::now()) {
            voice.say(Weight::Info, told);
        }
        let next_end = fleet.tracker.poll_timeout();
        let news = tokio::select! {
            news = line.next() => news,
            () = sleep_until(next_end) => continue,
        };
        match news {
            News::Datagram(datagram) => match fleet.hear(&datagram) {
                Some(told) => voice.say(Weight::Info, told),
                None => tell_details(&datagram, voice),
            },
            News::Notice(notice) => tell_notice(&notice, port, voice),
            News::StatusAsked(id) => {
                let status = Status {
                    program: "fence_kdumpd".to_owned(),
                    nodes: fleet.status(clock::now()),
                    ..Status::default()
                };
                line.tell_status(id, status);
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep(at.saturating_since(clock::now())).await,
        None => pending().await,
    }
}

fn tell_details(datagram: &Datagram, voice: &Voice) {
    if voice.verbose() > 0 {
        let from = datagram.from;
        voice.say(
            Weight::Detail,
            match datagram.said {
                Ok(_) => format!("heard a message from {from}"),
                Err(error) => format!("refused a datagram from {from}: {error}"),
            },
        );
    }
}

fn tell_notice(notice: &Notice, port: u16, voice: &Voice) {
    match notice {
        Notice::Listening => voice.say(Weight::Info, format!("listening on UDP port {port}")),
        Notice::Served(peer) => voice.say(
            Weight::Info,
            format!("process {} reads UDP port {port} and serves this one", peer.pid),
        ),
        Notice::Bereft => voice.say(Weight::Info, "the process that read the port is gone"),
        Notice::Hangs(peer) | Notice::ServedInVain(peer) => voice.say_once(
            Weight::Warning,
            format!("process {} should read UDP port {port} and does not", peer.pid),
        ),
        Notice::PortInUse(trouble) | Notice::Untrusted(trouble) | Notice::Trouble(trouble) => {
            voice.say_once(Weight::Warning, trouble.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{ByteOrder, Message};

    fn message(from: &str, second: u64) -> Datagram {
        Datagram {
            received_at: Instant::from_nanos(second * 1_000_000_000),
            from: from.parse().unwrap(),
            said: Ok(Message::v1(ByteOrder::Little)),
        }
    }

    fn fleet(nodes: &[&str]) -> Result<Fleet, FollowError> {
        let nodes: Result<Vec<Follow>, _> = nodes.iter().map(|text| text.parse()).collect();
        Fleet::new(&nodes?)
    }

    #[test]
    fn a_dump_is_told_from_start_to_end() {
        let mut fleet = fleet(&["a=10.0.0.1,fd00::1", "b=10.0.0.2"]).unwrap();
        assert!(fleet.hear(&message("fd00::1", 10)).unwrap().starts_with("a (fd00::1): started"));
        assert!(fleet.hear(&message("10.0.0.1", 20)).unwrap().contains("dumping"));
        assert_eq!(fleet.hear(&message("10.0.0.1", 30)), None);
        assert_eq!(fleet.hear(&message("10.0.0.3", 30)), None, "a stranger");
        let now = Instant::from_nanos(31_000_000_000);
        let [a, b] = fleet.status(now).try_into().unwrap();
        assert_eq!(
            (a.state.as_str(), a.since_ms, a.last_heard_ms),
            ("dumping", Some(21_000), Some(1_000))
        );
        assert_eq!((b.state.as_str(), b.last_heard_ms), ("unheard", None));
        let later = Instant::from_nanos(60_000_000_000);
        assert_eq!(fleet.tick(now), None);
        assert!(fleet.tick(later).unwrap().starts_with("a: finished"));
        assert_eq!(fleet.tick(later), None);
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        for (nodes, said) in [
            (&["a"][..], "NAME=ADDRESS"),
            (&["a="], "NAME=ADDRESS"),
            (&["=10.0.0.1"], "NAME=ADDRESS"),
            (&["a=224.0.0.1"], "multicast"),
            (&["a=10.0.0.1", "b=10.0.0.1"], "10.0.0.1 is an address of a and of b"),
            (&["a=10.0.0.1", "a=10.0.0.2"], "named twice"),
        ] {
            let error = fleet(nodes).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
