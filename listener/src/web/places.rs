//! How many connections may be open, and who has to leave when it gets tight.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// The places for connections. Whoever says nothing loses his place to the next who comes.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Vec<Taken>>,
    /// Connections that came, ever.
    came: AtomicU64,
    /// Connections that had to leave for another, or found no place.
    turned_away: AtomicU64,
}

#[derive(Debug)]
struct Taken {
    place: Arc<Place>,
    connection: AbortHandle,
}

/// The place of one connection.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Requests that are not fully answered.
    busy: AtomicU32,
}

/// A request that is not fully answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Place {
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        let (came, turned_away) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { most, taken: Mutex::default(), came, turned_away }
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for the connection that `start` begins to serve. When there is none, the one that has said
    /// nothing for longest has to leave; `false`, and no start, when all are busy.
    pub(super) fn admit(&self, start: impl FnOnce(Arc<Place>) -> AbortHandle) -> bool {
        self.came.fetch_add(1, Ordering::Relaxed);
        let mut taken = self.taken();
        // Those that have ended are found when a place is needed.
        if taken.len() >= self.most {
            taken.retain(|one| !one.connection.is_finished());
        }
        if taken.len() >= self.most {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            let silent = |one: &Taken| one.place.busy.load(Ordering::Relaxed) == 0;
            let Some(longest) = taken.iter().position(silent) else {
                return false;
            };
            taken.remove(longest).connection.abort();
        }
        let place = Arc::<Place>::default();
        let connection = start(Arc::clone(&place));
        taken.push(Taken { place, connection });
        true
    }

    /// All have to leave.
    pub(super) fn clear(&self) {
        self.taken().drain(..).for_each(|one| one.connection.abort());
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.taken().iter().filter(|one| !one.connection.is_finished()).count()
    }

    /// How many connections came, and how many had to leave for another or found no place.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.came.load(Ordering::Relaxed), self.turned_away.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[test]
    fn who_says_nothing_leaves_first() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let places = Places::new(2);
            let mut served = Vec::new();
            let mut admit = || {
                places.admit(|place| {
                    served.push(place);
                    tokio::spawn(pending::<()>()).abort_handle()
                })
            };
            assert!(admit() && admit() && admit());
            let busy: Vec<_> = served[1..].iter().map(Place::begin).collect();
            let admit = || places.admit(|_| tokio::spawn(pending::<()>()).abort_handle());
            assert!(!admit(), "both are busy");
            assert_eq!(places.counts(), (4, 2));
            drop(busy);
            assert!(admit());
            tokio::task::yield_now().await;
            assert_eq!(places.open(), 2);
        });
    }
}
