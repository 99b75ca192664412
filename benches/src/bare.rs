//! The loop with which receivers are compared: the daemon's socket, and nothing done with what comes.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use nix::sys::socket::{TimestampingFlag, setsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::receiver::Receiver;
use crate::sys;

const WORD: &str = "--discard";

/// First of all that a benchmark does: it is this loop itself, for ever, when [`start`] has called it.
///
/// # Panics
/// When it cannot have the port that its caller named.
pub fn become_it_when_asked() {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(WORD) {
        let port = words.next().and_then(|port| port.parse().ok());
        discard(port.expect("a port"));
    }
}

/// Starts this very program as that loop.
///
/// # Panics
/// When this program is gone.
#[must_use]
pub fn start(port: u16) -> Receiver {
    let own = std::env::current_exe().expect("this program");
    Receiver::start(&own, &[WORD, &port.to_string()], port)
}

fn discard(port: u16) -> ! {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
    socket.set_only_v6(false).expect("both families");
    let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(&socket, sockopt::Timestamping, &flags).expect("stamps");
    let queue = 4 << 20;
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &queue)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &queue));
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).expect("a port");
    sys::discard(&UdpSocket::from(socket))
}
