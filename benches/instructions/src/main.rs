//! Does one thing so many times, for callgrind to count: `fence-kdump-instructions WHAT TIMES`.
//!
//! What one time costs is the difference between two counts, divided by how many times there were
//! between them; so whatever comes before and after does not matter. Without arguments: a line for each
//! thing that can be counted, with its bytes.

use std::hint::black_box;
use std::process::ExitCode;

use fence_kdump_instructions::{Meter, all};

/// Does the one thing that was asked for.
struct Repeat {
    what: String,
    times: u32,
    is_known: bool,
}

impl Meter for Repeat {
    fn measure<T, F: FnMut() -> T>(
        &mut self,
        what: &str,
        _bytes: usize,
        prepare: impl FnOnce() -> F,
    ) {
        if what == self.what {
            self.is_known = true;
            let mut once = prepare();
            for _ in 0..self.times {
                black_box(once());
            }
        }
    }
}

/// Prints the names.
struct List;

impl Meter for List {
    fn measure<T, F: FnMut() -> T>(
        &mut self,
        what: &str,
        bytes: usize,
        _prepare: impl FnOnce() -> F,
    ) {
        println!("{what} {bytes}");
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, times] = words.as_slice() else {
        all(&mut List);
        return ExitCode::SUCCESS;
    };
    let Ok(times) = times.parse() else {
        eprintln!("times: '{times}' is not a number");
        return ExitCode::FAILURE;
    };
    let mut repeat = Repeat { what: what.clone(), times, is_known: false };
    all(&mut repeat);
    if repeat.is_known {
        return ExitCode::SUCCESS;
    }
    eprintln!("{what}: not one of those that are listed without arguments");
    ExitCode::FAILURE
}
