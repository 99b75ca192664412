//! Where the programs are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One of those that `make dist` built: in `$FENCE_KDUMP_DIST`, else in target/dist.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn ours(name: &str) -> PathBuf {
    let dist = std::env::var_os("FENCE_KDUMP_DIST").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist"),
        PathBuf::from,
    );
    let path = dist.join(name);
    assert!(path.exists(), "{} is not there: make dist", path.display());
    path
}

/// The stock agent, of the package fence-agents, if it is installed.
#[must_use]
pub fn stock_agent() -> Option<&'static Path> {
    Some(Path::new("/usr/sbin/fence_kdump")).filter(|path| path.exists())
}

/// The stock sender of the same package.
#[must_use]
pub fn stock_sender() -> Option<&'static Path> {
    let places = [
        "/usr/libexec/fence-agents/fence_kdump_send",
        "/usr/libexec/fence_kdump_send",
        "/usr/lib/fence_kdump_send",
    ];
    places.into_iter().map(Path::new).find(|path| path.exists())
}

/// `program`, to be started as an administrator's shell would: the folders in which cargo lets everything look for
/// libraries first cost each start a hundred system calls.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH");
    command
}
