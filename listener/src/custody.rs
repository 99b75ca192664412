//! Whose a file is, and what others may do with it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::geteuid;

/// Everything that group and others can do (`inode(7)`).
pub const ANY: u32 = 0o077;

/// That group and others can write.
pub const WRITE: u32 = 0o022;

/// Why what `of` describes is not in safe custody: it belongs neither to root nor to the user of this
/// process, or its mode has bits of `forbidden`. `None` when all is well.
#[must_use]
pub fn trouble(of: &Metadata, forbidden: u32) -> Option<String> {
    trouble_with(of, forbidden, None)
}

/// As [`trouble`], but it may also belong to the user in whose place the caller acts: see
/// [`crate::deputy::act_in`].
#[must_use]
pub fn trouble_with(of: &Metadata, forbidden: u32, acting_for: Option<u32>) -> Option<String> {
    let (owner, caller) = (of.uid(), geteuid().as_raw());
    let mode = of.mode() & 0o7777;
    if owner != 0 && owner != caller && Some(owner) != acting_for {
        return Some(format!("it belongs to user {owner}, neither root nor user {caller}"));
    }
    let allowed = mode & forbidden;
    let what = match (allowed & 0o044 != 0, allowed & 0o022 != 0) {
        _ if allowed == 0 => return None,
        (true, true) => "read and write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "use",
    };
    Some(format!("its mode {mode:04o} lets others {what} it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn every_bit_for_others_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = |mode| {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            trouble(&file.path().metadata().unwrap(), ANY)
        };
        for mode in [0o600, 0o400, 0o700, 0o000] {
            assert_eq!(said(mode), None, "{mode:o}");
        }
        for bit in 0..6 {
            assert!(said(0o600 | 1 << bit).unwrap().contains("lets others"), "bit {bit}");
        }
        assert_eq!(said(0o644).unwrap(), "its mode 0644 lets others read it");
        assert_eq!(said(0o620).unwrap(), "its mode 0620 lets others write it");
    }
}
