//! Networks that exist for one test: namespaces without a name, gone with the last handle.
//!
//! Nothing is left in `/run/netns` however a test ends, and two test runs never meet.

use crate::process::udp_ports;
use rustix::net::netdevice::name_to_index;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One network namespace, loopback up, nothing else in it.
#[derive(Debug)]
pub struct Netns {
    handle: File,
    folder: TempDir,
}

/// Makes a namespace on a thread of its own, since a thread cannot always go back.
fn unshared() -> io::Result<File> {
    thread::spawn(|| {
        // SAFETY: only NEWNET is unshared; the file descriptor table stays shared with the others.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
        File::open("/proc/thread-self/ns/net")
    })
    .join()
    .expect("the thread does not panic")
}

/// Whether this process may make a network namespace.
pub(crate) fn possible() -> bool {
    unshared().is_ok()
}

impl Netns {
    /// A new namespace with the loopback interface up (127.0.0.0/8 and ::1).
    ///
    /// # Panics
    /// When the machine does not allow it; [`crate::Need::Netns`] asks first.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "making a namespace is no default")]
    pub fn new() -> Self {
        let handle = unshared().expect("root may make network namespaces");
        let netns = Self { handle, folder: tempfile::tempdir().expect("a folder") };
        netns.enter(|| {
            // Duplicate detection would keep an address unusable for a second.
            for scope in ["all", "default"] {
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/accept_dad"), "0");
            }
        });
        netns.ip("link set lo up");
        netns
    }

