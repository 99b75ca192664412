//! By which clock something was heard.

use std::fs;
use std::path::Path;

use super::error::StoreError;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const OFFSETS: &str = "/proc/self/timens_offsets";

/// The clock of this process: it begins anew with each boot of the host, and runs differently in each time
/// namespace (`time_namespaces(7)`). The number of a namespace can be used again after its end, hence
/// its offsets as well.
///
/// # Errors
/// [`StoreError::NoClock`] when the boot cannot be told from others.
pub fn name() -> Result<String, StoreError> {
    let path = Path::new(BOOT_ID);
    let boot = fs::read_to_string(path)
        .map_err(|source| StoreError::NoClock { path: path.to_owned(), source })?;
    let namespace = crate::clock::namespace().map_or("-".to_owned(), |inode| inode.to_string());
    // Kernels without time namespaces have no such file.
    let offsets = fs::read_to_string(OFFSETS).unwrap_or_default();
    let offsets: Vec<&str> = offsets.split_whitespace().collect();
    Ok(format!("{} {namespace} {}", boot.trim(), offsets.join(" ")))
}
