//! The numbers of the daemon for Prometheus.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::App;
use super::api::Problem;
use super::process::Process;
use super::view::{self, NodeState, NodeView, SinkView, Snapshot};

/// OpenMetrics, and what older readers know.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of the daemon: OpenMetrics if the client accepts it, else Prometheus' own text format.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "numbers", responses(
    (status = 200, description = "All numbers.", content(
        (String = "application/openmetrics-text"),
        (String = "text/plain"),
    )),
    (status = 503, description = "The daemon does not answer.", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn serve(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let snapshot = match app.hub.fresh().await {
        Ok(snapshot) => snapshot,
        Err(mute) => return Problem::from(mute).into_response(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        snapshot,
        web: WebNumbers::of(&app),
        process: Process::now(),
    }));
    let mut all = String::new();
    if text::encode(&mut all, &registry).is_err() {
        let what = "the numbers cannot be written";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what).into_response();
    }
    let mut accepted =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if accepted.any(|kinds| kinds.contains("application/openmetrics-text")) {
        ([(header::CONTENT_TYPE, OPEN_METRICS)], all).into_response()
    } else {
        ([(header::CONTENT_TYPE, PLAIN)], plain(&all)).into_response()
    }
}

/// OpenMetrics as Prometheus' older text format: there, a counter and an info have their suffix in the
/// description, too, and there is neither a unit nor an end.
fn plain(open_metrics: &str) -> String {
    let mut plain = String::with_capacity(open_metrics.len());
    // The help comes before the type, which says what the name has to be.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some((_, text)) = help.take() {
                plain += &format!("# HELP {name}{suffix} {text}\n");
            }
            plain += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            plain += line;
            plain.push('\n');
        }
    }
    plain
}

/// What the web server counts itself.
#[derive(Debug)]
struct WebNumbers {
    open: usize,
    came: u64,
    turned_away: u64,
    requests: u64,
    followers: usize,
    reloads: u64,
    missed: u64,
    node_metrics: usize,
}

impl WebNumbers {
    fn of(app: &App) -> Self {
        let (came, turned_away) = app.places.counts();
        Self {
            open: app.places.open(),
            came,
            turned_away,
            requests: app.requests.so_far(),
            followers: app.followers.count(),
            reloads: app.followers.reloads(),
            missed: app.hub.missed(),
            node_metrics: app.config.node_metrics.into(),
        }
    }
}

/// All numbers at one moment.
#[derive(Debug)]
struct Scrape {
    snapshot: Arc<Snapshot>,
    web: WebNumbers,
    process: Process,
}

/// Writes families one after the other.
struct Pen<'a>(DescriptorEncoder<'a>);

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Pen<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counters<'l>(
        &mut self,
        (name, help): (&str, &str),
        rows: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    fn gauges<'l>(
        &mut self,
        (name, help): (&str, &str),
        rows: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let mut metric: MetricEncoder<'_> =
            self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        rows.into_iter()
            .try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pen = &mut Pen(encoder);
        self.datagrams(pen)?;
        self.nodes(pen)?;
        self.sinks(pen)?;
        self.store(pen)?;
        self.web(pen)?;
        self.process(pen)
    }
}

impl Scrape {
    fn datagrams(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let summary = &self.snapshot.summary;
        let datagrams = &summary.datagrams;
        let by_cause = |(cause, count)| (vec![("cause", cause)], count);
        pen.counter(
            "fence_kdump_messages_heard",
            "Messages that were believed.",
            datagrams.heard(),
        )?;
        let what =
            ("fence_kdump_messages_disbelieved", "Messages that were not believed, by cause.");
        pen.counters(what, view::disbelieved(datagrams).into_iter().map(by_cause))?;
        let what = ("fence_kdump_datagrams_refused", "Datagrams that were no message, by cause.");
        pen.counters(what, view::refused(datagrams).into_iter().map(by_cause))?;
        let help = "Datagrams that the kernel threw away: no message could be in them, or the queue of \
                    the socket was full.";
        pen.counter("fence_kdump_kernel_drops", help, summary.kernel_drops)?;
        let help = "Whether the daemon has the UDP port.";
        pen.gauge("fence_kdump_listening", help, is(summary.is_listening))?;
        let help = "Agents and other clients of this host that are served.";
        pen.gauge("fence_kdump_clients", help, real(summary.clients))?;
        pen.counter("fence_kdump_sessions", "Dumps that were heard of.", summary.sessions)
    }

    fn nodes(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let states = self.snapshot.states();
        let rows = NodeState::ALL.into_iter().zip(states);
        let rows = rows.map(|(state, count)| (vec![("state", state.name())], large(count)));
        pen.gauges(("fence_kdump_nodes", "Nodes by state."), rows)?;
        let nodes = &self.snapshot.nodes;
        let mut active: Vec<&NodeView> =
            nodes.iter().filter(|node| node.state.is_active()).collect();
        let silences = active.iter().filter_map(|node| node.last_heard);
        let longest = silences.max().unwrap_or_default().as_secs_f64();
        let help = "How long the node in a dump that is silent for longest has been silent.";
        pen.gauge("fence_kdump_longest_silence_seconds", help, longest)?;
        let sinces = active.iter().filter_map(|node| node.since);
        let longest = sinces.max().unwrap_or_default().as_secs_f64();
        let help = "How long the dump that lasts longest has lasted.";
        pen.gauge("fence_kdump_longest_dump_seconds", help, longest)?;
        active.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        active.truncate(self.web.node_metrics);
        let each = |value: fn(&NodeView) -> Option<f64>| {
            let rows = active.iter().copied();
            rows.filter_map(move |node| Some((vec![("node", &*node.name)], value(node)?)))
        };
        let help = "How long a node in a dump has been silent; only with web.node_metrics.";
        let rows = each(|node| node.last_heard.map(|time| time.as_secs_f64()));
        pen.gauges(("fence_kdump_node_silence_seconds", help), rows)?;
        let help = "How much of its dump a node has done; only with web.node_metrics.";
        pen.gauges(("fence_kdump_node_done_bytes", help), each(|node| node.done.map(large)))
    }

