//! How senders of one machine speak to each other: datagrams between sockets in the abstract namespace of
//! unix(7), one for each sender, which is a place of a port.

use core::mem::MaybeUninit;
use core::slice;

use super::machine::early;
use super::{Socket, answer, call, call3, number};

/// How many senders of one port can be told anything.
pub const PLACES: u8 = 8;

const AF_UNIX: usize = 1;

/// `struct sockaddr_un`, as far as it is used: the zero byte of the abstract namespace, the name of this
/// program, the port and the place.
#[repr(C)]
#[derive(Clone, Copy)]
struct Name {
    family: u16,
    zero: u8,
    program: [u8; 17],
    port: [u8; 4],
    slash: u8,
    place: u8,
}

impl Name {
    fn new(port: u16, place: u8) -> Self {
        let digit = |shift: u32| {
            let value = u32::from(port) >> shift & 15;
            char::from_digit(value, 16).map_or(b'0', |digit| digit as u8)
        };
        Self {
            family: AF_UNIX as u16,
            zero: 0,
            program: *b"fence_kdump_send/",
            port: [12, 8, 4, 0].map(digit),
            slash: b'/',
            place: b'0'.wrapping_add(place),
        }
    }
}

/// `struct cmsghdr` with a `struct ucred`.
#[repr(C, align(8))]
struct Credentials {
    length: usize,
    level: u32,
    kind: u32,
    process: u32,
    user: u32,
    group: u32,
}

/// A sender's place.
#[derive(Debug)]
pub struct Place {
    socket: Socket,
    port: u16,
    /// Which one it is: everything that is smaller was there before.
    pub number: u8,
}

impl Place {
    /// No place.
    pub const NONE: Self = Self { socket: Socket::NONE, port: 0, number: 0 };

    /// Takes the first free place of `port`; none, when all are taken.
    pub fn take(port: u16) -> Self {
        const SO_PASSCRED: usize = 16;
        let mut socket = Socket::NONE;
        if socket.open_local(AF_UNIX).is_err() {
            return Self::NONE;
        }
        for number in 0..PLACES {
            let name = Name::new(port, number);
            if socket.bind(&name).is_ok() {
                // Without it, nobody is believed.
                let _ = socket.have(SO_PASSCRED);
                return Self { socket, port, number };
            }
        }
        Self::NONE
    }

    /// A socket that only speaks.
    pub fn nowhere(port: u16) -> Self {
        let mut socket = Socket::NONE;
        let _ = socket.open_local(AF_UNIX);
        Self { socket, port, number: PLACES }
    }

    /// What is waited for.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Tells the sender at another place. Says whether there is one.
    pub fn tell(&self, place: u8, message: &[u8]) -> bool {
        self.socket.tell(&Name::new(self.port, place), message)
    }

    /// Takes one message that has come from a place of root's, or of the user that this process is of. Gives
    /// the place too, [`PLACES`] where it has none. What others say is dropped.
    pub fn hear<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Option<(u8, &'b [u8])> {
        const MSG_DONTWAIT: usize = 0x40;
        const SOL_SOCKET_CREDENTIALS: (u32, u32) = (1, 2);
        let descriptor = self.socket.descriptor()? as usize;
        loop {
            let mut name = Name::new(0, PLACES);
            let mut from =
                Credentials { length: 0, level: 0, kind: 0, process: 0, user: 0, group: 0 };
            let part = [buffer.as_mut_ptr() as usize, buffer.len()];
            let mut header = [0usize; 7];
            {
                let [to, length, parts, count, control, room, _] = &mut header;
                (*to, *length) = ((&raw mut name) as usize, size_of::<Name>());
                (*parts, *count) = (part.as_ptr() as usize, 1);
                (*control, *room) = ((&raw mut from) as usize, size_of::<Credentials>());
                if cfg!(target_endian = "big") {
                    // A number of 32 bits with padding behind it.
                    *length <<= 32;
                }
            }
            // SAFETY: a `struct msghdr` of seven words, whose name, buffer and control data are as long as it
            // says, and ours.
            let heard = answer(unsafe {
                call3(early::RECVMSG, descriptor, header.as_mut_ptr() as usize, MSG_DONTWAIT)
            });
            let heard = heard.ok()?.min(buffer.len());
            // SAFETY: takes nothing.
            let me = unsafe { call3(early::GETEUID, 0, 0, 0) } as u32;
            if (from.level, from.kind) == SOL_SOCKET_CREDENTIALS
                && (from.user == 0 || from.user == me)
            {
                // SAFETY: the kernel has written that many bytes, and `buffer` is borrowed for as long.
                let text = unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), heard) };
                return Some((name.place.wrapping_sub(b'0').min(PLACES), text));
            }
        }
    }
}

impl Socket {
    fn open_local(&mut self, family: usize) -> Result<(), super::Errno> {
        const SOCK_DGRAM_CLOEXEC_NONBLOCK: usize = 2 | 0o200_0000 | 0o4000;
        self.open_as(family, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0)
    }

    fn bind(&self, name: &Name) -> Result<usize, super::Errno> {
        let descriptor = self.descriptor().unwrap_or(-1) as usize;
        // SAFETY: the kernel reads the name.
        answer(unsafe {
            call3(early::BIND, descriptor, (&raw const *name) as usize, size_of::<Name>())
        })
    }

    fn tell(&self, to: &Name, message: &[u8]) -> bool {
        let descriptor = self.descriptor().unwrap_or(-1) as usize;
        let (start, name) = (message.as_ptr() as usize, (&raw const *to) as usize);
        // SAFETY: the kernel reads the message and the name.
        let told = unsafe {
            call(number::SENDTO, [descriptor, start, message.len(), 0, name, size_of::<Name>()])
        };
        answer(told).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_port() {
        // A port that no test of a whole sender uses.
        let port = 61_000 + (std::process::id() % 4000) as u16;
        let places: Vec<_> = (0..PLACES).map(|_| Place::take(port)).collect();
        assert!(places.iter().map(|place| place.number).eq(0..PLACES));
        assert!(!Place::take(port).socket().is_open(), "all are taken");
        let [first, second, ..] = &places[..] else { panic!() };
        let mut buffer = [MaybeUninit::uninit(); 5];
        assert_eq!(first.hear(&mut buffer), None);
        assert!(second.tell(0, b"hello, you"));
        assert!(Place::nowhere(port).tell(0, b""));
        assert_eq!(first.hear(&mut buffer), Some((1, &b"hello"[..])), "cut off");
        assert_eq!(first.hear(&mut buffer), Some((PLACES, &b""[..])));
        assert_eq!(first.hear(&mut buffer), None);
        assert!(!second.tell(PLACES, b""), "nobody is there");
        drop(places);
        assert!(!Place::nowhere(port).tell(0, b""));
        assert_eq!(Place::take(port).number, 0);
    }
}
