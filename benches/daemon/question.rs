//! How soon the daemon answers whoever asks about a node while datagrams come in.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};

/// The longest that is waited for an answer.
const PATIENCE: i64 = 5;

/// Asks the daemon of `port` about the node at `address`, as the agent does: the time from before the
/// connection to the first message of that node.
pub(crate) fn ask(port: u16, address: Ipv4Addr) -> io::Result<Duration> {
    let begin = Instant::now();
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
    let name = format!("fence_kdump/{port}");
    connect(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    let say = |what: Value| send(fd.as_raw_fd(), what.to_string().as_bytes(), MsgFlags::empty());
    say(json!({ "type": "hello" }))?;
    say(json!({ "type": "ask", "addresses": [address.to_string()] }))?;
    let mut room = vec![0; 16 * 1024];
    loop {
        let length = recv(fd.as_raw_fd(), &mut room, MsgFlags::empty())?;
        let packet: Value = serde_json::from_slice(&room[..length]).map_err(io::Error::other)?;
        if packet["type"] == "heard" {
            return Ok(begin.elapsed());
        }
    }
}

/// The longest of the shortest `part` of `times`.
pub(crate) fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
