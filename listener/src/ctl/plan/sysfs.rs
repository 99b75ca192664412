//! What sysfs(5) tells of a network card: what drives it, and what drives all that it hangs on.

use std::fs;
use std::path::{Path, PathBuf};

use super::links::Link;
use super::modules::Modules;

/// Where interfaces are found.
fn folder(sys: &Path, name: &str) -> PathBuf {
    sys.join("class/net").join(name)
}

/// Adds to `link` what only sysfs, mounted at `sys`, knows of it.
pub fn complete(sys: &Path, link: &mut Link) {
    let folder = folder(sys, &link.name);
    link.has_device = folder.join("device").exists();
    link.is_wireless = folder.join("phy80211").exists() || folder.join("wireless").exists();
}

/// What speaks against relying on the card `name`, in words.
#[must_use]
pub fn doubts(sys: &Path, name: &str) -> Vec<String> {
    let folder = folder(sys, name);
    let mut doubts = Vec::new();
    let how = fs::read_to_string(folder.join("addr_assign_type")).unwrap_or_default();
    if folder.join("device").exists() && how.trim() == "1" {
        doubts.push(format!(
            "{name}: its Ethernet address is random, the next kernel gives another one"
        ));
    }
    let driver = fs::read_link(folder.join("device/driver")).unwrap_or_default();
    if driver.file_name().is_some_and(|driver| driver == "qeth") {
        doubts.push(format!("{name}: qeth, which the crash kernel has to set online first"));
    }
    doubts
}

/// The modules that drive the card `name` and what it hangs on, from the root of the tree of devices to the
/// card. `is_other` says that `modules` are not those of the kernel that runs.
///
/// # Errors
/// What `modules` has nothing for, in words.
pub fn modules_of(
    sys: &Path,
    name: &str,
    modules: &Modules,
    is_other: bool,
) -> Result<Vec<String>, String> {
    let Ok(device) = fs::canonicalize(folder(sys, name).join("device")) else {
        return Ok(Vec::new());
    };
    let devices = fs::canonicalize(sys.join("devices")).unwrap_or_default();
    let mut chain: Vec<&Path> =
        device.ancestors().take_while(|it| it.starts_with(&devices) && *it != devices).collect();
    chain.reverse();
    let mut names = Vec::new();
    for device in chain {
        let Ok(driver) = fs::read_link(device.join("driver")) else {
            continue;
        };
        let driver = driver.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let module = fs::read_link(device.join("driver/module"));
        let module =
            module.ok().and_then(|it| Some(it.file_name()?.to_string_lossy().into_owned()));
        match module {
            Some(module) if modules.has(&module) => names.push(module),
            // In the kernel that runs, it is built in.
            None if !is_other => {}
            other => {
                let alias = fs::read_to_string(device.join("modalias")).unwrap_or_default();
                let drivers = modules.drivers(alias.trim());
                if drivers.is_empty() && other.is_some() {
                    return Err(format!("{name}: the kernel has no module for {driver}"));
                }
                names.extend(drivers);
            }
        }
    }
    Ok(names)
}
