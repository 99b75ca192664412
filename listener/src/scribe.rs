//! The replay memory in a process of its own.
//!
//! A process in which a thread waits for a disk that hangs cannot end: the kernel does not let go of the
//! thread, and whoever waits for the exit code waits as long. So an agent, which has a deadline, has
//! another process write, and leaves it behind. What was handed to that process is written also
//! when the agent has ended meanwhile.
//!
//! That other process is the same program under the name [`NAME`]. It reads what is to be remembered from
//! its standard input and answers on its standard output, one JSON object a line, and ends with its
//! input.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use fence_kdump_core::{Disbelief, Instant};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::control::packet;
use crate::socket::Datagram;
use crate::store::heard::{Crash, Latest, Stamp};
use crate::store::{self, Hearing, Memory, Notary, ROOM};

/// What the other process is called; its one argument is the state directory.
pub const NAME: &str = "fence_kdump: replay memory";

/// What the process is called that only tries whether there could be one.
pub const TRIAL: &str = "fence_kdump: replay memory, trial";

/// A line to the other process.
#[derive(Debug, Serialize, Deserialize)]
struct Submission {
    number: u64,
    at: u64,
    live: bool,
    /// The message, in hexadecimal.
    bytes: String,
}

/// A line from the other process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// The memory was empty.
    Began(PathBuf),
    /// The memory cannot be opened, or not be written.
    Trouble(String),
    /// What became of one submission.
    Judged {
        number: u64,
        /// The cause as PROTOCOL.md §8 calls it; none when it is believed.
        disbelief: Option<String>,
        trouble: Option<String>,
    },
}

/// How long the end of this process waits for the other one to take what is left; it reads all the time.
const FAREWELL: Duration = Duration::from_millis(200);

/// Has what was heard remembered by another process. Nothing here blocks.
///
/// `T` is what the caller wants back with each answer.
#[derive(Debug)]
pub struct Scribe<T> {
    desk: SyncSender<String>,
    answers: UnboundedReceiver<Answer>,
    waiting: VecDeque<Waiting<T>>,
    /// What is known to be a replay takes nobody's place.
    latest: Latest,
    next_number: u64,
    /// Hung up once everything was handed over.
    handed_over: Receiver<()>,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    ticket: T,
    crash: Crash,
    stamp: Stamp,
    live: bool,
}

/// What [`Scribe::next`] tells.
#[derive(Debug)]
pub enum News<T> {
    /// The answer to one submission.
    Judged(Judged<T>),
    /// The memory, which is this file, was empty: see [`Memory::is_new`].
    Began(PathBuf),
    /// The memory cannot be opened at present. With each submission it is tried again.
    Trouble(String),
}

/// The answer to one submission.
#[derive(Debug)]
pub struct Judged<T> {
    /// What was given to [`Scribe::submit`].
    pub ticket: T,
    /// Whether the message is believed. `Ok` means that it is remembered for good, or that it is live.
    pub result: Result<(), Disbelief>,
    /// Why it is not remembered, which people have to be told.
    pub trouble: Option<String>,
}

