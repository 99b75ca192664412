//! `fence_kdumpctl` as people and scripts use it, with a real daemon.

#[path = "ctl/nobody.rs"]
mod nobody;
#[path = "ctl/nodes.rs"]
mod nodes;
#[path = "ctl/papers.rs"]
mod papers;
#[path = "ctl/past.rs"]
mod past;
#[path = "ctl/signed.rs"]
mod signed;
#[path = "ctl/status.rs"]
mod status;
#[path = "ctl/wait.rs"]
mod wait;
#[path = "ctl/watch.rs"]
mod watch;

use fence_kdump_tests::datagram::{LITTLE, PORT};
use fence_kdump_tests::{Need, Netns, Output, Proc, Run, programs, requires};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};
use tempfile::TempDir;

const NEEDS: [Need; 2] = [Need::Root, Need::Netns];

const LIMIT: Duration = Duration::from_secs(30);

/// A host with a configuration, and a daemon now and then.
struct Scene {
    net: Netns,
    folder: TempDir,
}

impl Scene {
    /// `None` when that cannot be here. `nodes` is the part of the configuration that names them.
    fn new(nodes: &str) -> Option<Self> {
        if !requires(&NEEDS) {
            return None;
        }
        let folder = TempDir::new().expect("a temporary folder");
        let scene = Self { net: Netns::new(), folder };
        scene.write("daemon.toml", &format!("state_dir = {:?}\n{nodes}", scene.state_dir()));
        Some(scene)
    }

    /// Nodes one and two.
    fn of_two() -> Option<Self> {
        Self::new(
            "[[node]]\nname = \"one\"\naddresses = [\"127.0.0.11\", \"127.0.1.11\"]\n\
             [[node]]\nname = \"two\"\naddresses = [\"127.0.0.12\"]\n",
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("our own folder");
    }

    /// A daemon that reads the port.
    fn daemon(&self) -> Proc {
        let run = Run::new(programs::ours("fence_kdumpd")).arg("--config");
        let daemon = run.arg(self.path("daemon.toml")).inside(&self.net).spawn();
        daemon.wait_stderr_line("listening on UDP port 7410", LIMIT);
        daemon
    }

    /// `fence_kdumpctl` with these words.
    fn ctl(&self, words: &str) -> Run<'_> {
        let run = Run::new(programs::ours("fence_kdumpctl")).inside(&self.net);
        run.args(words.split_whitespace())
    }

    fn run(&self, words: &str) -> Output {
        self.ctl(words).run(LIMIT)
    }

    /// What it writes to a terminal that is so wide and high; lines end with `\r\n` there.
    fn on_terminal(&self, words: &str, (width, height): (u16, u16)) -> Run<'_> {
        let program = programs::ours("fence_kdumpctl");
        let program = program.to_str().expect("no strange name");
        let command = format!("stty cols {width} rows {height} && exec {program} {words}");
        let run = Run::new("script").args(["-qefc", &command, "/dev/null"]);
        run.env("TERM", "xterm").env("SHELL", "/bin/sh").inside(&self.net)
    }

    fn json(&self, words: &str) -> serde_json::Value {
        let text = self.run(words).stdout;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words}: {error}: {text}"))
    }

    fn speak(&self, from: &str) {
        self.net.send(from, &format!("127.0.0.1:{PORT}"), &LITTLE);
    }
}

/// Looks until `is_so`, for as long as that may take.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
