//! Names to addresses, by the host's own resolver, in threads that nothing waits for.

use std::collections::VecDeque;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::address::Address;
use crate::nodes::Known;
use crate::options::Family;

/// How long after a failure a name is looked up again.
const AGAIN: Duration = Duration::from_secs(2);

/// The most lookups that run at once: one name server that is dead must not stop other names.
const AT_ONCE: usize = 16;

/// What became of one name.
#[derive(Debug)]
pub struct Found {
    /// As configured.
    pub name: String,
    /// What is known of it now.
    pub known: Known,
    /// Addresses that were passed over, for people.
    pub remarks: Vec<String>,
}

/// Looks `name` up: all its addresses, in the syntax of `getaddrinfo(3)` (`127.1`, `fe80::1%eth0`,
/// names). Blocks for as long as the resolver does. That none is of `family` is only remarked: whose
/// addresses they are matters also where they do not count (see [`crate::nodes`]).
#[must_use]
pub fn look_up(name: &str, family: Family) -> Found {
    let mut addresses = Vec::new();
    let mut remarks = Vec::new();
    let mut error = None;
    match (name, 0).to_socket_addrs() {
        Ok(found) => {
            for found in found {
                match Address::of_node(found) {
                    Ok(address) if addresses.contains(&address) => {}
                    Ok(address) => addresses.push(address),
                    Err(refused) => remarks.push(format!("{name}: {refused}")),
                }
            }
        }
        Err(failed) => error = Some(readable(&failed)),
    }
    remarks.dedup();
    let known = if addresses.is_empty() {
        let why = error.or_else(|| remarks.pop());
        Known::Failed(why.unwrap_or_else(|| "no address".to_owned()))
    } else {
        if !addresses.iter().any(|&address| family.counts(address)) {
            remarks.push(format!("{name}: no {family} address, and only those count"));
        }
        Known::At(addresses)
    };
    Found { name: name.to_owned(), known, remarks }
}

/// The resolver's words, without the name of its function.
fn readable(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit("information: ").next().unwrap_or_default();
    text.to_owned()
}

/// Whether `name` is an address, so that looking it up takes no time and always tells the same. One
/// with a zone is not: its interface may appear later.
fn is_found_at_once(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

#[derive(Debug)]
struct Waiting {
    /// Names and when each is due.
    queue: Mutex<VecDeque<(Instant, String)>>,
    changed: Condvar,
}

/// Looks up `names`, each again two seconds after every failure until it is found. Addresses given by
/// number are found at once. The threads end with the process, or when nobody listens any more.
#[must_use]
pub fn start(names: Vec<String>, family: Family) -> mpsc::UnboundedReceiver<Found> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let now = Instant::now();
    let mut queue = VecDeque::new();
    for name in names {
        if is_found_at_once(&name) {
            drop(sender.send(look_up(&name, family)));
        } else {
            queue.push_back((now, name));
        }
    }
    let threads = queue.len().min(AT_ONCE);
    let waiting = Arc::new(Waiting { queue: Mutex::new(queue), changed: Condvar::new() });
    for _ in 0..threads {
        let (waiting, sender) = (Arc::clone(&waiting), sender.clone());
        // A host that can make no thread finds no name; the deadline tells.
        drop(thread::Builder::new().spawn(move || work(&waiting, family, &sender)));
    }
    receiver
}

fn work(waiting: &Waiting, family: Family, sender: &mpsc::UnboundedSender<Found>) {
    while let Some(name) = next_due(waiting) {
        let found = look_up(&name, family);
        let failed = matches!(found.known, Known::Failed(_));
        if sender.send(found).is_err() {
            return;
        }
        if failed {
            let due = Instant::now().checked_add(AGAIN).unwrap_or_else(Instant::now);
            let mut queue = waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push_back((due, name));
            drop(queue);
            waiting.changed.notify_one();
        }
    }
}

/// Blocks until a name is due; `None` when no name is left for this thread.
fn next_due(waiting: &Waiting) -> Option<String> {
    let mut queue = waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let (due, _) = queue.front()?;
        let pause = due.saturating_duration_since(Instant::now());
        if pause.is_zero() {
            return queue.pop_front().map(|(_, name)| name);
        }
        (queue, _) =
            waiting.changed.wait_timeout(queue, pause).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(name: &str, family: Family) -> Result<Vec<String>, String> {
        match look_up(name, family).known {
            Known::At(addresses) => Ok(addresses.iter().map(ToString::to_string).collect()),
            Known::Failed(why) => Err(why),
            Known::Pending => Err("pending".into()),
        }
    }

    #[test]
    fn numbers_as_getaddrinfo_reads_them() {
        assert_eq!(addresses("127.1", Family::Any), Ok(vec!["127.0.0.1".into()]));
        assert_eq!(addresses("::ffff:127.0.0.2", Family::Any), Ok(vec!["127.0.0.2".into()]));
        assert_eq!(addresses("fe80::1%lo", Family::Any), Ok(vec!["fe80::1%1".into()]));
        assert_eq!(addresses("::1", Family::Ipv6), Ok(vec!["::1".into()]));
        let other_family = look_up("::1", Family::Ipv4);
        assert!(matches!(other_family.known, Known::At(_)));
        assert!(other_family.remarks.iter().any(|why| why.contains("no IPv4 address")));
        for (name, family, why) in [
            ("fe80::1", Family::Any, "fe80::1%eth0"),
            ("224.0.0.1", Family::Any, "multicast"),
            ("nosuchname.invalid", Family::Any, ""),
        ] {
            let error = addresses(name, family).unwrap_err();
            assert!(error.contains(why) && !error.is_empty(), "{name}: {error}");
        }
    }

    #[tokio::test]
    async fn numbers_are_there_at_once_and_failures_are_repeated() {
        let names = vec!["nosuchname.invalid".to_owned(), "127.0.0.9".to_owned()];
        let mut found = start(names, Family::Any);
        assert_eq!(found.recv().await.unwrap().name, "127.0.0.9");
        for _ in 0..2 {
            let again = found.recv().await.unwrap();
            assert!(matches!(again.known, Known::Failed(_)), "{again:?}");
        }
    }
}
