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
const FRESH: Millis = Millis::seconds(5);

/// For so long, what a card has said counts against what another one says.
const DISPUTE: Millis = Millis::seconds(30);

/// The address of no card.
const NOBODY: Mac = [0; 6];

/// What is to be told of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours, and another card says that it has it.
    Duplicate(Address, Mac),
    /// It is a neighbour's, and now another card says that it has it: a take-over, or a lie.
    Moved(Address, Mac),
}

/// A card that has said that an address is there, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said(Mac, Millis);

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    address: Address,
    /// Whether this node wants to speak to it, and not only it to this node.
    wanted: bool,
    /// The card that has said so last, or nobody.
    newest: Said,
    /// The one before, which was another.
    other: Said,
}

impl Neighbour {
    /// Nobody has said where.
    const fn new(address: &Address, wanted: bool) -> Self {
        let nobody = Said(NOBODY, Millis(0));
        Self { address: *address, wanted, newest: nobody, other: nobody }
    }

    /// The least of it gives way: who is not wanted, who never answers, who has been silent for longest.
    const fn worth(&self) -> u64 {
        let Said(_, Millis(at)) = self.newest;
        if self.wanted { at | 1 << 63 } else { at }
    }

    /// Its card, as far as anybody has said.
    pub fn mac(&self) -> Option<Mac> {
        let Said(mac, _) = self.newest;
        (mac != NOBODY).then_some(mac)
    }

    /// The other card that has said so lately: nobody can tell which of the two lies.
    pub fn disputed(&self, now: Millis) -> Option<Mac> {
        let Said(mac, at) = self.other;
        (mac != NOBODY && now.since(at) < DISPUTE).then_some(mac)
    }

    /// Whether it should be asked.
    pub fn is_stale(&self, now: Millis) -> bool {
        let Said(mac, at) = self.newest;
        mac == NOBODY || now.since(at) >= FRESH || self.disputed(now).is_some()
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

    /// What is known of `address`, which is wanted from now on.
    #[inline(never)]
    pub fn find(&mut self, address: &Address) -> Neighbour {
        let mut least = u64::MAX;
        for known in &mut self.neighbours {
            if known.address.is_like(address) {
                known.wanted = true;
                return *known;
            }
            least = least.min(known.worth());
        }
        let new = Neighbour::new(address, true);
        if self.neighbours.push(new).is_err() {
            let place = self.neighbours.iter_mut().find(|known| known.worth() == least);
            if let Some(place) = place {
                *place = new;
            }
        }
        new
    }

    /// `address` is at `mac`, says somebody. `new`: also one that was not known before is remembered, as long as
    /// there is room: whoever makes up hosts, as many as he likes, takes nobody's place.
    #[inline(never)]
    pub fn learn(&mut self, address: &Address, mac: Mac, new: bool, now: Millis) {
        let [first, ..] = mac;
        if first & 1 != 0 || mac == NOBODY {
            return;
        }
        if new && !self.neighbours.iter().any(|known| known.address.is_like(address)) {
            let _ = self.neighbours.push(Neighbour::new(address, false));
        }
        for known in &mut self.neighbours {
            if !known.address.is_like(address) {
                continue;
            }
            let Said(newest, _) = known.newest;
            let Said(other, _) = known.other;
            if newest != mac {
                if newest != NOBODY && other != mac {
                    self.claim = Some(Claim::Moved(*address, mac));
                }
                self.learnt = true;
                known.other = known.newest;
            }
            known.newest = Said(mac, now);
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

    fn mac(watch: &mut Watch, ip: &Address) -> Option<Mac> {
        watch.find(ip).mac()
    }

    #[test]
    fn a_neighbour_that_moves() {
        let ip = Address::from_v4([10, 0, 0, 2]);
        let mut watch = Watch::new();
        watch.learn(&ip, THEM, false, Millis(1));
        assert_eq!(mac(&mut watch, &ip), None, "nobody wanted to know");
        for (card, claim) in
            [(THEM, None), (THEM, None), (MALLORY, Some(Claim::Moved(ip, MALLORY)))]
        {
            watch.learn(&ip, card, false, Millis(1));
            assert_eq!(watch.claim.take(), claim);
            assert_eq!(mac(&mut watch, &ip), Some(card));
        }
        for no_host in [[0xff; 6], [0; 6]] {
            watch.learn(&ip, no_host, false, Millis(1));
            assert_eq!(mac(&mut watch, &ip), Some(MALLORY));
        }
    }

    #[test]
    fn a_dispute() {
        let ip = Address::from_v4([10, 0, 0, 2]);
        let mut watch = Watch::new();
        assert!(watch.find(&ip).is_stale(Millis(1)));
        watch.learn(&ip, THEM, false, Millis(1));
        assert!(!watch.find(&ip).is_stale(Millis(5000)));
        assert!(watch.find(&ip).is_stale(Millis(5001)));
        for round in 1..5 {
            // Whoever speaks last, the other one is not forgotten, and it is told once.
            watch.learn(&ip, MALLORY, false, Millis(round * 10_000));
            assert_eq!(watch.claim.take().is_some(), round == 1);
            watch.learn(&ip, THEM, false, Millis(round * 10_000));
            let known = watch.find(&ip);
            assert_eq!(
                (known.mac(), known.disputed(Millis(round * 10_000))),
                (Some(THEM), Some(MALLORY))
            );
            assert!(known.is_stale(Millis(round * 10_000)));
        }
        watch.learn(&ip, THEM, false, Millis(70_000));
        let known = watch.find(&ip);
        assert_eq!(
            (known.mac(), known.disputed(Millis(70_000))),
            (Some(THEM), None),
            "he is silent"
        );
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut watch = Watch::new();
        let host = |last: u8| Address::from_v4([10, 0, 0, last]);
        for last in 0..100u8 {
            assert_eq!(mac(&mut watch, &host(last)), None);
            // The last four never answer.
            if last < 96 {
                watch.learn(&host(last), THEM, false, Millis(1 + u64::from(last)));
            }
        }
        for last in 81..96u8 {
            assert_eq!(mac(&mut watch, &host(last)), Some(THEM), "{last}");
        }
        assert_eq!(mac(&mut watch, &host(80)), None);
        assert_eq!(mac(&mut watch, &host(81)), Some(THEM), "the dead give way first");
    }

    #[test]
    fn strangers_take_nobodys_place() {
        let mut watch = Watch::new();
        let host = |last: u8| Address::from_v4([10, 0, 0, last]);
        for last in 0..8 {
            watch.find(&host(last));
            watch.learn(&host(last), THEM, false, Millis(1));
        }
        for last in 100..200u8 {
            watch.learn(&host(last), MALLORY, true, Millis(last.into()));
        }
        assert_eq!(mac(&mut watch, &host(107)), Some(MALLORY), "there was room");
        for last in 8..15 {
            watch.find(&host(last));
        }
        for last in 0..8 {
            assert_eq!(mac(&mut watch, &host(last)), Some(THEM), "{last}");
        }
    }
}
