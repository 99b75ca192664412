//! `/etc/hosts`, hosts(5).

use crate::address::Address;
use crate::text::{pieces, same, words};

/// Gives `found` every address that `text`, in the form of hosts(5), gives to `name`. Names are the
/// same in upper and lower case.
pub fn each(text: &[u8], name: &[u8], mut found: impl FnMut(Address)) {
    for line in pieces(text, b'\n') {
        let mut words = words(line);
        let address = words.next().unwrap_or_default();
        for word in words {
            if same(word, name)
                && let Some(address) = Address::parse(address)
            {
                found(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOSTS: &[u8] = b"127.0.0.1\tlocalhost\r\n\
        # 10.0.0.9 node1\n\
        10.0.0.1 node1.example node1 # node2\n\
        fe80::1%eth1   NODE1\n\
        garbage node1\n\
        10.0.0.1\n\
        \n\
        2001:db8::1 node2 node3";

    fn of(name: &str) -> Vec<String> {
        let text = |address: Address| {
            let ip =
                std::net::Ipv6Addr::from_octets(address.as_v6().as_flattened().try_into().unwrap())
                    .to_canonical();
            let zone = String::from_utf8_lossy(address.zone.text());
            if zone.is_empty() { ip.to_string() } else { format!("{ip}%{zone}") }
        };
        let mut found = Vec::new();
        each(HOSTS, name.as_bytes(), |address| found.push(text(address)));
        found
    }

    #[test]
    fn all_addresses_of_a_name_in_any_case() {
        assert_eq!(of("node1"), ["10.0.0.1", "fe80::1%eth1"]);
        assert_eq!(of("Node1.Example"), ["10.0.0.1"]);
        assert_eq!(of("node2"), ["2001:db8::1"]);
        assert_eq!(of("node3"), ["2001:db8::1"]);
        assert_eq!(of("localhost"), ["127.0.0.1"]);
        assert_eq!(of("node4"), [""; 0]);
        assert_eq!(of("10.0.0.1"), [""; 0]);
        assert_eq!(of(""), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..300), name in "[a-c.]{0,3}") {
            each(&text, name.as_bytes(), |_| ());
        }

        #[test]
        fn a_line_is_found_among_any_others(
            before in proptest::collection::vec(any::<u8>(), 0..100),
            after in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let text = [&before[..], b"\n192.0.2.7 a-node\n", &after].concat();
            let meant = Address::parse(b"192.0.2.7").unwrap();
            let mut seen = false;
            each(&text, b"a-node", |address| seen |= address == meant);
            prop_assert!(seen);
        }
    }
}
