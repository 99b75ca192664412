//! How a message leaves this machine, and how a challenge gets in.

pub mod udp;
#[cfg(feature = "link")]
pub mod ways;

use core::mem::MaybeUninit;

use crate::address::Address;
use crate::schedule::Millis;
use crate::sys::{Errno, Socket, Source};

/// Something that hands messages to the network.
pub trait Transport {
    /// Hands `message` over, without waiting for anything.
    ///
    /// # Errors
    /// The kernel's. Whatever it is, the same message may be taken the next time.
    fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno>;

    /// The sockets that nothing but a challenge can come through.
    fn ways_in(&self) -> &[Socket];

    /// How many places [`Self::receive`] has.
    fn places(&self) -> usize;

    /// Takes one datagram that has arrived at that place, cut off at the end of `buffer`, and says
    /// where it came from.
    fn receive<'b>(
        &mut self,
        place: usize,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
    ) -> Option<&'b [u8]>;

    /// Sends `message` to where a datagram of that place came from, if it can be sent now.
    fn send_back(&mut self, place: usize, message: &[u8], to: &Source);

    /// Whether a message that was refused may be taken very soon, so that no round is lost over it.
    #[inline(always)]
    fn is_patient(&self) -> bool {
        false
    }

    /// Everything that is waited for besides.
    #[inline(always)]
    fn wires(&self) -> &[Socket] {
        &[]
    }

    /// When [`Self::attend`] is to be called though nothing has arrived.
    #[inline(always)]
    fn due(&mut self, _: Millis) -> Millis {
        Millis::NEVER
    }

    /// Does what is due, and reads what has arrived. Says whether there is hope for messages that were
    /// refused.
    #[inline(always)]
    fn attend(&mut self, _: Millis) -> bool {
        false
    }
}
