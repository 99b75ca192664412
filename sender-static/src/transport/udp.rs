//! UDP through the kernel's own sockets: one for each address family, made when first needed.

use core::mem::MaybeUninit;

use super::Transport;
use crate::address::Address;
use crate::args::Options;
use crate::sys::{Errno, Socket, Source};

/// The sockets that the messages leave through.
#[derive(Debug)]
pub struct Udp<'a> {
    options: &'a Options<'a>,
    /// For IPv4 and for IPv6.
    sockets: [Socket; 2],
}

impl<'a> Udp<'a> {
    /// Port, hops and interface as `options` say.
    pub fn new(options: &'a Options<'a>) -> Self {
        Self { options, sockets: [Socket::NONE; 2] }
    }
}

fn set_up(socket: &Socket, options: &Options<'_>, like: &Address) -> Result<(), Errno> {
    if !options.device.is_empty() {
        socket.use_device(options.device)?;
    }
    if options.hops > 0 {
        socket.limit_hops(like, options.hops)?;
    }
    Ok(())
}

impl Transport for Udp<'_> {
    #[inline(never)]
    fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno> {
        let [v4, v6] = &mut self.sockets;
        let socket = if to.is_v6() { v6 } else { v4 };
        let mut result = Ok(());
        if !socket.is_open() {
            socket.open(to)?;
            result = set_up(socket, self.options, to);
        }
        let ready = result.is_ok();
        if ready {
            result = socket.send(message, to, self.options.port);
        }
        if result == Err(Errno::EACCES) {
            // Only now, since most senders never need it.
            socket.allow_broadcast()?;
            result = socket.send(message, to, self.options.port);
        }
        if !ready || result.is_err() && !self.options.device.is_empty() {
            // The interface may be gone and come back as another one of the same name.
            socket.close();
        }
        result
    }

    fn ways_in(&self) -> &[Socket] {
        &self.sockets
    }

    #[inline(always)]
    fn places(&self) -> usize {
        self.sockets.len()
    }

    #[inline(always)]
    fn receive<'b>(
        &mut self,
        place: usize,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
    ) -> Option<&'b [u8]> {
        let way = self.sockets.get(place).filter(|way| way.is_open())?;
        way.receive_from(buffer, source).ok()
    }

    #[inline(always)]
    fn send_back(&mut self, place: usize, message: &[u8], to: &Source) {
        if let Some(way) = self.sockets.get(place) {
            let _ = way.send_back(message, to);
        }
    }
}
