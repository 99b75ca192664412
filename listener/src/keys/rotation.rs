//! How a new cluster key takes the place of the old one, while both are accepted.

use fence_kdump_core::{Key, KeyId};
use thiserror::Error;
use zeroize::Zeroizing;

use super::line::Line;
use super::ring::{ClusterKey, Ring};

/// Why the keys stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RotationError {
    /// Only node keys.
    #[error("holds no cluster key, only those of nodes; rotate where the cluster key is")]
    NoCluster,
    /// There is a previous key already.
    #[error(
        "a rotation is unfinished: {previous} is still accepted beside {current}; when every node has a key \
         from {current}, run 'fence_kdumpctl key rotate --finish'"
    )]
    Unfinished {
        /// The id of the current key.
        current: KeyId,
        /// The id of the previous key.
        previous: KeyId,
    },
    /// There is no previous key.
    #[error("no rotation to finish: {0} is the only cluster key")]
    NoneBegun(KeyId),
}

/// A cluster key of random bytes, with another id than `others` have.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_key(others: &[ClusterKey]) -> Result<ClusterKey, getrandom::Error> {
    loop {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())?;
        let key = Key::from_bytes(&bytes);
        let id = key.id();
        if others.iter().all(|other| other.id != id) {
            return Ok(ClusterKey { id, key });
        }
    }
}

/// The text of a key file with `new` as its current cluster key before the one that `text` has.
///
/// # Errors
/// When `ring`, which is what `text` says, has no cluster key or two.
pub fn begin(
    text: &[u8],
    ring: &Ring,
    new: &ClusterKey,
) -> Result<Zeroizing<Vec<u8>>, RotationError> {
    match ring.clusters() {
        [_] => {}
        [] => return Err(RotationError::NoCluster),
        [current, previous, ..] => {
            let (current, previous) = (current.id, previous.id);
            return Err(RotationError::Unfinished { current, previous });
        }
    }
    let line = Line::Cluster { id: new.id, key: new.key.clone() }.text();
    let mut result = room_for(text);
    for one in text.split_inclusive(|&byte| byte == b'\n') {
        if is_cluster(one) {
            result.extend_from_slice(line.as_bytes());
        }
        result.extend_from_slice(one);
    }
    Ok(result)
}

/// The text of a key file without the previous cluster key, and without the node keys that come from it.
///
/// # Errors
/// When `ring`, which is what `text` says, has no previous one.
pub fn finish(text: &[u8], ring: &Ring) -> Result<Zeroizing<Vec<u8>>, RotationError> {
    let previous = match ring.clusters() {
        [_, previous, ..] => previous.id,
        [only] => return Err(RotationError::NoneBegun(only.id)),
        [] => return Err(RotationError::NoCluster),
    };
    let mut result = room_for(text);
    for one in text.split_inclusive(|&byte| byte == b'\n') {
        if id_of(one) != Some(previous) {
            result.extend_from_slice(one);
        }
    }
    Ok(result)
}

fn is_cluster(line: &[u8]) -> bool {
    matches!(read(line), Some(Line::Cluster { .. }))
}

/// The id of the cluster key that the line has, or that the line's node key comes from.
fn id_of(line: &[u8]) -> Option<KeyId> {
    match read(line)? {
        Line::Cluster { id, .. } => Some(id),
        Line::Node { key_id, .. } => Some(key_id),
    }
}

fn read(line: &[u8]) -> Option<Line> {
    Line::read(line.strip_suffix(b"\n").unwrap_or(line)).ok().flatten()
}

/// Room for the text and one more line: growing would leave copies of keys behind.
fn room_for(text: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(text.len().saturating_add(512)))
}
