//! Whether the dump that is on a disk is one.

use super::build::Kind;
use fence_kdump_tests::vm::{Distribution, directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Takes the dump from the file system on `disk` and has makedumpfile read the crashed kernel's log in it: for
/// that it has to understand the memory of that kernel.
pub(crate) fn is_whole(disk: &Path, kind: Kind) {
    let folder = directory().join(format!("{}-dump", kind.file_name()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    // Without mounting it: a journal that was not replayed would hide nothing that was synced.
    let status = Command::new("debugfs")
        .args(["-R", &format!("rdump /var/crash {}", folder.display())])
        .arg(disk)
        .output();
    let output = status.expect("debugfs runs");
    let dump = find(&folder);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let dump = dump.unwrap_or_else(|| panic!("no dump on the disk: {said}"));
    let bytes = fs::metadata(&dump).expect("a file").len();
    assert!(bytes > 1 << 20, "{}: {bytes} bytes are no dump", dump.display());
    let distribution = Distribution::new();
    distribution.program("/dump", &dump);
    distribution.run(
        &format!("{}-check", kind.file_name()),
        "(makedumpfile --dump-dmesg /dump /log || \
          { makedumpfile -R /whole </dump && makedumpfile --dump-dmesg /whole /log; })",
    );
    let log = distribution.read("/log");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("sysrq: Trigger a crash"), "the crashed kernel's log: {log}");
    assert!(log.contains("vm: production kernel is up"), "and what it said before: {log}");
    let _ = fs::remove_dir_all(&folder);
}

/// The first file whose name begins with `dump`.
fn find(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.file_name().to_string_lossy().starts_with("dump")
                && !entry.file_name().to_string_lossy().contains("dmesg")
            {
                return Some(path);
            }
        }
    }
    None
}
