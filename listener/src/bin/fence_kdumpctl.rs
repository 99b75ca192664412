//! What administrators do by hand: see fence_kdumpctl(8).

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use fence_kdump_listener::ctl::{self, command::Options, screen};

fn main() -> ExitCode {
    // A core dump of this process would have keys in it.
    ctl::leave_no_core_dump();
    match ctl::run(Options::parse()) {
        Ok(done) => {
            // A reader that has seen enough is no failure.
            if !done.text.is_empty() {
                drop(screen::print(&format!("{}\n", done.text)));
            }
            ExitCode::from(done.code)
        }
        Err(error) => {
            drop(writeln!(std::io::stderr(), "fence_kdumpctl: {error}"));
            ExitCode::from(error.code())
        }
    }
}
