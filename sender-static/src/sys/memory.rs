//! Memory: the command line as the kernel left it, and tables that grow without an allocator.

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

use super::{answer, call, number};

/// A word of the command line, without its terminating zero byte.
pub type Argument = &'static [u8];

/// Walks over the command line where the kernel put it, after the program's own name.
#[derive(Clone, Debug)]
pub struct Arguments {
    pub(super) next: *const *const c_char,
    /// Where they began, with their count.
    #[cfg(feature = "early")]
    pub(super) stack: *const usize,
}

impl Arguments {
    /// # Safety
    /// `stack` must be the stack pointer that the kernel started this process with: the number of
    /// arguments, then that many pointers to strings, then a null pointer, the same for the
    /// environment, then the auxiliary vector (System V ABI, "initial process stack"), none of it
    /// written to for as long as the process lives.
    pub unsafe fn on_stack(stack: *const usize) -> Self {
        // SAFETY: the count itself is there.
        let named = unsafe { *stack } > 0;
        // SAFETY: the list with its null pointer follows the count; the program's name is in it
        // unless the list is empty.
        let next = unsafe { stack.add(1 + usize::from(named)) }.cast();
        Self {
            next,
            #[cfg(feature = "early")]
            stack,
        }
    }

    /// `text` with the zero byte behind it, when it is the end of one of the arguments.
    pub fn terminated(&self, text: &[u8]) -> Option<&'static CStr> {
        let mut rest = self.clone();
        loop {
            // SAFETY: `next` never moves past the null pointer (on_stack).
            let start = unsafe { *rest.next }.cast::<u8>();
            let argument = rest.next()?;
            let is_end = argument.as_ptr_range().end == text.as_ptr_range().end;
            if is_end && let Some(before) = argument.len().checked_sub(text.len()) {
                // SAFETY: a zero byte follows each argument, and none is in it.
                let whole = unsafe { slice::from_raw_parts(start.add(before), text.len() + 1) };
                // SAFETY: as above.
                return Some(unsafe { CStr::from_bytes_with_nul_unchecked(whole) });
            }
        }
    }

    /// 16 random bytes that the kernel chose for this process, which costs no system call: `AT_RANDOM`
    /// of getauxval(3). Zeros from a kernel that has none.
    #[inline(never)]
    pub fn random(&self) -> [u8; 16] {
        const AT_NULL: usize = 0;
        const AT_RANDOM: usize = 25;
        let mut next = self.next.cast::<usize>();
        // What is left of the arguments, and then the environment: each ends with a null pointer.
        for _ in 0..2 {
            // SAFETY: the null pointer is still to come, and behind it there is something more.
            while unsafe { *next } != 0 {
                // SAFETY: as above.
                next = unsafe { next.add(1) };
            }
            // SAFETY: as above.
            next = unsafe { next.add(1) };
        }
        loop {
            // SAFETY: the auxiliary vector follows: pairs of numbers up to AT_NULL.
            let (kind, value) = unsafe { (*next, *next.add(1)) };
            match kind {
                AT_NULL => return [0; 16],
                // SAFETY: that many bytes that stay for the whole life of the process.
                AT_RANDOM => return unsafe { *(value as *const [u8; 16]) },
                // SAFETY: not the last pair.
                _ => next = unsafe { next.add(2) },
            }
        }
    }
}

impl Iterator for Arguments {
    type Item = Argument;

    fn next(&mut self) -> Option<Argument> {
        // SAFETY: `next` never moves past the null pointer (on_stack).
        let word = unsafe { *self.next };
        if word.is_null() {
            return None;
        }
        // SAFETY: not the null pointer, so there is one more.
        self.next = unsafe { self.next.add(1) };
        // SAFETY: a zero-terminated string that stays for the whole life of the process.
        Some(unsafe { CStr::from_ptr(word) }.to_bytes())
    }
}

/// Pages of the kernel's, empty. `None`: it has none to give.
pub(super) fn pages(bytes: usize) -> Option<*mut u8> {
    const READ_WRITE: usize = 1 | 2;
    const PRIVATE_ANONYMOUS: usize = 0x02 | 0x20;
    let none = usize::MAX;
    // SAFETY: a new mapping at a place of the kernel's choice touches nothing that exists.
    let result = unsafe { call(number::MMAP, [0, bytes, READ_WRITE, PRIVATE_ANONYMOUS, none, 0]) };
    answer(result).ok().map(|address| address as *mut u8)
}

