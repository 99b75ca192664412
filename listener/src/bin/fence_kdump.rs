//! The fencing agent: see fence_kdump(8).

use fence_kdump_listener::{agent, clock, ctl, scribe};

fn main() {
    // First of all: what was heard before this is no evidence.
    let started = clock::now();
    ctl::leave_no_core_dump();
    if let Some(code) = scribe::serve(std::env::args_os()) {
        std::process::exit(code);
    }
    let words = std::env::args_os().skip(1).collect();
    let code = agent::run(started, words);
    // Threads that look up names or write to nobody are not waited for.
    std::process::exit(code);
}
