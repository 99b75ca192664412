//! Those that a holder serves. None of them can hold it up: what one does not read at once ends its
//! connection, what one says is read by a task of its own, and there is a bound to everything.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::packet::{self, Reply, Request};
use super::recent::named;
use super::seat::{self, Peer, Received};
use crate::address::Address;
use crate::socket::Datagram;
use crate::sys::watch;

/// The most that are served at once; more are sent away, and come again. Ten thousand wait for a large fleet
/// that fails all at once.
pub const MOST: usize = 12 * 1024;

/// The most addresses that all of them together may ask for: 10 MiB.
const ADDRESSES: usize = 128 * 1024;

/// The most names that all of them together may ask for, of 253 bytes each: 20 MiB.
const NAMES: usize = 64 * 1024;

/// The most packets of one who is sent away that are read for the sake of a good answer.
const UNREAD: usize = 64;

/// How many packets may wait for the holder.
const INBOX: usize = 256;

/// Who said something.
pub type Id = u64;

/// What one of them did.
#[derive(Debug)]
pub enum Said {
    /// It asked for something, and may have sent a descriptor with it.
    Request(Request, Option<OwnedFd>),
    /// It is gone, or talks nonsense.
    Gone,
}

#[derive(Debug)]
struct Client {
    fd: Arc<AsyncFd<OwnedFd>>,
    reader: AbortHandle,
    wants_socket: bool,
    asks: bool,
}

/// Who asks about what.
#[derive(Debug)]
struct Asked<K> {
    /// In the order of their numbers.
    by: HashMap<K, Vec<Id>>,
    of: HashMap<Id, Vec<K>>,
    total: usize,
}

impl<K> Default for Asked<K> {
    fn default() -> Self {
        Self { by: HashMap::new(), of: HashMap::new(), total: 0 }
    }
}

impl<K: Clone + Eq + Hash> Asked<K> {
    fn add(&mut self, id: Id, key: K) {
        // Thousands may ask for the same one.
        let key = self.by.get_key_value(&key).map_or(key, |(known, _)| known.clone());
        let ids = self.by.entry(key.clone()).or_default();
        if let Err(place) = ids.binary_search(&id) {
            ids.insert(place, id);
            self.of.entry(id).or_default().push(key);
            self.total = self.total.saturating_add(1);
        }
    }

