//! The only unsafe code of the benchmark: many datagrams with one system call.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc;

/// How many datagrams one system call sends or reads.
const BATCH: usize = 64;

fn zeroed<T: Copy>() -> T {
    // SAFETY: used for structures of the kernel that consist of numbers and pointers, which may be zero.
    unsafe { std::mem::zeroed() }
}

/// One datagram, and the address of this host that it comes from.
pub type Parcel<'a> = (Ipv4Addr, &'a [u8]);

/// Sends from any address of this host.
pub struct Sender {
    socket: UdpSocket,
    to: libc::sockaddr_in,
}

impl Sender {
    /// To `port` of the loopback interface.
    pub fn to(port: u16) -> Self {
        let mut to: libc::sockaddr_in = zeroed();
        to.sin_family = libc::AF_INET as libc::sa_family_t;
        to.sin_port = port.to_be();
        to.sin_addr.s_addr = u32::from(Ipv4Addr::LOCALHOST).to_be();
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        Self { socket, to }
    }

    /// Sends them all; each as if from its own address.
    pub fn send(&self, parcels: &[Parcel<'_>]) {
        for batch in parcels.chunks(BATCH) {
            self.send_batch(batch);
        }
    }

    fn send_batch(&self, batch: &[Parcel<'_>]) {
        const ROOM: usize = 32;
        let mut to = self.to;
        let mut vectors: [libc::iovec; BATCH] = [zeroed(); BATCH];
        let mut control = [[0_u64; ROOM / 8]; BATCH];
        let mut headers: [libc::mmsghdr; BATCH] = [zeroed(); BATCH];
        let parts = headers.iter_mut().zip(&mut vectors).zip(&mut control);
        for (((header, vector), control), (from, bytes)) in parts.zip(batch) {
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr.msg_name = (&raw mut to).cast();
            header.msg_hdr.msg_namelen = size_of_val(&to) as u32;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = ROOM;
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(*from).to_be() },
                ipi_addr: zeroed(),
            };
            // SAFETY: the control part has room for one header and an `in_pktinfo` (16 and 12 bytes).
            unsafe {
                let first = libc::CMSG_FIRSTHDR(&header.msg_hdr);
                (*first).cmsg_level = libc::IPPROTO_IP;
                (*first).cmsg_type = libc::IP_PKTINFO;
                (*first).cmsg_len = libc::CMSG_LEN(size_of_val(&info) as u32) as usize;
                libc::CMSG_DATA(first).cast::<libc::in_pktinfo>().write_unaligned(info);
            }
        }
        let mut done = 0;
        while done < batch.len() {
            let rest = &mut headers[done..batch.len()];
            // SAFETY: all that the headers name lives until the end of this function.
            let sent = unsafe {
                libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0)
            };
            // With a full queue at the other end, the datagram is sent all the same, and lost.
            done += usize::try_from(sent).unwrap_or_else(|_| {
                panic!("cannot send: {}", io::Error::last_os_error());
            });
        }
    }
}

/// This thread is not kept waiting by others on its processor, such as the one that sends: as if it were on another
/// host. Only root may do that; for others, what it measures is longer than it is.
pub fn come_first() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: it is a number; 0 is the thread that calls.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
}

/// Reads datagrams with their sources and stamps from `socket`, and throws them away, for ever: what a
/// receiver costs that does nothing.
pub fn discard(socket: &UdpSocket) -> ! {
    let mut names = [[0_u8; 28]; BATCH];
    let mut control = [[0_u64; 16]; BATCH];
    let mut bytes = [[0_u8; 512]; BATCH];
    let mut vectors: [libc::iovec; BATCH] = [zeroed(); BATCH];
    let mut headers: [libc::mmsghdr; BATCH] = [zeroed(); BATCH];
    let mut used = BATCH;
    loop {
        let parts = headers.iter_mut().zip(&mut vectors).zip(&mut names).zip(&mut control);
        for ((((header, vector), name), control), bytes) in parts.zip(&mut bytes).take(used) {
            *vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: 512 };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = 28;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = 128;
        }
        // SAFETY: all that the headers name lives as long as this function, which is for ever.
        let count = unsafe {
            let (headers, flags) = (headers.as_mut_ptr(), libc::MSG_WAITFORONE);
            libc::recvmmsg(socket.as_raw_fd(), headers, BATCH as u32, flags, std::ptr::null_mut())
        };
        used = usize::try_from(count).expect("datagrams");
    }
}