/// Copies `from` to the beginning of `bytes`, as much as there is room for.
#[cfg(feature = "link")]
pub fn written<'b>(bytes: &'b mut [MaybeUninit<u8>], from: &[u8]) -> &'b [u8] {
    let length = bytes.len().min(from.len());
    let (bytes, _) = bytes.split_at_mut(length);
    for (to, from) in bytes.iter_mut().zip(from) {
        to.write(*from);
    }
    // SAFETY: the loop has written as many bytes as there are.
    unsafe { slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// Has `work` use `bytes` bytes of memory, none when the kernel has none to give, which are given back then: on
/// the stack they would stay.
#[cfg(feature = "link")]
pub fn for_now<R>(bytes: usize, work: impl FnOnce(&mut [MaybeUninit<u8>]) -> R) -> R {
    let Some(start) = pages(bytes) else {
        return work(&mut []);
    };
    // SAFETY: as many bytes of our own, which nobody else knows of.
    let result = work(unsafe { slice::from_raw_parts_mut(start.cast(), bytes) });
    // SAFETY: the same pages, which nobody can have kept a reference to.
    unsafe { call(super::machine::early::MUNMAP, [start as usize, bytes, 0, 0, 0, 0]) };
    result
}

/// Puts up to `most` values into pages of their own, where they stay for as long as the process lives.
/// None at all when the kernel has none to give.
#[cfg(feature = "link")]
pub fn lasting<'t, T: 't>(values: impl Iterator<Item = T>, most: usize) -> &'t mut [T] {
    const { assert!(align_of::<T>() <= 4096) };
    let mut count = 0usize;
    let mut start = NonNull::<T>::dangling();
    for value in values.take(most) {
        if count == 0 {
            let Some(place) = pages(most.saturating_mul(size_of::<T>())).and_then(NonNull::new)
            else {
                break;
            };
            start = place.cast();
        }
        // SAFETY: new pages with room for `most` of them, aligned as pages are, and nobody else's.
        unsafe { start.add(count).write(value) };
        count = count.wrapping_add(1);
    }
    // SAFETY: the loop has written that many values; they are never given back.
    unsafe { slice::from_raw_parts_mut(start.as_ptr(), count) }
}

/// A list that starts in the caller's storage and moves to pages of the kernel's when it outgrows
/// it, so that the first entries cost no system call and the number of nodes has no limit.
#[derive(Debug)]
pub struct Table<'a, T: Copy> {
    bytes: Bytes,
    count: usize,
    storage: PhantomData<&'a mut [MaybeUninit<T>]>,
}

/// What entries are made of.
type Word = MaybeUninit<u64>;

/// Entries of any type: where they are, and how many bytes of how many are used.
#[derive(Debug)]
struct Bytes {
    start: NonNull<u8>,
    used: usize,
    room: usize,
}

impl Bytes {
    /// Adds a copy of `size` bytes.
    ///
    /// # Safety
    /// `entry` must be valid for `size` bytes, a multiple of a word, and be aligned like one.
    #[inline(never)]
    unsafe fn push(&mut self, entry: NonNull<u8>, size: usize) -> Option<()> {
        let used = self.used.wrapping_add(size);
        if used > self.room {
            // What is left behind is not given back: all of it together is smaller than what is
            // in use.
            let room = self.room.saturating_mul(2).max(4096);
            let start = NonNull::new(pages(room)?)?;
            // SAFETY: the old bytes are ours, the new ones a mapping of their own that is larger.
            unsafe { copy(self.start, start, self.used) };
            (self.start, self.room) = (start, room);
        }
        // SAFETY: there is room for `size` bytes behind those in use; `entry` lies elsewhere, since
        // nobody else may refer to ours.
        unsafe { copy(entry, self.start.add(self.used), size) };
        self.used = used;
        Some(())
    }
}

