//! The Linux system calls, and all of this crate's unsafe code.
//!
//! There is no libc behind this program: in a crash kernel its pages and its start-up work would
//! be paid for out of the little memory and time that the reserved region gives. What is here is
//! what the sender asks of the kernel, each call with arguments that Rust's types vouch for.

mod file;
#[cfg(feature = "early")]
mod list;
mod memory;
#[cfg(feature = "early")]
pub mod process;
mod socket;
#[cfg(feature = "early")]
pub mod unix;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "s390x", path = "s390x.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "powerpc64.rs")]
mod machine;

use core::num::NonZero;

use crate::resolv_conf::SERVERS;
use crate::schedule::Millis;
pub use file::{File, Room};
#[cfg(feature = "early")]
pub use list::{List, Text};
use machine::{call, number};
pub use memory::{Argument, Arguments, Table};
#[cfg(feature = "link")]
pub use memory::{for_now, lasting, written};
#[cfg(feature = "early")]
pub use socket::filter;
pub use socket::{Socket, Source};

/// An error number of the kernel (errno(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZero<u16>);

impl Errno {
    /// The error of that number; those the kernel gives are 1 to 4095.
    pub const fn new(number: u16) -> Self {
        match NonZero::new(number) {
            Some(number) => Self(number),
            None => Self(NonZero::<u16>::MAX),
        }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }

    /// Nobody has said yet which card the address is at. One of ours, beyond those of the kernel.
    #[cfg(feature = "link")]
    pub const SOUGHT: Self = Self::new(207);
    /// There is no such interface.
    #[cfg(feature = "link")]
    pub const ENODEV: Self = Self::new(19);
    /// The message is too long.
    #[cfg(feature = "link")]
    pub const EMSGSIZE: Self = Self::new(90);
    /// There is no address to send from.
    #[cfg(feature = "link")]
    pub const EADDRNOTAVAIL: Self = Self::new(99);
    /// Nothing is at the other end.
    #[cfg(feature = "link")]
    pub const ENETDOWN: Self = Self::new(100);
    /// There is no room for it in the card's ring.
    #[cfg(feature = "link")]
    pub const ENOBUFS: Self = Self::new(105);
    /// Nothing leads there.
    #[cfg(feature = "link")]
    pub const ENETUNREACH: Self = Self::new(101);
    /// There is no such file.
    pub const ENOENT: Self = Self::new(2);
    /// A signal came in between.
    pub const EINTR: Self = Self::new(4);
    /// The send buffer is full, or nothing is there to be received.
    pub const EAGAIN: Self = Self::new(11);
    /// The destination is a broadcast address and the socket was not told to allow that.
    pub const EACCES: Self = Self::new(13);
    /// An earlier message met a closed port.
    pub const ECONNREFUSED: Self = Self::new(111);
}

/// Splits the kernel's answer: −4095 … −1 are error numbers, everything else is a value. No value
/// asked for here, numbers of bytes and addresses of a process, has the highest bit set.
fn answer(result: isize) -> Result<usize, Errno> {
    match u16::try_from(result.wrapping_neg()).ok().and_then(NonZero::new) {
        Some(error) => Err(Errno(error)),
        None => Ok(result as usize),
    }
}

/// A system call of up to three arguments.
///
/// # Safety
/// As [`call`].
#[inline(never)]
unsafe fn call3(number: usize, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller vouches for the arguments.
    unsafe { call(number, [a, b, c, 0, 0, 0]) }
}

/// A clock of the kernel's, clock_gettime(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Since 1970-01-01 00:00 UTC, as far as this machine knows.
    Wall = 0,
    /// Since this kernel started, all of it counted. It never jumps, whatever a script does to the
    /// wall clock.
    Boot = 7,
}

/// Nanoseconds by `clock`.
#[inline(never)]
pub fn nanos(clock: Clock) -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: the kernel writes one `timespec` of two 64-bit words into `time`.
    unsafe {
        call3(number::CLOCK_GETTIME, clock as usize, (&raw mut time) as usize, 0);
    }
    let [seconds, nanoseconds] = time;
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds)
}

/// Milliseconds since this kernel started.
#[inline(always)]
pub fn now() -> Millis {
    Millis::from_nanos(nanos(Clock::Boot))
}

/// Two bytes that nobody can guess, as far as the kernel has them yet; it is never waited for.
pub fn random() -> u16 {
    const GRND_NONBLOCK: usize = 1;
    let mut number = now().0 as u16;
    // SAFETY: the kernel writes at most two bytes into `number`.
    unsafe {
        call3(number::GETRANDOM, (&raw mut number) as usize, 2, GRND_NONBLOCK);
    }
    number
}

