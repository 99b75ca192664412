use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A UDP datagram over IPv4 as the machine's network card saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it; the machine is 10.0.2.15.
    pub from: SocketAddrV4,
    /// Whom it was for; the host is 10.0.2.2.
    pub to: SocketAddrV4,
    /// What it carried.
    pub payload: Vec<u8>,
}

/// The UDP datagrams in a capture that qemu's `filter-dump` wrote: a libpcap file of Ethernet
/// frames, in this host's byte order. A record that is not complete yet ends the list.
///
/// # Errors
/// When `capture` is no such file.
pub fn datagrams(capture: &[u8]) -> io::Result<Vec<Datagram>> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    let magic = capture.first_chunk().copied().map(u32::from_ne_bytes);
    let Some(mut rest) = capture.get(24..).filter(|_| magic == Some(MAGIC)) else {
        return Err(io::Error::other(format!("no capture of qemu's: magic {magic:x?}")));
    };
    let mut found = Vec::new();
    // A record: seconds, microseconds, bytes kept, bytes on the wire; then the bytes.
    while let Some(kept) = rest.get(8..12) {
        let kept = u32::from_ne_bytes([kept[0], kept[1], kept[2], kept[3]]) as usize;
        let Some(frame) = rest.get(16..16 + kept) else {
            break;
        };
        found.extend(datagram(frame));
        rest = &rest[16 + kept..];
    }
    Ok(found)
}

fn datagram(frame: &[u8]) -> Option<Datagram> {
    const IPV4: [u8; 2] = [8, 0];
    const UDP: u8 = 17;
    let (ethernet, packet) = frame.split_at_checked(14)?;
    let header = usize::from(packet.first()? & 15) * 4;
    if ethernet[12..] != IPV4 || *packet.get(9)? != UDP {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let udp = packet.get(header..)?;
    let number = |at: usize| Some(u16::from_be_bytes(*udp.get(at..)?.first_chunk()?));
    Some(Datagram {
        from: SocketAddrV4::new(address(12)?, number(0)?),
        to: SocketAddrV4::new(address(16)?, number(2)?),
        payload: udp.get(8..usize::from(number(4)?))?.to_vec(),
    })
}
