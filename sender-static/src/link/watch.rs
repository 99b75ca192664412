//! Who is where: the cards of neighbours' addresses, and what is strange about them: somebody else claims
//! an address of this node, or a neighbour's address moves to another card.

use heapless::Vec;

use super::cards::Mac;
use crate::address::Address;
use crate::schedule::Millis;
use crate::sys::Errno;

/// How many neighbours are remembered. Those that are asked for again and again find their places.
const NEIGHBOURS: usize = 16;

/// After so long, a neighbour is asked again whether it is still there; what was known is used meanwhile.
const FRESH: Millis = Millis::seconds(30);

/// What is to be told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours, and another card says that it has it.
    Duplicate(Address, Mac),
    /// It is a neighbour's, and now another card says that it has it: a take-over, or a lie.
    Moved(Address, Mac),
}

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    address: Address,
    /// Its card.
    pub mac: Mac,
    /// When it last said so.
    heard: Millis,
}

impl Neighbour {
    /// Whether it should be asked again.
    pub fn is_stale(&self, now: Millis) -> bool {
        now.since(self.heard) >= FRESH
    }
}

/// What has been seen on a link.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How many frames have come.
    pub received: u32,
    /// Why the last frame did not go out.
    pub error: Option<Errno>,
    /// Whether any neighbour is new, since this was last set to false.
    pub learnt: bool,
    /// The newest claim that was not told yet.
    pub claim: Option<Claim>,
    neighbours: Vec<Neighbour, NEIGHBOURS>,
}

impl Watch {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { received: 0, error: None, learnt: false, claim: None, neighbours: Vec::new() }
    }

    /// Where `address` is, as far as anybody has said.
    pub fn find(&self, address: &Address) -> Option<&Neighbour> {
        self.neighbours.iter().find(|neighbour| neighbour.address.is_like(address))
    }

    /// `address` is at `mac`, says somebody. `new`: also one that was not known before is remembered.
    #[inline(never)]
    pub fn learn(&mut self, address: &Address, mac: Mac, new: bool, now: Millis) {
        let [first, ..] = mac;
        if first & 1 != 0 {
            return;
        }
        let neighbour = Neighbour { address: *address, mac, heard: now };
        let mut oldest = None;
        for known in &mut self.neighbours {
            if known.address.is_like(address) {
                if known.mac != mac {
                    self.claim = Some(Claim::Moved(*address, mac));
                    self.learnt = true;
                }
                *known = neighbour;
                return;
            }
            match &oldest {
                Some(Neighbour { heard, .. }) if *heard <= known.heard => {}
                _ => oldest = Some(*known),
            }
        }
        if !new {
            return;
        }
        self.learnt = true;
        if self.neighbours.push(neighbour).is_err() {
            // The oldest gives way.
            let place = self.neighbours.iter_mut().find(|known| Some(**known) == oldest);
            if let Some(place) = place {
                *place = neighbour;
            }
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEM: Mac = [2, 0, 0, 0, 0, 2];
    const MALLORY: Mac = [2, 0, 0, 0, 0, 3];

    #[test]
    fn a_neighbour_that_moves() {
        let ip = Address::from_v4([10, 0, 0, 2]);
        let mut watch = Watch::new();
        watch.learn(&ip, THEM, false, Millis(1));
        assert_eq!(watch.find(&ip), None, "it was not asked for");
        for (mac, claim) in [(THEM, None), (THEM, None), (MALLORY, Some(Claim::Moved(ip, MALLORY)))]
        {
            watch.learn(&ip, mac, true, Millis(1));
            assert_eq!(watch.claim.take(), claim);
            assert_eq!(watch.find(&ip).map(|neighbour| neighbour.mac), Some(mac));
        }
        watch.learn(&ip, [0xff; 6], true, Millis(1));
        assert_eq!(
            watch.find(&ip).map(|neighbour| neighbour.mac),
            Some(MALLORY),
            "no group is a host"
        );
        assert!(!watch.find(&ip).unwrap().is_stale(Millis(30_000)));
        assert!(watch.find(&ip).unwrap().is_stale(Millis(30_001)));
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut watch = Watch::new();
        for last in 0..100u8 {
            watch.learnt = false;
            watch.learn(&Address::from_v4([10, 0, 0, last]), THEM, true, Millis(last.into()));
            assert!(watch.learnt);
        }
        for last in 0..100u8 {
            let known = watch.find(&Address::from_v4([10, 0, 0, last])).is_some();
            assert_eq!(known, last >= 84, "{last}");
        }
    }
}
