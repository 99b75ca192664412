//! How one node is.

use super::{Done, Failure, ask, code, status, words};
use crate::control::packet::{Inquiry, NodeStatus, Setup};
use crate::control::query::Counter;

/// Asks who reads UDP port `port` how `node` is, and tells all of it.
///
/// # Errors
/// When nobody answers, or there is no such node.
pub fn run(port: u16, node: String, json: bool) -> Result<Done, Failure> {
    let inquiry = Inquiry { node: Some(node.clone()), setup: true, ..Inquiry::default() };
    let answer = ask::block_on(async {
        let counter = Counter::visit(port, ask::PATIENCE).await?;
        let answer = ask::with_list(counter.all(&inquiry).await?)?;
        match answer.nodes.is_empty() {
            true => Err(ask::no_such(&counter, &node).await?),
            false => Ok(answer),
        }
    })?;
    let is_in_crash_kernel = answer.nodes.first().is_some_and(status::is_in_crash_kernel);
    let code = if is_in_crash_kernel { code::DONE } else { code::NOT_KNOWN };
    let text = match answer.nodes.first() {
        Some(node) if !json => told(node),
        _ => serde_json::to_string(&answer)?,
    };
    Ok(Done { text, code })
}

/// What is known of `node`, one thing a line.
fn told(node: &NodeStatus) -> String {
    let style = status::style(&node.state);
    let mut lines = vec![words::plain(&node.name)];
    let mut line = |head: &str, what: Option<String>| {
        if let Some(what) = what {
            lines.push(format!("  {head:<11} {}", words::plain(&what)));
        }
    };
    line("since", node.since_ms.map(|since| format!("{} ago", words::span(since))));
    let from = node.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    line(
        "last heard",
        Some(match node.last_heard_ms {
            Some(heard) => format!("{} ago{from}", words::span(heard)),
            None => "never".to_owned(),
        }),
    );
    line("interval", node.interval_ms.map(|it| format!("{}, as it promised", words::span(it))));
    line("messages", (node.messages > 0).then(|| node.messages.to_string()));
    line("phase", node.phase.clone());
    line(
        "progress",
        match status::progress(node) {
            (Some(percent), Some(sizes)) => {
                Some(format!("{} {percent}%  {sizes}", words::bar(percent, 40)))
            }
            (_, sizes) => sizes,
        },
    );
    let key = node.key_id.as_ref().map(|id| format!(", with a key from {id}")).unwrap_or_default();
    line("proof", node.proof.as_ref().map(|proof| format!("{proof}{key}")));
    line("policy", node.policy.clone());
    if let Some(setup) = &node.setup {
        line("key", key_of(node, setup));
        line("addresses", Some(addresses(setup).join(", ")));
    }
    lines.insert(1, format!("  {:<11} {style}{}{style:#}", "state", words::plain(&node.state)));
    lines.join("\n")
}

/// By which name it signs, if it has to.
#[must_use]
pub fn key_of(node: &NodeStatus, setup: &Setup) -> Option<String> {
    match (setup.has_key, has_to_sign(node)) {
        (true, _) => Some(setup.key_name.clone()),
        (false, true) => Some(format!("{} (MISSING: nothing of it is believed)", setup.key_name)),
        (false, false) => None,
    }
}

/// Whether nothing counts of what it does not sign.
#[must_use]
pub fn has_to_sign(node: &NodeStatus) -> bool {
    node.policy.as_deref().is_some_and(|policy| policy != "plain")
}

/// Its addresses, with what is wrong with them.
#[must_use]
pub fn addresses(setup: &Setup) -> Vec<String> {
    let address = |address: &String| match setup.contested.contains(address) {
        true => format!("{address} (CONTESTED)"),
        false => address.clone(),
    };
    let unresolved = setup.unresolved.iter().map(|name| format!("{name} (NO ADDRESS)"));
    let mut all: Vec<_> = setup.addresses.iter().map(address).chain(unresolved).collect();
    if setup.more > 0 {
        all.push(format!("{} more", setup.more));
    }
    if all.is_empty() {
        all.push("any, as it signs".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_is_told() {
        let node = NodeStatus {
            name: "n1".into(),
            state: "dumping".into(),
            since_ms: Some(123_000),
            last_heard_ms: Some(4_000),
            messages: 13,
            policy: Some("signed".into()),
            proof: Some("live".into()),
            phase: Some("dumping".into()),
            done: Some(1 << 30),
            total: Some(4 << 30),
            key_id: Some("1a2b3c4d".into()),
            from: Some("192.0.2.7".into()),
            interval_ms: Some(10_000),
            setup: Some(Setup {
                key_name: "n1.example".into(),
                has_key: false,
                addresses: vec!["192.0.2.7".into(), "192.0.2.8".into()],
                contested: vec!["192.0.2.8".into()],
                unresolved: vec!["n1-alt".into()],
                more: 3,
            }),
        };
        let text = anstream::adapter::strip_str(&told(&node)).to_string();
        let expected = "n1\n\
            \x20 state       dumping\n\
            \x20 since       2m 03s ago\n\
            \x20 last heard  4s ago from 192.0.2.7\n\
            \x20 interval    10s, as it promised\n\
            \x20 messages    13\n\
            \x20 phase       dumping\n\
            \x20 progress    [##########..............................] 25%  1.0 GiB / 4.0 GiB\n\
            \x20 proof       live, with a key from 1a2b3c4d\n\
            \x20 policy      signed\n\
            \x20 key         n1.example (MISSING: nothing of it is believed)\n\
            \x20 addresses   192.0.2.7, 192.0.2.8 (CONTESTED), n1-alt (NO ADDRESS), 3 more";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let node =
            NodeStatus { name: "n1".into(), state: "unheard".into(), ..NodeStatus::default() };
        let text = anstream::adapter::strip_str(&told(&node)).to_string();
        assert_eq!(text, "n1\n  state       unheard\n  last heard  never");
        assert_eq!(addresses(&Setup::default()), ["any, as it signs"]);
    }
}
