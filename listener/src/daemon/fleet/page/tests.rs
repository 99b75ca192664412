//! Pages.

use super::*;
use crate::daemon::Follow;
use crate::proof::specimen::examiner;
use crate::socket::{Datagram, Words};
use fence_kdump_core::{ByteOrder, Policy, encode};
use std::collections::BTreeSet;

fn s(second: u64) -> Instant {
    Instant::from_nanos(second * 1_000_000_000)
}

fn fleet(nodes: &[String], policy: Policy) -> Fleet {
    let nodes: Vec<Follow> = nodes.iter().map(|node| node.parse().unwrap()).collect();
    Fleet::new(crate::daemon::follow::registry(&nodes, policy).unwrap(), Some(examiner()))
}

fn many(count: u32) -> Vec<String> {
    (0..count)
        .map(|it| {
            let [_, a, b, c] = it.to_be_bytes();
            format!("node{it}=10.{a}.{b}.{c}")
        })
        .collect()
}

fn hear(fleet: &mut Fleet, from: &str) {
    let datagram = Datagram {
        received_at: s(5),
        from: from.parse().unwrap(),
        port: 9,
        said: Words::read(&encode(ByteOrder::Little)),
    };
    let _ = fleet.hear(&datagram, s(5), || None);
}

/// All pages of an answer.
fn all(fleet: &Fleet, inquiry: &Inquiry) -> Vec<Status> {
    let mut pages = Pages::default();
    let mut all = vec![pages.page(fleet, inquiry, s(6))];
    while let Some(after) = all.last().unwrap().next.clone() {
        assert!(all.len() < 1000, "it goes on: {after}");
        let inquiry = Inquiry { after: Some(after), ..inquiry.clone() };
        all.push(pages.page(fleet, &inquiry, s(6)));
    }
    assert!(
        all.iter().all(
            |page| packet::write(&packet::Reply::Status(page.clone())).len() <= packet::LARGEST
        )
    );
    all
}

fn names(pages: &[Status]) -> Vec<&str> {
    pages.iter().flat_map(|page| &page.nodes).map(|node| node.name.as_str()).collect()
}

#[test]
fn every_node_is_on_one_page() {
    let fleet = fleet(&many(5_000), Policy::Plain);
    for setup in [false, true] {
        let pages = all(&fleet, &Inquiry { setup, ..Inquiry::default() });
        assert!(pages.len() > 10, "{}", pages.len());
        let expected = many(5_000);
        assert!(
            names(&pages)
                .into_iter()
                .eq(expected.iter().map(|node| node.split_once('=').unwrap().0))
        );
        assert!(pages.iter().all(|page| page.known == Some(5_000) && page.left_out == 0));
        for (node, expected) in pages.iter().flat_map(|page| &page.nodes).zip(&expected) {
            let address = expected.split_once('=').unwrap().1;
            let addresses = node.setup.as_ref().map(|setup| setup.addresses.clone());
            assert_eq!(addresses, setup.then(|| vec![address.to_owned()]));
        }
    }
}

/// Few are heard: the others are counted, and each page costs no more than it may.
#[test]
fn nodes_that_were_not_heard_are_left_out_when_asked() {
    let mut fleet = fleet(&many(20_000), Policy::Plain);
    for from in ["10.0.0.1", "10.0.78.31"] {
        hear(&mut fleet, from);
    }
    let pages = all(&fleet, &Inquiry { heard: true, ..Inquiry::default() });
    assert_eq!(names(&pages), ["node1", "node19999"]);
    assert_eq!(pages.iter().map(|page| page.left_out).sum::<u64>(), 19_998);
    assert!(pages.iter().all(|page| page.left_out <= LOOKED_AT.into()));
}

#[test]
fn one_node_by_name_or_address() {
    let nodes = ["one=10.0.0.1,fd00::1", "two=10.0.0.2,no-such-host"].map(str::to_owned);
    let mut fleet = fleet(&nodes, Policy::Plain);
    fleet.discover(10);
    hear(&mut fleet, "10.9.9.9");
    let found = |name: &str, setup: bool| {
        let node = Some(name.to_owned());
        let page =
            Pages::default().page(&fleet, &Inquiry { node, setup, ..Inquiry::default() }, s(6));
        assert_eq!((page.known, page.next), (Some(2), None));
        page.nodes.into_iter().next()
    };
    for name in ["one", "ONE", "10.0.0.1", "fd00::1"] {
        let node = found(name, true).unwrap();
        let setup = node.setup.unwrap();
        assert_eq!((node.name.as_str(), node.state.as_str()), ("one", "unheard"));
        assert_eq!(
            (setup.addresses, setup.has_key),
            (vec!["10.0.0.1".into(), "fd00::1".into()], true)
        );
    }
    assert_eq!(found("two", false).unwrap().setup, None);
    assert_eq!(found("two", true).unwrap().setup.unwrap().unresolved, ["no-such-host"]);
    assert_eq!(found("10.9.9.9", true).unwrap().state, "candidate");
    assert!(found("three", true).is_none() && found("10.9.9.8", true).is_none());
}

