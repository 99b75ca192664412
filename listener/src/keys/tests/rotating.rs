//! One cluster key after the other.

use super::super::Ring;
use super::super::rotation::{RotationError, begin, finish, new_key};
use super::{cluster, key, node};
use crate::keys::ClusterKey;

fn parse(text: &[u8]) -> Ring {
    Ring::parse(text).unwrap()
}

fn ids(text: &[u8]) -> Vec<String> {
    parse(text).clusters().iter().map(|cluster| cluster.id.to_string()).collect()
}

fn new(byte: u8) -> ClusterKey {
    ClusterKey { id: key(byte).id(), key: key(byte) }
}

#[test]
fn everything_else_in_the_file_stays() {
    let before = format!("# ours\n{}\n{}# end", node(3, "n3"), cluster(1));
    let during = begin(before.as_bytes(), &parse(before.as_bytes()), &new(2)).unwrap();
    let text = String::from_utf8(during.to_vec()).unwrap();
    assert_eq!(text, format!("# ours\n{}\n{}{}# end", node(3, "n3"), cluster(2), cluster(1)));
    let after = finish(&during, &parse(&during)).unwrap();
    let text = String::from_utf8(after.to_vec()).unwrap();
    assert_eq!(text, format!("# ours\n{}\n{}# end", node(3, "n3"), cluster(2)));
}

#[test]
fn the_last_line_need_not_end() {
    let before = cluster(1);
    let before = before.trim_end().as_bytes();
    let during = begin(before, &parse(before), &new(2)).unwrap();
    assert_eq!(ids(&during), [key(2).id().to_string(), key(1).id().to_string()]);
    let after = finish(&during, &parse(&during)).unwrap();
    assert_eq!(ids(&after), [key(2).id().to_string()]);
}

/// With the previous key ends everything that comes from it, also what stands beside it.
#[test]
fn nothing_of_the_previous_key_is_left() {
    let text = [node(1, "n1"), cluster(2), node(2, "n2"), cluster(1), node(3, "n3")].concat();
    let after = finish(text.as_bytes(), &parse(text.as_bytes())).unwrap();
    let ring = parse(&after);
    assert!(ring.node_key(key(1).id(), "n1").is_none());
    for (byte, name) in [(2, "n2"), (3, "n3")] {
        assert!(ring.node_key(key(byte).id(), name).is_some());
    }
}

#[test]
fn one_rotation_at_a_time() {
    let two = [cluster(2), cluster(1)].concat();
    let unfinished = RotationError::Unfinished { current: key(2).id(), previous: key(1).id() };
    assert_eq!(begin(two.as_bytes(), &parse(two.as_bytes()), &new(3)).err(), Some(unfinished));
    let one = cluster(1);
    let none = RotationError::NoneBegun(key(1).id());
    assert_eq!(finish(one.as_bytes(), &parse(one.as_bytes())).err(), Some(none));
    let nodes = node(1, "n1");
    let ring = parse(nodes.as_bytes());
    let no_cluster = Some(RotationError::NoCluster);
    assert_eq!(begin(nodes.as_bytes(), &ring, &new(2)).err(), no_cluster);
    assert_eq!(finish(nodes.as_bytes(), &ring).err(), no_cluster);
}

#[test]
fn new_keys_are_all_different() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let new = new_key(&[]).unwrap();
        assert_eq!(new.id, new.key.id());
        assert!(seen.insert(*new.key.as_bytes()));
    }
}
