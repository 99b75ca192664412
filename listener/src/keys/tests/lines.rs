//! What stands in a file.

use fence_kdump_core::KeyId;
use proptest::prelude::*;

use super::super::{Fault, Ring};
use super::{cluster, key, node, spellings};

/// Which line is refused, and what a person reads about it.
#[track_caller]
fn refused(text: &str) -> (Option<usize>, Fault) {
    let (line, fault) = Ring::parse(text.as_bytes()).expect_err("must be refused");
    let said = format!("{fault} {fault:?}");
    for secret in [key(1), key(2), key(3), key(1).derive("n1").unwrap()] {
        for spelling in spellings(&secret) {
            assert!(!said.contains(&spelling), "{said}");
        }
    }
    (line, fault)
}

macro_rules! assert_refused {
    ($text:expr, $line:expr, $fault:pat) => {
        let (line, fault) = refused(&$text);
        assert_eq!(line, $line, "{fault}");
        assert!(matches!(fault, $fault), "{fault:?}");
    };
}

#[test]
fn remarks_and_empty_lines_mean_nothing() {
    let text = format!("# Schlüssel\n\n{}#\n#cluster 1 2\n{}", cluster(1), node(2, "n1"));
    let ring = Ring::parse(text.trim_end().as_bytes()).unwrap();
    assert_eq!(ring.clusters().len(), 1);
    assert_eq!(ring.nodes()[0].name, "n1");
    assert_eq!(ring.key_ids(), [key(1).id(), key(2).id()]);
}

#[test]
fn a_key_is_found_by_id_and_by_name_without_regard_to_case() {
    let text = [cluster(2), node(1, "Node-A"), node(3, "n1"), cluster(1)].concat();
    let ring = Ring::parse(text.as_bytes()).unwrap();
    assert_eq!(ring.current().unwrap().id, key(2).id(), "the first one is the current one");
    for (from, name, is_known) in [
        (1, "n1", true),
        (2, "N1", true),
        (1, "anything", true),
        (3, "n1", true),
        (3, "N1", true),
        (3, "n2", false),
        (3, "n1.example.com", false),
        (4, "n1", false),
        (1, "", false),
        (1, "a b", false),
    ] {
        let found = ring.node_key(key(from).id(), name);
        let expected = key(from).derive(name).filter(|_| is_known);
        let bytes = |key: Option<fence_kdump_core::Key>| key.map(|key| *key.as_bytes());
        assert_eq!(bytes(found), bytes(expected), "{name} from {from}");
    }
}

#[test]
fn hexadecimal_digits_may_be_of_any_case_and_spaces_of_any_number() {
    let line = cluster(0xab);
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let text = format!("{}   {} {}", words[0], words[1].to_uppercase(), words[2].to_uppercase());
    assert_eq!(Ring::parse(text.as_bytes()).unwrap().current().unwrap().id, key(0xab).id());
}

#[test]
fn files_without_a_key_are_refused() {
    for text in ["", "\n\n", "# cluster\n", "#\n\n#"] {
        assert_refused!(text, None, Fault::Empty);
    }
}

#[test]
fn lines_of_another_form_are_refused() {
    let good = cluster(1);
    let bare = good.trim_end();
    let second = |line: &str| format!("{good}{line}\n");
    assert_refused!(second("clusters"), Some(2), Fault::UnknownKind);
    assert_refused!(second("Cluster 1 2"), Some(2), Fault::UnknownKind);
    assert_refused!(second(&bare["cluster ".len()..]), Some(2), Fault::UnknownKind);
    assert_refused!(second("cluster"), Some(2), Fault::Words { found: 1, .. });
    assert_refused!(second("cluster 1"), Some(2), Fault::Words { found: 2, .. });
    assert_refused!(second(&format!("{bare} n1")), Some(2), Fault::Words { found: 4, .. });
    let node = node(2, "n1");
    let bare_node = node.trim_end();
    assert_refused!(second(&bare_node[..bare_node.len() - 3]), Some(2), Fault::Words { .. });
    assert_refused!(second(&format!("{bare_node} n2")), Some(2), Fault::Words { found: 6, .. });
    assert_refused!(format!("\r\n{good}"), Some(1), Fault::CarriageReturn);
    assert_refused!(format!("{bare}\r\n"), Some(1), Fault::CarriageReturn);
    assert_refused!(second(" "), Some(2), Fault::OuterSpace);
    assert_refused!(format!(" {good}"), Some(1), Fault::OuterSpace);
    assert_refused!(format!("{bare} \n"), Some(1), Fault::OuterSpace);
    for character in ['\t', '\0', '\x1b', '\x7f', 'ä', '\u{feff}', '\u{a0}'] {
        let text = format!("# {character}\n{}", bare.replacen(' ', &character.to_string(), 1));
        assert_refused!(text, Some(2), Fault::NotText);
    }
    let (line, fault) = Ring::parse(b"cluster \xff").expect_err("must be refused");
    assert!(matches!((line, fault), (Some(1), Fault::NotText)));
}

