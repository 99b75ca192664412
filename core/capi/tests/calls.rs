//! The library called as C calls it: a node and a receiver, and everything that a caller can do wrong.
#![expect(clippy::undocumented_unsafe_blocks, reason = "each call is of memory of the test's own")]

use std::ffi::c_int;
use std::mem::{size_of, size_of_val};
use std::ptr::{null, null_mut};

use fence_kdump_capi::challenge::*;
use fence_kdump_capi::code::*;
use fence_kdump_capi::follow::*;
use fence_kdump_capi::key::*;
use fence_kdump_capi::message::*;
use fence_kdump_capi::proof::*;
use fence_kdump_capi::session::*;
use fence_kdump_capi::tracker::*;

const S: u64 = 1_000_000_000;
const KEY: [u8; 32] = [7; 32];
const CLOCK: [u8; 16] = [1; 16];
const PLAIN: [u8; 8] = [0x40, 0x2a, 0x30, 0x1b, 1, 0, 0, 0];

/// What node n1 says at that second of its uptime.
fn said(sequence: u64, uptime: u64) -> Message {
    let mut message = Message {
        has: FENCE_KDUMP_HAS_NODE_NAME
            | FENCE_KDUMP_HAS_CRASH_ID
            | FENCE_KDUMP_HAS_SEQUENCE
            | FENCE_KDUMP_HAS_UPTIME
            | FENCE_KDUMP_HAS_KEY_ID,
        sequence,
        uptime_ms: uptime * 1_000,
        crash_id: [3; 16],
        key_id: [4; 4],
        ..Message::PLAIN
    };
    message.node_name[..2].copy_from_slice(&[b'n' as _, b'1' as _]);
    message
}

fn sign(message: &Message) -> Vec<u8> {
    let (mut buffer, mut len) = ([0; FENCE_KDUMP_DATAGRAM_MAX], 0);
    let size = buffer.len();
    let code = unsafe {
        fence_kdump_message_sign(message, KEY.as_ptr(), buffer.as_mut_ptr(), size, &mut len)
    };
    assert_eq!(code, FENCE_KDUMP_OK);
    buffer[..len].to_vec()
}

fn prove(
    datagram: &[u8],
    at: u64,
    challenger: *mut ChallengerRoom,
    memory: &mut Option<Crash>,
) -> Result<c_int, c_int> {
    let mut crash = memory.unwrap_or(Crash {
        crash_id: [0; 16],
        clock: [0; 16],
        origin: 0,
        sequence: 0,
        heard_at: 0,
    });
    let place: *mut Crash = &mut crash;
    let known = if memory.is_some() { place.cast_const() } else { null() };
    let (mut proof, data) = (0, datagram.as_ptr());
    let (key, clock) = (KEY.as_ptr(), CLOCK.as_ptr());
    let code = unsafe {
        fence_kdump_prove(
            data,
            datagram.len(),
            key,
            at,
            clock,
            challenger,
            known,
            place,
            &mut proof,
        )
    };
    if code != FENCE_KDUMP_OK {
        return Err(code);
    }
    *memory = Some(crash);
    Ok(proof)
}

