//! Who is compared.

use std::io::Write as _;
use std::path::Path;

use fence_kdump_benches::cost::{LARGE, Peer, SMALL};
use fence_kdump_benches::files::Files;
use fence_kdump_benches::receiver::Receiver;
use fence_kdump_benches::sys::Sender;
use fence_kdump_benches::traffic::{self, Signers};
use fence_kdump_benches::{bare, programs};
use tempfile::NamedTempFile;

use crate::NODES;

/// The node of an agent; none of those that send what is measured.
pub(crate) const NOBODY: &str = "127.255.0.1";

/// A receiver, and what goes with it.
pub(crate) struct Contender {
    /// Its row in the tables.
    pub(crate) row: &'static str,
    pub(crate) peer: Peer,
    /// The one that gets signed messages, if that is another one.
    pub(crate) signed: Option<Peer>,
    /// It ends with the first message of its node, so it only hears of others.
    pub(crate) is_agent: bool,
    /// Go with this.
    _files: Vec<Files>,
    _list: Option<NamedTempFile>,
}

fn peer(name: &'static str, receiver: Receiver, port: u16, most: u32) -> Peer {
    Peer { name, receiver, sender: Sender::to(port), most }
}

fn contender(row: &'static str, peer: Peer) -> Contender {
    Contender { row, peer, signed: None, is_agent: false, _files: Vec::new(), _list: None }
}

/// An agent that waits for [`NOBODY`].
pub(crate) fn agent(program: &Path, port: u16) -> Receiver {
    let arguments = ["-n", NOBODY, "-p", &port.to_string(), "-t", "86400"];
    Receiver::start(program, &arguments, port)
}

/// The listener in Python, and the list of its nodes.
pub(crate) fn python(port: u16) -> (Receiver, NamedTempFile) {
    let mut list = NamedTempFile::new().expect("a temporary file");
    for node in 0..NODES {
        writeln!(list, "{} {}", traffic::name(node), traffic::address(node)).expect("our own file");
    }
    // Not a wrapper that looks for an interpreter first.
    let system = Path::new("/usr/bin/python3");
    let program = if system.exists() { system } else { Path::new("python3") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/listener.py");
    let path = list.path().to_str().expect("a plain name");
    let receiver = Receiver::start(program, &[script, &port.to_string(), path], port);
    (receiver, list)
}

/// All of them, running. The first is the one that the others are compared with.
pub(crate) fn all() -> Vec<Contender> {
    let ports: [u16; 6] = std::array::from_fn(|at| 17_500 + at as u16);
    let [nothing, plain, signed, ours, stock, listener] = ports;
    let daemon = programs::ours("fence_kdumpd");
    let files = vec![
        Files::new(NODES, plain, None),
        Files::new(NODES, signed, Some(&Signers::new(0).key_line())),
    ];
    let start = |files: &Files, port| Receiver::start(&daemon, &files.arguments(), port);
    let mut all = vec![
        contender("bare", peer("bare", bare::start(nothing), nothing, LARGE)),
        Contender {
            signed: Some(peer("signed", start(&files[1], signed), signed, LARGE)),
            ..contender("daemon", peer("daemon", start(&files[0], plain), plain, LARGE))
        },
    ];
    all[1]._files = files;
    let agents = [
        ("agent", Some(programs::ours("fence_kdump")), ours),
        ("stock", programs::stock_agent().map(Path::to_path_buf), stock),
    ];
    for (row, program, port) in agents {
        match program {
            Some(program) => all.push(Contender {
                is_agent: true,
                ..contender(row, peer(row, agent(&program, port), port, SMALL))
            }),
            None => println!("SKIPPED: the {row} agent, which is not installed"),
        }
    }
    let (receiver, list) = python(listener);
    all.push(Contender {
        _list: Some(list),
        ..contender("python", peer("python", receiver, listener, SMALL))
    });
    all
}
