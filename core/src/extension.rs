//! The fields that follow a message: reading and writing them (PROTOCOL.md §4).

use nom::error::{ErrorKind, ParseError as _};
use nom::multi::length_data;
use nom::{IResult, Parser as _};

use crate::auth::{Key, code};
use crate::codec::{DecodeError, EncodeError, encode};
use crate::message::{
    ByteOrder, CrashId, Datagram, Extension, KeyId, Mac, Nonce, Phase, Progress, is_node_name,
};
use crate::wire::{CODE_LEN, CRITICAL, DATAGRAM_MAX, HMAC_SHA_256, MARK, NODE_NAME_MAX, field};

/// Everything that can be said, with the longest name: it fits.
const LONGEST: usize = 419;
const _: () = assert!(LONGEST <= DATAGRAM_MAX);

/// The length of MAC's value: the algorithm's number and the code.
const MAC_LEN: u8 = 33;
const _: () = assert!(MAC_LEN as usize == 1 + CODE_LEN);

/// One byte. Nom's own parser leaves a way to panic in a library that is compiled for size.
fn byte(input: &[u8]) -> IResult<&[u8], u8> {
    let end = || nom::Err::Error(nom::error::Error::from_error_kind(input, ErrorKind::Eof));
    input.split_first().map(|(&first, rest)| (rest, first)).ok_or_else(end)
}

/// One field: its type, and as many bytes as the next byte says.
fn one(input: &[u8]) -> IResult<&[u8], (u8, &[u8])> {
    (byte, length_data(byte)).parse(input)
}

/// Reads the fields that are the end of `datagram`.
pub(crate) fn read<'a>(
    datagram: &'a [u8],
    fields: &'a [u8],
) -> Result<(Extension<'a>, Option<Mac<'a>>), DecodeError> {
    let mut extension = Extension::default();
    let mut mac = None;
    let mut seen = Seen::default();
    let mut rest = fields;
    while let Some(&kind) = rest.first() {
        if mac.is_some() {
            return Err(DecodeError::MacNotLast { kind });
        }
        let Ok((after, (_, value))) = one(rest) else {
            return Err(DecodeError::FieldCutOff { kind });
        };
        if !seen.first_time(kind) {
            return Err(DecodeError::RepeatedField { kind });
        }
        rest = after;
        match kind {
            field::NODE_NAME => extension.node_name = Some(node_name(value)?),
            field::MACHINE_ID => extension.machine_id = Some(exactly(kind, value)?),
            field::CRASH_ID => extension.crash_id = Some(CrashId(exactly(kind, value)?)),
            field::SEQUENCE => extension.sequence = Some(number(kind, value)?),
            field::WALL_CLOCK => extension.wall_clock = Some(number(kind, value)?),
            field::UPTIME => extension.uptime = Some(number(kind, value)?),
            field::INTERVAL => {
                extension.interval = Some(u32::from_be_bytes(exactly(kind, value)?));
            }
            field::PHASE => {
                let [number] = exactly(kind, value)?;
                extension.phase = Some(Phase::of(number));
            }
            field::PROGRESS => {
                let both = u128::from_be_bytes(exactly(kind, value)?);
                let (done, total) = ((both >> 64) as u64, both as u64);
                extension.progress = Some(Progress { done, total });
            }
            field::ANSWER => extension.answer = Some(Nonce(exactly(kind, value)?)),
            field::KEY_ID => extension.key_id = Some(KeyId(exactly(kind, value)?)),
            field::MAC => mac = Some(read_mac(datagram, value)?),
            unknown if unknown & CRITICAL != 0 => {
                return Err(DecodeError::UnknownCriticalField { kind });
            }
            _ => {}
        }
    }
    match (mac, missing(&extension)) {
        (Some(_), Some(kind)) => Err(DecodeError::MissingField { kind }),
        _ => Ok((extension, mac)),
    }
}

fn read_mac<'a>(datagram: &'a [u8], value: &'a [u8]) -> Result<Mac<'a>, DecodeError> {
    let wrong = DecodeError::WrongFieldLength { kind: field::MAC, len: value.len() };
    let (&algorithm, code) = value.split_first().ok_or(wrong)?;
    let code = code.try_into().map_err(|_| wrong)?;
    if algorithm != HMAC_SHA_256 {
        return Err(DecodeError::UnknownAlgorithm { algorithm });
    }
    // Should the MAC turn out not to be the last field, the message is refused anyway.
    let covered = datagram.len().checked_sub(CODE_LEN).and_then(|end| datagram.get(..end));
    Ok(Mac { code, covered: covered.unwrap_or_default() })
}

/// The first of the fields that each signed message has, and that this one has not.
pub(crate) const fn missing(extension: &Extension<'_>) -> Option<u8> {
    match extension {
        Extension { node_name: None, .. } => Some(field::NODE_NAME),
        Extension { crash_id: None, .. } => Some(field::CRASH_ID),
        Extension { sequence: None, .. } => Some(field::SEQUENCE),
        Extension { uptime: None, .. } => Some(field::UPTIME),
        Extension { key_id: None, .. } => Some(field::KEY_ID),
        _ => None,
    }
}

/// Which types there were.
#[derive(Default)]
struct Seen([u128; 2]);

impl Seen {
    fn first_time(&mut self, kind: u8) -> bool {
        let Self([low, high]) = self;
        let half = if kind & CRITICAL == 0 { low } else { high };
        let bit = 1_u128 << (kind & !CRITICAL);
        let first = *half & bit == 0;
        *half |= bit;
        first
    }
}

