//! aarch64: `svc 0`, number in x8, everything but x0 is preserved.

use core::arch::asm;

/// Numbers from `asm-generic/unistd.h`.
pub(super) mod number {
    pub(crate) const FCNTL: usize = 25;
    pub(crate) const IOCTL: usize = 29;
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const READ: usize = 63;
    pub(crate) const WRITE: usize = 64;
    pub(crate) const PPOLL: usize = 73;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const CLOCK_GETTIME: usize = 113;
    pub(crate) const RT_SIGACTION: usize = 134;
    pub(crate) const SOCKET: usize = 198;
    pub(crate) const CONNECT: usize = 203;
    pub(crate) const SENDTO: usize = 206;
    pub(crate) const RECVFROM: usize = 207;
    pub(crate) const SETSOCKOPT: usize = 208;
    pub(crate) const MMAP: usize = 222;
    pub(crate) const GETRANDOM: usize = 278;
    pub(crate) const STATX: usize = 291;
}

/// The same, for what only the whole program does.
#[cfg(feature = "early")]
pub(super) mod early {
    pub(crate) const DUP3: usize = 24;
    pub(crate) const MKDIRAT: usize = 34;
    pub(crate) const UNLINKAT: usize = 35;
    pub(crate) const UMOUNT2: usize = 39;
    pub(crate) const MOUNT: usize = 40;
    pub(crate) const CHDIR: usize = 49;
    pub(crate) const PIPE2: usize = 59;
    pub(crate) const GETDENTS64: usize = 61;
    pub(crate) const SIGNALFD4: usize = 74;
    pub(crate) const READLINKAT: usize = 78;
    pub(crate) const UNSHARE: usize = 97;
    pub(crate) const SCHED_YIELD: usize = 124;
    pub(crate) const RT_SIGPROCMASK: usize = 135;
    pub(crate) const SETPRIORITY: usize = 140;
    pub(crate) const SETSID: usize = 157;
    pub(crate) const GETPID: usize = 172;
    pub(crate) const GETEUID: usize = 175;
    pub(crate) const BIND: usize = 200;
    pub(crate) const RECVMSG: usize = 212;
    pub(crate) const MUNMAP: usize = 215;
    pub(crate) const CLONE: usize = 220;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const WAIT4: usize = 260;
    pub(crate) const FINIT_MODULE: usize = 273;
}

/// # Safety
/// The arguments must be what the system call of that number asks for; memory that it names must
/// be valid for what the kernel does with it.
#[inline]
pub(super) unsafe fn call(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the caller vouches for the arguments; the clobbers are those of the kernel's ABI.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}