#[test]
fn what_is_written_is_read_again() {
    let mut message = said(5, 6);
    message.has |= 0x7ff;
    message.byte_order = FENCE_KDUMP_BIG;
    (message.wall_clock_ms, message.interval_ms, message.phase) = (9, 10_000, FENCE_KDUMP_DUMPING);
    (message.done, message.total, message.machine_id) = (11, 12, [13; 16]);
    message.answer = [14; 16];
    let signed = sign(&message);
    assert_eq!(unsafe { fence_kdump_verify(signed.as_ptr(), signed.len(), KEY.as_ptr()) }, 0);
    let mut read = Message::PLAIN;
    assert_eq!(unsafe { fence_kdump_message_read(signed.as_ptr(), signed.len(), &mut read) }, 0);
    assert_eq!(read.has, 0x7ff | FENCE_KDUMP_HAS_EXTENSION | FENCE_KDUMP_HAS_MAC);
    message.has = read.has;
    assert_eq!(format!("{read:?}"), format!("{message:?}"));
    let (mut buffer, mut len) = ([0; 508], 0);
    let write = |message: &Message, buffer: &mut [u8], len: &mut usize| unsafe {
        fence_kdump_message_write(message, buffer.as_mut_ptr(), buffer.len(), len)
    };
    assert_eq!(write(&message, &mut buffer, &mut len), FENCE_KDUMP_OK);
    assert_eq!(buffer[..len], signed[..len], "all but the MAC");
    assert_eq!(len + 35, signed.len());
    assert_eq!(write(&message, &mut buffer[..len - 1], &mut 0), FENCE_KDUMP_ERROR_BUFFER);
    let little = Message { byte_order: FENCE_KDUMP_LITTLE, ..Message::PLAIN };
    assert_eq!(write(&little, &mut buffer[..8], &mut len), FENCE_KDUMP_OK);
    assert_eq!((len, &buffer[..8]), (8, &PLAIN[..]), "who says nothing says it plainly");
    let nothing = Message { has: FENCE_KDUMP_HAS_EXTENSION, ..little };
    assert_eq!(write(&nothing, &mut buffer, &mut len), FENCE_KDUMP_OK);
    assert_eq!((len, &buffer[8..12]), (12, &b"KDX1"[..]), "an extension without fields");
    for (wrong, code) in [
        (Message { byte_order: 3, ..message }, FENCE_KDUMP_ERROR_BYTE_ORDER),
        (Message { has: 0x800, ..message }, FENCE_KDUMP_ERROR_VALUE),
        (Message { node_name: [b'x' as _; 254], ..message }, FENCE_KDUMP_ERROR_NODE_NAME),
        (Message { node_name: [0; 254], ..message }, FENCE_KDUMP_ERROR_NODE_NAME),
    ] {
        assert_eq!(write(&wrong, &mut buffer, &mut len), code);
    }
}

