//! The sender with a key: what it signs, for whom, whom it answers, and what it does without the key.

#[path = "sender_signed/challenges.rs"]
mod challenges;
#[path = "sender_signed/key_files.rs"]
mod key_files;
#[path = "sender_signed/messages.rs"]
mod messages;

use fence_kdump_tests::signed::{NodeKey, Signed};
use fence_kdump_tests::{Need, Netns, Run, programs};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];
const LIMIT: Duration = Duration::from_secs(20);

/// A folder for a key file.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// With the key file of `n1`.
    fn with(key: &NodeKey) -> Self {
        let folder = Self::new();
        folder.write(&key.line("n1"), 0o600);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("node.key")
    }

    /// Writes the key file, in one step as far as others can see.
    fn write(&self, text: &str, mode: u32) {
        let new = self.0.path().join("new");
        std::fs::write(&new, text).expect("our own folder");
        std::fs::set_permissions(&new, PermissionsExt::from_mode(mode)).expect("our own file");
        std::fs::rename(&new, self.file()).expect("our own folder");
    }

    /// The sender with this key file.
    fn sender<'net>(&self, net: &'net Netns, args: &[&str]) -> Run<'net> {
        let program = programs::ours("fence_kdump_send");
        Run::new(program).arg("-k").arg(self.file()).args(args).inside(net)
    }
}

/// The next datagram within `limit`, and where it came from.
fn next(socket: &UdpSocket, limit: Duration) -> Option<(Vec<u8>, std::net::SocketAddr)> {
    socket.set_read_timeout(Some(limit)).expect("a valid time");
    let mut buffer = [0; 1024];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    Some((buffer[..length].to_vec(), from))
}

/// The next datagram, which has to be a message signed with `key`.
#[track_caller]
fn signed(socket: &UdpSocket, key: &NodeKey) -> (Signed, std::net::SocketAddr) {
    let (bytes, from) = next(socket, LIMIT).expect("a message");
    let message = Signed::read(&bytes);
    assert!(message.is_by(key), "{message:?}");
    (message, from)
}

/// Everything that comes within `limit`.
fn all(socket: &UdpSocket, limit: Duration) -> Vec<Vec<u8>> {
    let start = Instant::now();
    let mut heard = Vec::new();
    while let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        heard.extend(next(socket, left).map(|(bytes, _)| bytes));
    }
    heard
}
