//! Which groups this node listens to, for switches that pass on only what somebody listens to (MLDv2, RFC 3810).

use heapless::Vec;

use super::{Own, Stack, is_link_local};
use crate::address::Address;
use crate::link::frames;
use crate::link::wire::{Ether, Wire};
use crate::schedule::Millis;

/// How soon what was said of groups is said again, since it may have been lost, and how often from then on, though
/// nobody asks: what is not heard for four minutes is forgotten (RFC 3810, 9.4).
const REPORT_AGAIN: Millis = Millis::seconds(1);
const REPORT: Millis = Millis::seconds(30);

/// How soon it is said to who asks: some give a second for that (RFC 3810, 9.8). However many ask, it is said once in
/// such a time.
const REPORT_ASKED: Millis = Millis(500);

impl Stack {
    /// Says, when it is time to, which groups it listens to: those in which its addresses are asked for.
    #[inline(never)]
    pub(super) fn listen<E: Ether>(&mut self, wire: &mut Wire<'_, E>, now: Millis) {
        let (due, first) = self.report;
        if due > now {
            return;
        }
        self.report = (now.plus(if first { REPORT_AGAIN } else { REPORT }), false);
        let mut groups: Vec<Address, 8> = Vec::new();
        for Own(own, _) in &self.own {
            let group = frames::solicited(own);
            if own.is_v6() && !groups.contains(&group) {
                let _ = groups.push(group);
            }
        }
        let local = self.own.iter().find(|Own(own, _)| is_link_local(own));
        if let Some(Own(source, _)) = local {
            wire.put(&frames::listening(self.mac, source, &groups));
        }
    }

    /// Somebody wants to know which groups it listens to.
    pub(super) fn asked_for_groups(&mut self, now: Millis) {
        let (due, _) = &mut self.report;
        *due = now.plus(REPORT_ASKED).min(*due);
    }
}
