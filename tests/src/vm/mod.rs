//! A real kernel that panics into a real crash kernel, in a virtual machine.
//!
//! A [`Machine`] boots Debian's cloud kernel under qemu (no KVM needed) from an [`Image`] made
//! here: the production kernel's `/init` loads a crash kernel with `kexec -p` and waits for an
//! order on the serial console; the crash kernel's `/init` brings up the network card and starts
//! the sender under test. Both write marker lines to the console, where [`Machine`] notes when
//! each arrived, so that all times are the host's.
//!
//! The machine's network card ends in qemu's user-mode network: what the guest sends to 10.0.2.2
//! arrives on 127.0.0.1 of the network namespace qemu runs in, from 127.0.0.1. So every machine
//! gets a [`crate::Netns`] of its own, in which port 7410 is free, and the agent there is asked for
//! the node 127.0.0.1.

mod assets;
mod container;
mod cpio;
mod distribution;
mod image;
mod machine;
mod timings;
mod wire;

pub use assets::Assets;
pub use container::Container;
pub use distribution::Distribution;
pub use image::{Image, Moment, Sender};
pub use machine::{Crash, Hardware, Machine};
pub use timings::{Row, Timings};
pub use wire::{Datagram, datagrams};

use std::path::PathBuf;

/// Where images, logs and the timing table are left: `target/vm` of the workspace.
#[must_use]
pub fn directory() -> PathBuf {
    let directory = crate::programs::workspace().join("target/vm");
    std::fs::create_dir_all(&directory)
        .unwrap_or_else(|e| panic!("{}: cannot be made: {e}", directory.display()));
    directory
}
