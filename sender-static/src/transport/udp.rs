//! UDP through the kernel's own sockets: one for each address family, made when first needed.

use super::Transport;
use crate::address::Address;
use crate::args::Options;
use crate::sys::{Errno, Socket};

/// The sockets that the messages leave through.
#[derive(Debug)]
pub struct Udp<'a> {
    options: &'a Options<'a>,
    v4: Option<Socket>,
    v6: Option<Socket>,
}

impl<'a> Udp<'a> {
    /// Port, hops and interface as `options` say.
    pub fn new(options: &'a Options<'a>) -> Self {
        Self { options, v4: None, v6: None }
    }
}

#[inline(never)]
fn open(options: &Options<'_>, like: &Address) -> Result<Socket, Errno> {
    let socket = Socket::new(like)?;
    if !options.device.is_empty() {
        socket.use_device(options.device)?;
    }
    if options.hops > 0 {
        socket.limit_hops(like, options.hops)?;
    }
    Ok(socket)
}

impl Transport for Udp<'_> {
    #[inline(never)]
    fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno> {
        let place = if to.is_v6() { &mut self.v6 } else { &mut self.v4 };
        let socket = match place {
            Some(socket) => socket,
            None => place.insert(open(self.options, to)?),
        };
        let mut result = socket.send(message, to, self.options.port);
        if result == Err(Errno::EACCES) {
            // Only now, since most senders never need it.
            socket.allow_broadcast()?;
            result = socket.send(message, to, self.options.port);
        }
        if result.is_err() && !self.options.device.is_empty() {
            // The interface may be gone and come back as another one of the same name.
            *place = None;
        }
        result
    }
}
