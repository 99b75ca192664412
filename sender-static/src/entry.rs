//! Where the kernel jumps to: the stack pointer becomes the one argument of a Rust function.

use core::arch::global_asm;

use fence_kdump_sender::{program, sys};

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl fence_kdump_entry",
    ".type fence_kdump_entry, @function",
    "fence_kdump_entry:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl fence_kdump_entry",
    ".type fence_kdump_entry, @function",
    "fence_kdump_entry:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "b {start}",
    start = sym start,
);

// The ABI wants 160 bytes above a caller's stack pointer for its callee.
#[cfg(target_arch = "s390x")]
global_asm!(
    ".globl fence_kdump_entry",
    ".type fence_kdump_entry, @function",
    "fence_kdump_entry:",
    "lgr %r2, %r15",
    "aghi %r15, -160",
    "xc 0(8,%r15), 0(%r15)",
    "brasl %r14, {start}",
    "j .+2",
    start = sym start,
);

// ELFv2: r12 is the address of this very symbol; r2 has to be made from it before any call.
#[cfg(target_arch = "powerpc64")]
global_asm!(
    ".globl fence_kdump_entry",
    ".type fence_kdump_entry, @function",
    "fence_kdump_entry:",
    "0: addis 2, 12, .TOC.-0b@ha",
    "addi 2, 2, .TOC.-0b@l",
    "mr 3, 1",
    "clrrdi 1, 1, 4",
    "li 0, 0",
    "stdu 0, -32(1)",
    "mtlr 0",
    "bl {start}",
    "nop",
    "trap",
    start = sym start,
);

/// # Safety
/// `stack` must be the stack pointer that the kernel started this process with.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the entry symbol passes on what the kernel gave it, and nothing writes there.
    let arguments = unsafe { sys::Arguments::on_stack(stack) };
    sys::exit(program::run(arguments).code())
}
