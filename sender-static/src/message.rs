//! What a message says, and in which form which node gets it.

use fence_kdump_core::wire::NODE_NAME_MAX;
use fence_kdump_core::{ByteOrder, encode};

use crate::text::{pieces, which};

/// What is said without a key, in this machine's own byte order: a stock receiver reads only its own.
pub const PLAIN: [u8; 8] = encode(ByteOrder::NATIVE);

/// What a node is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// The message alone, which every receiver reads.
    Plain = 1,
    /// The message with an extension that proves who sent it.
    Signed = 2,
    /// One of each.
    Both = 3,
}

impl Form {
    /// Whether the message alone is among what is sent.
    pub fn has_plain(self) -> bool {
        self as u8 & Self::Plain as u8 != 0
    }

    /// Whether the signed message is.
    pub fn has_signed(self) -> bool {
        self as u8 & Self::Signed as u8 != 0
    }

    /// Reads its name, in upper or lower case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match which(text, b"plain signed both") {
            0 => Some(Self::Plain),
            1 => Some(Self::Signed),
            2 => Some(Self::Both),
            _ => None,
        }
    }

    /// Takes `signed:` and the like off the front of a node. No address begins like this: the groups of
    /// IPv6 have other letters.
    pub fn of_node(node: &[u8]) -> (Option<Self>, &[u8]) {
        let mut parts = pieces(node, b':');
        let form = parts.next().and_then(Self::parse);
        match parts.rest() {
            Some(rest) if form.is_some() => (form, rest),
            _ => (None, node),
        }
    }
}

/// Whether `text` can be the name of a node in messages and key files: 1 to 253 characters, `!` to `~`.
pub fn is_node_name(text: &[u8]) -> bool {
    !text.is_empty() && text.len() <= NODE_NAME_MAX && text.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use proptest::prelude::*;

    #[test]
    fn a_node_says_what_it_is_to_get() {
        let of = |node: &'static str| {
            let (form, rest) = Form::of_node(node.as_bytes());
            (form, std::str::from_utf8(rest).unwrap())
        };
        assert_eq!(of("node1"), (None, "node1"));
        assert_eq!(of("plain:node1"), (Some(Form::Plain), "node1"));
        assert_eq!(of("Signed:10.0.0.1"), (Some(Form::Signed), "10.0.0.1"));
        assert_eq!(of("both:fe80::1%eth0"), (Some(Form::Both), "fe80::1%eth0"));
        assert_eq!(of("signed::::1"), (Some(Form::Signed), ":::1"));
        assert_eq!(of("signed:"), (Some(Form::Signed), ""));
        assert_eq!(of("plain"), (None, "plain"), "a host may have that name");
        for not in ["", ":", "::1", "sign:a", "plain.:a", " plain:a", "bad::1"] {
            assert_eq!(of(not), (None, not));
        }
    }

    #[test]
    fn names_of_nodes() {
        for name in ["n", "Node-1.example.com", "!~#", &"x".repeat(253)] {
            assert!(is_node_name(name.as_bytes()), "{name}");
        }
        for not in ["", "a b", "a\n", "\u{e4}", "\x7f", &"x".repeat(254)] {
            assert!(!is_node_name(not.as_bytes()), "{not}");
        }
    }

    proptest! {
        /// Nothing that is an address is taken for one with something in front of it.
        #[test]
        fn no_address_is_cut(bits: u128, zeros in 0u32..128, zone in "(%[a-z]{1,4})?") {
            let ip = std::net::Ipv6Addr::from_bits(bits.checked_shr(zeros).unwrap_or(0));
            let text = format!("{ip}{zone}");
            prop_assert!(Address::parse(text.as_bytes()).is_some());
            prop_assert_eq!(Form::of_node(text.as_bytes()), (None, text.as_bytes()));
        }

        #[test]
        fn any_bytes_are_a_node(text in proptest::collection::vec(any::<u8>(), 0..30)) {
            let (form, rest) = Form::of_node(&text);
            prop_assert!(text.ends_with(rest) && (form.is_some() || rest == text));
        }
    }
}
