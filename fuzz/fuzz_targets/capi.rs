//! Any sequence of calls of the C library, in any order, with any arguments: each returns a code that has a
//! name, and nothing else is written to than what it is told to write to.
#![no_main]

use std::ffi::{CStr, CString, c_int};

use arbitrary::Arbitrary;
use fence_kdump_capi::challenge::*;
use fence_kdump_capi::code::*;
use fence_kdump_capi::follow::*;
use fence_kdump_capi::key::*;
use fence_kdump_capi::message::*;
use fence_kdump_capi::proof::*;
use fence_kdump_capi::session::*;
use fence_kdump_capi::tracker::*;

/// Which memory an argument points to: its own, nothing, or its own and misaligned.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Where {
    There,
    Also,
    Null,
    Odd,
}

impl Where {
    fn of<T>(self, memory: *mut T) -> *mut T {
        match self {
            Where::There | Where::Also => memory,
            Where::Null => std::ptr::null_mut(),
            Where::Odd => memory.wrapping_byte_add(1),
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Call {
    InitSession(Where, u16, u64),
    InitChallenger(Where, u16),
    InitAnswers(Where, u16),
    InitTracker(Where, u16, u8, u64),
    Datagram(Vec<u8>),
    /// A message as a node says it, signed: the start of a dialogue.
    Say {
        crash: bool,
        sequence: u8,
        uptime: u16,
        more: u16,
    },
    Message {
        has: u32,
        order: i8,
        name: Vec<u8>,
        numbers: [u64; 5],
        phase: u8,
    },
    Key([u8; 32]),
    Write(Where, u16),
    Sign(Where, u16),
    Read(Where),
    Verify,
    Challenge(Where, u64, [u8; 16], u8),
    ReadChallenge(Where),
    Answer(Where, u64, u16),
    Prove {
        at: u64,
        challenger: Where,
        known: bool,
        proof: Where,
    },
    Hear {
        at: u64,
        policy: i8,
        proof: Option<i8>,
        event: Where,
    },
    HearMany {
        node: u8,
        at: u64,
        policy: i8,
        proof: Option<i8>,
        event: Where,
    },
    Disbelieve(i8),
    Tick(u64, Where),
    Poll(u64, Where),
    Status(u8, u64, Where),
    Verdict(u8, u64, u64, Where),
    Forget(u8),
    Count(i8),
    Line(Vec<u8>),
    Derive(Vec<u8>),
    MaxAge(Where),
    Text(i32),
}

/// Everything that a program has, with memory around it that nobody may write to.
#[repr(C, align(8))]
struct Guarded<T> {
    before: [u8; 64],
    value: T,
    after: [u8; 64],
}

impl<T> Guarded<T> {
    fn new(value: T) -> Box<Self> {
        Box::new(Self { before: [0x5a; 64], value, after: [0x5a; 64] })
    }

    fn is_whole(&self) {
        assert!(self.before == [0x5a; 64] && self.after == [0x5a; 64], "written beyond");
    }
}

const NODES: usize = 5;
const ROOM: usize = FENCE_KDUMP_TRACKER_BASE + NODES * FENCE_KDUMP_TRACKER_NODE;

libfuzzer_sys::fuzz_target!(|calls: Vec<Call>| {
    let mut session = Guarded::new(SessionRoom { opaque: [0; 48] });
    let mut challenger = Guarded::new(ChallengerRoom { opaque: [0; 40] });
    let mut answers = Guarded::new(Answers { opaque: [0; 72] });
    let mut memory = Guarded::new([0_u64; ROOM / 8]);
    let mut buffer = Guarded::new([0_u8; FENCE_KDUMP_DATAGRAM_MAX]);
    let mut packet = Guarded::new([0_u8; FENCE_KDUMP_CHALLENGE_LEN]);
    let mut message = Guarded::new(Message::PLAIN);
    let mut crash = Guarded::new(Crash {
        crash_id: [0; 16],
        clock: [0; 16],
        origin: 0,
        sequence: 0,
        heard_at: 0,
    });
    let mut key = [7_u8; 32];
    let mut datagram: Vec<u8> = Vec::new();
    let mut tracker: *mut TrackerRoom = memory.value.as_mut_ptr().cast();
    let mut last_proof = FENCE_KDUMP_PLAIN;
    // Most programs begin as they should.
    if !matches!(calls.first(), Some(Call::InitSession(..))) {
        let (size, nodes) = (size_of_val(&memory.value), NODES as u32);
        // SAFETY: all of it is memory of this function.
        unsafe {
            assert_eq!(fence_kdump_session_init(&mut session.value, 384, FENCE_KDUMP_SILENCE), 0);
            assert_eq!(fence_kdump_challenger_init(&mut challenger.value, 320), 0);
            assert_eq!(fence_kdump_answers_init(&mut answers.value, 576), 0);
            let start = memory.value.as_mut_ptr().cast();
            let made =
                fence_kdump_tracker_init(start, size, nodes, FENCE_KDUMP_SILENCE, &mut tracker);
            assert_eq!(made, 0);
        }
    }
    let clock = [1_u8; 16];
    for call in &calls {
        let (data, len) = (datagram.as_ptr(), datagram.len());
        let (mut number, mut node, mut event, mut written) = (0_u64, 0_u32, 0, 0_usize);
        let room: *mut SessionRoom = &mut session.value;
        let asks: *mut ChallengerRoom = &mut challenger.value;
        let given: *mut Answers = &mut answers.value;
        let place = buffer.value.as_mut_ptr();
        // SAFETY: every pointer is NULL, misaligned, or to memory of this function that is as large as the
        // library is told, or larger.
        let code: c_int = unsafe {
            match call {
                Call::InitSession(at, size, silence) => {
                    fence_kdump_session_init(at.of(room), close(*size, 384), *silence)
                }
                Call::InitChallenger(at, size) => {
                    fence_kdump_challenger_init(at.of(asks), close(*size, 320))
                }
                Call::InitAnswers(at, size) => {
                    fence_kdump_answers_init(at.of(given), close(*size, 576))
                }
                Call::InitTracker(at, size, nodes, silence) => {
                    let memory = at.of(memory.value.as_mut_ptr()).cast();
                    let size = ROOM - usize::from(*size % 99);
                    fence_kdump_tracker_init(memory, size, (*nodes).into(), *silence, &mut tracker)
                }
                Call::Datagram(bytes) => {
                    datagram = bytes.clone();
                    continue;
                }
                Call::Message { has, order, name, numbers, phase } => {
                    let said = &mut message.value;
                    (said.has, said.byte_order, said.phase) = (*has, (*order).into(), *phase);
                    for (place, byte) in said.node_name.iter_mut().zip(name) {
                        *place = *byte as _;
                    }
                    let [sequence, uptime_ms, wall_clock_ms, done, total] = *numbers;
                    *said = Message { sequence, uptime_ms, wall_clock_ms, done, total, ..*said };
                    continue;
                }
                Call::Say { crash, sequence, uptime, more } => {
                    let needed = FENCE_KDUMP_HAS_NODE_NAME
                        | FENCE_KDUMP_HAS_CRASH_ID
                        | FENCE_KDUMP_HAS_SEQUENCE
                        | FENCE_KDUMP_HAS_UPTIME
                        | FENCE_KDUMP_HAS_KEY_ID;
                    message.value = Message {
                        has: needed | (u32::from(*more) & 0x7ff & !FENCE_KDUMP_HAS_ANSWER),
                        sequence: u64::from(*sequence),
                        uptime_ms: u64::from(*uptime),
                        crash_id: [u8::from(*crash); 16],
                        phase: (*more >> 12) as u8,
                        ..Message::PLAIN
                    };
                    message.value.node_name[..2].copy_from_slice(&[b'n' as _, b'1' as _]);
                    fence_kdump_message_sign(
                        &message.value,
                        key.as_ptr(),
                        place,
                        FENCE_KDUMP_DATAGRAM_MAX,
                        &mut written,
                    )
                }
                Call::Key(bytes) => {
                    key = *bytes;
                    continue;
                }
                Call::Write(at, size) => fence_kdump_message_write(
                    at.of(&mut message.value),
                    place,
                    close(*size, 508),
                    &mut written,
                ),
                Call::Sign(at, size) => fence_kdump_message_sign(
                    at.of(&mut message.value),
                    key.as_ptr(),
                    place,
                    close(*size, 508),
                    &mut written,
                ),
                Call::Read(at) => fence_kdump_message_read(data, len, at.of(&mut message.value)),
                Call::Verify => fence_kdump_verify(data, len, key.as_ptr()),
                Call::Challenge(at, now, random, size) => fence_kdump_challenge(
                    at.of(asks),
                    data,
                    len,
                    key.as_ptr(),
                    *now,
                    random.as_ptr(),
                    packet.value.as_mut_ptr(),
                    close((*size).into(), 72),
                ),
                Call::ReadChallenge(at) => {
                    let mut said = Challenge { key_id: [0; 4], crash_id: [0; 16], nonce: [0; 16] };
                    let (data, key) = (packet.value.as_ptr(), key.as_ptr());
                    let at: *mut Challenge =
                        if matches!(at, Where::Null) { at.of(&mut said) } else { &mut said };
                    fence_kdump_challenge_read(data, 72, key, at)
                }
                Call::Answer(at, now, size) => fence_kdump_answer(
                    packet.value.as_ptr(),
                    72,
                    &message.value,
                    key.as_ptr(),
                    *now,
                    at.of(given),
                    place,
                    close(*size, 508),
                    &mut written,
                ),
                Call::Prove { at, challenger, known, proof } => {
                    let remember: *mut Crash = &mut crash.value;
                    let known = if *known { remember.cast_const() } else { std::ptr::null() };
                    let code = fence_kdump_prove(
                        data,
                        len,
                        key.as_ptr(),
                        *at,
                        clock.as_ptr(),
                        challenger.of(asks),
                        known,
                        remember,
                        proof.of(&mut event),
                    );
                    if code == FENCE_KDUMP_OK {
                        assert!(event == FENCE_KDUMP_SIGNED || event == FENCE_KDUMP_LIVE);
                        assert_eq!(fence_kdump_verify(data, len, key.as_ptr()), 0);
                        last_proof = event;
                    }
                    code
                }
                Call::Hear { at, policy, proof, event: place } => {
                    let proof = proof.map_or(last_proof, c_int::from);
                    let event = place.of(&mut event);
                    fence_kdump_session_hear(room, *at, data, len, (*policy).into(), proof, event)
                }
                Call::HearMany { node, at, policy, proof, event: place } => {
                    let proof = proof.map_or(last_proof, c_int::from);
                    let (node, policy) = ((*node).into(), (*policy).into());
                    let event = place.of(&mut event);
                    fence_kdump_tracker_hear(tracker, node, *at, data, len, policy, proof, event)
                }
                Call::Disbelieve(cause) => fence_kdump_tracker_disbelieve(tracker, (*cause).into()),
                Call::Tick(now, at) => {
                    let told = fence_kdump_session_tick(room, *now, at.of(&mut event));
                    let mut next = 0;
                    if told == 0 && fence_kdump_session_deadline(room, &mut next) == 0 {
                        assert!(next > *now || next == FENCE_KDUMP_NEVER, "what is over was told");
                    }
                    told
                }
                Call::Poll(now, at) => {
                    for _ in 0..=NODES {
                        let _ = fence_kdump_tracker_poll(tracker, *now, &mut node, &mut event);
                    }
                    let code = fence_kdump_tracker_deadline(tracker, at.of(&mut number));
                    let later = number > *now || number == FENCE_KDUMP_NEVER;
                    assert!(code != 0 || later, "what is over was told");
                    code
                }
                Call::Status(which, now, at) => {
                    let mut status = std::mem::zeroed::<Status>();
                    let status = at.of(&mut status);
                    let _ = fence_kdump_session_status(room, *now, status);
                    fence_kdump_tracker_status(tracker, (*which).into(), *now, status)
                }
                Call::Verdict(which, not_before, now, at) => {
                    let code = fence_kdump_session_verdict(room, *not_before, *now, &mut number);
                    assert!(code != 0 || (*not_before..=*now).contains(&number));
                    let at = at.of(&mut number);
                    let which = (*which).into();
                    let code = fence_kdump_tracker_verdict(tracker, which, *not_before, *now, at);
                    let told = code == 0 && !at.is_null();
                    assert!(!told || (*not_before..=*now).contains(&number));
                    code
                }
                Call::Forget(which) => {
                    let which = (*which).into();
                    let code = fence_kdump_tracker_forget(tracker, which);
                    if code == 0 {
                        let after =
                            fence_kdump_tracker_verdict(tracker, which, 0, u64::MAX, &mut number);
                        assert_eq!(after, FENCE_KDUMP_NEVER_HEARD);
                    }
                    code
                }
                Call::Count(outcome) => {
                    fence_kdump_tracker_count(tracker, (*outcome).into(), &mut number)
                }
                Call::Line(line) => {
                    let mut read = NodeKey::NONE;
                    fence_kdump_key_line(line.as_ptr().cast(), line.len(), &mut read)
                }
                Call::Derive(name) => {
                    let name =
                        CString::new(name.split(|byte| *byte == 0).next().unwrap_or_default());
                    let name = name.expect("without a zero");
                    let (mut node, mut id) = ([0; 32], [0; 4]);
                    let code =
                        fence_kdump_key_derive(key.as_ptr(), name.as_ptr(), node.as_mut_ptr());
                    assert_eq!(fence_kdump_key_id(node.as_ptr(), id.as_mut_ptr()), 0);
                    code
                }
                Call::MaxAge(at) => {
                    let code = fence_kdump_max_age(data, len, at.of(&mut number));
                    assert!(number <= FENCE_KDUMP_MAX_AGE);
                    code
                }
                Call::Text(code) => {
                    assert!(!CStr::from_ptr(fence_kdump_error_text(*code)).is_empty());
                    continue;
                }
            }
        };
        // SAFETY: names end with a zero and live for ever.
        let name = unsafe { CStr::from_ptr(fence_kdump_error_name(code)) };
        assert_ne!(name, c"unknown code", "{call:?} returned {code}");
        // What was written is what is received next.
        match call {
            Call::Write(..) | Call::Sign(..) | Call::Answer(..) | Call::Say { .. }
                if code == FENCE_KDUMP_OK =>
            {
                datagram = buffer.value[..written].to_vec();
                let (data, len) = (datagram.as_ptr(), datagram.len());
                // SAFETY: a vector's own bytes.
                assert_eq!(unsafe { fence_kdump_decode(data, len, std::ptr::null_mut()) }, 0);
            }
            _ => {}
        }
    }
    session.is_whole();
    challenger.is_whole();
    answers.is_whole();
    memory.is_whole();
    buffer.is_whole();
    packet.is_whole();
    message.is_whole();
    crash.is_whole();
});

/// Mostly the right size, sometimes another one, never one that is larger.
fn close(size: u16, right: usize) -> usize {
    if size.is_multiple_of(4) { usize::from(size) % right } else { right }
}
