//! What is configured of the nodes.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};

use super::table::{Cell, Column, Table};
use super::{Failure, ask, one, screen, words};
use crate::control::packet::{Inquiry, NodeStatus, Setup, Status};

const COLUMNS: [Column; 4] = [
    Column::of("NODE", 0),
    Column::of("POLICY", 1),
    Column::of("KEY", 2),
    Column::of("ADDRESSES", 0),
];

/// So many addresses that several nodes have are told of.
const TOLD: usize = 10;

/// Asks who reads UDP port `port`, and tells it.
///
/// # Errors
/// When nobody answers who knows nodes.
pub fn run(port: u16, json: bool) -> Result<String, Failure> {
    let status = ask::block_on(async {
        let inquiry = Inquiry { setup: true, ..Inquiry::default() };
        ask::with_list(ask::all(port, &inquiry).await?)
    })?;
    let nodes: Vec<_> = status.nodes.into_iter().filter(|it| it.state != "candidate").collect();
    let status = Status { nodes, ..status };
    if json {
        Ok(serde_json::to_string(&status)?)
    } else {
        Ok(told(&status.nodes, screen::width()))
    }
}

fn told(nodes: &[NodeStatus], width: Option<usize>) -> String {
    if nodes.is_empty() {
        return "no node is configured".to_owned();
    }
    let mut table = Table::new(&COLUMNS);
    for node in nodes {
        table.push(row(node));
    }
    let mut lines = table.lines(width);
    lines.extend(troubles(nodes));
    lines.join("\n")
}

fn row(node: &NodeStatus) -> Vec<Cell> {
    let wrong = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let nothing = Setup::default();
    let setup = node.setup.as_ref().unwrap_or(&nothing);
    let key = match one::has_to_sign(node) && !setup.has_key {
        true => Cell::styled("MISSING", wrong),
        false => setup.has_key.then_some(setup.key_name.as_str()).into(),
    };
    let is_right = setup.contested.is_empty() && setup.unresolved.is_empty();
    let style = if is_right { Style::new() } else { wrong };
    let addresses = Cell::styled(&one::addresses(setup).join(", "), style);
    vec![node.name.as_str().into(), node.policy.as_deref().into(), key, addresses]
}

/// What somebody has to change, a line each.
fn troubles(nodes: &[NodeStatus]) -> Vec<String> {
    let mut lines = Vec::new();
    let keyless: Vec<_> = nodes
        .iter()
        .filter(|node| one::has_to_sign(node))
        .filter(|node| node.setup.as_ref().is_some_and(|setup| !setup.has_key))
        .map(|node| node.name.as_str())
        .collect();
    if !keyless.is_empty() {
        let count = u64::try_from(keyless.len()).unwrap_or(u64::MAX);
        let names = words::some(keyless, TOLD, count);
        lines.push(format!("without a key, so that nothing counts: {names}"));
    }
    let mut contested: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        for address in node.setup.iter().flat_map(|setup| &setup.contested) {
            contested.entry(address).or_default().push(&node.name);
        }
    }
    for (address, names) in contested.iter().take(TOLD) {
        let count = u64::try_from(names.len()).unwrap_or(u64::MAX);
        let names = words::some(names.iter().copied(), TOLD, count);
        let address = words::plain(address);
        lines.push(format!("{address} is an address of {names}: its messages count for none"));
    }
    let more = contested.len().saturating_sub(TOLD);
    if more > 0 {
        lines.push(format!("and {more} more such addresses"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, policy: &str, setup: Setup) -> NodeStatus {
        let (name, policy) = (name.into(), Some(policy.into()));
        NodeStatus { name, policy, setup: Some(setup), ..NodeStatus::default() }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        let contested = Setup {
            addresses: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            contested: vec!["10.0.0.1".into()],
            ..Setup::default()
        };
        let signing = Setup { key_name: "n3.example".into(), has_key: true, ..Setup::default() };
        let keyless = Setup { unresolved: vec!["n4".into()], ..contested.clone() };
        let nodes = [
            node("n1", "plain", contested.clone()),
            node("n3", "signed", signing),
            node("n4", "live", keyless),
        ];
        let text = anstream::adapter::strip_str(&told(&nodes, None)).to_string();
        let expected = "NODE  POLICY  KEY         ADDRESSES\n\
            n1    plain               10.0.0.1 (CONTESTED), 10.0.0.2\n\
            n3    signed  n3.example  any, as it signs\n\
            n4    live    MISSING     10.0.0.1 (CONTESTED), 10.0.0.2, n4 (NO ADDRESS)\n\
            without a key, so that nothing counts: n4\n\
            10.0.0.1 is an address of n1, n4: its messages count for none";
        assert_eq!(text, expected);
        assert_eq!(told(&[], None), "no node is configured");
    }
}