impl<T> Scribe<T> {
    /// Starts the process that keeps the memory in the directory `dir`.
    ///
    /// # Errors
    /// When the system makes no process or no thread.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let mut child = command(NAME, dir).stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (desk, lines) = sync_channel(ROOM);
        let (tell, answers) = unbounded_channel();
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        // Both end with the other process, or with this one.
        let (hang_up, handed_over) = sync_channel(1);
        thread("to the memory").spawn(move || {
            hand_over(&lines, stdin);
            drop(hang_up);
        })?;
        thread("from the memory").spawn(move || listen(BufReader::new(stdout), &tell))?;
        let (waiting, latest) = (VecDeque::new(), Latest::default());
        Ok(Self { desk, answers, waiting, latest, next_number: 0, handed_over })
    }

    /// This process ends: the other one gets what it does not have yet, and writes it, however long that takes.
    pub fn finish(self) {
        let Self { desk, handed_over, .. } = self;
        drop(desk);
        // Nothing is ever sent.
        let _ = handed_over.recv_timeout(FAREWELL);
    }

    /// Has `hearing` judged and remembered, which is the message of `datagram`. The answer comes with
    /// [`Self::next`], together with `ticket`; or at once, when it is known or not to be had.
    #[must_use = "an answer may be there already"]
    pub fn submit(
        &mut self,
        hearing: &Hearing,
        datagram: &Datagram,
        ticket: T,
    ) -> Option<Judged<T>> {
        let is_waiting = |one: &Waiting<T>| hearing.is_copy_of(&one.crash, one.stamp);
        if self.latest.judge(hearing).is_err() || self.waiting.iter().any(is_waiting) {
            let result = Err(Disbelief::Replayed);
            return Some(Judged { ticket, result, trouble: None });
        }
        let (crash, stamp, live) = (hearing.crash(), hearing.stamp(), hearing.is_live());
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let waiting = Waiting { number, ticket, crash, stamp, live };
        if self.waiting.len() >= ROOM {
            return Some(waiting.unremembered(full()));
        }
        let Ok(words) = &datagram.said else {
            return Some(waiting.unremembered("not a message".to_owned()));
        };
        let (at, bytes) = (datagram.received_at.as_nanos(), packet::hexadecimal(words.as_bytes()));
        let line = packet::write(&Submission { number, at, live, bytes });
        match self.desk.try_send(String::from_utf8_lossy(&line).into_owned()) {
            Ok(()) => {
                self.waiting.push_back(waiting);
                None
            }
            Err(TrySendError::Full(_)) => Some(waiting.unremembered(full())),
            Err(TrySendError::Disconnected(_)) => Some(waiting.unremembered(gone())),
        }
    }

    /// How many have no answer yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// What there is to tell next; forever pending when nothing will be. Cancel-safe.
    pub async fn next(&mut self) -> News<T> {
        loop {
            match self.answers.recv().await {
                Some(Answer::Began(path)) => return News::Began(path),
                Some(Answer::Trouble(why)) => return News::Trouble(why),
                Some(Answer::Judged { number, disbelief, trouble }) => {
                    let place = self.waiting.iter().position(|waiting| waiting.number == number);
                    let waiting = place.and_then(|place| self.waiting.remove(place));
                    if let Some(Waiting { ticket, crash, stamp, .. }) = waiting {
                        let result = disbelief.map_or(Ok(()), |cause| Err(named(&cause)));
                        // Either way, the memory knows of this one or of a later one.
                        if matches!(result, Ok(()) | Err(Disbelief::Replayed)) && trouble.is_none()
                        {
                            self.latest.believed(crash, stamp);
                        }
                        return News::Judged(Judged { ticket, result, trouble });
                    }
                }
                None => match self.waiting.pop_front() {
                    Some(waiting) => return News::Judged(waiting.unremembered(gone())),
                    None => std::future::pending().await,
                },
            }
        }
    }
}

impl<T> Waiting<T> {
    /// What cannot be remembered is not believed, unless it is live (PROTOCOL.md §10).
    fn unremembered(self, why: String) -> Judged<T> {
        let result = if self.live { Ok(()) } else { Err(Disbelief::Unremembered) };
        Judged { ticket: self.ticket, result, trouble: Some(why) }
    }
}

fn full() -> String {
    format!("{ROOM} messages are waiting to be remembered already")
}

fn gone() -> String {
    "the process that keeps the replay memory has ended".to_owned()
}

/// What is not understood is not believed.
fn named(cause: &str) -> Disbelief {
    let known = Disbelief::ALL.into_iter().find(|known| known.cause() == cause);
    known.unwrap_or(Disbelief::Unremembered)
}

