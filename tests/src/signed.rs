//! Signed messages, read and challenged as PROTOCOL.md says, with nothing of what is tested.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::BTreeMap;

/// The types of fields, PROTOCOL.md §4.2.
pub mod field {
    #![expect(missing_docs, reason = "the registry says what each is")]
    pub const NODE_NAME: u8 = 1;
    pub const CRASH_ID: u8 = 3;
    pub const SEQUENCE: u8 = 4;
    pub const WALL_CLOCK: u8 = 5;
    pub const UPTIME: u8 = 6;
    pub const INTERVAL: u8 = 7;
    pub const PHASE: u8 = 8;
    pub const PROGRESS: u8 = 9;
    pub const ANSWER: u8 = 10;
    pub const KEY_ID: u8 = 11;
    pub const MAC: u8 = 255;
}

/// What a node says that it does, PROTOCOL.md §4.3.
pub mod phase {
    #![expect(missing_docs, reason = "the registry says what each is")]
    pub const BOOTED: u64 = 1;
    pub const DUMPING: u64 = 2;
    pub const FINISHED: u64 = 3;
    pub const FAILED: u64 = 4;
    pub const LEAVING: u64 = 5;
}

/// A node key, and the KEY ID of the cluster key that it claims to come from.
#[derive(Clone, Copy, Debug)]
pub struct NodeKey {
    /// The KEY ID.
    pub id: [u8; 4],
    /// The key.
    pub key: [u8; 32],
}

impl NodeKey {
    /// A key that differs from that of any other byte.
    #[must_use]
    pub fn of(byte: u8) -> Self {
        Self { id: [byte, 1, 2, 3], key: std::array::from_fn(|at| byte ^ at as u8) }
    }

    /// HMAC-SHA-256 of `text`, PROTOCOL.md §6.
    #[must_use]
    pub fn code(&self, text: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length will do");
        mac.chain_update(text).finalize().into_bytes().into()
    }

    /// Its line in a key file, PROTOCOL.md §5.1, with the end of the line.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let check = self.code(b"fence_kdump key id");
        format!("node {} {} {} {name}\n", hex(&self.id), hex(&self.key), hex(&check[..4]))
    }

    /// A challenge, PROTOCOL.md §9.
    #[must_use]
    pub fn challenge(&self, crash_id: &[u8], nonce: [u8; 16]) -> Vec<u8> {
        let covered = [b"KDC1", &self.id[..], crash_id, &nonce].concat();
        let code = self.code(&covered);
        [covered, code.to_vec()].concat()
    }
}

/// A signed message: what it says, whoever may have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The plain message that it begins with.
    pub plain: [u8; 8],
    /// The values of its fields by their types, without MAC.
    pub fields: BTreeMap<u8, Vec<u8>>,
    covered: Vec<u8>,
    code: Vec<u8>,
}

impl Signed {
    /// Reads a whole datagram.
    ///
    /// # Panics
    /// When it is not as PROTOCOL.md §4 and §6 say.
    #[track_caller]
    #[must_use]
    pub fn read(datagram: &[u8]) -> Self {
        assert!(datagram.len() <= 508, "{} bytes", datagram.len());
        let (plain, rest) = datagram.split_first_chunk().expect("a message");
        let mut rest = rest.strip_prefix(b"KDX1").expect("the mark of an extension");
        let mut fields = BTreeMap::new();
        while let [kind, length, after @ ..] = rest {
            let (value, after) = after.split_at_checked((*length).into()).expect("a whole field");
            assert_eq!(fields.insert(*kind, value.to_vec()), None, "{kind} comes twice");
            if *kind == field::MAC {
                assert_eq!((value.len(), value[0]), (33, 1), "HMAC-SHA-256");
                assert!(after.is_empty(), "MAC is the last");
            }
            rest = after;
        }
        assert!(rest.is_empty(), "half a field");
        let mac = fields.remove(&field::MAC).expect("a MAC");
        let covered = datagram[..datagram.len() - 32].to_vec();
        Self { plain: *plain, fields, covered, code: mac[1..].to_vec() }
    }

    /// Whether it was signed with `key`.
    #[must_use]
    pub fn is_by(&self, key: &NodeKey) -> bool {
        key.code(&self.covered)[..] == self.code
    }

    /// The value of a field.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn bytes(&self, kind: u8) -> &[u8] {
        self.fields.get(&kind).unwrap_or_else(|| panic!("no field {kind}: {:?}", self.fields))
    }

    /// The value of a field that is a number.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    #[must_use]
    pub fn number(&self, kind: u8) -> u64 {
        self.bytes(kind).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// In hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
