use super::*;
use fence_kdump_core::{ByteOrder, encode};
use std::net::UdpSocket;
use std::time::Duration;

fn port_of(port: &Port) -> u16 {
    let bound: SockaddrStorage = getsockname(port.as_fd().as_raw_fd()).unwrap();
    source(&bound).unwrap().port()
}

#[tokio::test]
async fn both_families_whole_datagrams_and_their_true_age() {
    let mut port = Port::open(0).unwrap();
    let number = port_of(&port);
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let hello = encode(ByteOrder::NATIVE);
    // The kernel starts to stamp a moment after it was asked to, and on a busy host, long after.
    let is_stamping = |port: &mut Port| {
        let before = clock::now();
        v4.send_to(&hello, ("127.0.0.1", number)).unwrap();
        let mut heard = Vec::new();
        while !heard.iter().any(|one: &Datagram| one.received_at >= before) {
            port.read(&mut heard).unwrap();
            if clock::now().saturating_since(before) > Duration::from_millis(50) {
                return false;
            }
        }
        true
    };
    assert!((0..100).any(|_| is_stamping(&mut port)), "nothing is stamped");
    let before = clock::now();
    v4.send_to(&hello, ("127.0.0.1", number)).unwrap();
    v4.send_to(&[], ("127.0.0.1", number)).unwrap();
    let mut long = vec![0; 60_000];
    long.splice(..8, hello);
    v4.send_to(&long, ("127.0.0.1", number)).unwrap();
    let after = clock::now();
    std::thread::sleep(Duration::from_millis(300));
    port.readable().await.unwrap();
    let mut heard = Vec::new();
    assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
    let [first, empty, too_long] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(first.from.to_string(), "127.0.0.1");
    assert!(first.said.is_ok());
    assert!((before..=after).contains(&first.received_at), "not when it was read");
    assert_eq!(first.port, v4.local_addr().unwrap().port());
    assert_eq!(empty.said, Err(DecodeError::Empty));
    assert_eq!(too_long.said, Err(DecodeError::TrailingBytes { extra: 59_992 }));
}

/// Whoever is answered sees the port at which is listened, whichever family it speaks.
#[tokio::test]
async fn an_answer_comes_from_the_port_that_listens() {
    let mut port = Port::open(0).unwrap();
    let number = port_of(&port);
    for host in ["127.0.0.1", "::1"] {
        let sender = UdpSocket::bind((host, 0)).unwrap();
        sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        sender.send_to(&encode(ByteOrder::NATIVE), (host, number)).unwrap();
        port.readable().await.unwrap();
        let mut heard = Vec::new();
        let _ = port.read(&mut heard).unwrap();
        let one = heard.pop().unwrap();
        port.send(one.from, one.port, b"answer").unwrap();
        let mut bytes = [0; 16];
        let (length, from) = sender.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from.port()), (&b"answer"[..], number), "{host}");
    }
}

/// A queue that nobody has told of yet is not empty.
#[tokio::test]
async fn what_has_just_come_is_there() {
    let mut port = Port::open(0).unwrap();
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let hello = encode(ByteOrder::NATIVE);
    for _ in 0..3 {
        v4.send_to(&hello, ("127.0.0.1", port_of(&port))).unwrap();
        let sent = clock::now();
        let mut heard = Vec::new();
        let queue = port.read(&mut heard).unwrap();
        assert_eq!((heard.len(), queue), (1, Queue::Empty));
        assert!(heard.iter().all(|datagram| datagram.received_at <= sent));
    }
}