/// Copies whole words. Volatile, or it would become the program's only call of memcpy.
///
/// # Safety
/// `from` must be valid for reading and `to` for writing `count` bytes; both and `count` must be
/// multiples of a word, and they must not overlap.
#[inline(never)]
unsafe fn copy(from: NonNull<u8>, to: NonNull<u8>, count: usize) {
    let (from, to) = (from.cast::<Word>(), to.cast::<Word>());
    let mut at = 0usize;
    while at < count / size_of::<Word>() {
        // SAFETY: the caller vouches for the bytes; any bytes will do for `MaybeUninit`.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        at = at.wrapping_add(1);
    }
}

impl<'a, T: Copy> Table<'a, T> {
    /// An empty list over `slots`. An entry has at most 4096 bytes, and the alignment of a `u64`.
    pub fn new(slots: &'a mut [MaybeUninit<T>]) -> Self {
        const {
            assert!(size_of::<T>() > 0 && size_of::<T>() <= 4096);
            assert!(align_of::<T>() == align_of::<Word>(), "entries are copied in words");
        };
        let room = size_of_val(slots);
        let start = NonNull::from(slots).cast();
        Self { bytes: Bytes { start, used: 0, room }, count: 0, storage: PhantomData }
    }

    /// Adds one entry at the end. `None` when the kernel has no memory for it.
    pub fn push(&mut self, entry: &T) -> Option<()> {
        // SAFETY: a reference is valid for its size. Slots and pages are aligned for `T`, which is as
        // a word is, and only whole entries are ever added.
        unsafe { self.bytes.push(NonNull::from(entry).cast(), size_of::<T>())? };
        self.count = self.count.wrapping_add(1);
        Some(())
    }
}

impl<T: Copy> Deref for Table<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `push` has written that many entries.
        unsafe { slice::from_raw_parts(self.bytes.start.as_ptr().cast(), self.count) }
    }
}

impl<T: Copy> DerefMut for Table<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: `push` has written that many entries, and they are borrowed as a whole.
        unsafe { slice::from_raw_parts_mut(self.bytes.start.as_ptr().cast(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_every_entry_while_it_grows() {
        let mut storage = [MaybeUninit::uninit(); 3];
        let mut table = Table::new(&mut storage);
        assert!(table.is_empty());
        for entry in 0..10_000u64 {
            assert_eq!(table.push(&entry), Some(()));
        }
        assert!(table.iter().copied().eq(0..10_000));
        table.iter_mut().for_each(|entry| *entry += 1);
        assert!(table.iter().copied().eq(1..=10_000));
    }

    #[test]
    fn memory_that_does_not_exist_is_refused() {
        assert_eq!(pages(1 << 60), None);
        #[cfg(feature = "link")]
        assert_eq!(for_now(1 << 60, |bytes| bytes.len()), 0);
    }

    #[test]
    fn arguments_end_at_the_null_pointer() {
        let words = [c"program".as_ptr(), c"-c1".as_ptr(), c"".as_ptr(), c"node".as_ptr()];
        let mut stack = vec![words.len()];
        stack.extend(words.iter().map(|word| *word as usize));
        let random = *b"0123456789abcdef";
        // An empty environment for one, and for the other one variable.
        let variable = c"A=B".as_ptr() as usize;
        stack.extend([0, variable, 0, 6, 4096, 25, random.as_ptr() as usize, 0, 0]);
        // SAFETY: laid out as the kernel does, and kept until the end of this test.
        let arguments = unsafe { Arguments::on_stack(stack.as_ptr()) };
        assert_eq!(arguments.random(), random);
        let node = arguments.clone().last().unwrap();
        assert_eq!(arguments.terminated(node), Some(c"node"));
        assert_eq!(arguments.terminated(&node[1..]), Some(c"ode"));
        assert_eq!(arguments.terminated(&node[4..]), Some(c""));
        for not in [&node[..3], &node[1..3], b"node", b""] {
            assert_eq!(arguments.terminated(not), None);
        }
        assert!(arguments.eq([&b"-c1"[..], b"", b"node"]));
        // SAFETY: empty lists are a count of 0 and null pointers.
        let mut arguments = unsafe { Arguments::on_stack([0, 0, 0, 0, 0].as_ptr()) };
        assert_eq!((arguments.random(), arguments.next()), ([0; 16], None));
    }
}
