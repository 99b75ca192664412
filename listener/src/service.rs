//! What a service manager wants to hear, and the sockets that it gives (`sd_notify(3)`, `sd_listen_fds(3)`).
//!
//! Without a service manager all of this does nothing. Nothing here waits: a manager that does not listen misses
//! what it is told.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use listenfd::ListenFd;
use nix::time::{ClockId, clock_gettime};
use zeroize::Zeroizing;

use crate::custody;

/// A secret shows in its first so many bytes that it is one.
const SECRET: usize = 64 * 1024;

/// The service manager that started this process, if one did.
#[derive(Debug, Default)]
pub struct Manager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    #[must_use]
    pub fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name).ok());
        let watchdog = watchdog(
            env::var("WATCHDOG_USEC").ok().as_deref(),
            env::var("WATCHDOG_PID").ok().as_deref(),
        );
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The daemon hears now. `status` is one line for people.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\n{}", status_line(status)));
    }

    /// A new configuration is being read; [`Self::ready`] follows, whether it is taken or not.
    pub fn reloading(&self) {
        // By this clock, of all.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_nsec() / 1_000)
        });
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.say("STOPPING=1\n");
    }

    /// One line for people.
    pub fn status(&self, status: &str) {
        self.say(&status_line(status));
    }

    /// How often [`Self::alive`] has to be said: twice as often as the manager demands. `None`: never.
    #[must_use]
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2)
    }

    /// The daemon's loop goes round. To be said by the loop itself, and by nothing else.
    pub fn alive(&self) {
        self.say("WATCHDOG=1\n");
    }

    fn say(&self, words: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen is no reason to do anything else.
            drop(socket.send(words.as_bytes()));
        }
    }
}

fn status_line(status: &str) -> String {
    let line: String =
        status.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
    format!("STATUS={line}\n")
}

/// A socket to the manager, of which no use ever waits.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        // Not of this host.
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// After how long without a word the manager would end this process, if it is this one that it means.
fn watchdog(time: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let is_ours = process.is_none_or(|process| process.parse() == Ok(process::id()));
    let time = time?.parse().ok().filter(|&time: &u64| is_ours && time > 0)?;
    Some(Duration::from_micros(time))
}

/// Sockets that the service manager opened before this process was there, so that no datagram is lost while there is
/// none.
#[derive(Debug, Default)]
pub struct Given {
    /// Those for datagrams.
    pub datagrams: Vec<UdpSocket>,
    /// A directory in memory that outlives this process, but not the host (`RuntimeDirectory=`).
    pub runtime_dir: Option<PathBuf>,
    /// What cannot be used, and why, for people.
    pub remarks: Vec<String>,
}

/// Takes over the sockets that the service manager gave. To be called once, before there is any other thread: it
/// changes the environment.
#[must_use]
pub fn given() -> Given {
    let mut listening = ListenFd::from_env();
    // With several, the first is the service's own.
    let dirs = env::var_os("RUNTIME_DIRECTORY");
    let first = dirs.iter().flat_map(|dirs| env::split_paths(dirs)).next();
    let mut given = Given { runtime_dir: first, ..Given::default() };
    for number in 0..listening.len() {
        match listening.take_udp_socket(number) {
            Ok(Some(socket)) => given.datagrams.push(socket),
            Ok(None) => {}
            Err(error) => given.remarks.push(format!(
                "of the sockets given by the service manager, number {number} is not used: {error}; \
                 ListenDatagram= with a port is needed"
            )),
        }
    }
    given
}

/// Where a secret is to be read that is configured as `path`: where the service manager has put it for this
/// process alone (`LoadCredential=` in `systemd.exec(5)`, under the name of the file), if it has.
#[must_use]
pub fn credential(path: &Path) -> PathBuf {
    credential_in(env::var_os("CREDENTIALS_DIRECTORY").as_deref(), path)
}

