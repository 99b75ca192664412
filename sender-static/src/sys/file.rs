//! Files: whole ones, read into pages of the kernel's, and small ones that stay open.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::slice;

#[cfg(feature = "early")]
use super::machine::early;
use super::memory::pages;
use super::{Errno, answer, call, call3, close, number};
#[cfg(feature = "early")]
use crate::text::{self, pieces};

pub(super) const AT_FDCWD: usize = -100isize as usize;
#[cfg(feature = "early")]
const O_DIRECTORY: usize = if cfg!(any(target_arch = "aarch64", target_arch = "powerpc64")) {
    0o4_0000
} else {
    0o20_0000
};
const O_NONBLOCK_CLOEXEC: usize = 0o4000 | 0o200_0000;

/// The descriptor, or the error below zero.
#[inline(never)]
fn open(path: &CStr) -> i32 {
    let path = path.as_ptr() as usize;
    // SAFETY: `path` is a zero-terminated string.
    unsafe { call3(number::OPENAT, AT_FDCWD, path, O_NONBLOCK_CLOEXEC) as i32 }
}

/// A file that is open for reading, or the error why it is not, below zero. Closed when dropped.
#[derive(Debug)]
pub struct File(i32);

impl File {
    /// None yet.
    pub const NONE: Self = Self(-1);

    /// What a system call has given, a descriptor or an error.
    #[cfg(feature = "early")]
    pub(super) fn given(result: isize) -> Self {
        Self(result as i32)
    }

    /// Opens `path`. Whether that was possible is told when it is read.
    pub fn open(path: &CStr) -> Self {
        Self(open(path))
    }

    /// Whether there is one.
    pub fn is_open(&self) -> bool {
        self.0 >= 0
    }

    /// Opens `path` for writing, and for reading too where that is possible.
    #[cfg(feature = "early")]
    pub fn open_to_write(path: &CStr) -> Self {
        const O_RDWR: usize = 2;
        let path = path.as_ptr() as usize;
        let flags = O_NONBLOCK_CLOEXEC | O_RDWR;
        // SAFETY: `path` is a zero-terminated string.
        Self(unsafe { call3(number::OPENAT, AT_FDCWD, path, flags) as i32 })
    }

    /// Writes `text`. Whether that was possible is nobody's concern.
    #[cfg(feature = "early")]
    pub fn write(&self, text: &[u8]) {
        if self.is_open() {
            // SAFETY: the kernel reads `text.len()` bytes of `text`.
            unsafe { call3(number::WRITE, self.0 as usize, text.as_ptr() as usize, text.len()) };
        }
    }

    /// Opens the folder `path`.
    #[cfg(feature = "early")]
    pub fn folder(path: &CStr) -> Self {
        Self::NONE.open_in(path, O_DIRECTORY, AT_FDCWD)
    }

    /// Opens `path` in this folder, as a folder or a file.
    #[cfg(feature = "early")]
    pub fn file_in(&self, path: &CStr, is_folder: bool) -> Self {
        let kind = if is_folder { O_DIRECTORY } else { 0 };
        self.open_in(path, kind, self.0 as isize as usize)
    }

    #[cfg(feature = "early")]
    #[inline(never)]
    fn open_in(&self, path: &CStr, kind: usize, folder: usize) -> Self {
        let flags = O_NONBLOCK_CLOEXEC | kind;
        // SAFETY: `path` is a zero-terminated string.
        Self(unsafe { call3(number::OPENAT, folder, path.as_ptr() as usize, flags) as i32 })
    }

    /// What the link `path` in this folder says; cut off at the end of `buffer`, empty if there is none.
    #[cfg(feature = "early")]
    pub fn link_in<'b>(&self, path: &CStr, buffer: &'b mut [MaybeUninit<u8>]) -> &'b [u8] {
        let (start, room) = (buffer.as_mut_ptr() as usize, buffer.len());
        let arguments = [self.0 as isize as usize, path.as_ptr() as usize, start, room, 0, 0];
        // SAFETY: a zero-terminated string; the kernel writes at most `room` bytes into `buffer`.
        let read = answer(unsafe { call(early::READLINKAT, arguments) }).unwrap_or(0).min(room);
        // SAFETY: the kernel has written that many bytes, and `buffer` is borrowed for as long.
        unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), read) }
    }

    /// Gives `found` the numbers among the names in this folder, at most `most` of them, until it says
    /// that it has what it wants.
    #[cfg(feature = "early")]
    pub fn numbers(&self, most: usize, mut found: impl FnMut(u32) -> bool) {
        /// Where an entry of getdents64(2) has its length, and its name.
        const LENGTH: usize = 16;
        const NAME: usize = 19;
        let mut buffer = [0u64; 128];
        let mut left = most;
        loop {
            let (start, room) = (buffer.as_mut_ptr() as usize, size_of_val(&buffer));
            // SAFETY: the kernel writes at most `room` bytes into `buffer`.
            let read = unsafe { call3(early::GETDENTS64, self.0 as isize as usize, start, room) };
            let read = answer(read).unwrap_or(0).min(room);
            if read == 0 {
                return;
            }
            // SAFETY: that many bytes of ours.
            let mut entries = unsafe { slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), read) };
            while let Some(length) = entries.get(LENGTH..).and_then(<[u8]>::first_chunk) {
                let length = usize::from(u16::from_ne_bytes(*length));
                let (entry, rest) = entries.split_at_checked(length.max(NAME)).unwrap_or_default();
                entries = rest;
                let name = pieces(entry.get(NAME..).unwrap_or_default(), 0).next();
                let Some(number) = name.and_then(|name| text::number(name, 10)) else {
                    continue;
                };
                if left == 0 || found(number) {
                    return;
                }
                left = left.wrapping_sub(1);
            }
        }
    }

    /// How large it is; 0 where that is not known.
    #[cfg(feature = "early")]
    pub fn size(path: &CStr) -> u64 {
        super::process::status(path).map_or(0, |status| status.size)
    }

    /// Its descriptor, or why there is none.
    #[cfg(feature = "early")]
    pub(super) fn descriptor(&self) -> Result<usize, Errno> {
        answer(self.0 as isize)
    }

    /// Reads what comes next, at most as much as `buffer` takes.
    ///
    /// # Errors
    /// The kernel's, also that of opening it.
    pub fn read<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
        read_from(self.0, buffer)
    }

    /// Who may do what with it: the lowest 12 bits are those of chmod(2). 0 where the kernel does not
    /// say, as before Linux 4.11.
    pub fn mode(&self) -> u16 {
        const AT_EMPTY_PATH: usize = 0x1000;
        const STATX_MODE: usize = 2;
        /// `struct statx`, of which one member is asked for.
        #[repr(C)]
        struct Status {
            before: [u32; 7],
            mode: u16,
            rest: [u16; 113],
        }
        let mut status = MaybeUninit::<Status>::uninit();
        // SAFETY: the place of a number in memory of our own.
        let mode = unsafe { &raw mut (*status.as_mut_ptr()).mode };
        let (path, status_at) = (c"".as_ptr() as usize, status.as_mut_ptr() as usize);
        // SAFETY: `mode` is as above; `path` is a zero-terminated string; the kernel writes one `struct
        // statx` of 256 bytes, or nothing.
        unsafe {
            mode.write(0);
            let arguments = [self.0 as usize, path, AT_EMPTY_PATH, STATX_MODE, status_at, 0];
            call(number::STATX, arguments);
            mode.read()
        }
    }
}