#[test]
fn a_node_speaks_and_is_challenged_and_a_receiver_decides() {
    let mut memory = None;
    let mut challenger = ChallengerRoom { opaque: [0; 40] };
    let mut session = SessionRoom { opaque: [0; 48] };
    let mut answers = Answers { opaque: [0; 72] };
    unsafe {
        assert_eq!(fence_kdump_challenger_init(&mut challenger, size_of_val(&challenger)), 0);
        let size = size_of_val(&session);
        assert_eq!(fence_kdump_session_init(&mut session, size, FENCE_KDUMP_SILENCE), 0);
        assert_eq!(fence_kdump_answers_init(&mut answers, size_of_val(&answers)), 0);
    }
    let challenger: *mut ChallengerRoom = &mut challenger;
    let session: *mut SessionRoom = &mut session;
    let hear = |datagram: &[u8], at, proof| {
        let (data, len, mut event) = (datagram.as_ptr(), datagram.len(), -1);
        let policy = FENCE_KDUMP_LIVE;
        let code =
            unsafe { fence_kdump_session_hear(session, at, data, len, policy, proof, &mut event) };
        (code, event)
    };
    let verdict = |now| unsafe { fence_kdump_session_verdict(session, 100 * S, now, null_mut()) };

    // The node says it plainly, and signed; neither is enough for this receiver.
    assert_eq!(hear(&PLAIN, 100 * S, FENCE_KDUMP_PLAIN), (FENCE_KDUMP_ERROR_UNSIGNED, -1));
    assert_eq!(hear(&PLAIN, 100 * S, FENCE_KDUMP_LIVE), (FENCE_KDUMP_ERROR_UNSIGNED, -1), "a lie");
    let first = sign(&said(1, 4));
    assert_eq!(prove(&first, 101 * S, challenger, &mut memory), Ok(FENCE_KDUMP_SIGNED));
    assert_eq!(hear(&first, 101 * S, FENCE_KDUMP_SIGNED), (FENCE_KDUMP_ERROR_UNPROVEN, -1));
    assert_eq!(verdict(101 * S), FENCE_KDUMP_NEVER_HEARD);

    // It is challenged, once for each message, and never for an old one.
    let mut packet = [0; FENCE_KDUMP_CHALLENGE_LEN];
    let (random, mut nonce) = ([9; 16], [0; 16]);
    let mut challenge = |datagram: &[u8], size| unsafe {
        fence_kdump_challenge(
            challenger,
            datagram.as_ptr(),
            datagram.len(),
            KEY.as_ptr(),
            101 * S,
            random.as_ptr(),
            packet.as_mut_ptr(),
            size,
        )
    };
    assert_eq!(challenge(&PLAIN, 72), FENCE_KDUMP_ERROR_UNSIGNED);
    assert_eq!(challenge(&first, 71), FENCE_KDUMP_ERROR_BUFFER);
    assert_eq!(challenge(&first, 72), FENCE_KDUMP_OK);
    assert_eq!(challenge(&first, 72), FENCE_KDUMP_ERROR_UNCHALLENGED);

    // It answers, a few times.
    let mut answer = [0; FENCE_KDUMP_DATAGRAM_MAX];
    let mut len = 0;
    let mut reply = |message: &Message, now, size| unsafe {
        fence_kdump_answer(
            packet.as_ptr(),
            packet.len(),
            message,
            KEY.as_ptr(),
            now,
            &mut answers,
            answer.as_mut_ptr(),
            size,
            &mut len,
        )
    };
    let other = Message { crash_id: [0; 16], ..said(2, 5) };
    assert_eq!(reply(&other, S, 508), FENCE_KDUMP_ERROR_NOT_OURS);
    assert_eq!(reply(&said(2, 5), S, 20), FENCE_KDUMP_ERROR_BUFFER);
    for sequence in 2..6 {
        assert_eq!(reply(&said(sequence, 5), S, 508), FENCE_KDUMP_OK);
    }
    assert_eq!(reply(&said(7, 5), S, 508), FENCE_KDUMP_ERROR_TOO_MANY);
    let answer = &answer[..len];
    assert_eq!(prove(answer, 102 * S, challenger, &mut memory), Ok(FENCE_KDUMP_LIVE));
    assert_eq!(hear(answer, 102 * S, FENCE_KDUMP_LIVE), (0, FENCE_KDUMP_EVENT_STARTED));
    assert_eq!(
        prove(answer, 102 * S + 1, challenger, &mut memory),
        Err(FENCE_KDUMP_ERROR_REPLAYED)
    );
    let mut read = Challenge { key_id: [0; 4], crash_id: [0; 16], nonce };
    unsafe {
        let (data, len) = (packet.as_ptr(), packet.len());
        assert_eq!(fence_kdump_challenge_read(data, len, KEY.as_ptr(), &mut read), 0);
        nonce = read.nonce;
        assert_eq!((nonce, read.crash_id, read.key_id), (random, [3; 16], [4; 4]));
        let wrong = fence_kdump_challenge_read(data, len, [8; 32].as_ptr(), &mut read);
        assert_eq!(wrong, FENCE_KDUMP_ERROR_BAD_MAC);
        let short = fence_kdump_challenge_read(data, len - 1, KEY.as_ptr(), &mut read);
        assert_eq!(short, FENCE_KDUMP_ERROR_NO_CHALLENGE);
    }

    // Only now it is known, and only for as long as it speaks.
    assert_eq!(verdict(102 * S), FENCE_KDUMP_OK);
    assert_eq!(verdict(101 * S), FENCE_KDUMP_FROM_THE_FUTURE);
    assert_eq!(verdict(132 * S), FENCE_KDUMP_ENDED);
    let (mut heard, mut at, mut event) = (0, 0, -1);
    unsafe {
        let late = fence_kdump_session_verdict(session, 103 * S, 104 * S, &mut heard);
        assert_eq!((late, heard), (FENCE_KDUMP_TOO_OLD, 0));
        assert_eq!(fence_kdump_session_verdict(session, 100 * S, 104 * S, &mut heard), 0);
        assert_eq!(heard, 102 * S);
        assert_eq!(fence_kdump_session_deadline(session, &mut at), 0);
        assert_eq!(at, 132 * S);
        assert_eq!(fence_kdump_session_tick(session, at - 1, &mut event), 0);
        assert_eq!(event, FENCE_KDUMP_EVENT_NONE);
        assert_eq!(fence_kdump_session_tick(session, at, &mut event), 0);
        assert_eq!(event, FENCE_KDUMP_EVENT_FINISHED);
        assert_eq!(fence_kdump_session_deadline(session, &mut at), 0);
        assert_eq!(at, FENCE_KDUMP_NEVER);
    }
    let mut status = unsafe { std::mem::zeroed::<Status>() };
    assert_eq!(unsafe { fence_kdump_session_status(session, at, &mut status) }, 0);
    assert_eq!((status.first_heard, status.messages, status.proof), (102 * S, 1, 3));
    assert_eq!(status.state, FENCE_KDUMP_STATE_FINISHED);
}

