//! The nodes' names to addresses, again and again, in threads that nothing waits for.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::registry::LookupId;
use crate::lookup::{Found, look_up};
use crate::nodes::Known;
use crate::options::Family;

/// After the first failure a name is looked up again so soon, and half as often after each further one.
pub const AGAIN: Duration = Duration::from_secs(2);

/// A name that is not found is looked up at least so often, or less often when there are many: see [`PACE`]. A node
/// that crashes just after its name server or its interface came is to be heard.
pub const SELDOM: Duration = Duration::from_secs(30);

/// An address with a zone is looked up so often: an interface that went and came has another number, and only this
/// host has to be asked for it.
pub const ZONE: Duration = Duration::from_secs(1);

/// A name that was found is looked up again so often, or less often when there are many: see [`PACE`].
pub const REFRESH: Duration = Duration::from_secs(600);

/// On average, so much time passes between two lookups of names that were looked up before: a large
/// fleet must keep neither its name server nor this host busy.
pub const PACE: Duration = Duration::from_millis(5);

/// The most lookups that run at once: one name server that is dead must not stop other names.
const AT_ONCE: usize = 16;

/// The most results that wait to be taken; then the threads wait.
const ROOM: usize = 64;

/// Looks names up until it is dropped. A lookup that hangs in the host's resolver holds up one thread of a fixed
/// number, and nothing else.
#[derive(Debug)]
pub struct Resolver {
    shared: Arc<Shared>,
    results: mpsc::Receiver<(u64, LookupId, Found)>,
    generation: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    family: Family,
}