#[tokio::test]
async fn a_socket_that_is_not_of_the_port_is_not_inherited() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Port::inherit(other.into(), 1, clock::now(), Reading::take()).unwrap_err();
    assert!(error.to_string().contains("UDP port 1"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_told() {
    let port = Port::open(0).unwrap();
    let again = Port::open(port_of(&port));
    assert!(matches!(again, Err(PortError::InUse(_))), "{again:?}");
}

/// What was cut to fit is refused for what it was.
#[tokio::test]
async fn what_is_too_long_is_no_message_however_it_begins() {
    let mut port = Port::open(0).unwrap();
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lengths = [508, 509, 512, 513, 65_507];
    for length in lengths {
        let mut bytes = encode(ByteOrder::Big).to_vec();
        bytes.extend_from_slice(b"KDX1");
        bytes.resize(length, 0);
        v4.send_to(&bytes, ("127.0.0.1", port_of(&port))).unwrap();
    }
    let mut heard = Vec::new();
    assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
    let causes: Vec<_> = heard.into_iter().map(|one| one.said.map(drop)).collect();
    let too_long = |len| Err(DecodeError::TooLong { len });
    assert_eq!(causes[1..], [509, 512, 513, 65_507].map(too_long));
    assert_eq!(causes[0], Err(DecodeError::RepeatedField { kind: 0 }));
}

/// More than one batch, and room that is used again.
#[tokio::test]
async fn each_datagram_has_its_own_source_and_words() {
    let mut port = Port::open(0).unwrap();
    let number = port_of(&port);
    let mut heard = Vec::new();
    for round in 0..3_u16 {
        let senders: Vec<_> = (0..u16::try_from(BATCH).unwrap() + 36)
            .map(|place| {
                let host = Ipv4Addr::new(127, 0, 1 + u8::try_from(round).unwrap(), 1 + place as u8);
                let sender = UdpSocket::bind((host, 0)).unwrap();
                let order = if place % 3 == 0 { ByteOrder::Big } else { ByteOrder::Little };
                let said = encode(order);
                // Now and then one that is longer, so that what was there before would show.
                let said = if place % 7 == 0 { &[&said[..], b"x"].concat()[..] } else { &said };
                sender.send_to(said, ("127.0.0.1", number)).unwrap();
                (Address::of_source(sender.local_addr().unwrap()), said.to_vec())
            })
            .collect();
        heard.clear();
        assert_eq!(port.read(&mut heard).unwrap(), Queue::More);
        assert_eq!(heard.len(), BATCH);
        assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
        assert_eq!(heard.len(), senders.len());
        for (datagram, (from, said)) in heard.iter().zip(senders) {
            assert_eq!(datagram.from, from);
            match &datagram.said {
                Ok(words) => assert_eq!(words.as_bytes(), said),
                Err(error) => {
                    assert_eq!((*error, said.len()), (DecodeError::TrailingBytes { extra: 1 }, 9));
                }
            }
        }
    }
}

/// What the kernel throws away is counted, and nobody is woken by it.
#[tokio::test]
async fn what_is_sifted_out_is_counted() {
    let mut port = Port::open(0).unwrap();
    port.sift(true).unwrap();
    let number = port_of(&port);
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..5 {
        v4.send_to(b"noise", ("127.0.0.1", number)).unwrap();
    }
    let mut heard = Vec::new();
    assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
    assert_eq!((heard.len(), port.dropped()), (0, 5));
    v4.send_to(&encode(ByteOrder::Little), ("127.0.0.1", number)).unwrap();
    port.read(&mut heard).unwrap();
    assert_eq!((heard.len(), port.dropped()), (1, 5));
    // Somebody else who has the socket wants to see everything; one batch later, that is over.
    sieve::detach(&port.as_fd()).unwrap();
    for _ in 0..2 {
        v4.send_to(b"noise", ("127.0.0.1", number)).unwrap();
        port.read(&mut heard).unwrap();
    }
    assert_eq!((heard.len(), port.dropped()), (2, 6));
    port.sift(false).unwrap();
    v4.send_to(b"noise", ("127.0.0.1", number)).unwrap();
    port.read(&mut heard).unwrap();
    assert_eq!((heard.len(), port.dropped()), (3, 6));
}

/// Whoever opened a socket may have wanted stamps of another kind.
#[tokio::test]
async fn what_came_before_stamps_were_asked_for_is_as_old_as_can_be() {
    let earlier = UdpSocket::bind("127.0.0.1:0").unwrap();
    let number = earlier.local_addr().unwrap().port();
    let emptied = Reading::take();
    setsockopt(&earlier, sockopt::ReceiveTimestampns, &true).unwrap();
    setsockopt(&earlier, sockopt::ReceiveTimestampns, &false).unwrap();
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    v4.send_to(&encode(ByteOrder::Little), ("127.0.0.1", number)).unwrap();
    let sent = clock::now();
    std::thread::sleep(Duration::from_millis(50));
    let mut port = Port::inherit(earlier.into(), number, emptied.now, emptied).unwrap();
    let mut heard = Vec::new();
    port.read(&mut heard).unwrap();
    assert!(heard.iter().all(|one| one.received_at <= sent) && heard.len() == 1, "{heard:?}");
}

/// Whoever looks after it by himself misses nothing, neither while he does so nor when he no longer does.
#[tokio::test]
async fn what_comes_while_nobody_is_woken_is_there() {
    let mut port = Port::open(0).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = ("127.0.0.1", port_of(&port));
    let mut heard = Vec::new();
    for round in 1..=3 {
        port.rest();
        sender.send_to(&encode(ByteOrder::Big), to).unwrap();
        assert!(port.rests());
        assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
        assert_eq!(heard.len(), 2 * round - 1);
        sender.send_to(&encode(ByteOrder::Big), to).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(10), port.readable()).await;
        told.expect("it is told of what had come").unwrap();
        assert!(!port.rests());
        assert_eq!(port.read(&mut heard).unwrap(), Queue::Empty);
        assert_eq!(heard.len(), 2 * round);
        let quiet = Duration::from_millis(20);
        assert!(tokio::time::timeout(quiet, port.readable()).await.is_err(), "nothing is left");
    }
}
