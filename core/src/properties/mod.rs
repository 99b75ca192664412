//! What must always hold, as functions that panic when it does not.
//!
//! One home for the properties: proptest draws their inputs at random, the fuzz targets search for
//! inputs that break them, and a model checker can walk through all of them.
#![cfg_attr(not(test), expect(clippy::panic, reason = "a broken property is reported by a panic"))]

mod decoding;
mod proving;
mod tracking;

pub use decoding::{decoding, signing};
pub use proving::{Move, proving};
pub use tracking::{NODES, Step, tracking};

/// Both messages that exist without an extension, spelled out once more as a second opinion.
const MESSAGES: [(crate::ByteOrder, [u8; 8]); 2] = [
    (crate::ByteOrder::Little, [0x40, 0x2a, 0x30, 0x1b, 0x01, 0x00, 0x00, 0x00]),
    (crate::ByteOrder::Big, [0x1b, 0x30, 0x2a, 0x40, 0x00, 0x00, 0x00, 0x01]),
];
