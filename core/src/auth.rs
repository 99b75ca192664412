//! Keys and authentication codes (PROTOCOL.md §5, §6).

use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

use crate::message::{CrashId, KeyId, Message, Nonce, is_node_name};
use crate::wire::{CODE_LEN, NODE_NAME_MAX};

/// The length in bytes of a key.
pub const KEY_LEN: usize = 32;

const KEY_ID: &[u8] = b"fence_kdump key id";
const SALT: &[u8] = b"fence_kdump";
const INFO: &[u8] = b"node key ";

/// A cluster key or a node key. Wiped from memory when dropped; never shown.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// The key of these bytes, which have to be random or derived. The caller wipes its own copy.
    #[must_use]
    pub const fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        Self(*bytes)
    }

    /// Its bytes, for a key file.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Names the key without giving it away: the KEY ID of a cluster key, the CHECK of a node key
    /// (PROTOCOL.md §5.1).
    #[must_use]
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, ..] = code(self, KEY_ID);
        KeyId([a, b, c, d])
    }

    /// The key of the node `node_name`, this being a cluster key; `None` when that cannot be the
    /// name of a node. Upper and lower case are the same.
    #[must_use]
    pub fn derive(&self, node_name: &str) -> Option<Self> {
        if !is_node_name(node_name) {
            return None;
        }
        let mut room = [0; NODE_NAME_MAX];
        let name = room.get_mut(..node_name.len())?;
        name.copy_from_slice(node_name.as_bytes());
        name.make_ascii_lowercase();
        let mut key = Self([0; KEY_LEN]);
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), &self.0);
        hkdf.expand_multi_info(&[INFO, name], &mut key.0).ok()?;
        Some(key)
    }

    /// Made ready for many messages.
    #[must_use]
    pub fn ready(&self) -> ReadyKey {
        ReadyKey(sealed::Coder::hmac(self))
    }
}

/// A key of a node that sends many messages: a third of the work that each of them takes is done, at six times the
/// memory. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct ReadyKey(Hmac<Sha256>);

impl fmt::Debug for ReadyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadyKey")
    }
}

mod sealed {
    pub trait Coder {
        fn hmac(&self) -> super::Hmac<super::Sha256>;
    }
}

/// A [`Key`] or a [`ReadyKey`].
pub trait Coder: sealed::Coder {}

impl<T: sealed::Coder> Coder for T {}

impl sealed::Coder for ReadyKey {
    fn hmac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }
}

impl sealed::Coder for Key {
    fn hmac(&self) -> Hmac<Sha256> {
        // A key that is shorter than a block counts as if it were followed by zeros (RFC 2104 §2).
        let mut block = [0; 64];
        let (key, _) = block.split_at_mut(KEY_LEN);
        key.copy_from_slice(&self.0);
        let hmac = Hmac::new((&block).into());
        block.zeroize();
        hmac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(id {})", self.id())
    }
}

/// The authentication code of `covered`.
#[inline(never)]
pub(crate) fn code(key: &impl Coder, covered: &[u8]) -> [u8; CODE_LEN] {
    key.hmac().chain_update(covered).finalize().into_bytes().into()
}

/// Whether `found` is the authentication code of `covered`, compared in constant time.
#[inline(never)]
pub(crate) fn is_code(key: &impl Coder, covered: &[u8], found: &[u8; CODE_LEN]) -> bool {
    key.hmac().chain_update(covered).verify(found.into()).is_ok()
}

/// What a signed message claims, and the code that may prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Whose message it claims to be.
    pub node_name: &'a str,
    /// Which cluster key the node's key comes from.
    pub key_id: KeyId,
    /// Which run of the sender it claims to be of.
    pub crash_id: CrashId,
    /// Greater in each message of that run.
    pub sequence: u64,
    /// Since the crash kernel started, in milliseconds.
    pub uptime: u64,
    /// Which challenge it claims to answer.
    pub answer: Option<Nonce>,
    code: &'a [u8; CODE_LEN],
    covered: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(crate) fn of(message: &Message<'a>) -> Option<Self> {
        let (said, mac) = (message.extension?, message.mac?);
        Some(Self {
            node_name: said.node_name?,
            key_id: said.key_id?,
            crash_id: said.crash_id?,
            sequence: said.sequence?,
            uptime: said.uptime?,
            answer: said.answer,
            code: mac.code,
            covered: mac.covered,
        })
    }

    /// Whether it was signed with `key`, which has to be that of the node it names.
    #[must_use]
    pub fn verify(&self, key: &impl Coder) -> bool {
        is_code(key, self.covered, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_bytes(&[byte; KEY_LEN])
    }

    #[test]
    fn codes_are_those_of_rfc_4231() {
        // Test case 2, whose key is shorter than ours and thus followed by zeros.
        let mut bytes = [0; KEY_LEN];
        bytes[..4].copy_from_slice(b"Jefe");
        let key = Key::from_bytes(&bytes);
        let data = b"what do ya want for nothing?";
        let hex: String = code(&key, data).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(is_code(&key, data, &code(&key, data)));
        let ready = key.ready();
        for _ in 0..2 {
            assert_eq!(code(&ready, data), code(&key, data), "ready for any number of them");
        }
        assert!(!is_code(&ready, b"what", &code(&key, data)));
    }

    #[test]
    fn keys_are_wiped() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Key>();
        // Which is what an HMAC consists of.
        is_wiped::<Sha256>();
    }

    #[test]
    fn a_key_is_of_one_node_of_one_cluster() {
        let node = key(1).derive("n1").unwrap();
        assert_eq!(node.as_bytes(), key(1).derive("N1").unwrap().as_bytes(), "case is the same");
        for other in [key(1).derive("n2"), key(2).derive("n1"), key(1).derive("n1.example.com")] {
            assert_ne!(node.as_bytes(), other.unwrap().as_bytes());
        }
        for name in ["", "a b", "ä", "a\n", &"x".repeat(254)] {
            assert!(key(1).derive(name).is_none(), "{name:?}");
        }
        assert!(key(1).derive(&"x".repeat(253)).is_some());
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", key(0xab));
        assert_eq!(shown, format!("Key(id {})", key(0xab).id()));
        assert!(!shown.contains("abab"));
        assert_eq!(format!("{:?}", key(0xab).ready()), "ReadyKey");
    }
}
