use super::*;
use crate::fleet::event::Kind;
use crate::sink::fields::tests::event;
use proptest::prelude::*;
use std::time::Duration;

fn queue(room: usize) -> Arc<Queue> {
    Queue::new("command", "q", room, Kinds::default(), Arc::new(|_, _| {}))
}

fn offer(queue: &Queue, number: u64, node: &str) {
    queue.offer(&Arc::new(event(number, node, Kind::Started)));
}

fn ids(taken: &[Taken]) -> Vec<String> {
    taken.iter().map(|taken| taken.event().id.numbered().unwrap().1.to_string()).collect()
}

/// Takes what can be had at once.
fn take(
    queue: &Arc<Queue>,
    most: usize,
    reach: usize,
    fits: impl FnMut(&Event) -> bool,
) -> Vec<Taken> {
    let mut fits = fits;
    match queue.try_take(most, reach, &mut fits) {
        ControlFlow::Break(taken) => taken,
        ControlFlow::Continue(()) => Vec::new(),
    }
}

#[test]
fn the_oldest_gives_way() {
    let queue = queue(3);
    for number in 1..=5 {
        offer(&queue, number, "n");
    }
    let Counters { told, dropped, waiting, .. } = queue.counters();
    assert_eq!((told, dropped, waiting), (5, 2, 3));
    assert_eq!(ids(&take(&queue, 9, 9, |_| true)), ["3", "4", "5"]);
}

#[test]
fn what_is_not_settled_is_in_its_place_again() {
    let queue = queue(10);
    for number in 1..=4 {
        offer(&queue, number, "n");
    }
    let mut taken = take(&queue, 3, 9, |_| true);
    assert_eq!(queue.counters().waiting, 4);
    taken.remove(1).delivered();
    drop(taken);
    let mut taken = take(&queue, 9, 9, |_| true);
    assert_eq!(ids(&taken), ["1", "3", "4"]);
    taken.remove(0).failed("no");
    let counters = queue.counters();
    assert_eq!((counters.delivered, counters.failed, counters.waiting), (1, 1, 2));
    assert_eq!(counters.last_error.as_deref(), Some("no"));
}

#[test]
fn whoever_does_not_fit_is_passed_over_but_not_too_far() {
    let queue = queue(10);
    for (number, node) in [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "c")] {
        offer(&queue, number, node);
    }
    let not_a = |event: &Event| &*event.node != "a";
    assert_eq!(ids(&take(&queue, 9, 1, not_a)), Vec::<&str>::new());
    assert_eq!(ids(&take(&queue, 9, 3, not_a)), ["3"]);
    assert_eq!(ids(&take(&queue, 9, 4, not_a)), ["3", "5"]);
    assert_eq!(ids(&take(&queue, 9, 2, not_a)), Vec::<&str>::new());
    let mut seen = Vec::new();
    let mut first_of_each = |event: &Event| {
        let is_first = !seen.contains(&event.node);
        seen.push(Arc::clone(&event.node));
        is_first
    };
    assert_eq!(ids(&take(&queue, 9, 1, &mut first_of_each)), ["1"]);
}

#[tokio::test]
async fn a_taker_is_woken_by_each_change() {
    let queue = queue(10);
    let other = Arc::clone(&queue);
    let taker = tokio::spawn(async move { ids(&other.take(1, 1, |_| true).await) == ["1"] });
    tokio::task::yield_now().await;
    offer(&queue, 1, "n");
    assert!(taker.await.unwrap());
    // Given back when it was dropped.
    let held = queue.take(1, 1, |_| true).await;
    let other = Arc::clone(&queue);
    let taker = tokio::spawn(async move { other.take(1, 1, |_| true).await.len() });
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(taker.await.unwrap(), 1);
    let taken = queue.take(1, 1, |_| true).await;
    queue.close();
    offer(&queue, 2, "n");
    assert_eq!(queue.take(1, 1, |_| true).await.len(), 0);
    tokio::time::timeout(Duration::from_secs(9), queue.done()).await.unwrap();
    drop(taken);
    assert_eq!(queue.take(1, 1, |_| true).await.len(), 1);
    let Counters { told, dropped, .. } = queue.counters();
    assert_eq!((told, dropped), (2, 1));
}

#[test]
fn a_smaller_room_and_other_kinds() {
    let queue = queue(10);
    for number in 1..=6 {
        offer(&queue, number, "n");
    }
    let only_lost: Kinds = serde_json::from_str(r#"["lost"]"#).unwrap();
    queue.reshape(2, only_lost);
    offer(&queue, 7, "n");
    assert_eq!(queue.counters().told, 6);
    assert_eq!(queue.give_up(), 2);
    let Counters { dropped, waiting, .. } = queue.counters();
    assert_eq!((dropped, waiting), (6, 0));
}

proptest! {
    /// Whatever happens, every event is somewhere, once, and they come in order.
    #[test]
    fn nothing_is_lost_uncounted(room in 1..20_usize, steps in prop::collection::vec(0..6_u8, 0..200)) {
        let queue = queue(room);
        let mut held: VecDeque<Taken> = VecDeque::new();
        let mut number = 0;
        for step in steps {
            match step {
                0..=2 => {
                    number += 1;
                    offer(&queue, number, "n");
                }
                3 => held.extend(take(&queue, 3, 1, |_| true)),
                4 => if let Some(taken) = held.pop_front() { taken.delivered() },
                _ => drop(held.pop_back()),
            }
            let Counters { told, delivered, dropped, failed, waiting, .. } = queue.counters();
            prop_assert_eq!(told, number);
            prop_assert_eq!(told, delivered + dropped + failed + waiting);
            let state = queue.state();
            prop_assert!(state.waiting.iter().is_sorted_by_key(|item| item.number));
            prop_assert_eq!(state.in_hand, held.len());
            prop_assert!(state.waiting.len() <= room + 3 * 200);
        }
    }
}
