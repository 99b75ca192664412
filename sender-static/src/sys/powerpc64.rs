//! powerpc64le: `sc`, number in r0; the summary overflow bit says whether r3 is an error.

use core::arch::asm;

/// Numbers from `asm/unistd_64.h`.
pub(super) mod number {
    pub(crate) const READ: usize = 3;
    pub(crate) const WRITE: usize = 4;
    pub(crate) const CLOSE: usize = 6;
    pub(crate) const IOCTL: usize = 54;
    pub(crate) const FCNTL: usize = 55;
    pub(crate) const MMAP: usize = 90;
    pub(crate) const RT_SIGACTION: usize = 173;
    pub(crate) const EXIT_GROUP: usize = 234;
    pub(crate) const CLOCK_GETTIME: usize = 246;
    pub(crate) const PPOLL: usize = 281;
    pub(crate) const OPENAT: usize = 286;
    pub(crate) const SOCKET: usize = 326;
    pub(crate) const CONNECT: usize = 328;
    pub(crate) const SENDTO: usize = 335;
    pub(crate) const RECVFROM: usize = 337;
    pub(crate) const SETSOCKOPT: usize = 339;
    pub(crate) const GETRANDOM: usize = 359;
    pub(crate) const STATX: usize = 383;
}

/// The same, for what only the whole program does.
#[cfg(feature = "early")]
pub(super) mod early {
    pub(crate) const EXECVE: usize = 11;
    pub(crate) const CHDIR: usize = 12;
    pub(crate) const GETPID: usize = 20;
    pub(crate) const MOUNT: usize = 21;
    pub(crate) const GETEUID: usize = 49;
    pub(crate) const UMOUNT2: usize = 52;
    pub(crate) const SETSID: usize = 66;
    pub(crate) const MUNMAP: usize = 91;
    pub(crate) const SETPRIORITY: usize = 97;
    pub(crate) const WAIT4: usize = 114;
    pub(crate) const CLONE: usize = 120;
    pub(crate) const SCHED_YIELD: usize = 158;
    pub(crate) const RT_SIGPROCMASK: usize = 174;
    pub(crate) const GETDENTS64: usize = 202;
    pub(crate) const UNSHARE: usize = 282;
    pub(crate) const MKDIRAT: usize = 287;
    pub(crate) const UNLINKAT: usize = 292;
    pub(crate) const READLINKAT: usize = 296;
    pub(crate) const SIGNALFD4: usize = 313;
    pub(crate) const DUP3: usize = 316;
    pub(crate) const PIPE2: usize = 317;
    pub(crate) const BIND: usize = 327;
    pub(crate) const RECVMSG: usize = 342;
    pub(crate) const FINIT_MODULE: usize = 353;
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
            "sc",
            "bns+ 1f",
            "neg 3, 3",
            "1:",
            inlateout("r0") number => _,
            inlateout("r3") a => result,
            inlateout("r4") b => _,
            inlateout("r5") c => _,
            inlateout("r6") d => _,
            inlateout("r7") e => _,
            inlateout("r8") f => _,
            lateout("r9") _, lateout("r10") _, lateout("r11") _, lateout("r12") _,
            lateout("cr0") _, lateout("ctr") _, lateout("xer") _,
            options(nostack),
        );
    }
    result
}
