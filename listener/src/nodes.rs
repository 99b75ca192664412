//! Whose message counts: the names of one node, and the addresses that are known of them by now.
//!
//! A plain message is a node's by the address that it came from; a signed one, by the name that it
//! has, which nobody has to look up.
//!
//! `nodename` lists names of **one** node; `port` is how Pacemaker names the node to be fenced.
//! A device for node a that is asked to fence node b must never answer with a's message:
//!
//! | `port` | whose addresses count | signed as |
//! |---|---|---|
//! | not given | those of `nodename` | `nodename` |
//! | being looked up for the first time | nobody's yet | `port` |
//! | does not resolve | those given in `nodename` as addresses, not those of names; told as a warning | `port` |
//! | is one of the names (or the first label of one), or shares an address with one | those of `nodename` and of `port` | `nodename` or `port` |
//! | shares nothing with any of them | those of `port` alone; told as a warning | `port` |
//!
//! A signed name counts when it is one of these texts, whole, whatever the case of its letters: `n1` is
//! not `n1.example.com`.
//!
//! Of these, only the addresses of the configured family count; but to tell whether two names are one
//! node, all of them matter.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::address::Address;
use crate::options::Family;

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Looked up for the first time.
    Pending,
    /// Has no address that could be a node's; the reason, for people.
    Failed(String),
    /// Has these addresses.
    At(Vec<Address>),
}

/// A name and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As configured.
    pub text: String,
    /// By now.
    pub known: Known,
}

/// The node to be fenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    nodename: Vec<Name>,
    port: Option<Name>,
    family: Family,
    /// Every name, in lower case.
    texts: BTreeSet<String>,
}

/// Why the addresses that count are those that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// There is only one kind of name, or `port` is one of the names.
    AllNames,
    /// `port` is a name for another node than `nodename`.
    PortAlone,
    /// `port` does not resolve.
    PortUnknown,
    /// `port` is not known yet.
    PortPending,
}

/// The addresses that count by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    /// Why these.
    pub rule: Rule,
    /// A message from any of these is the node's message.
    pub addresses: BTreeSet<Address>,
}

impl Node {
    /// Nothing is known yet of the names.
    #[must_use]
    pub fn new(nodename: &[String], port: Option<&str>, family: Family) -> Self {
        let pending = |text: &str| Name { text: text.to_owned(), known: Known::Pending };
        Self {
            nodename: nodename.iter().map(|text| pending(text)).collect(),
            port: port.map(pending),
            family,
            texts: nodename
                .iter()
                .map(String::as_str)
                .chain(port)
                .map(str::to_ascii_lowercase)
                .collect(),
        }
    }

