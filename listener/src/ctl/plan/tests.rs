use std::fs;
use std::os::unix::fs::symlink;

use clap::Parser as _;
use netlink_packet_route::route::RouteType;

use super::links::{Link, Mac, Tag, cards};
use super::netlink::{Held, Netlink};
use super::*;
use crate::ctl::command::{Action, Mode, Options};

fn plan_of(words: &str) -> Plan {
    let words = std::iter::once("fence_kdumpctl").chain(words.split(' '));
    match Options::try_parse_from(words).expect("a command line").action {
        Action::Plan(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

/// What stands in kdump.conf for the stock sender is understood, mixed and shortened as there.
#[test]
fn the_senders_options_stand_in_the_plan_as_they_are_given() {
    let plan = plan_of("plan -p 7410 node1 --fam auto -c0 -i 10 --verb=2 node2 both:node3");
    assert_eq!(plan.sender.words().join(" "), "-p 7410 -f auto -c 0 -i 10 --verbose=2");
    assert_eq!(plan.nodes, ["node1", "node2", "both:node3"]);
    assert_eq!(words::node("both:node3"), "node3");
    assert_eq!((plan.sender.family(), plan.mode), (None, Mode::Link));
    let plan = plan_of("plan -v -k /k -n me -m both -b none -t 3 -d eth0 -fIPv6 --mode kernel n");
    let words = plan.sender.words().join(" ");
    assert_eq!(words, "-f IPv6 -b none -t 3 -d eth0 -n me -m both -k /k -v");
    assert_eq!((plan.sender.family(), plan.mode), (Some(true), Mode::Kernel));
    assert!(Options::try_parse_from(["fence_kdumpctl", "plan"]).is_err(), "nobody to tell");
}

const DEP: &str = "\
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci_modern_dev.ko.xz:
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_pci_modern_dev.ko.xz \
kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko \
kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/net/mdio-bus.ko:
kernel/drivers/net/phy-x.ko: kernel/drivers/net/mdio-bus.ko
kernel/drivers/net/card.ko:
kernel/drivers/net/a.ko:
kernel/drivers/net/b.ko:
";
const SOFTDEP: &str =
    "softdep card pre: phy-x missing post: later\nsoftdep a pre: b\nsoftdep b pre: a\n";
const ALIAS: &str = "# Aliases\nalias pci:v00001AF4d00001000sv*sd*bc*sc*i* card\n\
    alias virtio:d00000001v* virtio-net\nalias of:N*T*Cvendor,[ab-d]x card\n";

fn modules() -> Modules {
    Modules::parse("/lib/modules/V".as_ref(), DEP, SOFTDEP, "kernel/lib/crc.ko\n", ALIAS)
}

fn order(names: &[&str]) -> Vec<String> {
    let mut order = Vec::new();
    names.iter().for_each(|name| modules().add(name, &mut order));
    let short = |path: &PathBuf| {
        assert!(path.starts_with("/lib/modules/V/kernel"), "{path:?}");
        path.file_name().expect("a file").to_string_lossy().into_owned()
    };
    order.iter().map(short).collect()
}

#[test]
fn a_module_comes_after_all_that_it_needs_and_only_once() {
    assert_eq!(
        order(&["virtio_pci", "virtio-net"]),
        [
            "virtio.ko",
            "virtio_ring.ko",
            "virtio_pci_modern_dev.ko.xz",
            "virtio_pci.ko.xz",
            "failover.ko",
            "net_failover.ko",
            "virtio_net.ko",
        ]
    );
    assert_eq!(order(&["card"]), ["mdio-bus.ko", "phy-x.ko", "card.ko"]);
    assert_eq!(order(&["a"]), ["b.ko", "a.ko"], "a circle has an end");
    assert!(order(&["crc", "no_such"]).is_empty());
    assert!(modules().has("crc") && !modules().is_loadable("crc") && !modules().has("no_such"));
    assert!(modules().has("phy_x") && modules().is_loadable("phy-x"));
}

#[test]
fn drivers_are_found_by_what_a_device_says_of_itself() {
    let drivers = |text| modules().drivers(text).join(" ");
    assert_eq!(drivers("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"), "card");
    assert_eq!(drivers("virtio:d00000001v00001AF4"), "virtio_net");
    assert_eq!(drivers("virtio:d00000002v00001AF4"), "");
    assert_eq!(drivers("of:NethernetT(null)Cvendor,cx"), "card");
    assert_eq!(drivers("of:NethernetT(null)Cvendor,ex"), "");
    assert_eq!(drivers(""), "");
    // Stars that have to give back what they took; this must also come to an end.
    let many = Modules::parse("/".as_ref(), "", "", "", "alias *a*a*a*a*a*a*a*b x\nalias [ y\n");
    assert!(many.drivers(&"a".repeat(200)).is_empty());
    assert_eq!(many.drivers(&format!("{}b", "a".repeat(200))), ["x"]);
}

/// A card on a bus of its own driver, as virtio has it.
#[test]
fn what_the_card_hangs_on_is_driven_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let sys = folder.path();
    let path = |name: &str| sys.join(name);
    let pci = path("devices/pci0000:00/0000:00:03.0");
    let virtio = pci.join("virtio0");
    fs::create_dir_all(virtio.join("net/eth0")).expect("a folder");
    fs::create_dir_all(path("class/net")).expect("a folder");
    for (driver, module) in [("virtio-pci", "virtio_pci"), ("virtio_net", "virtio_net")] {
        fs::create_dir_all(path("bus").join(driver)).expect("a folder");
        fs::create_dir_all(path("module").join(module)).expect("a folder");
        symlink(path("module").join(module), path("bus").join(driver).join("module"))
            .expect("a link");
    }
    symlink(path("bus/virtio-pci"), pci.join("driver")).expect("a link");
    symlink(path("bus/virtio_net"), virtio.join("driver")).expect("a link");
    symlink(virtio.join("net/eth0"), path("class/net/eth0")).expect("a link");
    symlink(&virtio, virtio.join("net/eth0/device")).expect("a link");
    fs::write(virtio.join("modalias"), "virtio:d00000001v00001AF4\n").expect("a file");

    let found = |modules: &Modules, is_other| sysfs::modules_of(sys, "eth0", modules, is_other);
    let both = Ok(vec!["virtio_pci".to_owned(), "virtio_net".to_owned()]);
    assert_eq!(found(&modules(), false), both);
    // Another kernel, in which the driver is another module.
    let other = "kernel/a/virtio_pci.ko:\nkernel/a/vnet2.ko:\n";
    let other = Modules::parse("/".as_ref(), other, "", "", "alias virtio:d00000001v* vnet2\n");
    let names = found(&other, true);
    assert_eq!(names, Ok(vec!["virtio_pci".to_owned(), "vnet2".to_owned()]));
    let none = Modules::parse("/".as_ref(), "kernel/a/virtio_pci.ko:\n", "", "", "");
    assert!(found(&none, true).is_err_and(|why| why.contains("no module for virtio_net")));
    // A card without a device needs none.
    assert_eq!(sysfs::modules_of(sys, "veth0", &modules(), false), Ok(vec![]));
    fs::write(virtio.join("net/eth0/addr_assign_type"), "1\n").expect("a file");
    let mut link = Link { name: "eth0".to_owned(), ..Link::default() };
    sysfs::complete(sys, &mut link);
    assert!(link.has_device && !link.is_wireless);
    assert!(sysfs::doubts(sys, "eth0").concat().contains("random"));
}

fn link(index: u32, name: &str, kind: &str) -> Link {
    let kind = (!kind.is_empty()).then(|| kind.to_owned());
    let mac = Some(Mac([2, 0, 0, 0, 0, u8::try_from(index).expect("small")]));
    let has_device = kind.is_none();
    Link { index, name: name.to_owned(), kind, mac, has_device, ..Link::default() }
}

/// eth0 and eth1 in bond0, VLAN 7 of it in br0 with a guest's tap0; and what nobody can plan.
fn links() -> Vec<Link> {
    let below = |parent, link| Link { parent: Some(parent), ..link };
    let member = |of, link| Link { controller: Some(of), ..link };
    let tagged = |id, link| Link { tag: Some(Tag { id, is_service: false }), ..link };
    vec![
        member(3, link(1, "eth0", "")),
        member(3, link(2, "eth1", "")),
        link(3, "bond0", "bond"),
        tagged(7, member(5, below(3, link(4, "bond0.7", "vlan")))),
        link(5, "br0", "bridge"),
        member(5, link(6, "tap0", "tun")),
        tagged(8, below(4, link(7, "bond0.7.8", "vlan"))),
        below(1, link(8, "mv0", "macvlan")),
        Link { is_wireless: true, ..link(9, "wlan0", "") },
        Link { layer: Some("infiniband".to_owned()), ..link(10, "ib0", "") },
        link(11, "wg0", "wireguard"),
        link(12, "empty0", "bond"),
        Link { controller: Some(13), ..link(13, "own0", "bridge") },
        member(5, link(14, "veth0", "veth")),
        Link { tag: Some(Tag { id: 9, is_service: true }), ..below(1, link(15, "ad9", "vlan")) },
    ]
}

#[test]
fn the_cards_under_an_interface() {
    let names = |index| {
        cards(&links(), index).map(|found| {
            let names: Vec<_> = found.cards.iter().map(|card| card.name.as_str()).collect();
            (names.join(" "), found.vlan)
        })
    };
    let some = |names: &str, vlan| Ok((names.to_owned(), vlan));
    assert_eq!(names(1), some("eth0", None));
    assert_eq!(names(3), some("eth0 eth1", None));
    assert_eq!(names(4), some("eth0 eth1", Some(7)));
    assert_eq!(names(5), some("eth0 eth1", Some(7)), "a guest's port is no way out");
    assert_eq!(names(8), some("eth0", None));
    assert_eq!(names(14), some("veth0", None));
    for (index, why) in [
        (6, "tap0: tun"),
        (7, "bond0.7: a VLAN inside VLAN 8"),
        (9, "wlan0: a WLAN"),
        (10, "ib0: infiniband"),
        (11, "wg0: wireguard"),
        (12, "empty0: no network card"),
        (13, "own0: no network card"),
        (15, "ad9: a VLAN of IEEE 802.1ad"),
        (99, "no network card"),
    ] {
        let error = cards(&links(), index).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
    let shown = cards(&links(), 5).expect("cards");
    assert!(shown.remarks.iter().any(|it| it.contains("tap0")), "{:?}", shown.remarks);
    assert_eq!(Mac([0xfe, 0, 1, 2, 3, 0x0a]).to_string(), "fe:00:01:02:03:0a");
}

#[test]
fn what_is_beside_an_address() {
    let held = |address: &str, prefix| Held {
        index: 1,
        address: address.parse().expect("an address"),
        prefix,
        is_leased: false,
        is_temporary: false,
    };
    let is_in = |one: &str, held: &Held| ways::is_in(one.parse().expect("an address"), held);
    assert!(is_in("10.0.0.9", &held("10.0.0.1", 24)) && !is_in("10.0.1.9", &held("10.0.0.1", 24)));
    assert!(is_in("8.8.8.8", &held("10.0.0.1", 0)) && !is_in("10.0.0.2", &held("10.0.0.1", 32)));
    assert!(
        is_in("fd00::9", &held("fd00::1", 64)) && !is_in("fd00:0:0:1::9", &held("fd00::1", 64))
    );
    assert!(is_in("::1", &held("fd00::1", 0)) && !is_in("10.0.0.1", &held("fd00::1", 0)));
}

/// Every kernel has a loopback interface, and its addresses are this host's.
#[test]
fn the_kernel_answers() {
    let mut netlink = Netlink::open().expect("rtnetlink");
    let links = netlink.links().expect("interfaces");
    assert!(links.iter().any(|link| link.name == "lo" && link.layer.is_some()), "{links:?}");
    let held = netlink.addresses().expect("addresses");
    let loopback = "127.0.0.1".parse().expect("an address");
    assert!(held.iter().any(|it| it.address == loopback && it.prefix == 8 && !it.is_leased));
    let route = netlink.route(loopback, None).expect("a route");
    assert_eq!((route.kind, route.source), (RouteType::Local, Some(loopback)));
}

#[test]
fn the_same_address_is_told_once_and_a_family_leaves_the_other_one_out() {
    let found = |name, family| resolve(name, family).map(|all| all.len());
    assert_eq!(found("::ffff:127.0.0.9", None), Ok(1));
    assert_eq!(
        resolve("::ffff:127.0.0.9", None).expect("an address")[0].ip(),
        IpAddr::from([127, 0, 0, 9])
    );
    assert!(found("127.0.0.9", Some(true)).is_err());
    assert!(found("no-such.invalid", None).is_err_and(|why| !why.is_empty()));
}
