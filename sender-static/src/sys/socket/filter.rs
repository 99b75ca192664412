//! Socket filters: programs that the kernel runs over what arrives, to see what is worth handing over.

use super::{Errno, SOL_SOCKET, Socket, answer, call, number};

/// One instruction of a socket filter: code, jumps, operand (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction(pub u16, pub u8, pub u8, pub u32);

/// Takes four bytes, as a number in the network's order.
pub const LOAD_WORD: u16 = 0x20;
/// Compares it.
pub const IF_EQUAL: u16 = 0x15;
/// Hands so many bytes over, 0 for none of it.
pub const RETURN: u16 = 0x06;

impl Socket {
    /// Gets from now on only what `filter` lets pass.
    ///
    /// # Errors
    /// The kernel's.
    #[inline(always)]
    pub(super) fn filter(&self, filter: &[Instruction]) -> Result<(), Errno> {
        const SO_ATTACH_FILTER: usize = 26;
        /// `struct sock_fprog`
        #[repr(C)]
        struct Program {
            length: u16,
            first: *const Instruction,
        }
        let program = Program { length: filter.len() as u16, first: filter.as_ptr() };
        // SAFETY: the kernel reads the program, as many instructions as it says.
        unsafe { self.set_from(SOL_SOCKET, SO_ATTACH_FILTER, &raw const program) }
    }

    /// Sets an option to what is at `value`.
    ///
    /// # Safety
    /// `value` must be valid, and what the option asks for.
    pub(super) unsafe fn set_from<T>(
        &self,
        level: usize,
        name: usize,
        value: *const T,
    ) -> Result<(), Errno> {
        let arguments = [self.number(), level, name, value as usize, size_of::<T>(), 0];
        // SAFETY: the caller vouches for the value, which the kernel reads.
        answer(unsafe { call(number::SETSOCKOPT, arguments) }).map(drop)
    }
}
