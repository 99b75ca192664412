//! What a test needs of the machine, and what happens when it is not there.

use crate::programs::{FOREIGN, find_sender_for, find_stock_agent, find_stock_sender, system};
use std::io::Write as _;
use std::{env, io};

/// Something that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// Effective user 0.
    Root,
    /// The stock agent and the stock sender.
    Stock,
    /// Network namespaces that this process may make, `ip` and `tc`.
    Netns,
    /// `pacemaker-fenced`, `stonith_admin` and `cibadmin`.
    Pacemaker,
    /// `corosync`.
    Corosync,
    /// `pcs`.
    Pcs,
    /// `crm`.
    Crmsh,
    /// `qemu-system-x86_64` and `cpio`, for the crash of a real kernel.
    Qemu,
    /// `makedumpfile`, which reads the memory of crashed kernels.
    Makedumpfile,
    /// `mmdebstrap` and `mkfs.ext4`, for images that a distribution's own tools build.
    Images,
    /// `qemu-s390x-static` and its brothers.
    QemuUser,
    /// The senders for other machines, built by `make senders`.
    Senders,
    /// `valgrind`.
    Valgrind,
    /// `strace`.
    Strace,
    /// `xmllint`.
    Xmllint,
    /// `mandoc`.
    Mandoc,
    /// A C compiler named `cc`.
    Cc,
    /// `clang`, with its sanitizers.
    Clang,
    /// `musl-gcc`.
    Musl,
    /// `g++`.
    Cxx,
    /// `pkg-config`.
    PkgConfig,
    /// `python3`, with nothing but its standard library.
    Python,
    /// `tshark`, with Lua, and `dumpcap`, which comes with it.
    Tshark,
    /// `nats-server`.
    Nats,
    /// `chromium`, which is started without a window.
    Chromium,
    /// `promtool` and `prometheus`.
    Prometheus,
    /// `systemd-analyze`, which needs no systemd that runs.
    Systemd,
    /// `systemd-nspawn`, for a systemd that runs.
    Nspawn,
    /// `script` and `stty`, to look at what a program writes to a terminal.
    Terminal,
    /// `dnsmasq`, as a DHCP server and as a router.
    Dnsmasq,
    /// `mkfs.ext4`, `mount` with loop devices, and `fsfreeze`.
    Disk,
}

