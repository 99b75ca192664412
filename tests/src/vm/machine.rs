use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Assets, Datagram, Image, datagrams};
use crate::Netns;

/// Memory set aside for the crash kernel. Below 75M the cloud kernel does not come up here.
const CRASHKERNEL: &str = "96M";
/// Longest wait for a line of the console. A whole crash takes about 10 s where nothing else runs, with a whole
/// Debian in the crash kernel a minute.
const STEP: Duration = Duration::from_secs(240);
/// Processor time, in seconds, after which the kernel ends a machine.
const LIFE: u32 = 900;
/// Lines of the serial console shown when a test fails.
const TAIL: usize = 60;

/// What a machine is started with.
#[derive(Debug, Clone)]
pub struct Hardware<'a> {
    /// Its kernel.
    pub kernel: PathBuf,
    /// The initramfs of that kernel.
    pub initrd: PathBuf,
    /// Memory, in MiB.
    pub memory: u32,
    /// Memory set aside for the crash kernel, as `crashkernel=` has it.
    pub crashkernel: &'a str,
    /// More words for the kernel's command line.
    pub append: &'a str,
    /// A disk, which it can write to.
    pub disk: Option<PathBuf>,
}

/// A virtual machine under qemu, with every line of its serial console and the time it came.
/// It ends with this value.
#[derive(Debug)]
pub struct Machine {
    name: String,
    qemu: Child,
    console: ChildStdin,
    lines: Receiver<(Instant, String)>,
    recent: VecDeque<String>,
    log: PathBuf,
    capture: PathBuf,
}

/// When the steps of a crash were seen on the console.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// The production kernel's last words.
    pub panic: Instant,
    /// The crash kernel's first words.
    pub kernel: Instant,
    /// Its `/init` runs.
    pub init: Instant,
    /// The sender is about to be executed; in an image without one, where it would have been.
    pub sender: Instant,
}

impl Machine {
    /// Starts a machine with `image`. Its console is copied to `NAME.log` and all that its network
    /// card saw to `NAME.pcap` in [`super::directory`].
    ///
    /// # Errors
    /// When qemu cannot be started or the log not be written.
    pub fn boot(net: &Netns, name: &str, assets: &Assets, image: &Image) -> io::Result<Self> {
        let hardware = Hardware {
            kernel: assets.kernel(),
            initrd: image.path().to_owned(),
            memory: 512,
            crashkernel: CRASHKERNEL,
            append: "",
            disk: None,
        };
        Self::start(net, name, &hardware)
    }

