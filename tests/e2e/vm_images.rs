//! Images as distributions build them, with their own tools, in a machine that really crashes: is the sender
//! heard, how soon, is the dump written all the same, and does the machine reset itself.
//!
//! `make vm` runs them all, `RUNS` times, and prints one table of medians. Otherwise each of the few that
//! show what matters runs once.

#[path = "vm_images/build.rs"]
mod build;
#[path = "vm_images/dracut.rs"]
mod dracut;
#[path = "vm_images/dump.rs"]
mod dump;
#[path = "vm_images/table.rs"]
mod table;

use build::{Kind, Scene};
use fence_kdump_tests::vm::{Crash, Machine};
use fence_kdump_tests::{Need, Netns, Run, datagram, programs, requires};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use table::{Row, Table};

const NEEDS: [Need; 5] = [Need::Root, Need::Netns, Need::Qemu, Need::Images, Need::Stock];

/// How long the agent waits. Generous: nothing here is a statement on speed.
const PATIENCE: u64 = 240;

/// One machine at a time, or none would have a processor.
static ONE: Mutex<()> = Mutex::new(());

/// What one crash came to.
struct Outcome {
    crash: Crash,
    heard: Option<Instant>,
    dumped: Option<Instant>,
    reset: Option<Instant>,
}

/// How often each scenario runs; `None` where nobody asked for the whole table.
fn runs() -> Option<usize> {
    let runs = std::env::var("FENCE_KDUMP_VM_RUNS").ok();
    runs.map(|n| n.parse().expect("FENCE_KDUMP_VM_RUNS is a number"))
}

/// Which kinds the table has: without `make vm`, the two that need no distribution, and with it all, or those
/// that `FENCE_KDUMP_VM_KINDS` names, as their logs are named.
fn kinds() -> Vec<Kind> {
    if runs().is_none() {
        return vec![Kind::Minimal, Kind::AsInit];
    }
    let Ok(words) = std::env::var("FENCE_KDUMP_VM_KINDS") else {
        return Kind::ALL.to_vec();
    };
    let kind = |word: &str| {
        let found = Kind::ALL
            .into_iter()
            .find(|kind| kind.file_name().strip_prefix("image-") == Some(word));
        found.unwrap_or_else(|| panic!("FENCE_KDUMP_VM_KINDS: {word}: no such kind"))
    };
    words.split_whitespace().map(kind).collect()
}

/// The plan that the running system makes leads to its network card.
#[test]
fn the_running_system_plans_its_card_and_the_modules() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = build::plan();
    let lines: Vec<&str> = plan.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.first(), Some(&"fence_kdump_plan 1"), "{plan}");
    assert!(lines.contains(&"send -v 10.0.2.2"), "{plan}");
    let link = "link eth0 mac 52:54:00:12:34:56 address 10.0.2.15/24";
    assert!(lines.contains(&link), "{plan}");
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("module /lib/modules/")?.rsplit('/').next())
        .collect();
    for (before, after) in [
        ("virtio_ring.ko", "virtio.ko"),
        ("virtio.ko", "virtio_pci.ko"),
        ("virtio_pci.ko", "virtio_net.ko"),
        ("failover.ko", "net_failover.ko"),
        ("net_failover.ko", "virtio_net.ko"),
    ] {
        let place = |name| names.iter().position(|found| *found == name);
        assert!(
            place(before).is_some() && place(before) < place(after),
            "{before}, {after}: {plan}"
        );
    }
}

/// The image that RHEL, Fedora and SUSE use, as the real dracut builds it: the sender speaks before
/// there is a network, dracut sets the network up undisturbed, the dump is written and whole, and the
/// machine resets itself.
#[test]
fn dracut_early_is_heard_and_the_dump_is_whole() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = once(Kind::DracutEarly);
    assert!(outcome.heard.is_some() && outcome.dumped.is_some() && outcome.reset.is_some());
}

