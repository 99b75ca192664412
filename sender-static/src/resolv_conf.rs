//! `/etc/resolv.conf`, resolv.conf(5).

use heapless::Vec;

use crate::address::Address;
use crate::schedule::Millis;
use crate::text::{Words, number, pieces, which, words};

/// How many servers are asked. The C library stops at three.
pub const SERVERS: usize = 8;

/// How long the search list can be, in bytes; one that is longer is not used.
pub const SEARCH: usize = 1024;

/// What resolv.conf(5) says about how to ask.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many dots make a name one that is asked for as it is before the search list is tried.
    pub dots: u32,
    /// How long an answer is waited for.
    pub timeout: Millis,
    /// How often a question is repeated that nobody answers.
    pub attempts: u32,
    /// Who is asked: all of them at the same time.
    pub servers: Vec<Address, SERVERS>,
    /// The domains to try behind a short name, as they stand in the file.
    pub search: Vec<u8, SEARCH>,
}

impl Settings {
    /// Nothing yet, not even the defaults, which [`Self::parse`] knows.
    // No constant: its bytes that mean nothing would be written, a kilobyte of them.
    #[expect(clippy::new_without_default, reason = "these are no defaults")]
    pub fn new() -> Self {
        Self { dots: 0, timeout: Millis(0), attempts: 0, servers: Vec::new(), search: Vec::new() }
    }

    /// Reads `text`. What it does not say, or says in a way that makes no sense, stays at the
    /// defaults of resolv.conf(5).
    pub fn parse(&mut self, text: &[u8]) {
        let settings = self;
        settings.servers.clear();
        settings.search.clear();
        (settings.dots, settings.timeout, settings.attempts) = (1, Millis::seconds(5), 2);
        for line in pieces(text, b'\n') {
            let mut words = words(line);
            let key = words.next().unwrap_or_default();
            match which(key, b"nameserver options search domain") {
                0 => {
                    if let Some(server) = words.next().and_then(Address::parse) {
                        // One more than can be asked changes nothing.
                        let _ = settings.servers.push(server);
                    }
                }
                1 => settings.options(words),
                2 | 3 => {
                    // The last line counts.
                    settings.search.clear();
                    let _ = settings.search.extend_from_slice(words.rest());
                }
                _ => {}
            }
        }
    }

    fn options(&mut self, words: Words<'_>) {
        for word in words {
            let mut parts = pieces(word, b':');
            let name = parts.next().unwrap_or_default();
            let Some(value) = number(parts.rest().unwrap_or_default(), 10) else {
                continue;
            };
            match which(name, b"ndots timeout attempts") {
                0 => self.dots = value.min(15),
                1 => self.timeout = Millis::seconds(value.clamp(1, 30)),
                2 => self.attempts = value.clamp(1, 5),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &[u8]) -> Settings {
        let mut settings = Settings::new();
        settings
            .parse(b"nameserver 192.0.2.77\nsearch former\noptions ndots:9 timeout:9 attempts:4");
        settings.parse(text);
        settings
    }

    fn servers(text: &str) -> std::vec::Vec<String> {
        let settings = parsed(text.as_bytes());
        let ip = |server: &Address| {
            std::net::Ipv6Addr::from_octets(server.as_v6().as_flattened().try_into().unwrap())
                .to_canonical()
        };
        settings.servers.iter().map(|server| ip(server).to_string()).collect()
    }

    #[test]
    fn servers_of_both_families() {
        let text = "nameserver 192.0.2.1\n  nameserver\t2001:db8::53 # the other\n;nameserver 9.9.9.9\n#nameserver 8.8.8.8\nnameserver nonsense\nnameserver";
        assert_eq!(servers(text), ["192.0.2.1", "2001:db8::53"]);
        assert_eq!(servers(""), [""; 0]);
        assert_eq!(servers(&"nameserver 192.0.2.1\n".repeat(20)).len(), SERVERS);
    }

    #[test]
    fn link_local_servers_keep_their_interface() {
        let settings = parsed(b"nameserver fe80::1%eth0");
        assert_eq!(settings.servers[0].zone.text(), b"eth0");
    }

    #[test]
    fn options_within_their_ranges() {
        let settings = parsed(
            b"options timeout:2 rotate attempts:1\noptions ndots:3 timeout:x timeout:99999999999 edns0 :",
        );
        assert_eq!(
            (settings.timeout, settings.attempts, settings.dots),
            (Millis::seconds(2), 1, 3)
        );
        let settings = parsed(b"options timeout:2000000 attempts:77 ndots:99");
        assert_eq!(
            (settings.timeout, settings.attempts, settings.dots),
            (Millis::seconds(30), 5, 15)
        );
        let settings = parsed(b"options timeout:0 attempts:0");
        assert_eq!((settings.timeout, settings.attempts), (Millis::seconds(1), 1));
        let settings = parsed(b"");
        assert_eq!(
            (settings.timeout, settings.attempts, settings.dots),
            (Millis::seconds(5), 2, 1)
        );
    }

    #[test]
    fn the_last_search_line_counts() {
        let list = |text: &str| {
            let settings = parsed(text.as_bytes());
            let words =
                words(&settings.search).map(|word| String::from_utf8_lossy(word).into_owned());
            words.collect::<std::vec::Vec<_>>()
        };
        assert_eq!(list("search a.example b.example # c"), ["a.example", "b.example"]);
        assert_eq!(list("search a.example\ndomain b.example\n"), ["b.example"]);
        assert_eq!(list("nameserver 127.0.0.1"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_make_settings_within_range(text in "(nameserver|options|search|[ -~\n\t]| |\n|:|[0-9]){0,60}") {
            let settings = parsed(text.as_bytes());
            prop_assert!((1..=5).contains(&settings.attempts));
            prop_assert!(settings.timeout >= Millis::seconds(1) && settings.timeout <= Millis::seconds(30));
        }
    }
}