fn command(name: &str, dir: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // Whoever waits for the end of our output must not wait for that process.
    command.arg0(name).arg(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn hand_over(lines: &Receiver<String>, mut to: impl Write) {
    for line in lines {
        if to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn listen(from: impl BufRead, tell: &UnboundedSender<Answer>) {
    for line in from.lines().map_while(Result::ok) {
        let Ok(answer) = serde_json::from_str(&line) else {
            return;
        };
        if tell.send(answer).is_err() {
            return;
        }
    }
}

/// Tries in another process whether the memory in `dir` can be opened and written; the answer comes
/// with the end of the returned output: nothing, or what is wrong.
///
/// # Errors
/// When the system makes no process.
pub fn attempt(dir: &Path) -> io::Result<impl io::Read + Send + 'static> {
    let mut child = command(TRIAL, dir).spawn()?;
    child.stdout.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

/// When this process was started as [`NAME`] or [`TRIAL`]: does what that one does, and gives the exit
/// code. `words` are all words of the command line.
#[must_use]
pub fn serve(words: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut words = words.into_iter();
    let name = words.next()?;
    if name == TRIAL {
        let tried = Memory::open(Path::new(&words.next()?));
        let said = tried.map_or_else(|error| error.to_string(), |_| String::new());
        drop(io::stdout().write_all(said.as_bytes()));
        return Some(i32::from(!said.is_empty()));
    }
    if name != NAME {
        return None;
    }
    let dir = PathBuf::from(words.next()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Some(runtime.map_or(1, |runtime| runtime.block_on(keep(&dir))))
}

/// Keeps the memory until its input ends.
async fn keep(dir: &Path) -> i32 {
    let Ok(mut notary) = Notary::start(dir) else {
        return 1;
    };
    let (say, mut lines) = unbounded_channel();
    let read = move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    };
    if thread::Builder::new().spawn(read).is_err() {
        return 1;
    }
    let mut unwritten = 0_usize;
    let mut is_open = true;
    while is_open || unwritten > 0 {
        let answer = tokio::select! {
            line = lines.recv(), if is_open => match line {
                Some(line) => match take(&mut notary, &line) {
                    Some(answer) => answer,
                    None => {
                        unwritten = unwritten.saturating_add(1);
                        continue;
                    }
                },
                None => {
                    is_open = false;
                    continue;
                }
            },
            news = notary.next() => match news {
                store::News::Judged(judged) => {
                    unwritten = unwritten.saturating_sub(1);
                    answer(&judged)
                }
                store::News::Began(path) => Answer::Began(path),
                store::News::Trouble(error) => Answer::Trouble(error.to_string()),
            },
        };
        let mut line = packet::write(&answer);
        line.push(b'\n');
        let mut stdout = io::stdout();
        // Nobody may be left to hear it; what was handed in is written all the same.
        drop(stdout.write_all(&line).and_then(|()| stdout.flush()));
    }
    0
}

/// The answer, if there is one already.
fn take(notary: &mut Notary<u64>, line: &str) -> Option<Answer> {
    let Ok(submission) = serde_json::from_str::<Submission>(line) else {
        return Some(Answer::Trouble("a line that is not understood".to_owned()));
    };
    let Submission { number, at, live, bytes } = submission;
    let (received_at, said) = (Instant::from_nanos(at), packet::words(&bytes));
    let message = said.as_ref().map_err(|error| *error).and_then(|words| words.message());
    match message.map(|message| message.signed()) {
        Ok(Some(signed)) => {
            let hearing = Hearing::new(received_at, &signed, live);
            notary.submit(hearing, number).map(|judged| answer(&judged))
        }
        Ok(None) | Err(_) => {
            let disbelief = Some(Disbelief::Unsigned.cause().to_owned());
            Some(Answer::Judged { number, disbelief, trouble: None })
        }
    }
}

fn answer(judged: &store::Judged<u64>) -> Answer {
    Answer::Judged {
        number: judged.ticket,
        disbelief: judged.result.err().map(|cause| cause.cause().to_owned()),
        trouble: judged.trouble.as_ref().map(ToString::to_string),
    }
}
