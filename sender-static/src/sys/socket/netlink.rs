//! Netlink sockets, netlink(7): what interfaces there are, and what becomes of them and of processes.

use super::super::machine::early;
use super::{Errno, Socket, answer, call3};

pub(super) const AF_NETLINK: u16 = 16;

impl Socket {
    /// Becomes one to ask the kernel about its interfaces (rtnetlink(7)), which also says when any of them changes.
    ///
    /// # Errors
    /// The kernel's.
    #[cfg(feature = "link")]
    pub fn open_netlink(&mut self) -> Result<(), Errno> {
        const SOCK_RAW_CLOEXEC: usize = 3 | 0o200_0000;
        const RTMGRP_LINK: u32 = 1;
        self.close();
        self.open_as(AF_NETLINK.into(), SOCK_RAW_CLOEXEC, 0)?;
        let joined = self.join(RTMGRP_LINK);
        if joined.is_err() {
            self.close();
        }
        joined
    }

    /// Gets from now on what is told to these groups.
    #[inline(never)]
    pub(super) fn join(&self, groups: u32) -> Result<(), Errno> {
        /// `struct sockaddr_nl`
        #[repr(C)]
        struct Place {
            family: u16,
            padding: u16,
            process: u32,
            groups: u32,
        }
        let place = Place { family: AF_NETLINK, padding: 0, process: 0, groups };
        let (start, length) = ((&raw const place) as usize, size_of::<Place>());
        // SAFETY: the kernel reads the address, alive until the call is over.
        answer(unsafe { call3(early::BIND, self.number(), start, length) }).map(drop)
    }
}
