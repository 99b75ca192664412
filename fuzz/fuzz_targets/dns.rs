//! Any name and any answer of a DNS server: a question that another reader understands, and addresses that
//! are in the answer.
#![no_main]

use fence_kdump_sender::dns::{self, Kind, Query, REPLY_MAX};

libfuzzer_sys::fuzz_target!(|input: (u16, bool, bool, &[u8], &[u8], &[u8])| {
    let (id, six, honest, name, domain, rest) = input;
    let kind = if six { Kind::Aaaa } else { Kind::A };
    let mut query = Query::new();
    let Some(()) = dns::query(&mut query, id, [name, domain], kind) else { return };
    assert_eq!(dns::id(&query), Some(id));
    // Labels up to the root, one after the other, then type and class.
    let mut labels = &query[12..];
    while let [len @ 1..=63, after @ ..] = labels {
        labels = after.get(usize::from(*len)..).expect("a label is whole");
    }
    assert_eq!(labels.len(), 5, "the root, a type and a class: {query:?}");
    assert_eq!(labels[0], 0);
    let packet = if honest {
        // A server that repeats the question, and then says whatever it wants.
        let mut packet = query.to_vec();
        packet[2] |= 0x80;
        let count = rest.first().copied().unwrap_or_default();
        packet[7] = count;
        packet.extend(rest.iter().skip(1));
        packet
    } else {
        rest.to_vec()
    };
    let packet = &packet[..packet.len().min(REPLY_MAX)];
    let read = dns::reply(packet, &query, kind);
    assert!(!honest || read.is_some() || packet.len() < query.len());
    if let Some((_, addresses)) = read {
        assert_eq!(addresses.any(), addresses.count() > 0);
        for address in addresses {
            // A record's length says which family its address is of, whatever its type.
            let bytes = address.as_v4().map_or(address.as_v6().concat(), |v4| v4.to_vec());
            assert!(packet.windows(bytes.len()).any(|window| window == bytes), "{address:?}");
        }
    }
});
