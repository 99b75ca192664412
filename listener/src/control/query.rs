//! Asking whoever holds a port for the state of things.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use thiserror::Error;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::packet::{self, Inquiry, NodeStatus, Reply, Request, Status};
use super::seat::{self, Peer, Seat};
use crate::sys::watch;

/// An answer has no more pages: some 50 nodes are on each.
const PAGES: usize = 1_000_000;

/// Whoever sits down or leaves is done with it by then; so often it is tried again,
const TIMES: u32 = 4;

/// after so long.
const PAUSE: Duration = Duration::from_millis(25);

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
    /// Whoever holds it is gone before the answer, or sent us away.
    #[error("process {} read the port and ended before its answer: {why}", peer.pid)]
    Gone {
        /// Who held it.
        peer: Peer,
        /// What the kernel says.
        why: io::Error,
    },
    /// Whoever holds it does not want to answer.
    #[error("process {} reads the port and refuses: {why}", peer.pid)]
    SentAway {
        /// Who holds it.
        peer: Peer,
        /// Why.
        why: String,
    },
    /// Whoever holds it says what cannot be understood.
    #[error(
        "process {} reads the port and answers what is no answer of fence_kdump: {why}", peer.pid
    )]
    Nonsense {
        /// Who holds it.
        peer: Peer,
        /// Why it is none.
        why: String,
    },
    /// The system refuses.
    #[error("control socket: {0}")]
    Refused(#[from] io::Error),
}

/// A connection to whoever holds a port, to ask again and again.
#[derive(Debug)]
pub struct Counter {
    fd: AsyncFd<OwnedFd>,
    peer: Peer,
    patience: Duration,
}

impl Counter {
    /// Goes to the holder of UDP port `port`; each answer is waited for at most for `patience`.
    ///
    /// # Errors
    /// When nobody is there, or nobody who may be believed.
    pub async fn visit(port: u16, patience: Duration) -> Result<Self, QueryError> {
        let name = super::name(port);
        for _ in 0..TIMES {
            match seat::visit(&name)? {
                Seat::Occupied(fd, peer) => return Ok(Self { fd: watch(fd)?, peer, patience }),
                Seat::Untrusted(peer) => return Err(QueryError::Untrusted { name, peer }),
                Seat::Taken(_) | Seat::Changing => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(QueryError::Nobody(port))
    }

    /// The same, but each answer is waited for at most for `patience`.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// One page of the answer to `inquiry`. When this is given up, so is the connection.
    ///
    /// # Errors
    /// When no answer comes, or none that can be understood.
    pub async fn page(&self, inquiry: &Inquiry) -> Result<Status, QueryError> {
        let Self { peer, patience, .. } = *self;
        let request = packet::write(&Request::Status(inquiry.clone()));
        let gone = |why| QueryError::Gone { peer, why };
        match seat::send(self.fd.get_ref(), &request, None) {
            // Whoever was sent away finds the reason waiting.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(gone(error)),
            Ok(()) | Err(_) => {}
        }
        let answer = async {
            loop {
                let received = self.fd.async_io(Interest::READABLE, seat::receive).await;
                let received = match received {
                    Ok(received) => received,
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        let why = format!("a packet of more than {} bytes", packet::LARGEST);
                        return Err(QueryError::Nonsense { peer, why });
                    }
                    Err(error) => return Err(gone(error)),
                };
                match serde_json::from_slice(&received.bytes) {
                    Ok(Reply::Status(status)) => return Ok(status),
                    Ok(Reply::Refused { why }) => return Err(QueryError::SentAway { peer, why }),
                    Ok(_) => {}
                    Err(error) => {
                        return Err(QueryError::Nonsense { peer, why: error.to_string() });
                    }
                }
            }
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(QueryError::Hangs { peer, patience }),
        }
    }

    /// The answer to `inquiry` with all its pages. Each node is told once.
    ///
    /// # Errors
    /// As [`Self::page`], and when the pages have no end.
    pub async fn all(&self, inquiry: &Inquiry) -> Result<Status, QueryError> {
        let mut whole = self.page(inquiry).await?;
        for _ in 0..PAGES {
            let Some(after) = whole.next.take() else {
                if whole.known.is_none() {
                    whole.nodes.retain(|node| is_wanted(node, inquiry));
                }
                return Ok(whole);
            };
            let further = Inquiry { after: Some(after.clone()), ..inquiry.clone() };
            let page = self.page(&further).await?;
            if page.next.as_ref() == Some(&after) {
                break;
            }
            whole.nodes.extend(page.nodes);
            whole.left_out = whole.left_out.saturating_add(page.left_out);
            (whole.next, whole.known) = (page.next, page.known);
        }
        let why = "its pages have no end".to_owned();
        Err(QueryError::Nonsense { peer: self.peer, why })
    }
}

/// Of a holder that knows no choice, and so tells everything.
fn is_wanted(node: &NodeStatus, inquiry: &Inquiry) -> bool {
    let is_called =
        |name: &String| node.name.eq_ignore_ascii_case(name) || node.from.as_ref() == Some(name);
    inquiry.node.as_ref().is_none_or(is_called) && (!inquiry.heard || node.last_heard_ms.is_some())
}
