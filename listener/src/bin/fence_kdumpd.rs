//! The daemon: holds the UDP port, follows nodes, and serves the agents of this host.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fence_kdump_core::Policy;
use fence_kdump_listener::agent::{allow_many_descriptors, credentials};
use fence_kdump_listener::clock;
use fence_kdump_listener::ctl;
use fence_kdump_listener::daemon::{self, Fleet, Follow, Plan};
use fence_kdump_listener::options::Settings;
use fence_kdump_listener::store::STATE_DIR;
use fence_kdump_listener::voice::{Voice, Weight};

/// How long the key file may take to read.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// The file with the cluster keys: with it, only messages that are signed with a node's key count,
    /// unless --policy says otherwise.
    #[arg(long = "key-file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What a message has to prove: "plain", "signed" or "live".
    ///
    /// "plain": it comes from an address of the node (the default without --key-file). "signed": it is
    /// signed with the node's key, and no replay (the default with it). "live": the node answers a
    /// challenge now.
    #[arg(long, value_name = "POLICY")]
    policy: Option<Policy>,
    /// Where it is remembered what was heard, so that no signed message counts twice.
    #[arg(long = "state-dir", value_name = "DIR", default_value = STATE_DIR)]
    state_dir: PathBuf,
    /// Say more: one line for each datagram.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

fn main() -> ExitCode {
    ctl::leave_no_core_dump();
    let options = Options::parse();
    let voice = Voice::new("fence_kdumpd", options.verbose);
    allow_many_descriptors();
    let settings = Settings {
        key_file: options.key_file,
        asked_policy: options.policy,
        state_dir: options.state_dir,
        ..Settings::default()
    };
    let names: Vec<_> = options.nodes.iter().map(|node| node.name.as_str()).collect();
    let deadline = clock::now().saturating_add(PATIENCE);
    let (policy, examiner) = match credentials::load(&settings, &names, deadline) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&voice, &error.to_string()),
    };
    let registry = match daemon::registry(&options.nodes, policy) {
        Ok(registry) => registry,
        Err(error) => return fail(&voice, &error.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let memory_in = settings.key_file.is_some().then_some(settings.state_dir);
            let fleet = Fleet::new(registry, examiner);
            let plan = Plan { fleet, port: options.port, memory_in };
            runtime.block_on(daemon::follow(plan, &voice));
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
