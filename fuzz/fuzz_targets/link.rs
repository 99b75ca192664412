//! Any frames on the cable of a link of the plan, and any time between them: nothing panics, what is sent
//! comes out as a frame that carries the message, and a link that has heard all that still speaks.
#![no_main]

use arbitrary::Arbitrary;
use fence_kdump_sender::address::Address;
use fence_kdump_sender::link::fed::Fed;
use fence_kdump_sender::schedule::Millis;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// Whatever somebody sends.
    Frame(&'a [u8]),
    /// To this card, of that protocol: ARP, IPv4, IPv6.
    ToUs(u8, &'a [u8]),
    /// A UDP datagram over IPv4 with right lengths and checksum of the header: DHCP, a challenge.
    Udp {
        from: u16,
        to: u16,
        body: &'a [u8],
    },
    /// ICMPv6 with a right checksum: neighbours and routers.
    Icmp {
        kind: u8,
        code: u8,
        body: &'a [u8],
    },
    Pass(u16),
    Send {
        six: bool,
        far: bool,
    },
}

const US: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEM: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MESSAGE: &[u8] = b"a message that is looked for";

fn checksum(words: &[u8]) -> u16 {
    let pairs = words
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let sum: u32 = pairs.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn udp(from: u16, to: u16, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(1400)];
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 254, 10, 0, 0, 1];
    let total = 28 + body.len() as u16;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    for part in [from, to, 8 + body.len() as u16, 0] {
        ip.extend(part.to_be_bytes());
    }
    [&US[..], &THEM, &[8, 0], &ip, body].concat()
}

fn icmp(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(1400)];
    let len = 4 + body.len() as u16;
    let from = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe];
    let to = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let pseudo = [&from[..], &to, &u32::from(len).to_be_bytes(), &[0, 0, 0, 58]].concat();
    let sum = checksum(&[&pseudo[..], &[kind, code, 0, 0], body].concat()).to_be_bytes();
    let ip = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[58, 255], &from, &to].concat();
    let group = [0x33, 0x33, 0, 0, 0, 1];
    [&group[..], &THEM, &[0x86, 0xdd], &ip, &[kind, code], &sum, body].concat()
}

libfuzzer_sys::fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut fed = Fed::new();
    for step in steps.iter().take(60) {
        match step {
            Step::Frame(frame) => fed.feed(frame),
            Step::ToUs(which, rest) => {
                let kind: [u8; 2] = [[8, 6], [8, 0], [0x86, 0xdd]][usize::from(which % 3)];
                fed.feed(&[&US[..], &THEM, &kind, rest].concat());
            }
            Step::Udp { from, to, body } => fed.feed(&udp(*from, *to, body)),
            Step::Icmp { kind, code, body } => fed.feed(&icmp(*kind, *code, body)),
            Step::Pass(millis) => fed.pass(Millis(u64::from(*millis))),
            Step::Send { six, far } => {
                let to: &[u8] = match (six, far) {
                    (false, false) => b"10.0.0.9",
                    (false, true) => b"192.0.2.9",
                    (true, false) => b"fd00::9",
                    (true, true) => b"2001:db8::9",
                };
                let to = Address::parse(to).expect("an address");
                let _ = fed.send(MESSAGE, &to);
                while fed.next_frame().is_some() {}
            }
        }
    }
    // Whoever answers for 10.0.0.9 now hears the message, whatever was said before.
    let to = Address::parse(b"10.0.0.9").expect("an address");
    let mut heard = false;
    for _ in 0..40 {
        let _ = fed.send(MESSAGE, &to);
        let arp = [
            &US[..],
            &THEM,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
            &THEM,
            &[10, 0, 0, 9],
            &US,
            &[10, 0, 0, 1],
        ];
        fed.feed(&arp.concat());
        fed.pass(Millis(1_000));
        while let Some(frame) = fed.next_frame() {
            heard |= frame.windows(MESSAGE.len()).any(|window| window == MESSAGE);
        }
    }
    assert!(heard, "the link does not speak any more");
});
