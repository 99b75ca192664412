//! Names of servers to addresses, a few at once.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// How many lookups may run at once. One that hangs holds its place until the resolver gives up, however
/// long ago its caller did.
const AT_ONCE: usize = 3;

/// Looks names up, by the host's own resolver.
#[derive(Debug, Clone)]
pub(super) struct Lookups(Arc<Semaphore>);

impl Lookups {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// All addresses of `host`, with `port`; at least one.
    pub(super) async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // As in a URL, where IPv6 stands in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let look = move || {
            let found: io::Result<Vec<_>> =
                (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
            drop(permit);
            found
        };
        let found = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn numbers_names_and_nothing() {
        let lookups = Lookups::new();
        for (host, found) in
            [("127.0.0.1", "127.0.0.1:5"), ("[::1]", "[::1]:5"), ("::1", "[::1]:5")]
        {
            assert_eq!(lookups.find(host, 5).await.unwrap(), [found.parse().unwrap()]);
        }
        assert!(!lookups.find("localhost", 5).await.unwrap().is_empty());
        lookups.find("nosuchname.invalid", 5).await.unwrap_err();
    }

    /// A caller that gave up does not make room for one more lookup.
    #[tokio::test]
    async fn lookups_that_hang_are_bounded() {
        let lookups = Lookups::new();
        let hanging = Arc::clone(&lookups.0).acquire_many_owned(3).await.unwrap();
        let late =
            tokio::time::timeout(Duration::from_millis(50), lookups.find("localhost", 5)).await;
        late.unwrap_err();
        assert_eq!(lookups.find("127.0.0.1", 5).await.unwrap().len(), 1);
        drop(hanging);
        lookups.find("localhost", 5).await.unwrap();
    }
}
