//! The units, by systemd's own tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fence_kdump_tests::{Need, Output, Run, programs, requires};

const LIMIT: Duration = Duration::from_secs(60);

/// Ten times the exposure that `systemd-analyze security` may find, from 0 to 100. What is left is the network, a
/// netlink socket for the resolver, and the number of the boot in /proc.
const EXPOSURE: u32 = 12;

/// The units as they are installed, but for where the program lies.
fn units(folder: &Path) -> [PathBuf; 2] {
    ["fence_kdumpd.service", "fence_kdumpd.socket"].map(|name| {
        let unit = programs::workspace().join("dist/systemd").join(name);
        let text = fs::read_to_string(&unit).unwrap_or_else(|error| panic!("{unit:?}: {error}"));
        let program = programs::ours("fence_kdumpd");
        let text = text.replace("/usr/sbin/fence_kdumpd", program.to_str().expect("UTF-8"));
        let path = folder.join(name);
        fs::write(&path, text).expect("a unit");
        path
    })
}

fn analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    Run::new("systemd-analyze").args(arguments).args(units).run(LIMIT)
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    if !requires(&[Need::Systemd]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let units = units(folder.path());
    let output = analyze(&["verify", "--man=no"], &units);
    // It looks at all units of this machine that they name, too.
    let about_ours = |line: &&str| line.contains("fence_kdumpd");
    let said: Vec<_> = output.stderr.lines().filter(about_ours).collect();
    assert_eq!((output.code, said), (Some(0), Vec::new()), "{}", output.stderr);

    let text = fs::read_to_string(&units[0]).expect("the service");
    fs::write(&units[0], text.replace("WatchdogSec=30", "WatchdogSec=soon")).expect("the service");
    let output = analyze(&["verify", "--man=no"], &units);
    let is_said = ["fence_kdumpd.service", "soon"].iter().all(|word| output.stderr.contains(word));
    assert!(is_said, "it would have said so: {}", output.stderr);
}

#[test]
fn the_service_can_do_little_but_hear() {
    if !requires(&[Need::Systemd]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [service, _] = units(folder.path());
    let security = |threshold: u32| {
        let threshold = format!("--threshold={threshold}");
        analyze(
            &["security", "--offline=yes", "--no-pager", &threshold],
            std::slice::from_ref(&service),
        )
    };
    let output = security(EXPOSURE);
    assert_eq!(output.code, Some(0), "{}", output.stdout);
    let output = security(1);
    assert_ne!(output.code, Some(0), "there is always something: {}", output.stdout);
    let text = fs::read_to_string(&service).expect("the service");
    fs::write(&service, text.replace("PrivateDevices=yes\n", "")).expect("the service");
    let output = security(EXPOSURE);
    assert_ne!(output.code, Some(0), "it would have been found: {}", output.stdout);
}
