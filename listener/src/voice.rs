//! What is said to people: one line per event, to standard error and to syslog; once, where both are the journal of
//! systemd.
//!
//! Nothing that listens to these lines can hold anything up: lines wait in a bounded queue for a
//! thread per listener, what does not fit is dropped and counted, and the end waits but briefly.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::background;

/// How many lines may wait for a listener.
const ROOM: usize = 256;

/// In this time, a listener says as many lines as may wait for it, and no more: what comes faster is not read by
/// anybody, and would take the processor from those who have to do with what happens.
const BREATH: Duration = Duration::from_millis(50);

/// How long the end waits for all listeners together.
const FAREWELL: Duration = Duration::from_millis(200);

/// How much a line matters (`syslog(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The run failed because of this.
    Error,
    /// Somebody should look at this.
    Warning,
    /// What happened.
    Info,
    /// For those who look closely; not to syslog.
    Detail,
}

impl Weight {
    /// As `syslog(3)` numbers it.
    fn severity(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Detail => 7,
        }
    }
}

enum Item {
    Line(Weight, Arc<str>),
    /// Answer when everything before has been said.
    Flush(Sender<()>),
}

struct Listener {
    queue: SyncSender<Item>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

/// Speaks for one program.
pub struct Voice {
    listeners: Vec<Listener>,
    /// Lines that are said once for all.
    said: Mutex<Vec<String>>,
    verbose: u8,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("verbose", &self.verbose).finish_non_exhaustive()
    }
}

impl Voice {
    /// Speaks as `program`; `verbose` as in [`crate::options::Settings::verbose`].
    #[must_use]
    pub fn new(program: &'static str, verbose: u8) -> Self {
        // Nobody is left to tell that nobody listens.
        let print = |text: String| drop(std::io::stderr().write_all(text.as_bytes()));
        let listeners = if is_journal() {
            // Which knows the program and its process id (`sd-daemon(3)`).
            vec![Listener::start(move |weight, line| {
                print(format!("<{}>{line}\n", weight.severity()));
            })]
        } else {
            let to_stderr = Listener::start(move |_, line| print(format!("{program}: {line}\n")));
            vec![to_stderr, to_syslog(program)]
        };
        Self {
            listeners: listeners.into_iter().flatten().collect(),
            said: Mutex::default(),
            verbose,
        }
    }

    /// How much was asked for.
    #[must_use]
    pub fn verbose(&self) -> u8 {
        self.verbose
    }

    /// Says `line`; never blocks.
    pub fn say(&self, weight: Weight, line: impl AsRef<str>) {
        if weight == Weight::Detail && self.verbose == 0 {
            return;
        }
        // One line is one event, whatever a name or an error text contains.
        let line: Arc<str> = line.as_ref().replace(char::is_control, " ").into();
        for listener in &self.listeners {
            listener.offer(weight, &line);
        }
    }

    /// Says what `line` makes, which is made only if there is room for it with anybody: for lines of which there may be
    /// a hundred thousand at once.
    pub fn say_of_many(&self, weight: Weight, line: impl FnOnce() -> String) {
        if self.listeners.iter().any(|listener| listener.has_room(weight)) {
            self.say(weight, line());
        } else {
            self.listeners.iter().for_each(Listener::miss);
        }
    }

    /// Says `line` unless the very same was said this way before.
    pub fn say_once(&self, weight: Weight, line: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded: what differs each time is no line to be said once.
        if said.len() < 256 && !said.contains(&line) {
            self.say(weight, &line);
            said.push(line);
        }
    }

