//! Challenges: the answers to them, and what they tell about who has heard this node.

use core::mem::MaybeUninit;

use fence_kdump_core::wire::CHALLENGE_LEN;

use super::{Sender, tell};
use crate::schedule::Millis;
use crate::sys::Source;
use crate::transport::Transport;

/// How many datagrams are read of each family before messages and names get their turn again: whoever
/// floods this node must not silence it.
const TOGETHER: usize = 32;

/// How long the last message of a count waits for being heard.
pub(super) const PATIENCE: Millis = Millis::seconds(1);

impl<T: Transport> Sender<'_, '_, T> {
    /// Answers the challenges that have arrived. Everything else that has is dropped.
    pub(super) fn answer(&mut self) {
        // One byte more, so that what is longer than a challenge is none.
        let mut buffer = [MaybeUninit::uninit(); CHALLENGE_LEN + 1];
        let mut source = Source::NONE;
        for place in 0..self.transport.places() {
            for _ in 0..TOGETHER {
                let datagram = self.transport.receive(place, &mut buffer, &mut source);
                let Some(datagram) = datagram else {
                    break;
                };
                let signer = &mut self.identity.signer;
                if let Some(nonce) = signer.asked(datagram)
                    && self.answers.may(self.now, nonce)
                {
                    let message = signer.sign(&self.moment, self.promise, nonce);
                    self.transport.send_back(place, message, &source);
                    self.heard(&source);
                }
            }
        }
    }

    /// Somebody there has heard this node.
    #[inline(never)]
    fn heard(&mut self, source: &Source) {
        let mut address = source.address();
        let mut name: &[u8] = &[];
        let mut patience = Millis(0);
        for target in self.targets.iter_mut() {
            if target.address.is_like(&address) {
                target.unheard = false;
                address = target.address;
                if let Some(node) = self.nodes.get(target.node) {
                    name = node.name;
                }
            }
            if target.unheard {
                patience = self.patience;
            }
        }
        self.patience = patience;
        if self.options.verbose > 0 {
            tell(name, &address, None, b"heard");
        }
    }
}
