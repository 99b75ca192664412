//! Where the programs under test, and the stock ones beside them, are found.

use std::env;
use std::path::{Path, PathBuf};

/// Where Debian, RHEL and SUSE put the stock sender, in this order.
const STOCK_SENDERS: [&str; 3] = [
    "/usr/libexec/fence-agents/fence_kdump_send",
    "/usr/libexec/fence_kdump_send",
    "/usr/lib/fence_kdump_send",
];

/// The stock agent of the fence-agents package.
const STOCK_AGENT: &str = "/usr/sbin/fence_kdump";

/// The folder with the built programs: `$FENCE_KDUMP_DIST`, else `target/dist` of the workspace.
#[must_use]
pub fn dist() -> PathBuf {
    env::var_os("FENCE_KDUMP_DIST").map_or_else(|| workspace().join("target/dist"), PathBuf::from)
}

/// The root folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package lies in the workspace").to_path_buf()
}

/// One of our built programs or libraries, by the name `make dist` gives it.
///
/// # Panics
/// When it has not been built: a test of a missing program must not pass.
#[must_use]
pub fn ours(name: &str) -> PathBuf {
    let path = dist().join(name);
    assert!(path.is_file(), "{}: not there; run 'make dist' first", path.display());
    path
}

/// The machines other than this one whose crash kernels run our sender.
pub const FOREIGN: [&str; 3] = ["aarch64", "powerpc64le", "s390x"];

/// Our sender built for another machine, one of [`FOREIGN`].
///
/// # Panics
/// When it has not been built; [`crate::Need::Senders`] asks first.
#[must_use]
pub fn sender_for(machine: &str) -> PathBuf {
    find_sender_for(machine)
        .unwrap_or_else(|| panic!("{machine}: no sender in {}: 'make senders'", dist().display()))
}

pub(crate) fn find_sender_for(machine: &str) -> Option<PathBuf> {
    Some(dist().join(machine).join("fence_kdump_send")).filter(|path| path.is_file())
}

/// The stock agent.
///
/// # Panics
/// When it is not installed; [`crate::Need::Stock`] asks first.
#[must_use]
pub fn stock_agent() -> PathBuf {
    find_stock_agent().unwrap_or_else(|| panic!("{STOCK_AGENT}: install the package fence-agents"))
}

/// The stock sender.
///
/// # Panics
/// When it is not installed; [`crate::Need::Stock`] asks first.
#[must_use]
pub fn stock_sender() -> PathBuf {
    find_stock_sender()
        .unwrap_or_else(|| panic!("{}: install the package fence-agents", STOCK_SENDERS[0]))
}

pub(crate) fn find_stock_agent() -> Option<PathBuf> {
    Some(PathBuf::from(STOCK_AGENT)).filter(|path| path.is_file())
}

pub(crate) fn find_stock_sender() -> Option<PathBuf> {
    STOCK_SENDERS.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// A program of the system, looked for in `$PATH` and then where system programs lie, since a
/// user's `$PATH` often leaves the `sbin` folders out.
#[must_use]
pub fn system(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(
            ["/usr/sbin", "/sbin", "/usr/libexec/pacemaker", "/usr/lib/pacemaker"]
                .map(PathBuf::from),
        )
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