#[test]
fn what_is_remembered_decides_over_replays() {
    let mut memory = None;
    let messages = [sign(&said(1, 4)), sign(&said(2, 5)), sign(&said(3, 6))];
    assert_eq!(prove(&messages[1], 100 * S, null_mut(), &mut memory), Ok(FENCE_KDUMP_SIGNED));
    let again = prove(&messages[0], 100 * S, null_mut(), &mut memory);
    assert_eq!(again, Err(FENCE_KDUMP_ERROR_REPLAYED));
    let late = prove(&messages[2], 110 * S, null_mut(), &mut memory);
    assert_eq!(late, Err(FENCE_KDUMP_ERROR_LATE));
    let mut other = memory.map(|crash| Crash { clock: [2; 16], ..crash });
    let over = prove(&messages[2], 101 * S, null_mut(), &mut other);
    assert_eq!(over, Err(FENCE_KDUMP_ERROR_OVER));
    let mut other = memory.map(|crash| Crash { crash_id: [2; 16], ..crash });
    let wrong = prove(&messages[2], 101 * S, null_mut(), &mut other);
    assert_eq!(wrong, Err(FENCE_KDUMP_ERROR_CRASH_ID));
    let mut forged = messages[2].clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = prove(&forged, 101 * S, null_mut(), &mut memory);
    assert_eq!(forged, Err(FENCE_KDUMP_ERROR_BAD_MAC));
    assert_eq!(prove(&PLAIN, 101 * S, null_mut(), &mut memory), Err(FENCE_KDUMP_ERROR_UNSIGNED));
    assert_eq!(prove(&messages[2], 101 * S, null_mut(), &mut memory), Ok(FENCE_KDUMP_SIGNED));
    assert_eq!(fence_kdump_admit(FENCE_KDUMP_SIGNED, FENCE_KDUMP_LIVE), FENCE_KDUMP_OK);
    assert_eq!(fence_kdump_admit(FENCE_KDUMP_LIVE, FENCE_KDUMP_SIGNED), FENCE_KDUMP_ERROR_UNPROVEN);
    assert_eq!(fence_kdump_admit(0, FENCE_KDUMP_SIGNED), FENCE_KDUMP_ERROR_VALUE);
    assert_eq!(fence_kdump_admit(FENCE_KDUMP_PLAIN, 4), FENCE_KDUMP_ERROR_VALUE);
}