    /// A folder of its own, for what the programs inside have to keep; gone with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `action` on a thread inside this network; sockets it makes stay inside for good.
    ///
    /// # Panics
    /// When `action` does.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.handle.as_fd(), kind).expect("our own namespace");
                action()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip` commands, one a line, inside this network.
    ///
    /// # Panics
    /// When one of them fails.
    #[track_caller]
    pub fn ip(&self, commands: &str) {
        let output = self.enter(|| {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("iproute2 is installed");
            let mut stdin = ip.stdin.take().expect("piped");
            stdin.write_all(commands.as_bytes()).expect("ip reads its commands");
            drop(stdin);
            ip.wait_with_output().expect("our own child")
        });
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip: {commands}\n{stderr}");
    }

    /// A path by which `ip` and `nsenter` find this namespace while this test runs.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd())
    }

    /// The number of an interface, as an address's zone gives it.
    ///
    /// # Panics
    /// When there is no such interface here.
    #[track_caller]
    #[must_use]
    pub fn interface(&self, name: &str) -> u32 {
        let index = self
            .enter(|| name_to_index(UdpSocket::bind("127.0.0.1:0").expect("loopback is up"), name));
        index.unwrap_or_else(|error| panic!("{name}: no such interface: {error}"))
    }

    /// A UDP socket inside this network, bound to `local` (`"10.77.0.2:0"`, `"[fd00:77::2]:0"`,
    /// `"[fe80::2%2]:0"` with the number of the interface), which is what its datagrams come from.
    /// An IPv6 socket hears IPv6 alone. Reads give up after 5 s.
    ///
    /// # Panics
    /// When `local` is no address of this network.
    #[track_caller]
    #[must_use]
    pub fn udp(&self, local: &str) -> UdpSocket {
        let address: SocketAddr = local.parse().expect("an address and a port");
        self.enter(|| {
            let kind = Domain::for_address(address);
            let socket = Socket::new(kind, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
            if address.is_ipv6() {
                socket.set_only_v6(true).expect("an option of every IPv6 socket");
            }
            socket.set_broadcast(true).expect("an option of every UDP socket");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a valid time");
            let bound = socket.bind(&address.into());
            bound.unwrap_or_else(|error| panic!("{local}: cannot be bound: {error}"));
            socket.into()
        })
    }

    /// As [`Netns::udp`], at any port of the address `local`.
    ///
    /// # Panics
    /// As [`Netns::udp`].
    #[track_caller]
    #[must_use]
    pub fn udp_from(&self, local: &str) -> UdpSocket {
        let ipv6 = local.contains(':');
        self.udp(&if ipv6 { format!("[{local}]:0") } else { format!("{local}:0") })
    }

    /// Sends one datagram from `local` (any port of it) to `to`.
    ///
    /// # Panics
    /// When the kernel refuses it.
    #[track_caller]
    pub fn send(&self, local: &str, to: &str, bytes: &[u8]) {
        let sent = self.udp_from(local).send_to(bytes, to);
        let sent = sent.unwrap_or_else(|error| panic!("{local} to {to}: {error}"));
        assert_eq!(sent, bytes.len(), "a datagram is sent whole or not at all");
    }

    /// Whether some program's UDP socket is bound to `port` here.
    #[must_use]
    pub fn is_bound(&self, port: u16) -> bool {
        self.enter(|| udp_ports("/proc/thread-self/net")).contains(&port)
    }

    /// Waits until some program's UDP socket is bound to `port` here, at most 20 s. See
    /// [`crate::Proc::wait_bound`] for a program that the test started itself.
    ///
    /// # Panics
    /// When none is.
    #[track_caller]
    pub fn wait_bound(&self, port: u16) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.is_bound(port) {
            assert!(Instant::now() < deadline, "nobody bound port {port}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The numbers the kernel keeps on UDP over IPv4 in this network, by name (`InDatagrams`,
    /// `RcvbufErrors`).
    ///
    /// # Panics
    /// When there is no such number.
    #[must_use]
    pub fn udp_counter(&self, name: &str) -> u64 {
        let text = self.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
        let text = text.expect("every kernel has it");
        let mut rows = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (rows.next().unwrap_or(""), rows.next().unwrap_or(""));
        let found = names.split(' ').zip(values.split(' ')).find(|(found, _)| *found == name);
        found.and_then(|(_, value)| value.parse().ok()).expect("a UDP counter of the kernel")
    }
}

/// Nodes 1 to `n`, each a [`Netns`], on one Ethernet segment.
///
/// Node `x` has the interface `eth0` with `10.77.0.x/24`, `fd00:77::x/64` and `fe80::x/64`, all
/// usable at once.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Netns>,
    hub: Netns,
}

impl Cluster {
    /// Makes a segment of `count` nodes (at most 250).
    ///
    /// # Panics
    /// When the machine does not allow it; [`crate::Need::Netns`] asks first.
    #[must_use]
    pub fn new(count: u8) -> Self {
        let hub = Netns::new();
        // With snooping the bridge would hold multicast back until a querier speaks.
        hub.ip("link add br0 type bridge mcast_snooping 0\nlink set br0 up");
        let nodes: Vec<_> = (1..=count)
            .map(|x| {
                let node = Netns::new();
                hub.ip(&format!(
                    "link add port{x} type veth peer name eth0 netns {}\n\
                     link set port{x} master br0\n\
                     link set port{x} up",
                    node.path()
                ));
                // A link-local address of our choosing instead of the kernel's.
                node.ip(&format!(
                    "link set eth0 addrgenmode none\n\
                     link set eth0 up\n\
                     addr add 10.77.0.{x}/24 dev eth0\n\
                     addr add fd00:77::{x:x}/64 dev eth0 nodad\n\
                     addr add fe80::{x:x}/64 dev eth0 nodad"
                ));
                node
            })
            .collect();
        Self { nodes, hub }
    }

    /// Node `number`, counted from 1 as its addresses are.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn node(&self, number: u8) -> &Netns {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|index| self.nodes.get(index)).expect("a node of this cluster")
    }

    /// The namespace of the bridge `br0`; node `x` hangs on its interface `port<x>`.
    #[must_use]
    pub fn hub(&self) -> &Netns {
        &self.hub
    }

    /// The IPv4 address of node `number`.
    #[must_use]
    pub fn v4(number: u8) -> String {
        format!("10.77.0.{number}")
    }

    /// The IPv6 address of node `number`.
    #[must_use]
    pub fn v6(number: u8) -> String {
        format!("fd00:77::{number:x}")
    }
}
