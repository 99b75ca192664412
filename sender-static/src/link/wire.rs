//! The device, in the shape of smoltcp's: frames of one link, with its VLAN tag.

use core::mem::MaybeUninit;

use heapless::Vec;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::cards::Mac;
use crate::sys::{Errno, Socket};

/// The longest frame that is sent or read, without its tag. Nothing here needs more, so whatever
/// larger frames a network allows, they are not used.
pub const FRAME: usize = 1514;

const TAG: usize = 4;

/// Something that takes and gives whole frames, untagged when they come in.
pub trait Ether {
    /// Takes the next frame that has arrived, cut off at the end of `buffer`.
    ///
    /// # Errors
    /// The kernel's; `EAGAIN` when none is there.
    fn take<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno>;

    /// Sends a frame, without waiting for anything.
    ///
    /// # Errors
    /// The kernel's; `ENOBUFS` or `EAGAIN` when the card's ring is full.
    fn put(&self, frame: &[u8]) -> Result<(), Errno>;
}

impl Ether for Socket {
    fn take<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
        self.receive(buffer)
    }

    fn put(&self, frame: &[u8]) -> Result<(), Errno> {
        self.send_connected(frame)
    }
}

/// One link's frames.
pub struct Wire<'w, E> {
    /// Where they go and come from.
    pub ether: &'w E,
    /// The tag of those that go, 0 for none.
    pub vlan: u16,
    /// Room for one of them.
    pub buffer: &'w mut [MaybeUninit<u8>; FRAME],
}

/// A frame that has come.
#[derive(Debug)]
pub struct Taken<'a>(&'a [u8]);

/// The means to send one.
pub struct Sending<'a, E> {
    ether: &'a E,
    vlan: u16,
}

impl<E: Ether> Wire<'_, E> {
    /// Sends a frame that is complete but for its tag. Says why it could not.
    pub fn put(&mut self, frame: &[u8]) -> Option<Errno> {
        Sending { ether: self.ether, vlan: self.vlan }.put(frame)
    }
}

impl<E: Ether> Sending<'_, E> {
    #[inline(never)]
    fn put(&self, frame: &[u8]) -> Option<Errno> {
        if self.vlan == 0 {
            return self.ether.put(frame).err();
        }
        // IEEE 802.1Q: behind the addresses.
        let mut tagged = Vec::<u8, { FRAME + TAG }>::new();
        let (addresses, rest) = frame.split_at_checked(12).unwrap_or_default();
        let [high, low] = self.vlan.to_be_bytes();
        for part in [addresses, &[0x81, 0x00, high, low], rest] {
            let _ = tagged.extend_from_slice(part);
        }
        self.ether.put(&tagged).err()
    }
}

impl<E: Ether> Device for Wire<'_, E> {
    type RxToken<'a>
        = Taken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<'a, E>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Taken<'_>, Sending<'_, E>)> {
        let frame = self.ether.take(self.buffer).ok()?;
        Some((Taken(frame), Sending { ether: self.ether, vlan: self.vlan }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_, E>> {
        Some(Sending { ether: self.ether, vlan: self.vlan })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        // What a virtual card's other side sends has no checksum yet.
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}

impl RxToken for Taken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

impl<E: Ether> TxToken for Sending<'_, E> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut room = [0; FRAME];
        // It never asks for more than the capabilities promise.
        let (frame, _) = room.split_at_mut(length.min(FRAME));
        let result = write(frame);
        // Whoever sends this way does not ask what became of it.
        self.put(frame);
        result
    }
}

/// The addresses that a frame begins with, and what follows: to whom, from whom, which protocol, what.
pub fn parts(frame: &[u8]) -> Option<(Mac, Mac, u16, &[u8])> {
    let (to, rest) = frame.split_first_chunk()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (protocol, rest) = rest.split_first_chunk()?;
    Some((*to, *from, u16::from_be_bytes(*protocol), rest))
}
