//! The daemon: holds the UDP port, follows nodes, and serves the agents of this host.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use fence_kdump_listener::agent::allow_many_descriptors;
use fence_kdump_listener::ctl;
use fence_kdump_listener::daemon::options::Task;
use fence_kdump_listener::daemon::setup::Source;
use fence_kdump_listener::daemon::{self, Options};
use fence_kdump_listener::service::{self, Manager};
use fence_kdump_listener::voice::{Voice, Weight};

fn main() -> ExitCode {
    ctl::leave_no_core_dump();
    let options = Options::parse();
    if let Some(Task::CheckConfig { file }) = &options.task {
        return check_config(file);
    }
    // Before there is any other thread.
    let given = service::given();
    let voice = Arc::new(Voice::new("fence_kdumpd", options.verbose));
    allow_many_descriptors();
    let manager = Manager::from_environment();
    let source = Source::of(&options);
    let setup = match source.read_in_time() {
        Ok(setup) => setup,
        Err(error) => return fail(&voice, &error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&voice, &format!("cannot wait for anything: {error}")),
    };
    match runtime.block_on(daemon::follow(setup, source, (manager, given), Arc::clone(&voice))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&voice, &error.to_string()),
    }
}

fn check_config(file: &Path) -> ExitCode {
    match Source::File(file.to_owned()).read() {
        Ok(setup) => {
            let count = u64::try_from(setup.config.nodes.len()).unwrap_or(u64::MAX);
            println!("{}: right, {}", file.display(), ctl::words::nodes(count));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("fence_kdumpd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fail(voice: &Voice, why: &str) -> ExitCode {
    voice.say(Weight::Error, why);
    voice.finish();
    ExitCode::FAILURE
}
