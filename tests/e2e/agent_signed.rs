//! Signed messages at the agent and at the daemon, from a sender that shares no line with them
//! (`tests/python`): what counts, what does not, and what is said about it.

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, python, requires};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[path = "agent_signed/disks.rs"]
mod disks;
#[path = "agent_signed/floods.rs"]
mod floods;
#[path = "agent_signed/keys.rs"]
mod keys;
#[path = "agent_signed/remembered.rs"]
mod remembered;
#[path = "agent_signed/several.rs"]
mod several;

const NEEDS: [Need; 3] = [Need::Root, Need::Netns, Need::Python];

const LIMIT: Duration = Duration::from_secs(20);

/// Two cluster keys and their ids, as in `core/vectors.txt`.
const CLUSTER: (&str, &str) =
    ("237ba621", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
const OTHER: (&str, &str) =
    ("52dcccb8", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");

/// Where the agents of this file believe n1 to be.
const NODE: &str = "127.0.0.11";

/// A host that receives: its key file and its state directory.
struct Host {
    net: Netns,
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { net: Netns::new(), folder: tempfile::tempdir().expect("a folder") };
        host.key_file("cluster.key", &[CLUSTER]);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key_file(&self, name: &str, clusters: &[(&str, &str)]) -> PathBuf {
        let lines = clusters.iter().map(|(id, key)| format!("cluster {id} {key}\n"));
        let path = self.path(name);
        fs::write(&path, lines.collect::<String>()).expect("our own folder");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own file");
        path
    }

    /// The agent, asked about n1 with the keys of this host.
    fn agent(&self, options: &str) -> Run<'_> {
        Run::new(programs::ours("fence_kdump"))
            .args(["-v", "-n", "n1", "--key-file"])
            .arg(self.path("cluster.key"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .args(options.split_whitespace())
            .file("/etc/hosts", format!("127.0.0.1 localhost\n{NODE} n1\n"))
            .file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
            .inside(&self.net)
    }

    /// The agent, once it can hear.
    fn waiting(&self, options: &str) -> Proc {
        let agent = self.agent(options).spawn();
        agent.wait_bound(PORT);
        agent
    }

    /// A crash of n1, which speaks from `address`.
    fn node(&self, address: &str) -> Node {
        Node {
            socket: self.net.udp_from(address),
            key_file: self.key_file("node.key", &[CLUSTER]),
            said: json!({
                "byte_order": "little",
                "node_name": "n1",
                "crash_id": "11".repeat(16),
                "sequence": 0,
                "uptime_ms": 0,
                "key_id": CLUSTER.0,
            }),
            started: Instant::now(),
        }
    }
}

/// A node in its crash kernel.
struct Node {
    socket: UdpSocket,
    key_file: PathBuf,
    said: Value,
    started: Instant,
}

impl Node {
    /// What it says, signed; one datagram for each.
    fn sign_all(&self, said: &[Value]) -> Vec<Vec<u8>> {
        let key_file = self.key_file.to_str().expect("a path in UTF-8");
        let args = ["sign", "--key-file", key_file];
        let lines: String = said.iter().map(|one| format!("{one}\n")).collect();
        python::output("speak.py", &args, &lines).lines().map(unhex).collect()
    }

    /// The latest message once more.
    fn sign(&self) -> Vec<u8> {
        self.sign_all(std::slice::from_ref(&self.said)).remove(0)
    }

    /// The next message.
    fn next(&mut self) -> Vec<u8> {
        self.advance();
        self.sign()
    }

    fn advance(&mut self) {
        let sequence = self.said["sequence"].as_u64().expect("a number") + 1;
        self.said["sequence"] = json!(sequence);
        let uptime = u64::try_from(self.started.elapsed().as_millis()).expect("a short test");
        self.said["uptime_ms"] = json!(uptime);
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, ("127.0.0.1", PORT)).expect("loopback is up");
    }

    fn speak(&mut self) {
        let bytes = self.next();
        self.send(&bytes);
    }

    /// The next challenge that comes.
    fn challenge(&self) -> Vec<u8> {
        let mut bytes = vec![0; 600];
        let (length, from) = self.socket.recv_from(&mut bytes).expect("a challenge");
        assert_eq!((length, from.port()), (72, PORT), "from the port that listens");
        bytes.truncate(length);
        bytes
    }

    /// The nonce of the next challenge that comes. An answer is right for 2 s, so nothing slow is done.
    fn challenged(&self) -> String {
        hex(&self.challenge()[24..40])
    }

    /// The node's own line of a key file, by which a challenge can be verified.
    fn own_key_file(&self) -> PathBuf {
        let cluster = self.key_file.to_str().expect("a path in UTF-8");
        let name = self.said["node_name"].as_str().expect("a name");
        let line = python::output("speak.py", &["derive", name, "--key-file", cluster], "");
        let path = self.key_file.with_extension("own");
        fs::write(&path, line).expect("our own folder");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own file");
        path
    }

    /// Answers with each nonce.
    fn answer(&mut self, nonces: &[String]) {
        let answers: Vec<Value> = nonces
            .iter()
            .map(|nonce| {
                self.advance();
                let mut answer = self.said.clone();
                answer["answer"] = json!(nonce);
                answer
            })
            .collect();
        for answer in self.sign_all(&answers) {
            self.send(&answer);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
    digits.map(|pair| byte(pair).expect("hexadecimal digits")).collect()
}

#[track_caller]
fn assert_refused(output: &Output, said: &str) {
    assert_eq!(output.code, Some(1), "{output}");
    let last = output.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(said), "{said:?} is not in the last line: {output}");
}

/// Under each policy, from the node's own address and from one that nobody knows.
#[test]
fn a_signed_message_counts_wherever_it_comes_from() {
    if !requires(&NEEDS) {
        return;
    }
    for (address, policy) in [(NODE, "signed"), ("127.0.0.99", "signed"), ("127.0.0.99", "plain")] {
        let host = Host::new();
        let agent = host.waiting(&format!("-t 15 --policy {policy}"));
        host.node(address).speak();
        let output = agent.wait_for(LIMIT).expect_success();
        assert!(output.stderr.contains("heard, signed, after"), "{output}");
        assert!(output.elapsed < Duration::from_secs(10), "{output}");
    }
}

#[test]
fn an_answer_to_a_challenge_counts_under_every_policy() {
    if !requires(&NEEDS) {
        return;
    }
    for policy in ["live", "signed"] {
        let host = Host::new();
        let mut node = host.node("127.0.0.99");
        if policy == "signed" {
            // Nothing can be remembered: an answer is all that counts.
            fs::write(host.path("state"), "a file, no directory").expect("our own folder");
        }
        let agent = host.waiting(&format!("-t 15 --policy {policy}"));
        node.speak();
        let nonce = node.challenged();
        thread::sleep(Duration::from_millis(300));
        assert!(agent.is_running(), "signed is not live");
        node.answer(&[nonce]);
        let output = agent.wait_for(LIMIT).expect_success();
        assert!(output.stderr.contains("heard, signed and live, after"), "{output}");
    }
}

/// As the node itself reads it, which has only its own key.
#[test]
fn a_challenge_is_signed_for_the_node_and_its_crash() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let agent = host.waiting("-t 15 --policy live");
    let mut node = host.node(NODE);
    node.speak();
    let line = format!("{}\n", hex(&node.challenge()));
    let told = python::decode(&line, Some(&node.own_key_file())).remove(0);
    for (field, value) in [
        ("mac", &json!("right")),
        ("crash_id", &node.said["crash_id"]),
        ("key_id", &json!(CLUSTER.0)),
    ] {
        assert_eq!(&told["challenge"][field], value, "{told}");
    }
    assert!(agent.is_running());
}

/// Everything that a host without the key, or with another one, can say from the node's own address.
#[test]
fn nothing_else_counts_and_the_last_line_says_why() {
    if !requires(&NEEDS) {
        return;
    }
    type Change = fn(&Host, &mut Node) -> Vec<u8>;
    let cases: [(&str, Change); 7] = [
        ("unsigned messages of n1 (127.0.0.11): is its key in", |_, _| LITTLE.to_vec()),
        ("unsigned messages of n1 (127.0.0.11)", |_, node| {
            let mut bytes = node.next();
            bytes.truncate(bytes.len() - 35);
            bytes
        }),
        ("messages of n1 (127.0.0.11) with a wrong MAC", |_, node| {
            let mut bytes = node.next();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        }),
        // The key of n2, under the name of n1.
        ("messages of n1 (127.0.0.11) with a wrong MAC", |_, node| {
            node.said["node_name"] = json!("n2");
            let mut bytes = node.next();
            let place = bytes.windows(2).position(|two| two == b"n2").expect("its name");
            bytes[place + 1] = b'1';
            bytes
        }),
        ("cluster key 52dcccb8, which key_file does not have", |host, node| {
            node.key_file = host.key_file("other.key", &[OTHER]);
            node.said["key_id"] = json!(OTHER.0);
            node.next()
        }),
        ("signed as n2, and only what is signed as n1 counts", |_, node| {
            node.said["node_name"] = json!("n2");
            node.next()
        }),
        ("signed as n1.example.com", |_, node| {
            node.said["node_name"] = json!("n1.example.com");
            node.next()
        }),
    ];
    thread::scope(|scope| {
        for (said, change) in cases {
            scope.spawn(move || {
                let host = Host::new();
                let mut node = host.node(NODE);
                let bytes = change(&host, &mut node);
                for policy in ["signed", "live"] {
                    let agent = host.waiting(&format!("-t 3 --policy {policy}"));
                    while agent.is_running() {
                        node.send(&bytes);
                        thread::sleep(Duration::from_millis(100));
                    }
                    assert_refused(&agent.wait_for(LIMIT), said);
                }
                let mut bytes = [0; 100];
                node.socket.set_read_timeout(Some(Duration::from_millis(10))).expect("a time");
                assert!(node.socket.recv(&mut bytes).is_err(), "nothing is sent back: {said}");
            });
        }
    });
}

/// A message counts once: not for the next agent, from wherever it is sent again; nor does one that was
/// held back.
#[test]
fn no_message_counts_twice_nor_late() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let mut node = host.node(NODE);
    let first = node.next();
    let held_back = node.next();
    let agent = host.waiting("-t 15");
    node.send(&first);
    let _ = agent.wait_for(LIMIT).expect_success();
    for from in [NODE, "127.0.0.77"] {
        let again = host.waiting("-t 2");
        host.net.send(from, "127.0.0.1:7410", &first);
        let who = format!("message of n1 ({from}) that had been heard before");
        assert_refused(&again.wait_for(LIMIT), &who);
    }
    let late = host.waiting("-t 2");
    node.send(&held_back);
    assert_refused(&late.wait_for(LIMIT), "that had been under way for too long");
    // The node itself is still heard.
    let agent = host.waiting("-t 15");
    node.speak();
    let _ = agent.wait_for(LIMIT).expect_success();
    // And what was captured of it does not answer a challenge.
    let captured = node.next();
    let live = host.waiting("-t 2 --policy live");
    node.send(&captured);
    node.send(&first);
    assert_refused(&live.wait_for(LIMIT), "and no answer to a challenge");
}

/// A message from before the agent's start is no evidence that the node lives now, but it is asked at once.
#[test]
fn an_agent_that_comes_later_need_not_wait_for_the_next_message() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    // Somebody has read the port before; he knows nothing of n1.
    let reader = Run::new(programs::ours("fence_kdumpd")).arg("--state-dir");
    let reader = reader.arg(host.path("of_reader")).inside(&host.net).spawn();
    reader.wait_bound(PORT);
    let mut node = host.node("127.0.0.99");
    node.speak();
    thread::sleep(Duration::from_millis(500));
    let agent = host.agent("-t 15 --policy live").spawn();
    let nonce = node.challenged();
    assert!(agent.is_running(), "an old message");
    node.answer(&[nonce]);
    let output = agent.wait_for(LIMIT).expect_success();
    assert!(output.elapsed < Duration::from_secs(8), "{output}");
}

/// As Pacemaker asks: by standard input, and with the target's name in `port`.
#[test]
fn the_fencer_gives_keys_on_standard_input() {
    if !requires(&NEEDS) {
        return;
    }
    let host = Host::new();
    let ask = |lines: &str| {
        let (keys, state) = (host.path("cluster.key"), host.path("state"));
        let text = format!(
            "action=off\ntimeout=4\nkey_file={}\nstate_dir={}\n{lines}\n",
            keys.display(),
            state.display()
        );
        let agent = Run::new(programs::ours("fence_kdump")).stdin(text).inside(&host.net).spawn();
        agent.wait_bound(PORT);
        agent
    };
    let mut node = host.node("127.0.0.99");
    // A name that nobody can look up, as the only one, and as the target of a device for another node.
    for (lines, counts) in [
        ("nodename=n1", true),
        ("port=N1", true),
        ("nodename=other\nport=n1", true),
        ("nodename=n1\nport=other", false),
    ] {
        let agent = ask(lines);
        node.speak();
        let output = agent.wait_for(LIMIT);
        assert_eq!(output.code, Some(i32::from(!counts)), "{lines}: {output}");
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
