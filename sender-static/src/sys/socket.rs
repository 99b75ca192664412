//! UDP sockets.

use core::mem::MaybeUninit;
use core::num::NonZero;
use core::slice;

use super::{Errno, answer, call, call3, close, number};
use crate::address::Address;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const MSG_DONTWAIT: usize = 0x40;

const SOL_SOCKET: usize = 1;
const SO_BROADCAST: usize = 6;
const SO_BINDTODEVICE: usize = 25;
/// Level, unicast hops, multicast hops: `IPPROTO_IP`, `IP_TTL`, `IP_MULTICAST_TTL`, ip(7).
const HOPS_V4: [usize; 3] = [0, 2, 33];
/// `IPPROTO_IPV6`, `IPV6_UNICAST_HOPS`, `IPV6_MULTICAST_HOPS`, ipv6(7).
const HOPS_V6: [usize; 3] = [41, 16, 18];

/// `struct sockaddr_in6`. `struct sockaddr_in` has the same beginning, and its address where the
/// other has its flow; what follows there is padding.
#[repr(C)]
struct SocketAddress {
    family: u16,
    port: [u8; 2],
    v4_or_flow: [u8; 4],
    v6: [[u8; 8]; 2],
    scope: u32,
}

impl SocketAddress {
    fn new(address: &Address, port: u16, scope: u32) -> Self {
        let v4 = address.as_v4();
        Self {
            family: family(address),
            port: port.to_be_bytes(),
            v4_or_flow: v4.unwrap_or_default(),
            v6: address.as_v6(),
            scope,
        }
    }

    fn start(&self) -> usize {
        (&raw const *self) as usize
    }

    /// How many bytes of it the kernel is to read: `sockaddr_in` has 16.
    fn length(&self) -> usize {
        if self.family == AF_INET { 16 } else { size_of::<Self>() }
    }
}

fn family(address: &Address) -> u16 {
    if address.is_v6() { AF_INET6 } else { AF_INET }
}

/// A UDP socket of one address family. Given back when dropped.
#[derive(Debug)]
pub struct Socket(NonZero<i32>);

impl Socket {
    /// A socket for addresses of the family that `like` has.
    ///
    /// # Errors
    /// The kernel's, as `EAFNOSUPPORT` where IPv6 is switched off.
    pub fn new(like: &Address) -> Result<Self, Errno> {
        const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o200_0000;
        loop {
            // SAFETY: takes numbers and nothing else.
            let descriptor = answer(unsafe {
                call3(number::SOCKET, usize::from(family(like)), SOCK_DGRAM_CLOEXEC, 0)
            })? as i32;
            // A process that was started with standard error closed gets its number for the next
            // descriptor; what is meant for a person would go to the network. A socket that is
            // used for nothing keeps the number taken.
            if descriptor > 2
                && let Some(descriptor) = NonZero::new(descriptor)
            {
                return Ok(Self(descriptor));
            }
        }
    }

    fn number(&self) -> usize {
        self.0.get() as usize
    }

    pub(super) fn descriptor(&self) -> i32 {
        self.0.get()
    }

    /// Lets messages go to broadcast addresses.
    ///
    /// # Errors
    /// The kernel's.
    pub fn allow_broadcast(&self) -> Result<(), Errno> {
        self.set(SOL_SOCKET, SO_BROADCAST, &1u32.to_ne_bytes())
    }

    /// How many routers a message may pass, 1 to 255. `like` is an address of the socket's family.
    ///
    /// # Errors
    /// The kernel's.
    pub fn limit_hops(&self, like: &Address, hops: u8) -> Result<(), Errno> {
        let names = if like.is_v6() { HOPS_V6 } else { HOPS_V4 };
        let [level, unicast, multicast] = names;
        let hops = u32::from(hops).to_ne_bytes();
        self.set(level, unicast, &hops)?;
        self.set(level, multicast, &hops)
    }

