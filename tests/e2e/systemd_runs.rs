//! The units as a real systemd runs them: process 1 of a container, with the unit files and programs as they are
//! installed.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fence_kdump_tests::vm::{Container, Distribution};
use fence_kdump_tests::{Need, programs, requires};

const LIMIT: Duration = Duration::from_secs(60);

const NODE: &str = "[[node]]\nname = \"n1\"\naddresses = [\"127.0.0.1\"]\n";

/// Messages of eight bytes, one each 10 ms.
const SPEAK: &str = r#"exec 3>/dev/udp/127.0.0.1/7410; for i in $(seq COUNT); do
    printf '\x40\x2a\x30\x1b\x01\0\0\0' >&3; sleep 0.01; done"#;

/// Everything where a package puts it.
fn installed() -> Option<Distribution> {
    if !requires(&[Need::Root, Need::Images, Need::Nspawn]) {
        return None;
    }
    let debian = Distribution::new();
    for name in ["fence_kdumpd", "fence_kdump", "fence_kdumpctl", "fence_kdump_send"] {
        debian.program(&format!("/usr/sbin/{name}"), &programs::ours(name));
    }
    for name in ["fence_kdumpd.service", "fence_kdumpd.socket"] {
        let unit = programs::workspace().join("dist/systemd").join(name);
        let unit = fs::read(&unit).unwrap_or_else(|error| panic!("{unit:?}: {error}"));
        debian.file(&format!("/usr/lib/systemd/system/{name}"), unit, 0o644);
    }
    debian.file("/etc/fence_kdump/fence_kdumpd.toml", NODE, 0o644);
    debian.file("/etc/hosts", "127.0.0.1 localhost n1\n", 0o644);
    Some(debian)
}

fn boot(debian: &Distribution) -> Container<'_> {
    let host = debian.boot();
    host.ask("ip link set lo up");
    // The container's own is not seen by services that have a /proc of their own. A machine has only one.
    host.ask("umount /proc/sys/kernel/random/boot_id");
    host
}

fn speak(host: &Container<'_>, count: u32) -> String {
    host.ask(&format!(
        "bash -c '{}'",
        SPEAK.replace("COUNT", &count.to_string()).replace('\'', "\"")
    ))
}

/// What the daemon says of n1.
fn node(host: &Container<'_>) -> serde_json::Value {
    let text = host.run("fence_kdumpctl status n1 --json").stdout;
    let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    status["nodes"][0].clone()
}

fn show(host: &Container<'_>, property: &str) -> String {
    host.ask(&format!("systemctl show -p {property} --value fence_kdumpd.service"))
}

