//! Challenges: who is answered, how soon, how often, and what it costs.

use super::*;
use fence_kdump_tests::signed::field;
use fence_kdump_tests::{Cluster, requires};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

const MS: Duration = Duration::from_millis(1);

/// The first message of a sender, and how to challenge it.
struct Asked {
    key: NodeKey,
    crash_id: Vec<u8>,
    sequence: u64,
    from: SocketAddr,
}

impl Asked {
    #[track_caller]
    fn by(socket: &UdpSocket, key: NodeKey) -> Self {
        let (message, from) = signed(socket, &key);
        let crash_id = message.bytes(field::CRASH_ID).to_vec();
        Self { key, crash_id, sequence: message.number(field::SEQUENCE), from }
    }

    fn challenge(&self, nonce: u8) -> Vec<u8> {
        self.key.challenge(&self.crash_id, [nonce; 16])
    }

    fn ask(&self, socket: &UdpSocket, nonce: u8) {
        socket.send_to(&self.challenge(nonce), self.from).unwrap();
    }

    /// The nonce that `bytes` answer, if they are a message that answers any.
    #[track_caller]
    fn answered(&self, bytes: &[u8]) -> Option<u8> {
        let message = Signed::read(bytes);
        assert!(message.is_by(&self.key) && message.bytes(field::CRASH_ID) == self.crash_id);
        let answer = message.fields.get(&field::ANSWER)?;
        assert_eq!(answer[..], [answer[0]; 16]);
        Some(answer[0])
    }

    /// How many of the answers that come within `limit` there are.
    #[track_caller]
    fn answers(&self, socket: &UdpSocket, limit: Duration) -> Vec<u8> {
        all(socket, limit).iter().filter_map(|bytes| self.answered(bytes)).collect()
    }
}

/// A sender that has said its first word, with nothing more to come for a long time.
fn quiet<'net>(folder: &Folder, net: &'net Netns, args: &[&str]) -> Run<'net> {
    folder.sender(net, &["-v", "-i", "3600", "--burst=none"]).args(args)
}

#[test]
fn a_challenge_is_answered_at_once() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    for (local, node, shown) in [
        ("127.0.0.1:7410", "127.1", "127.1 127.0.0.1: heard"),
        ("[::1]:7410", "::1", "::1 0:0:0:0:0:0:0:1: heard"),
    ] {
        let socket = net.udp(local);
        let sender = quiet(&folder, &net, &[node]).spawn();
        let asked = Asked::by(&socket, key);
        let mut sequence = asked.sequence;
        // As the message that was challenged.
        let promise = 3_600_000;
        let mut fastest = LIMIT;
        for nonce in 1..=10 {
            let start = Instant::now();
            asked.ask(&socket, nonce);
            let (bytes, from) = next(&socket, LIMIT).expect("an answer");
            fastest = fastest.min(start.elapsed());
            assert_eq!((asked.answered(&bytes), from), (Some(nonce), asked.from));
            let message = Signed::read(&bytes);
            assert!(message.number(field::SEQUENCE) > sequence);
            assert_eq!(message.number(field::INTERVAL), promise);
            sequence = message.number(field::SEQUENCE);
        }
        println!("a challenge is answered within {fastest:?}");
        assert!(fastest < 3 * MS, "{fastest:?}");
        sender.wait_stderr_line(shown, LIMIT);
    }
}

/// The answer goes to where the challenge came from, and to nobody else.
#[test]
fn whoever_asks_is_answered_alone() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let (first, second) = (net.udp("127.0.0.2:7410"), net.udp("127.0.0.3:7410"));
    let sender = quiet(&folder, &net, &["127.0.0.2", "127.0.0.3"]).spawn();
    let asked = Asked::by(&first, key);
    let _ = Asked::by(&second, key);
    let other = net.udp("127.0.0.4:555");
    asked.ask(&other, 9);
    let (bytes, _) = next(&other, LIMIT).expect("an answer");
    assert_eq!(asked.answered(&bytes), Some(9));
    for socket in [first, second] {
        assert!(next(&socket, 100 * MS).is_none());
    }
    // No destination: its address alone.
    sender.wait_stderr_line("fence_kdump_send: 127.0.0.4: heard", LIMIT);
}

#[test]
fn a_receiver_that_a_broadcast_reached_is_told_by_its_address() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Cluster::new(3), NodeKey::of(1));
    let folder = Folder::with(&key);
    let sockets = [2, 3].map(|x| net.node(x).udp("0.0.0.0:7410"));
    let sender = folder.sender(net.node(1), &["-v", "10.77.0.255"]).spawn();
    for (socket, address) in sockets.iter().zip(["10.77.0.2", "10.77.0.3"]) {
        let asked = Asked::by(socket, key);
        asked.ask(socket, 5);
        assert_eq!(asked.answers(socket, 200 * MS), [5]);
        sender.wait_stderr_line(&format!("fence_kdump_send: {address}: heard"), LIMIT);
    }
}

