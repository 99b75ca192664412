//! The numbers, as Prometheus and Grafana see them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::WebConfig;
use fence_kdump_tests::{Need, requires};
use serde_json::Value;

use super::client::{Answer, get, request};
use super::fake::Fake;

/// With names that have to be escaped.
fn fake() -> Fake {
    let config = WebConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        node_metrics: 2,
        ..WebConfig::default()
    };
    let fake = Fake::start_as(config).unwrap();
    fake.add(["a\"b\\c\nd", "beta", "gamma", "delta"]);
    for node in ["a\"b\\c\nd", "beta", "gamma"] {
        fake.happen(node, Kind::Started);
        fake.happen(node, Kind::Dumping);
    }
    fake
}

fn open_metrics(fake: &Fake) -> Answer {
    let accept = [("Accept", "application/openmetrics-text; version=1.0.0")];
    request(fake.address, ("GET", "/metrics"), &accept)
}

/// The value of the series that begins with `series`.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

#[test]
fn the_numbers_are_those_of_the_daemon() {
    let fake = fake();
    let answer = open_metrics(&fake);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.body;
    assert!(text.ends_with("# EOF\n"));
    let expectations: [(&str, f64); 14] = [
        ("fence_kdump_messages_heard_total", 6.0),
        ("fence_kdump_messages_disbelieved_total{cause=\"replayed\"}", 1.0),
        ("fence_kdump_messages_disbelieved_total{cause=\"bad MAC\"}", 0.0),
        ("fence_kdump_datagrams_refused_total{cause=\"empty\"}", 1.0),
        ("fence_kdump_kernel_drops_total", 17.0),
        ("fence_kdump_nodes{state=\"dumping\"}", 3.0),
        ("fence_kdump_nodes{state=\"unheard\"}", 1.0),
        ("fence_kdump_sessions_total", 3.0),
        ("fence_kdump_listening", 1.0),
        ("fence_kdump_sink_up{sink=\"nats\"}", 1.0),
        ("fence_kdump_store_bytes", 40_960.0),
        ("fence_kdump_node_done_bytes{node=\"beta\"}", 3_221_225_472.0),
        ("fence_kdump_node_done_bytes{node=\"a\\\"b\\\\c\\nd\"}", 3_221_225_472.0),
        ("fence_kdump_build_info{version=\"0.1.0\"}", 1.0),
    ];
    for (series, expected) in expectations {
        assert_eq!(value(&text, series).to_bits(), expected.to_bits(), "{series}");
    }
    assert!(value(&text, "fence_kdump_longest_silence_seconds") < 60.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    // Two of three nodes in a dump have series of their own, as configured.
    assert_eq!(text.matches("fence_kdump_node_silence_seconds{").count(), 2);
    let without = get(Fake::start().address, "/metrics").body;
    assert!(!without.contains("{node="));
}

#[test]
fn promtool_finds_nothing_to_improve() {
    if !requires(&[Need::Prometheus]) {
        return;
    }
    let fake = fake();
    let answer = get(fake.address, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A real Prometheus takes them, in the format that it prefers.
#[test]
fn prometheus_takes_them() {
    if !requires(&[Need::Prometheus]) {
        return;
    }
    let fake = fake();
    let folder = tempfile::TempDir::new().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: kdump\n  \
         static_configs:\n  - targets: ['{}']\n",
        fake.address
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let prometheus = Command::new("prometheus")
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Prometheus(prometheus);
    let until = Instant::now() + Duration::from_secs(60);
    let series = |query: &str| -> Option<Value> {
        std::net::TcpStream::connect(address).ok()?;
        let answer = get(address, &format!("/api/v1/query?query={query}"));
        let mut answer: Value = serde_json::from_str(&answer.body).ok()?;
        Some(answer["data"]["result"].take())
    };
    loop {
        assert!(Instant::now() < until, "prometheus: {:?}", series("up"));
        std::thread::sleep(Duration::from_millis(300));
        if series("fence_kdump_nodes")
            .is_some_and(|found| found.as_array().map_or(0, Vec::len) == 7)
        {
            break;
        }
    }
    let done = series("fence_kdump_node_done_bytes").unwrap();
    assert_eq!(done[0]["metric"]["node"], "a\"b\\c\nd");
    let heard = series("fence_kdump_messages_heard_total").unwrap();
    assert_eq!(heard[0]["value"][1], "6");
    assert_eq!(series("up").unwrap()[0]["value"][1], "1");
}

/// Every series that the dashboard asks for is there.
#[test]
fn the_dashboard_shows_what_there_is() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/grafana/fence_kdump.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let fake = fake();
    let text = open_metrics(&fake).body;
    let known: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].to_string()), "an id used twice");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let series: Vec<_> = words
                .filter(|word| word.starts_with("fence_kdump_") || word.starts_with("process_"))
                .collect();
            assert!(!series.is_empty(), "{query}");
            for series in series {
                assert!(known.contains(series), "{series} of '{query}' is not in /metrics");
                shown.insert(series.to_owned());
            }
        }
    }
    let variables = board["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|one| one["type"] == "datasource" && one["query"] == "prometheus")
    );
    // And it shows nearly all there is.
    let missing: Vec<_> = known.iter().filter(|known| !shown.contains(**known)).collect();
    assert!(missing.len() <= 3, "not in the dashboard: {missing:?}");
}
