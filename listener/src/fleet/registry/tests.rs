use super::*;
use crate::fleet::reload::Changes;

fn plain(name: &str) -> NewNode<'_> {
    NewNode { name, key_name: None, policy: Policy::Plain }
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn registry(nodes: &[(&str, &[&str])]) -> Registry {
    let mut registry = Registry::new();
    for (name, addresses) in nodes {
        registry.add(&plain(name), Some(addresses)).unwrap();
    }
    registry
}

#[test]
fn found_by_address_and_by_name() {
    let mut registry = registry(&[
        ("a", &["192.0.2.1", "2001:db8::1"]),
        ("b", &["fe80::1%eth0", "::ffff:192.0.2.2"]),
    ]);
    let c = NewNode { name: "c", key_name: Some("C.example.com"), policy: Policy::Live };
    let c = registry.add(&c, Some(&[])).unwrap();
    let d = registry.add(&plain("192.0.2.4"), None).unwrap();
    let [a, b] = ["A", "B"].map(|name| registry.named(name).unwrap());
    assert_eq!(registry.at(at("192.0.2.1")), Some(a));
    assert_eq!(registry.at(at("2001:db8::1")), Some(a));
    assert_eq!(registry.at(at("::ffff:192.0.2.2")), Some(b));
    assert_eq!(registry.at(at("192.0.2.4")), Some(d));
    assert_eq!(registry.at(at("192.0.2.5")), None);
    assert_eq!((registry.signed_as("c"), registry.signed_as("c.EXAMPLE.com")), (None, Some(c)));
    assert_eq!(
        (registry.policy(c), registry.key_name(c)),
        (Some(Policy::Live), Some("C.example.com"))
    );
    assert_eq!((registry.len(), registry.slots(), registry.name(a)), (4, 4, Some("a")));
    let [(zoned, text)] = registry.to_look_up().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(text, "fe80::1%eth0");
    assert_eq!(registry.found(zoned, &[at("fe80::1%3")]), []);
    assert_eq!((registry.at(at("fe80::1%3")), registry.at(at("fe80::1%4"))), (Some(b), None));
}

