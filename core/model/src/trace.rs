//! How something came about, in words.

use crate::packet::{Packet, name};
use crate::world::{Action, State, World};

/// One line for what happens in `state`, and whether somebody is then told what is not true.
#[must_use]
pub fn of(world: &World, state: &State, action: Option<&Action>) -> String {
    let at = world.bounds.millis(state.now).0 / 1_000;
    let Some(action) = action else {
        let lies = (0..world.bounds.nodes).filter_map(|node| {
            let lie = world.lie(state, node)?;
            Some(format!("  {at:>3} s  {} is said to be fenced, and runs: {lie:?}", name(node)))
        });
        return lies.collect::<Vec<_>>().join("\n");
    };
    let told = |packet: &Packet| match packet {
        Packet::Message(said) => {
            let age =
                world.bounds.millis(state.now).0 / 1_000 - world.bounds.millis(said.at).0 / 1_000;
            let of =
                format!("message {} of crash {} of {}", said.number, said.crash, name(said.node));
            let age = if age > 0 { format!(", {age} s after it was said") } else { String::new() };
            format!("{of}{}{age}", if said.leaving { ", its last one" } else { "" })
        }
        Packet::Challenge(asked) => format!("challenge {} to {}", asked.nonce, name(asked.node)),
    };
    let line = match action {
        Action::Wait => return String::new(),
        Action::Crash(node, 0) => format!("{} crashes", name(*node)),
        Action::Crash(node, up) => {
            format!("{} crashes, its network comes {up} ticks later", name(*node))
        }
        Action::Reboot(node, true) => format!("{} says that it leaves, and reboots", name(*node)),
        Action::Reboot(node, false) => format!("{} reboots", name(*node)),
        Action::Deliver(packet) => format!("arrives: {}", told(packet)),
        Action::Lose(packet) => format!("is lost: {}", told(packet)),
        Action::Forge(node) => {
            format!("arrives: eight bytes from {}'s address, forged", name(*node))
        }
        Action::Impersonate(node) => {
            format!("arrives: {}'s name under another node's key", name(*node))
        }
        Action::Restart => "the receiver is started anew".to_owned(),
        Action::Forget => "the receiver is started anew, without its memory".to_owned(),
        Action::Boot => "the receiver's host is booted".to_owned(),
    };
    format!("  {at:>3} s  {line}")
}
