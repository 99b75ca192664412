//! How the nodes are, all the time.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use nix::sys::signal::{Signal as Number, raise};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::screen::{self, Screen};
use super::table::cut;
use super::{Failure, ask, status, words};
use crate::clock::unix_ms;
use crate::control::packet::{Inquiry, NodeStatus, Status};
use crate::control::query::{Counter, QueryError};

/// Without a size, as on a serial line, a terminal has this.
const USUAL: (usize, usize) = (80, 24);

/// Shows what who reads UDP port `port` knows, and looks every `interval`, until it is interrupted or
/// nobody reads on. `all`: also nodes that were not heard.
///
/// # Errors
/// When there is nothing to wait with; never because nobody answers.
pub fn run(port: u16, interval: Duration, all: bool) -> Result<String, Failure> {
    ask::block_on(async {
        let mut calls =
            Calls::new().map_err(|error| Failure::Io("cannot wait for signals", error))?;
        let mut view = match screen::is_there() {
            true => View::Screen(None),
            false => View::Lines(Seen::default()),
        };
        let mut state = State { all, ..State::default() };
        let mut counter = None;
        loop {
            tokio::select! {
                answer = look(&mut counter, port, all) => state.learn(answer),
                call = calls.next() => match call {
                    Call::End => break,
                    Call::Stop => view.stop(),
                    Call::Look => {}
                },
            }
            // Nobody reads on.
            if view.show(&state).is_err() {
                break;
            }
            tokio::select! {
                () = sleep(interval) => {}
                call = calls.next() => match call {
                    Call::End => break,
                    Call::Stop => view.stop(),
                    Call::Look => {}
                },
            }
        }
        Ok(String::new())
    })
}

/// Asks, of somebody else when the one who answered before does so no more. One that is given up costs the
/// connection.
async fn look(counter: &mut Option<Counter>, port: u16, all: bool) -> Result<Status, QueryError> {
    let now = match counter.take() {
        Some(counter) => counter,
        None => Counter::visit(port, ask::PATIENCE).await?,
    };
    let answer = match all {
        true => now.all(&Inquiry::default()).await?,
        false => status::heard(&now).await?,
    };
    *counter = Some(now);
    Ok(answer)
}

/// Signals that mean something here.
struct Calls {
    ends: [Signal; 3],
    stop: Option<Signal>,
    resized: Option<Signal>,
}

enum Call {
    End,
    /// To be stopped by the shell for a while.
    Stop,
    /// The terminal has another size.
    Look,
}

impl Calls {
    fn new() -> io::Result<Self> {
        let ends =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let [interrupt, terminate, hangup] = ends;
        let ends = [interrupt?, terminate?, hangup?];
        if !screen::is_there() {
            return Ok(Self { ends, stop: None, resized: None });
        }
        let stop = SignalKind::from_raw(Number::SIGTSTP as i32);
        let (stop, resized) = (signal(stop)?, signal(SignalKind::window_change())?);
        Ok(Self { ends, stop: Some(stop), resized: Some(resized) })
    }

    /// Cancel-safe.
    async fn next(&mut self) -> Call {
        let [interrupt, terminate, hangup] = &mut self.ends;
        tokio::select! {
            _ = interrupt.recv() => Call::End,
            _ = terminate.recv() => Call::End,
            _ = hangup.recv() => Call::End,
            () = came(&mut self.stop) => Call::Stop,
            () = came(&mut self.resized) => Call::Look,
        }
    }
}

