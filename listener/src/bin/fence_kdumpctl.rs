//! What administrators do by hand: see fence_kdumpctl(8).

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use fence_kdump_listener::ctl::{self, Failure, command::Options, screen};

fn main() -> ExitCode {
    // A core dump of this process would have keys in it.
    ctl::leave_no_core_dump();
    match ctl::run(Options::parse()) {
        Ok(done) if done.text.is_empty() => ExitCode::from(done.code),
        Ok(done) => match screen::print(&format!("{}\n", done.text)) {
            // A reader that has seen enough is no failure; a disk that is full is.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                fail(&Failure::Io("standard output", error))
            }
            _ => ExitCode::from(done.code),
        },
        Err(error) => fail(&error),
    }
}

fn fail(error: &Failure) -> ExitCode {
    drop(writeln!(std::io::stderr(), "fence_kdumpctl: {error}"));
    ExitCode::from(error.code())
}
