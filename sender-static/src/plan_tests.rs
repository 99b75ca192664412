//! Tests of what a plan says.

use super::*;
use proptest::prelude::*;

/// As `fence_kdumpctl plan` writes one.
const PLAN: &[u8] = b"# made on node1\n\
    fence_kdump_plan 1\n\
    init /init.real\n\
    module /lib/modules/virtio_net.ko.xz napi_tx=0  csum=1   # last\n\
    module /lib/modules/af_packet.ko\n\
    \n\
    send -v --key-file /etc/fence_kdump/node.key # the key\n\
    node node2 10.0.0.2 fe80::2%bond0\n\
    node Node3 2001:db8::3\n\
    link bond0.7 mac 52:54:00:12:34:56,52:54:00:12:34:57 vlan 7 address 10.0.0.1/24 \
    address 2001:db8::1/64 route 0.0.0.0/0 10.0.0.254 route ::/0 fe80::fe\n\
    send node2 node3\n\
    link eth9 mode kernel dhcp4 slaac mac 52:54:00:12:34:58 mode link";

fn address(text: &str) -> Address {
    Address::parse(text.as_bytes()).unwrap()
}

fn wrongs(text: &str) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    let mut take = |wrong: Wrong<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        all.push((
            wrong.line,
            format!("{}: '{}' is not {}", text(wrong.key), text(wrong.word), text(wrong.right)),
        ));
    };
    for statement in statements(text.as_bytes()) {
        match statement {
            Err(wrong) => take(wrong),
            Ok(Statement::Node(node)) => {
                node.addresses().filter_map(Result::err).for_each(&mut take)
            }
            Ok(Statement::Link(link)) => link.parts().filter_map(Result::err).for_each(&mut take),
            Ok(_) => {}
        }
    }
    all
}

#[test]
fn a_whole_plan() {
    let all: Vec<_> = statements(PLAN).map(Result::unwrap).collect();
    assert_eq!(all.len(), 10);
    assert_eq!(all[0], Statement::Version);
    assert_eq!(all[1], Statement::Init(b"/init.real"));
    assert_eq!(all[2], Statement::Module(b"/lib/modules/virtio_net.ko.xz", b"napi_tx=0  csum=1"));
    assert_eq!(all[3], Statement::Module(b"/lib/modules/af_packet.ko", b""));
    let words: [&[u8]; 5] =
        [b"-v", b"--key-file", b"/etc/fence_kdump/node.key", b"node2", b"node3"];
    assert!(send(PLAN).eq(words));
    let of = |name: &[u8]| {
        let mut found = Vec::new();
        each_address(PLAN, name, |address| found.push(address));
        found
    };
    assert_eq!(of(b"node2"), [address("10.0.0.2"), address("fe80::2%bond0")]);
    assert_eq!(of(b"node3"), [address("2001:db8::3")]);
    assert_eq!(of(b"node4"), []);
    assert!(wrongs(std::str::from_utf8(PLAN).unwrap()).is_empty());
}

#[test]
fn links_and_their_parts() {
    let all: Vec<_> = links(PLAN).collect();
    let parts = |link: &Link<'_>| link.parts().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!((all[0].name, all[1].name, all.len()), (&b"bond0.7"[..], &b"eth9"[..], 2));
    assert_eq!(
        parts(&all[0]),
        [
            Part::Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            Part::Mac([0x52, 0x54, 0, 0x12, 0x34, 0x57]),
            Part::Vlan(7),
            Part::Address(address("10.0.0.1"), 24),
            Part::Address(address("2001:db8::1"), 64),
            Part::Route(address("0.0.0.0"), 0, address("10.0.0.254")),
            Part::Route(address("::"), 0, address("fe80::fe")),
        ]
    );
    assert_eq!(
        parts(&all[1]),
        [
            Part::Mode(Mode::Kernel),
            Part::Dhcp4,
            Part::Slaac,
            Part::Mac([0x52, 0x54, 0, 0x12, 0x34, 0x58]),
            Part::Mode(Mode::Link),
        ]
    );
}