    /// Every different name, in the order given.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.nodename.iter().chain(&self.port)
    }

    /// Whether any of the names is known to have `address`.
    #[must_use]
    pub fn has(&self, address: Address) -> bool {
        self.names().any(|name| match &name.known {
            Known::At(addresses) => addresses.contains(&address),
            Known::Pending | Known::Failed(_) => false,
        })
    }

    /// Whether any of the names is `signed_name`, in lower case.
    #[must_use]
    pub fn has_name(&self, signed_name: &str) -> bool {
        self.texts.contains(signed_name)
    }

    /// Whether a message that is signed as `signed_name`, in lower case, is this node's, as long as
    /// `rule` says whose addresses count.
    #[must_use]
    pub fn is_signed_by(&self, rule: &Rule, signed_name: &str) -> bool {
        match (rule, &self.port) {
            (Rule::AllNames, _) | (_, None) => self.has_name(signed_name),
            (Rule::PortAlone | Rule::PortUnknown | Rule::PortPending, Some(port)) => {
                port.text.eq_ignore_ascii_case(signed_name)
            }
        }
    }

    /// Whether it may yet turn out that such a message is this node's.
    #[must_use]
    pub fn may_be_signed_by(&self, rule: &Rule, signed_name: &str) -> bool {
        match rule {
            Rule::PortPending | Rule::PortUnknown => self.has_name(signed_name),
            Rule::AllNames | Rule::PortAlone => self.is_signed_by(rule, signed_name),
        }
    }

    /// This is known of `text` now. What was found once is not lost when a later look fails.
    pub fn learn(&mut self, text: &str, known: &Known) {
        let same = |name: &&mut Name| name.text == text;
        for name in self.nodename.iter_mut().chain(&mut self.port).filter(same) {
            if !matches!((&name.known, known), (Known::At(_), Known::Failed(_))) {
                name.known = known.clone();
            }
        }
    }

    /// Whose message counts, by what is known now.
    #[must_use]
    pub fn believed(&self) -> Believed {
        let mut believed = self.believed_of_any_family();
        let family = self.family;
        believed.addresses.retain(|&address| family.counts(address));
        believed
    }

    fn believed_of_any_family(&self) -> Believed {
        let addresses_of = |name: &Name| match &name.known {
            Known::At(addresses) => addresses.clone(),
            Known::Pending | Known::Failed(_) => Vec::new(),
        };
        let named: BTreeSet<Address> = self.nodename.iter().flat_map(addresses_of).collect();
        let Some(port) = &self.port else {
            return Believed { rule: Rule::AllNames, addresses: named };
        };
        let port_at: BTreeSet<Address> = addresses_of(port).into_iter().collect();
        let same_name = |name: &Name| is_same_name(&name.text, &port.text);
        let (rule, addresses) = if self.nodename.is_empty() {
            (Rule::AllNames, port_at)
        } else if self.nodename.iter().any(same_name) || !port_at.is_disjoint(&named) {
            (Rule::AllNames, &named | &port_at)
        } else {
            match &port.known {
                Known::At(_) => (Rule::PortAlone, port_at),
                Known::Failed(_) => {
                    // Who writes an address knows that the name does not resolve. A name that does
                    // resolve, while the one to be fenced does not, may well be another node's.
                    let numbers = self.nodename.iter().filter(|name| is_number(&name.text));
                    (Rule::PortUnknown, numbers.flat_map(addresses_of).collect())
                }
                Known::Pending => (Rule::PortPending, BTreeSet::new()),
            }
        };
        Believed { rule, addresses }
    }

    /// How people call the node: `port` as the fencer does, else the names.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.port {
            Some(port) => port.text.clone(),
            None => match self.nodename.as_slice() {
                [first, _, _, _, ..] => {
                    format!("{} (and {} more names)", first.text, self.nodename.len() - 1)
                }
                names => join(names),
            },
        }
    }

    /// What an administrator should know about `rule`, if anything.
    #[must_use]
    pub fn warning(&self, rule: &Rule) -> Option<String> {
        let port = &self.port.as_ref()?.text;
        let names = join(self.nodename.get(..4).unwrap_or(&self.nodename));
        match rule {
            Rule::AllNames | Rule::PortPending => None,
            Rule::PortAlone => Some(format!(
                "asked to fence {port}, which shares no address with nodename {names}: that looks \
                 like another node and its messages are not believed, only those of {port}. If they \
                 are one node, map the name: pcmk_host_map=\"{port}:{names}\""
            )),
            Rule::PortUnknown => Some(format!(
                "asked to fence {port}, whose address cannot be found: of nodename {names}, only what \
                 is given as an address is believed to be {port}'s. Let {port} resolve, or map it: \
                 pcmk_host_map=\"{port}:ADDRESS\""
            )),
        }
    }
}