    fn leave(&mut self, id: Id) {
        let keys = self.of.remove(&id).unwrap_or_default();
        self.total = self.total.saturating_sub(keys.len());
        for key in keys {
            if let Some(ids) = self.by.get_mut(&key) {
                if let Ok(place) = ids.binary_search(&id) {
                    ids.remove(place);
                }
                if ids.is_empty() {
                    self.by.remove(&key);
                }
            }
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Clients {
    next: Id,
    all: HashMap<Id, Client>,
    addresses: Asked<Address>,
    /// In lower case.
    names: Asked<Arc<str>>,
    /// Who wants to be told of every message.
    everything: Vec<Id>,
    asking: usize,
    inbox: mpsc::Receiver<(Id, Said)>,
    door: mpsc::Sender<(Id, Said)>,
}

impl Default for Clients {
    fn default() -> Self {
        let (door, inbox) = mpsc::channel(INBOX);
        Self {
            next: 0,
            all: HashMap::new(),
            addresses: Asked::default(),
            names: Asked::default(),
            everything: Vec::new(),
            asking: 0,
            inbox,
            door,
        }
    }
}

impl Clients {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How many have asked about anything, if only about nothing yet.
    #[must_use]
    pub fn asking(&self) -> usize {
        self.asking
    }

    /// Everything that all of them have said by now.
    pub fn last_words(&mut self) -> Vec<(Id, Said)> {
        let mut words = Vec::new();
        while let Ok(said) = self.inbox.try_recv() {
            words.push(said);
        }
        for (&id, client) in &self.all {
            // None says more than its socket holds.
            while let Ok(received) = seat::receive(client.fd.get_ref()) {
                words.push((id, understand(received)));
            }
        }
        words
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A new one came. Sent away when it may not be believed, or when there are too many.
    pub fn welcome(&mut self, fd: OwnedFd, peer: Peer) {
        let refuse = |why: &str| {
            let why = why.to_owned();
            // What was said and not read would be all that the other side is told of (ECONNRESET).
            let _ = shutdown(fd.as_raw_fd(), Shutdown::Read);
            let _ = (0..UNREAD).take_while(|_| seat::receive(&fd).is_ok()).count();
            drop(seat::send(&fd, &packet::write(&Reply::Refused { why }), None));
        };
        if !peer.is_trusted() {
            return refuse("only root, the user of this process and the one in charge are served");
        }
        if self.all.len() >= MOST {
            return refuse("too many are served already");
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let Ok(fd) = watch(fd) else {
            return;
        };
        let fd = Arc::new(fd);
        let reader = tokio::spawn(listen(id, Arc::clone(&fd), self.door.clone())).abort_handle();
        let client = Client { fd, reader, wants_socket: false, asks: false };
        self.all.insert(id, client);
    }

    /// What one of them says next. Cancel-safe.
    pub async fn listen(&mut self) -> (Id, Said) {
        match self.inbox.recv().await {
            Some(said) => said,
            // Cannot be: this side keeps a sender itself.
            None => std::future::pending().await,
        }
    }

    /// `id` asks about `addresses`, and about messages that have one of `names`. False when that is
    /// too much; then it is sent away.
    pub fn ask(&mut self, id: Id, addresses: &[Address], names: &[String]) -> bool {
        let Some(client) = self.all.get_mut(&id) else {
            return false;
        };
        if !std::mem::replace(&mut client.asks, true) {
            self.asking = self.asking.saturating_add(1);
        }
        for &address in addresses {
            self.addresses.add(id, address);
        }
        for name in names {
            self.names.add(id, name.to_ascii_lowercase().into());
        }
        let fits = self.addresses.total <= ADDRESSES && self.names.total <= NAMES;
        if !fits {
            let why = "too many addresses or names are asked for".to_owned();
            self.reply(id, &Reply::Refused { why });
            self.leave(id);
        }
        fits
    }

    /// `id` asks about every message.
    pub fn ask_everything(&mut self, id: Id) {
        if self.ask(id, &[], &[]) && !self.everything.contains(&id) {
            self.everything.push(id);
        }
    }

    /// Tells `id`.
    pub fn reply(&mut self, id: Id, reply: &Reply) {
        self.send(id, &packet::write(reply), None);
    }

    /// Gives `id` the socket now, or notes that it wants it.
    pub fn give_socket(&mut self, id: Id, socket: Option<(BorrowedFd<'_>, &Reply)>) {
        let Some(client) = self.all.get_mut(&id) else {
            return;
        };
        client.wants_socket = true;
        let Some((fd, reply)) = socket else {
            return;
        };
        match seat::send(client.fd.get_ref(), &packet::write(reply), Some(fd)) {
            Ok(()) => client.wants_socket = false,
            // As many are under way as this user may have open; it asks again with each ping.
            Err(error) if error.raw_os_error() == Some(Errno::ETOOMANYREFS as i32) => {}
            Err(_) => self.leave(id),
        }
    }

    /// Whether `id` still wants the socket.
    #[must_use]
    pub fn wants_socket(&self, id: Id) -> bool {
        self.all.get(&id).is_some_and(|client| client.wants_socket)
    }

    /// Those that still want the socket.
    #[must_use]
    pub fn wanting_socket(&self) -> Vec<Id> {
        let waiting = self.all.iter().filter(|(_, client)| client.wants_socket);
        waiting.map(|(&id, _)| id).collect()
    }

    /// Tells everybody who asked about where `datagram` came from, or about the name that it has. The
    /// packet is made only when somebody did.
    pub fn tell(&mut self, datagram: &Datagram) {
        if self.asking == 0 {
            return;
        }
        let by_address = self.addresses.by.get(&datagram.from);
        let name = if self.names.by.is_empty() { None } else { named(datagram) };
        let by_name = name.and_then(|name| self.names.by.get(name.as_str()));
        let asked = by_address.into_iter().chain(by_name).chain([&self.everything]);
        let mut ids: Vec<Id> = asked.flatten().copied().collect();
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        ids.dedup();
        let Some(reply) = Reply::heard(datagram) else {
            return;
        };
        let bytes = packet::write(&reply);
        for id in ids {
            self.send(id, &bytes, None);
        }
    }

    fn send(&mut self, id: Id, bytes: &[u8], gift: Option<BorrowedFd<'_>>) {
        if let Some(client) = self.all.get(&id)
            && seat::send(client.fd.get_ref(), bytes, gift).is_err()
        {
            self.leave(id);
        }
    }

    /// `id` is gone, or has to go.
    pub fn leave(&mut self, id: Id) {
        let Some(client) = self.all.remove(&id) else {
            return;
        };
        client.reader.abort();
        self.asking = self.asking.saturating_sub(usize::from(client.asks));
        // It may be gone already.
        let _ = shutdown(client.fd.get_ref().as_raw_fd(), Shutdown::Both);
        self.addresses.leave(id);
        self.names.leave(id);
        self.everything.retain(|&other| other != id);
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for client in self.all.values() {
            client.reader.abort();
            // Their tasks may outlive us by a moment; they shall know at once.
            let _ = shutdown(client.fd.get_ref().as_raw_fd(), Shutdown::Both);
        }
    }
}

fn understand(Received { bytes, gift }: Received) -> Said {
    match serde_json::from_slice(&bytes) {
        Ok(request) => Said::Request(request, gift),
        Err(_) => Said::Gone,
    }
}

async fn listen(id: Id, fd: Arc<AsyncFd<OwnedFd>>, door: mpsc::Sender<(Id, Said)>) {
    loop {
        let said = match fd.async_io(Interest::READABLE, seat::receive).await {
            Ok(received) => understand(received),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => Said::Gone,
        };
        let gone = matches!(said, Said::Gone);
        if door.send((id, said)).await.is_err() || gone {
            return;
        }
    }
}
