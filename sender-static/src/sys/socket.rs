//! UDP sockets.

#[cfg(feature = "early")]
mod ends;
#[cfg(feature = "early")]
pub mod filter;
#[cfg(feature = "early")]
mod netlink;
#[cfg(feature = "link")]
mod packet;

use core::mem::MaybeUninit;
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
    const NONE: Self =
        Self { family: 0, port: [0; 2], v4_or_flow: [0; 4], v6: [[0; 8]; 2], scope: 0 };

    const LENGTH: u32 = size_of::<Self>() as u32;

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

/// Where a datagram came from.
// As the kernel gives it, and takes it back.
#[repr(C)]
pub struct Source {
    address: SocketAddress,
    length: u32,
}

impl Source {
    /// Nowhere yet.
    pub const NONE: Self = Self { address: SocketAddress::NONE, length: 0 };

    /// That address and port, behind the link of that number.
    #[cfg(feature = "link")]
    pub fn behind(address: &Address, port: u16, link: u32) -> Self {
        Self { address: SocketAddress::new(address, port, link), length: 0 }
    }

    /// The port.
    #[cfg(feature = "link")]
    pub fn port(&self) -> u16 {
        u16::from_be_bytes(self.address.port)
    }

    /// The number that [`Self::behind`] was given.
    #[cfg(feature = "link")]
    pub fn link(&self) -> u32 {
        self.address.scope
    }

    /// The address, without an interface.
    pub fn address(&self) -> Address {
        match self.address.family {
            AF_INET => Address::from_v4(self.address.v4_or_flow),
            _ => Address::from_v6(self.address.v6),
        }
    }
}

/// A UDP socket of one address family, or none. Given back when dropped.
#[derive(Debug)]
pub struct Socket(i32);

impl Socket {
    /// None yet: such low numbers are never used, see [`Self::open`].
    pub const NONE: Self = Self(0);

    pub(super) fn descriptor(&self) -> Option<i32> {
        self.is_open().then_some(self.0)
    }

    /// Whether there is one.
    pub fn is_open(&self) -> bool {
        self.0 > 0
    }

    /// Becomes one for addresses of the family that `like` has.
    ///
    /// # Errors
    /// The kernel's, as `EAFNOSUPPORT` where IPv6 is switched off.
    #[inline(never)]
    pub fn open(&mut self, like: &Address) -> Result<(), Errno> {
        const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o200_0000;
        self.open_as(usize::from(family(like)), SOCK_DGRAM_CLOEXEC, 0)
    }

    /// Becomes one of that family, type and protocol.
    #[inline(always)]
    pub(super) fn open_as(
        &mut self,
        family: usize,
        kind: usize,
        protocol: usize,
    ) -> Result<(), Errno> {
        loop {
            // SAFETY: takes numbers and nothing else.
            let descriptor = answer(unsafe { call3(number::SOCKET, family, kind, protocol) })?;
            // A process that was started with standard error closed gets its number for the next
            // descriptor; what is meant for a person would go to the network. A socket that is
            // used for nothing keeps the number taken.
            if descriptor > 2 {
                self.0 = descriptor as i32;
                return Ok(());
            }
        }
    }

    /// Switches an option on that is a number.
    #[cfg(feature = "early")]
    pub(super) fn have(&self, name: usize) -> Result<(), Errno> {
        self.set(SOL_SOCKET, name, &1u32.to_ne_bytes())
    }

    /// Is none any more.
    #[inline(never)]
    pub fn close(&mut self) {
        if self.is_open() {
            close(self.0);
        }
        self.0 = 0;
    }

    fn number(&self) -> usize {
        self.0 as usize
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
        self.hand_over(message, &SocketAddress::new(to, port, self.scope(to)?))
    }

    #[inline(never)]
    fn hand_over(&self, message: &[u8], to: &SocketAddress) -> Result<(), Errno> {
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

    /// Takes one datagram that has arrived, cut off at the end of `buffer`, and says who sent it.
    ///
    /// # Errors
    /// `EAGAIN` when none is there.
    pub fn receive_from<'b>(
        &self,
        buffer: &'b mut [MaybeUninit<u8>],
        source: &mut Source,
    ) -> Result<&'b [u8], Errno> {
        source.length = SocketAddress::LENGTH;
        let (from, length) = (&raw mut source.address as usize, &raw mut source.length as usize);
        // SAFETY: the kernel writes at most `length` bytes of an address, and into `length` how
        // many there were.
        unsafe { self.take(buffer, from, length) }
    }

    /// Sends to where a datagram came from.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_back(&self, message: &[u8], to: &Source) -> Result<(), Errno> {
        self.hand_over(message, &to.address)
    }

    /// Takes one datagram that has arrived, cut off at the end of `buffer`.
    ///
    /// # Errors
    /// `EAGAIN` when none is there, `EBADF` without a socket; `ECONNREFUSED` when an earlier message met a closed port.
    pub fn receive<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
        // SAFETY: nobody asks who sent it.
        unsafe { self.take(buffer, 0, 0) }
    }

    /// # Safety
    /// `from` must be 0 or an address that the kernel may write as many bytes to as the `u32` at the
    /// address `length` says, which it writes to as well.
    #[inline(never)]
    unsafe fn take<'b>(
        &self,
        buffer: &'b mut [MaybeUninit<u8>],
        from: usize,
        length: usize,
    ) -> Result<&'b [u8], Errno> {
        let start = buffer.as_mut_ptr() as usize;
        // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`; the caller vouches for
        // the rest.
        let received = answer(unsafe {
            call(number::RECVFROM, [self.number(), start, buffer.len(), MSG_DONTWAIT, from, length])
        })?;
        let received = received.min(buffer.len());
        // SAFETY: the kernel has written that many bytes, and `buffer` is borrowed for as long.
        Ok(unsafe { slice::from_raw_parts(buffer.as_ptr().cast(), received) })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}
