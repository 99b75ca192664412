//! Our programs in conversation with the Python program: it derives their keys, hears our sender,
//! challenges it, and is heard and challenged by our agent.

use super::key_file;
use fence_kdump_tests::datagram::PORT;
use fence_kdump_tests::{Cluster, Need, Proc, Run, programs, python, requires};
use serde_json::{Value, json};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Python];

const LIMIT: Duration = Duration::from_secs(10);

const HOSTS: &str = "127.0.0.1 localhost\n10.77.0.1 n1\n10.77.0.2 n2\n";

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// `fence_kdumpctl key ARGS`.
fn key(args: &[&str]) {
    let run = Run::new(programs::ours("fence_kdumpctl")).arg("key").args(args);
    let _ = run.run(LIMIT).expect_success();
}

fn speak(what: &[&str], keys: &Path, stdin: &str) -> String {
    let output = python::output("speak.py", &[what, &["--key-file", text(keys)]].concat(), stdin);
    output.trim_end().to_owned()
}

/// The one line for a node in `text`, its name in lower case, in which names are compared.
fn node_line(text: &str) -> String {
    let mut lines = text.lines().filter(|line| line.starts_with("node "));
    let line = lines.next().unwrap_or_else(|| panic!("no line for a node: {text}"));
    assert_eq!(lines.next(), None, "two lines for a node: {text}");
    let words: Vec<&str> = line.split_whitespace().collect();
    let [before @ .., name] = &words[..] else { panic!("an empty line") };
    format!("{} {}", before.join(" "), name.to_ascii_lowercase())
}

/// The keys that our tool makes are those that the text tells to make, before a rotation and after.
#[test]
fn keys_are_derived_alike() {
    if !requires(&[Need::Python]) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("cluster.key");
    let cluster = text(&path);
    key(&["new", "--out", cluster]);
    let mut before = vec![];
    for rotated in [false, true] {
        if rotated {
            key(&["rotate", "--key-file", cluster]);
        }
        let longest = "x".repeat(253);
        for name in ["n1", "N2.Example.COM", "!#~[A]/'{}", &longest] {
            let node = folder.path().join(format!("node-{}.key", before.len()));
            key(&["derive", name, "--key-file", cluster, "--out", text(&node)]);
            let ours = node_line(&fs::read_to_string(&node).expect("the file that was to be made"));
            let theirs = node_line(&speak(&["derive", name], &path, ""));
            assert_eq!(ours, theirs, "{name}");
            assert!(!before.contains(&ours), "a rotation makes new keys");
            before.push(ours);
        }
    }
    // What was signed with the previous key is still right.
    let nodes = key_file(&format!("{}\n", before[0]));
    let signed = speak(&["sign"], nodes.path(), &message(&before[0], 1, None));
    let said = &python::decode(&format!("{signed}\n"), Some(&path))[0];
    assert_eq!(said["message"]["mac"], "right", "{said}");
}

/// What a node says, for `speak.py sign`; `line` is its line of a key file.
fn message(line: &str, sequence: u64, answer: Option<&str>) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut said = json!({
        "byte_order": "big",
        "crash_id": "000102030405060708090a0b0c0d0e0f",
        "sequence": sequence,
        "uptime_ms": 2000 + sequence,
        "node_name": words[4],
        "phase": 2,
        "key_id": words[1],
    });
    if let Some(nonce) = answer {
        said["answer"] = nonce.into();
    }
    format!("{said}\n")
}

/// The cluster's key file with node n2's line in it too, since a challenge names no node; that line;
/// and n2's own file.
fn keys() -> (NamedTempFile, String, NamedTempFile) {
    let cluster = python::output("mutants.py", &["keys", "--seed", "6"], "");
    let cluster: String = cluster
        .lines()
        .filter(|line| line.starts_with("cluster "))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let line = speak(&["derive", "n2"], key_file(&cluster).path(), "");
    let all = key_file(&format!("{cluster}{line}\n"));
    let own = key_file(&format!("{line}\n"));
    (all, line, own)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n"
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("hexadecimal");
    (0..hexadecimal.len()).step_by(2).map(byte).collect()
}

/// The next datagram within `limit`, where it came from, and what the Python program says of it.
fn heard(
    socket: &UdpSocket,
    keys: &Path,
    limit: Duration,
) -> Option<(Vec<u8>, std::net::SocketAddr, Value)> {
    let mut buffer = [0; 2048];
    socket.set_read_timeout(Some(limit)).expect("a valid time");
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    let bytes = buffer[..length].to_vec();
    let said = python::decode(&hexadecimal(&bytes), Some(keys)).remove(0);
    Some((bytes, from, said))
}

fn our_sender(net: &Cluster, own: &Path, to: &str) -> Proc {
    let args = ["-k", text(own), "-v", "-i", "1", to];
    Run::new(programs::ours("fence_kdump_send")).args(args).inside(net.node(2)).spawn()
}

