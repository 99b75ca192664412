//! Asks whoever holds the UDP port of this host what is known.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fence_kdump_listener::control::packet::Status;
use fence_kdump_listener::control::query;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks fence_kdumpd, or the agent that reads the port, what is known.
///
/// Exit status 0: answered. 1: nobody is there, or nobody who answers. 2: wrong usage.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The UDP port.
    #[arg(short = 'p', long = "ipport", value_name = "PORT", global = true, default_value_t = fence_kdump_core::PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show who holds the port, and the state of every node.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Command::Status { json } = options.command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = match runtime {
        Ok(runtime) => runtime
            .block_on(query::status(options.port, PATIENCE))
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match answer.and_then(|status| shown(&status, json)) {
        Ok(text) => {
            // A reader that has seen enough is no failure.
            drop(writeln!(std::io::stdout(), "{text}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            drop(writeln!(std::io::stderr(), "fence_kdumpctl: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn shown(status: &Status, json: bool) -> Result<String, String> {
    if json {
        return serde_json::to_string(status).map_err(|error| error.to_string());
    }
    let port = if status.listening { "reads" } else { "waits for" };
    let mut text = format!(
        "{} (process {}) {port} UDP port {} and serves {} others",
        status.program, status.pid, status.port, status.clients
    );
    let width = status.nodes.iter().map(|node| node.name.len()).max();
    let width = width.unwrap_or(0).max("NODE".len());
    if !status.nodes.is_empty() {
        text.push_str(&format!(
            "\n{:width$}  {:9} {:>9} {:>11} {:>8}",
            "NODE", "STATE", "SINCE", "LAST HEARD", "MESSAGES"
        ));
    }
    for node in &status.nodes {
        text.push_str(&format!(
            "\n{:width$}  {:9} {:>9} {:>11} {:>8}",
            node.name,
            node.state,
            ago(node.since_ms),
            ago(node.last_heard_ms),
            node.messages
        ));
    }
    Ok(text)
}

/// `1.5 s`, or `-` for never.
fn ago(milliseconds: Option<u64>) -> String {
    milliseconds.map_or("-".to_owned(), |milliseconds| {
        format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64())
    })
}