#[test]
fn a_tracker_lives_in_any_memory_that_is_large_enough() {
    const NODES: usize = 3;
    let mut memory = vec![0xffu8; FENCE_KDUMP_TRACKER_BASE + NODES * FENCE_KDUMP_TRACKER_NODE + 16];
    let size = fence_kdump_tracker_size(3);
    assert_eq!(size, FENCE_KDUMP_TRACKER_BASE + NODES * FENCE_KDUMP_TRACKER_NODE);
    let skip = memory.as_ptr().align_offset(8);
    let start: *mut std::ffi::c_void = unsafe { memory.as_mut_ptr().add(skip) }.cast();
    let mut tracker: *mut TrackerRoom = null_mut();
    let init = |memory: *mut _, size, nodes, tracker| unsafe {
        fence_kdump_tracker_init(memory, size, nodes, FENCE_KDUMP_SILENCE, tracker)
    };
    unsafe {
        let place = &mut tracker;
        assert_eq!(init(null_mut(), size, 3, place), FENCE_KDUMP_ERROR_NULL);
        assert_eq!(init(start, size, 3, null_mut()), FENCE_KDUMP_ERROR_NULL);
        assert_eq!(init(start.byte_add(1), size, 3, place), FENCE_KDUMP_ERROR_ALIGNMENT);
        assert_eq!(init(start, size - 1, 3, place), FENCE_KDUMP_ERROR_SIZE);
        assert_eq!(init(start, size, 0, place), FENCE_KDUMP_ERROR_VALUE);
        assert_eq!(init(start, size, u32::MAX, place), FENCE_KDUMP_ERROR_SIZE);
        assert_eq!(fence_kdump_tracker_init(start, size, 3, 0, place), FENCE_KDUMP_ERROR_VALUE);
        assert!(place.is_null(), "an error writes nothing");
        let never = fence_kdump_tracker_forget(start.cast(), 0);
        assert_eq!(never, FENCE_KDUMP_ERROR_MEMORY, "memory that was never prepared");
        assert_eq!(init(start, size, 3, place), FENCE_KDUMP_OK);
    }
    let hear = |node, at, datagram: &[u8]| {
        let (data, len, plain, mut event) =
            (datagram.as_ptr(), datagram.len(), FENCE_KDUMP_PLAIN, -1);
        let code = unsafe {
            fence_kdump_tracker_hear(tracker, node, at, data, len, plain, plain, &mut event)
        };
        (code, event)
    };
    assert_eq!(hear(2, 5 * S, &PLAIN), (0, FENCE_KDUMP_EVENT_STARTED));
    assert_eq!(hear(2, 6 * S, &PLAIN), (0, FENCE_KDUMP_EVENT_DUMPING));
    assert_eq!(hear(0, 7 * S, &PLAIN), (0, FENCE_KDUMP_EVENT_STARTED));
    assert_eq!(hear(3, 7 * S, &PLAIN), (FENCE_KDUMP_ERROR_STRANGER, -1));
    assert_eq!(hear(1, 7 * S, &PLAIN[..7]), (FENCE_KDUMP_ERROR_TRUNCATED, -1));
    unsafe {
        let verdict = |node| fence_kdump_tracker_verdict(tracker, node, 0, 8 * S, null_mut());
        let verdicts = [0, 1, 2, 3].map(verdict);
        assert_eq!(verdicts, [0, FENCE_KDUMP_NEVER_HEARD, 0, FENCE_KDUMP_ERROR_NODE]);
        assert_eq!(fence_kdump_tracker_disbelieve(tracker, FENCE_KDUMP_ERROR_BAD_MAC), 0);
        let wrong = fence_kdump_tracker_disbelieve(tracker, FENCE_KDUMP_ERROR_NULL);
        assert_eq!(wrong, FENCE_KDUMP_ERROR_VALUE);
        let count = |outcome| {
            let mut count = 77;
            (fence_kdump_tracker_count(tracker, outcome, &mut count), count)
        };
        assert_eq!(count(FENCE_KDUMP_OK), (0, 3));
        assert_eq!(count(FENCE_KDUMP_ERROR_STRANGER), (0, 1));
        assert_eq!(count(FENCE_KDUMP_ERROR_TRUNCATED), (0, 1));
        assert_eq!(count(FENCE_KDUMP_ERROR_BAD_MAC), (0, 1));
        assert_eq!(count(FENCE_KDUMP_ERROR_EMPTY), (0, 0));
        assert_eq!(count(FENCE_KDUMP_ERROR_NULL), (FENCE_KDUMP_ERROR_VALUE, 77));
        let (mut at, mut node, mut event) = (0, 9, -1);
        assert_eq!(fence_kdump_tracker_deadline(tracker, &mut at), 0);
        assert_eq!(at, 36 * S);
        let mut poll = |now| {
            assert_eq!(fence_kdump_tracker_poll(tracker, now, &mut node, &mut event), 0);
            (node, event)
        };
        assert_eq!(poll(at), (2, FENCE_KDUMP_EVENT_FINISHED));
        assert_eq!(poll(at), (2, FENCE_KDUMP_EVENT_NONE));
        assert_eq!(fence_kdump_tracker_forget(tracker, 3), FENCE_KDUMP_ERROR_NODE);
        assert_eq!(fence_kdump_tracker_forget(tracker, 0), FENCE_KDUMP_OK);
        assert_eq!(poll(at + 10 * S), (2, FENCE_KDUMP_EVENT_NONE), "it was forgotten");
        let mut status = std::mem::zeroed::<Status>();
        assert_eq!(fence_kdump_tracker_status(tracker, 2, at, &mut status), FENCE_KDUMP_OK);
        assert_eq!((status.messages, status.last_heard), (2, 6 * S));
        let none = fence_kdump_tracker_status(tracker, 3, at, &mut status);
        assert_eq!(none, FENCE_KDUMP_ERROR_NODE);
    }
    // A copy knows that it is one.
    let mut copy = memory.clone();
    let skip = copy.as_ptr().align_offset(8);
    copy.copy_within(0..0, 0);
    let moved = unsafe { copy.as_mut_ptr().add(skip) };
    unsafe { std::ptr::copy_nonoverlapping(tracker.cast::<u8>(), moved, size) };
    let code = unsafe { fence_kdump_tracker_forget(moved.cast(), 0) };
    assert_eq!(code, FENCE_KDUMP_ERROR_MEMORY);
}

