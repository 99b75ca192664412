//! A connection whose other end has to read: what cannot be written for too long is an error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long the other end may leave everything unread.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose other end has to read.
#[derive(Debug)]
pub(super) struct Stall<T> {
    inner: T,
    patience: Duration,
    /// Since when something waits to be written: until when it may.
    until: Option<Pin<Box<Sleep>>>,
}

impl<T> Stall<T> {
    pub(super) fn new(inner: T, patience: Duration) -> Self {
        Self { inner, patience, until: None }
    }

    /// Passes `result` on, unless it has been pending for too long.
    fn limit<R>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.until = None;
            return result;
        }
        let patience = self.patience;
        let until = self.until.get_or_insert_with(|| {
            let end = Instant::now().checked_add(patience).unwrap_or_else(Instant::now);
            Box::pin(sleep_until(end))
        });
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stall<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stall<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.limit(context, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(context, parts);
        this.limit(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_flush(context);
        this.limit(context, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_shutdown(context);
        this.limit(context, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    fn run(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(test);
    }

    #[test]
    fn who_never_reads_is_left() {
        run(async {
            let (near, _far) = duplex(8);
            let mut near = Stall::new(near, PATIENCE);
            let begin = Instant::now();
            let error = near.write_all(&[0; 9]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs());
        });
    }

    #[test]
    fn who_reads_slowly_is_not() {
        run(async {
            let (near, mut far) = duplex(8);
            let mut near = Stall::new(near, PATIENCE);
            let write = async { near.write_all(&[7; 80]).await.unwrap() };
            let read = async {
                let mut bytes = [0; 8];
                for _ in 0..10 {
                    tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                    far.read_exact(&mut bytes).await.unwrap();
                    assert_eq!(bytes, [7; 8]);
                }
            };
            tokio::join!(write, read);
        });
    }
}
