//! The question of one run, and what is known that bears on it. Here, and only here, the agent
//! decides.

use std::collections::HashMap;

use fence_kdump_core::{Instant, Message, Question, Session, Verdict, session};

use crate::address::Address;
use crate::nodes::{Believed, Node, Rule};
use crate::socket::Datagram;

/// Is this node in its crash kernel?
#[derive(Debug)]
pub struct Inquiry {
    started: Instant,
    deadline: Instant,
    node: Node,
    believed: Believed,
    /// The latest message from each address of any of the names, believed by now or not.
    heard: HashMap<Address, (Instant, Message)>,
}

/// What the inquiry has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// The node is in its crash kernel.
    InCrashKernel {
        /// The address of the latest message.
        from: Address,
        /// When it arrived.
        heard_at: Instant,
    },
    /// It is not known to be.
    Open,
    /// It was not known to be by the deadline.
    TooLate,
}

impl Inquiry {
    /// Asks about `node` from `started` to `deadline`.
    #[must_use]
    pub fn new(node: Node, started: Instant, deadline: Instant) -> Self {
        let believed = node.believed();
        Self { started, deadline, node, believed, heard: HashMap::new() }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whose messages count by now.
    #[must_use]
    pub fn believed(&self) -> &Believed {
        &self.believed
    }

    /// More is known of the node's names. True when the rule by which addresses count has changed.
    pub fn learn(&mut self, learn: impl FnOnce(&mut Node)) -> bool {
        learn(&mut self.node);
        let before = std::mem::replace(&mut self.believed, self.node.believed());
        before.rule != self.believed.rule
    }

    /// A datagram came. Only a whole, valid message is kept, and only the latest of an address that
    /// some name has (whoever else sends is a stranger: see [`Inquiry::is_stranger`]).
    pub fn hear(&mut self, datagram: &Datagram) {
        let Ok(message) = datagram.said else {
            return;
        };
        if self.is_stranger(datagram.from) {
            return;
        }
        let latest = (datagram.received_at, message);
        let known = self.heard.entry(datagram.from).or_insert(latest);
        if known.0 < latest.0 {
            *known = latest;
        }
    }

    /// Whether `from` is no address of any of the names.
    #[must_use]
    pub fn is_stranger(&self, from: Address) -> bool {
        !self.believed.addresses.contains(&from) && !self.node.has(from)
    }

    /// What is known at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        if now >= self.deadline {
            return Standing::TooLate;
        }
        if self.believed.rule == Rule::PortPending {
            return Standing::Open;
        }
        let mut session = Session::new();
        let mut from = None;
        for (&address, &(at, ref message)) in &self.heard {
            if self.believed.addresses.contains(&address) {
                session.hear(at, message, session::SILENCE);
                if session.last_heard() == Some(at) {
                    from = Some(address);
                }
            }
        }
        let question = Question { not_before: self.started, now };
        match (Verdict::of(&session, question), from) {
            (Verdict::InCrashKernel(evidence), Some(from)) => {
                Standing::InCrashKernel { from, heard_at: evidence.heard_at }
            }
            (Verdict::InCrashKernel(_), None) | (Verdict::NotKnown(_), _) => Standing::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::Known;
    use crate::options::Family;
    use fence_kdump_core::{ByteOrder, DecodeError};
    use proptest::prelude::*;

    fn s(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn at(address: &str) -> Known {
        Known::At(vec![address.parse().unwrap()])
    }

    fn message(from: &str, second: u64) -> Datagram {
        Datagram {
            received_at: s(second),
            from: from.parse().unwrap(),
            said: Ok(Message::v1(ByteOrder::Big)),
        }
    }

    fn inquiry(nodename: &[&str], port: Option<&str>) -> Inquiry {
        let names: Vec<_> = nodename.iter().map(|&name| name.to_owned()).collect();
        let mut inquiry = Inquiry::new(Node::new(&names, port, Family::Any), s(100), s(160));
        inquiry.learn(|node| node.learn("a", &at("10.0.0.1")));
        inquiry
    }

    #[test]
    fn a_message_of_the_node_between_start_and_deadline() {
        let mut asked = inquiry(&["a"], None);
        assert_eq!(asked.standing(s(101)), Standing::Open);
        asked.hear(&message("10.0.0.1", 110));
        let from = "10.0.0.1".parse().unwrap();
        let heard_at = s(110);
        assert_eq!(asked.standing(s(111)), Standing::InCrashKernel { from, heard_at });
        assert_eq!(asked.standing(s(109)), Standing::Open, "from the future");
        assert_eq!(asked.standing(s(141)), Standing::Open, "silent for too long");
        assert_eq!(asked.standing(s(160)), Standing::TooLate);
    }

    #[test]
    fn nothing_else_counts() {
        let mut asked = inquiry(&["a"], None);
        asked.hear(&message("10.0.0.1", 99));
        asked.hear(&message("10.0.0.2", 110));
        asked.hear(&Datagram { said: Err(DecodeError::Empty), ..message("10.0.0.1", 111) });
        assert_eq!(asked.standing(s(112)), Standing::Open);
        assert_eq!(asked.heard.len(), 1, "nothing is kept of strangers");
    }

    #[test]
    fn a_message_that_came_while_names_were_looked_up_counts_as_they_turn_out() {
        let mut asked = inquiry(&["a"], Some("b"));
        asked.hear(&message("10.0.0.1", 110));
        assert_eq!(asked.standing(s(111)), Standing::Open, "b may be another node");
        let mut same = inquiry(&["a"], Some("b"));
        same.hear(&message("10.0.0.1", 110));
        assert!(same.learn(|node| node.learn("b", &at("10.0.0.1"))));
        assert!(matches!(same.standing(s(111)), Standing::InCrashKernel { .. }));
        assert!(asked.learn(|node| node.learn("b", &at("10.0.0.2"))));
        assert_eq!(asked.standing(s(111)), Standing::Open, "b is another node");
        asked.hear(&message("10.0.0.2", 112));
        assert!(matches!(asked.standing(s(113)), Standing::InCrashKernel { .. }));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Hear { end: u8, second: u64, valid: bool },
        Learn { name: &'static str, ends: Vec<u8> },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let hear = (1u8..6, 90u64..170, any::<bool>());
        let names = prop_oneof![Just("a"), Just("a2"), Just("b")];
        let learn = (names, prop::collection::vec(1u8..6, 0..3));
        prop_oneof![
            hear.prop_map(|(end, second, valid)| Step::Hear { end, second, valid }),
            learn.prop_map(|(name, ends)| Step::Learn { name, ends }),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: nobody is taken to be in its crash kernel without a valid
        /// message, between the start and now, from an address that counts now.
        #[test]
        fn no_success_without_a_message(
            steps in prop::collection::vec(any_step(), 0..20),
            port in prop::option::of(Just("b")),
            now in 100u64..170,
        ) {
            let names = ["a".to_owned(), "a2".to_owned()];
            let mut asked = Inquiry::new(Node::new(&names, port, Family::Any), s(100), s(160));
            let mut said = Vec::new();
            for step in steps {
                match step {
                    Step::Hear { end, second, valid } => {
                        let from = format!("10.0.0.{end}");
                        let mut datagram = message(&from, second);
                        if !valid {
                            datagram.said = Err(DecodeError::Truncated { len: 7 });
                        }
                        said.push((datagram.from, second, valid));
                        asked.hear(&datagram);
                    }
                    Step::Learn { name, ends } => {
                        let at = ends.iter().map(|end| format!("10.0.0.{end}").parse().unwrap());
                        let known = match at.collect::<Vec<_>>() {
                            none if none.is_empty() => Known::Failed("none".to_owned()),
                            some => Known::At(some),
                        };
                        asked.learn(|node| node.learn(name, &known));
                    }
                }
            }
            if let Standing::InCrashKernel { from, .. } = asked.standing(s(now)) {
                prop_assert!(now < 160);
                prop_assert!(asked.believed().addresses.contains(&from));
                let spoke = said.iter().any(|&(address, second, valid)| {
                    address == from && valid && (100..=now).contains(&second)
                });
                prop_assert!(spoke, "nobody spoke from {}", from);
            }
        }
    }
}
