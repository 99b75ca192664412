//! Any fields: what was read can be written and read again, and a signature holds for nothing else.
#![no_main]

use fence_kdump_core::{ByteOrder, decode, encode, properties};

libfuzzer_sys::fuzz_target!(|input: (u16, u16, Vec<u8>)| {
    let (bit, len, fields) = input;
    let datagram = [&encode(ByteOrder::Big)[..], b"KDX1", &fields].concat();
    properties::decoding(&datagram);
    if let Some(extension) = decode(&datagram).ok().and_then(|message| message.extension) {
        properties::signing(&extension, ByteOrder::Little, bit.into(), len.into());
    }
});
