//! Who says what to an agent, and whether that means that the node is in its crash kernel.

use fence_kdump_tests::Cluster;
use fence_kdump_tests::datagram::{BIG, LITTLE, few_no_messages};
use std::thread;
use std::time::Duration;

type Act = Box<dyn Fn(&Cluster) + Sync>;

/// One row of the table. The agent runs on node 1 and is asked about `configured`.
pub(crate) struct Situation {
    pub(crate) name: String,
    /// What stands behind `-n`.
    pub(crate) configured: &'static str,
    /// What happens before the agent starts.
    pub(crate) before: Option<fn(&Cluster)>,
    /// What happens once it listens.
    pub(crate) after: Act,
    /// Whether one of the nodes asked about said, after the start, that its crash kernel runs.
    pub(crate) is_true: bool,
}

const V4: &str = "10.77.0.1:7410";
const V6: &str = "[fd00:77::1]:7410";

/// Lets what was sent before arrive first also when it came another way.
fn pause() {
    thread::sleep(Duration::from_millis(20));
}

/// `bytes` from node `number` over IPv4.
fn v4(net: &Cluster, number: u8, bytes: &[u8]) {
    net.node(number).send(&Cluster::v4(number), V4, bytes);
    pause();
}

/// `bytes` from node `number` over IPv6.
fn v6(net: &Cluster, number: u8, bytes: &[u8]) {
    net.node(number).send(&Cluster::v6(number), V6, bytes);
    pause();
}

fn from_port(net: &Cluster, port: u16) {
    let socket = net.node(2).udp(&format!("10.77.0.2:{port}"));
    socket.send_to(&LITTLE, V4).expect("a network that takes it");
}

fn row(
    is_true: bool,
    name: impl Into<String>,
    configured: &'static str,
    after: impl Fn(&Cluster) + Sync + 'static,
) -> Situation {
    Situation { name: name.into(), configured, before: None, after: Box::new(after), is_true }
}

/// The whole table.
pub(crate) fn situations() -> Vec<Situation> {
    const NODE: &str = "10.77.0.2";
    const NODE6: &str = "fd00:77::2";
    let mut rows = vec![
        row(true, "the message, v4", NODE, |net| v4(net, 2, &LITTLE)),
        row(true, "the message, v6", NODE6, |net| v6(net, 2, &LITTLE)),
        row(true, "the big-endian message, v4", NODE, |net| v4(net, 2, &BIG)),
        row(true, "the big-endian message, v6", NODE6, |net| v6(net, 2, &BIG)),
        row(false, "nothing", NODE, |_| ()),
        row(false, "the message of another node, v4", NODE, |net| v4(net, 3, &LITTLE)),
        row(false, "the message of another node, v6", NODE6, |net| v6(net, 3, &LITTLE)),
        row(false, "the message from the agent's own host", NODE, |net| {
            v4(net, 1, &LITTLE);
            net.node(1).send("127.0.0.1", "127.0.0.1:7410", &LITTLE);
        }),
        row(false, "only the v6 address configured, message by v4", NODE6, |net| {
            v4(net, 2, &LITTLE);
        }),
        row(false, "only the v4 address configured, message by v6", NODE, |net| {
            v6(net, 2, &LITTLE);
        }),
        row(true, "both addresses configured, message by v4", "fd00:77::2,10.77.0.2", |net| {
            v4(net, 2, &LITTLE);
        }),
        row(true, "both addresses configured, message by v6", "10.77.0.2,fd00:77::2", |net| {
            v6(net, 2, &LITTLE);
        }),
        row(true, "v4-mapped address configured, message by v4", "::ffff:10.77.0.2", |net| {
            v4(net, 2, &LITTLE);
        }),
        row(true, "another node's message, then the right one", NODE, |net| {
            v4(net, 3, &LITTLE);
            v4(net, 2, &LITTLE);
        }),
        row(false, "the message in two halves", NODE, |net| {
            v4(net, 2, &LITTLE[..4]);
            v4(net, 2, &LITTLE[4..]);
        }),
        row(false, "halves: first of another node's, second of the right one", NODE, |net| {
            v4(net, 3, &LITTLE);
            v4(net, 2, &LITTLE[..4]);
        }),
        row(false, "the message to another port", NODE, |net| {
            net.node(2).send(NODE, "10.77.0.1:7411", &LITTLE);
        }),
        row(true, "the message to the segment's broadcast address", NODE, |net| {
            net.node(2).send(NODE, "10.77.0.255:7410", &LITTLE);
        }),
    ];
    for port in [1, 53, 7410, 65_535] {
        rows.push(row(true, format!("the message from port {port}"), NODE, move |net| {
            from_port(net, port);
        }));
    }
    let mut early = row(false, "the message before the start, v4", NODE, |_| ());
    early.before = Some(|net| v4(net, 2, &LITTLE));
    rows.push(early);
    let mut early = row(false, "the message before the start, v6", NODE6, |_| ());
    early.before = Some(|net| v6(net, 2, &LITTLE));
    rows.push(early);
    for kind in few_no_messages() {
        let (name, bytes) = (kind.name, kind.bytes);
        let alone = bytes.clone();
        rows.push(row(false, format!("no message: {name}"), NODE, move |net| {
            v4(net, 2, &alone);
        }));
        rows.push(row(false, format!("another node's message, then: {name}"), NODE, move |net| {
            v4(net, 3, &LITTLE);
            v4(net, 2, &bytes);
        }));
    }
    rows
}
