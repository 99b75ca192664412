//! What is said between the holder of a port and those that ask it: one JSON object a packet.
//!
//! Unknown fields and types are passed over, so that an older and a newer program understand each
//! other in what both know.

use fence_kdump_core::DecodeError;
use serde::{Deserialize, Serialize};

pub use super::status::{Inquiry, NodeStatus, Setup, Status};
use crate::address::Address;
use crate::socket::{Datagram, Words};

/// No packet is larger, in bytes.
pub const LARGEST: usize = 16 * 1024;

/// The most addresses in one [`Request::Ask`], so that it fits a packet.
pub const ADDRESSES: usize = 200;

/// The most room that all names in one [`Request::Ask`] take, in bytes, so that it fits a packet; see
/// [`batches`].
const NAMES: usize = 12 * 1024;

/// `names` in batches, each of which fits one [`Request::Ask`]. None is left out.
#[must_use]
pub fn batches(names: &[String]) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut room = 0_usize;
    for name in names {
        // Each character may have to be escaped.
        let needed = name.len().saturating_mul(2).saturating_add(3);
        match batches.last_mut() {
            Some(batch) if needed <= room => {
                batch.push(name.clone());
                room = room.saturating_sub(needed);
            }
            Some(_) | None => {
                batches.push(vec![name.clone()]);
                room = NAMES.saturating_sub(needed);
            }
        }
    }
    batches
}

/// What a waiter says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// The first packet: whoever sends it wants [`Reply::Welcome`] and [`Reply::Socket`].
    Hello {},
    /// To be told of messages from these addresses, and of messages that have one of these node
    /// names, wherever they come from; besides those asked for before. Sent right after
    /// [`Request::Hello`], even when nothing is to be asked for yet.
    Ask {
        /// At most [`ADDRESSES`].
        addresses: Vec<Address>,
        /// As many as fit, in any case.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    },
    /// In place of [`Request::Ask`]: to be told of every message, whosever it is.
    AskEverything {},
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
    Status(Inquiry),
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
        /// From which UDP port; 0 when it cannot be answered.
        #[serde(default, skip_serializing_if = "is_zero")]
        port: u16,
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

fn is_zero(port: &u16) -> bool {
    *port == 0
}

impl Reply {
    /// The message of `datagram`; `None` when it is none.
    #[must_use]
    pub fn heard(datagram: &Datagram) -> Option<Self> {
        let Datagram { received_at, from, port, said } = datagram;
        let bytes = hexadecimal(said.as_ref().ok()?.as_bytes());
        Some(Self::Heard { from: *from, port: *port, at: received_at.as_nanos(), bytes })
    }
}

/// What [`words`] reads.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('?'));
        }
    }
    text
}

/// Reads a message that was written by [`hexadecimal`] as if it had come from the network.
///
/// # Errors
/// When they are no message.
pub fn words(hexadecimal: &str) -> Result<Words, DecodeError> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let bytes: Option<Vec<u8>> = hexadecimal
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from((digit(high)? << 4) | digit(low)?).ok(),
            _ => None,
        })
        .collect();
    Words::read(&bytes.unwrap_or_default())
}

