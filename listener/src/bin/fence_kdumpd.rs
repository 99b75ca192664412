//! The daemon: holds the UDP port, follows nodes, and serves the agents of this host.

use std::process::ExitCode;

use clap::Parser;
use fence_kdump_listener::agent::allow_many_descriptors;
use fence_kdump_listener::daemon::{self, Fleet, Follow};
use fence_kdump_listener::voice::{Voice, Weight};

/// Hears crashed nodes all the time, tells what happens to them, and serves the agents of this host.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// A node to follow and its addresses; may be given again and again.
    #[arg(long = "node", value_name = "NAME=ADDRESS[,ADDRESS...]")]
    nodes: Vec<Follow>,
    /// The UDP port.
    #[arg(short = 'p', long = "ipport", value_name = "PORT", default_value_t = fence_kdump_core::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Say more: one line for each datagram.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let voice = Voice::new("fence_kdumpd", options.verbose);
    allow_many_descriptors();
    let fleet = match Fleet::new(&options.nodes) {
        Ok(fleet) => fleet,
        Err(error) => return fail(&voice, &error.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            runtime.block_on(daemon::follow(fleet, options.port, &voice));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&voice, &format!("cannot wait for anything: {error}")),
    }
}

fn fail(voice: &Voice, why: &str) -> ExitCode {
    voice.say(Weight::Error, why);
    voice.finish();
    ExitCode::FAILURE
}