async fn came(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// What is known, and how that is going.
#[derive(Debug, Default)]
struct State {
    all: bool,
    latest: Option<Status>,
    /// Since when nobody answers, and why.
    trouble: Option<(Instant, String)>,
    /// What happened to whoever answers.
    news: Option<String>,
}

impl State {
    fn learn(&mut self, answer: Result<Status, QueryError>) {
        match answer {
            Ok(status) => {
                let before = self.latest.as_ref().map(|latest| latest.pid);
                let is_other = before.is_some_and(|before| before != status.pid);
                if self.trouble.take().is_some() || is_other {
                    let program = words::plain(&status.program);
                    let how = if is_other { "is new" } else { "answers again" };
                    self.news = Some(format!(
                        "{} UTC: {program} (process {}) {how}",
                        words::time(unix_ms()),
                        status.pid
                    ));
                }
                self.latest = Some(status);
            }
            Err(error) => {
                let since = self.trouble.take().map_or_else(Instant::now, |(since, _)| since);
                self.trouble = Some((since, error.to_string()));
            }
        }
    }

    /// All of it, no wider than `width`, in `height` lines at most.
    fn lines(&self, (width, height): (usize, usize)) -> Vec<String> {
        let now = words::time(unix_ms());
        let mut lines = Vec::new();
        let mut plain = |line: &str| lines.push(cut(line, width));
        match &self.latest {
            Some(status) => plain(&format!("{now} UTC: {}", status::holder(status))),
            None => plain(&format!("{now} UTC")),
        }
        if let Some(news) = &self.news {
            plain(news);
        }
        if let Some((since, why)) = &self.trouble {
            let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
            let since = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let line = format!("NO ANSWER for {}: {}", words::span(since), words::plain(why));
            lines.push(format!("{red}{}{red:#}", cut(&line, width)));
        }
        let Some(status) = &self.latest else { return lines };
        let unheard = status::unheard(status, self.all).map(|line| cut(&line, width));
        lines.push(String::new());
        let table = status::table(status, self.all);
        let mut rows = if table.is_empty() { Vec::new() } else { table.lines(Some(width)) };
        let room = height.saturating_sub(lines.len()).saturating_sub(unheard.iter().len());
        if rows.len() > room {
            let shown = room.saturating_sub(1);
            let more = rows.len().saturating_sub(shown);
            rows.truncate(shown);
            rows.push(cut(&format!("... and {more} more"), width));
        }
        lines.extend(rows);
        lines.extend(unheard);
        lines
    }
}

/// Where it is shown.
enum View {
    /// In place; without one until it is drawn on.
    Screen(Option<Screen>),
    Lines(Seen),
}

impl View {
    fn show(&mut self, state: &State) -> io::Result<()> {
        match self {
            Self::Screen(screen) => {
                let size = screen::size().unwrap_or(USUAL);
                let screen = match screen {
                    Some(screen) => screen,
                    None => screen.insert(Screen::take()?),
                };
                screen.show(&state.lines(size), size.1)
            }
            Self::Lines(seen) => {
                let lines = seen.changes(state);
                let now = words::time(unix_ms());
                let lines: String = lines.iter().map(|line| format!("{now} {line}\n")).collect();
                if lines.is_empty() { Ok(()) } else { screen::print(&lines) }
            }
        }
    }

    /// Leaves the terminal to the shell until this process may go on.
    fn stop(&mut self) {
        if let Self::Screen(screen) = self {
            *screen = None;
            // If not now, it is asked for again.
            let _ = raise(Number::SIGSTOP);
        }
    }
}

/// What was told of each node.
#[derive(Debug, Default)]
struct Seen {
    nodes: BTreeMap<String, Told>,
    has_trouble: bool,
    news: Option<String>,
}

#[derive(Debug)]
struct Told {
    state: String,
    phase: Option<String>,
    since_ms: Option<u64>,
}

impl Seen {
    /// A line for each change since the last time.
    fn changes(&mut self, state: &State) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((_, why)) = &state.trouble {
            if !std::mem::replace(&mut self.has_trouble, true) {
                lines.push(format!("no answer: {}", words::plain(why)));
            }
            return lines;
        }
        self.has_trouble = false;
        if state.news != self.news {
            lines.extend(state.news.clone());
            self.news.clone_from(&state.news);
        }
        let Some(status) = &state.latest else { return lines };
        let mut nodes = BTreeMap::new();
        for node in &status.nodes {
            let before = self.nodes.remove(&node.name);
            let was_heard = before.as_ref().is_some_and(|before| before.state != "unheard");
            let is_same = before.is_some_and(|before| before.is_still(node));
            if !is_same && (state.all || was_heard || node.state != "unheard") {
                lines.push(line(node));
            }
            nodes.insert(node.name.clone(), Told::of(node));
        }
        let gone = std::mem::replace(&mut self.nodes, nodes);
        let gone = gone.into_iter().filter(|(_, told)| told.state != "unheard");
        lines.extend(gone.map(|(name, _)| format!("{}: not heard any more", words::plain(&name))));
        lines
    }
}

impl Told {
    fn of(node: &NodeStatus) -> Self {
        let NodeStatus { state, phase, since_ms, .. } = node.clone();
        Self { state, phase, since_ms }
    }

