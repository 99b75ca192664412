//! The test vectors that are frozen in `vectors.txt`: if one fails, the change is wrong, not the vector.

use std::collections::HashMap;

use fence_kdump_core::{
    ByteOrder, Challenge, Crash, DecodeError, Instant, Key, Message, decode, encode_extended, sign,
};

/// The lines of one vector.
struct Vector<'a> {
    title: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

impl Vector<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.0 == name).map(|line| line.1)
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let text = self.get(name)?;
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        Some((0..text.len()).step_by(2).map(byte).collect())
    }

    fn key(&self, name: &str) -> Option<Key> {
        Some(Key::from_bytes(&self.bytes(name)?.try_into().unwrap()))
    }
}

fn vectors() -> Vec<Vector<'static>> {
    let mut vectors: Vec<Vector<'_>> = Vec::new();
    for line in include_str!("../vectors.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').unwrap();
        match name {
            "vector" => vectors.push(Vector { title: value.trim(), lines: Vec::new() }),
            _ => vectors.last_mut().unwrap().lines.push((name, value.trim())),
        }
    }
    vectors
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a vector says of a datagram that is refused.
fn refusal(error: DecodeError) -> Vec<(&'static str, String)> {
    use DecodeError as E;
    let detail = match error {
        E::Truncated { len } | E::TooLong { len } => ("len", len.to_string()),
        E::BadMagic { found } => ("found", format!("{found:#010x}")),
        E::UnsupportedVersion { version } => ("version", version.to_string()),
        E::TrailingBytes { extra } => ("extra", extra.to_string()),
        E::MacNotLast { kind }
        | E::FieldCutOff { kind }
        | E::RepeatedField { kind }
        | E::UnknownCriticalField { kind }
        | E::WrongFieldLength { kind, .. }
        | E::MissingField { kind } => ("type", kind.to_string()),
        E::UnknownAlgorithm { algorithm } => ("algorithm", algorithm.to_string()),
        _ => return vec![("result", error.cause().1.to_owned())],
    };
    vec![("result", error.cause().1.to_owned()), detail]
}

/// What a vector says of a message.
fn acceptance(message: &Message<'_>, key: Option<&Key>) -> Vec<(&'static str, String)> {
    let order = if message.byte_order == ByteOrder::Little { "little" } else { "big" };
    let said = message.extension.unwrap_or_default();
    let mac = message.signed().map(|signed| signed.verify(key.unwrap()));
    let fields = [
        ("result", Some("message".to_owned())),
        ("byte_order", Some(order.to_owned())),
        ("extended", Some(message.extension.is_some().to_string())),
        ("node_name", said.node_name.map(str::to_owned)),
        ("machine_id", said.machine_id.map(|id| hex(&id))),
        ("crash_id", said.crash_id.map(|id| id.to_string())),
        ("sequence", said.sequence.map(|number| number.to_string())),
        ("wall_clock_ms", said.wall_clock.map(|time| time.to_string())),
        ("uptime_ms", said.uptime.map(|time| time.to_string())),
        ("interval_ms", said.interval.map(|time| time.to_string())),
        ("phase", said.phase.map(|phase| phase.number().to_string())),
        ("progress", said.progress.map(|progress| format!("{} {}", progress.done, progress.total))),
        ("answer", said.answer.map(|nonce| nonce.to_string())),
        ("key_id", said.key_id.map(|id| id.to_string())),
        ("mac", Some(mac.map_or("none", |right| if right { "right" } else { "wrong" }).to_owned())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[test]
fn every_datagram_is_read_as_its_vector_says() {
    let mut results: HashMap<String, usize> = HashMap::new();
    for vector in vectors() {
        let Some(datagram) = vector.bytes("datagram") else { continue };
        let key = vector.key("node_key");
        let read = decode(&datagram);
        let said = match &read {
            Ok(message) => acceptance(message, key.as_ref()),
            Err(error) => refusal(*error),
        };
        let told = |line: &&(&str, &str)| !["datagram", "node_key"].contains(&line.0);
        let expected: Vec<_> =
            vector.lines.iter().filter(told).map(|line| (line.0, line.1.to_owned())).collect();
        assert_eq!(said, expected, "{}", vector.title);
        *results.entry(said[0].1.clone()).or_default() += 1;
    }
    assert_eq!(results.len(), 1 + DecodeError::COUNT, "every cause has a vector: {results:?}");
}

#[test]
fn every_signed_message_is_written_as_its_vector_says() {
    let mut written = 0;
    for vector in vectors().iter().filter(|vector| vector.title.starts_with("signed, ")) {
        let datagram = vector.bytes("datagram").unwrap();
        let message = decode(&datagram).unwrap();
        let mut again = fence_kdump_core::Datagram::new();
        let key = vector.key("node_key").unwrap();
        sign(message.byte_order, &message.extension.unwrap(), &key, &mut again).unwrap();
        assert_eq!(again[..], datagram, "{}", vector.title);
        assert!(datagram.len() > fence_kdump_core::wire::CHALLENGE_LEN, "nothing is amplified");
        encode_extended(message.byte_order, &message.extension.unwrap(), &mut again).unwrap();
        assert!(datagram.starts_with(&again));
        written += 1;
    }
    assert_eq!(written, 4);
}

#[test]
fn every_key_is_derived_as_its_vector_says() {
    let mut derived = 0;
    for vector in vectors() {
        let Some(cluster) = vector.key("cluster_key") else { continue };
        assert_eq!(Some(cluster.id().to_string().as_str()), vector.get("key_id"));
        let node = cluster.derive(vector.get("node_name").unwrap()).unwrap();
        assert_eq!(vector.bytes("node_key").unwrap(), node.as_bytes(), "{}", vector.title);
        assert_eq!(Some(node.id().to_string().as_str()), vector.get("check"));
        derived += 1;
    }
    assert_eq!(derived, 6);
}

#[test]
fn every_challenge_is_read_and_written_as_its_vector_says() {
    let mut read = 0;
    for vector in vectors() {
        let Some(bytes) = vector.bytes("challenge") else { continue };
        let key = vector.key("node_key").unwrap();
        let sealed = Challenge::decode(&bytes).unwrap();
        let claimed = sealed.claimed;
        for (name, value) in [
            ("key_id", claimed.key_id.to_string()),
            ("crash_id", claimed.crash_id.to_string()),
            ("nonce", claimed.nonce.to_string()),
        ] {
            assert_eq!(vector.get(name), Some(value.as_str()), "{}", vector.title);
        }
        let right = vector.get("mac") == Some("right");
        assert_eq!(sealed.open(&key).is_some(), right, "{}", vector.title);
        assert_eq!(claimed.encode(&key)[..] == bytes, right, "{}", vector.title);
        read += 1;
    }
    assert_eq!(read, 3);
}

#[test]
fn every_replay_is_judged_as_its_vector_says() {
    let mut judged = 0;
    for vector in vectors() {
        let mut known: Option<Crash> = None;
        for (_, line) in vector.lines.iter().filter(|line| line.0 == "heard") {
            let [at, sequence, uptime, proof, result] =
                line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let number = |text: &str| text.parse::<u64>().unwrap();
            let at = Instant::from_nanos(number(at) * 1_000_000);
            let stamp = (number(sequence), number(uptime));
            let verdict = Crash::judge_stamp(known.as_ref(), at, stamp, proof == "live");
            let said = verdict.map_or_else(|cause| cause.cause(), |_| "believed");
            assert_eq!(said, result, "{}: {line}", vector.title);
            known = verdict.ok().or(known);
            judged += 1;
        }
    }
    assert!(judged > 20);
}
