//! What programs that were linked long ago rely on: if one of these fails, the change is wrong, not the
//! test. New codes are added at the free numbers; none is ever changed, removed or used again.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;

use fence_kdump_capi::challenge::{Answers, Challenge, ChallengerRoom};
use fence_kdump_capi::code::{fence_kdump_error_name, fence_kdump_error_text};
use fence_kdump_capi::follow::Status;
use fence_kdump_capi::key::NodeKey;
use fence_kdump_capi::message::Message;
use fence_kdump_capi::proof::Crash;
use fence_kdump_capi::session::SessionRoom;

const CODES: [(&str, c_int); 47] = [
    ("FENCE_KDUMP_OK", 0),
    ("FENCE_KDUMP_ERROR_NULL", 1),
    ("FENCE_KDUMP_ERROR_BUFFER", 2),
    ("FENCE_KDUMP_ERROR_BYTE_ORDER", 3),
    ("FENCE_KDUMP_ERROR_ALIGNMENT", 4),
    ("FENCE_KDUMP_ERROR_SIZE", 5),
    ("FENCE_KDUMP_ERROR_MEMORY", 6),
    ("FENCE_KDUMP_ERROR_VALUE", 7),
    ("FENCE_KDUMP_ERROR_NODE", 8),
    ("FENCE_KDUMP_ERROR_CRASH_ID", 9),
    ("FENCE_KDUMP_ERROR_KEY_LINE", 10),
    ("FENCE_KDUMP_ERROR_EMPTY", 16),
    ("FENCE_KDUMP_ERROR_TRUNCATED", 17),
    ("FENCE_KDUMP_ERROR_MAGIC", 18),
    ("FENCE_KDUMP_ERROR_VERSION", 19),
    ("FENCE_KDUMP_ERROR_TRAILING", 20),
    ("FENCE_KDUMP_ERROR_TOO_LONG", 21),
    ("FENCE_KDUMP_ERROR_EXTENSION", 22),
    ("FENCE_KDUMP_ERROR_MAC_NOT_LAST", 23),
    ("FENCE_KDUMP_ERROR_FIELD_CUT_OFF", 24),
    ("FENCE_KDUMP_ERROR_REPEATED_FIELD", 25),
    ("FENCE_KDUMP_ERROR_CRITICAL_FIELD", 26),
    ("FENCE_KDUMP_ERROR_FIELD_LENGTH", 27),
    ("FENCE_KDUMP_ERROR_NODE_NAME", 28),
    ("FENCE_KDUMP_ERROR_ALGORITHM", 29),
    ("FENCE_KDUMP_ERROR_MISSING_FIELD", 30),
    ("FENCE_KDUMP_ERROR_REFUSED", 31),
    ("FENCE_KDUMP_ERROR_STRANGER", 32),
    ("FENCE_KDUMP_ERROR_UNSIGNED", 33),
    ("FENCE_KDUMP_ERROR_UNKNOWN_KEY", 34),
    ("FENCE_KDUMP_ERROR_BAD_MAC", 35),
    ("FENCE_KDUMP_ERROR_REPLAYED", 36),
    ("FENCE_KDUMP_ERROR_LATE", 37),
    ("FENCE_KDUMP_ERROR_OVER", 38),
    ("FENCE_KDUMP_ERROR_UNREMEMBERED", 39),
    ("FENCE_KDUMP_ERROR_UNPROVEN", 40),
    ("FENCE_KDUMP_ERROR_NO_CHALLENGE", 41),
    ("FENCE_KDUMP_ERROR_NOT_OURS", 42),
    ("FENCE_KDUMP_ERROR_TOO_MANY", 43),
    ("FENCE_KDUMP_ERROR_UNCHALLENGED", 44),
    ("FENCE_KDUMP_NEVER_HEARD", 48),
    ("FENCE_KDUMP_TOO_OLD", 49),
    ("FENCE_KDUMP_ENDED", 50),
    ("FENCE_KDUMP_FROM_THE_FUTURE", 51),
    ("FENCE_KDUMP_NOT_KNOWN", 52),
    // Numbers that are no codes.
    ("unknown code", 53),
    ("unknown code", -1),
];

