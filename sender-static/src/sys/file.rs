//! Whole files, read into pages of the kernel's.

use core::ffi::CStr;
use core::slice;

use super::memory::{give_back, pages};
use super::{answer, call, call3, close, number};

/// The bytes of a file at the time it was read. They are copied, not mapped: a script that writes
/// the file at the same moment cannot take the memory away.
#[derive(Debug)]
pub struct File {
    start: *mut u8,
    room: usize,
    bytes: usize,
}

impl File {
    /// A file of no bytes.
    pub const EMPTY: Self = Self {
        start: core::ptr::null_mut(),
        room: 0,
        bytes: 0,
    };

    /// Reads all of `path`. A file that cannot be read is empty.
    pub fn read(path: &CStr) -> Self {
        Self::try_read(path).unwrap_or(Self {
            start: core::ptr::null_mut(),
            room: 0,
            bytes: 0,
        })
    }

    fn try_read(path: &CStr) -> Option<Self> {
        const AT_FDCWD: usize = -100isize as usize;
        const O_NONBLOCK_CLOEXEC: usize = 0o4000 | 0o200_0000;
        const SEEK_END: usize = 2;
        // SAFETY: `path` is a zero-terminated string.
        let opened = answer(unsafe {
            call(
                number::OPENAT,
                [
                    AT_FDCWD,
                    path.as_ptr() as usize,
                    O_NONBLOCK_CLOEXEC,
                    0,
                    0,
                    0,
                ],
            )
        });
        let descriptor = opened.ok()?;
        // SAFETY: takes numbers and nothing else.
        let length = answer(unsafe { call3(number::LSEEK, [descriptor, 0, SEEK_END]) });
        let length = length.unwrap_or(0);
        // More than it says: /proc says 0, and a script may be adding a line just now. Pages that
        // are not written to cost nothing.
        let room = length.saturating_add(64 << 10);
        let file = pages(room).map(|start| {
            let mut file = Self {
                start,
                room,
                bytes: 0,
            };
            file.fill(descriptor);
            file
        });
        close(descriptor as i32);
        file
    }

    fn fill(&mut self, descriptor: usize) {
        while self.bytes < self.room {
            let start = (self.start as usize).wrapping_add(self.bytes);
            let room = self.room.wrapping_sub(self.bytes);
            // SAFETY: the kernel writes at most `room` bytes, all of them in our own pages.
            let read = answer(unsafe {
                call(number::PREAD64, [descriptor, start, room, self.bytes, 0, 0])
            });
            match read {
                Ok(read) if read > 0 => self.bytes = self.bytes.wrapping_add(read),
                _ => break,
            }
        }
    }

    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        if self.start.is_null() {
            return &[];
        }
        // SAFETY: `fill` has had the kernel write that many bytes; the pages are ours alone.
        unsafe { slice::from_raw_parts(self.start, self.bytes) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if !self.start.is_null() {
            // SAFETY: mapped in `try_read`; whoever borrowed the bytes is gone.
            unsafe { give_back(self.start, self.room) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let path = std::env::temp_dir().join(format!("fence-kdump-file-{}", std::process::id()));
        let content: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        assert_eq!(File::read(&name).bytes(), content);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(File::read(&name).bytes(), b"", "it is gone now");
    }

    #[test]
    fn a_file_that_says_it_is_empty_is_read_all_the_same() {
        let status = File::read(c"/proc/self/status");
        assert!(status.bytes().starts_with(b"Name:"));
    }
}