fn credential_in(folder: Option<&OsStr>, path: &Path) -> PathBuf {
    let given = folder.zip(path.file_name()).map(|(folder, name)| Path::new(folder).join(name));
    given.filter(|given| says_something(given)).unwrap_or_else(|| path.to_owned())
}

/// Whether there is more in a file than comments. What has nothing else stands for a file that is not there:
/// `SetCredential=` makes it, so that the service starts all the same.
fn says_something(path: &Path) -> bool {
    let text = std::fs::File::open(path).and_then(|file| {
        let mut text = Zeroizing::new(Vec::with_capacity(SECRET));
        file.take(u64::try_from(SECRET).unwrap_or(u64::MAX)).read_to_end(&mut text)?;
        Ok(text)
    });
    text.is_ok_and(|text| {
        let mut lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        lines.any(|line| !line.is_empty() && !line.starts_with(b"#"))
    })
}

/// What others may do with a file of which the service manager made a credential for this process: systemd may
/// own it itself and let this process read it by an access control list, which shows as the permission of
/// its group to read (`acl(5)`, "correspondence between ACL entries and file permission bits").
/// For other files, nothing: [`custody::ANY`].
#[must_use]
pub fn forbidden(path: &Path) -> u32 {
    let folder = env::var_os("CREDENTIALS_DIRECTORY");
    forbidden_in(folder.as_deref(), path)
}

fn forbidden_in(folder: Option<&OsStr>, path: &Path) -> u32 {
    let is_given = folder.is_some_and(|folder| path.parent() == Some(Path::new(folder)));
    if is_given { custody::ANY & !0o040 } else { custody::ANY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(name: &OsStr) -> Manager {
        Manager { socket: connect(name).ok(), watchdog: None }
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_manager_hears_what_the_daemon_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("fence_kdumpd-test-{}", process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        let at_name = format!("@{abstract_name}");
        for (socket, name) in [(&by_path, path.as_os_str()), (&by_name, OsStr::new(&at_name))] {
            let manager = manager(name);
            manager.ready("7 nodes\nSTOPPING=1");
            assert_eq!(heard(socket), "READY=1\nSTATUS=7 nodes STOPPING=1\n");
            manager.reloading();
            assert!(heard(socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            manager.alive();
            assert_eq!(heard(socket), "WATCHDOG=1\n");
            manager.stopping();
            assert_eq!(heard(socket), "STOPPING=1\n");
        }
    }

    #[test]
    fn a_manager_that_does_not_listen_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = manager(path.as_os_str());
        for _ in 0..100_000 {
            manager.alive();
        }
        assert_eq!(heard(&socket), "WATCHDOG=1\n");
        drop(socket);
        manager.alive();
        for nowhere in ["", "relative", "/nonexistent/notify", "vsock:2:1"] {
            super::tests::manager(OsStr::new(nowhere)).alive();
        }
    }

    #[test]
    fn the_watchdog_is_for_one_process() {
        let own = process::id().to_string();
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None), second);
        assert_eq!(watchdog(Some("1000000"), Some(&own)), second);
        for (time, process) in
            [(None, None), (Some("0"), None), (Some("x"), None), (Some("1000000"), Some("1"))]
        {
            assert_eq!(watchdog(time, process), None);
        }
    }

    #[test]
    fn a_credential_takes_the_place_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let configured = Path::new("/etc/fence_kdump/cluster.key");
        let given = Some(folder.path().as_os_str());
        assert_eq!(credential_in(None, configured), configured);
        assert_eq!(credential_in(given, configured), configured);
        let path = folder.path().join("cluster.key");
        for nothing in ["", "# none", "\n  # none\n\n"] {
            std::fs::write(&path, nothing).unwrap();
            assert_eq!(credential_in(given, configured), configured, "{nothing:?}");
        }
        std::fs::write(&path, "# keys\nkey").unwrap();
        assert_eq!(credential_in(given, configured), path);
        assert_eq!(forbidden_in(given, &path), 0o037);
        assert_eq!(forbidden_in(given, configured), 0o077);
        assert_eq!(forbidden_in(None, &path), 0o077);
    }
}
