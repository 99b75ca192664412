//! To a program, in its environment.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::config::{CommandConfig, Stdin};
use super::fields;
use super::pace::Pace;
use super::queue::{Queue, Taken};
use crate::fleet::event::Event;
use crate::voice::Weight;

/// What a program gets of the daemon's own environment.
const KEPT: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];

/// How long a program has after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// How much of what a program wrote is shown: the end of it, in bytes.
const SHOWN: usize = 1024;

/// How often a program is tried to be started for one event.
const ATTEMPTS: u32 = 8;

/// How far an event may be chosen past others whose node is busy.
const REACH: usize = 256;

/// Runs the program once for each event of `queue`.
pub(super) async fn work(config: CommandConfig, queue: Arc<Queue>) {
    let config = Arc::new(config);
    tokio::spawn(look(Arc::clone(&config), Arc::clone(&queue)));
    let places = Arc::new(Semaphore::new(config.at_once.get()));
    let busy: Arc<Mutex<HashSet<Arc<str>>>> = Arc::default();
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let lock = || busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = queue.take(1, REACH, |event| !lock().contains(&event.node)).await;
        let Some(taken) = taken.pop() else { break };
        lock().insert(Arc::clone(&taken.event().node));
        let (config, busy) = (Arc::clone(&config), Arc::clone(&busy));
        // On its own: a program that runs is not disturbed when its sink is changed.
        tokio::spawn(async move {
            let node = Arc::clone(&taken.event().node);
            let event = Arc::clone(taken.event());
            let run = run(&config, &event).await;
            busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
            settle(taken, run);
            drop(place);
        });
    }
    // Closed: until the last program has ended.
    let all = u32::try_from(config.at_once.get()).unwrap_or(u32::MAX);
    drop(places.acquire_many(all).await);
}

/// Tells at once what would otherwise be found out when a node has crashed.
async fn look(config: Arc<CommandConfig>, queue: Arc<Queue>) {
    let program = config.argv.program().to_owned();
    let found = tokio::task::spawn_blocking(move || access(program.as_str(), AccessFlags::X_OK));
    if let Ok(Err(error)) = found.await {
        let line = format!("'{}' cannot be started now: {}", config.argv.program(), error.desc());
        queue.complain(Weight::Warning, &line);
    }
}

fn settle(taken: Taken, run: Result<(), String>) {
    match run {
        Ok(()) => taken.delivered(),
        Err(why) => {
            let Event { kind, node, .. } = &**taken.event();
            taken.queue().complain(Weight::Warning, &format!("{kind} of {node}: {why}"));
            taken.failed(&why);
        }
    }
}

/// Runs the program for `event`, to its end.
async fn run(config: &CommandConfig, event: &Event) -> Result<(), String> {
    let program = config.argv.program();
    let (mut child, output) = match begin(config, event).await {
        Ok(begun) => begun,
        Err(error) => return Err(format!("'{program}' cannot be started: {error}")),
    };
    let mut said = Tail::default();
    let feed = feed(child.stdin.take(), event);
    let listen = said.follow(&output);
    let end = end(&mut child, config.time_limit.get());
    // Neither what it does not read nor a pipe that outlives it holds anything up.
    let attend = async {
        tokio::join!(feed, listen);
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = end => ended,
        never = attend => match never {},
    };
    said.drain(&output);
    let why = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(why) => why,
    };
    Err(format!("'{program}': {why}{}", said.shown()))
}

/// Starts the program, if need be a little later: that the system has no room for it now is no fault of the
/// event.
async fn begin(config: &CommandConfig, event: &Event) -> io::Result<(Child, pipe::Receiver)> {
    let mut pace = Pace::new(Duration::from_millis(200), Duration::from_secs(5));
    loop {
        match try_to_begin(config, event).await {
            Err(error) if is_passing(&error) && pace.failures() < ATTEMPTS => {
                sleep(pace.pause()).await;
            }
            begun => return begun,
        }
    }
}

/// Whether the system lacks descriptors, processes or memory.
fn is_passing(error: &io::Error) -> bool {
    use nix::libc::{EAGAIN, EMFILE, ENFILE, ENOMEM};
    matches!(error.raw_os_error(), Some(EAGAIN | EMFILE | ENFILE | ENOMEM))
}

async fn try_to_begin(
    config: &CommandConfig,
    event: &Event,
) -> io::Result<(Child, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let command = command(config, event, writer)?;
    // The system has no way to start a program that never blocks: its file may be far away.
    let start = move || tokio::process::Command::from(command).spawn();
    let child = tokio::task::spawn_blocking(start).await.map_err(io::Error::other)??;
    Ok((child, output))
}

fn command(config: &CommandConfig, event: &Event, output: io::PipeWriter) -> io::Result<Command> {
    let mut command = Command::new(config.argv.program());
    command.args(config.argv.arguments()).env_clear().current_dir("/").process_group(0);
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    for (name, value) in fields::of(event) {
        // No environment can contain it.
        command.env(name, value.replace('\0', "\u{fffd}"));
    }
    command.stdin(match config.stdin {
        Stdin::Nothing => Stdio::null(),
        Stdin::Event => Stdio::piped(),
    });
    command.stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// Writes the event to the program's standard input and closes it.
async fn feed(stdin: Option<ChildStdin>, event: &Event) {
    let Some(mut stdin) = stdin else { return };
    let mut line = fields::json(event);
    line.push(b'\n');
    // A program that does not read its input has its reasons.
    drop(stdin.write_all(&line).await);
}

/// Waits for the program's end and sees to it that it comes within `limit`, and a little.
async fn end(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let lost = |error: io::Error| format!("its end was not seen: {error}");
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    if let Ok(ended) = timeout(limit, child.wait()).await {
        return ended.map_err(lost);
    }
    let signal = |signal| {
        if let Some(group) = group {
            // Its head was not waited for yet, so the number is still its own; nobody need be left in it.
            let _ = killpg(group, signal);
        }
    };
    signal(Signal::SIGTERM);
    sleep(GRACE).await;
    signal(Signal::SIGKILL);
    child.wait().await.map_err(lost)?;
    Err(format!("stopped after {}", humantime::format_duration(limit)))
}

/// The end of what a program wrote.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    left_out: bool,
}

impl Tail {
    /// Reads until nobody can write any more.
    async fn follow(&mut self, output: &pipe::Receiver) {
        while output.readable().await.is_ok() {
            match self.read(output) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Reads what is there already.
    fn drain(&mut self, output: &pipe::Receiver) {
        // Bounded: somebody that the program left behind may write on and on.
        for _ in 0..64 {
            if !matches!(self.read(output), Ok(1..)) {
                return;
            }
        }
    }

    /// How many bytes there were; 0 at the end.
    fn read(&mut self, output: &pipe::Receiver) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let read = output.try_read(&mut buffer)?;
        self.bytes.extend(buffer.get(..read).unwrap_or_default());
        let excess = self.bytes.len().saturating_sub(SHOWN);
        self.left_out |= excess > 0;
        self.bytes.drain(..excess);
        Ok(read)
    }

    fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let text: Vec<&str> =
            text.split(char::is_control).filter(|part| !part.is_empty()).collect();
        match (text.join(" "), self.left_out) {
            (text, _) if text.is_empty() => text,
            (text, false) => format!("; it wrote: {text}"),
            (text, true) => format!("; it wrote: ...{text}"),
        }
    }
}

#[cfg(test)]
mod tests;
