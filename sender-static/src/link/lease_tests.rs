//! Tests of the DHCP client.

use super::*;
use proptest::prelude::*;

const MAC: Mac = [2, 0, 0, 0, 0, 1];
const NUMBER: u32 = 0x1234_5678;

fn lease() -> Lease {
    Lease::new(MAC, NUMBER, Millis(0))
}

/// What a server says.
fn answer(kind: u8, ip: [u8; 4], options: &[&[u8]]) -> std::vec::Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([0; 8]);
    frame.extend([0, 67, 0, 68, 0, 0, 0, 0]);
    frame.extend([2, 1, 6, 0]);
    frame.extend(NUMBER.to_be_bytes());
    frame.extend([0; 8]);
    frame.extend(ip);
    frame.extend([0; 8]);
    frame.extend(MAC);
    frame.extend([0; 202]);
    frame.extend(COOKIE);
    frame.extend([53, 1, kind]);
    options.iter().for_each(|option| frame.extend_from_slice(option));
    frame.push(255);
    frame
}

const IP: [u8; 4] = [10, 0, 0, 9];
const USUAL: [&[u8]; 4] = [
    &[1, 4, 255, 255, 255, 0],
    &[3, 4, 10, 0, 0, 254],
    &[54, 4, 10, 0, 0, 2],
    &[51, 4, 0, 0, 0x0e, 0x10],
];

/// The kind of question, and the address it is about.
fn asked(question: &[u8]) -> (u8, Option<[u8; 4]>) {
    assert_eq!(question.len(), QUESTION);
    let sum: u32 =
        question[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the checksum of the header");
    let options = &question[42 + 240..];
    let at = options.windows(2).position(|pair| pair == [50, 4]);
    (options[2], at.map(|at| options[at + 2..at + 6].try_into().unwrap()))
}

#[test]
fn an_address_is_given() {
    let mut lease = lease();
    assert_eq!(asked(&lease.question(Millis(0)).unwrap()), (DISCOVER, None));
    assert_eq!(lease.question(Millis(1)), None);
    assert!(lease.hear(&answer(OFFER, IP, &USUAL), Millis(5)));
    assert_eq!(asked(&lease.question(Millis(5)).unwrap()), (REQUEST, Some(IP)));
    assert_eq!(lease.given(), None);
    assert!(lease.hear(&answer(ACK, IP, &USUAL), Millis(9)));
    let given = lease.given().unwrap();
    assert_eq!((given.ip, given.prefix, given.router), (IP, 24, [10, 0, 0, 254]));
    assert_eq!(lease.news.take(), Some(News::Got));
    // Half of an hour later it is asked for again.
    assert_eq!(lease.due(), Millis(1_800_009));
    assert_eq!(asked(&lease.question(lease.due()).unwrap()).0, REQUEST);
    assert!(lease.hear(&answer(ACK, IP, &USUAL), Millis(1_800_100)));
    assert_eq!((lease.news, lease.given().is_some()), (None, true));
    // And in the end it is lost.
    assert!(lease.question(Millis(5_400_200)).is_some());
    assert_eq!((lease.news.take(), lease.given()), (Some(News::Lost), None));
}

#[test]
fn silence_and_a_late_answer() {
    let mut lease = lease();
    let mut times = std::vec::Vec::new();
    let mut told = std::vec::Vec::new();
    for now in (0..60_000).step_by(10) {
        if lease.question(Millis(now)).is_some() {
            times.push(now);
        }
        told.extend(lease.news.take().map(|news| (news, now)));
    }
    assert_eq!(times, [0, 1000, 3000, 7000, 15_000, 31_000, 47_000]);
    let silent: std::vec::Vec<_> = told.iter().map(|(_, now)| *now).collect();
    assert!(told.iter().all(|(news, _)| *news == News::Silence));
    assert_eq!(silent, [7000, 15_000, 31_000, 47_000]);
    // The answer to any of these.
    assert!(lease.hear(&answer(OFFER, IP, &USUAL), Millis(60_000)));
    assert_eq!(asked(&lease.question(Millis(60_000)).unwrap()), (REQUEST, Some(IP)));
}

#[test]
fn an_offer_that_nobody_stands_by() {
    let mut lease = lease();
    lease.hear(&answer(OFFER, IP, &USUAL), Millis(0));
    let kinds = [0, 1000, 3000, 7000].map(|now| asked(&lease.question(Millis(now)).unwrap()).0);
    assert_eq!(kinds, [REQUEST, REQUEST, REQUEST, DISCOVER]);
    lease.hear(&answer(OFFER, IP, &USUAL), Millis(7100));
    lease.hear(&answer(NAK, [0; 4], &[]), Millis(7200));
    assert_eq!((lease.news.take(), lease.due()), (Some(News::Refused), Millis(11_200)));
}

#[test]
fn nonsense() {
    for (ip, mask) in [
        ([0, 0, 0, 0], [255, 255, 255, 0]),
        ([127, 0, 0, 1], [255, 0, 0, 0]),
        ([224, 0, 0, 1], [255, 255, 255, 0]),
        ([255, 255, 255, 255], [255, 255, 255, 0]),
        ([10, 0, 0, 255], [255, 255, 255, 0]),
        ([10, 0, 0, 0], [255, 255, 255, 0]),
        ([10, 0, 0, 9], [255, 0, 255, 0]),
        ([10, 0, 0, 9], [0, 0, 0, 0]),
    ] {
        let mut lease = lease();
        let mask = [&[1, 4][..], &mask].concat();
        assert!(lease.hear(&answer(OFFER, ip, &[&mask]), Millis(10)));
        assert_eq!(lease.news, Some(News::Nonsense), "{ip:?} {mask:?}");
        assert_eq!(lease.due(), Millis(4010), "no flood");
    }
    let mut lease = lease();
    let good = answer(OFFER, IP, &USUAL);
    for (at, why) in
        [(42, "a question"), (46, "another number"), (75, "another card"), (278, "no cookie")]
    {
        let mut other = good.clone();
        other[at] ^= 1;
        assert!(lease.hear(&other, Millis(0)));
        assert_eq!((lease.state, lease.news), (State::Asking, None), "{why}");
    }
    for (at, why) in [(12, "no IPv4"), (23, "no UDP"), (35, "another port"), (37, "another port")] {
        let mut other = good.clone();
        other[at] ^= 1;
        assert!(!lease.hear(&other, Millis(0)), "{why}");
    }
    // Unasked, it is nothing.
    lease.hear(&answer(ACK, IP, &USUAL), Millis(0));
    assert_eq!(lease.state, State::Asking);
}

proptest! {
    #[test]
    fn any_answer(
        kind in 0u8..8,
        ip: [u8; 4],
        options in proptest::collection::vec(any::<u8>(), 0..60),
        length in 0usize..400,
    ) {
        let mut frame = answer(kind, ip, &[&options]);
        frame.truncate(length);
        let mut lease = lease();
        lease.hear(&frame, Millis(0));
        lease.hear(&frame, Millis(1));
        if let Some(given) = lease.given() {
            prop_assert!(given.is_sensible());
        }
    }
}
