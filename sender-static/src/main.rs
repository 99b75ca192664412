//! The program `fence_kdump_send`: an entry symbol, a panic handler that must not be needed, and
//! the library.
#![no_std]
#![no_main]

mod entry;
mod mem;

use core::panic::PanicInfo;

/// Never called, which the linker proves: what it calls does not exist. If linking fails over this
/// symbol, the last change has made code that can panic.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn fence_kdump_send_must_not_be_able_to_panic() -> !;
    }
    // SAFETY: there is no such function, so there is no program in which this runs.
    unsafe { fence_kdump_send_must_not_be_able_to_panic() }
}
