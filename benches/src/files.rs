//! What a daemon reads when it starts.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::traffic;

/// What a daemon reads when it starts.
pub struct Files {
    /// Goes with this.
    dir: tempfile::TempDir,
    config: String,
}

impl Files {
    /// For `nodes` nodes; `keys` are the lines of the key file.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn new(nodes: u32, port: u16, keys: Option<&str>) -> Self {
        let nodes =
            (0..nodes).map(|node| (traffic::name(node), traffic::address(node).to_string()));
        Self::write(nodes, port, keys)
    }

    /// For these nodes, each with its address.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn with(nodes: &[(&str, &str)], port: u16) -> Self {
        let owned = |(name, address): &(&str, &str)| ((*name).to_owned(), (*address).to_owned());
        Self::write(nodes.iter().map(owned), port, None)
    }

    fn write(nodes: impl Iterator<Item = (String, String)>, port: u16, keys: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        let mut text = format!("port = {port}\nstate_dir = {:?}\n", path("state"));
        if let Some(keys) = keys {
            std::fs::write(path("keys"), keys).expect("a file");
            let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(path("keys"), owner).expect("our own file");
            writeln!(text, "key_file = {:?}", path("keys")).expect("a string");
        }
        writeln!(text, "nodes_file = {:?}", path("nodes")).expect("a string");
        writeln!(text, "[discovery]\nenabled = true").expect("a string");
        let mut list = String::new();
        for (name, address) in nodes {
            writeln!(list, "{name} {address}").expect("a string");
        }
        std::fs::write(path("nodes"), list).expect("a file");
        std::fs::write(path("config"), text).expect("a file");
        let config = path("config").to_str().expect("a plain name").to_owned();
        Self { dir, config }
    }

    /// Where the daemon keeps its state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The daemon's arguments.
    pub fn arguments(&self) -> [&str; 2] {
        ["--config", &self.config]
    }
}