impl Need {
    /// The word that stands for this need in `FENCE_KDUMP_SKIP` and in `tests/prepare`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Need::Root => "root",
            Need::Stock => "stock",
            Need::Netns => "netns",
            Need::Pacemaker => "pacemaker",
            Need::Corosync => "corosync",
            Need::Pcs => "pcs",
            Need::Crmsh => "crmsh",
            Need::Qemu => "qemu",
            Need::Makedumpfile => "makedumpfile",
            Need::Images => "images",
            Need::QemuUser => "qemu-user",
            Need::Senders => "senders",
            Need::Valgrind => "valgrind",
            Need::Strace => "strace",
            Need::Xmllint => "xmllint",
            Need::Mandoc => "mandoc",
            Need::Cc => "cc",
            Need::Clang => "clang",
            Need::Musl => "musl",
            Need::Cxx => "c++",
            Need::PkgConfig => "pkg-config",
            Need::Systemd => "systemd",
            Need::Nspawn => "nspawn",
            Need::Terminal => "terminal",
            Need::Dnsmasq => "dnsmasq",
            Need::Disk => "disk",
            Need::Python => "python",
            Need::Tshark => "tshark",
            Need::Nats => "nats",
            Need::Chromium => "chromium",
            Need::Prometheus => "prometheus",
        }
    }

    /// What a person does about it.
    fn remedy(self) -> &'static str {
        match self {
            Need::Root => "run the tests as root",
            Need::Stock => "install fence-agents",
            Need::Netns => "install iproute2 and run as root where network namespaces are allowed",
            Need::Pacemaker => "install pacemaker and pacemaker-cli-utils",
            Need::Corosync => "install corosync",
            Need::Pcs => "install pcs",
            Need::Crmsh => "install crmsh",
            Need::Qemu => "install qemu-system-x86 and cpio",
            Need::Makedumpfile => "install makedumpfile",
            Need::Images => "install mmdebstrap, debian-archive-keyring and e2fsprogs",
            Need::QemuUser => "install qemu-user-static",
            Need::Senders => "add the Rust targets that 'make senders' names, then run it",
            Need::Valgrind => "install valgrind",
            Need::Strace => "install strace",
            Need::Xmllint => "install libxml2-utils",
            Need::Mandoc => "install mandoc",
            Need::Cc => "install gcc",
            Need::Clang => "install clang",
            Need::Musl => "install musl-tools",
            Need::Cxx => "install g++",
            Need::PkgConfig => "install pkg-config",
            Need::Systemd => "install systemd",
            Need::Nspawn => "install systemd-container",
            Need::Terminal => "install bsdutils (util-linux) and coreutils",
            Need::Dnsmasq => "install dnsmasq-base",
            Need::Disk => "install e2fsprogs and util-linux, where loop devices are allowed",
            Need::Python => "install python3",
            Need::Tshark => "install tshark",
            Need::Nats => "install nats-server",
            Need::Chromium => "install chromium",
            Need::Prometheus => "install prometheus",
        }
    }

    fn is_met(self) -> bool {
        let all = |names: &[&str]| names.iter().all(|name| system(name).is_some());
        match self {
            Need::Root => rustix::process::geteuid().is_root(),
            Need::Stock => find_stock_agent().is_some() && find_stock_sender().is_some(),
            Need::Netns => all(&["ip", "tc", "unshare"]) && crate::netns::possible(),
            Need::Pacemaker => all(&["pacemaker-fenced", "stonith_admin", "cibadmin", "unshare"]),
            Need::Corosync => all(&["corosync"]),
            Need::Pcs => all(&["pcs"]),
            Need::Crmsh => all(&["crm"]),
            Need::Qemu => all(&["qemu-system-x86_64", "cpio"]),
            Need::Makedumpfile => all(&["makedumpfile", "ldd", "tar"]),
            Need::Images => all(&["mmdebstrap", "mkfs.ext4", "debugfs"]),
            Need::QemuUser => all(&["qemu-s390x-static"]),
            Need::Senders => FOREIGN.iter().all(|machine| find_sender_for(machine).is_some()),
            Need::Valgrind => all(&["valgrind"]),
            Need::Strace => all(&["strace"]),
            Need::Xmllint => all(&["xmllint"]),
            Need::Mandoc => all(&["mandoc"]),
            Need::Cc => all(&["cc"]),
            Need::Clang => all(&["clang"]),
            Need::Musl => all(&["musl-gcc"]),
            Need::Cxx => all(&["g++"]),
            Need::PkgConfig => all(&["pkg-config"]),
            Need::Systemd => all(&["systemd-analyze"]),
            Need::Nspawn => all(&["systemd-nspawn", "nsenter", "unshare"]),
            Need::Terminal => all(&["script", "stty"]),
            Need::Dnsmasq => all(&["dnsmasq"]),
            Need::Disk => {
                all(&["mkfs.ext4", "mount", "fsfreeze"])
                    && std::path::Path::new("/dev/loop-control").exists()
            }
            Need::Python => all(&["python3"]),
            Need::Tshark => all(&["tshark", "dumpcap"]),
            Need::Nats => all(&["nats-server"]),
            Need::Chromium => all(&["chromium"]),
            Need::Prometheus => all(&["promtool", "prometheus"]),
        }
    }
}

/// True when everything in `needs` is there and the test may go on.
///
/// False, after a line on the real stderr, when something is missing that the person running the
/// tests agreed to do without: `FENCE_KDUMP_SKIP` lists it (commas between names). `tests/prepare`
/// writes that list, and refuses to under `CI=true`.
///
/// # Panics
/// When something is missing and nobody agreed: the test fails and says what to install.
#[must_use = "return from the test when this is false"]
pub fn requires(needs: &[Need]) -> bool {
    let agreed = env::var("FENCE_KDUMP_SKIP").unwrap_or_default();
    let agreed: Vec<&str> = agreed.split([',', ' ']).collect();
    let missing = |need: &&Need| agreed.contains(&need.name()) || !need.is_met();
    if let Some(need) = needs.iter().find(missing) {
        assert!(
            agreed.contains(&need.name()) && env::var("CI").as_deref() != Ok("true"),
            "{}: missing; {} (or run 'tests/prepare')",
            need.name(),
            need.remedy()
        );
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // Written around the test runner's capture: a skipped test must be seen.
        let _ = writeln!(io::stderr(), "SKIPPED {test}: no {}; {}", need.name(), need.remedy());
        return false;
    }
    true
}
