//! `mode kernel`: the addresses and routes of a link are given to the kernel, whose UDP sockets do the
//! rest. They stay there when this program ends.

use super::cards::{self, Card, News};
use crate::plan::{Link, Part};
use crate::sys::{Errno, Socket};
use core::mem::MaybeUninit;

/// Nothing to be done: the kernel has such an address or route already.
const EEXIST: u16 = 17;

/// How far the kernel was told about one link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel {
    /// The interface that has it all.
    done: Option<u32>,
}

impl Kernel {
    /// Nothing was told yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the kernel, when `card` is one that it was not told of. It is told again after the carrier
    /// was away: what goes down loses its routes. What comes of it is for a person: all is well
    /// (`None`), or the last error.
    pub fn attend(
        &mut self,
        kernel: &Socket,
        link: &Link<'_>,
        card: Option<&Card>,
    ) -> Option<Option<Errno>> {
        let index = card.map(|card| card.index);
        if self.done == index || !kernel.is_open() {
            return None;
        }
        self.done = index;
        let index = index?;
        let mut error = None;
        for part in link.parts() {
            let request = match part {
                Ok(Part::Address(address, prefix)) => cards::add_address(index, &address, prefix),
                // After the addresses, which make gateways reachable.
                _ => continue,
            };
            error = error.or(ask(kernel, &request));
        }
        for part in link.parts() {
            if let Ok(Part::Route(to, prefix, gateway)) = part {
                error = error.or(ask(kernel, &cards::add_route(index, &to, prefix, &gateway)));
            }
        }
        Some(error)
    }
}

/// Makes a request, which the kernel answers before the call is over.
fn ask(kernel: &Socket, request: &[u8]) -> Option<Errno> {
    if let Err(error) = kernel.send_connected(request) {
        return Some(error);
    }
    let mut buffer = [MaybeUninit::uninit(); 512];
    // News of interfaces may come in between; they are asked for every second anyway.
    while let Ok(datagram) = kernel.receive(&mut buffer) {
        for news in cards::messages(datagram) {
            if let News::Answer(number) = news {
                return (number != 0 && number != EEXIST).then_some(Errno::new(number));
            }
        }
    }
    None
}