#[test]
fn contested_addresses_and_keys_that_are_missing_are_told() {
    let nodes = ["n2=10.0.0.1", "n9=name9"].map(str::to_owned);
    let mut fleet = fleet(&nodes, Policy::Signed);
    let (lookup, _) = fleet.registry.to_look_up().next().unwrap();
    let addresses = ["10.0.0.1", "10.0.0.9"].map(|address| address.parse().unwrap());
    assert_eq!(fleet.registry_mut().found(lookup, &addresses).len(), 1);
    let pages = all(&fleet, &Inquiry { setup: true, ..Inquiry::default() });
    let [n2, n9] = [0, 1].map(|place| pages[0].nodes[place].setup.clone().unwrap());
    assert_eq!(
        (n2.addresses, n2.contested),
        (vec!["10.0.0.1".to_owned()], vec!["10.0.0.1".to_owned()])
    );
    assert_eq!((n9.addresses.len(), n9.contested), (2, vec!["10.0.0.1".to_owned()]));
    assert_eq!((n2.key_name.as_str(), n9.unresolved.len()), ("n2", 0));
    assert!(n2.has_key && n9.has_key, "from the cluster's key, there is one for each");
}

/// What was found for a page a moment ago is not believed against what is known now.
#[test]
fn an_address_that_was_given_up_meanwhile_is_not_told() {
    let nodes = ["n1=name1", "n2=name2"].map(str::to_owned);
    let mut fleet = fleet(&nodes, Policy::Plain);
    let lookups: Vec<_> = fleet.registry.to_look_up().map(|(lookup, _)| lookup).collect();
    let address = "10.0.0.1".parse().unwrap();
    let _ = fleet.registry_mut().found(lookups[0], &[address]);
    let mut pages = Pages::default();
    let inquiry = Inquiry { setup: true, ..Inquiry::default() };
    let mut told = |fleet: &Fleet, at| {
        let page = pages.page(fleet, &inquiry, s(at));
        page.nodes.into_iter().map(|node| node.setup.unwrap().addresses.len()).collect::<Vec<_>>()
    };
    assert_eq!(told(&fleet, 6), [1, 0]);
    let _ = fleet.registry_mut().found(lookups[0], &[]);
    let _ = fleet.registry_mut().found(lookups[1], &[address]);
    assert_eq!(told(&fleet, 6), [0, 0]);
    assert_eq!(told(&fleet, 8), [0, 1]);
}

#[test]
fn candidates_come_last_each_once() {
    let mut fleet = fleet(&many(100), Policy::Plain);
    fleet.discover(400);
    for host in 0..400_u32 {
        hear(&mut fleet, &format!("192.0.{}.{}", host / 200, host % 200 + 1));
    }
    let pages = all(&fleet, &Inquiry::default());
    let names = names(&pages);
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (500, 500));
    assert!(names[..100].iter().all(|name| name.starts_with("node")));
    assert!(names[100..].iter().all(|name| name.starts_with("192.")));
}

#[test]
fn a_page_that_nobody_told_of_is_empty() {
    let fleet = fleet(&many(10), Policy::Plain);
    for after in ["", "n", "n-1", "x", "cx", "n99999999999", "n4294967295", "n10"] {
        let after = Some(after.to_owned());
        let page = Pages::default().page(&fleet, &Inquiry { after, ..Inquiry::default() }, s(6));
        assert!(page.nodes.is_empty() && page.next.is_none(), "{page:?}");
    }
}

/// A node with as much to tell as a node can have.
#[test]
fn the_largest_node_fits() {
    let name = "\\".repeat(253);
    let long = |end: u32| {
        let label = "n".repeat(60);
        format!("{label}.{label}.{label}.{label}.{end}x")
    };
    let names: Vec<_> = (0..20).map(long).collect();
    let v6: Vec<_> = (1..100)
        .map(|it: u32| format!("2001:1111:1111:1111:1111:1111:1111:{:x}", 0x1111 + it))
        .collect();
    let node = format!("{name}={},{}", names.join(","), v6.join(","));
    let fleet = fleet(&[node], Policy::Signed);
    let pages = all(&fleet, &Inquiry { setup: true, ..Inquiry::default() });
    let setup = pages[0].nodes[0].setup.clone().unwrap();
    assert_eq!((setup.addresses.len(), setup.unresolved.len()), (48, 8));
    assert_eq!(setup.more, 99 - 48 + 20 - 8);
}
