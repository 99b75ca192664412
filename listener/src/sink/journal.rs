//! To the journal of systemd, field by field: one datagram an event, as
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/> has it.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::sleep;

use super::config::JournalConfig;
use super::fields;
use super::pace::Pace;
use super::queue::{Queue, Taken};
use crate::fleet::event::{Event, Kind, phase_name};
use crate::voice::Weight;

/// How many events are taken at once.
const AT_ONCE: usize = 32;

/// Whether there is a journal: its socket is there.
pub(super) fn is_there(socket: &Path) -> bool {
    std::fs::metadata(socket).is_ok_and(|file| file.file_type().is_socket())
}

/// Writes the events of `queue` to the journal.
pub(super) async fn work(config: JournalConfig, queue: Arc<Queue>) {
    let mut journal: Option<UnixDatagram> = None;
    let mut pace = Pace::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let taken = queue.take(AT_ONCE, AT_ONCE, |_| true).await;
        if taken.is_empty() {
            return;
        }
        for taken in taken {
            write(&config, taken, &mut journal, &mut pace).await;
        }
    }
}

/// Writes one event, whenever there is a journal again.
async fn write(
    config: &JournalConfig,
    taken: Taken,
    journal: &mut Option<UnixDatagram>,
    pace: &mut Pace,
) {
    let entry = entry(taken.event());
    loop {
        let open = match journal.take() {
            Some(open) => Ok(open),
            None => connect(&config.socket),
        };
        let sent = match open {
            // Waits for as long as the journal reads nothing, and holds up nobody else.
            Ok(open) => match open.send(&entry).await {
                Ok(_) => {
                    *journal = Some(open);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => {
                if pace.failures() > 1 {
                    taken.queue().complain(Weight::Info, "there is a journal again");
                }
                pace.reset();
                taken.delivered();
                return;
            }
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => {
                taken.failed(&error.to_string());
                return;
            }
            Err(error) => {
                let why = format!("{}: {error}", config.socket.display());
                taken.queue().trouble(&why);
                let pause = pace.pause();
                // The first failure is how a journal that was restarted shows itself.
                if pace.failures() == 2 {
                    taken.queue().complain(Weight::Warning, &why);
                }
                sleep(pause).await;
            }
        }
    }
}

fn connect(socket: &Path) -> io::Result<UnixDatagram> {
    let open = UnixDatagram::unbound()?;
    open.connect(socket)?;
    Ok(open)
}

/// The journal entry of `event`.
fn entry(event: &Event) -> Vec<u8> {
    let mut entry = Vec::new();
    add(&mut entry, "MESSAGE", &message(event));
    add(&mut entry, "MESSAGE_ID", message_id(event.kind));
    add(&mut entry, "PRIORITY", &priority(event.kind).to_string());
    add(&mut entry, "SYSLOG_FACILITY", "3");
    add(&mut entry, "SYSLOG_IDENTIFIER", "fence_kdumpd");
    for (name, value) in fields::of(event) {
        add(&mut entry, &name, &value);
    }
    entry
}

/// Adds one field. A value with a line end needs its length before it.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        entry.extend(length.to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.as_bytes());
    entry.push(b'\n');
}

/// What people read.
fn message(event: &Event) -> String {
    let node = event.node.replace(char::is_control, " ");
    let what = match event.kind {
        Kind::Started => "is in its crash kernel",
        Kind::Dumping => "writes its dump",
        Kind::Phase => "does something else now",
        Kind::Finished => "has finished its dump",
        Kind::Lost => "fell silent before its dump was done",
        Kind::Rebooted => "has left its crash kernel",
    };
    let mut message = format!("{node} {what}");
    let phase = event.phase.and_then(phase_name).filter(|_| event.kind == Kind::Phase);
    if let Some(phase) = phase {
        message = format!("{node}: {phase}");
    }
    if let (Some(done), Some(total)) = (event.done, event.total) {
        message.push_str(&format!(", {done} of {total} bytes"));
    }
    if let Some(from) = event.from {
        message.push_str(&format!(" ({from})"));
    }
    message
}

/// As `syslog(3)` numbers them: a node that crashed, or whose dump is lost, wants a person.
fn priority(kind: Kind) -> u8 {
    match kind {
        Kind::Started | Kind::Lost => 4,
        Kind::Finished | Kind::Rebooted => 5,
        Kind::Dumping | Kind::Phase => 6,
    }
}

/// Names each kind for good, so that people and catalogs find it: `journalctl MESSAGE_ID=...`.
fn message_id(kind: Kind) -> &'static str {
    match kind {
        Kind::Started => "4c4aff9368804c2c9fa5cb172dd61204",
        Kind::Dumping => "e670639323364f91b7d237edbab1f421",
        Kind::Phase => "caa34636f9404f7e84acc226428f4d34",
        Kind::Finished => "84a23c651c5742eabb519f35a4c84e24",
        Kind::Lost => "5ed512516623468590d063fc982345ec",
        Kind::Rebooted => "3c1a79c2b0eb42bd94cc2ce6c6bb1ba0",
    }
}

#[cfg(test)]
mod tests;
