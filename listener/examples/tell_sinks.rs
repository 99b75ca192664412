//! Tells events to sinks, without a daemon: to try a configuration, or what is at its other end.
//!
//! ```text
//! cargo run -p fence-kdump --example tell_sinks -- sinks.toml < events
//! ```
//!
//! `sinks.toml` has the table `sink` of the daemon's configuration; `events` one event a line, as JSON. In the
//! end, when all is delivered or a minute later, come the counters, one sink a line, as JSON.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use fence_kdump_listener::fleet::event::Event;
use fence_kdump_listener::sink::{SinkConfig, Sinks};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    sink: SinkConfig,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("which configuration?")?;
    let Whole { sink } = toml::from_str(&std::fs::read_to_string(path)?)?;
    let sinks = Sinks::start(&sink, Arc::new(|_, line: &str| eprintln!("{line}")))?;
    let reader = sinks.reader();
    for line in std::io::stdin().lock().lines() {
        let event: Event = serde_json::from_str(&line?)?;
        sinks.tell(&Arc::new(event));
    }
    sinks.finish(Duration::from_secs(60));
    for counters in reader.counters() {
        serde_json::to_writer(std::io::stdout(), &counters)?;
        writeln!(std::io::stdout())?;
    }
    Ok(())
}
