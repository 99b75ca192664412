//! `validate-all`: would `off` have a chance?

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fence_kdump_core::{Instant, Policy};

use super::{Ending, credentials, left};
use crate::control::name;
use crate::control::seat::{self, Seat};
use crate::lookup;
use crate::nodes::{Known, Node};
use crate::options::Settings;
use crate::socket::{Port, PortError};
use crate::voice::{Voice, Weight};

/// How soon, and how often, a seat that is changing hands, or that too many come to, is tried again.
const SOON: Duration = Duration::from_millis(20);
const TRIES: u32 = 50;

/// Checks that the names resolve, that the port can be listened on and, if there is a key file, that
/// signed messages of the node could be verified and remembered. The values themselves were checked
/// when they were read.
pub fn validate_all(settings: &Settings, deadline: Instant, voice: &Voice) -> Ending {
    let keys_are_well = credentials::check(settings, deadline, voice);
    let names_are_well = names(settings, deadline, voice);
    let port_is_well = port(settings.ipport, voice);
    if keys_are_well && names_are_well && port_is_well { Ending::Well } else { Ending::Unwell }
}

fn names(settings: &Settings, deadline: Instant, voice: &Voice) -> bool {
    let mut node = Node::new(&settings.nodename, settings.port.as_deref(), settings.family);
    let mut names: Vec<String> = node.names().map(|name| name.text.clone()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        // The fencer fills it in when it fences.
        voice.say(Weight::Info, "nodename is not set: the target's own name will be used");
        return true;
    }
    let (sender, receiver) = mpsc::channel();
    let asked = names.clone();
    let family = settings.family;
    // A name server that is dead holds nothing up beyond the deadline.
    let started = thread::Builder::new().spawn(move || {
        let mut found = lookup::start(asked, family);
        while let Some(found) = found.blocking_recv() {
            if sender.send(found).is_err() {
                return;
            }
        }
    });
    if let Err(error) = started {
        voice.say(Weight::Error, format!("nodename: no name can be looked up: {error}"));
        return false;
    }
    let mut failures = Vec::new();
    while !names.is_empty() {
        let Ok(found) = receiver.recv_timeout(left(deadline)) else {
            break;
        };
        names.retain(|name| *name != found.name);
        for remark in found.remarks {
            voice.say_once(Weight::Warning, remark);
        }
        if let Known::Failed(why) = &found.known {
            failures.push(format!("{}: {why}", found.name));
        }
        node.learn(&found.name, &found.known);
    }
    for name in names {
        failures.push(format!("{name}: no answer in time"));
        node.learn(&name, &Known::Failed("no answer in time".to_owned()));
    }
    failures.dedup();
    let believed = node.believed();
    // Who is signed needs no address.
    let well = !believed.addresses.is_empty() || settings.policy() != Ok(Policy::Plain);
    let weight = if well { Weight::Warning } else { Weight::Error };
    for failure in failures {
        voice.say_once(weight, failure);
    }
    if let Some(warning) = node.warning(&believed.rule) {
        voice.say(Weight::Warning, warning);
    }
    if !well {
        voice.say(Weight::Error, "nodename: no address is known from which a message would count");
    }
    well
}

fn port(number: u16, voice: &Voice) -> bool {
    // Sits down first, so that agents that start just now wait for a moment instead of finding the
    // port in use.
    let mut seat = seat::take(&name(number));
    for _ in 0..TRIES {
        if !matches!(seat, Ok(Seat::Changing)) {
            break;
        }
        thread::sleep(SOON);
        seat = seat::take(&name(number));
    }
    match seat {
        Ok(Seat::Occupied(_, peer)) => {
            let line = format!("process {} reads UDP port {number} and serves others", peer.pid);
            voice.say(Weight::Detail, line);
            true
        }
        Ok(Seat::Taken(_) | Seat::Changing | Seat::Untrusted(_)) | Err(_) => {
            can_open(number, voice)
        }
    }
}

fn can_open(number: u16, voice: &Voice) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let opened = runtime
        .map_err(|error| PortError::Refused { port: number, error })
        .and_then(|runtime| runtime.block_on(async { Port::open(number).map(drop) }));
    match opened {
        Ok(()) => true,
        Err(error) => {
            voice.say(Weight::Error, format!("ipport: {error}"));
            false
        }
    }
}