/// All other numbers of the header.
const NUMBERS: [(&str, &str); 49] = [
    ("FENCE_KDUMP_PORT", "7410"),
    ("FENCE_KDUMP_MESSAGE_LEN", "8"),
    ("FENCE_KDUMP_DATAGRAM_MAX", "508"),
    ("FENCE_KDUMP_NAME_SIZE", "254"),
    ("FENCE_KDUMP_KEY_LEN", "32"),
    ("FENCE_KDUMP_KEY_ID_LEN", "4"),
    ("FENCE_KDUMP_CHALLENGE_LEN", "72"),
    ("FENCE_KDUMP_NONCE_LEN", "16"),
    ("FENCE_KDUMP_NATIVE", "0"),
    ("FENCE_KDUMP_LITTLE", "1"),
    ("FENCE_KDUMP_BIG", "2"),
    ("FENCE_KDUMP_HAS_NODE_NAME", "1"),
    ("FENCE_KDUMP_HAS_MACHINE_ID", "2"),
    ("FENCE_KDUMP_HAS_CRASH_ID", "4"),
    ("FENCE_KDUMP_HAS_SEQUENCE", "8"),
    ("FENCE_KDUMP_HAS_WALL_CLOCK", "16"),
    ("FENCE_KDUMP_HAS_UPTIME", "32"),
    ("FENCE_KDUMP_HAS_INTERVAL", "64"),
    ("FENCE_KDUMP_HAS_PHASE", "128"),
    ("FENCE_KDUMP_HAS_PROGRESS", "256"),
    ("FENCE_KDUMP_HAS_ANSWER", "512"),
    ("FENCE_KDUMP_HAS_KEY_ID", "1024"),
    ("FENCE_KDUMP_HAS_EXTENSION", "1073741824"),
    ("FENCE_KDUMP_HAS_MAC", "2147483648"),
    ("FENCE_KDUMP_BOOTED", "1"),
    ("FENCE_KDUMP_DUMPING", "2"),
    ("FENCE_KDUMP_FINISHED", "3"),
    ("FENCE_KDUMP_FAILED", "4"),
    ("FENCE_KDUMP_LEAVING", "5"),
    ("FENCE_KDUMP_PLAIN", "1"),
    ("FENCE_KDUMP_SIGNED", "2"),
    ("FENCE_KDUMP_LIVE", "3"),
    ("FENCE_KDUMP_SILENCE", "30000000000"),
    ("FENCE_KDUMP_MAX_AGE", "10000000000"),
    ("FENCE_KDUMP_NEVER", "UINT64_MAX"),
    ("FENCE_KDUMP_EVENT_NONE", "0"),
    ("FENCE_KDUMP_EVENT_STARTED", "1"),
    ("FENCE_KDUMP_EVENT_DUMPING", "2"),
    ("FENCE_KDUMP_EVENT_HEARD", "3"),
    ("FENCE_KDUMP_EVENT_PHASE", "4"),
    ("FENCE_KDUMP_EVENT_FINISHED", "5"),
    ("FENCE_KDUMP_STATE_UNHEARD", "0"),
    ("FENCE_KDUMP_STATE_STARTED", "1"),
    ("FENCE_KDUMP_STATE_DUMPING", "2"),
    ("FENCE_KDUMP_STATE_FINISHED", "3"),
    ("FENCE_KDUMP_TRACKER_BASE", "384"),
    ("FENCE_KDUMP_TRACKER_NODE", "80"),
    ("FENCE_KDUMP_TRACKER_ALIGN", "8"),
    ("FENCE_KDUMP_H", ""),
];

fn text(pointer: *const std::ffi::c_char) -> &'static str {
    // SAFETY: the library's texts end with a zero and live for ever.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("texts are ASCII")
}

