//! A way to a server on which its words get lost.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Passes on what is said in both directions, or only that to the server.
pub(crate) struct Proxy {
    port: u16,
    mute: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mute = Arc::new(AtomicBool::new(false));
        let proxy = Self { port: listener.local_addr().unwrap().port(), mute: Arc::clone(&mute) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) =
                    (client.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &AtomicBool::new(false)));
                let mute = Arc::clone(&mute);
                thread::spawn(move || pass(server, client, &mute));
            }
        });
        proxy
    }

    /// As the configuration of a sink has it.
    pub(crate) fn url(&self) -> String {
        format!("['nats://127.0.0.1:{}']", self.port)
    }

    /// Whether what the server says gets lost.
    pub(crate) fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mute: &AtomicBool) {
    let mut buffer = [0; 65536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !mute.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Either end may have gone.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