#[test]
fn what_cannot_be_a_node() {
    for (name, key_name, addresses, part, said) in [
        ("", None, None, Part::Name, "1 to 253"),
        ("a b", None, None, Part::Name, "without spaces"),
        ("FIRST", None, None, Part::Name, "name of another node"),
        ("n", Some("first.key"), None, Part::KeyName, "name of another node"),
        ("first.KEY", None, None, Part::Name, "name of another node"),
        ("n", Some("ü"), None, Part::KeyName, "ASCII"),
        ("n", None, Some(&["10.0.0.2", "10.0.0.1"][..]), Part::Address(1), "of node first already"),
        ("n", None, Some(&["10.0.0.256"]), Part::Address(0), "neither an address"),
        ("n", None, Some(&["127.1"]), Part::Address(0), "neither an address"),
        ("n", None, Some(&["fd00::g"]), Part::Address(0), "neither an address"),
        ("n", None, Some(&["a,b"]), Part::Address(0), "neither an address"),
        ("n", None, Some(&["fe80::1"]), Part::Address(0), "fe80::1%eth0"),
        ("n", None, Some(&["224.0.0.1"]), Part::Address(0), "multicast"),
        ("n!", None, None, Part::Name, "nor a host name"),
        ("10.0.0.1", None, None, Part::Name, "of node first already"),
        ("n", None, Some(&[]), Part::Addresses, "has no address"),
    ] {
        let mut registry = Registry::new();
        let first = NewNode { name: "first", key_name: Some("first.key"), policy: Policy::Plain };
        registry.add(&first, Some(&["10.0.0.1"])).unwrap();
        let node = NewNode { name, key_name, policy: Policy::Plain };
        let error = registry.add(&node, addresses).unwrap_err();
        assert_eq!(error.part, part, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_name_has_the_addresses_that_were_found_last() {
    let mut registry = registry(&[("a", &["a.example.com", "10.0.0.1"]), ("b", &["10.0.0.2"])]);
    let [a, b] = ["a", "b"].map(|name| registry.named(name));
    let (lookup, _) = registry.to_look_up().next().unwrap();
    assert_eq!(registry.at(at("10.0.0.1")), a);
    assert_eq!(registry.found(lookup, &[at("10.0.0.3"), at("10.0.0.1")]), []);
    assert_eq!(registry.at(at("10.0.0.3")), a);
    let contested = registry.found(lookup, &[at("10.0.0.2"), at("10.0.0.4")]);
    let other = Contested { address: at("10.0.0.2"), one: a.unwrap(), other: b.unwrap() };
    assert_eq!(contested, [other]);
    assert_eq!(registry.at(at("10.0.0.2")), None, "nobody knows whose message it would be");
    assert_eq!(registry.contested().count(), 1);
    assert_eq!((registry.at(at("10.0.0.3")), registry.at(at("10.0.0.4"))), (None, a));
    assert_eq!(registry.at(at("10.0.0.1")), a, "it is configured, too");
    registry.found(lookup, &[]);
    assert_eq!((registry.at(at("10.0.0.2")), registry.at(at("10.0.0.4"))), (b, None));
    assert_eq!(registry.looked_up(lookup), Some((a.unwrap(), &[][..])));
}

#[test]
fn nodes_that_stay_keep_their_numbers() {
    let mut old = registry(&[
        ("a", &["10.0.0.1"]),
        ("b", &["b.example.com", "10.0.0.2"]),
        ("c", &["10.0.0.3"]),
    ]);
    let [a, b, c] = ["a", "b", "c"].map(|name| old.named(name).unwrap());
    let (lookup, _) = old.to_look_up().next().unwrap();
    old.found(lookup, &[at("10.0.0.22")]);

    let mut new = registry(&[("d", &["10.0.0.3"]), ("C", &["10.0.0.33"])]);
    let b_now = NewNode { name: "b", key_name: Some("b2"), policy: Policy::Signed };
    new.add(&b_now, Some(&["B.example.com", "10.0.0.2"])).unwrap();
    let changes = new.succeed(&old);
    let d = new.named("d").unwrap();
    assert_eq!((new.named("b"), new.named("c")), (Some(b), Some(c)));
    assert!(![a, b, c].contains(&d), "a number is not given away at once");
    let (changed, rekeyed) = (vec![b], vec![b]);
    assert_eq!(changes, Changes { kept: 2, added: vec![d], removed: vec![a], changed, rekeyed });
    assert_eq!(new.at(at("10.0.0.22")), Some(b), "known before it is looked up again");
    assert_eq!((new.at(at("10.0.0.3")), new.at(at("10.0.0.33"))), (Some(d), Some(c)));
    assert_eq!((new.name(a), new.len(), new.slots()), (None, 3, 4));
    assert_eq!((new.signed_as("b"), new.signed_as("b2")), (None, Some(b)));
    assert!(new.still_believes(b, Proof::Signed, at("10.0.0.9")));
    assert!(!new.still_believes(b, Proof::Plain, at("10.0.0.2")), "it has to sign now");
    assert!(!new.still_believes(c, Proof::Plain, at("10.0.0.3")), "it is another's now");
    assert!(new.still_believes(c, Proof::Plain, at("10.0.0.33")));
    assert!(!new.still_believes(a, Proof::Live, at("10.0.0.1")), "gone");

    let mut third = registry(&[("e", &["10.0.0.5"]), ("f", &["10.0.0.6"]), ("d", &["10.0.0.4"])]);
    let changes = third.succeed(&new);
    assert_eq!((third.named("e"), third.named("d")), (Some(a), Some(d)), "now it is given away");
    assert_eq!(third.named("f"), Some(NodeId(4)));
    assert_eq!((changes.kept, changes.removed.len()), (1, 2));
    let lookups: Vec<_> = third.to_look_up().collect();
    assert_eq!(lookups, []);
}

/// The worst number for tables that double: just above seven eighths of 2^17.
const MANY: u32 = 115_000;

/// Bytes for each of many nodes, besides the letters of its name.
fn size_of_each(address: impl Fn(u32) -> std::net::IpAddr) -> (Registry, usize) {
    let mut registry = Registry::new();
    let mut letters = 0;
    for number in 0..MANY {
        let name = format!("n{number:06}");
        registry.add(&plain(&name), Some(&[&address(number).to_string()])).unwrap();
        letters += name.len();
    }
    registry.shrink();
    let each = (registry.size() - letters) / usize::try_from(MANY).unwrap();
    (registry, each)
}

#[test]
fn many_nodes_are_small() {
    let v4 = |number| std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into();
    let (registry, each) = size_of_each(v4);
    assert!(each <= 40, "{each} bytes");
    assert_eq!(registry.at(at("10.0.0.77")), registry.named("N000077"));
    let mut next = Registry::new();
    next.add(&plain("n000007"), Some(&["10.0.0.7"])).unwrap();
    let changes = next.succeed(&registry);
    assert_eq!((changes.kept, changes.removed.len()), (1, registry.len() - 1));
    assert_eq!(next.at(at("10.0.0.7")), Some(NodeId(7)));

    let v6 = |number| std::net::Ipv6Addr::from_bits(0xfd << 120 | u128::from(number)).into();
    let (_, each) = size_of_each(v6);
    assert!(each <= 68, "{each} bytes");
}
