//! How a message leaves this machine, and how a challenge gets in.

pub mod udp;

use crate::address::Address;
use crate::sys::{Errno, Socket};

/// Something that hands messages to the network.
pub trait Transport {
    /// Hands `message` over, without waiting for anything.
    ///
    /// # Errors
    /// The kernel's. Whatever it is, the same message may be taken the next time.
    fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno>;

    /// Everything that a challenge can come through.
    fn ways_in(&self) -> &[Socket];
}
