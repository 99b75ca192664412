//! A running program that cannot outlive its test.

use crate::output::Output;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};
use tempfile::NamedTempFile;

/// More than this of a program's output is read but not kept.
const KEPT: usize = 8 << 20;

/// How long a pipe may stay open behind a program that has ended (a grandchild may hold it).
const PIPE_GRACE: Duration = Duration::from_millis(300);

/// How long [`Proc::wait_bound`] and its kin wait before they fail the test.
const READY: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Heard {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    open_pipes: usize,
    ended: Option<Instant>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no reader panics while it holds the lock")
    }

    /// Waits until `done`, at most until `deadline`; the guard, and whether it came to that.
    fn until(
        &self,
        deadline: Instant,
        mut done: impl FnMut(&Heard) -> bool,
    ) -> (MutexGuard<'_, Heard>, bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let (heard, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), left, |heard| !done(heard))
            .expect("no reader panics while it holds the lock");
        (heard, !timeout.timed_out())
    }
}

/// A running program: the head of its own process group, which is killed when this is dropped.
///
/// Start one with [`crate::Run`].
pub struct Proc {
    child: Child,
    pid: Pid,
    line: String,
    started: Instant,
    shared: Arc<Shared>,
    stdin: Option<ChildStdin>,
    reaped: bool,
    /// What it may still read while it runs.
    files: Vec<NamedTempFile>,
}

impl Proc {
    /// Starts `command`; `stdin` is written by a thread and closed, or left open when `None`.
    pub(crate) fn start(mut command: Command, line: String, stdin: Option<Vec<u8>>) -> Self {
        use std::os::unix::process::CommandExt as _;
        let started = Instant::now();
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: cannot be started: {error}"));
        let pid = Pid::from_child(&child);
        let shared = Arc::new(Shared::default());
        shared.lock().open_pipes = 2;
        read_all(child.stdout.take().expect("piped"), &shared, |heard| &mut heard.stdout);
        read_all(child.stderr.take().expect("piped"), &shared, |heard| &mut heard.stderr);
        watch(pid, &shared);
        let mut pipe = child.stdin.take();
        if let Some(text) = stdin {
            let mut pipe = pipe.take().expect("piped");
            // A program that does not read all its input is its own affair.
            thread::spawn(move || drop(pipe.write_all(&text)));
        }
        Self { child, pid, line, started, shared, stdin: pipe, reaped: false, files: Vec::new() }
    }

    pub(crate) fn keeping(mut self, files: Vec<NamedTempFile>) -> Self {
        self.files = files;
        self
    }

