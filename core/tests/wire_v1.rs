//! The bytes of version 1, frozen: if a test here fails, the change is wrong, not the test.

use fence_kdump_core::{ByteOrder, DecodeError, Message, PORT, decode, encode};

#[rustfmt::skip]
const LITTLE: [u8; 8] = [
    0x40, 0x2a, 0x30, 0x1b, // magic 0x1B302A40
    0x01, 0x00, 0x00, 0x00, // version 1
];

#[rustfmt::skip]
const BIG: [u8; 8] = [
    0x1b, 0x30, 0x2a, 0x40, // magic 0x1B302A40
    0x00, 0x00, 0x00, 0x01, // version 1
];

#[test]
fn the_port_is_7410() {
    assert_eq!(PORT, 7410);
}

#[test]
fn both_byte_orders_are_written() {
    assert_eq!(encode(ByteOrder::Little), LITTLE);
    assert_eq!(encode(ByteOrder::Big), BIG);
    let native = if cfg!(target_endian = "big") { BIG } else { LITTLE };
    assert_eq!(encode(ByteOrder::NATIVE), native);
}

#[test]
fn both_byte_orders_are_read() {
    assert_eq!(decode(&LITTLE), Ok(Message::v1(ByteOrder::Little)));
    assert_eq!(decode(&BIG), Ok(Message::v1(ByteOrder::Big)));
}

#[test]
fn every_shorter_datagram_is_refused_with_its_length() {
    assert_eq!(decode(&[]), Err(DecodeError::Empty));
    for message in [LITTLE, BIG] {
        for len in 1..8 {
            assert_eq!(decode(&message[..len]), Err(DecodeError::Truncated { len }));
        }
    }
}

#[test]
fn every_longer_datagram_is_refused_with_what_is_too_much() {
    for message in [LITTLE, BIG] {
        for extra in [1, 2, 8, 248, 500, 1464, 65_499] {
            let mut datagram = message.to_vec();
            datagram.resize(8 + extra, 0);
            assert_eq!(decode(&datagram), Err(DecodeError::TrailingBytes { extra }));
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (message, version_of) in [
        (LITTLE, u32::from_le_bytes as fn([u8; 4]) -> u32),
        (BIG, u32::from_be_bytes as fn([u8; 4]) -> u32),
    ] {
        for bit in 0..64 {
            let mut datagram = message;
            datagram[bit / 8] ^= 1 << (bit % 8);
            let (magic, version) = datagram.split_at(4);
            let expected = if bit < 32 {
                let found = u32::from_le_bytes(magic.try_into().expect("four bytes"));
                DecodeError::BadMagic { found }
            } else {
                let version = version_of(version.try_into().expect("four bytes"));
                DecodeError::UnsupportedVersion { version }
            };
            assert_eq!(decode(&datagram), Err(expected), "bit {bit}");
        }
    }
}
