//! A DNS server that knows what the test tells it, with bytes written out by hand.

use fence_kdump_tests::Netns;
use std::collections::HashMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server says about a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Its addresses, of both families.
    pub(crate) addresses: Vec<IpAddr>,
    /// An alias in between.
    pub(crate) alias: Option<&'static str>,
    /// How many questions about it are left unanswered first.
    pub(crate) ignored: usize,
    /// The response code; 3 is "no such name", 2 "server failure".
    pub(crate) code: u8,
}

impl Entry {
    /// A name with these addresses.
    pub(crate) fn with(addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Self { addresses, ..Self::default() }
    }
}

type Zone = Arc<Mutex<HashMap<String, Entry>>>;

/// A running server; ends when dropped.
pub(crate) struct Server {
    zone: Zone,
    asked: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers at `address` (with a port) in `net`.
    pub(crate) fn new(net: &Netns, address: &str, zone: &[(&str, Entry)]) -> Self {
        let socket = net.udp(address);
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let zone = zone.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone()));
        let zone: Zone = Arc::new(Mutex::new(zone.collect()));
        let (asked, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (zone, asked, end) = (zone.clone(), asked.clone(), end.clone());
            move || serve(&socket, &zone, &asked, &end)
        });
        Self { zone, asked, end, thread: Some(thread) }
    }

    /// Changes what it says about `name`.
    pub(crate) fn tell(&self, name: &str, entry: Entry) {
        self.zone.lock().unwrap().insert(name.to_owned(), entry);
    }

    /// How many questions it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, zone: &Zone, asked: &AtomicUsize, end: &AtomicBool) {
    let mut buffer = [0; 600];
    while !end.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        asked.fetch_add(1, Ordering::SeqCst);
        let question = &buffer[..length];
        assert_eq!(question[2..12], [1, 0, 0, 1, 0, 0, 0, 0, 0, 0], "one standard question");
        let (name, rest) = name(&question[12..]);
        let kind = u16::from_be_bytes([rest[0], rest[1]]);
        assert_eq!((rest.len(), &rest[2..4]), (4, &[0, 1][..]), "class IN, and nothing behind");
        let mut zone = zone.lock().unwrap();
        let unknown = Entry { code: 3, ..Entry::default() };
        let mut entry = unknown;
        if let Some(known) = zone.get_mut(&name) {
            if known.ignored > 0 {
                known.ignored -= 1;
                continue;
            }
            entry = known.clone();
        }
        let _ = socket.send_to(&answer(question, kind, &entry), from);
    }
}

fn name(mut bytes: &[u8]) -> (String, &[u8]) {
    let mut labels = Vec::new();
    while bytes[0] != 0 {
        let length = usize::from(bytes[0]);
        labels.push(String::from_utf8_lossy(&bytes[1..=length]).to_lowercase());
        bytes = &bytes[length + 1..];
    }
    (labels.join("."), &bytes[1..])
}

fn answer(question: &[u8], kind: u16, entry: &Entry) -> Vec<u8> {
    let wanted = |ip: &&IpAddr| {
        if kind == 1 { ip.is_ipv4() } else { ip.is_ipv6() }
    };
    let found: Vec<_> = entry.addresses.iter().filter(wanted).collect();
    let count = found.len() + usize::from(entry.alias.is_some());
    let mut packet = question.to_vec();
    packet[2..4].copy_from_slice(&[0x81, 0x80 | entry.code]);
    packet[6..8].copy_from_slice(&(count as u16).to_be_bytes());
    let mut record = |owner: &[u8], kind: u16, data: &[u8]| {
        packet.extend_from_slice(owner);
        packet.extend_from_slice(&kind.to_be_bytes());
        packet.extend_from_slice(&[0, 1, 0, 0, 0, 30]);
        packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
        packet.extend_from_slice(data);
    };
    let mut owner = vec![0xc0, 12];
    if let Some(alias) = entry.alias {
        let mut target = vec![alias.len() as u8];
        target.extend_from_slice(alias.as_bytes());
        target.push(0);
        record(&owner, 5, &target);
        owner = target;
    }
    for ip in found {
        match ip {
            IpAddr::V4(ip) => record(&owner, 1, &ip.octets()),
            IpAddr::V6(ip) => record(&owner, 28, &ip.octets()),
        }
    }
    packet
}