    /// Has everything leave through the interface of that name (`SO_BINDTODEVICE`, socket(7)).
    ///
    /// # Errors
    /// `ENODEV` while there is no such interface, `EPERM` without the privilege.
    pub fn use_device(&self, name: &[u8]) -> Result<(), Errno> {
        self.set(SOL_SOCKET, SO_BINDTODEVICE, name)
    }

    #[inline(never)]
    fn set(&self, level: usize, name: usize, value: &[u8]) -> Result<(), Errno> {
        let start = value.as_ptr() as usize;
        // SAFETY: the kernel reads `value.len()` bytes of `value`.
        answer(unsafe {
            call(number::SETSOCKOPT, [self.number(), level, name, start, value.len(), 0])
        })?;
        Ok(())
    }

    /// The number of the interface that `address` names, 0 when it names none.
    fn scope(&self, address: &Address) -> Result<u32, Errno> {
        const SIOCGIFINDEX: usize = 0x8933;
        if let Some(number) = address.zone.number() {
            return Ok(number);
        }
        /// `struct ifreq`: the name, then what is asked for.
        #[repr(C)]
        struct Request {
            name: [u8; 16],
            index: u32,
            rest: [u8; 20],
        }
        let mut request = Request { name: address.zone.name(), index: 0, rest: [0; 20] };
        // SAFETY: the kernel reads and writes one `struct ifreq` of 40 bytes.
        answer(unsafe {
            call(number::IOCTL, [self.number(), SIOCGIFINDEX, (&raw mut request) as usize, 0, 0, 0])
        })?;
        let Request { index, rest: _, name: _ } = request;
        Ok(index)
    }

    /// Hands one message to the network, without ever waiting for it.
    ///
    /// # Errors
    /// The kernel's; `ENODEV` while the address names an interface that does not exist.
    pub fn send(&self, message: &[u8], to: &Address, port: u16) -> Result<(), Errno> {
        let to = SocketAddress::new(to, port, self.scope(to)?);
        let start = message.as_ptr() as usize;
        // SAFETY: the kernel reads `message` and the address, both alive until the call is over.
        answer(unsafe {
            call(
                number::SENDTO,
                [self.number(), start, message.len(), MSG_DONTWAIT, to.start(), to.length()],
            )
        })?;
        Ok(())
    }

    /// Takes messages only from there, sends only to there, and hears of closed ports.
    ///
    /// # Errors
    /// The kernel's, as `ENETUNREACH` while no route leads there.
    pub fn connect(&self, to: &Address, port: u16) -> Result<(), Errno> {
        let to = SocketAddress::new(to, port, self.scope(to)?);
        // SAFETY: the kernel reads the address, alive until the call is over.
        answer(unsafe { call3(number::CONNECT, self.number(), to.start(), to.length()) })?;
        Ok(())
    }

    /// Sends to where [`Self::connect`] pointed.
    ///
    /// # Errors
    /// The kernel's; `ECONNREFUSED` when an earlier message met a closed port.
    pub fn send_connected(&self, message: &[u8]) -> Result<(), Errno> {
        let start = message.as_ptr() as usize;
        // SAFETY: the kernel reads `message`, alive until the call is over.
        answer(unsafe {
            call(number::SENDTO, [self.number(), start, message.len(), MSG_DONTWAIT, 0, 0])
        })?;
        Ok(())
    }

    /// Takes one datagram that has arrived, cut off at the end of `buffer`.
    ///
    /// # Errors
    /// `EAGAIN` when none is there; `ECONNREFUSED` when an earlier message met a closed port.
    pub fn receive<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
        let start = buffer.as_mut_ptr() as usize;
        // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`.
        let received = answer(unsafe {
            call(number::RECVFROM, [self.number(), start, buffer.len(), MSG_DONTWAIT, 0, 0])
        })?;
        let received = received.min(buffer.len());
        // SAFETY: the kernel has written that many bytes, and `buffer` is borrowed for as long.
        Ok(unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), received) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        close(self.0.get());
    }
}
