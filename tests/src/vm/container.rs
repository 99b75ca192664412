//! A machine without a kernel of its own: a real systemd as process 1 of a container.

use std::fs;
use std::marker::PhantomData;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Output, Proc, Run};

const PATIENCE: Duration = Duration::from_secs(60);

/// It runs as long as this lives, and not longer than what it was made of.
pub struct Container<'a> {
    process: Proc,
    /// Its process 1, as this machine counts.
    init: u32,
    made_of: PhantomData<&'a ()>,
}

impl Container<'_> {
    /// The one that is a child of `process`, once it is up.
    pub(super) fn of(process: Proc) -> Self {
        let begin = Instant::now();
        let wait = |what: &str| {
            let said = (process.stdout(), process.stderr());
            assert!(process.is_running() && begin.elapsed() < PATIENCE, "no {what}: {said:?}");
            sleep(Duration::from_millis(50));
        };
        let init = loop {
            if let Some(init) = find(process.pid(), "systemd") {
                break init;
            }
            wait("process 1");
        };
        let container = Self { process, init, made_of: PhantomData };
        let begin = Instant::now();
        loop {
            let output = container.run("systemctl is-system-running");
            // Degraded: something of the distribution's did not like the container.
            if ["running", "degraded"].contains(&output.stdout.trim()) {
                return container;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not get up: {output:?}");
            sleep(Duration::from_millis(100));
        }
    }

    /// A program in it.
    pub fn program(&self, program: &str) -> Run<'static> {
        let init = self.init.to_string();
        Run::new("nsenter").args(["-t", &init, "-a", "--", program])
    }

    /// A shell command in it, to its end.
    pub fn run(&self, command: &str) -> Output {
        self.program("sh").args(["-c", command]).run(PATIENCE)
    }

    /// What a shell command in it prints, which has to succeed.
    pub fn ask(&self, command: &str) -> String {
        self.run(command).expect_success().stdout.trim().to_owned()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // The end of its process 1 is that of all in it; without a word, since nothing in it is of use any more.
        let init = i32::try_from(self.init).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(init) = init {
            let _ = rustix::process::kill_process(init, rustix::process::Signal::KILL);
        }
        let begin = Instant::now();
        while self.process.is_running() && begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
    }
}

/// The process called `name` among the children of `parent`, and of theirs.
fn find(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(|child| {
        let called = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        if called.trim() == name { Some(child) } else { find(child, name) }
    })
}
