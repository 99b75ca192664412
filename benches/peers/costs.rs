//! Processor time for each datagram, by what it is.

use fence_kdump_benches::cost::{Peer, drain, one_by_one, refresh};
use fence_kdump_benches::traffic::{self, Letter, Signers};

use crate::contenders::Contender;
use crate::{NODES, note};

/// A rate at which every one of them can follow.
const RATE: u32 = 20_000;

const KINDS: [&str; 4] = ["valid", "signed", "stranger", "invalid"];

fn letters(kind: &str, count: u32, signers: &mut Signers) -> Vec<Letter> {
    match kind {
        "valid" => traffic::plain(NODES, count),
        "signed" => signers.speak(count),
        "stranger" => traffic::strangers(count),
        _ => traffic::noise(count),
    }
}

/// What the contenders cost with one kind of datagram: from a full queue, and one by one.
#[derive(Default)]
struct Found {
    full: Vec<f64>,
    each: Vec<f64>,
}

fn once(peer: &Peer, kind: &str, signers: &mut Signers, found: &mut Found) {
    if matches!(kind, "valid" | "signed") {
        refresh(peer, || letters(kind, NODES, signers));
    }
    found.full.push(drain(peer, || letters(kind, peer.most, signers)));
    found.each.push(one_by_one(peer, RATE, &letters(kind, NODES, signers)).0);
}

pub(crate) fn measure(contenders: &[Contender], rounds: u64) {
    let mut signers = Signers::new(NODES);
    for kind in KINDS {
        let takes_part = |contender: &&Contender| !(contender.is_agent && kind == "valid");
        let those: Vec<_> = contenders.iter().filter(takes_part).collect();
        let mut found: Vec<Found> = those.iter().map(|_| Found::default()).collect();
        for round in 0..=rounds {
            for (contender, found) in those.iter().zip(&mut found) {
                let signed = contender.signed.as_ref().filter(|_| kind == "signed");
                once(signed.unwrap_or(&contender.peer), kind, &mut signers, found);
            }
            if round == 0 {
                // That was to warm up.
                found.iter_mut().for_each(|found| *found = Found::default());
            }
        }
        let ratio = |one: &[f64], bare: &[f64]| -> Vec<f64> {
            one.iter().zip(bare).map(|(one, bare)| one / bare).collect()
        };
        let Some(bare) = found.first() else {
            return;
        };
        for (contender, found) in those.iter().zip(&found) {
            let row = contender.row;
            note(row, &format!("full {kind}"), &found.full);
            note(row, &format!("full {kind} ratio"), &ratio(&found.full, &bare.full));
            note(row, &format!("each {kind}"), &found.each);
            note(row, &format!("each {kind} ratio"), &ratio(&found.each, &bare.each));
        }
    }
}
