//! What is said of trouble, so that it fills no log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::voice::Weight;

/// Says a line to people; must not block.
pub type Say = Arc<dyn Fn(Weight, &str) + Send + Sync>;

/// How many lines may come at once.
const AT_ONCE: u32 = 10;

/// One more line after each such time.
const ONE_EACH: Duration = Duration::from_secs(30);

/// Complains on behalf of one sink.
pub(super) struct Complaints {
    say: Say,
    name: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u32,
    refilled: Instant,
    unsaid: u64,
}

impl std::fmt::Debug for Complaints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Complaints").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Complaints {
    pub(super) fn new(name: Arc<str>, say: Say) -> Self {
        let state = State { left: AT_ONCE, refilled: Instant::now(), unsaid: 0 };
        Self { say, name, state: Mutex::new(state) }
    }

    /// Says `line` of the sink, unless so much was said of late that it is only counted.
    pub(super) fn say(&self, weight: Weight, line: &str) {
        let unsaid = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(unsaid) = state.admit(Instant::now()) else { return };
            unsaid
        };
        let name = &self.name;
        match unsaid {
            0 => (self.say)(weight, &format!("{name}: {line}")),
            _ => {
                (self.say)(weight, &format!("{name}: {line} (and {unsaid} lines left out before)"))
            }
        }
    }
}

impl State {
    /// How many lines were left out before this one; `None` when it is left out, too.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.refilled);
        let more = u32::try_from(passed.as_millis() / ONE_EACH.as_millis()).unwrap_or(AT_ONCE);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.refilled = now;
        }
        if self.left == 0 {
            self.unsaid = self.unsaid.saturating_add(1);
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_goes_on_is_said_from_time_to_time() {
        let start = Instant::now();
        let mut state = State { left: AT_ONCE, refilled: start, unsaid: 0 };
        let mut said = Vec::new();
        for second in 0..95 {
            if let Some(unsaid) = state.admit(start + Duration::from_secs(second)) {
                said.push((second, unsaid));
            }
        }
        let at_once: Vec<_> = (0..10).map(|second| (second, 0)).collect();
        assert_eq!(said[..10], at_once);
        assert_eq!(said[10..], [(30, 20), (60, 29), (90, 29)]);
    }

    #[test]
    fn the_line_names_the_sink() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let say: Say = Arc::new(move |_, line| kept.lock().unwrap().push(line.to_owned()));
        let complaints = Complaints::new("pager".into(), say);
        for _ in 0..20 {
            complaints.say(Weight::Warning, "no answer");
        }
        assert_eq!(*lines.lock().unwrap(), vec!["pager: no answer".to_owned(); 10]);
    }
}
