//! A socket that the service manager keeps while the daemon is started anew.
//!
//! What came meanwhile lies in its queue, with the kernel's stamps, and must be dated: so each run writes down when it
//! last saw the queue empty and how the clocks stood then, in the service's runtime directory, where no disk
//! holds it up. Without such a note, as at the first start after a boot, nobody knows how old a datagram is; then
//! what came before is thrown away, and told.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use fence_kdump_core::Instant;

use crate::clock::{self, Reading};
use crate::config::Config;
use crate::control::holder::Inherited;
use crate::line::Line;
use crate::service::Given;
use crate::store;
use crate::voice::{Voice, Weight};

/// The name of the note in the runtime directory.
const NAME: &str = "queue";

/// No note is longer, in bytes.
const LONGEST: usize = 256;

/// The most datagrams that are thrown away before one that comes now is believed to be new.
const MOST: u32 = 1_000_000;

/// What is written down of the queue.
#[derive(Debug, Default)]
pub(super) struct Note {
    file: Option<File>,
    clock: String,
}

impl Note {
    /// In the directory `dir`, which has to be in memory; `None`: nothing is written down.
    pub(super) fn open(dir: Option<&Path>) -> io::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        let clock = store::clock_name().map_err(io::Error::other)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(NAME))?;
        Ok(Self { file: Some(file), clock })
    }

    /// The queue was last empty at `emptied`, when the clocks stood so.
    pub(super) fn write(&self, emptied: Instant, offset: i64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = format!("{}\n{} {offset}\n", self.clock, emptied.as_nanos());
        let mut note = [b'\n'; LONGEST];
        let room = note.get_mut(..text.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        room.copy_from_slice(text.as_bytes());
        file.write_all_at(&note, 0)
    }

    /// What an earlier run wrote, by the clock of this one.
    fn read(&self) -> Option<(Instant, i64)> {
        let mut note = [0; LONGEST];
        self.file.as_ref()?.read_exact_at(&mut note, 0).ok()?;
        let text = std::str::from_utf8(&note).ok()?;
        let (clock, rest) = text.split_once('\n')?;
        let (emptied, offset) = rest.trim().split_once(' ')?;
        let emptied = Instant::from_nanos(emptied.parse().ok()?);
        let is_past = clock == self.clock && emptied <= clock::now();
        is_past.then_some((emptied, offset.parse().ok()?))
    }

    /// The socket with what is known of its queue, and how many datagrams of unknown age were thrown away.
    ///
    /// # Errors
    /// When the socket cannot be read.
    pub(super) fn inherit(&self, socket: UdpSocket) -> io::Result<(Inherited, u32)> {
        socket.set_nonblocking(true)?;
        let known = self.read();
        let reading = Reading::take();
        let mut lost = 0_u32;
        if known.is_none() {
            // More than the queue can hold would come too fast to be read.
            while lost < MOST && socket.recv(&mut [0; 1]).is_ok() {
                lost = lost.saturating_add(1);
            }
        }
        let (emptied, offset) = known.unwrap_or((reading.now, reading.offset));
        let then = Reading { now: emptied, offset };
        let inherited = Inherited { fd: OwnedFd::from(socket), emptied, then, served: 0 };
        Ok((inherited, lost))
    }
}

/// The line, from a socket that the service manager gave if it gave one, and where its queue is noted.
pub(super) fn open(config: &mut Config, given: Given, voice: &Voice) -> (Line, Note) {
    let Given { datagrams, runtime_dir, remarks } = given;
    for remark in remarks {
        voice.say(Weight::Warning, remark);
    }
    let trouble = |error: io::Error| {
        voice.say(Weight::Error, format!("the socket of the service manager: {error}"));
    };
    let dir = runtime_dir.filter(|_| !datagrams.is_empty());
    let note = Note::open(dir.as_deref()).map_err(trouble).unwrap_or_default();
    let mut sockets = datagrams.into_iter();
    let inherited = sockets.next().and_then(|socket| {
        let port = socket.local_addr().map_err(trouble).ok()?.port();
        let (inherited, lost) = note.inherit(socket).map_err(trouble).ok()?;
        if lost > 0 {
            let line =
                format!("{lost} datagrams from before the start are of unknown age: thrown away");
            voice.say(Weight::Warning, line);
        }
        config.port = port;
        Some(inherited)
    });
    if sockets.next().is_some() {
        let line = "the service manager gave several sockets: only the first is read";
        voice.say(Weight::Warning, line);
    }
    // Who wants to hear of each datagram wants to hear also of those that are none of ours.
    let line = Line::to_everything(config.port, voice.verbose() == 0);
    match inherited {
        Some(inherited) => (line.with_socket(inherited), note),
        None => (line, note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (UdpSocket, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(socket.local_addr().unwrap()).unwrap();
        (socket, sender)
    }

    fn is_empty(inherited: &Inherited) -> bool {
        let socket = UdpSocket::from(inherited.fd.try_clone().unwrap());
        socket.recv(&mut [0; 8]).is_err()
    }

    #[test]
    fn what_lies_in_the_queue_is_kept_when_it_can_be_dated() {
        let dir = tempfile::tempdir().unwrap();
        let before = Note::open(Some(dir.path())).unwrap();
        let reading = Reading::take();
        before.write(reading.now, reading.offset).unwrap();
        let (socket, sender) = socket();
        sender.send(b"message").unwrap();
        let note = Note::open(Some(dir.path())).unwrap();
        let (inherited, lost) = note.inherit(socket).unwrap();
        assert_eq!((inherited.emptied, inherited.then, lost), (reading.now, reading, 0));
        assert!(!is_empty(&inherited));
    }

    #[test]
    fn what_cannot_be_dated_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let future = clock::now().saturating_add(std::time::Duration::from_secs(3600));
        for spoil in [
            |_: &Note, _: &Path| {},
            |_: &Note, path: &Path| std::fs::write(path, [b'x'; LONGEST]).unwrap(),
            |note: &Note, _: &Path| {
                note.write(Reading::take().now, 5).unwrap();
                note.file.as_ref().unwrap().write_all_at(b"another clock", 0).unwrap();
            },
        ] {
            let note = Note::open(Some(dir.path())).unwrap();
            spoil(&note, &dir.path().join(NAME));
            let (socket, sender) = socket();
            sender.send(b"1").unwrap();
            sender.send(b"2").unwrap();
            let (inherited, lost) = note.inherit(socket).unwrap();
            assert_eq!(lost, 2);
            assert!(is_empty(&inherited));
        }
        let note = Note::open(Some(dir.path())).unwrap();
        note.write(future, 0).unwrap();
        assert_eq!(note.read(), None, "nothing was empty in the future");
        assert!(Note::open(None).unwrap().write(future, 0).is_ok());
    }
}