    /// Starts a machine with any image. See [`Self::boot`].
    ///
    /// # Errors
    /// When qemu cannot be started or the log not be written.
    pub fn start(net: &Netns, name: &str, hardware: &Hardware<'_>) -> io::Result<Self> {
        let log = super::directory().join(format!("{name}.log"));
        let capture = super::directory().join(format!("{name}.pcap"));
        // Each of these becomes the next, so that the process id is qemu's own. Should this test be
        // killed, or everything else fail, the kernel ends it.
        let mut qemu = Command::new("nsenter")
            .arg(format!("--net={}", net.path()))
            .args(["setpriv", "--pdeathsig", "KILL"])
            .arg("prlimit")
            .arg(format!("--cpu={}", LIFE))
            .arg("qemu-system-x86_64")
            // As a server, it has PCI Express, and a table that says which interrupt is whose. qemu's older
            // machine has a program for that, which the kernel interprets for longer than all the rest takes
            // from its first process to the first message.
            .args("-machine q35 -accel tcg -smp 1 -nodefaults -display none".split(' '))
            .args(["-m", &hardware.memory.to_string()])
            .args("-serial stdio -no-reboot".split(' '))
            .args(
                "-netdev user,id=n0,ipv6=off -device virtio-net-pci,netdev=n0,romfile=".split(' '),
            )
            .args(["-object".to_owned(), dump_to(&capture)])
            .arg("-kernel")
            .arg(&hardware.kernel)
            .arg("-initrd")
            .arg(&hardware.initrd)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=1 crashkernel={} {}",
                hardware.crashkernel, hardware.append
            ))
            .args(hardware.disk.iter().flat_map(|disk| {
                let drive = format!("file={},if=virtio,format=raw", disk.display());
                ["-drive".to_owned(), drive]
            }))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let console = qemu.stdin.take().expect("a pipe");
        let serial = qemu.stdout.take().expect("a pipe");
        let (to, lines) = channel();
        let copy = File::create(&log)?;
        thread::spawn(move || follow(serial, copy, &to));
        Ok(Self {
            name: name.to_owned(),
            qemu,
            console,
            lines,
            recent: VecDeque::with_capacity(TAIL),
            log,
            capture,
        })
    }

    /// Waits for a console line with `words` and returns it with the time it came. Lines that
    /// were waited for, or passed over, are gone.
    ///
    /// # Panics
    /// When the machine ends, or four minutes pass, before the line comes.
    pub fn wait_for(&mut self, words: &str) -> (Instant, String) {
        let deadline = Instant::now() + STEP;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((at, line)) => {
                    self.keep(line.clone());
                    if line.contains(words) {
                        return (at, line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: no '{words}' on the console within {STEP:?}", self.name)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{}: the machine ended before it said '{words}'", self.name)
                }
            }
        }
    }

    /// Waits until the production kernel runs and has its crash kernel loaded.
    ///
    /// # Panics
    /// As [`Self::wait_for`]; and when the crash kernel is not loaded.
    pub fn wait_until_up(&mut self) {
        let (_, line) = self.wait_for("vm: production kernel is up");
        assert!(line.contains("crash kernel loaded: 1"), "kexec -p had no effect: {line}");
    }

    /// Makes the production kernel panic and follows it into its crash kernel.
    ///
    /// # Panics
    /// As [`Self::wait_for`].
    pub fn crash(&mut self) -> Crash {
        self.tell("crash");
        let panic = self.wait_for("Kernel panic - not syncing").0;
        let kernel = self.wait_for("Linux version").0;
        let (init, line) = self.wait_for("vm: crash /init");
        assert!(
            line.contains("with the memory"),
            "this is no crash kernel: it has no /proc/vmcore: {line}"
        );
        let sender = self.wait_for("sender").0;
        Crash { panic, kernel, init, sender }
    }

    /// Makes the production kernel panic and follows it up to the first process of its crash kernel,
    /// whatever image that has.
    ///
    /// # Panics
    /// As [`Self::wait_for`].
    pub fn crash_any(&mut self) -> Crash {
        self.tell("crash");
        let panic = self.wait_for("Kernel panic - not syncing").0;
        let kernel = self.wait_for("Linux version").0;
        let init = self.wait_for("Run /init as init process").0;
        Crash { panic, kernel, init, sender: init }
    }

    /// Waits until the machine has reset itself, which ends it here.
    ///
    /// # Panics
    /// When it has not within eight minutes.
    pub fn wait_for_reset(&mut self) -> Instant {
        let deadline = Instant::now() + 2 * STEP;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok((_, line)) => self.keep(line),
                Err(RecvTimeoutError::Disconnected) => return Instant::now(),
                Err(RecvTimeoutError::Timeout) => panic!("{}: it was to reset itself", self.name),
            }
        }
    }

    /// Asks the production kernel's `/init` for a sign of life and waits for it.
    ///
    /// # Panics
    /// As [`Self::wait_for`].
    pub fn ping_production(&mut self) {
        self.tell("ping");
        self.wait_for("vm: production kernel still runs");
    }

    /// Every UDP datagram that the machine's network card has seen so far.
    ///
    /// # Errors
    /// When qemu's capture cannot be read.
    pub fn datagrams(&self) -> io::Result<Vec<Datagram>> {
        datagrams(&std::fs::read(&self.capture)?)
    }

    /// For the end of a test that fails.
    fn keep(&mut self, line: String) {
        if self.recent.len() == TAIL {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }

    /// Writes a line to the machine's console.
    ///
    /// # Panics
    /// When the machine has ended.
    pub fn tell(&mut self, word: &str) {
        writeln!(self.console, "{word}").expect("qemu reads its console");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if thread::panicking() {
            // What came after the last line waited for tells most.
            for (_, line) in self.lines.try_iter() {
                self.recent.push_back(line);
            }
            eprintln!(
                "--- {}: the end of the console (all of it: {})",
                self.name,
                self.log.display()
            );
            for line in self.recent.iter().skip(self.recent.len().saturating_sub(TAIL)) {
                eprintln!("{line}");
            }
        }
    }
}

fn dump_to(capture: &std::path::Path) -> String {
    format!("filter-dump,id=wire,netdev=n0,file={}", capture.display())
}

/// Notes when each line of the console came.
fn follow(serial: ChildStdout, mut copy: File, to: &Sender<(Instant, String)>) {
    let start = Instant::now();
    let mut serial = BufReader::new(serial);
    let mut bytes = Vec::new();
    while serial.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
        let at = Instant::now();
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let _ = writeln!(copy, "{:8.3} {line}", (at - start).as_secs_f64());
        if to.send((at, line)).is_err() {
            return;
        }
        bytes.clear();
    }
}
