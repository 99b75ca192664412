//! Any message, signed, and then damaged on the way: it is true as long as not a byte of it and not the
//! key is another one, and what it says is what was said.
#![no_main]

use arbitrary::Arbitrary;
use fence_kdump_core::message::is_node_name;
use fence_kdump_core::{
    ByteOrder, CrashId, Datagram, Extension, Key, KeyId, Nonce, Phase, Progress, decode, sign,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    big: bool,
    name: &'a str,
    machine_id: Option<[u8; 16]>,
    ids: ([u8; 16], [u8; 4]),
    stamp: (u64, u64),
    wall_clock: Option<u64>,
    interval: Option<u32>,
    phase: Option<u8>,
    progress: Option<(u64, u64)>,
    answer: Option<[u8; 16]>,
    key: [u8; 32],
    other_key: Option<[u8; 32]>,
    damage: Vec<Damage>,
}

/// What may happen to a datagram.
#[derive(Arbitrary, Debug)]
enum Damage {
    Xor {
        at: u16,
        bits: u8,
    },
    /// Most likely to be of interest: the code itself, counted from the end.
    XorCode {
        at: u8,
        bits: u8,
    },
    Cut {
        len: u16,
    },
    Append {
        byte: u8,
    },
    Swap {
        one: u16,
        other: u16,
    },
}

fn damage(datagram: &mut Vec<u8>, what: &Damage) {
    let len = datagram.len();
    match *what {
        Damage::Xor { at, bits } if len > 0 => datagram[usize::from(at) % len] ^= bits,
        Damage::XorCode { at, bits } if len > 0 => {
            datagram[len - 1 - usize::from(at) % len.min(35)] ^= bits;
        }
        Damage::Cut { len } => datagram.truncate(len.into()),
        Damage::Append { byte } => datagram.push(byte),
        Damage::Swap { one, other } if len > 0 => {
            datagram.swap(usize::from(one) % len, usize::from(other) % len);
        }
        _ => {}
    }
}

libfuzzer_sys::fuzz_target!(|input: Input<'_>| {
    let extension = Extension {
        node_name: Some(input.name),
        machine_id: input.machine_id,
        crash_id: Some(CrashId(input.ids.0)),
        sequence: Some(input.stamp.0),
        wall_clock: input.wall_clock,
        uptime: Some(input.stamp.1),
        interval: input.interval,
        phase: input.phase.map(Phase::of),
        progress: input.progress.map(|(done, total)| Progress { done, total }),
        answer: input.answer.map(Nonce),
        key_id: Some(KeyId(input.ids.1)),
    };
    let order = if input.big { ByteOrder::Big } else { ByteOrder::Little };
    let cluster = Key::from_bytes(&input.key);
    // The key of this node, as receivers derive it; in other letters it is the same.
    let Some(key) = cluster.derive(input.name) else {
        assert!(!is_node_name(input.name));
        let nameless = sign(order, &extension, &cluster, &mut Datagram::new()).unwrap_err();
        assert!(nameless.to_string().contains("name"));
        return;
    };
    let same = cluster.derive(&input.name.to_ascii_uppercase()).expect("a name in capitals is one");
    assert_eq!((same.as_bytes(), same.id()), (key.as_bytes(), key.id()));
    assert_eq!(format!("{key:?}"), format!("Key(id {})", key.id()));
    let anonymous =
        sign(order, &Extension { key_id: None, ..extension }, &key, &mut Datagram::new());
    assert!(anonymous.unwrap_err().to_string().contains("0x0b"));
    let mut signed = Datagram::new();
    sign(order, &extension, &key, &mut signed).expect("everything can be said");
    let mut arrived = signed.to_vec();
    input.damage.iter().for_each(|what| damage(&mut arrived, what));
    let verifier = input.other_key.as_ref().map_or(key.clone(), Key::from_bytes);
    let intact = arrived[..] == signed[..];
    match decode(&arrived) {
        Ok(message) => {
            let is_true = message.signed().is_some_and(|signed| signed.verify(&verifier));
            let same_key = verifier.as_bytes() == key.as_bytes();
            assert_eq!(is_true, intact && same_key);
            if intact {
                assert_eq!((message.byte_order, message.extension), (order, Some(extension)));
            }
        }
        Err(error) => assert!(!intact, "{error}"),
    }
});
