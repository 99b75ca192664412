//! Netlink sockets, rtnetlink(7): what interfaces there are, and what becomes of them.

use super::super::machine::link;
use super::{Errno, Socket, answer, call3};

impl Socket {
    /// Becomes one to ask the kernel about its interfaces, which also says when any of them changes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_netlink(&mut self) -> Result<(), Errno> {
        const AF_NETLINK: u16 = 16;
        const SOCK_RAW_CLOEXEC: usize = 3 | 0o200_0000;
        const RTMGRP_LINK: u32 = 1;
        self.close();
        self.open_as(AF_NETLINK.into(), SOCK_RAW_CLOEXEC, 0)?;
        /// `struct sockaddr_nl`
        #[repr(C)]
        struct Place {
            family: u16,
            padding: u16,
            process: u32,
            groups: u32,
        }
        let place = Place { family: AF_NETLINK, padding: 0, process: 0, groups: RTMGRP_LINK };
        let (start, length) = ((&raw const place) as usize, size_of::<Place>());
        // SAFETY: the kernel reads the address, alive until the call is over.
        let bound = answer(unsafe { call3(link::BIND, self.number(), start, length) });
        if bound.is_err() {
            self.close();
        }
        bound.map(drop)
    }
}
