//! Which keys a file has.

use std::path::Path;

use serde::Serialize;

use super::Failure;
use crate::keys::Ring;

#[derive(Debug, Serialize)]
struct Listing {
    file: String,
    keys: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    key_id: String,
    kind: &'static str,
    /// `None` for a node key from a cluster key that the file does not have.
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// Lists the keys of `key_file`: never the keys themselves.
///
/// # Errors
/// When it cannot be read.
pub fn run(key_file: &Path, json: bool) -> Result<String, Failure> {
    let ring = Ring::load(key_file)?;
    let keys = rows(&ring);
    if json {
        let file = key_file.display().to_string();
        return Ok(serde_json::to_string(&Listing { file, keys })?);
    }
    let mut text = format!("{:8}  {:7}  {:8}  {}", "KEY ID", "KIND", "STATE", "NODE");
    for row in keys {
        let (state, node) = (row.state.unwrap_or("-"), row.node.as_deref().unwrap_or("-"));
        text.push_str(&format!("\n{:8}  {:7}  {state:8}  {node}", row.key_id, row.kind));
    }
    Ok(text)
}

fn rows(ring: &Ring) -> Vec<Row> {
    const STATES: [&str; 2] = ["current", "previous"];
    let clusters = ring.clusters().iter().zip(STATES).map(|(cluster, state)| Row {
        key_id: cluster.id.to_string(),
        kind: "cluster",
        state: Some(state),
        node: None,
    });
    let nodes = ring.nodes().iter().enumerate().map(|(place, node)| {
        let cluster = ring.clusters().iter().position(|cluster| cluster.id == node.key_id);
        let is_first = || {
            let before = ring.nodes().iter().take(place);
            !before.into_iter().any(|other| other.name.eq_ignore_ascii_case(&node.name))
        };
        // Without a cluster key: a sender uses the first of its own.
        let state = match (ring.current(), cluster) {
            (None, _) => Some(if is_first() { "current" } else { "previous" }),
            (Some(_), place) => place.and_then(|place| STATES.get(place).copied()),
        };
        Row { key_id: node.key_id.to_string(), kind: "node", state, node: Some(node.name.clone()) }
    });
    clusters.chain(nodes).collect()
}