/// `struct pollfd`
#[repr(C)]
#[derive(Clone, Copy)]
struct Waiting {
    descriptor: i32,
    events: i16,
    happened: i16,
}

/// How many sockets to other senders of this machine there are.
const BESIDE: usize = if cfg!(feature = "early") { 1 } else { 0 };

/// How many sockets of links there are.
#[cfg(feature = "link")]
const WIRES: usize = 1 + crate::link::LINKS;
#[cfg(not(feature = "link"))]
const WIRES: usize = 0;

/// Waits until something can be received from one of the sockets, or until `limit` has passed. `more`
/// are two of them, or none; `beside` is another one, or none; `wires` are as many as links need.
#[cfg_attr(not(feature = "link"), expect(unused_variables, reason = "there are no links"))]
pub fn wait(
    some: &[Socket; SERVERS],
    more: &[Socket],
    beside: &Socket,
    wires: &[Socket],
    Millis(limit): Millis,
) {
    const POLLIN: i16 = 1;
    // One of a negative number is passed over.
    let none = Waiting { descriptor: -1, events: POLLIN, happened: 0 };
    let mut waiting = [none; SERVERS + 2 + BESIDE + WIRES];
    for (at, place) in waiting.iter_mut().enumerate() {
        let mut socket = more.get(at).or_else(|| some.get(at.wrapping_sub(2)));
        if cfg!(feature = "early") && at == SERVERS + 2 {
            socket = Some(beside);
        }
        #[cfg(feature = "link")]
        let socket = socket.or_else(|| wires.get(at.wrapping_sub(SERVERS + 2 + BESIDE)));
        if let Some(descriptor) = socket.and_then(Socket::descriptor) {
            place.descriptor = descriptor;
        }
    }
    let time = [limit / 1000, (limit % 1000).wrapping_mul(1_000_000)];
    let (first, count) = (waiting.as_mut_ptr() as usize, waiting.len());
    // SAFETY: `waiting` is that many `struct pollfd`, `time` is a `timespec`; no signal mask.
    unsafe {
        call3(number::PPOLL, first, count, (&raw const time) as usize);
    }
}

/// Writes `text` to standard error, unless that would have to wait: a console or a pipe that
/// nobody reads must not hold up the messages. Says whether it was written.
///
/// To ask first does not do: a terminal counts as ready while it has room for one byte (poll(2)).
/// Whoever shares standard error gets it back as it was.
pub fn complain(text: &[u8]) -> bool {
    const STDERR: i32 = 2;
    const F_GETFL: usize = 3;
    const F_SETFL: usize = 4;
    const O_NONBLOCK: usize = 0o4000;
    // SAFETY: takes numbers and nothing else.
    let Ok(flags) = answer(unsafe { call3(number::FCNTL, STDERR as usize, F_GETFL, 0) }) else {
        return false;
    };
    // SAFETY: takes numbers and nothing else.
    unsafe {
        call3(number::FCNTL, STDERR as usize, F_SETFL, flags | O_NONBLOCK);
    }
    let written = write(STDERR, text).is_ok();
    // SAFETY: takes numbers and nothing else.
    unsafe {
        call3(number::FCNTL, STDERR as usize, F_SETFL, flags);
    }
    written
}

/// Writes all of `text` to standard output, or as much as it takes.
pub fn print(mut text: &[u8]) {
    const STDOUT: i32 = 1;
    while !text.is_empty() {
        match write(STDOUT, text) {
            Ok(0) => break,
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
}

fn write(descriptor: i32, text: &[u8]) -> Result<usize, Errno> {
    survive_closed_pipes();
    // SAFETY: the kernel reads `text.len()` bytes of `text`.
    answer(unsafe {
        call(number::WRITE, [descriptor as usize, text.as_ptr() as usize, text.len(), 0, 0, 0])
    })
}

/// Makes a write to a pipe without a reader an error instead of the end of this process.
fn survive_closed_pipes() {
    const SIGPIPE: usize = 13;
    const SIG_IGN: usize = 1;
    // Handler, flags, restorer, mask of 64 signals.
    let action = [SIG_IGN, 0, 0, 0];
    // SAFETY: `action` has the layout of the kernel's `struct sigaction` with a mask of 8 bytes.
    unsafe {
        call(number::RT_SIGACTION, [SIGPIPE, action.as_ptr() as usize, 0, 8, 0, 0]);
    }
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: takes a number and nothing else.
        unsafe {
            call3(number::EXIT_GROUP, usize::from(code), 0, 0);
        }
    }
}

/// Gives a descriptor back.
#[inline(always)]
fn close(descriptor: i32) {
    // SAFETY: the callers own the descriptor and forget it afterwards.
    unsafe {
        call3(number::CLOSE, descriptor as usize, 0, 0);
    }
}
