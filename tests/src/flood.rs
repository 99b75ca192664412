//! Many datagrams in a bounded time.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Datagrams sent between two looks at the clock.
const BATCH: u32 = 32;

/// A flood on its way; it ends by itself, or when this is dropped.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Flood {
    /// Waits for its end; the number of datagrams sent.
    #[must_use]
    pub fn join(mut self) -> u32 {
        self.finish()
    }

    /// Ends it now; the number of datagrams sent.
    pub fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    fn finish(&mut self) -> u32 {
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("the flood's thread does not panic")
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends `bytes` from `socket` to `to` up to `count` times, spread evenly over `duration`.
///
/// Spread, because these tests share two cores with what they flood; what the machine cannot send
/// in `duration` is not sent at all. Datagrams the kernel refuses (its buffers are full) count as
/// sent: the other end loses some in a real flood, too.
#[must_use = "a flood ends when it is dropped"]
pub fn flood(
    socket: UdpSocket,
    to: SocketAddr,
    bytes: &[u8],
    count: u32,
    duration: Duration,
) -> Flood {
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, bytes) = (Arc::clone(&stop), bytes.to_vec());
    let thread = thread::spawn(move || {
        let start = Instant::now();
        let mut sent = 0;
        while sent < count && !seen.load(Ordering::Relaxed) && start.elapsed() < duration {
            for _ in 0..BATCH.min(count - sent) {
                let _ = socket.send_to(&bytes, to);
                sent += 1;
            }
            let due = duration.mul_f64(f64::from(sent) / f64::from(count));
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
        sent
    });
    Flood { stop, thread: Some(thread) }
}
