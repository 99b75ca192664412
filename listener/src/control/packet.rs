//! What is said between the holder of a port and those that ask it: one JSON object a packet.
//!
//! Unknown fields and types are passed over, so that an older and a newer program understand each
//! other in what both know.

use fence_kdump_core::{DecodeError, Instant, Message, decode, encode};
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// No packet is larger, in bytes.
pub const LARGEST: usize = 16 * 1024;

/// The most addresses in one [`Request::Ask`], so that it fits a packet.
pub const ADDRESSES: usize = 200;

/// What a waiter says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// The first packet: whoever sends it wants [`Reply::Welcome`] and [`Reply::Socket`].
    Hello {},
    /// To be told of messages from these addresses, besides those asked for before. Sent right after
    /// [`Request::Hello`], even when no address is known yet.
    Ask {
        /// At most [`ADDRESSES`].
        addresses: Vec<Address>,
    },
    /// To be answered at once.
    Ping {},
    /// Here (as ancillary data) is the UDP socket that an earlier holder left to me.
    Offer {
        /// [`crate::dating::Dating`]: everything in its queue arrived after this.
        emptied: u64,
        /// The clocks' offset at that time.
        offset: i64,
        /// How many the earlier holder served.
        #[serde(default)]
        served: usize,
    },
    /// To be told what is known; answered with [`Reply::Status`].
    Status {},
    /// Something newer.
    #[serde(other)]
    Unknown,
}

/// What the holder says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Reply {
    /// The answer to [`Request::Hello`].
    Welcome {
        /// The holder's process.
        pid: u32,
        /// The holder's CLOCK_BOOTTIME, by which it dates messages, in nanoseconds.
        now: u64,
        /// Its time namespace, by inode; `None` where the kernel has none.
        #[serde(default)]
        time_namespace: Option<u64>,
        /// Whether the holder has the UDP port; if not, it still tries.
        listening: bool,
        /// How many it serves, this one included.
        #[serde(default)]
        served: usize,
    },
    /// With the UDP socket as ancillary data, for the time after the holder.
    Socket {
        /// Everything that anybody may still read from it arrived after this.
        emptied: u64,
        /// The largest offset of the clocks that is known of since then; without it, everything in
        /// the queue is as old as can be.
        #[serde(default = "largest")]
        offset: i64,
    },
    /// A message was heard.
    Heard {
        /// Where it came from.
        from: Address,
        /// When it arrived, by CLOCK_BOOTTIME in nanoseconds.
        at: u64,
        /// The message as it was on the wire, in hexadecimal.
        bytes: String,
    },
    /// The answer to [`Request::Ping`].
    Pong {
        /// How many the holder serves, this one included.
        #[serde(default)]
        served: usize,
    },
    /// The connection ends.
    Refused {
        /// For people.
        why: String,
    },
    /// The answer to [`Request::Status`].
    Status(Status),
    /// Something newer.
    #[serde(other)]
    Unknown,
}

fn largest() -> i64 {
    i64::MAX
}

/// What the holder of a port knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Status {
    /// The program that holds the port.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The UDP port.
    pub port: u16,
    /// Whether it has the UDP port.
    pub listening: bool,
    /// How many others it serves.
    pub clients: usize,
    /// The nodes that it knows by name; an agent knows none.
    pub nodes: Vec<NodeStatus>,
}

/// What is known of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// `unheard`, `started`, `dumping` or `finished`.
    pub state: String,
    /// How long ago its first message of this dump came, in milliseconds.
    pub since_ms: Option<u64>,
    /// How long ago its latest message came, in milliseconds.
    pub last_heard_ms: Option<u64>,
    /// Messages of this dump.
    pub messages: u32,
}

impl Reply {
    /// A message from `from` that arrived at `at`.
    #[must_use]
    pub fn heard(from: Address, at: Instant, message: &Message) -> Self {
        let bytes = encode(message.byte_order);
        Self::Heard {
            from,
            at: at.as_nanos(),
            bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

/// Reads the bytes of [`Reply::Heard`] as if they had come from the network.
///
/// # Errors
/// When they are no message.
pub fn message(hexadecimal: &str) -> Result<Message, DecodeError> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let bytes: Option<Vec<u8>> = hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from((digit(high)? << 4) | digit(low)?).ok(),
            _ => None,
        })
        .collect();
    decode(&bytes.unwrap_or_default())
}

/// As bytes. A packet that cannot be written is empty, which nobody understands.
pub fn write(packet: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(packet).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::ByteOrder;
    use proptest::prelude::*;

    #[test]
    fn frozen_packets() {
        let from: Address = "192.0.2.7".parse().unwrap();
        let order = ByteOrder::Little;
        let heard = Reply::heard(from, Instant::from_nanos(5), &Message::v1(order));
        let text = r#"{"type":"heard","from":"192.0.2.7","at":5,"bytes":"402a301b01000000"}"#;
        assert_eq!(write(&heard), text.as_bytes());
        assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), heard);
        let ask = r#"{"type":"ask","addresses":["fe80::1%2"],"newer":1}"#;
        let addresses = vec!["fe80::1%2".parse().unwrap()];
        assert_eq!(serde_json::from_str::<Request>(ask).unwrap(), Request::Ask { addresses });
        let newer = r#"{"type":"newer","x":{}}"#;
        assert_eq!(serde_json::from_str::<Request>(newer).unwrap(), Request::Unknown);
        assert_eq!(serde_json::from_str::<Reply>(newer).unwrap(), Reply::Unknown);
        let hello = r#"{"type":"hello"}"#;
        assert_eq!(serde_json::from_str::<Request>(hello).unwrap(), Request::Hello {});
    }

    #[test]
    fn a_full_ask_fits_a_packet() {
        let longest = "fe80:1111:1111:1111:1111:1111:1111:1111%4294967295";
        let addresses = vec![longest.parse().unwrap(); ADDRESSES];
        assert!(write(&Request::Ask { addresses }).len() <= LARGEST);
    }

    #[test]
    fn only_a_whole_message_is_a_message() {
        assert!(message("402a301b01000000").is_ok());
        for bad in ["", "4", "402a301b0100000", "402a301b0100000000", "zz", "é"] {
            assert!(message(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_packet_has_an_answer(bytes: Vec<u8>, text: String) {
            drop(serde_json::from_slice::<Request>(&bytes));
            drop(serde_json::from_slice::<Reply>(&bytes));
            let _ = message(&text);
        }
    }
}
