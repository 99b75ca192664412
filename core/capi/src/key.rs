//! Keys and authentication codes (PROTOCOL.md §5, §6).

use core::ffi::{c_char, c_int};

use fence_kdump_core::auth::KEY_LEN;
use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{Key, KeyId, decode};

use crate::code::{
    FENCE_KDUMP_ERROR_BAD_MAC, FENCE_KDUMP_ERROR_KEY_LINE, FENCE_KDUMP_ERROR_NODE_NAME,
    FENCE_KDUMP_ERROR_UNSIGNED, code, of_refusal,
};
use crate::message::{FENCE_KDUMP_NAME_SIZE, write_name};
use crate::pointer::{Place, bytes, check};

/// Length in bytes of a key.
pub const FENCE_KDUMP_KEY_LEN: usize = 32;
/// Length in bytes of a key id.
pub const FENCE_KDUMP_KEY_ID_LEN: usize = 4;

const _: () = assert!(FENCE_KDUMP_KEY_LEN == KEY_LEN);

/// The key of a node, as a line of a key file has it. Wipe it when it is no longer needed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NodeKey {
    /// The key.
    pub key: [u8; FENCE_KDUMP_KEY_LEN],
    /// Names the cluster key that it comes from: the `key_id` of messages.
    pub key_id: [u8; FENCE_KDUMP_KEY_ID_LEN],
    /// The node's name and a zero.
    pub node_name: [c_char; FENCE_KDUMP_NAME_SIZE],
}

impl NodeKey {
    /// No key yet.
    pub const NONE: Self = Self {
        key: [0; FENCE_KDUMP_KEY_LEN],
        key_id: [0; FENCE_KDUMP_KEY_ID_LEN],
        node_name: [0; FENCE_KDUMP_NAME_SIZE],
    };
}

/// The caller's key.
///
/// # Safety
/// `pointer` is NULL or points to [`KEY_LEN`] readable bytes.
pub(crate) unsafe fn key(pointer: *const u8) -> Result<Key, c_int> {
    // SAFETY: the caller's promise; an array of bytes is aligned anywhere.
    unsafe { array::<KEY_LEN>(pointer) }.map(Key::from_bytes)
}

/// `N` bytes of the caller's.
///
/// # Safety
/// `pointer` is NULL or points to `N` readable bytes, which nobody writes while `'a` lasts.
pub(crate) unsafe fn array<'a, const N: usize>(pointer: *const u8) -> Result<&'a [u8; N], c_int> {
    check(pointer)?;
    // SAFETY: not NULL; the caller vouches for the rest; an array of bytes is aligned anywhere.
    Ok(unsafe { &*pointer.cast() })
}

/// Writes the `FENCE_KDUMP_KEY_ID_LEN` bytes that name a key to `key_id`: of a cluster key, what messages
/// have as `key_id`.
///
/// # Safety
///
/// `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes; `key_id` is NULL or points to
/// `FENCE_KDUMP_KEY_ID_LEN` writable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_key_id(key: *const u8, key_id: *mut u8) -> c_int {
    let tell = || {
        // SAFETY: the caller vouches for both.
        let (key, place) = unsafe { (self::key(key)?, Place::new(key_id.cast::<[u8; 4]>())?) };
        place.put(key.id().0);
        Ok(())
    };
    code(tell())
}

/// Derives the key of the node `node_name` from the cluster key `cluster_key` and writes it to `key`.
/// Upper and lower case are the same.
///
/// # Safety
///
/// `cluster_key` is NULL or points to `FENCE_KDUMP_KEY_LEN` readable bytes, `node_name` is NULL or
/// points to text that ends with a zero, `key` is NULL or points to `FENCE_KDUMP_KEY_LEN` writable
/// bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_key_derive(
    cluster_key: *const u8,
    node_name: *const c_char,
    key: *mut u8,
) -> c_int {
    let derive = || {
        check(node_name)?;
        // SAFETY: the caller vouches for all three; the text was seen not to be NULL.
        let (cluster, place, name) = unsafe {
            (self::key(cluster_key)?, Place::new(key.cast::<[u8; KEY_LEN]>())?, text(node_name))
        };
        let node = cluster.derive(name.unwrap_or_default()).ok_or(FENCE_KDUMP_ERROR_NODE_NAME)?;
        place.put(*node.as_bytes());
        Ok(())
    };
    code(derive())
}