/// As bytes. A packet that cannot be written is empty, which nobody understands.
pub fn write(packet: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(packet).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fence_kdump_core::{ByteOrder, Instant, encode};
    use proptest::prelude::*;

    fn datagram(port: u16, bytes: &[u8]) -> Datagram {
        Datagram {
            received_at: Instant::from_nanos(5),
            from: "192.0.2.7".parse().unwrap(),
            port,
            said: Words::read(bytes),
        }
    }

    #[test]
    fn frozen_packets() {
        let bytes = encode(ByteOrder::Little);
        let older = Reply::heard(&datagram(0, &bytes)).unwrap();
        let text = r#"{"type":"heard","from":"192.0.2.7","at":5,"bytes":"402a301b01000000"}"#;
        assert_eq!(write(&older), text.as_bytes());
        assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), older);
        let heard = Reply::heard(&datagram(513, &bytes)).unwrap();
        let text =
            r#"{"type":"heard","from":"192.0.2.7","port":513,"at":5,"bytes":"402a301b01000000"}"#;
        assert_eq!(write(&heard), text.as_bytes());
        assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), heard);
        let ask = r#"{"type":"ask","addresses":["fe80::1%2"],"newer":1}"#;
        let addresses: Vec<Address> = vec!["fe80::1%2".parse().unwrap()];
        let older = Request::Ask { addresses: addresses.clone(), names: Vec::new() };
        assert_eq!(serde_json::from_str::<Request>(ask).unwrap(), older);
        let ask = r#"{"type":"ask","addresses":["fe80::1%2"],"names":["n1"]}"#;
        let both = Request::Ask { addresses, names: vec!["n1".into()] };
        assert_eq!(serde_json::from_str::<Request>(ask).unwrap(), both);
        assert_eq!(write(&both), ask.as_bytes());
        let newer = r#"{"type":"newer","x":{}}"#;
        assert_eq!(serde_json::from_str::<Request>(newer).unwrap(), Request::Unknown);
        assert_eq!(serde_json::from_str::<Reply>(newer).unwrap(), Reply::Unknown);
        let hello = r#"{"type":"hello"}"#;
        assert_eq!(serde_json::from_str::<Request>(hello).unwrap(), Request::Hello {});
    }

    /// An older program asks for everything, and answers everything.
    #[test]
    fn pages_are_asked_for() {
        let older = r#"{"type":"status"}"#;
        let everything = Request::Status(Inquiry::default());
        assert_eq!(serde_json::from_str::<Request>(older).unwrap(), everything);
        assert_eq!(write(&everything), older.as_bytes());
        let text = r#"{"type":"status","node":"n1","after":"n7","heard":true,"setup":true}"#;
        let (node, after) = (Some("n1".to_owned()), Some("n7".to_owned()));
        let all = Request::Status(Inquiry { node, after, heard: true, setup: true });
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), all);
        assert_eq!(write(&all), text.as_bytes());
        let older = r#"{"type":"status","program":"p","pid":1,"port":2,"listening":true,"clients":3,"nodes":[]}"#;
        let program = "p".to_owned();
        let status =
            Status { program, pid: 1, port: 2, listening: true, clients: 3, ..Status::default() };
        let status = Reply::Status(status);
        assert_eq!(serde_json::from_str::<Reply>(older).unwrap(), status);
        assert_eq!(write(&status), older.as_bytes());
    }

    /// An older daemon says less of a node.
    #[test]
    fn a_node_of_an_older_daemon() {
        let text =
            r#"{"name":"n1","state":"unheard","since_ms":null,"last_heard_ms":null,"messages":0}"#;
        let node: NodeStatus = serde_json::from_str(text).unwrap();
        assert_eq!((node.policy, node.key_id, node.interval_ms), (None, None, None));
    }

    #[test]
    fn a_full_ask_fits_a_packet() {
        let longest = "fe80:1111:1111:1111:1111:1111:1111:1111%4294967295";
        let addresses = vec![longest.parse().unwrap(); ADDRESSES];
        assert!(write(&Request::Ask { addresses, names: Vec::new() }).len() <= LARGEST);
        // Every character of which has to be escaped, or none.
        for character in ["\"", "n"] {
            for length in [1, 10, 253] {
                let all = vec![character.repeat(length); 4_096];
                let batches = batches(&all);
                assert_eq!(batches.concat(), all);
                for names in batches {
                    assert!(write(&Request::Ask { addresses: Vec::new(), names }).len() <= LARGEST);
                }
            }
        }
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn only_a_whole_message_is_a_message() {
        assert!(words("402a301b01000000").is_ok());
        for bad in ["", "4", "402a301b0100000", "402a301b0100000000", "zz", "é"] {
            assert!(words(bad).is_err(), "{bad}");
        }
        assert_eq!(Reply::heard(&datagram(1, b"nonsense")), None);
    }

    proptest! {
        #[test]
        fn every_packet_has_an_answer(bytes: Vec<u8>, text: String) {
            drop(serde_json::from_slice::<Request>(&bytes));
            drop(serde_json::from_slice::<Reply>(&bytes));
            drop(words(&text));
        }

        #[test]
        fn every_message_comes_through(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            // An extension of one field for private use.
            let mut message = encode(ByteOrder::Big).to_vec();
            message.extend(b"KDX1");
            for (kind, value) in (0x60..).zip(bytes.chunks(255)) {
                message.extend([kind, u8::try_from(value.len()).unwrap()]);
                message.extend(value);
            }
            match Reply::heard(&datagram(1, &message)) {
                Some(Reply::Heard { bytes, .. }) => {
                    let words = words(&bytes).unwrap();
                    prop_assert_eq!(words.as_bytes(), &message[..]);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
