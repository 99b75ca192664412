use super::*;

fn with_list(list: impl AsRef<[u8]>, more: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), list).unwrap();
    parsed(&format!("nodes_file = {:?}\n{more}", file.path()))
}

#[test]
fn one_node_a_line() {
    let list = "\u{feff}# comment\n\nn1\nn2 10.0.0.2,fd00::2,n2.example.com\n  n3\t10.0.0.3  LIVE # more\r\n\
        n4 - signed\n#\nn#5 10.0.0.5\nn6 10.1.0.0,10.1.0.1,10.1.0.2,10.1.0.3,10.1.0.4,10.1.0.5,10.1.0.6,\
        10.1.0.7,10.1.0.8,10.1.0.9";
    let config = with_list(list, "key_file='/k'\npolicy='plain'\n[[node]]\nname='n7'").unwrap();
    let nodes = &config.nodes;
    let id = |name| nodes.named(name);
    assert_eq!(nodes.len(), 7);
    for (address, name) in [
        ("10.0.0.2", "n2"),
        ("fd00::2", "n2"),
        ("10.0.0.3", "n3"),
        ("10.0.0.5", "n#5"),
        ("10.1.0.9", "n6"),
    ] {
        assert_eq!(nodes.at(address.parse().unwrap()), id(name), "{address}");
    }
    let policies = ["n1", "n3", "n4", "n7"].map(|name| id(name).and_then(|id| nodes.policy(id)));
    let [plain, live, signed] = [Policy::Plain, Policy::Live, Policy::Signed].map(Some);
    assert_eq!(policies, [plain, live, signed, plain]);
    let names: Vec<_> = nodes.to_look_up().map(|(_, name)| name).collect();
    assert_eq!(names, ["n7", "n1", "n2.example.com"]);
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let long = "x".repeat(5000);
    for (list, place, said) in [
        ("a\n b 10.0.0.1 plain x", (2, 19), "'x' is too much"),
        ("a 10.0.0.1 plane", (1, 12), "none of: plain, signed, live"),
        ("a 10.0.0.1 live", (1, 12), "set key_file"),
        ("a\nA", (2, 1), "name of another node"),
        ("\na 10.0.0.1,,10.0.0.2", (2, 12), "nor a host name"),
        ("a 10.0.0.1,10.0.0.300", (1, 12), "nor a host name"),
        ("a 10.0.0.1\nb ::1,10.0.0.1", (2, 7), "address of node a already"),
        ("a -", (1, 3), "or let it sign"),
        ("a\nb\u{fc}", (2, 2), "ASCII"),
        (&long, (1, 1), "at most 4096 bytes"),
        ("in_file", (1, 1), "name of another node"),
    ] {
        let error = with_list(list, "[[node]]\nname='in_file'").unwrap_err();
        assert_eq!(error.place, Some(place), "{error}");
        assert!(error.what.contains(said) && error.path.is_absolute(), "{error}");
    }
}