fn exactly<const N: usize>(kind: u8, value: &[u8]) -> Result<[u8; N], DecodeError> {
    value.try_into().map_err(|_| DecodeError::WrongFieldLength { kind, len: value.len() })
}

fn number(kind: u8, value: &[u8]) -> Result<u64, DecodeError> {
    exactly(kind, value).map(u64::from_be_bytes)
}

fn node_name(value: &[u8]) -> Result<&str, DecodeError> {
    if value.is_empty() || value.len() > NODE_NAME_MAX {
        let (kind, len) = (field::NODE_NAME, value.len());
        return Err(DecodeError::WrongFieldLength { kind, len });
    }
    let name = core::str::from_utf8(value).ok().filter(|name| is_node_name(name));
    name.ok_or(DecodeError::BadNodeName)
}

/// A message with all fields that `extension` has, in the order of their types.
pub(crate) fn write(
    byte_order: ByteOrder,
    extension: &Extension<'_>,
    datagram: &mut Datagram,
) -> Result<(), EncodeError> {
    let Extension {
        node_name,
        machine_id,
        crash_id,
        sequence,
        wall_clock,
        uptime,
        interval,
        phase,
        progress,
        answer,
        key_id,
    } = extension;
    if node_name.is_some_and(|name| !is_node_name(name)) {
        return Err(EncodeError::BadNodeName);
    }
    datagram.clear();
    append(datagram, &encode(byte_order));
    append(datagram, &MARK);
    let mut field = |kind: u8, value: Option<&[u8]>| {
        if let Some(value) = value {
            append(datagram, &[kind, value.len() as u8]);
            append(datagram, value);
        }
    };
    field(field::NODE_NAME, node_name.map(str::as_bytes));
    field(field::MACHINE_ID, machine_id.as_ref().map(<[u8; 16]>::as_slice));
    field(field::CRASH_ID, crash_id.as_ref().map(|id| id.0.as_slice()));
    field(field::SEQUENCE, sequence.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    field(field::WALL_CLOCK, wall_clock.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    field(field::UPTIME, uptime.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    field(field::INTERVAL, interval.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
    field(field::PHASE, phase.map(|phase| [phase.number()]).as_ref().map(<[u8; 1]>::as_slice));
    let progress = progress
        .map(|Progress { done, total }| (u128::from(done) << 64 | u128::from(total)).to_be_bytes());
    field(field::PROGRESS, progress.as_ref().map(<[u8; 16]>::as_slice));
    field(field::ANSWER, answer.as_ref().map(|nonce| nonce.0.as_slice()));
    field(field::KEY_ID, key_id.as_ref().map(|id| id.0.as_slice()));
    Ok(())
}

/// Adds the MAC to everything that is there.
pub(crate) fn seal(key: &Key, datagram: &mut Datagram) {
    append(datagram, &[field::MAC, MAC_LEN, HMAC_SHA_256]);
    let code = code(key, datagram);
    append(datagram, &code);
}

/// What does not fit is left out; everything fits, which is asserted above.
fn append(datagram: &mut Datagram, bytes: &[u8]) {
    let _ = datagram.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two types that differ in nothing but the critical bit.
    #[test]
    fn a_type_and_its_critical_twin_are_two_types() {
        let fields = [&[0x7f, 0, field::MAC, MAC_LEN, HMAC_SHA_256][..], &[0; CODE_LEN]].concat();
        let missing = DecodeError::MissingField { kind: field::NODE_NAME };
        assert_eq!(read(&fields, &fields), Err(missing), "the MAC came for the first time");
        let twice = [0x7f, 0, 0x7e, 0, 0x7f, 0];
        assert_eq!(read(&twice, &twice), Err(DecodeError::RepeatedField { kind: 0x7f }));
    }

    #[test]
    fn all_that_can_be_said_fits() {
        let name = "n".repeat(crate::wire::NODE_NAME_MAX);
        let everything = Extension {
            node_name: Some(&name),
            machine_id: Some([1; 16]),
            crash_id: Some(CrashId([2; 16])),
            sequence: Some(u64::MAX),
            wall_clock: Some(u64::MAX),
            uptime: Some(u64::MAX),
            interval: Some(u32::MAX),
            phase: Some(Phase::Booted),
            progress: Some(Progress { done: u64::MAX, total: u64::MAX }),
            answer: Some(Nonce([3; 16])),
            key_id: Some(KeyId([4; 4])),
        };
        let mut datagram = Datagram::new();
        let key = Key::from_bytes(&[1; 32]);
        crate::sign(ByteOrder::Big, &everything, &key, &mut datagram).unwrap();
        assert_eq!(datagram.len(), LONGEST);
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        let mut datagram = Datagram::new();
        let nameless = Extension { node_name: Some("a b"), ..Extension::default() };
        let error = write(ByteOrder::Big, &nameless, &mut datagram).unwrap_err();
        assert_eq!(error.to_string(), "a node name has 1 to 253 characters, '!' to '~'");
        let key = Key::from_bytes(&[1; 32]);
        let error = crate::sign(ByteOrder::Big, &Extension::default(), &key, &mut datagram);
        let said = error.unwrap_err().to_string();
        assert_eq!(said, "a signed message cannot be without field 0x01");
    }
}
