//! Key files that are refused, and those that are not.

mod files;
mod lines;
mod rotating;

use fence_kdump_core::Key;

use super::line::Line;

/// The cluster key of 32 such bytes.
fn key(byte: u8) -> Key {
    Key::from_bytes(&[byte; 32])
}

fn cluster(byte: u8) -> String {
    let key = key(byte);
    Line::Cluster { id: key.id(), key }.text().to_string()
}

fn node(byte: u8, name: &str) -> String {
    let cluster = key(byte);
    let key = cluster.derive(name).unwrap();
    Line::Node { key_id: cluster.id(), key, name: name.to_owned() }.text().to_string()
}

/// Every way in which the key could be written down.
fn spellings(key: &Key) -> [String; 4] {
    let bytes = key.as_bytes();
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = lower[16..32].to_owned();
    [lower.to_uppercase(), lower, part, format!("{bytes:?}")]
}
