//! How soon senders have sent.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fence_kdump_benches::receiver::on_its_processor;
use fence_kdump_benches::{programs, traffic};
use tempfile::NamedTempFile;

use crate::{calls, note};

const PORT: u16 = 17_530;

/// From the start of a sender until its message is here, in ms.
fn on_the_wire(socket: &UdpSocket, program: &Path, args: &[&str]) -> f64 {
    let mut command = programs::command(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let mut child = on_its_processor(|| command.spawn()).expect("a sender");
    let length = socket.recv(&mut [0; 600]);
    let time = begin.elapsed();
    assert!(length.is_ok(), "{}: {length:?}", program.display());
    // With a key it goes on for a while, to answer whoever asks.
    let _ = child.kill();
    child.wait().expect("our own child");
    time.as_secs_f64() * 1e3
}

pub(crate) fn measure(rounds: u64) {
    let mut key = NamedTempFile::new().expect("a temporary file");
    key.write_all(traffic::node_key_line().as_bytes()).expect("our own file");
    let path = key.path().to_str().expect("a plain name");
    let port = PORT.to_string();
    let plain = ["-c1", "-p", &port, "127.0.0.1"];
    let signed = ["-c1", "-p", &port, "-k", path, "127.0.0.1"];
    let (whole, udp) = (programs::ours("fence_kdump_send"), programs::ours("udp/fence_kdump_send"));
    let mut all: Vec<(&str, PathBuf, &[&str])> = vec![
        ("whole", whole.clone(), &plain),
        ("whole-key", whole, &signed),
        ("udp", udp.clone(), &plain),
        ("udp-key", udp, &signed),
    ];
    if let Some(stock) = programs::stock_sender() {
        all.push(("stock", stock.to_path_buf(), &plain));
    }
    let socket = UdpSocket::bind(("127.0.0.1", PORT)).expect("a port of our own");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
    let mut times = vec![Vec::new(); all.len()];
    for _ in 0..rounds {
        for ((_, program, args), times) in all.iter().zip(&mut times) {
            times.push(on_the_wire(&socket, program, args));
        }
    }
    for ((row, program, args), times) in all.iter().zip(&times) {
        note(row, "on the wire", times);
        note(row, "sender calls run", &[calls::whole_run(program, args) as f64]);
    }
}