/// The same as RHEL and Fedora pack it: what is in the image, the sender with it, comes into being when the
/// first `/init` has mounted it, and no module can be loaded without the image's own tools.
#[test]
fn squashed_dracut_early_is_heard_and_the_dump_is_whole() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = once(Kind::SquashEarly);
    let heard =
        outcome.heard.expect("it is to be heard").saturating_duration_since(outcome.crash.init);
    let reset = outcome.reset.expect("a reset").saturating_duration_since(outcome.crash.init);
    // systemd and the network take most of the time in between.
    assert!(outcome.dumped.is_some() && heard < reset / 3, "{heard:?} of {reset:?}");
}

/// Debian's and Ubuntu's kdump-tools, which loads the crash kernel and writes the dump itself.
#[test]
fn kdump_tools_early_is_heard_and_the_dump_is_whole() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = once(Kind::DebianEarly);
    assert!(outcome.heard.is_some() && outcome.dumped.is_some() && outcome.reset.is_some());
}

/// What must never happen: the image of the crash kernel, booted by mistake or by a firmware-assisted dump
/// that shares it, with a kernel that has not crashed. It says nothing, and its init runs.
#[test]
fn an_image_that_boots_without_a_crash_is_silent() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (scene, _image) = Scene::uncrashed();
    let net = Netns::new();
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "127.0.0.1", "-t", &PATIENCE.to_string(), "-v"])
        .inside(&net)
        .spawn();
    agent.wait_bound(datagram::PORT);
    let mut machine =
        Machine::start(&net, "image-uncrashed", &scene.hardware()).expect("qemu starts");
    let (_, line) = machine.wait_for("vm: init is process 1");
    assert!(line.contains("called /init"), "{line}");
    // Far longer than the sender needs where it may speak.
    let (_, line) = machine.wait_for("vm: ten seconds later");
    assert!(!line.contains("vmcore"), "{line}");
    let seen = machine.datagrams().expect("qemu's capture");
    assert!(seen.is_empty(), "it was to be silent: {seen:?}");
    assert!(agent.is_running(), "nobody was to be fenced");
}

/// All kinds of images, one after the other, so that each has the machine for itself. Without `make vm`,
/// the two that need no distribution.
#[test]
fn the_table() {
    if !requires(&NEEDS) {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = Table::default();
    let kinds = kinds();
    for _ in 0..runs().unwrap_or(1) {
        for &kind in &kinds {
            let outcome = once(kind);
            table.add(Row::new(kind, &outcome));
            // What is known so far is not lost when something fails later.
            println!("\n{table}");
        }
    }
    if runs().is_some_and(|runs| runs >= 3) && kinds == Kind::ALL {
        table.expect_goals();
    }
}

/// Builds the image, boots the machine, makes it crash, and follows it to its reset.
fn once(kind: Kind) -> Outcome {
    let scene = Scene::new(kind);
    let net = Netns::new();
    let mut machine =
        Machine::start(&net, kind.file_name(), &scene.hardware()).expect("qemu starts");
    machine.wait_until_up();
    let agent = Run::new(programs::ours("fence_kdump"))
        .args(["-n", "127.0.0.1", "-t", &PATIENCE.to_string(), "-v"])
        .inside(&net)
        .spawn();
    agent.wait_bound(datagram::PORT);
    let start = Instant::now() - agent.elapsed();
    let crash = machine.crash_any();
    let mut outcome = Outcome { crash, heard: None, dumped: None, reset: None };
    if kind.is_told() {
        let output = agent.wait_for(Duration::from_secs(PATIENCE + 10)).expect_success();
        let heard = start + output.elapsed;
        assert!(heard > crash.kernel, "success before the crash kernel ran: {output}");
        outcome.heard = Some(heard);
    }
    if let Some(network) = kind.network() {
        let (_, line) = machine.wait_for("vm: network is up");
        assert!(line.contains(network), "the distribution's own network: {line}");
    }
    if let Some(disk) = scene.disk() {
        outcome.dumped = kind.dumped().map(|words| machine.wait_for(words).0);
        outcome.reset = Some(machine.wait_for_reset());
        dump::is_whole(disk, kind);
    }
    let seen = machine.datagrams().expect("qemu's capture");
    let told = seen.iter().filter(|datagram| datagram.to.port() == datagram::PORT);
    assert_eq!(told.count() > 0, kind.is_told(), "{seen:?}");
    outcome
}
