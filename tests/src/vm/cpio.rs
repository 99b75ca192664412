use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// An initramfs in the making: a "newc" cpio archive, as the kernel's
/// `Documentation/driver-api/early-userspace/buffer-format.rst` lays it down.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    inode: u32,
    contents: usize,
}

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

impl Archive {
    /// Adds an empty directory, and those above it. `path` has no leading slash.
    pub(super) fn directory(&mut self, path: &str) {
        if path.is_empty() || self.directories.contains(path) {
            return;
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        self.directories.insert(path.to_owned());
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds an executable file with the directories above it. `path` has no leading slash.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        self.entry(path, PROGRAM, contents);
    }

    /// Adds a copy of `from`.
    ///
    /// # Errors
    /// When `from` cannot be read; the error names it.
    pub(super) fn copy(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let contents = fs::read(from)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", from.display())))?;
        self.file(path, &contents);
        Ok(())
    }

    /// Bytes of file contents added so far.
    pub(super) fn contents(&self) -> usize {
        self.contents
    }

    /// Closes the archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.inode += 1;
        self.contents += contents.len();
        let size = u32::try_from(contents.len()).expect("a file below 4 GiB");
        let name_size = u32::try_from(path.len() + 1).expect("a short name");
        let mut header = String::from("070701");
        // ino, mode, uid, gid, nlink, mtime, filesize, maj, min, rmaj, rmin, namesize, chksum
        for field in [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            write!(header, "{field:08x}").expect("a string grows");
        }
        self.bytes.write_all(header.as_bytes()).expect("a vector grows");
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn what_cpio_lists_is_what_was_put_in() {
        let mut archive = Archive::default();
        archive.file("a/b/odd", b"12345");
        archive.file("a/b/even", b"1234");
        let mut cpio = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cpio runs");
        cpio.stdin.take().expect("a pipe").write_all(&archive.finish()).expect("cpio reads");
        let out = cpio.wait_with_output().expect("cpio ends");
        assert!(out.status.success());
        assert_eq!(String::from_utf8_lossy(&out.stdout), "a\na/b\na/b/odd\na/b/even\n");
    }
}