    /// The process id, which is the program's own also when it was wrapped in a namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Time since just before the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.lock().ended.is_none()
    }

    /// What it has written to its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().stdout).into_owned()
    }

    /// What it has written to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.shared.lock().stderr).into_owned()
    }

    /// Sends `signal` to the program alone (not to its group); nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        // Not reaped yet, so the id is still its own.
        let _ = kill_process(self.pid, signal);
    }

    /// Writes to its standard input, which [`crate::Run::open_stdin`] left open.
    ///
    /// # Errors
    /// When the program closed its end.
    ///
    /// # Panics
    /// When the input was given before the start.
    pub fn write_stdin(&mut self, text: &[u8]) -> io::Result<()> {
        let pipe = self.stdin.as_mut().expect("started with Run::open_stdin");
        pipe.write_all(text).and_then(|()| pipe.flush())
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until a whole line on stderr contains `part`, and returns that line.
    ///
    /// # Panics
    /// When no such line came within `limit`.
    #[track_caller]
    pub fn wait_stderr_line(&self, part: &str, limit: Duration) -> String {
        self.wait_line(part, limit, |heard| &heard.stderr)
    }

    /// Waits until a whole line on stdout contains `part`, and returns that line.
    ///
    /// # Panics
    /// When no such line came within `limit`.
    #[track_caller]
    pub fn wait_stdout_line(&self, part: &str, limit: Duration) -> String {
        self.wait_line(part, limit, |heard| &heard.stdout)
    }

    #[track_caller]
    fn wait_line(&self, part: &str, limit: Duration, of: fn(&Heard) -> &Vec<u8>) -> String {
        let find = |heard: &Heard| {
            let text = String::from_utf8_lossy(of(heard)).into_owned();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole.lines().find(|line| line.contains(part)).map(str::to_owned)
        };
        let over = |heard: &Heard| heard.ended.is_some() && heard.open_pipes == 0;
        let (heard, _) =
            self.shared.until(Instant::now() + limit, |heard| find(heard).is_some() || over(heard));
        let line = find(&heard);
        drop(heard);
        line.unwrap_or_else(|| panic!("no line with {part:?} within {limit:?}: {}", self.so_far()))
    }

    /// Waits until a UDP socket is bound to `port` in the program's network namespace.
    ///
    /// That is when a listener can hear. It does not say *whose* socket it is.
    ///
    /// # Panics
    /// When none is after 20 s, or the program ended first.
    #[track_caller]
    pub fn wait_bound(&self, port: u16) {
        let bound = || udp_ports(&format!("/proc/{}/net", self.pid())).contains(&port);
        let deadline = Instant::now() + READY;
        // The kernel tells nobody when a port is bound, so this one wait has to look.
        while !bound() {
            let late = Instant::now() > deadline;
            assert!(!late && self.is_running(), "port {port} never bound: {}", self.so_far());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until this very process has a socket that is bound to UDP port `port`, its own or one that it was given.
    ///
    /// # Panics
    /// When it has none after 20 s, or ended first.
    #[track_caller]
    pub fn wait_holds(&self, port: u16) {
        let holds = || {
            let sockets = udp_sockets(&format!("/proc/{}/net", self.pid()));
            let its = fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten();
            let links: Vec<_> =
                its.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
            let is_its = |inode: &str| {
                links.iter().any(|link| link.as_os_str() == &*format!("socket:[{inode}]"))
            };
            sockets.iter().any(|(bound, inode)| *bound == port && is_its(inode))
        };
        let deadline = Instant::now() + READY;
        // Nobody is told when a process gets a descriptor.
        while !holds() {
            let late = Instant::now() > deadline;
            assert!(!late && self.is_running(), "port {port} never had: {}", self.so_far());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end; the time limit is the test's, not the program's.
    ///
    /// # Panics
    /// When it still runs after `limit`; it is killed, and the panic shows what it wrote.
    #[track_caller]
    #[must_use]
    pub fn wait_for(mut self, limit: Duration) -> Output {
        let (heard, in_time) =
            self.shared.until(Instant::now() + limit, |heard| heard.ended.is_some());
        let ended = heard.ended;
        drop(heard);
        if !in_time {
            let _ = kill_process_group(self.pid, Signal::KILL);
            panic!("still running after the test's limit of {limit:?}: {}", self.so_far());
        }
        let status = self.child.wait().expect("the child is ours and not reaped");
        self.reaped = true;
        drop(self.shared.until(Instant::now() + PIPE_GRACE, |heard| heard.open_pipes == 0));
        let elapsed = ended.map_or_else(|| self.elapsed(), |ended| ended - self.started);
        Output::new(self.line.clone(), status, self.stdout(), self.stderr(), elapsed)
    }

    /// Kills the whole group and waits: for programs that never end by themselves.
    #[must_use]
    pub fn kill(self) -> Output {
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.wait_for(Duration::from_secs(10))
    }

    fn so_far(&self) -> String {
        // What an ended program wrote last may still be in the pipe.
        let patience = Instant::now() + PIPE_GRACE;
        drop(self.shared.until(patience, |heard| heard.open_pipes == 0));
        format!("{}\n  stdout: {}\n  stderr: {}", self.line, self.stdout(), self.stderr())
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The ports that UDP sockets are bound to, from the tables in a `net` folder under `/proc`.
pub(crate) fn udp_ports(folder: &str) -> Vec<u16> {
    udp_sockets(folder).into_iter().map(|(port, _)| port).collect()
}

/// The same, each with the number of the socket.
fn udp_sockets(folder: &str) -> Vec<(u16, String)> {
    let tables = ["udp", "udp6"].map(|table| fs::read_to_string(format!("{folder}/{table}")));
    let rows = tables.iter().flatten().flat_map(|table| table.lines());
    let sockets = rows.filter_map(|row| {
        let mut words = row.split_whitespace();
        let (_, port) = words.nth(1)?.rsplit_once(':')?;
        Some((u16::from_str_radix(port, 16).ok()?, words.nth(7)?.to_owned()))
    });
    sockets.collect()
}

/// Reads one pipe to its end, keeping at most [`KEPT`] bytes.
fn read_all(
    mut pipe: impl Read + Send + 'static,
    shared: &Arc<Shared>,
    into: fn(&mut Heard) -> &mut Vec<u8>,
) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        loop {
            let read = match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut heard = shared.lock();
            let kept = into(&mut heard);
            let room = KEPT.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(&buffer[..room]);
            shared.changed.notify_all();
        }
        shared.lock().open_pipes -= 1;
        shared.changed.notify_all();
    });
}

/// Notes the moment of the end without reaping, so that the id stays the program's own.
fn watch(pid: Pid, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == Errno::INTR) {}
        shared.lock().ended = Some(Instant::now());
        shared.changed.notify_all();
    });
}
