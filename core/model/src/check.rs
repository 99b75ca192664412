//! Goes through all states and says what was found.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

use stateright::{Checker, Expectation, Model};

use crate::world::World;
use crate::{Bounds, trace};

/// Which properties were found to be shown, or broken, already. The checker remembers the last way that it
/// has found; with this, and one thread that goes breadth-first, it is the shortest.
#[derive(Debug, Default)]
pub struct Firsts(Mutex<BTreeSet<&'static str>>);

impl Firsts {
    /// Whether nobody has asked this about `name` before.
    pub fn is(&self, name: &'static str) -> bool {
        self.0.lock().is_ok_and(|mut names| names.insert(name))
    }
}

/// What a check has found.
#[derive(Debug)]
pub struct Found {
    /// How many different states there are.
    pub states: usize,
    /// How many steps led to them.
    pub steps: usize,
    /// The longest way to a state, in steps.
    pub depth: usize,
    /// For each property that was refuted, or example that was found: its name, and the shortest way.
    pub ways: Vec<(&'static str, String)>,
}

impl Found {
    /// How the example `name` comes about.
    #[must_use]
    pub fn way(&self, name: &str) -> Option<&str> {
        self.ways.iter().find(|(of, _)| *of == name).map(|(_, way)| way.as_str())
    }
}

/// Visits every state within `bounds`, and prints how many there are.
///
/// # Panics
/// When a property does not hold, with the shortest way to where it does not; or when something that has to
/// be possible was not found.
pub fn check(bounds: Bounds) -> Found {
    let name = bounds.name;
    exhaust(name, World::new(bounds), trace::of)
}

/// [`check`] for any model.
///
/// # Panics
/// As it does.
pub fn exhaust<M>(
    name: &str,
    model: M,
    show: fn(&M, &M::State, Option<&M::Action>) -> String,
) -> Found
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq,
{
    let began = Instant::now();
    let checker = model.checker().threads(1).spawn_bfs().join();
    let model = checker.model();
    let mut ways = Vec::new();
    let mut wrong = Vec::new();
    let discoveries = checker.discoveries();
    for property in model.properties() {
        let way = discoveries.get(property.name).cloned().map(|path| {
            let steps = path.into_vec();
            let lines = steps.iter().map(|(state, action)| show(model, state, action.as_ref()));
            lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
        });
        match (&property.expectation, way) {
            (Expectation::Sometimes, Some(way)) => ways.push((property.name, way)),
            (Expectation::Sometimes, None) => wrong.push(format!("'{}': never", property.name)),
            (_, Some(way)) => wrong.push(format!("'{}' does not hold:\n{way}", property.name)),
            (_, None) => {}
        }
    }
    let found = Found {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        ways,
    };
    println!(
        "{name}: {} states, {} steps, {} deep, {:.1} s",
        found.states,
        found.steps,
        found.depth,
        began.elapsed().as_secs_f32()
    );
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    found
}
