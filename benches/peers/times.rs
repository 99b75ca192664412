//! How soon receivers are there, and agents answer.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use fence_kdump_benches::files::Files;
use fence_kdump_benches::receiver::{Receiver, on_its_processor};
use fence_kdump_benches::sys::Sender;
use fence_kdump_benches::{bare, programs, traffic};

use crate::contenders::{agent, python};
use crate::{NODES, calls, note};

const PORT: u16 = 17_520;

/// The port of a daemon that has heard the node.
const HEARD: u16 = 17_521;

/// The node that crashes, and from whose address messages come; also that of a sender on loopback.
const NODE: &str = "127.0.0.1";

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// `action`, while the node says again and again that it has crashed.
fn amid_messages<T>(port: u16, action: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let sender = Sender::to(port);
    let letter = [(std::net::Ipv4Addr::LOCALHOST, traffic::message())];
    scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                traffic::burst(&sender, &letter);
                sleep(Duration::from_micros(100));
            }
        });
        let done = action();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

fn arguments(port: &str) -> [&str; 6] {
    ["-n", NODE, "-p", port, "-t", "60"]
}

/// From the start of an agent to its success; messages come all the time.
fn start_to_exit(program: &Path, port: u16) -> f64 {
    let mut command = programs::command(program);
    command.args(arguments(&port.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = on_its_processor(|| command.spawn()).expect("an agent");
    let status = child.wait().expect("our own child");
    let time = begin.elapsed();
    assert!(status.success(), "{}: {status}", program.display());
    milliseconds(time)
}

/// From `event` to the success of an agent that has waited for it.
fn waiting_to_exit(program: &Path, event: impl FnOnce()) -> f64 {
    let agent = Receiver::start(program, &arguments(&PORT.to_string()), PORT);
    // It has nothing left to do but to wait.
    sleep(Duration::from_millis(20));
    let begin = Instant::now();
    event();
    let status = agent.wait();
    let time = begin.elapsed();
    assert!(status.success(), "{}: {status}", program.display());
    milliseconds(time)
}

fn starts(rounds: u64) {
    let files = Files::new(NODES, PORT, None);
    let daemon = programs::ours("fence_kdumpd");
    let ours = programs::ours("fence_kdump");
    let start = |row: &str| match row {
        "bare" => Some(bare::start(PORT)),
        "daemon" => Some(Receiver::start(&daemon, &files.arguments(), PORT)),
        "agent" => Some(agent(&ours, PORT)),
        "stock" => Some(agent(programs::stock_agent()?, PORT)),
        _ => Some(python(PORT).0),
    };
    let rows = ["bare", "daemon", "agent", "stock", "python"];
    let mut times = rows.map(|_| Vec::new());
    for _ in 0..rounds {
        for (row, times) in rows.iter().zip(&mut times) {
            times.extend(start(row).map(|receiver| milliseconds(receiver.started_in)));
        }
    }
    for (row, times) in rows.iter().zip(&times).filter(|(_, times)| !times.is_empty()) {
        note(row, "start", times);
    }
}

pub(crate) fn measure(rounds: u64) {
    starts(rounds);
    let ours = (programs::ours("fence_kdump"), programs::ours("fence_kdump_send"));
    let mut makes = vec![("agent", ours.0.as_path(), ours.1.as_path())];
    if let (Some(agent), Some(sender)) = (programs::stock_agent(), programs::stock_sender()) {
        makes.push(("stock", agent, sender));
    }
    let mut times = vec![[const { Vec::new() }; 3]; makes.len()];
    let letter = [(std::net::Ipv4Addr::LOCALHOST, traffic::message())];
    let sender = Sender::to(PORT);
    let port = PORT.to_string();
    for _ in 0..rounds {
        for ((_, agent, program), [at_once, message, both]) in makes.iter().zip(&mut times) {
            at_once.push(amid_messages(PORT, || start_to_exit(agent, PORT)));
            message.push(waiting_to_exit(agent, || traffic::burst(&sender, &letter)));
            let mut child = None;
            both.push(waiting_to_exit(agent, || {
                let mut command = programs::command(program);
                command.args(["-c1", "-p", &port, NODE]);
                child = on_its_processor(|| command.spawn()).ok();
            }));
            let ended = child.expect("a sender").wait();
            assert!(ended.expect("our own child").success(), "{}", program.display());
        }
    }
    for ((row, agent, _), [at_once, message, both]) in makes.iter().zip(&times) {
        note(row, "start to exit", at_once);
        note(row, "message to exit", message);
        note(row, "sender to exit", both);
        let count = amid_messages(PORT, || calls::whole_run(agent, &arguments(&port)));
        note(row, "calls run", &[count as f64]);
    }
    beside_daemon(rounds, &ours.0);
}

/// The daemon has heard the node before the agent is started.
fn beside_daemon(rounds: u64, agent: &Path) {
    let files = Files::with(&[(NODE, NODE)], HEARD);
    let _daemon = Receiver::start(&programs::ours("fence_kdumpd"), &files.arguments(), HEARD);
    amid_messages(HEARD, || {
        sleep(Duration::from_millis(100));
        let times: Vec<_> = (0..rounds).map(|_| start_to_exit(agent, HEARD)).collect();
        note("agent-daemon", "start to exit", &times);
        let count = calls::whole_run(agent, &arguments(&HEARD.to_string()));
        note("agent-daemon", "calls run", &[count as f64]);
    });
}
