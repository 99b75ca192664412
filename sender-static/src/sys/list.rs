//! Command lines that do not come from the kernel: words put together as it would have laid them out.

use core::ffi::{CStr, c_char};
use core::ptr::NonNull;
use core::slice;

use super::machine::early;
use super::memory::{Arguments, pages};
use super::{File, call3};

/// Room for so many bytes of words and of pointers to them. Pages that are not written to cost nothing.
const ROOM: usize = 128 << 10;

/// What was read from a file, in pages that are given back with it.
#[derive(Debug)]
pub struct Text {
    start: NonNull<u8>,
    /// How many bytes the pages have; 0 for none.
    room: usize,
    length: usize,
}

impl Text {
    /// Reads at most so many bytes of `file`. Empty when that, or memory, is not to be had.
    pub fn read(file: &File, most: usize) -> Self {
        let start = pages(most).and_then(NonNull::new);
        let room = if start.is_some() { most } else { 0 };
        let mut text = Self { start: start.unwrap_or(NonNull::dangling()), room, length: 0 };
        // SAFETY: as many bytes of our own, which nobody else knows of.
        let bytes = unsafe { slice::from_raw_parts_mut(text.start.cast().as_ptr(), room) };
        text.length = file.read(bytes).map_or(0, <[u8]>::len);
        text
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the kernel has written that many to our own pages.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if self.room > 0 {
            // SAFETY: our own pages; who borrowed them has borrowed this value.
            unsafe { call3(early::MUNMAP, self.start.as_ptr() as usize, self.room, 0) };
        }
    }
}

/// What follows the last word: a null pointer for the end of the words, one for the end of an empty
/// environment, and an auxiliary vector of two pairs.
const TAIL: usize = 6;

/// Words that become [`Arguments`]. They stay for the whole life of the process.
#[derive(Debug)]
pub struct List {
    /// Pointers grow from the beginning, words from the end towards them.
    start: NonNull<usize>,
    count: usize,
    /// How many bytes are not used by words.
    free: usize,
}

impl List {
    /// Without words. `None` when the kernel has no memory.
    pub fn new() -> Option<Self> {
        let start = NonNull::new(pages(ROOM)?.cast())?;
        Some(Self { start, count: 0, free: ROOM })
    }

    /// Adds a word. `None` when there is no room for it.
    #[inline(never)]
    pub fn push(&mut self, word: &[u8]) -> Option<()> {
        let place = self.put(word)?;
        // SAFETY: `put` has left that much room for pointers, which are aligned like the pages.
        unsafe { self.start.add(self.count).write(place) };
        self.count = self.count.wrapping_add(1);
        Some(())
    }

    /// Puts a zero-terminated copy of `bytes` behind what is free. Gives its address.
    fn put(&mut self, bytes: &[u8]) -> Option<usize> {
        let free = self.free.checked_sub(bytes.len())?.checked_sub(1)?;
        let pointers = self.count.wrapping_add(1 + TAIL).wrapping_mul(size_of::<usize>());
        if pointers > free {
            return None;
        }
        // SAFETY: within our pages, and not yet in use; the byte behind the copy is zero as all pages of
        // the kernel's are.
        let place = unsafe { self.start.cast::<u8>().add(free) };
        for (at, byte) in bytes.iter().enumerate() {
            // SAFETY: as above.
            unsafe { place.add(at).write_volatile(*byte) };
        }
        self.free = free;
        Some(place.as_ptr() as usize)
    }

    /// The words as arguments, with the rest of what the kernel gave this process, which is `like`'s.
    pub fn arguments(mut self, like: &Arguments) -> Arguments {
        const AT_RANDOM: usize = 25;
        if let Some(random) = self.put(&like.random()) {
            // SAFETY: `put` leaves room for the tail; what is not written stays zero.
            unsafe {
                let tail = self.start.add(self.count.wrapping_add(2));
                tail.write(AT_RANDOM);
                tail.add(1).write(random);
            }
        }
        Arguments { next: self.start.as_ptr().cast(), stack: like.stack }
    }
}