    /// Waits until all was said, at most a fifth of a second.
    pub fn finish(&self) {
        let until = Instant::now() + FAREWELL;
        let (done, finished) = channel();
        let mut open = 0_usize;
        for listener in &self.listeners {
            while listener.queue.try_send(Item::Flush(done.clone())).is_err() {
                if Instant::now() >= until {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            open = open.saturating_add(1);
        }
        for _ in 0..open {
            let left = until.saturating_duration_since(Instant::now());
            if finished.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

impl Listener {
    /// `None` on a host that can make no thread: it hears nothing, and nothing else changes.
    fn start(mut say: impl FnMut(Weight, &str) + Send + 'static) -> Option<Self> {
        let (queue, items): (_, Receiver<Item>) = sync_channel(ROOM);
        let dropped = Arc::new(AtomicU64::new(0));
        let missing = Arc::clone(&dropped);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let speak = move || {
            background::give_way();
            let (mut begun, mut lines) = (Instant::now(), 0);
            for item in items {
                let rest = BREATH.saturating_sub(begun.elapsed());
                if lines >= ROOM {
                    thread::sleep(rest);
                }
                if lines >= ROOM || rest.is_zero() {
                    (begun, lines) = (Instant::now(), 0);
                }
                lines = lines.saturating_add(1);
                match item {
                    Item::Line(weight, line) => {
                        say(weight, &line);
                        left.fetch_sub(1, Ordering::Relaxed);
                    }
                    // Whoever waited may have gone.
                    Item::Flush(done) => drop(done.send(())),
                }
                // Once for many, and before nothing follows.
                if lines == 1 || left.load(Ordering::Relaxed) == 0 {
                    let missed = missing.swap(0, Ordering::Relaxed);
                    if missed > 0 {
                        let line = format!("{missed} lines were dropped: more than anybody reads");
                        say(Weight::Warning, &line);
                    }
                }
            }
        };
        thread::Builder::new().spawn(speak).ok()?;
        Some(Self { queue, waiting, dropped })
    }

    fn has_room(&self, weight: Weight) -> bool {
        // Details never take the room that the last words need.
        let room = match weight {
            Weight::Detail => ROOM / 2,
            Weight::Error | Weight::Warning | Weight::Info => ROOM,
        };
        self.waiting.load(Ordering::Relaxed) < room
    }

    fn miss(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn offer(&self, weight: Weight, line: &Arc<str>) {
        let fits = self.has_room(weight);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let item = Item::Line(weight, Arc::clone(line));
        if !fits || self.queue.try_send(item).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.miss();
        }
    }
}

/// Whether standard error is the journal: `systemd.exec(5)`, JOURNAL_STREAM.
fn is_journal() -> bool {
    let Ok(stderr) = nix::sys::stat::fstat(std::io::stderr()) else {
        return false;
    };
    let stream = format!("{}:{}", stderr.st_dev, stderr.st_ino);
    std::env::var("JOURNAL_STREAM").is_ok_and(|journal| journal == stream)
}

fn to_syslog(program: &'static str) -> Option<Listener> {
    const DAEMON: u8 = 3 << 3;
    const AGAIN: Duration = Duration::from_secs(1);
    let mut log = None;
    let mut silent_since: Option<Instant> = None;
    Listener::start(move |weight, line| {
        // Where there is no syslog, looking for it takes longer than to speak.
        if weight == Weight::Detail || silent_since.is_some_and(|since| since.elapsed() < AGAIN) {
            return;
        }
        let priority = DAEMON | weight.severity();
        let text = format!("<{priority}>{program}[{}]: {line}", std::process::id());
        for _ in 0..2 {
            log = log.take().or_else(connect_syslog);
            match log.as_ref().map(|log: &UnixDatagram| log.send(text.as_bytes())) {
                Some(Ok(_)) => return,
                Some(Err(_)) => log = None,
                None => {
                    silent_since = Some(Instant::now());
                    return;
                }
            }
        }
    })
}

fn connect_syslog() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect("/dev/log").ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_listener_that_hangs_holds_nothing_up_and_hears_what_it_missed() {
        let (go, wait) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let listener = Listener::start(move |_, line| {
            let _ = wait.recv();
            drop(tell.send(line.to_owned()));
        });
        let voice =
            Voice { listeners: listener.into_iter().collect(), said: Mutex::default(), verbose: 1 };
        for number in 0..ROOM + 100 {
            voice.say(Weight::Detail, format!("{number}"));
        }
        voice.say_of_many(Weight::Detail, || unreachable!("there is no room for it"));
        voice.say_of_many(Weight::Info, || "last words".to_owned());
        let start = Instant::now();
        voice.finish();
        assert!(start.elapsed() < Duration::from_secs(5));
        drop(go);
        drop(voice);
        let lines: Vec<String> = told.iter().collect();
        assert!(lines.iter().any(|line| line.contains("lines were dropped")));
        assert!(lines.len() < ROOM);
        assert_eq!(lines.last().map(String::as_str), Some("last words"));
    }

    #[test]
    fn what_nobody_can_read_is_not_said() {
        let (tell, told) = mpsc::channel();
        let listener = Listener::start(move |_, line| drop(tell.send(line.to_owned())));
        let voice =
            Voice { listeners: listener.into_iter().collect(), said: Mutex::default(), verbose: 0 };
        let start = Instant::now();
        while start.elapsed() < 6 * BREATH {
            voice.say_of_many(Weight::Info, || "crashed".to_owned());
        }
        let breaths = start.elapsed().as_millis() / BREATH.as_millis() + 2;
        drop(voice);
        let lines = told.iter().count() as u128;
        assert!(lines <= (breaths + 1) * (ROOM as u128 + 1), "{lines} in {breaths}");
    }

    #[test]
    fn what_is_said_once_is_said_once() {
        let (tell, told) = mpsc::channel();
        let listener = Listener::start(move |_, line| drop(tell.send(line.to_owned())));
        let voice =
            Voice { listeners: listener.into_iter().collect(), said: Mutex::default(), verbose: 0 };
        for line in ["a", "b\nc", "a", "b\nc"] {
            voice.say_once(Weight::Info, line.to_owned());
        }
        voice.say(Weight::Detail, "unasked");
        drop(voice);
        assert_eq!(told.iter().collect::<Vec<_>>(), ["a", "b c"]);
    }
}
