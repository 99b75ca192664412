//! Any datagram: what is believed here is believed by the stock receiver, and what that believes and we
//! do not has a named reason.
#![no_main]

use fence_kdump_core::{ByteOrder, DecodeError, decode};

/// The stock receiver's rule, on a machine of that byte order: it reads at most eight bytes of a datagram
/// into two numbers, the rest is cut off, and compares them.
fn stock_believes(datagram: &[u8], order: ByteOrder) -> bool {
    let Some((magic, rest)) = datagram.split_first_chunk() else { return false };
    let Some((version, _)) = rest.split_first_chunk() else { return false };
    let number = |bytes: &[u8; 4]| match order {
        ByteOrder::Little => u32::from_le_bytes(*bytes),
        ByteOrder::Big => u32::from_be_bytes(*bytes),
    };
    number(magic) == 0x1B30_2A40 && number(version) == 1
}

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    let believes = [ByteOrder::Little, ByteOrder::Big].map(|o| (o, stock_believes(datagram, o)));
    match decode(datagram) {
        Ok(message) => {
            assert!(believes.contains(&(message.byte_order, true)), "only we believe it")
        }
        // What follows the eight bytes is looked at here alone.
        Err(
            DecodeError::TrailingBytes { .. }
            | DecodeError::TooLong { .. }
            | DecodeError::MacNotLast { .. }
            | DecodeError::FieldCutOff { .. }
            | DecodeError::RepeatedField { .. }
            | DecodeError::UnknownCriticalField { .. }
            | DecodeError::WrongFieldLength { .. }
            | DecodeError::BadNodeName
            | DecodeError::UnknownAlgorithm { .. }
            | DecodeError::MissingField { .. },
        ) => assert!(datagram.len() > 8 && believes.iter().any(|(_, yes)| *yes)),
        Err(error) => assert!(believes.iter().all(|(_, yes)| !yes), "{error}"),
    }
    // Of eight bytes, both make the same.
    if datagram.len() == 8 {
        assert_eq!(decode(datagram).is_ok(), believes.iter().any(|(_, yes)| *yes));
    }
});
