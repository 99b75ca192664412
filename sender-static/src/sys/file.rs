//! Whole files, read into pages of the kernel's.

use core::ffi::CStr;
use core::slice;

use super::memory::pages;
use super::{call3, close, number};

/// Room for one file at a time. The bytes are copied, not mapped: a script that writes the file at
/// the same moment cannot take the memory away.
#[derive(Debug)]
pub struct Room {
    start: usize,
}

/// How much of a file is read. Pages that are not written to cost nothing.
const LONGEST: usize = 4 << 20;

impl Room {
    /// None yet.
    pub const NONE: Self = Self { start: 0 };

    /// Reads `path`, of a very long file the first 4 MiB. A file that cannot be read is empty.
    #[inline(never)]
    pub fn read(&mut self, path: &CStr) -> &[u8] {
        const AT_FDCWD: usize = -100isize as usize;
        const O_NONBLOCK_CLOEXEC: usize = 0o4000 | 0o200_0000;
        if self.start == 0 {
            let Some(start) = pages(LONGEST) else {
                return &[];
            };
            self.start = start as usize;
        }
        let path = path.as_ptr() as usize;
        // SAFETY: `path` is a zero-terminated string.
        let opened = unsafe { call3(number::OPENAT, AT_FDCWD, path, O_NONBLOCK_CLOEXEC) };
        if opened < 0 {
            return &[];
        }
        let descriptor = opened as usize;
        let mut used = 0usize;
        loop {
            let (start, room) = (self.start.wrapping_add(used), LONGEST.wrapping_sub(used));
            // SAFETY: the kernel writes at most `room` bytes, all of them in our own pages.
            let read = unsafe { call3(number::READ, descriptor, start, room) };
            if read <= 0 {
                break;
            }
            used = used.wrapping_add(read as usize);
        }
        close(descriptor as i32);
        // SAFETY: the kernel has written that many bytes into pages that are ours alone, and this
        // room is borrowed for as long as they are.
        unsafe { slice::from_raw_parts(self.start as *const u8, used) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let path = std::env::temp_dir().join(format!("fence-kdump-file-{}", std::process::id()));
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let mut room = Room::NONE;
        for length in [300_000u32, 3, 5_000_000, 0] {
            let content: Vec<u8> = (0..length).map(|at| at as u8).collect();
            std::fs::write(&path, &content).unwrap();
            assert_eq!(room.read(&name), &content[..content.len().min(LONGEST)]);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(room.read(&name), b"", "it is gone now");
    }

    #[test]
    fn a_file_that_says_it_is_empty_is_read_all_the_same() {
        let mut room = Room::NONE;
        assert!(room.read(c"/proc/self/status").starts_with(b"Name:"));
    }
}
