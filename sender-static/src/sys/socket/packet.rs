//! Packet sockets, packet(7): whole frames of one interface.

use super::super::machine::early;
use super::filter::Instruction;
use super::{Errno, Socket, answer, call3};

impl Socket {
    /// Becomes one that sends frames through the interface of that number, and gets those that
    /// `filter` lets pass.
    ///
    /// # Errors
    /// The kernel's: `ENODEV` when there is no such interface any more, `EAFNOSUPPORT` without packet
    /// sockets in the kernel, `EPERM` without the privilege.
    pub fn open_packet(&mut self, interface: u32, filter: &[Instruction]) -> Result<(), Errno> {
        const AF_PACKET: usize = 17;
        const SOCK_RAW_CLOEXEC: usize = 3 | 0o200_0000;
        self.close();
        // Of no protocol yet: nothing comes in before the filter is there.
        self.open_as(AF_PACKET, SOCK_RAW_CLOEXEC, 0)?;
        let result = self.set_up(interface, filter);
        if result.is_err() {
            self.close();
        }
        result
    }

    fn set_up(&self, interface: u32, filter: &[Instruction]) -> Result<(), Errno> {
        const SOL_PACKET: usize = 263;
        const PACKET_ADD_MEMBERSHIP: usize = 1;
        const PACKET_MR_ALLMULTI: u16 = 2;
        const ETH_P_ALL: u16 = 3;
        // Without a filter more is handed over than needed, which is better than nothing.
        let _ = self.filter(filter);
        /// `struct sockaddr_ll`
        #[repr(C)]
        struct Place {
            family: u16,
            protocol: [u8; 2],
            interface: u32,
            rest: [u32; 3],
        }
        let protocol = ETH_P_ALL.to_be_bytes();
        let place = Place { family: 17, protocol, interface, rest: [0; 3] };
        let (start, length) = ((&raw const place) as usize, size_of::<Place>());
        // SAFETY: the kernel reads the address, alive until the call is over.
        answer(unsafe { call3(early::BIND, self.number(), start, length) })?;
        /// `struct packet_mreq`
        #[repr(C)]
        struct Membership {
            interface: u32,
            kind: u16,
            length: u16,
            address: [u8; 8],
        }
        let membership =
            Membership { interface, kind: PACKET_MR_ALLMULTI, length: 0, address: [0; 8] };
        // Questions for the MAC address of an IPv6 address come as multicast. Whoever cannot hear them can
        // still speak.
        // SAFETY: the kernel reads the membership.
        let _ = unsafe { self.set_from(SOL_PACKET, PACKET_ADD_MEMBERSHIP, &raw const membership) };
        Ok(())
    }
}