#[test]
fn words_that_are_not_hexadecimal_are_refused() {
    for (line, what, digits) in [
        (cluster(1), "KEYID", 8),
        (cluster(1), "KEY", 64),
        (node(1, "n1"), "KEYID", 8),
        (node(1, "n1"), "KEY", 64),
        (node(1, "n1"), "CHECK", 8),
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = match what {
            "KEYID" => 1,
            "KEY" => 2,
            _ => 3,
        };
        let word = words[place];
        for bad in [
            word[1..].to_owned(),
            word[2..].to_owned(),
            format!("{word}0"),
            format!("{word}00"),
            format!("0x{}", &word[2..]),
            format!("+{}", &word[1..]),
            format!("{}g", &word[1..]),
        ] {
            let mut words = words.clone();
            words[place] = &bad;
            let (line, fault) = refused(&words.join(" "));
            assert_eq!(line, Some(1));
            match fault {
                Fault::NotHexadecimal { what: told, digits: asked, found } => {
                    assert_eq!((told, asked, found), (what, digits, bad.len()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn every_damaged_digit_is_noticed() {
    for line in [cluster(1), node(1, "n1")] {
        let line = line.trim_end();
        let words: Vec<&str> = line.split(' ').collect();
        // Only the KEYID of a node's line stands for itself: a wrong one names a key that nobody has.
        let first = words[0].len() + 1 + if words[0] == "node" { 9 } else { 0 };
        let last = words[..words.len().min(4)].join(" ").len();
        for place in (first..last).filter(|place| line.as_bytes()[*place] != b' ') {
            let mut damaged = line.to_owned().into_bytes();
            damaged[place] = if damaged[place] == b'0' { b'1' } else { b'0' };
            let text = String::from_utf8(damaged).unwrap();
            assert_refused!(text, Some(1), Fault::Damaged { .. });
        }
    }
}

#[test]
fn names_that_no_message_carries_are_refused() {
    let long = |length| node(1, "n1").replace("n1", &"n".repeat(length));
    assert_refused!(long(254), Some(1), Fault::BadName);
    // A name stands for itself here: without the cluster key, nobody knows whether it is the right one.
    assert_eq!(Ring::parse(long(253).as_bytes()).unwrap().nodes()[0].name.len(), 253);
}

#[test]
fn there_are_two_cluster_keys_at_most() {
    let two = [cluster(1), cluster(2)].concat();
    assert_eq!(Ring::parse(two.as_bytes()).unwrap().clusters().len(), 2);
    assert_refused!(format!("{two}{}", cluster(3)), Some(3), Fault::ThirdCluster);
    assert_refused!(format!("{two}{}", cluster(1)), Some(3), Fault::SameCluster(_));
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let twice = [node(1, "n2"), node(1, "n1"), node(2, "n1"), node(1, "N1")].concat();
    let (line, fault) = refused(&twice);
    assert_eq!(line, Some(4));
    assert_eq!(
        fault.to_string(),
        format!("a second key of node n1 with the id {}; remove one of them", key(1).id())
    );
    // A line that claims another cluster key than it comes from.
    let claimed = node(2, "n1").replace(&key(2).id().to_string(), &key(1).id().to_string());
    assert_refused!([claimed.clone(), cluster(1)].concat(), Some(1), Fault::NotDerived { .. });
    assert_refused!(
        [&*cluster(2), "\n", &cluster(1), &claimed].concat(),
        Some(4),
        Fault::NotDerived { .. }
    );
    assert!(Ring::parse([claimed, cluster(2)].concat().as_bytes()).is_ok(), "nobody can tell");
    let renamed = node(1, "n1").replace("n1", "n2");
    assert_refused!([cluster(1), renamed].concat(), Some(2), Fault::NotDerived { .. });
    assert!(Ring::parse([cluster(1), node(1, "N1")].concat().as_bytes()).is_ok());
}

#[test]
fn nothing_shows_a_key() {
    let text = [cluster(0xa1), node(0xa1, "n1"), node(0xa2, "n1")].concat();
    let ring = Ring::parse(text.as_bytes()).unwrap();
    let shown = format!("{ring:?} {ring:#?}");
    assert!(shown.contains(&key(0xa1).id().to_string()));
    let secrets = [key(0xa1), key(0xa1).derive("n1").unwrap(), key(0xa2).derive("n1").unwrap()];
    for spelling in secrets.iter().flat_map(spellings) {
        assert!(!shown.contains(&spelling), "{shown}");
    }
}

proptest! {
    /// Bytes of any kind are keys or one fault, and never a panic.
    #[test]
    fn every_text_is_read_or_refused(
        lines in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..80),
                "(cluster|node|#)? {0,2}[0-9a-f]{0,9} [0-9a-f]{60,68} ?[0-9a-f]{0,9} ?[!-~]{0,5}"
                    .prop_map(String::into_bytes),
                (0_u8..4).prop_map(|byte| cluster(byte).trim_end().as_bytes().to_vec()),
                (0_u8..4, "[a-cA-C]").prop_map(|(byte, name)| node(byte, &name).trim_end().as_bytes().to_vec()),
            ],
            0..6,
        )
    ) {
        let text = lines.join(&b'\n');
        if let Ok(ring) = Ring::parse(&text) {
            prop_assert!((1..=2).contains(&ring.clusters().len()) || !ring.nodes().is_empty());
            for id in ring.key_ids() {
                let has_cluster = ring.clusters().iter().any(|cluster| cluster.id == id);
                let has_node = ring.nodes().iter().any(|node| node.key_id == id);
                prop_assert!(has_cluster || has_node);
            }
            prop_assert!(ring.node_key(KeyId([0xee; 4]), "n1").is_none());
        }
    }
}
