//! What IPv6 routers advertise (RFC 4861, RFC 4862): prefixes to make addresses of, and the way out.
//!
//! Nothing here grows old: a crash kernel does not live as long as a prefix does.

use heapless::Vec;

use super::wire::parts;
use crate::schedule::Millis;

/// How many prefixes are used.
pub const PREFIXES: usize = 2;

/// The longest time between two questions.
const SLOWEST: Millis = Millis::seconds(8);

/// The upper half of an address.
pub type Prefix = [u8; 8];

/// What is known of the routers on a link.
#[derive(Clone, Debug)]
pub struct Routers {
    /// The prefixes that addresses are made of.
    pub prefixes: Vec<Prefix, PREFIXES>,
    /// The link-local address of one that leads everywhere.
    pub gateway: Option<[u8; 16]>,
    /// Whether any of this is new, since this was last set to false.
    pub changed: bool,
    next: Millis,
    wait: Millis,
}

impl Routers {
    /// None yet.
    pub const fn new(now: Millis) -> Self {
        Self { prefixes: Vec::new(), gateway: None, changed: false, next: now, wait: Millis(1000) }
    }

    /// When they are to be asked.
    pub fn due(&self) -> Millis {
        self.next
    }

    /// Whether they are to be asked now; then it counts as done.
    pub fn ask(&mut self, now: Millis) -> bool {
        let due = self.next <= now;
        if due {
            self.next = now.plus(self.wait);
            self.wait = Millis(self.wait.0.wrapping_mul(2)).min(SLOWEST);
        }
        due
    }

    /// Takes over what a frame advertises.
    #[inline(never)]
    pub fn hear(&mut self, frame: &[u8]) -> Option<()> {
        const ADVERTISEMENT: u8 = 134;
        const AUTONOMOUS: u8 = 0x40;
        let (_, _, protocol, packet) = parts(frame)?;
        let (header, message) = packet.split_at_checked(40)?;
        // From the link itself: it has passed no router.
        let [_, _, _, _, _, _, next, hops, source @ ..] = header else {
            return None;
        };
        let near =
            protocol == 0x86dd && *next == 58 && *hops == 255 && source.starts_with(&[0xfe, 0x80]);
        let (head, mut options) = message.split_at_checked(16)?;
        if !near || head.first() != Some(&ADVERTISEMENT) {
            return None;
        }
        let router = *source.first_chunk()?;
        if head.get(6..8)? == [0, 0] {
            // It leads nowhere any more, if it ever did.
            self.changed |= self.gateway == Some(router);
            self.gateway = self.gateway.filter(|known| *known != router);
        } else if self.gateway.is_none() {
            self.gateway = Some(router);
            self.changed = true;
        }
        while let [kind, length, ..] = options {
            let (option, rest) = options.split_at_checked(usize::from(*length).wrapping_mul(8))?;
            if option.is_empty() {
                break;
            }
            options = rest;
            // Prefix length, flags, lifetime, and after eight bytes more the prefix.
            if let ([3, 4, 64, flags, valid @ ..], true) = (option, *kind == 3)
                && flags & AUTONOMOUS != 0
                && !valid.starts_with(&[0; 4])
            {
                let prefix: Prefix = *option.get(16..)?.first_chunk()?;
                let local = matches!(prefix, [0xfe, 0x80, ..] | [0xff, ..]);
                if !local && !self.prefixes.contains(&prefix) && self.prefixes.push(prefix).is_ok()
                {
                    self.changed = true;
                    // They have answered.
                    self.next = Millis::NEVER;
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An advertisement: lifetime of the router, flags, lifetime of the prefix.
    fn advertisement(router: u16, flags: u8, valid: u32, prefix: Prefix) -> std::vec::Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 48, 58, 255, 0xfe, 0x80]);
        frame.extend([0; 13]);
        frame.push(0xfe);
        frame.extend([0xff; 16]);
        frame.extend([134, 0, 0, 0, 64, 0]);
        frame.extend(router.to_be_bytes());
        frame.extend([0; 8]);
        frame.extend([1, 1, 2, 0, 0, 0, 0, 9]);
        frame.extend([3, 4, 64, flags]);
        frame.extend(valid.to_be_bytes());
        frame.extend([0; 8]);
        frame.extend(prefix);
        frame.extend([0; 8]);
        frame
    }

    const PREFIX: Prefix = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 7];

    #[test]
    fn a_prefix_and_a_gateway() {
        let mut routers = Routers::new(Millis(0));
        routers.hear(&advertisement(1800, 0xc0, 3600, PREFIX)).unwrap();
        assert_eq!(routers.prefixes, [PREFIX]);
        assert_eq!(routers.gateway.map(|router| (router[0], router[15])), Some((0xfe, 0xfe)));
        assert!(routers.changed && routers.due() == Millis::NEVER);
        routers.changed = false;
        routers.hear(&advertisement(1800, 0xc0, 3600, PREFIX)).unwrap();
        assert!(!routers.changed, "nothing new");
        routers.hear(&advertisement(0, 0xc0, 3600, PREFIX)).unwrap();
        assert!(routers.changed && routers.gateway.is_none());
    }

    #[test]
    fn what_makes_no_address() {
        for (flags, valid, prefix) in [
            (0x80, 3600, PREFIX),
            (0xc0, 0, PREFIX),
            (0xc0, 3600, [0xfe, 0x80, 0, 0, 0, 0, 0, 0]),
            (0xc0, 3600, [0xff; 8]),
        ] {
            let mut routers = Routers::new(Millis(0));
            routers.hear(&advertisement(1, flags, valid, prefix)).unwrap();
            assert!(routers.prefixes.is_empty());
        }
        let whole = advertisement(1, 0xc0, 1, PREFIX);
        for (at, value) in [(12, 8), (20, 17), (21, 254), (22, 0x20), (54, 135)] {
            let mut other = whole.clone();
            other[at] = value;
            assert_eq!(Routers::new(Millis(0)).hear(&other), None, "{at}");
        }
        for length in 0..whole.len() {
            let mut routers = Routers::new(Millis(0));
            routers.hear(&whole[..length]);
            assert!(routers.prefixes.is_empty(), "{length}");
        }
    }

    #[test]
    fn they_are_asked_until_they_answer() {
        let mut routers = Routers::new(Millis(0));
        let asked: std::vec::Vec<_> =
            (0..30_000).step_by(10).filter(|now| routers.ask(Millis(*now))).collect();
        assert_eq!(asked, [0, 1000, 3000, 7000, 15_000, 23_000]);
    }

    proptest! {
        #[test]
        fn any_frame(at in 0usize..118, value: u8, length in 0usize..120) {
            let mut frame = advertisement(1, 0xc0, 1, PREFIX);
            let count = frame.len();
            frame[at % count] = value;
            frame.truncate(length);
            Routers::new(Millis(0)).hear(&frame);
        }
    }
}
