//! What is known of a node that signs.

use crate::daemon::ledger::Ledger;
use crate::proof::Watched;

/// What is known of a node that signs. All that its next message needs is in one place.
#[derive(Debug, Default)]
pub(super) struct Signer {
    pub(super) watched: Watched,
    pub(super) ledger: Ledger,
}

impl Signer {
    /// Looks at it, so that it is at hand when it is needed.
    pub(super) fn touch(&self) {
        std::hint::black_box((self.watched.challenger(), self.ledger.first()));
    }

    /// The keys are others than before.
    pub(super) fn rekey(&mut self) {
        self.watched = Watched::default();
    }
}

const _: () = assert!(size_of::<Signer>() <= 448);