#[test]
fn keys_come_from_lines_and_from_cluster_keys() {
    let vectors = include_str!("../../vectors.txt");
    let value = |name: &str| vectors.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let cluster = bytes(value("cluster_key: "));
    let (mut id, mut key) = ([0; 4], [0; 32]);
    unsafe {
        assert_eq!(fence_kdump_key_id(cluster.as_ptr(), id.as_mut_ptr()), 0);
        assert_eq!(fence_kdump_key_derive(cluster.as_ptr(), c"N1".as_ptr(), key.as_mut_ptr()), 0);
        assert_eq!((&id[..], &key[..]), (&*bytes(value("key_id: ")), &*bytes(value("node_key: "))));
        let derive = |name: &std::ffi::CStr, key: &mut [u8; 32]| {
            fence_kdump_key_derive(cluster.as_ptr(), name.as_ptr(), key.as_mut_ptr())
        };
        let long = std::ffi::CString::new(vec![b'x'; 300]).unwrap();
        for name in [c"", c"a b", c"\xff", &*long] {
            assert_eq!(derive(name, &mut key), FENCE_KDUMP_ERROR_NODE_NAME, "{name:?}");
        }
        let longest = std::ffi::CString::new(vec![b'x'; 253]).unwrap();
        assert_eq!(derive(&longest, &mut key), FENCE_KDUMP_OK);
    }
    let good =
        format!("node {} {} {} n1", value("key_id: "), value("node_key: "), value("check: "));
    let mut read = NodeKey::NONE;
    let mut line =
        |text: &str| unsafe { fence_kdump_key_line(text.as_ptr().cast(), text.len(), &mut read) };
    assert_eq!(line(&good), FENCE_KDUMP_OK);
    let damaged = good.replacen('0', "1", 1);
    for bad in ["", "# node", "node", &format!(" {good}"), &format!("{good} x"), &damaged[..]] {
        assert_eq!(line(bad), FENCE_KDUMP_ERROR_KEY_LINE, "{bad}");
    }
    for (at, _) in good.char_indices().rev().skip(1) {
        assert_eq!(line(&good[..at]), FENCE_KDUMP_ERROR_KEY_LINE, "cut at {at}");
    }
    assert_eq!((&read.key[..], &read.key_id), (&*bytes(value("node_key: ")), &id));
    assert_eq!(&read.node_name[..3], &[b'n' as _, b'1' as _, 0]);
}