#[test]
fn every_code_has_its_number_name_and_text() {
    let mut texts = BTreeMap::new();
    for (name, code) in CODES {
        assert_eq!(text(fence_kdump_error_name(code)), name);
        let told = text(fence_kdump_error_text(code));
        if name == "unknown code" {
            assert_eq!(told, name);
        } else if let Some(other) = texts.insert(told, name) {
            panic!("{name} and {other} are both '{told}'");
        }
    }
    let others = (-300..300).filter(|code| !CODES.iter().any(|(_, known)| known == code));
    for code in others {
        assert_eq!(text(fence_kdump_error_name(code)), "unknown code", "{code} is not frozen");
    }
}

/// The header has these constants with these numbers, and no others.
#[test]
fn the_header_has_every_number_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/fence_kdump.h");
    let header = std::fs::read_to_string(path).expect("the header is committed");
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define "));
    let mut found: Vec<(String, String)> = defined
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .filter(|(name, _)| !name.contains('(') && *name != "FENCE_KDUMP_MUST_USE")
        .map(|(name, number)| (name.to_owned(), number.to_owned()))
        .collect();
    let codes = CODES.iter().filter(|(name, _)| *name != "unknown code");
    let numbers = NUMBERS.iter().map(|(name, number)| ((*name).to_owned(), (*number).to_owned()));
    let mut frozen: Vec<(String, String)> =
        codes.map(|(name, code)| ((*name).to_owned(), code.to_string())).chain(numbers).collect();
    found.sort();
    frozen.sort();
    assert_eq!(found, frozen);
}

/// Where 64-bit numbers are aligned to 8 bytes, as they are on all machines that this is built for.
#[test]
fn sizes_and_places_are_what_they_were() {
    assert_eq!((size_of::<Message>(), align_of::<Message>()), (360, 8));
    assert_eq!(
        [
            offset_of!(Message, has),
            offset_of!(Message, byte_order),
            offset_of!(Message, sequence),
            offset_of!(Message, wall_clock_ms),
            offset_of!(Message, uptime_ms),
            offset_of!(Message, done),
            offset_of!(Message, total),
            offset_of!(Message, interval_ms),
            offset_of!(Message, key_id),
            offset_of!(Message, machine_id),
            offset_of!(Message, crash_id),
            offset_of!(Message, answer),
            offset_of!(Message, phase),
            offset_of!(Message, reserved),
            offset_of!(Message, node_name),
        ],
        [0, 4, 8, 16, 24, 32, 40, 48, 52, 56, 72, 88, 104, 105, 106]
    );
    assert_eq!((size_of::<NodeKey>(), align_of::<NodeKey>()), (290, 1));
    assert_eq!([offset_of!(NodeKey, key_id), offset_of!(NodeKey, node_name)], [32, 36]);
    assert_eq!((size_of::<Challenge>(), align_of::<Challenge>()), (36, 1));
    assert_eq!([offset_of!(Challenge, crash_id), offset_of!(Challenge, nonce)], [4, 20]);
    assert_eq!((size_of::<Crash>(), align_of::<Crash>()), (56, 8));
    assert_eq!(
        [
            offset_of!(Crash, clock),
            offset_of!(Crash, origin),
            offset_of!(Crash, sequence),
            offset_of!(Crash, heard_at),
        ],
        [16, 32, 40, 48]
    );
    assert_eq!((size_of::<Status>(), align_of::<Status>()), (40, 8));
    assert_eq!(
        [
            offset_of!(Status, last_heard),
            offset_of!(Status, done),
            offset_of!(Status, total),
            offset_of!(Status, messages),
            offset_of!(Status, state),
            offset_of!(Status, proof),
            offset_of!(Status, phase),
            offset_of!(Status, reserved),
        ],
        [8, 16, 24, 32, 36, 37, 38, 39]
    );
    assert_eq!((size_of::<SessionRoom>(), align_of::<SessionRoom>()), (384, 8));
    assert_eq!((size_of::<ChallengerRoom>(), align_of::<ChallengerRoom>()), (320, 8));
    assert_eq!((size_of::<Answers>(), align_of::<Answers>()), (576, 8));
}
