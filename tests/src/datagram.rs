//! The bytes that the tests put on the wire, written out, so that no codec stands between a test
//! and what it claims. Source: PROTOCOL.md, and the stock tools' own traffic.

use std::io::ErrorKind;
use std::net::UdpSocket;

/// The next datagram that comes to `socket`, through interruptions, which end the wait of a socket that has a limit.
///
/// # Panics
/// When none comes within that limit.
#[must_use]
#[track_caller]
pub fn next(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return buffer;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("no message: {error}"),
        }
    }
}

/// The port of the protocol.
pub const PORT: u16 = 7410;

/// Version 1 as a little-endian machine sends it: magic `0x1B302A40`, version 1.
pub const LITTLE: [u8; 8] = [0x40, 0x2a, 0x30, 0x1b, 0x01, 0x00, 0x00, 0x00];

/// Version 1 as a big-endian machine (s390x) sends it.
pub const BIG: [u8; 8] = [0x1b, 0x30, 0x2a, 0x40, 0x00, 0x00, 0x00, 0x01];

/// The largest payload one UDP datagram over IPv4 carries.
pub const LARGEST: usize = 65_507;

/// A datagram that is no message: a name for the tables, and the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoMessage {
    /// What is wrong with it, in a word or two.
    pub name: String,
    /// The whole payload.
    pub bytes: Vec<u8>,
}

impl NoMessage {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// Every kind of datagram that must never be taken for the message, whoever sent it.
#[must_use]
pub fn no_messages() -> Vec<NoMessage> {
    let mut kinds = vec![NoMessage::new("empty", [])];
    for (order, message) in [("little", LITTLE), ("big", BIG)] {
        for length in 1..message.len() {
            kinds.push(NoMessage::new(format!("{order} cut to {length}"), &message[..length]));
        }
    }
    // What follows the eight bytes here is no valid extension: it is constant filling.
    for (fill_name, fill) in [("zeros", 0x00), ("ones", 0xff), ("text", b'A')] {
        for extra in [1, 2, 3, 4, 7, 8, 16, 24, 56, 500, 1464, 1992] {
            kinds.push(NoMessage::new(
                format!("{extra} bytes of {fill_name} behind"),
                [&LITTLE[..], &vec![fill; extra]].concat(),
            ));
        }
    }
    kinds.push(NoMessage::new("twice", [LITTLE, LITTLE].concat()));
    kinds.push(NoMessage::new("little and big", [LITTLE, BIG].concat()));
    kinds.push(NoMessage::new("largest", [&LITTLE[..], &vec![0; LARGEST - 8]].concat()));
    kinds.push(NoMessage::new("one byte before", [&[0][..], &LITTLE].concat()));

    kinds.push(NoMessage::new("all zero", [0; 8]));
    kinds.push(NoMessage::new("all ones", [0xff; 8]));
    for bit in 0..32 {
        let mut bytes = LITTLE;
        bytes[bit / 8] ^= 1 << (bit % 8);
        kinds.push(NoMessage::new(format!("magic bit {bit}"), bytes));
    }
    for bit in 0..32 {
        let mut bytes = LITTLE;
        bytes[4 + bit / 8] ^= 1 << (bit % 8);
        kinds.push(NoMessage::new(format!("version bit {bit}"), bytes));
    }
    for version in [2_u32, 256, 0x0100_0000, u32::MAX] {
        let bytes = [&LITTLE[..4], &version.to_le_bytes()].concat();
        kinds.push(NoMessage::new(format!("version {version}"), bytes));
    }
    kinds.push(NoMessage::new("magic little, version big", [&LITTLE[..4], &BIG[4..]].concat()));
    kinds.push(NoMessage::new("magic big, version little", [&BIG[..4], &LITTLE[4..]].concat()));
    kinds.push(NoMessage::new("halves swapped", [&LITTLE[4..], &LITTLE[..4]].concat()));
    kinds.push(NoMessage::new("16-bit swap", [0x2a, 0x40, 0x1b, 0x30, 0x00, 0x01, 0x00, 0x00]));
    kinds
}

/// One datagram of each family of [`no_messages`], for tests that take a second for each.
#[must_use]
pub fn few_no_messages() -> Vec<NoMessage> {
    const FEW: [&str; 9] = [
        "empty",
        "little cut to 1",
        "little cut to 7",
        "1 bytes of zeros behind",
        "1992 bytes of ones behind",
        "largest",
        "magic bit 0",
        "version 2",
        "magic little, version big",
    ];
    let kinds: Vec<_> =
        no_messages().into_iter().filter(|kind| FEW.contains(&kind.name.as_str())).collect();
    assert_eq!(kinds.len(), FEW.len(), "a name in FEW is not in the table");
    kinds
}