#[test]
fn whatever_is_not_there_or_not_aligned_or_not_ours_is_told() {
    let mut words = [0u64; 80];
    let odd = |words: &mut [u64; 80]| unsafe { words.as_mut_ptr().byte_add(1) };
    let data = PLAIN.as_ptr();
    let mut order = -1;
    unsafe {
        let mut message = Message::PLAIN;
        let decode = fence_kdump_decode(null(), 8, &mut order);
        assert_eq!((decode, order), (FENCE_KDUMP_ERROR_NULL, -1));
        assert_eq!(fence_kdump_decode(null(), 0, null_mut()), FENCE_KDUMP_ERROR_EMPTY);
        assert_eq!(fence_kdump_decode(data, usize::MAX, null_mut()), FENCE_KDUMP_ERROR_SIZE);
        assert_eq!(
            fence_kdump_decode(data, 8, odd(&mut words).cast()),
            FENCE_KDUMP_ERROR_ALIGNMENT
        );
        assert_eq!(fence_kdump_message_read(data, 8, null_mut()), FENCE_KDUMP_ERROR_NULL);
        let read = fence_kdump_message_read(data, 8, odd(&mut words).cast());
        assert_eq!(read, FENCE_KDUMP_ERROR_ALIGNMENT);
        assert_eq!(fence_kdump_message_read(data, 8, &mut message), FENCE_KDUMP_OK);
        assert_eq!((message.has, message.byte_order), (0, FENCE_KDUMP_LITTLE));
        assert_eq!(fence_kdump_verify(data, 8, null()), FENCE_KDUMP_ERROR_NULL);
        let size = size_of::<SessionRoom>();
        let init = |room: *mut SessionRoom, size| fence_kdump_session_init(room, size, 1);
        assert_eq!(init(null_mut(), size), FENCE_KDUMP_ERROR_NULL);
        assert_eq!(init(odd(&mut words).cast(), size), FENCE_KDUMP_ERROR_ALIGNMENT);
        for other in [0, size - 1, size + 1] {
            assert_eq!(init(words.as_mut_ptr().cast(), other), FENCE_KDUMP_ERROR_SIZE);
        }
        let room: *mut SessionRoom = words.as_mut_ptr().cast();
        let verdict =
            |room: *const SessionRoom| fence_kdump_session_verdict(room, 0, 9, null_mut());
        assert_eq!(verdict(room), FENCE_KDUMP_ERROR_MEMORY, "zeros are no session");
        assert_eq!(verdict(null()), FENCE_KDUMP_ERROR_NULL);
        assert_eq!(verdict(odd(&mut words).cast()), FENCE_KDUMP_ERROR_ALIGNMENT);
        let room: *mut SessionRoom = words.as_mut_ptr().cast();
        assert_eq!(init(room, size), FENCE_KDUMP_OK);
        assert_eq!(verdict(room), FENCE_KDUMP_NEVER_HEARD);
        let mut packet = [0; 72];
        let (key, random, place) = (KEY.as_ptr(), CLOCK.as_ptr(), packet.as_mut_ptr());
        let other = fence_kdump_challenge(room.cast(), data, 8, key, 0, random, place, 72);
        assert_eq!(other, FENCE_KDUMP_ERROR_MEMORY, "a session is no challenger");
        assert_eq!(fence_kdump_session_tick(room, 0, null_mut()), FENCE_KDUMP_ERROR_NULL);
        assert_eq!(fence_kdump_session_deadline(room, null_mut()), FENCE_KDUMP_ERROR_NULL);
    }
}

#[test]
fn remembered_messages_count_for_ten_seconds_at_most() {
    assert_eq!(fence_kdump_not_before(45 * S, 50 * S, 0), 45 * S);
    assert_eq!(fence_kdump_not_before(100, 50 * S, 0), 40 * S, "held up for too long");
    assert_eq!(fence_kdump_not_before(20 * S, 25 * S, FENCE_KDUMP_NEVER), 15 * S);
    assert_eq!(fence_kdump_not_before(20 * S, 45 * S, FENCE_KDUMP_MAX_AGE), 35 * S);
    let mut age = 0;
    unsafe {
        assert_eq!(fence_kdump_max_age(PLAIN.as_ptr(), 8, &mut age), FENCE_KDUMP_OK);
        assert_eq!(age, FENCE_KDUMP_MAX_AGE);
        let mut message = Message { phase: FENCE_KDUMP_LEAVING, ..said(1, 1) };
        message.has |= FENCE_KDUMP_HAS_PHASE;
        let leaving = sign(&message);
        assert_eq!(fence_kdump_max_age(leaving.as_ptr(), leaving.len(), &mut age), FENCE_KDUMP_OK);
        assert_eq!(age, 0);
        assert_eq!(fence_kdump_max_age(null(), 8, &mut age), FENCE_KDUMP_ERROR_NULL);
    }
}
