//! Keys as an administrator makes, hands out and rotates them, and what nobody ever sees of them.

#[path = "keys/making.rs"]
mod making;
#[path = "keys/papers.rs"]
mod papers;
#[path = "keys/rotating.rs"]
mod rotating;
#[path = "keys/unseen.rs"]
mod unseen;

use fence_kdump_tests::{Output, Run, programs};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(10);

/// A folder with keys in it, in which commands run.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn none() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder") }
    }

    /// With a new `cluster.key`.
    fn new() -> Self {
        let keys = Self::none();
        let _ = keys.key("new --out cluster.key").expect_success();
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `fence_kdumpctl key` with these words.
    fn command(&self, words: &str) -> Run<'static> {
        let run = Run::new(programs::ours("fence_kdumpctl")).folder(self.folder.path());
        run.arg("key").args(words.split_whitespace())
    }

    fn key(&self, words: &str) -> Output {
        self.command(words).run(LIMIT)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Id, kind, state and node of each key in a file.
    fn list(&self, name: &str) -> Vec<[String; 4]> {
        let listing = self.key(&format!("list --json --key-file {name}")).expect_success().stdout;
        let listing: serde_json::Value = serde_json::from_str(&listing).expect("JSON");
        assert_eq!(listing["file"], name);
        let word = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let keys = listing["keys"].as_array().expect("a list").iter();
        keys.map(|key| ["key_id", "kind", "state", "node"].map(|name| word(&key[name]))).collect()
    }

    /// The id of the current cluster key.
    fn current(&self) -> String {
        let [id, ..] = self.list("cluster.key").swap_remove(0);
        id
    }

    /// Everything in the folder, by name.
    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).expect("our own folder");
        let name = |file: fs::DirEntry| file.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = files.map(|file| name(file.expect("a file"))).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

/// What it says when it refuses: one line that names the place and says so.
#[track_caller]
fn refused(output: Output, said: &[&str]) {
    let output = output.expect_failure();
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stdout.is_empty(), "{output}");
    assert!(output.stderr.starts_with("fence_kdumpctl: "), "{output}");
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
    for part in said {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}

/// Every word of a key file that is a key.
fn secrets(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words: Vec<_> = lines.filter_map(|line| line.split(' ').nth(2)).collect();
    assert!(!words.is_empty() && words.iter().all(|word| word.len() == 64), "keys");
    words.into_iter().map(str::to_owned).collect()
}
