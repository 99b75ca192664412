//! By which clock something was heard.

use std::fs;

/// The clock of this process: it begins anew with each boot of the host, and runs differently in each time
/// namespace (`time_namespaces(7)`). `None` when the boot cannot be told from others.
pub(super) fn name() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = crate::clock::namespace().map_or("-".to_owned(), |inode| inode.to_string());
    // Kernels without time namespaces have no such file.
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    let offsets: Vec<&str> = offsets.split_whitespace().collect();
    Some(format!("{} {namespace} {}", boot.trim(), offsets.join(" ")))
}