impl Arguments {
    /// The program's own name: for process 1, the path that the kernel executed.
    pub fn program(&self) -> Option<&CStr> {
        let (count, list, _) = self.for_kernel();
        // SAFETY: the first of at least one string. It is written to only by `be_spared`, which takes the
        // whole list of a process that asks no more.
        (count > 0).then(|| unsafe { CStr::from_ptr(*list) })
    }

    /// The count of arguments, name included, the list of them, and that of the environment, as the
    /// kernel left them.
    pub(super) fn for_kernel(&self) -> (usize, *mut *mut c_char, *const *const c_char) {
        // SAFETY: the count, that many pointers and a null pointer, then the environment (on_stack).
        unsafe {
            let count = *self.stack;
            let list = self.stack.add(1);
            (count, list.cast_mut().cast(), list.add(count).add(1).cast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_far_as_asked() {
        let text = Text::read(&File::open(c"/proc/self/status"), 4096);
        assert!(text.bytes().starts_with(b"Name:"));
        assert_eq!(Text::read(&File::open(c"/proc/self/status"), 5).bytes(), b"Name:");
        assert_eq!(Text::read(&File::open(c"/nosuch"), 4096).bytes(), b"");
        assert_eq!(Text::read(&File::open(c"/proc/self/status"), 1 << 60).bytes(), b"");
    }

    fn kernels() -> Arguments {
        let words = vec![2, c"/init".as_ptr() as usize, c"single".as_ptr() as usize, 0];
        let random = b"0123456789abcdef".as_ptr() as usize;
        let rest = [c"HOME=/".as_ptr() as usize, 0, 6, 4096, 25, random, 0, 0];
        let stack = Vec::leak([words, rest.to_vec()].concat());
        // SAFETY: laid out as the kernel does, for ever.
        unsafe { Arguments::on_stack(stack.as_ptr()) }
    }

    #[test]
    fn words_become_arguments() {
        let mut list = List::new().unwrap();
        for word in [&b"-k"[..], b"/etc/key", b"", b"node"] {
            list.push(word).unwrap();
        }
        let like = kernels();
        let arguments = list.arguments(&like);
        assert_eq!(arguments.random(), like.random());
        assert_eq!(arguments.for_kernel(), like.for_kernel());
        assert!(arguments.clone().eq([&b"-k"[..], b"/etc/key", b"", b"node"]));
        let key = arguments.clone().nth(1).unwrap();
        assert_eq!(arguments.terminated(key), Some(c"/etc/key"));
    }

    #[test]
    fn no_words_and_too_many() {
        let like = kernels();
        let none = List::new().unwrap().arguments(&like);
        assert_eq!((none.random(), none.clone().next()), (like.random(), None));
        let mut list = List::new().unwrap();
        assert_eq!(list.push(&[b'x'; ROOM]), None);
        let mut count = 0;
        while list.push(b"1234567").is_some() {
            count += 1;
        }
        assert!((ROOM / 16 - 8..ROOM / 16).contains(&count), "{count}");
        let arguments = list.arguments(&like);
        assert_eq!(arguments.clone().count(), count);
        assert_eq!(arguments.random(), [0; 16], "no room, and nothing is overwritten");
    }

    #[test]
    fn what_the_kernel_gave() {
        let (count, list, environment) = kernels().for_kernel();
        // SAFETY: the lists of `kernels`.
        let (name, variable) = unsafe { (*list, *environment) };
        assert_eq!(count, 2);
        // SAFETY: zero-terminated strings.
        unsafe {
            assert_eq!(std::ffi::CStr::from_ptr(name), c"/init");
            assert_eq!(std::ffi::CStr::from_ptr(variable), c"HOME=/");
        }
    }
}