#[derive(Debug, Default)]
struct State {
    /// The next one that is due comes first.
    queue: BinaryHeap<Reverse<Job>>,
    /// Grows with each list of names: results of an earlier one are of no use.
    generation: u64,
    /// Nothing is looked up more often.
    pace: Duration,
    is_over: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Job {
    due: Instant,
    lookup: LookupId,
    failures: u32,
    name: Box<str>,
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.lookup).cmp(&(other.due, other.lookup))
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// Starts the threads, which have nothing to do yet.
    ///
    /// # Errors
    /// When the system makes not even one.
    pub fn start(family: Family) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), family });
        let (sender, results) = mpsc::channel(ROOM);
        for number in 0..AT_ONCE {
            let (shared, sender) = (Arc::clone(&shared), sender.clone());
            let made = thread::Builder::new()
                .name("name lookup".to_owned())
                .stack_size(256 * 1024)
                .spawn(move || work(&shared, &sender));
            // Fewer will do.
            match made {
                Err(error) if number == 0 => return Err(error),
                _ => {}
            }
        }
        Ok(Self { shared, results, generation: 0 })
    }

    /// Looks up these names from now on, and no longer those before.
    pub fn look_up<'a>(&mut self, names: impl Iterator<Item = (LookupId, &'a str)>) {
        let due = Instant::now();
        let job = |(lookup, name): (LookupId, &str)| {
            Reverse(Job { due, lookup, failures: 0, name: name.into() })
        };
        let queue: BinaryHeap<_> = names.map(job).collect();
        let many = u32::try_from(queue.len()).unwrap_or(u32::MAX);
        let mut state = self.shared.state();
        state.generation = state.generation.wrapping_add(1);
        self.generation = state.generation;
        state.pace = PACE.saturating_mul(many);
        state.queue = queue;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// What became of the next name; forever pending when there is none. Cancel-safe.
    pub async fn next(&mut self) -> (LookupId, Found) {
        loop {
            match self.results.recv().await {
                Some((generation, lookup, found)) if generation == self.generation => {
                    return (lookup, found);
                }
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.changed.notify_all();
    }
}

fn work(shared: &Shared, results: &mpsc::Sender<(u64, LookupId, Found)>) {
    while let Some((generation, job)) = next_due(shared) {
        let found = look_up(&job.name, shared.family);
        let failed = matches!(found.known, Known::Failed(_));
        if results.blocking_send((generation, job.lookup, found)).is_err() {
            return;
        }
        again(shared, generation, job, failed);
    }
}

/// Blocks until a name is due; `None` at the end.
fn next_due(shared: &Shared) -> Option<(u64, Job)> {
    let mut state = shared.state();
    loop {
        if state.is_over {
            return None;
        }
        let pause =
            state.queue.peek().map(|job| job.0.due.saturating_duration_since(Instant::now()));
        state = match pause {
            Some(Duration::ZERO) => {
                let Reverse(job) = state.queue.pop()?;
                return Some((state.generation, job));
            }
            Some(pause) => {
                let waited = shared.changed.wait_timeout(state, pause);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

fn again(shared: &Shared, generation: u64, job: Job, failed: bool) {
    let mut state = shared.state();
    if state.generation != generation {
        return;
    }
    let (pause, failures) = match failed {
        // No name has such a character.
        _ if job.name.contains('%') => (ZONE.max(state.pace), 0),
        true => {
            let doubled = AGAIN.saturating_mul(1 << job.failures.min(16));
            (doubled.min(SELDOM.max(state.pace)), job.failures.saturating_add(1))
        }
        false => (REFRESH.max(state.pace), 0),
    };
    let due = Instant::now().checked_add(pause).unwrap_or_else(Instant::now);
    state.queue.push(Reverse(Job { due, failures, ..job }));
    drop(state);
    shared.changed.notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::registry::{NewNode, Registry};
    use fence_kdump_core::Policy;
    use tokio::time::timeout;

    fn registry(names: &[&str]) -> Registry {
        let mut registry = Registry::new();
        for name in names {
            registry.add(&NewNode { name, key_name: None, policy: Policy::Plain }, None).unwrap();
        }
        registry
    }

    async fn next(resolver: &mut Resolver) -> (LookupId, Found) {
        timeout(Duration::from_secs(60), resolver.next()).await.unwrap()
    }

    #[tokio::test]
    async fn names_are_found_later_and_failures_are_repeated() {
        let mut registry = registry(&["localhost", "nosuchname.invalid"]);
        let at = "127.0.0.1".parse().unwrap();
        assert_eq!(registry.at(at), None);
        let mut resolver = Resolver::start(Family::Any).unwrap();
        resolver.look_up(registry.to_look_up());
        let mut failures = 0;
        while failures < 2 || registry.at(at).is_none() {
            let (lookup, found) = next(&mut resolver).await;
            match found.known {
                Known::At(addresses) => assert_eq!(registry.found(lookup, &addresses), []),
                _ => failures += 1,
            }
        }
        assert_eq!(registry.at(at), registry.named("localhost"));
    }

    /// What it is now, and not once it was found or missed for the last time minutes ago.
    #[tokio::test]
    async fn an_interface_is_looked_for_all_the_time() {
        let mut registry = Registry::new();
        let node = NewNode { name: "n1", key_name: None, policy: Policy::Plain };
        registry.add(&node, Some(&["fe80::1%lo", "fe80::1%nosuch0"])).unwrap();
        let mut resolver = Resolver::start(Family::Any).unwrap();
        resolver.look_up(registry.to_look_up());
        let many = async {
            let mut found = 0;
            for _ in 0..10 {
                let is_found = matches!(next(&mut resolver).await.1.known, Known::At(_));
                found += i32::from(is_found);
            }
            found
        };
        let found = timeout(Duration::from_secs(15), many).await;
        assert!(found.as_ref().is_ok_and(|found| (3..=7).contains(found)), "{found:?}");
    }

    #[tokio::test]
    async fn a_new_list_takes_the_place_of_the_one_before() {
        let mut resolver = Resolver::start(Family::Any).unwrap();
        let before = registry(&["nosuchname.invalid", "other.invalid"]);
        resolver.look_up(before.to_look_up());
        let now = registry(&["localhost"]);
        resolver.look_up(now.to_look_up());
        let (lookup, found) = next(&mut resolver).await;
        assert_eq!(
            (Some(lookup), &*found.name),
            (now.to_look_up().next().map(|it| it.0), "localhost")
        );
        let more = timeout(Duration::from_secs(4), resolver.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
