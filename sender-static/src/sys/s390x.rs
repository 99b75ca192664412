//! s390x: `svc 0`, number in r1, arguments from r2; `mmap` takes its arguments in memory.

use core::arch::asm;

/// Numbers from `asm/unistd_64.h`.
pub(super) mod number {
    pub(crate) const READ: usize = 3;
    pub(crate) const WRITE: usize = 4;
    pub(crate) const CLOSE: usize = 6;
    pub(crate) const IOCTL: usize = 54;
    pub(crate) const FCNTL: usize = 55;
    pub(crate) const MMAP: usize = 90;
    pub(crate) const RT_SIGACTION: usize = 174;
    pub(crate) const EXIT_GROUP: usize = 248;
    pub(crate) const CLOCK_GETTIME: usize = 260;
    pub(crate) const OPENAT: usize = 288;
    pub(crate) const PPOLL: usize = 302;
    pub(crate) const GETRANDOM: usize = 349;
    pub(crate) const SOCKET: usize = 359;
    pub(crate) const CONNECT: usize = 362;
    pub(crate) const SETSOCKOPT: usize = 366;
    pub(crate) const SENDTO: usize = 369;
    pub(crate) const RECVFROM: usize = 371;
    pub(crate) const STATX: usize = 379;
}

/// The same, for what only the whole program does.
#[cfg(feature = "early")]
pub(super) mod early {
    pub(crate) const EXECVE: usize = 11;
    pub(crate) const CHDIR: usize = 12;
    pub(crate) const GETPID: usize = 20;
    pub(crate) const MOUNT: usize = 21;
    pub(crate) const UMOUNT2: usize = 52;
    pub(crate) const SETSID: usize = 66;
    pub(crate) const MUNMAP: usize = 91;
    pub(crate) const SETPRIORITY: usize = 97;
    pub(crate) const WAIT4: usize = 114;
    pub(crate) const CLONE: usize = 120;
    pub(crate) const SCHED_YIELD: usize = 158;
    pub(crate) const RT_SIGPROCMASK: usize = 175;
    pub(crate) const GETEUID: usize = 201;
    pub(crate) const GETDENTS64: usize = 220;
    pub(crate) const MKDIRAT: usize = 289;
    pub(crate) const UNLINKAT: usize = 294;
    pub(crate) const READLINKAT: usize = 298;
    pub(crate) const UNSHARE: usize = 303;
    pub(crate) const SIGNALFD4: usize = 322;
    pub(crate) const PIPE2: usize = 325;
    pub(crate) const DUP3: usize = 326;
    pub(crate) const FINIT_MODULE: usize = 344;
    pub(crate) const BIND: usize = 361;
    pub(crate) const RECVMSG: usize = 372;
}

/// # Safety
/// The arguments must be what the system call of that number asks for; memory that it names must
/// be valid for what the kernel does with it.
#[inline]
pub(super) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let in_memory = arguments;
    let [a, b, c, d, e, f] = arguments;
    let a = if number == number::MMAP { in_memory.as_ptr() as usize } else { a };
    let result;
    // SAFETY: the caller vouches for the arguments; `in_memory` outlives the call; the kernel
    // preserves every register but r2.
    unsafe {
        asm!(
            "svc 0",
            in("r1") number,
            inlateout("r2") a => result,
            in("r3") b, in("r4") c, in("r5") d, in("r6") e, in("r7") f,
            options(nostack),
        );
    }
    result
}
