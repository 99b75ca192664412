//! Until a node is in its crash kernel.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::State;
use super::{Done, Failure, ask, code, words};
use crate::control::packet::{Inquiry, NodeStatus, Status};
use crate::control::query::{Counter, QueryError};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);

/// An answer that comes late is better than none.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug)]
pub struct Goal {
    /// The node: its name, or an address of it.
    pub node: String,
    /// How long at most.
    pub timeout: Duration,
    /// For one of these; for its crash kernel when there is none.
    pub states: Vec<State>,
    /// Only what is heard from now on counts.
    pub fresh: bool,
}

/// Waits for what `goal` says, by what who reads UDP port `port` tells.
///
/// # Errors
/// When nobody answers, or there is no such node.
pub fn run(port: u16, goal: &Goal) -> Result<Done, Failure> {
    ask::block_on(until(port, goal))
}

async fn until(port: u16, goal: &Goal) -> Result<Done, Failure> {
    let began = Instant::now();
    let deadline = began + goal.timeout;
    let inquiry = Inquiry { node: Some(goal.node.clone()), ..Inquiry::default() };
    let mut counter = None;
    let mut is_gone = false;
    loop {
        let asked = Instant::now();
        let left = deadline.saturating_duration_since(asked).max(LEAST_PATIENCE);
        let answer = answer(&mut counter, port, left.min(ask::PATIENCE), &inquiry).await;
        let answer = answer.map_err(Failure::from).and_then(ask::with_list);
        let is_over = Instant::now() >= deadline;
        match answer {
            Ok(status) => {
                if std::mem::take(&mut is_gone) {
                    say(&format!("process {} answers", status.pid));
                }
                match status.nodes.into_iter().next() {
                    Some(node) if goal.is_reached(&node, asked.duration_since(began)) => {
                        return Ok(Done { text: told(&node, goal, true), code: code::DONE });
                    }
                    Some(node) if is_over => {
                        return Ok(Done { text: told(&node, goal, false), code: code::NOT_KNOWN });
                    }
                    Some(_) => {}
                    None => {
                        if let Some(counter) = &counter {
                            return Err(ask::no_such(counter, &goal.node).await?);
                        }
                    }
                }
            }
            Err(error) if is_over => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut is_gone, true) {
                    say(&format!("{error}; waiting on"));
                }
            }
        }
        sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// Asks again, of somebody else when the one who answered before does so no more.
async fn answer(
    counter: &mut Option<Counter>,
    port: u16,
    patience: Duration,
    inquiry: &Inquiry,
) -> Result<Status, QueryError> {
    let now = match counter.take() {
        Some(counter) => counter.with_patience(patience),
        None => Counter::visit(port, patience).await?,
    };
    let status = now.all(inquiry).await?;
    *counter = Some(now);
    Ok(status)
}

impl Goal {
    /// Whether `node`, as it was told to whoever asked so long after the beginning, is as it should be.
    fn is_reached(&self, node: &NodeStatus, asked: Duration) -> bool {
        let states =
            if self.states.is_empty() { &State::IN_CRASH_KERNEL[..] } else { &self.states };
        let is_state = states.iter().any(|state| state.name() == node.state);
        // It was heard no longer ago than that when the answer was made, which was after the question; what is
        // told has no fractions.
        let is_fresh = |heard: u64| Duration::from_millis(heard.saturating_add(1)) <= asked;
        is_state && (!self.fresh || node.last_heard_ms.is_some_and(is_fresh))
    }
}

fn told(node: &NodeStatus, goal: &Goal, is_reached: bool) -> String {
    let heard = match (node.last_heard_ms, &node.from) {
        (Some(heard), Some(from)) => format!("heard {} ago from {from}", words::span(heard)),
        (Some(heard), None) => format!("heard {} ago", words::span(heard)),
        (None, _) => "never heard".to_owned(),
    };
    let proof = node.proof.as_ref().map(|proof| format!(", {proof}")).unwrap_or_default();
    let what = match (is_reached, goal.states.is_empty()) {
        (true, true) => "in its crash kernel",
        (false, true) => "not known to be in its crash kernel",
        (true, false) => "as waited for",
        (false, false) => "not as waited for",
    };
    words::plain(&format!("{}: {what}: {}, {heard}{proof}", node.name, node.state))
}

/// For people who watch; a script looks at the exit status.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "fence_kdumpctl: {line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(states: &[State], fresh: bool) -> Goal {
        let timeout = Duration::from_secs(1);
        Goal { node: "n1".into(), timeout, states: states.to_vec(), fresh }
    }

    fn node(state: &str, heard: Option<u64>) -> NodeStatus {
        let name = "n1".into();
        NodeStatus { name, state: state.into(), last_heard_ms: heard, ..NodeStatus::default() }
    }

    #[test]
    fn only_two_states_are_those_of_a_crash_kernel() {
        for state in ["started", "dumping"] {
            assert!(goal(&[], false).is_reached(&node(state, Some(5)), Duration::ZERO), "{state}");
        }
        for state in
            ["unheard", "finished", "lost", "rebooted", "candidate", "unknown", "", "DUMPING"]
        {
            assert!(!goal(&[], false).is_reached(&node(state, Some(5)), Duration::ZERO), "{state}");
        }
        let finished = goal(&[State::Finished, State::Lost], false);
        assert!(finished.is_reached(&node("lost", Some(5)), Duration::ZERO));
        assert!(!finished.is_reached(&node("dumping", Some(5)), Duration::ZERO));
    }

    /// What may have been heard before the beginning counts as such.
    #[test]
    fn what_is_fresh_was_heard_since_the_beginning() {
        let goal = goal(&[], true);
        let asked = Duration::from_millis(1_000);
        for (heard, expected) in [(0, true), (999, true), (1_000, false), (u64::MAX, false)] {
            assert_eq!(goal.is_reached(&node("dumping", Some(heard)), asked), expected, "{heard}");
        }
        assert!(!goal.is_reached(&node("dumping", Some(0)), Duration::ZERO));
        assert!(!goal.is_reached(&node("dumping", None), asked));
    }

    #[test]
    fn what_is_told() {
        let node = NodeStatus {
            from: Some("192.0.2.7".into()),
            proof: Some("live".into()),
            ..node("dumping", Some(4_000))
        };
        assert_eq!(
            told(&node, &goal(&[], false), true),
            "n1: in its crash kernel: dumping, heard 4s ago from 192.0.2.7, live"
        );
        let unheard = self::node("unheard", None);
        assert_eq!(
            told(&unheard, &goal(&[], false), false),
            "n1: not known to be in its crash kernel: unheard, never heard"
        );
        assert!(told(&unheard, &goal(&[State::Lost], false), false).contains("not as waited for"));
    }
}
