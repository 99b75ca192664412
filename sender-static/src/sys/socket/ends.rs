//! How a process ends, which the kernel tells who asks for process events (`linux/connector.h`, `linux/cn_proc.h`).

use super::filter::{IF_EQUAL, Instruction, LOAD_WORD, RETURN};
use super::netlink::AF_NETLINK;
use super::{Errno, MSG_DONTWAIT, Socket, answer, call, number};

/// `CN_IDX_PROC`: the group that is told, and who is asked for it.
const PROCESSES: u32 = 1;

/// Lets pass that this process has ended by a signal, or with another status than 0.
fn bad_end_of(process: u32) -> [Instruction; 8] {
    /// `PROC_EVENT_EXIT`
    const EXIT: u32 = 0x8000_0000;
    // Behind `struct nlmsghdr` and `struct cn_msg`, of 36 bytes: what has happened, on which processor, when;
    // then whose end it is and of which process, and how it ended, as wait(2) has it.
    let then = Instruction;
    [
        then(LOAD_WORD, 0, 0, 36),
        then(IF_EQUAL, 0, 5, EXIT.to_be()),
        // The end of its first thread: all others have other numbers.
        then(LOAD_WORD, 0, 0, 52),
        then(IF_EQUAL, 0, 3, process.to_be()),
        then(LOAD_WORD, 0, 0, 60),
        then(IF_EQUAL, 1, 0, 0),
        then(RETURN, 0, 0, 256),
        then(RETURN, 0, 0, 0),
    ]
}

impl Socket {
    /// One that gets a message, and nothing else, if that process ends badly. None where the kernel does not tell,
    /// or not this user.
    pub fn for_bad_end_of(process: u32) -> Self {
        const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o200_0000;
        const NETLINK_CONNECTOR: usize = 11;
        let mut socket = Self::NONE;
        let opened = socket.open_as(AF_NETLINK.into(), SOCK_DGRAM_CLOEXEC, NETLINK_CONNECTOR);
        // Nothing may come in before the filter is there.
        let asked = opened
            .and_then(|()| socket.filter(&bad_end_of(process)))
            .and_then(|()| socket.ask_for_events());
        if asked.is_err() {
            socket.close();
        }
        socket
    }

    fn ask_for_events(&self) -> Result<(), Errno> {
        self.join(PROCESSES)?;
        /// `struct nlmsghdr`, `struct cn_msg`, and what is asked for.
        #[repr(C)]
        struct Request {
            length: u32,
            kind: [u16; 2],
            from: [u32; 2],
            whom: [u32; 2],
            number: [u32; 2],
            rest: [u16; 2],
            what: u32,
        }
        const NLMSG_DONE: u16 = 3;
        /// `PROC_CN_MCAST_LISTEN`
        const LISTEN: u32 = 1;
        let length = size_of::<Request>();
        let request = Request {
            length: length as u32,
            kind: [NLMSG_DONE, 0],
            from: [0; 2],
            // Index and value have the same number.
            whom: [PROCESSES; 2],
            number: [0; 2],
            rest: [size_of_val(&LISTEN) as u16, 0],
            what: LISTEN,
        };
        let start = (&raw const request) as usize;
        // SAFETY: the kernel reads the request, alive until the call is over.
        let asked =
            unsafe { call(number::SENDTO, [self.number(), start, length, MSG_DONTWAIT, 0, 0]) };
        answer(asked).map(drop)
    }
}
