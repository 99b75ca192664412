//! The time that each thing takes which core does, alone and among many nodes. What is measured is listed in
//! `instructions/src/lib.rs`, together with what is counted.

use std::time::Duration;

use criterion::Criterion;
use fence_kdump_instructions::{Meter, all};

struct Watch(Criterion);

impl Meter for Watch {
    fn measure<T, F: FnMut() -> T>(
        &mut self,
        what: &str,
        _bytes: usize,
        prepare: impl FnOnce() -> F,
    ) {
        let (mut prepare, mut once) = (Some(prepare), None);
        self.0.bench_function(what, |bencher| {
            if let Some(prepare) = prepare.take() {
                once = Some(prepare());
            }
            let once = once.as_mut().expect("prepared before the first time");
            bencher.iter(once);
        });
    }
}

fn main() {
    let criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let mut watch = Watch(criterion.configure_from_args());
    all(&mut watch);
    watch.0.final_summary();
}
