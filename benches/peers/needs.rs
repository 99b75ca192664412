//! Memory, files and system calls of those that are running.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use fence_kdump_benches::cost::{Peer, refresh};
use fence_kdump_benches::traffic::{self, Letter};

use crate::contenders::Contender;
use crate::{NODES, calls, note};

/// How many datagrams system calls are counted for.
const COUNT: u32 = 200;

/// The bytes of a program's file, and of all other files that it has mapped.
fn files(process: u32) -> (u64, u64) {
    let own = fs::read_link(format!("/proc/{process}/exe")).expect("it runs");
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("it runs");
    let paths = maps.lines().filter_map(|line| Some(&line[line.find(" /")? + 1..]));
    let others: BTreeSet<&str> = paths.filter(|path| *path != own.to_string_lossy()).collect();
    // A socket's ring or a deleted file has a name there, and is none.
    let size = |path: &str| fs::metadata(path).map_or(0, |file| file.len());
    (size(&own.to_string_lossy()), others.into_iter().map(size).sum())
}

/// For each datagram, from a full queue and one by one; what the program does anyway is not counted, nor what each of
/// its threads does when it was stopped.
fn calls(peer: &Peer, letters: &[Letter]) -> (f64, f64) {
    let count = |what: &dyn Fn()| {
        calls::while_it_runs(peer.receiver.id(), || {
            what();
            sleep(Duration::from_millis(100));
        })
    };
    let full = |letters: &[Letter]| {
        count(&|| {
            peer.receiver.stopped(|| traffic::burst(&peer.sender, letters));
            peer.receiver.wait_drained();
        })
    };
    let each = |letters: &[Letter]| {
        count(&|| {
            for letter in letters.chunks(1) {
                traffic::burst(&peer.sender, letter);
                peer.receiver.wait_drained();
            }
        })
    };
    let of = |all: u64, none: u64| all.saturating_sub(none) as f64 / letters.len() as f64;
    (of(full(letters), full(&[])), of(each(letters), each(&[])))
}

pub(crate) fn measure(contenders: &[Contender]) {
    for Contender { row, peer, is_agent, .. } in contenders {
        let kib = |what| (peer.receiver.kib(what) << 10) as f64;
        note(row, "resident", &[kib("VmRSS")]);
        note(row, "anonymous", &[kib("RssAnon")]);
        if *row != "bare" {
            let (own, others) = files(peer.receiver.id());
            note(row, "file", &[own as f64]);
            note(row, "libraries", &[others as f64]);
        }
        let letters =
            if *is_agent { traffic::strangers(COUNT) } else { traffic::plain(NODES, COUNT) };
        if !is_agent {
            // That a session begins or ends is not what is asked.
            refresh(peer, || traffic::plain(NODES, NODES));
        }
        let (full, each) = calls(peer, &letters);
        note(row, "calls full", &[full]);
        note(row, "calls each", &[each]);
    }
}
