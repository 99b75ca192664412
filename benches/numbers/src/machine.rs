//! The machine on which something was measured.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Where and when something was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Year, month and day, in UTC.
    pub date: String,
    /// The processors.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub system: String,
    /// The version of the stock tools.
    pub stock: String,
    /// The compiler.
    pub rustc: String,
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}

/// The value of the first line of `file` that begins with `key`.
fn line(file: &str, key: &str, separator: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(key))?.split_once(separator)?;
    Some(value.trim().trim_matches('"').to_owned())
}

impl Setting {
    /// This machine, as it is; something was measured on it at `when`.
    #[must_use]
    pub fn here(when: SystemTime) -> Self {
        let unknown = || "unknown".to_owned();
        let count = std::thread::available_parallelism().map_or(1, |count| count.get());
        let model = line("/proc/cpuinfo", "model name", ':');
        let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let date = humantime::format_rfc3339_seconds(when).to_string();
        let stock = said("dpkg-query", &["-W", "-f=${Version}", "fence-agents"]);
        let stock =
            stock.or_else(|| said("rpm", &["-q", "--qf", "%{VERSION}", "fence-agents-kdump"]));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        Self {
            date: date.chars().take(10).collect(),
            processor: format!("{count} × {model}"),
            kernel: kernel.map_or_else(unknown, |kernel| kernel.trim().to_owned()),
            system: line("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(unknown),
            stock: stock.map_or_else(unknown, |version| format!("fence-agents {version}")),
            rustc: said("rustc", &["--version"]).unwrap_or_else(unknown),
        }
    }
}
