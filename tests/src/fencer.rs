//! A real `pacemaker-fenced`, stand-alone, in a world that ends with the test.

use crate::netns::Netns;
use crate::process::Proc;
use crate::programs::system;
use crate::run::Run;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Where Pacemaker looks for the agent.
const AGENT: &str = "/usr/sbin/fence_kdump";

/// What Pacemaker finds instead of this machine's own state. The arguments: the agent, the fencer,
/// and 1 or 0 for a host whose own crash kernel is ready or is not.
const WORLD: &str = r#"
set -e
mount -t proc proc /proc
for folder in /run /var/log /var/lib/pacemaker /etc/corosync /dev/shm; do
    [ ! -d "$folder" ] || mount -t tmpfs none "$folder"
done
mkdir -p /run/crm /var/log/pacemaker /var/log/crmsh /var/lib/pacemaker/cores /var/lib/pacemaker/cib
chown hacluster:haclient /run/crm /var/log/pacemaker /var/lib/pacemaker/*
mount --bind "$1" /usr/sbin/fence_kdump
mount -t tmpfs none /sys/kernel
echo "$3" >/sys/kernel/kexec_crash_loaded
echo "$(($3 * 268435456))" >/sys/kernel/kexec_crash_size
if [ "$3" = 1 ]; then
    echo "root=/dev/vda crashkernel=256M" >/run/cmdline
    mount --bind /run/cmdline /proc/cmdline
fi
echo ready
exec "$2" -s -V
"#;

/// A running fencer in its own process, mount and host-name namespaces, inside a [`Netns`].
pub struct Fencer<'net> {
    world: Proc,
    inside: u32,
    netns: &'net Netns,
}

impl<'net> Fencer<'net> {
    /// Starts a fencer in `netns` that finds `agent` as its fence_kdump, on a host without a crash
    /// kernel of its own, and waits until it answers.
    ///
    /// # Panics
    /// When it does not within 20 s; [`crate::Need::Pacemaker`] asks whether it is installed.
    #[must_use]
    pub fn new(netns: &'net Netns, agent: &Path) -> Self {
        Self::start(netns, agent, "0")
    }

    /// As [`Fencer::new`], on a host whose crash kernel is reserved and loaded.
    ///
    /// # Panics
    /// As [`Fencer::new`].
    #[must_use]
    pub fn with_crash_kernel(netns: &'net Netns, agent: &Path) -> Self {
        Self::start(netns, agent, "1")
    }

    fn start(netns: &'net Netns, agent: &Path, crash_kernel: &str) -> Self {
        assert!(Path::new(AGENT).exists(), "{AGENT}: install fence-agents, to be mounted over");
        let fenced = system("pacemaker-fenced").expect("Need::Pacemaker was asked for");
        let world = Run::new("unshare")
            .args(["--mount", "--pid", "--uts", "--fork", "--kill-child", "--"])
            .args([OsStr::new("sh"), "-c".as_ref(), WORLD.as_ref(), "sh".as_ref()])
            .args([agent, &fenced])
            .arg(crash_kernel)
            .env("PCMK_logfile", "none")
            .env("PCMK_stderr", "1")
            .inside(netns)
            .spawn();
        let _ = world.wait_stdout_line("ready", Duration::from_secs(20));
        let children = format!("/proc/{0}/task/{0}/children", world.pid());
        let inside = fs::read_to_string(&children).ok().and_then(|text| text.trim().parse().ok());
        let inside = inside.expect("unshare has the one child it forked");
        let fencer = Self { world, inside, netns };
        let deadline = Instant::now() + Duration::from_secs(20);
        while fencer.admin(["-L"]).run(Duration::from_secs(10)).code != Some(0) {
            assert!(Instant::now() < deadline, "no answer from: {}", fencer.log());
            thread::sleep(Duration::from_millis(50));
        }
        fencer
    }

    /// `stonith_admin` with these arguments, beside the fencer.
    pub fn admin(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run<'net> {
        self.beside("stonith_admin").args(args)
    }

    /// Any program, seeing what the fencer sees.
    pub fn beside(&self, program: &str) -> Run<'net> {
        Run::new("nsenter")
            .args(["--mount", "--pid", "--uts", "--target", &self.inside.to_string(), "--"])
            .arg(program)
            .env("HOME", "/root")
            .inside(self.netns)
    }

    /// Registers a device of fence_kdump with these options (`name=value`).
    ///
    /// # Panics
    /// When the fencer refuses it.
    #[track_caller]
    pub fn register(&self, device: &str, options: &[&str]) {
        let options = options.iter().flat_map(|option| ["-o", option]);
        let command = self.admin(["-R", device, "-a", "fence_kdump"]).args(options);
        let _ = command.run(Duration::from_secs(20)).expect_success();
    }

    /// Waits until the fencer runs `count` agents at once that have had a moment to start.
    ///
    /// # Panics
    /// When it does not within 10 s.
    #[track_caller]
    pub fn wait_agents(&self, count: usize) {
        let running = || {
            let names = children(self.inside).into_iter().map(|pid| format!("/proc/{pid}/comm"));
            let names = names.filter_map(|path| fs::read_to_string(path).ok());
            names.filter(|name| name.trim() == "fence_kdump").count()
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut steady = 0;
        while steady < 10 {
            steady = if running() == count { steady + 1 } else { 0 };
            assert!(Instant::now() < deadline, "not {count} agents at once: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the fencer has logged so far: each agent it ran, and how that ended.
    #[must_use]
    pub fn log(&self) -> String {
        self.world.stderr()
    }
}

/// The children of a process (`proc_pid_task_tid_children(5)`).
fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