/// Reads from a descriptor, if it is one, what comes next.
pub(super) fn read_from(descriptor: i32, buffer: &mut [MaybeUninit<u8>]) -> Result<&[u8], Errno> {
    let (start, room) = (buffer.as_mut_ptr(), buffer.len());
    let mut read = descriptor as isize;
    if descriptor >= 0 {
        // SAFETY: the kernel writes at most `room` bytes, all of them into `buffer`.
        read = unsafe { call3(number::READ, descriptor as usize, start as usize, room) };
    }
    let read = answer(read)?.min(room);
    // SAFETY: the kernel has written that many bytes, and `buffer` is borrowed for as long.
    Ok(unsafe { slice::from_raw_parts(start.cast(), read) })
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_open() {
            close(self.0);
        }
    }
}

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
    #[cfg(not(feature = "early"))]
    pub fn read(&mut self, path: &CStr) -> &[u8] {
        let descriptor = open(path);
        self.read_open(descriptor)
    }

    /// Reads `path`, of a very long file the first 4 MiB. A file that cannot be read is empty.
    ///
    /// The early sender, whose folder is `/proc`, looks for a file that is gone where process 1 would find it:
    /// the initrd's own were removed when that went on to the real root file system.
    #[cfg(feature = "early")]
    pub fn read(&mut self, path: &CStr) -> &[u8] {
        let mut descriptor = open(path);
        if descriptor < 0 {
            let mut elsewhere = [0; 32];
            let bytes = b"1/root".iter().chain(path.to_bytes());
            for (to, from) in elsewhere.iter_mut().zip(bytes) {
                *to = *from;
            }
            descriptor = CStr::from_bytes_until_nul(&elsewhere).map_or(descriptor, open);
        }
        self.read_open(descriptor)
    }

    #[inline(never)]
    fn read_open(&mut self, descriptor: i32) -> &[u8] {
        if descriptor < 0 {
            return &[];
        }
        if self.start == 0 {
            let Some(start) = pages(LONGEST) else {
                close(descriptor);
                return &[];
            };
            self.start = start as usize;
        }
        let mut used = 0usize;
        loop {
            let (start, room) = (self.start.wrapping_add(used), LONGEST.wrapping_sub(used));
            // SAFETY: the kernel writes at most `room` bytes, all of them in our own pages.
            let read = unsafe { call3(number::READ, descriptor as usize, start, room) };
            if read <= 0 {
                break;
            }
            used = used.wrapping_add(read as usize);
        }
        close(descriptor);
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
    fn a_small_file() {
        let path = std::env::temp_dir().join(format!("fence-kdump-key-{}", std::process::id()));
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let mut buffer = [MaybeUninit::uninit(); 4];
        let missing = File::open(&name);
        assert!(!missing.is_open());
        assert_eq!(missing.read(&mut buffer), Err(Errno::ENOENT));
        std::fs::write(&path, b"hello").unwrap();
        for mode in [0o600, 0o644, 0o4755] {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            let file = File::open(&name);
            assert!(file.is_open());
            for part in ["hell", "o", ""] {
                assert_eq!(file.read(&mut buffer), Ok(part.as_bytes()));
            }
            assert_eq!(u32::from(file.mode()) & 0o7777, mode);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(File::open(c"/").read(&mut buffer), Err(Errno::new(21)), "a folder");
        assert_eq!(File::NONE.mode(), 0);
    }

    #[test]
    fn a_file_that_says_it_is_empty_is_read_all_the_same() {
        let mut room = Room::NONE;
        assert!(room.read(c"/proc/self/status").starts_with(b"Name:"));
    }
}
