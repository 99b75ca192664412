//! A program that reads the port, seen from outside: what it costs, and what it loses.

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest that a program may take to begin, or to read its queue.
const PATIENCE: Duration = Duration::from_secs(60);

fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).expect("a processor");
    sched_setaffinity(Pid::from_raw(0), &set).expect("two processors");
}

/// This program stays on the first processor, so that what it measures is alone on the other one.
///
/// # Panics
/// When there is but one.
pub fn stay_on_own_processor() {
    stay_on(0);
}

/// What is started by `start` is on the second processor.
///
/// # Panics
/// When there is but one.
pub fn on_its_processor<T>(start: impl FnOnce() -> T) -> T {
    stay_on(1);
    let started = start();
    stay_on(0);
    started
}

/// A program that reads UDP port `port`.
pub struct Receiver {
    child: Child,
    port: u16,
    /// How long it took until it read the port.
    pub started_in: Duration,
}

/// What the kernel says of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How much is in it.
    pub bytes: u64,
    /// How many datagrams were thrown away.
    pub drops: u64,
}

impl Receiver {
    /// Starts `program` on one processor of its own, and waits until it has the port.
    pub fn start(program: &Path, args: &[&str], port: u16) -> Self {
        let mut command = crate::programs::command(program);
        command.args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("FENCE_KDUMP_BENCH_LOG").is_none() {
            command.stderr(Stdio::null());
        }
        let begin = Instant::now();
        let child = on_its_processor(|| command.spawn());
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut receiver = Self { child, port, started_in: Duration::ZERO };
        while receiver.queue().is_none() {
            let ended = receiver.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "{} {args:?} ended: {ended:?}", program.display());
            assert!(begin.elapsed() < PATIENCE, "{} does not listen", program.display());
            sleep(Duration::from_micros(100));
        }
        receiver.started_in = begin.elapsed();
        receiver
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process"))
    }

    fn file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What of its socket is in /proc/net/udp or udp6.
    pub fn queue(&self) -> Option<Queue> {
        let end = format!(":{:04X}", self.port);
        let line = ["/proc/net/udp6", "/proc/net/udp"].into_iter().find_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            let is_its = |line: &&str| {
                line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&end))
            };
            text.lines().find(is_its).map(str::to_owned)
        })?;
        let mut words = line.split_whitespace();
        let bytes = words.nth(4)?.split_once(':')?.1.to_owned();
        let drops = words.last()?.parse().ok()?;
        Some(Queue { bytes: u64::from_str_radix(&bytes, 16).ok()?, drops })
    }

    /// How many datagrams the kernel threw away.
    pub fn drops(&self) -> u64 {
        self.queue().expect("it listens").drops
    }

    fn threads_of(&self, name: &str) -> Vec<String> {
        let all = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let read = |entry: fs::DirEntry| fs::read_to_string(entry.path().join(name)).ok();
        all.flatten().filter_map(read).collect()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.threads_of("comm").len()
    }

    /// The time that all its threads have spent on a processor, in nanoseconds.
    pub fn cpu(&self) -> u64 {
        let first = |text: &String| text.split_whitespace().next()?.parse::<u64>().ok();
        self.threads_of("schedstat").iter().filter_map(first).sum()
    }

    /// How often its threads were woken up.
    pub fn wakeups(&self) -> u64 {
        let count = |text: &String| {
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line?.trim().parse::<u64>().ok()
        };
        self.threads_of("status").iter().filter_map(count).sum()
    }

    /// A line of /proc/PID/status, such as VmHWM, in KiB.
    pub fn kib(&self, what: &str) -> u64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {what}"))
    }

    /// Waits until its queue is empty.
    pub fn wait_drained(&self) {
        let begin = Instant::now();
        while self.queue().expect("it listens").bytes > 0 {
            assert!(begin.elapsed() < PATIENCE, "it does not read");
            sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("our own child")
    }

    /// Stops it while `meanwhile` is done, and then has it go on.
    pub fn stopped(&self, meanwhile: impl FnOnce()) {
        kill(self.pid(), Signal::SIGSTOP).expect("our own child");
        // With a small letter where somebody traces it.
        while !self.file("stat").contains(") T ") && !self.file("stat").contains(") t ") {
            sleep(Duration::from_millis(1));
        }
        meanwhile();
        kill(self.pid(), Signal::SIGCONT).expect("our own child");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
