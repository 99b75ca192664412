//! Asking whoever holds a port for the state of things.

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::Interest;

use super::packet::{self, Reply, Request, Status};
use super::seat::{self, Peer, Seat};
use crate::sys::watch;

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nobody holds the port.
    #[error("nobody of fence_kdump reads UDP port {0}: neither fence_kdumpd nor an agent runs")]
    Nobody(u16),
    /// Somebody holds it who may not be believed.
    #[error("@{name} is held by process {} of user {}, who is not believed", peer.pid, peer.uid)]
    Untrusted {
        /// The name of the socket.
        name: String,
        /// Who holds it.
        peer: Peer,
    },
    /// Whoever holds it does not answer.
    #[error("process {} reads the port but did not answer within {patience:?}", peer.pid)]
    Hangs {
        /// Who holds it.
        peer: Peer,
        /// How long was waited.
        patience: Duration,
    },
    /// The system refuses.
    #[error("control socket: {0}")]
    Refused(#[from] io::Error),
}

/// Asks the holder of UDP port `port`, and waits for the answer at most for `patience`.
///
/// # Errors
/// When nobody is there, or nobody who answers and may be believed.
pub async fn status(port: u16, patience: Duration) -> Result<Status, QueryError> {
    let name = super::name(port);
    let (fd, peer) = match seat::visit(&name)? {
        Seat::Occupied(fd, peer) => (fd, peer),
        Seat::Untrusted(peer) => return Err(QueryError::Untrusted { name, peer }),
        Seat::Taken(_) | Seat::Changing => return Err(QueryError::Nobody(port)),
    };
    seat::send(&fd, &packet::write(&Request::Status {}), None)?;
    let fd = watch(fd)?;
    let answer = async {
        loop {
            let received = fd.async_io(Interest::READABLE, seat::receive).await?;
            match serde_json::from_slice(&received.bytes) {
                Ok(Reply::Status(status)) => return Ok(status),
                Ok(Reply::Refused { why }) => return Err(io::Error::other(why)),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
    };
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(QueryError::Hangs { peer, patience }),
    }
}