/// What is not a challenge to this very run has no effect, and keeps no right one from having its.
#[test]
fn forged_foreign_and_replayed_challenges_are_not_answered() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let former = {
        let _sender = quiet(&folder, &net, &["127.1"]).spawn();
        let asked = Asked::by(&socket, key);
        asked.ask(&socket, 1);
        assert_eq!(asked.answers(&socket, 100 * MS), [1]);
        asked.challenge(1)
    };
    let sender = quiet(&folder, &net, &["127.1"]).spawn();
    let asked = Asked::by(&socket, key);
    let right = asked.challenge(2);
    let mut wrong = vec![
        former,
        Vec::new(),
        asked.key.challenge(&[0; 16], [2; 16]),
        NodeKey { id: key.id, ..NodeKey::of(2) }.challenge(&asked.crash_id, [2; 16]),
        NodeKey { key: key.key, ..NodeKey::of(2) }.challenge(&asked.crash_id, [2; 16]),
        [&right[..], &[0]].concat(),
        [&right[..], &right].concat(),
        vec![0; 1400],
    ];
    for bit in 0..right.len() * 8 {
        let mut flipped = right.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        wrong.push(flipped);
    }
    wrong.extend((1..right.len()).map(|length| right[..length].to_vec()));
    for bytes in &wrong {
        socket.send_to(bytes, asked.from).unwrap();
    }
    assert_eq!(asked.answers(&socket, 300 * MS), [0; 0], "{} of them", wrong.len());
    asked.ask(&socket, 2);
    assert_eq!(asked.answers(&socket, 100 * MS), [2]);
    assert_eq!(sender.kill().stderr.matches("heard").count(), 1);
}

#[test]
fn no_more_than_32_answers_a_second() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let _sender = quiet(&folder, &net, &["127.1"]).spawn();
    let asked = Asked::by(&socket, key);
    for _ in 0..2 {
        for nonce in 0..100 {
            asked.ask(&socket, nonce);
        }
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(asked.answers(&socket, 900 * MS), expected);
        // From then on there are as many again.
        std::thread::sleep(200 * MS);
    }
}

/// A captured challenge, sent again and again, does not keep another one from being answered.
#[test]
fn no_more_than_4_answers_to_one_nonce() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let _sender = quiet(&folder, &net, &["127.1"]).spawn();
    let asked = Asked::by(&socket, key);
    for _ in 0..200 {
        asked.ask(&socket, 1);
    }
    asked.ask(&socket, 2);
    assert_eq!(asked.answers(&socket, 500 * MS), [1, 1, 1, 1, 2]);
}

/// Junk that comes in without end delays no message, and a challenge among it is found.
#[test]
fn a_flood_delays_nothing() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    let sender = folder.sender(&net, &["-v", "-i1", "127.1"]).spawn();
    let asked = Asked::by(&socket, key);
    let start = Instant::now();
    let over = AtomicBool::new(false);
    // The costliest junk: all but the MAC is right.
    let mut junk = asked.challenge(1);
    *junk.last_mut().unwrap() ^= 1;
    let (mut times, mut answers) = (Vec::new(), 0);
    let flood = net.udp("127.0.0.9:0");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = flood.send_to(&junk, asked.from);
            }
        });
        while start.elapsed() < 3500 * MS {
            asked.ask(&socket, 2);
            for bytes in all(&socket, 20 * MS) {
                match asked.answered(&bytes) {
                    Some(_) => answers += 1,
                    None => times.push(start.elapsed().as_millis() as u64),
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let near = |(time, expected): (&u64, &u64)| time.abs_diff(*expected) < 150;
    let expected = [200, 500, 1000, 2000, 3000];
    assert!(times.len() == 5 && times.iter().zip(&expected).all(near), "{times:?} ms");
    assert!(answers > 0, "no challenge got through");
    assert!(sender.is_running());
}

/// With a count, the last message waits a while for being heard: not for ever, and not when nobody has
/// to be waited for.
#[test]
fn the_last_message_waits_for_its_challenge() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::with(&key);
    let socket = net.udp("127.0.0.1:7410");
    // Nobody challenges.
    let output = folder.sender(&net, &["-c1", "127.1"]).run(LIMIT).expect_success();
    assert!(output.elapsed > 990 * MS && output.elapsed < 2000 * MS, "{output}");
    let _ = Asked::by(&socket, key);
    // Somebody does, late.
    let sender = folder.sender(&net, &["-c1", "127.1"]).spawn();
    let asked = Asked::by(&socket, key);
    std::thread::sleep(400 * MS);
    asked.ask(&socket, 3);
    let (bytes, _) = next(&socket, LIMIT).expect("an answer");
    assert_eq!(asked.answered(&bytes), Some(3));
    assert!(!Signed::read(&bytes).fields.contains_key(&field::INTERVAL), "nothing comes after it");
    let output = sender.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < 950 * MS, "it was heard: {output}");
    // One of two has heard it.
    let other = net.udp("127.0.0.2:7410");
    let sender = folder.sender(&net, &["-c1", "127.1", "127.0.0.2"]).spawn();
    Asked::by(&socket, key).ask(&socket, 4);
    let _ = Asked::by(&other, key);
    let output = sender.wait_for(LIMIT).expect_success();
    assert!(output.elapsed > 990 * MS, "the other one may yet come: {output}");
    // Plain messages are heard by nobody, nor is what could not be sent.
    for args in
        [&["-c1", "plain:127.1"][..], &["-c1", "-m", "plain", "127.1"], &["-c1", "10.9.9.9"]]
    {
        let output = folder.sender(&net, args).run(LIMIT);
        assert!(output.elapsed < 900 * MS, "{output}");
    }
}
