//! What a datagram says.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;

use fence_kdump_core::{ByteOrder, Challenge, DecodeError, Message, Phase, decode};
use serde::Serialize;

use super::Failure;
use crate::keys::Ring;

/// What is said of one datagram.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer<'a> {
    Message(Said<'a>),
    Challenge(Asked),
    #[serde(untagged)]
    Refused(Refused),
}

#[derive(Debug, Default, Serialize)]
struct Refused {
    refused: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<u8>,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    byte_order: &'static str,
    extended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crash_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_clock_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    mac: &'static str,
}

#[derive(Debug, Serialize)]
struct Asked {
    key_id: String,
    crash_id: String,
    nonce: String,
    mac: &'static str,
}

/// Reads datagrams in hexadecimal from standard input, one a line, and prints what they mean.
///
/// # Errors
/// When the key file cannot be read, or standard input or output fail.
pub fn run(key_file: Option<&Path>) -> Result<String, Failure> {
    let ring = key_file.map(Ring::load).transpose()?;
    let mut input = BufReader::new(stdin().lock());
    let mut output = std::io::BufWriter::new(stdout().lock());
    let told = |error| Failure::Io("standard output", error);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::Io("standard input", error))? == 0 {
            break;
        }
        let json = match hexadecimal(&line) {
            Some(datagram) => serde_json::to_string(&answer(&datagram, ring.as_ref())),
            None => serde_json::to_string(&Refused::because("not hexadecimal")),
        };
        writeln!(output, "{}", json?).map_err(told)?;
        // Whoever asks line by line is answered line by line.
        if input.buffer().is_empty() {
            output.flush().map_err(told)?;
        }
    }
    output.flush().map_err(told)?;
    Ok(String::new())
}

/// The bytes of a line; `None` when it is anything but pairs of hexadecimal digits.
fn hexadecimal(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (pairs, rest) = line.as_chunks::<2>();
    let digit = |character: u8| char::from(character).to_digit(16);
    let byte = |&[high, low]: &[u8; 2]| {
        let byte = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
        u8::try_from(byte).ok()
    };
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn answer<'a>(datagram: &'a [u8], ring: Option<&Ring>) -> Answer<'a> {
    if let Some(sealed) = Challenge::decode(datagram) {
        let Challenge { key_id, crash_id, nonce } = sealed.claimed;
        // A challenge names no node: any node's key that could be meant will do.
        let mac = ring.map(|ring| {
            let mut keys = ring.nodes().iter().filter(|node| node.key_id == key_id).peekable();
            let is_known = keys.peek().is_some();
            is_known.then(|| keys.any(|node| sealed.open(&node.key).is_some()))
        });
        return Answer::Challenge(Asked {
            key_id: key_id.to_string(),
            crash_id: crash_id.to_string(),
            nonce: nonce.to_string(),
            mac: word(mac),
        });
    }
    match decode(datagram) {
        Ok(message) => Answer::Message(said(&message, ring)),
        Err(error) => Answer::Refused(refused(error)),
    }
}

fn said<'a>(message: &Message<'a>, ring: Option<&Ring>) -> Said<'a> {
    let extension = message.extension.unwrap_or_default();
    let mac = match message.signed() {
        None => "none",
        Some(signed) => word(ring.map(|ring| {
            let key = ring.node_key(signed.key_id, signed.node_name)?;
            Some(signed.verify(&key))
        })),
    };
    Said {
        byte_order: match message.byte_order {
            ByteOrder::Little => "little",
            ByteOrder::Big => "big",
        },
        extended: message.extension.is_some(),
        node_name: extension.node_name,
        machine_id: extension.machine_id.map(|id| id.iter().map(|b| format!("{b:02x}")).collect()),
        crash_id: extension.crash_id.map(|id| id.to_string()),
        sequence: extension.sequence,
        wall_clock_ms: extension.wall_clock,
        uptime_ms: extension.uptime,
        interval_ms: extension.interval,
        phase: extension.phase.map(Phase::number),
        progress: extension.progress.map(|progress| [progress.done, progress.total]),
        answer: extension.answer.map(|nonce| nonce.to_string()),
        key_id: extension.key_id.map(|id| id.to_string()),
        mac,
    }
}

/// `None`: no keys to check it with. `Some(None)`: not that key.
fn word(is_right: Option<Option<bool>>) -> &'static str {
    match is_right {
        None => "not checked",
        Some(None) => "unknown key",
        Some(Some(true)) => "right",
        Some(Some(false)) => "wrong",
    }
}

impl Refused {
    fn because(refused: &'static str) -> Self {
        Self { refused, ..Self::default() }
    }
}

fn refused(error: DecodeError) -> Refused {
    let (_, cause) = error.cause();
    let mut told = Refused::because(cause);
    match error {
        DecodeError::Truncated { len } | DecodeError::TooLong { len } => told.len = Some(len),
        DecodeError::BadMagic { found } => told.found = Some(format!("{found:#010x}")),
        DecodeError::UnsupportedVersion { version } => told.version = Some(version),
        DecodeError::TrailingBytes { extra } => told.extra = Some(extra),
        DecodeError::MacNotLast { kind }
        | DecodeError::FieldCutOff { kind }
        | DecodeError::RepeatedField { kind }
        | DecodeError::UnknownCriticalField { kind }
        | DecodeError::WrongFieldLength { kind, .. }
        | DecodeError::MissingField { kind } => told.kind = Some(kind),
        DecodeError::UnknownAlgorithm { algorithm } => told.algorithm = Some(algorithm),
        // The cause says it all.
        _ => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pairs_of_digits_are_bytes() {
        assert_eq!(hexadecimal(b"\n"), Some(vec![]));
        assert_eq!(hexadecimal(b"00fFa9\r\n"), Some(vec![0x00, 0xff, 0xa9]));
        for line in [&b"0"[..], b"0g", b" 00", b"00 ", b"0x00", b"+1", b"00\n00", b"\xc3\xa4"] {
            assert_eq!(hexadecimal(line), None, "{line:?}");
        }
    }
}