/// What is wrong costs nothing but itself, and is told with its line and with what would be right.
#[test]
fn what_is_wrong_is_told_and_left_out() {
    let text = "\n\ninit /sbin/init\nfence_kdump_plan 2\nbogus 1\ninit sbin/init\nmodule\n\
        node 10.0.0.1 10.0.0.2\nnode a\nnode b nonsense ::1\nlink\nlink eth0 vlan 7\n\
        link eth1 mac 52:54:00:12:34:56,x,01:00:5e:00:00:01 vlan 0 vlan 4095 address 10.0.0.1 address 10.0.0.1/33 \
        route 0.0.0.0/0 fe80::1 route x 10.0.0.1 mode udp dhcp6 mac\ninit /a /b\nlink a-name-of-16-chr mac 52:54:00:12:34:56";
    let expected = [
        (3, ": 'init' is not fence_kdump_plan, which comes first"),
        (4, "fence_kdump_plan: '2' is not 1, the version that is known here"),
        (5, ": 'bogus' is not one of init, module, send, node, link"),
        (6, "init: 'sbin/init' is not an absolute path"),
        (7, "module: '' is not an absolute path"),
        (8, "node: '10.0.0.1' is not a name"),
        (9, "node: '' is not an address, as 10.0.0.1 or fe80::1%eth0"),
        (10, "node: 'nonsense' is not an address, as 10.0.0.1 or fe80::1%eth0"),
        (11, "link: '' is not an interface's name, up to 15 characters"),
        (12, "link: 'eth0' is not followed by the MAC address of any network card"),
        (13, "mac: 'x' is not a unicast MAC address, as 52:54:00:12:34:56"),
        (13, "mac: '01:00:5e:00:00:01' is not a unicast MAC address, as 52:54:00:12:34:56"),
        (13, "vlan: '0' is not a VLAN's number from 1 to 4094"),
        (13, "vlan: '4095' is not a VLAN's number from 1 to 4094"),
        (13, "address: '10.0.0.1' is not an address and its prefix, as 10.0.0.5/24"),
        (13, "address: '10.0.0.1/33' is not an address and its prefix, as 10.0.0.5/24"),
        (13, "route: 'fe80::1' is not a gateway's address of the same family"),
        (13, "route: 'x' is not an address and its prefix, as 10.0.0.5/24"),
        (13, "mode: 'udp' is not link or kernel"),
        (13, "link: 'dhcp6' is not one of mac, vlan, address, route, dhcp4, slaac, mode"),
        (13, "mac: '' is not a unicast MAC address, as 52:54:00:12:34:56"),
        (14, "init: '/b' is not expected here: the statement ends before it"),
        (15, "link: 'a-name-of-16-chr' is not an interface's name, up to 15 characters"),
    ];
    let told = wrongs(text);
    for (told, (line, text)) in told.iter().zip(expected) {
        assert_eq!((told.0, told.1.as_str()), (line, text));
    }
    assert_eq!(told.len(), expected.len());
    // And what is right among it is read.
    assert_eq!(links(text.as_bytes()).count(), 1);
    assert!(statements(text.as_bytes()).any(|line| line == Ok(Statement::Init(b"/sbin/init"))));
    let mut count = 0;
    each_address(text.as_bytes(), b"B", |_| count += 1);
    assert_eq!(count, 1);
}

#[test]
fn an_empty_plan() {
    for text in [&b""[..], b"\n\n", b"# nothing\n  # at all"] {
        assert_eq!(statements(text).count(), 0);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&text, b"plan");
    }

    #[test]
    fn any_words_are_read(text in "(fence_kdump_plan|init|module|send|node|link|mac|vlan|address|route|dhcp4|slaac|mode|kernel|/|,|:|10.0.0.1|::1|52:54:00:12:34:56|eth0|[0-9]|#|\n| | ){0,60}") {
        let lines = text.lines().count();
        prop_assert!(statements(text.as_bytes()).count() <= lines + 1);
        check(text.as_bytes(), b"plan");
    }
}