/// Whether `name` is an address, in any form of `inet_aton(3)` or of IPv6 with or without its zone.
pub(crate) fn is_number(name: &str) -> bool {
    let without_zone = name.split('%').next().unwrap_or_default();
    without_zone.parse::<Ipv6Addr>().is_ok()
        || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether a configured name is the name of the node to be fenced, in full where that is short.
fn is_same_name(name: &str, port: &str) -> bool {
    let first_label = name.split('.').next().filter(|_| !is_number(name));
    name.eq_ignore_ascii_case(port)
        || first_label.is_some_and(|label| label.eq_ignore_ascii_case(port))
}

fn join(names: &[Name]) -> String {
    let texts: Vec<_> = names.iter().map(|name| name.text.as_str()).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(addresses: &[&str]) -> Known {
        Known::At(addresses.iter().map(|a| a.parse().unwrap()).collect())
    }

    fn failed() -> Known {
        Known::Failed("no such name".into())
    }

    fn node(nodename: &[(&str, Known)], port: Option<(&str, Known)>) -> Node {
        let name =
            |(text, known): &(&str, Known)| Name { text: (*text).to_owned(), known: known.clone() };
        let texts: Vec<String> = nodename.iter().map(|(text, _)| (*text).to_owned()).collect();
        let port_text = port.as_ref().map(|(text, _)| *text);
        Node {
            nodename: nodename.iter().map(name).collect(),
            port: port.as_ref().map(name),
            ..Node::new(&texts, port_text, Family::Any)
        }
    }

    /// Who counts and who may yet count, of these signed names.
    fn signed(node: &Node, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let rule = node.believed().rule;
        let of = |count: &dyn Fn(&str) -> bool| {
            names.iter().filter(|name| count(name)).map(|name| (*name).to_owned()).collect()
        };
        (of(&|name| node.is_signed_by(&rule, name)), of(&|name| node.may_be_signed_by(&rule, name)))
    }

    fn check(node: &Node, rule: Rule, addresses: &[&str]) {
        let believed = node.believed();
        let expected = addresses.iter().map(|a| a.parse().unwrap()).collect();
        assert_eq!(believed, Believed { rule, addresses: expected }, "{node:?}");
    }

    #[test]
    fn every_address_of_every_name_counts() {
        let two = [("a", at(&["10.0.0.1", "fd00::1"])), ("b", at(&["10.0.0.2"])), ("c", failed())];
        check(&node(&two, None), Rule::AllNames, &["10.0.0.1", "fd00::1", "10.0.0.2"]);
    }

    #[test]
    fn port_alone_is_name_enough() {
        check(&node(&[], Some(("a", at(&["10.0.0.1"])))), Rule::AllNames, &["10.0.0.1"]);
        check(&node(&[], Some(("a", failed()))), Rule::AllNames, &[]);
        check(&node(&[], Some(("a", Known::Pending))), Rule::AllNames, &[]);
    }

    #[test]
    fn port_is_one_of_the_names() {
        let names = [("a", at(&["10.0.0.1"])), ("a2", at(&["10.0.1.1"]))];
        check(&node(&names, Some(("A", failed()))), Rule::AllNames, &["10.0.0.1", "10.0.1.1"]);
        let full = [("A.example.com", at(&["10.0.0.1"]))];
        check(&node(&full, Some(("a", failed()))), Rule::AllNames, &["10.0.0.1"]);
        let number = [("10.0.0.1", at(&["10.0.0.1"]))];
        check(&node(&number, Some(("10", at(&["10.0.0.2"])))), Rule::PortAlone, &["10.0.0.2"]);
        let port = Some(("alias", at(&["10.0.1.1", "fd00::1"])));
        check(&node(&names, port), Rule::AllNames, &["10.0.0.1", "10.0.1.1", "fd00::1"]);
    }

    #[test]
    fn a_device_for_a_that_is_asked_about_b_does_not_believe_a() {
        let names = [("a", at(&["10.0.0.1"]))];
        let asked = node(&names, Some(("b", at(&["10.0.0.2"]))));
        check(&asked, Rule::PortAlone, &["10.0.0.2"]);
        let warning = asked.warning(&Rule::PortAlone).unwrap();
        assert!(warning.contains("pcmk_host_map"), "{warning}");
        check(
            &node(&[("n4", failed())], Some(("x", at(&["127.0.0.4"])))),
            Rule::PortAlone,
            &["127.0.0.4"],
        );
    }

    #[test]
    fn an_address_that_does_not_count_still_tells_nodes_apart() {
        let names = [("a", at(&["fd00::1", "10.0.0.1"]))];
        let mut other = node(&names, Some(("b", at(&["10.0.0.2"]))));
        other.family = Family::Ipv6;
        check(&other, Rule::PortAlone, &[]);
        let mut same = node(&names, Some(("a1", at(&["10.0.0.1"]))));
        same.family = Family::Ipv6;
        check(&same, Rule::AllNames, &["fd00::1"]);
    }

    #[test]
    fn an_unknown_port_leaves_addresses_and_a_warning() {
        let names = [("a", at(&["10.0.0.1"])), ("10.0.0.3", at(&["10.0.0.3"]))];
        check(&node(&names, Some(("b", Known::Pending))), Rule::PortPending, &[]);
        let mut asked = node(&names, Some(("b", failed())));
        check(&asked, Rule::PortUnknown, &["10.0.0.3"]);
        assert!(asked.warning(&Rule::PortUnknown).is_some());
        asked.learn("b", &at(&["10.0.0.2"]));
        check(&asked, Rule::PortAlone, &["10.0.0.2"]);
        asked.learn("b", &failed());
        check(&asked, Rule::PortAlone, &["10.0.0.2"]);
    }

    #[test]
    fn a_signed_name_counts_whole_and_as_the_addresses_do() {
        let all = ["a", "a.example.com", "b", "c"];
        let check = |node: &Node, counts: &[&str], may: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(signed(node, &all), (owned(counts), owned(may)), "{node:?}");
        };
        let names = [("A", at(&["10.0.0.1"])), ("c", failed())];
        check(&node(&names, None), &["a", "c"], &["a", "c"]);
        check(&node(&[], Some(("B", failed()))), &["b"], &["b"]);
        check(&node(&names, Some(("b", Known::Pending))), &["b"], &["a", "b", "c"]);
        check(&node(&names, Some(("b", failed()))), &["b"], &["a", "b", "c"]);
        check(&node(&names, Some(("b", at(&["10.0.0.2"])))), &["b"], &["b"]);
        check(&node(&names, Some(("b", at(&["10.0.0.1"])))), &["a", "b", "c"], &["a", "b", "c"]);
        let full = [("a.example.com", at(&["10.0.0.1"]))];
        check(&node(&full, None), &["a.example.com"], &["a.example.com"]);
        let both = &["a", "a.example.com"];
        check(&node(&full, Some(("a", failed()))), both, both);
    }

    fn any_known() -> impl Strategy<Value = Known> {
        prop_oneof![
            Just(Known::Pending),
            Just(failed()),
            prop::collection::vec(1u8..6, 1..4).prop_map(|ends| {
                Known::At(ends.iter().map(|e| format!("10.0.0.{e}").parse().unwrap()).collect())
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_known_port_that_is_another_node_is_never_overruled(
            names in prop::collection::vec(any_known(), 0..4), port in any_known()
        ) {
            let nodename: Vec<_> = names.iter().map(|known| ("n", known.clone())).collect();
            let node = node(&nodename, Some(("p", port.clone())));
            let believed = node.believed();
            if let Known::At(port_at) = &port {
                let port_at: BTreeSet<_> = port_at.iter().copied().collect();
                prop_assert!(port_at.is_subset(&believed.addresses));
                let named: BTreeSet<_> = names.iter().filter_map(|k| match k {
                    Known::At(a) => Some(a.clone()),
                    Known::Pending | Known::Failed(_) => None,
                }).flatten().collect();
                if port_at.is_disjoint(&named) {
                    prop_assert!(names.is_empty() || !node.is_signed_by(&believed.rule, "n"));
                    prop_assert_eq!(believed.addresses, port_at);
                }
                prop_assert!(node.is_signed_by(&node.believed().rule, "p"));
            }
        }
    }
}
