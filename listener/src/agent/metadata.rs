//! `metadata`: what this agent is, for programs that configure it.

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::options::{Kind, Opt, TABLE};

/// Actions that are told to programs.
///
/// Neither `status` nor `list`: Pacemaker would ask them which nodes can be fenced, and take a host
/// without a crash kernel for one that can fence nobody. As with the stock agent, all can.
const ADVERTISED: [&str; 4] = ["off", "monitor", "metadata", "validate-all"];

const SHORT: &str = "Fencing agent that hears a node's crash kernel";

const LONG: &str = "\
fence_kdump waits for the message that a node sends when its kernel has crashed and its crash kernel \
runs (kdump). Such a node does no harm any more and counts as fenced, so that its memory dump is not \
cut short by switching it off.

This agent switches nothing. When no message comes in time, the node is not known to have crashed, and \
another fencing device has to follow on the next fencing level.

\"off\" succeeds when a valid message arrives, after the agent was started, from an address of the \
node. Several names or addresses in nodename are names of one node.

With key_file, what counts is not where a message comes from but whether it is signed with the key of the \
node that it names, and is no replay; with policy=live, whether the node answers a challenge now. A key \
file that cannot be used never makes other messages count.";

/// The description in the format of fence-agents (`metadata.rng`).
#[must_use]
pub fn metadata() -> String {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    drop(write(&mut Writer::new_with_indent(&mut bytes, b'\t', 1)));
    let body = String::from_utf8_lossy(&bytes);
    format!("<?xml version=\"1.0\" ?>\n{body}\n")
}

fn write(xml: &mut Writer<&mut Vec<u8>>) -> std::io::Result<()> {
    let root = [("name", "fence_kdump"), ("shortdesc", SHORT)];
    xml.create_element("resource-agent").with_attributes(root).write_inner_content(|xml| {
        text(xml, "longdesc", LONG)?;
        text(xml, "vendor-url", "https://github.com/ClusterLabs/fence-agents")?;
        xml.create_element("parameters")
            .write_inner_content(|xml| TABLE.iter().try_for_each(|opt| parameter(xml, opt)))?;
        xml.create_element("actions").write_inner_content(|xml| {
            ADVERTISED.iter().try_for_each(|name| {
                let action = xml.create_element("action");
                action.with_attribute(("name", *name)).write_empty().map(drop)
            })
        })?;
        Ok(())
    })?;
    Ok(())
}

fn text(xml: &mut Writer<&mut Vec<u8>>, name: &str, text: &str) -> std::io::Result<()> {
    let element = xml.create_element(name);
    element.write_text_content(BytesText::new(text)).map(drop)
}

fn parameter(xml: &mut Writer<&mut Vec<u8>>, opt: &Opt) -> std::io::Result<()> {
    let attributes = [("name", opt.key), ("unique", "0"), ("required", "0")];
    let mixed = mixed(opt);
    let (content, words): (&str, &[&str]) = match opt.kind {
        // Pacemaker and pcs treat the action as text.
        Kind::Text | Kind::Path | Kind::Degree => ("string", &[]),
        Kind::Word(_) if opt.key == "action" => ("string", &[]),
        Kind::Word(words) => ("select", words),
        Kind::Number { unit: "seconds", .. } => ("second", &[]),
        Kind::Number { .. } => ("integer", &[]),
        Kind::Switch | Kind::Tell => ("boolean", &[]),
    };
    xml.create_element("parameter").with_attributes(attributes).write_inner_content(|xml| {
        xml.create_element("getopt").with_attribute(("mixed", mixed.as_str())).write_empty()?;
        let mut element = xml.create_element("content").with_attribute(("type", content));
        if let Some(default) = opt.default {
            element = element.with_attribute(("default", default));
        }
        if words.is_empty() {
            element.write_empty()?;
        } else {
            element.write_inner_content(|xml| {
                words.iter().try_for_each(|word| {
                    let option = xml.create_element("option");
                    option.with_attribute(("value", *word)).write_empty().map(drop)
                })
            })?;
        }
        xml.create_element("shortdesc")
            .with_attribute(("lang", "en"))
            .write_text_content(BytesText::new(opt.help))?;
        Ok(())
    })?;
    Ok(())
}

/// `-n, --nodename=NODE`.
fn mixed(opt: &Opt) -> String {
    let short = opt.short.map(|short| format!("-{short}, "));
    let value = match opt.kind {
        Kind::Text | Kind::Path | Kind::Number { .. } | Kind::Word(_) => {
            format!("={}", opt.metavar)
        }
        Kind::Degree => format!("[={}]", opt.metavar),
        Kind::Switch | Kind::Tell => String::new(),
    };
    format!("{}--{}{value}", short.unwrap_or_default(), opt.long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_file_is_current() {
        let committed = include_str!("../../../dist/fence_kdump.metadata.xml");
        assert_eq!(
            committed,
            metadata(),
            "write it anew: fence_kdump -o metadata > dist/fence_kdump.metadata.xml"
        );
    }
}
