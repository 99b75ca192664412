//! New keys, and keys of nodes.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use fence_kdump_core::message::is_node_name;
use zeroize::Zeroizing;

use super::Failure;
use crate::custody;
use crate::keys::line::Line;
use crate::keys::write::{self, WriteError};
use crate::keys::{CLUSTER_KEY_FILE, NODE_KEY_FILE, NodeKey, Ring, rotation};

/// What stands for standard output.
const STDOUT: &str = "-";

/// Makes a cluster key, in `out` or where it is looked for.
///
/// # Errors
/// When the file is there already, or cannot be written.
pub fn new(out: Option<&Path>) -> Result<String, Failure> {
    let cluster = rotation::new_key(&[])?;
    let line = Line::Cluster { id: cluster.id, key: cluster.key };
    let text = with_remark("cluster key of fence_kdump: secret, for the hosts that listen", &line);
    let path = match out {
        Some(out) if out == STDOUT => {
            print(&text)?;
            return Ok(String::new());
        }
        Some(out) => out,
        None => {
            let path = Path::new(CLUSTER_KEY_FILE);
            write::make_directory(path)?;
            path
        }
    };
    write::create(path, text.as_bytes()).map_err(|error| match error {
        WriteError::Exists(path) => Failure::HasKey(path),
        other => other.into(),
    })?;
    Ok(format!(
        "{}: new cluster key {}. Copy this file to every other host that listens, readable by root alone; \
         then make a key for each node: 'fence_kdumpctl key derive NODE'.",
        path.display(),
        cluster.id
    ))
}

/// Makes the key of `node` from the current cluster key of `key_file`.
///
/// # Errors
/// When there is none, or the file is there already and has another key, or cannot be written.
pub fn derive(
    node: &str,
    key_file: &Path,
    out: Option<&Path>,
    force: bool,
) -> Result<String, Failure> {
    if !is_node_name(node) {
        return Err(Failure::NoName(node.to_owned()));
    }
    let ring = Ring::load(key_file)?;
    let cluster = ring.current().ok_or_else(|| Failure::NoCluster(key_file.to_owned()))?;
    let no_name = || Failure::NoName(node.to_owned());
    let key = cluster.key.derive(node).ok_or_else(no_name)?;
    let line = Line::Node { key_id: cluster.id, key: key.clone(), name: node.to_owned() };
    let text = with_remark("key of one node for fence_kdump_send: secret", &line);
    let path = match out {
        Some(out) if out == STDOUT => {
            print(&text)?;
            return Ok(String::new());
        }
        Some(out) => out.to_owned(),
        None => beside(key_file, node)?,
    };
    let path_shown = path.display();
    let state = match write::create(&path, text.as_bytes()) {
        Ok(()) => "written",
        Err(WriteError::Exists(_)) => {
            let new = NodeKey { key_id: cluster.id, name: node.to_owned(), key };
            match (has(&path, &new), force) {
                (Has::It, _) => "there already",
                (Has::Other(_), true) => {
                    write::replace(&path, text.as_bytes())?;
                    "written, in place of the one before"
                }
                (Has::Other(has), false) => return Err(Failure::HasOther { path, has }),
                (Has::Foreign(why), _) => return Err(Failure::Foreign { path, why }),
            }
        }
        Err(error) => return Err(error.into()),
    };
    Ok(format!(
        "{path_shown}: key of node {node}, from cluster key {}: {state}. Copy it to the node as {NODE_KEY_FILE}, \
         readable by root alone, and build its crash kernel's image anew with '-k {NODE_KEY_FILE}' among \
         the arguments of fence_kdump_send.",
        cluster.id
    ))
}

/// What is in a file already.
enum Has {
    /// The very key.
    It,
    /// Another key of a node.
    Other(String),
    /// Anything else: not even with `--force` does the new key take its place.
    Foreign(String),
}

fn has(path: &Path, new: &NodeKey) -> Has {
    let ring = match Ring::load(path) {
        Ok(ring) => ring,
        Err(error) => return Has::Foreign(error.to_string()),
    };
    match (ring.clusters(), ring.nodes()) {
        ([], [node]) if is_same(node, new) => Has::It,
        ([], [node]) => {
            Has::Other(format!("the key of node {} from cluster key {}", node.name, node.key_id))
        }
        (clusters, nodes) => {
            let (clusters, nodes) = (clusters.len(), nodes.len());
            Has::Foreign(format!("it has {clusters} cluster keys and {nodes} keys of nodes"))
        }
    }
}

fn is_same(one: &NodeKey, other: &NodeKey) -> bool {
    one.key_id == other.key_id
        && one.name.eq_ignore_ascii_case(&other.name)
        && one.key.as_bytes() == other.key.as_bytes()
}

/// `NODE.node.key` in the folder of `key_file`.
fn beside(key_file: &Path, node: &str) -> Result<PathBuf, Failure> {
    if node.contains('/') || node.starts_with('.') {
        return Err(Failure::NoFileName(node.to_owned()));
    }
    Ok(key_file.with_file_name(format!("{node}.node.key")))
}

fn with_remark(remark: &str, line: &Line) -> Zeroizing<String> {
    let line = line.text();
    let mut text = Zeroizing::new(String::with_capacity(line.len().saturating_add(128)));
    text.push_str("# ");
    text.push_str(remark);
    text.push('\n');
    text.push_str(&line);
    text
}

/// Writes a key to standard output, unless others would see it there.
fn print(text: &str) -> Result<(), Failure> {
    let refused = |error| Failure::Io("standard output", error);
    if stdout().is_terminal() {
        return Err(Failure::Exposed("a terminal".to_owned()));
    }
    // Not through a buffer, which would keep a copy.
    let mut out: File = stdout().as_fd().try_clone_to_owned().map_err(refused)?.into();
    let found = out.metadata().map_err(refused)?;
    if found.is_file()
        && let Some(trouble) = custody::trouble(&found, custody::ANY)
    {
        return Err(Failure::Exposed(format!("a file, and {trouble}")));
    }
    out.write_all(text.as_bytes()).map_err(refused)
}