    /// Whether nothing happened to `node`. A dump that began later than the one before is another one.
    fn is_still(&self, node: &NodeStatus) -> bool {
        let is_same_dump = node.since_ms >= self.since_ms;
        self.state == node.state && self.phase == node.phase && is_same_dump
    }
}

fn line(node: &NodeStatus) -> String {
    let mut text = format!("{}: {}", node.name, node.state);
    let since = node.since_ms.map(|since| format!("since {}", words::span(since)));
    let phase = node.phase.as_ref().map(|phase| format!("phase {phase}"));
    let percent = status::progress(node).0.map(|percent| format!("{percent}%"));
    let from = node.from.as_ref().map(|from| format!("from {from}"));
    for part in [since, phase, percent, node.proof.clone(), from].into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&part);
    }
    words::plain(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: &str, since: u64) -> NodeStatus {
        let since_ms = (state != "unheard").then_some(since);
        NodeStatus { name: name.into(), state: state.into(), since_ms, ..NodeStatus::default() }
    }

    fn state(nodes: &[NodeStatus], pid: u32) -> Status {
        let program = "fence_kdumpd".into();
        Status { program, pid, nodes: nodes.to_vec(), ..Status::default() }
    }

    #[test]
    fn each_change_is_one_line() {
        let (mut all, mut seen) = (State::default(), Seen::default());
        let mut lines = |nodes: &[NodeStatus]| {
            all.learn(Ok(state(nodes, 1)));
            seen.changes(&all)
        };
        assert!(lines(&[node("n1", "unheard", 0)]).is_empty(), "there is nothing to tell of it");
        assert_eq!(lines(&[node("n1", "started", 100)]), ["n1: started, since 0s"]);
        assert!(lines(&[node("n1", "started", 1_100)]).is_empty());
        let dumping = NodeStatus { phase: Some("dumping".into()), ..node("n1", "dumping", 2_100) };
        assert_eq!(lines(&[dumping]), ["n1: dumping, since 2s, phase dumping"]);
        assert_eq!(lines(&[node("n1", "started", 5)]), ["n1: started, since 0s"]);
        assert_eq!(lines(&[node("n1", "started", 4)]), ["n1: started, since 0s"], "a new dump");
        assert_eq!(lines(&[]), ["n1: not heard any more"]);
    }

    #[test]
    fn a_daemon_that_is_started_anew_is_told_once() {
        let (mut all, mut seen) = (State::default(), Seen::default());
        all.learn(Ok(state(&[], 1)));
        assert!(seen.changes(&all).is_empty());
        for _ in 0..2 {
            all.learn(Err(QueryError::Nobody(7410)));
        }
        assert!(seen.changes(&all)[0].starts_with("no answer: nobody of fence_kdump"));
        assert!(seen.changes(&all).is_empty());
        all.learn(Ok(state(&[], 2)));
        let lines = seen.changes(&all);
        assert!(lines[0].ends_with("fence_kdumpd (process 2) is new"), "{lines:?}");
        all.learn(Ok(state(&[], 2)));
        assert!(seen.changes(&all).is_empty());
        all.learn(Err(QueryError::Nobody(7410)));
        all.learn(Ok(state(&[], 2)));
        assert!(seen.changes(&all)[0].ends_with("(process 2) answers again"));
    }

    #[test]
    fn a_frame_fits_the_terminal() {
        let nodes: Vec<_> = (0..100).map(|it| node(&format!("node{it}"), "started", it)).collect();
        let mut all = State::default();
        all.learn(Ok(Status { left_out: 7, ..state(&nodes, 1) }));
        all.learn(Err(QueryError::Nobody(7410)));
        for (width, height) in [(80, 24), (20, 10), (300, 200)] {
            let lines = all.lines((width, height));
            assert!(lines.len() <= height, "{}", lines.len());
            for line in &lines {
                let plain = anstream::adapter::strip_str(line).to_string();
                assert!(plain.chars().count() <= width, "{line:?}");
            }
            assert!(lines.iter().any(|line| line.contains("NO ANSWER")));
            assert_eq!(lines.iter().any(|line| line.contains(" more")), height < 100);
            assert!(lines.last().is_some_and(|line| line.contains("7 nodes")));
        }
    }
}