    fn sinks(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let sinks = &self.snapshot.summary.sinks;
        fn each<T>(
            sinks: &[SinkView],
            value: fn(&SinkView) -> T,
        ) -> impl Iterator<Item = (Labels<'_>, T)> {
            sinks.iter().map(move |sink| (vec![("sink", &*sink.name)], value(sink)))
        }
        let what =
            ("fence_kdump_sink_up", "Whether the last attempt to give it an event went well.");
        pen.gauges(what, each(sinks, |sink| is(sink.is_up)))?;
        let what = ("fence_kdump_sink_delivered", "Events that it took.");
        pen.counters(what, each(sinks, |sink| sink.delivered))?;
        let what = ("fence_kdump_sink_failures", "Attempts that failed.");
        pen.counters(what, each(sinks, |sink| sink.failed))?;
        let what = ("fence_kdump_sink_dropped", "Events that it will never get.");
        pen.counters(what, each(sinks, |sink| sink.dropped))?;
        let what = ("fence_kdump_sink_waiting", "Events that wait for it.");
        pen.gauges(what, each(sinks, |sink| large(sink.waiting)))
    }

    fn store(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let Some(store) = &self.snapshot.summary.store else {
            return Ok(());
        };
        let help = "Whether the last write to the store of the history went well.";
        pen.gauge("fence_kdump_store_up", help, is(store.is_up))?;
        pen.gauge("fence_kdump_store_bytes", "The size of the store.", large(store.bytes))?;
        pen.gauge("fence_kdump_store_events", "Events in the store.", large(store.events))?;
        pen.counter(
            "fence_kdump_store_failures",
            "Writes to the store that failed.",
            store.failed,
        )?;
        let help = "Events that were not stored, for want of room in the queue.";
        pen.counter("fence_kdump_store_dropped", help, store.dropped)
    }

    fn web(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let web = &self.web;
        let help = "Connections to the web server.";
        pen.gauge("fence_kdump_web_open_connections", help, real(web.open))?;
        let help = "Connections to the web server that came.";
        pen.counter("fence_kdump_web_connections", help, web.came)?;
        let help = "Connections that found no place, or lost theirs to another.";
        pen.counter("fence_kdump_web_turned_away", help, web.turned_away)?;
        pen.counter("fence_kdump_web_requests", "Requests to the web server.", web.requests)?;
        pen.gauge("fence_kdump_web_followers", "Clients that follow events.", real(web.followers))?;
        let help =
            "How often a client was too slow for the events and had to look at the fleet again.";
        pen.counter("fence_kdump_web_reloads", help, web.reloads)?;
        let help = "Events that did not fit into the queue to the web server.";
        pen.counter("fence_kdump_web_missed_events", help, web.missed)
    }

    fn process(&self, pen: &mut Pen<'_>) -> fmt::Result {
        let labels = vec![("version", env!("CARGO_PKG_VERSION"))];
        let kind = MetricType::Info;
        pen.0
            .encode_descriptor("fence_kdump_build", "Which program this is.", None, kind)?
            .encode_info(&labels)?;
        let process = &self.process;
        if let Some(bytes) = process.resident {
            pen.gauge("process_resident_memory_bytes", "Memory in use.", large(bytes))?;
        }
        if let Some(open) = process.open_files {
            pen.gauge("process_open_fds", "Open file descriptors.", real(open))?;
        }
        if let Some(cpu) = process.cpu {
            let (name, help) = ("process_cpu_seconds", "Processor time used.");
            let mut metric = pen.0.encode_descriptor(name, help, None, MetricType::Counter)?;
            metric.encode_counter::<NoLabelSet, _, f64>(&cpu.as_secs_f64(), None)?;
        }
        Ok(())
    }
}

fn is(so: bool) -> f64 {
    if so { 1.0 } else { 0.0 }
}

fn large(number: u64) -> f64 {
    number as f64
}

fn real(number: usize) -> f64 {
    large(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_readers_know() {
        let open = "# HELP a_b What it is.\n# TYPE a_b counter\na_b_total{c=\"# TYPE\"} 1\n# HELP v V.\n\
                    # TYPE v info\nv_info{v=\"1\"} 1\n# HELP g G.\n# TYPE g gauge\n# UNIT g s\ng 1.5\n\
                    # EOF\n";
        let plain_text = "# HELP a_b_total What it is.\n# TYPE a_b_total counter\n\
                          a_b_total{c=\"# TYPE\"} 1\n# HELP v_info V.\n# TYPE v_info gauge\n\
                          v_info{v=\"1\"} 1\n# HELP g G.\n# TYPE g gauge\ng 1.5\n";
        assert_eq!(plain(open), plain_text);
    }
}