/// Text that ends with a zero, as far as a name can be long and one byte more, which no name has.
///
/// # Safety
/// `pointer` points to readable bytes, one of which, within the first [`FENCE_KDUMP_NAME_SIZE`] or
/// after all of these, is zero.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    // Not `CStr::from_ptr`, which needs a C library for it.
    // SAFETY: up to the zero, the caller vouches for each byte.
    let is_text = |at: &usize| unsafe { pointer.add(*at).read() } != 0;
    let len = (0..FENCE_KDUMP_NAME_SIZE).take_while(is_text).count();
    // SAFETY: these bytes were all read just now.
    let bytes = unsafe { core::slice::from_raw_parts(pointer.cast(), len) };
    core::str::from_utf8(bytes).ok()
}

/// Reads a line of a key file, without its end (PROTOCOL.md, section 5.1): `node KEYID KEY CHECK NAME`.
///
/// Returns `FENCE_KDUMP_ERROR_KEY_LINE` for any other line, an empty one and a remark among them, and for
/// one whose CHECK does not fit its key; then `node_key` is as it was.
///
/// # Safety
///
/// `line` is NULL or points to `len` readable bytes; `node_key` is NULL or points to a writable node key.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_key_line(
    line: *const c_char,
    len: usize,
    node_key: *mut NodeKey,
) -> c_int {
    let take = || {
        // SAFETY: the caller vouches for both.
        let (line, place) = unsafe { (bytes(line.cast(), len)?, Place::new(node_key)?) };
        let read = read_line(line).ok_or(FENCE_KDUMP_ERROR_KEY_LINE)?;
        place.put(read);
        Ok(())
    };
    code(take())
}

fn read_line(line: &[u8]) -> Option<NodeKey> {
    if line.last() == Some(&b' ') {
        return None;
    }
    let mut read = NodeKey::NONE;
    let mut check = KeyId([0; 4]);
    let rest = line.strip_prefix(b"node ")?;
    let (word, rest) = first_word(rest);
    hexadecimal(word, &mut read.key_id)?;
    let (word, rest) = first_word(rest);
    hexadecimal(word, &mut read.key)?;
    let (word, rest) = first_word(rest);
    hexadecimal(word, &mut check.0)?;
    let (name, rest) = first_word(rest);
    let name = core::str::from_utf8(name).ok().filter(|name| is_node_name(name))?;
    write_name(&mut read.node_name, name);
    (rest.is_empty() && Key::from_bytes(&read.key).id() == check).then_some(read)
}

/// The first word, and what follows it. The iterators of the standard library leave a way to panic in a
/// library that is compiled for size.
fn first_word(mut text: &[u8]) -> (&[u8], &[u8]) {
    while let Some(rest) = text.strip_prefix(b" ") {
        text = rest;
    }
    let len = text.iter().take_while(|byte| **byte != b' ').count();
    text.split_at_checked(len).unwrap_or((text, &[]))
}

fn hexadecimal(word: &[u8], bytes: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = word.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(())
}

/// Whether the datagram is a message that was signed with the node's key `key`: `FENCE_KDUMP_OK`,
/// `FENCE_KDUMP_ERROR_UNSIGNED`, `_BAD_MAC`, or why it is no message.
///
/// The key has to be that of the node which the message names. That it was signed does not mean that
/// it is no replay: see `fence_kdump_prove`.
///
/// # Safety
///
/// `datagram` is NULL or points to `len` readable bytes, `key` is NULL or points to
/// `FENCE_KDUMP_KEY_LEN` readable bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn fence_kdump_verify(
    datagram: *const u8,
    len: usize,
    key: *const u8,
) -> c_int {
    let verify = || {
        // SAFETY: the caller vouches for both.
        let (datagram, key) = unsafe { (bytes(datagram, len)?, self::key(key)?) };
        let message = decode(datagram).map_err(of_refusal)?;
        let signed = message.signed().ok_or(FENCE_KDUMP_ERROR_UNSIGNED)?;
        if signed.verify(&key) { Ok(()) } else { Err(FENCE_KDUMP_ERROR_BAD_MAC) }
    };
    code(verify())
}