#[test]
fn our_sender_is_understood_and_answers() {
    if !requires(&NEEDS) {
        return;
    }
    let (all, _, own) = keys();
    let net = Cluster::new(2);
    let socket = net.node(1).udp("10.77.0.1:7410");
    let sender = our_sender(&net, own.path(), "10.77.0.1");
    let (first, from, said) = heard(&socket, all.path(), LIMIT).expect("a message");
    assert_eq!(said["message"]["mac"], "right", "{said}");
    assert_eq!(said["message"]["node_name"], "n2", "{said}");
    assert_eq!(said["message"]["answer"], Value::Null, "nothing was asked: {said}");

    let nonce = "5a".repeat(16);
    let challenge = bytes(&speak(&["challenge", &nonce], all.path(), &hexadecimal(&first)));
    // One with a wrong MAC first, which asks for nothing.
    let mut forged = challenge.clone();
    forged[30] ^= 1;
    for datagram in [&forged, &challenge] {
        let _ = socket.send_to(datagram, from).expect("the sender's port");
    }
    let asked = Instant::now();
    let mut answers = vec![];
    let mut last = said["message"]["sequence"].as_u64().expect("a number");
    while asked.elapsed() < Duration::from_secs(3) {
        let Some((_, _, now)) = heard(&socket, all.path(), Duration::from_millis(500)) else {
            continue;
        };
        let now = &now["message"];
        assert_eq!(now["mac"], "right", "{now}");
        assert_eq!(now["crash_id"], said["message"]["crash_id"], "{now}");
        let sequence = now["sequence"].as_u64().expect("a number");
        assert!(sequence > last, "{now}: not after {last}");
        last = sequence;
        answers.extend(now["answer"].as_str().map(str::to_owned));
    }
    assert_eq!(answers, [nonce], "one answer, to the true challenge: {}", sender.stderr());
}

fn our_agent(net: &Cluster, keys: &Path, state: &TempDir, policy: &str) -> Proc {
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "n2", "-t", "5", "--key-file", text(keys), "--policy", policy])
        .args(["--state-dir", text(state.path())])
        .file("/etc/hosts", HOSTS)
        .inside(net.node(1))
        .spawn();
    agent.wait_bound(PORT);
    agent
}

#[test]
fn our_agent_believes_another_make() {
    if !requires(&NEEDS) {
        return;
    }
    let (all, line, own) = keys();
    let net = Cluster::new(2);
    let state = TempDir::new().expect("a temporary folder");
    let signed = bytes(&speak(&["sign"], own.path(), &message(&line, 7, None)));

    let agent = our_agent(&net, all.path(), &state, "signed");
    net.node(2).send("10.77.0.2", "10.77.0.1:7410", &signed);
    let _ = agent.wait_for(LIMIT).expect_success();

    // The twins: the same once more, and a later one with a bit flipped.
    let later = speak(&["sign"], own.path(), &message(&line, 8, None));
    let mut flipped = bytes(&later);
    *flipped.last_mut().expect("not empty") ^= 1;
    let agent = our_agent(&net, all.path(), &state, "signed");
    net.node(2).send("10.77.0.2", "10.77.0.1:7410", &signed);
    net.node(2).send("10.77.0.2", "10.77.0.1:7410", &flipped);
    let _ = agent.wait_for(LIMIT).expect_failure();
}

#[test]
fn our_agent_challenges_another_make() {
    if !requires(&NEEDS) {
        return;
    }
    let (all, line, own) = keys();
    let net = Cluster::new(2);
    for right in [true, false] {
        let state = TempDir::new().expect("a temporary folder");
        let socket = net.node(2).udp("10.77.0.2:0");
        let signed = |sequence, answer| {
            bytes(&speak(&["sign"], own.path(), &message(&line, sequence, answer)))
        };
        let agent = our_agent(&net, all.path(), &state, "live");
        let send = |bytes: &[u8]| socket.send_to(bytes, "10.77.0.1:7410").expect("a route");
        let first = signed(1, None);
        let sent = send(&first);
        let (challenge, from, said) = heard(&socket, all.path(), LIMIT).expect("a challenge");
        assert_eq!(from.to_string(), "10.77.0.1:7410");
        assert!(challenge.len() <= sent, "a challenge is no amplifier");
        let asked = &said["challenge"];
        assert_eq!(asked["mac"], "right", "{said}");
        assert_eq!(asked["crash_id"], "000102030405060708090a0b0c0d0e0f", "{said}");
        assert_eq!(asked["key_id"], *line.split(' ').nth(1).expect("a key id"), "{said}");
        let nonce = asked["nonce"].as_str().expect("a nonce");
        let answer = if right { nonce.to_owned() } else { "00".repeat(16) };
        let _ = send(&signed(2, Some(&answer)));
        let output = agent.wait_for(LIMIT);
        let _ = if right { output.expect_success() } else { output.expect_failure() };
    }
}
