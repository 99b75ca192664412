//! Any fields: what was read can be written and read again, and a signature holds for nothing else.
#![no_main]

use arbitrary::Arbitrary;
use fence_kdump_core::{ByteOrder, decode, encode, properties};

/// A field that is nearly right: a type that exists with the length that it has; or any field.
#[derive(Arbitrary, Debug)]
enum Field<'a> {
    Name(&'a str),
    Sixteen(u8, [u8; 16]),
    Eight(u8, [u8; 8]),
    Four(u8, [u8; 4]),
    Phase(u8),
    Mac(u8, [u8; 32]),
    Any(u8, &'a [u8]),
}

impl Field<'_> {
    fn write(&self, datagram: &mut Vec<u8>) {
        let (kind, value): (u8, &[u8]) = match self {
            Field::Name(name) => (1, name.as_bytes()),
            Field::Sixteen(which, value) => ([2, 3, 9, 10][usize::from(which % 4)], value),
            Field::Eight(which, value) => ([4, 5, 6][usize::from(which % 3)], value),
            Field::Four(which, value) => ([7, 11][usize::from(which % 2)], value),
            Field::Phase(phase) => (8, std::slice::from_ref(phase)),
            Field::Mac(algorithm, code) => {
                datagram.extend([0xff, 33, algorithm % 3]);
                return datagram.extend(code);
            }
            Field::Any(kind, value) => (*kind, value),
        };
        let value = &value[..value.len().min(255)];
        datagram.extend([kind, value.len() as u8]);
        datagram.extend(value);
    }
}

libfuzzer_sys::fuzz_target!(|input: (u16, u16, bool, Vec<Field<'_>>, &[u8])| {
    let (bit, len, big, fields, rest) = input;
    let order = if big { ByteOrder::Big } else { ByteOrder::Little };
    let mut datagram = [&encode(order)[..], b"KDX1"].concat();
    fields.iter().for_each(|field| field.write(&mut datagram));
    datagram.extend(rest);
    properties::decoding(&datagram);
    if let Some(extension) = decode(&datagram).ok().and_then(|message| message.extension) {
        properties::signing(&extension, order, bit.into(), len.into());
    }
});