/// Looks until `is_so`, for as long as that may take.
#[track_caller]
fn until(host: &Container<'_>, what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        let log = || host.run("systemctl status fence_kdumpd.service; journalctl -u fence_kdumpd");
        assert!(begin.elapsed() < LIMIT, "{what}: {}", log());
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn neither_a_restart_nor_a_hang_loses_a_datagram() {
    let Some(debian) = installed() else { return };
    let host = boot(&debian);
    host.ask("systemctl start fence_kdumpd.socket");
    assert_eq!(show(&host, "ActiveState"), "inactive");
    speak(&host, 1);
    // Which is of unknown age, since nobody has ever seen that queue empty.
    until(&host, "the first message starts it", || show(&host, "ActiveState") == "active");
    speak(&host, 1);
    until(&host, "it is heard", || node(&host)["messages"] == 1);
    let said = show(&host, "StatusText");
    assert!(said.starts_with("listening on UDP port 7410 for 1 node"), "{said}");

    let process = host.ask(&format!("cat /proc/{}/status", show(&host, "MainPID")));
    let has = |line: &str| process.lines().any(|one| one.split_whitespace().eq(line.split(' ')));
    for line in
        ["CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"]
    {
        assert!(has(line), "{line}: {process}");
    }
    let ids = process.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a user");
    let user = ids.split_whitespace().next().expect("a number");
    assert_ne!(user, "0", "it has a user of its own");
    let folder = host.ask("stat -Lc '%a %u' /var/lib/fence_kdump/");
    assert_eq!(folder, format!("700 {user}"), "nobody else reads there");

    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| speak(&host, 300));
        for _ in 0..2 {
            sleep(Duration::from_millis(700));
            host.ask("systemctl restart fence_kdumpd.service");
        }
        sending.join().map(|_| 301).expect("sent")
    });
    until(&host, "all of them are heard", || node(&host)["messages"] == sent);

    // Whether it hangs is not asked as often as that in earnest.
    host.ask("mkdir -p /run/systemd/system/fence_kdumpd.service.d");
    let soon = "/run/systemd/system/fence_kdumpd.service.d/soon.conf";
    host.ask(&format!("printf '[Service]\\nWatchdogSec=2\\n' >{soon} && systemctl daemon-reload"));
    host.ask("systemctl restart fence_kdumpd.service");
    let hangs = show(&host, "MainPID");
    host.ask(&format!("kill -STOP {hangs}"));
    speak(&host, 1);
    until(&host, "systemd starts it anew", || {
        show(&host, "NRestarts") == "1" && node(&host)["messages"] == sent + 1
    });
    assert_ne!(show(&host, "MainPID"), hangs);
    assert_eq!(node(&host)["state"], "dumping");

    host.ask(
        r#"printf '[[node]]\nname = "n2"\naddresses = ["127.0.0.2"]\n' >>/etc/fence_kdump/fence_kdumpd.toml"#,
    );
    assert_eq!(host.run("fence_kdumpctl status n2").code, Some(4), "not yet");
    host.ask("systemctl reload fence_kdumpd.service");
    until(&host, "it is told", || host.run("fence_kdumpctl status n2").code == Some(3));

    let lines = host.ask("journalctl -u fence_kdumpd.service -o cat");
    let count = |said: &str| lines.lines().filter(|line| *line == said).count();
    assert_eq!(count("listening on UDP port 7410"), 5, "each start, and each once: {lines}");
    assert_eq!(count("n1 is in its crash kernel (127.0.0.1)"), 1, "{lines}");
    let events = host.ask("journalctl -o json FENCE_KDUMP_NODE=n1");
    assert!(events.contains("\"FENCE_KDUMP_KIND\":\"started\""), "{events}");

    host.ask("systemctl stop fence_kdumpd.socket fence_kdumpd.service");
    assert_eq!(
        (show(&host, "Result"), show(&host, "ActiveState")),
        ("success".into(), "inactive".into())
    );
}

/// The daemon's user cannot read the keys, and is nobody that an agent would know.
#[test]
fn keys_are_handed_to_it_and_agents_trust_it() {
    let Some(debian) = installed() else { return };
    let config = format!("key_file = \"/etc/fence_kdump/cluster.key\"\n{NODE}");
    debian.file("/etc/fence_kdump/fence_kdumpd.toml", config, 0o644);
    let host = boot(&debian);
    host.ask("fence_kdumpctl key new");
    assert_eq!(host.ask("stat -c '%a %U' /etc/fence_kdump/cluster.key"), "600 root");
    host.ask("fence_kdumpctl key derive n1 --out /root/node.key");
    host.ask("systemctl start fence_kdumpd.service");
    speak(&host, 1);
    host.ask("fence_kdump_send -k /root/node.key -c 2 -i 1 127.0.0.1");
    until(&host, "it is believed", || node(&host)["messages"].as_u64() >= Some(1));
    let known = node(&host);
    assert!(known["proof"] == "signed" || known["proof"] == "live", "{known}");
    let begin = Instant::now();
    let agent = host
        .run("fence_kdump -v -n n1 -t 20 --key-file /etc/fence_kdump/cluster.key --policy signed");
    assert_eq!(agent.code, Some(0), "{agent}");
    assert!(agent.stderr.contains("reads UDP port 7410 for this one, too"), "{agent}");
    assert!(begin.elapsed() < Duration::from_secs(5), "from what the daemon has heard: {agent}");
}
