//! A daemon that hears nothing: nodes do what the test says. It hands over what it knows exactly as the
//! daemon does, from a loop of its own.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fence_kdump_core::{DecodeError, Disbelief, KeyId, Phase, Policy, Proof, tracker};
use fence_kdump_listener::fleet::event::{Event, Kind};
use fence_kdump_listener::web::past::Answer;
use fence_kdump_listener::web::{
    NodeState, NodeView, Past, PastError, Server, SinkView, StoreView, Summary, Survey, Wanted,
    WebConfig, WebError,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What the daemon's loop is told.
enum Order {
    Tell(Arc<Event>),
    /// To hang for so long.
    Hang(Duration),
    End,
}

/// One node, and since when it is as it is.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) view: NodeView,
    pub(crate) begun: Option<Instant>,
    pub(crate) heard: Option<Instant>,
    session: u64,
}

/// What the daemon knows.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) summary: Summary,
    /// Newest last.
    events: Vec<Event>,
    /// The wall clock is so much behind, for dumps of the past.
    pub(crate) behind: Duration,
    sessions: u64,
    pub(crate) past_fails: Option<PastError>,
    pub(crate) past_hangs: bool,
}

impl World {
    /// A daemon that listens, with a history and two sinks.
    fn new() -> Self {
        let sink = |name: &str| SinkView { name: name.into(), is_up: true, ..SinkView::default() };
        let mut datagrams = tracker::Counters::default();
        datagrams.count(&tracker::Outcome::Disbelieved(Disbelief::Replayed));
        datagrams.count(&tracker::Outcome::Refused(DecodeError::Empty));
        let summary = Summary {
            port: 7410,
            is_listening: true,
            clients: 2,
            datagrams,
            kernel_drops: 17,
            sinks: vec![sink("journal"), sink("nats")],
            store: Some(StoreView { is_up: true, bytes: 40_960, ..StoreView::default() }),
            ..Summary::default()
        };
        Self { summary, ..Self::default() }
    }

    pub(crate) fn add(&mut self, name: &str) {
        let view = NodeView::unheard(name.into(), Policy::Signed);
        self.nodes.push(Node { view, begun: None, heard: None, session: 0 });
    }

    /// Makes `kind` happen to the node `name`.
    fn happen(&mut self, name: &str, kind: Kind) -> Arc<Event> {
        let number = self.events.len() + 1;
        self.sessions += u64::from(kind == Kind::Started);
        let session = self.sessions;
        let behind = self.behind;
        let node = self.nodes.iter_mut().find(|node| &*node.view.name == name).unwrap();
        let now = Instant::now().checked_sub(behind).unwrap_or_else(Instant::now);
        let view = &mut node.view;
        let (state, phase) = match kind {
            Kind::Started => (NodeState::Started, Phase::Booted),
            Kind::Dumping | Kind::Phase => (NodeState::Dumping, Phase::Dumping),
            Kind::Finished => (NodeState::Finished, Phase::Finished),
            Kind::Rebooted => (NodeState::Rebooted, Phase::Leaving),
            _ => (NodeState::Lost, Phase::Dumping),
        };
        if kind == Kind::Started {
            view.messages = 0;
            view.done = None;
            node.session = session;
            node.begun = Some(now);
        } else {
            let done = view.done.unwrap_or(0) + (3 << 30);
            (view.done, view.total) = (Some(done), Some(8 << 30));
        }
        node.heard = Some(now);
        view.state = state;
        view.phase = Some(phase);
        view.messages += 1;
        view.interval = Some(Duration::from_secs(10));
        view.proof = Some(Proof::Live);
        view.key_id = Some(KeyId([0xde, 0xad, 0x10, 0x01]));
        view.from = Some("192.0.2.7".parse().unwrap());
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - behind;
        let event = Event {
            id: format!("fake-1-{number}").as_str().into(),
            time_ms: u64::try_from(time.as_millis()).unwrap(),
            node: Arc::clone(&view.name),
            kind,
            session: format!("fake-1-s{}", node.session).as_str().into(),
            from: view.from,
            proof: view.proof,
            phase: view.phase,
            done: view.done,
            total: view.total,
            messages: view.messages,
        };
        self.summary.sessions = self.sessions;
        let node = fence_kdump_core::NodeId(0);
        let heard = tracker::Outcome::Heard { node, event: fence_kdump_core::Event::Heard };
        self.summary.datagrams.count(&heard);
        self.events.push(event.clone());
        Arc::new(event)
    }
}

impl Survey for World {
    fn places(&self) -> usize {
        self.nodes.len()
    }

    fn show(&self, places: Range<usize>, nodes: &mut Vec<NodeView>) {
        nodes.extend(self.nodes[places].iter().map(|node| {
            let mut view = node.view.clone();
            view.since = node.begun.map(|begun| begun.elapsed());
            view.last_heard = node.heard.map(|heard| heard.elapsed());
            view
        }));
    }

    fn summary(&self) -> Summary {
        self.summary.clone()
    }
}

struct Store(Arc<Mutex<World>>);

impl Past for Store {
    fn history(&self, wanted: Wanted) -> Answer<'_> {
        Box::pin(async move {
            let hangs = self.0.lock().unwrap().past_hangs;
            if hangs {
                std::future::pending::<()>().await;
            }
            let world = self.0.lock().unwrap();
            if let Some(error) = &world.past_fails {
                return Err(error.clone());
            }
            let mut events = world.events.iter().rev().peekable();
            if let Some(before) = wanted.before {
                let known = events.by_ref().any(|event| event.id == before.as_str());
                if !known {
                    return Err(PastError::NoEvent(before));
                }
            }
            let is_wanted = |event: &&Event| {
                wanted.node.as_ref().is_none_or(|node| node.eq_ignore_ascii_case(&event.node))
            };
            Ok(events.filter(is_wanted).take(wanted.limit).cloned().collect())
        })
    }
}

/// The daemon, and its web server.
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    orders: UnboundedSender<Order>,
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    daemon: Option<JoinHandle<()>>,
}

impl Fake {
    /// On any free port of the loopback interface.
    pub(crate) fn start() -> Self {
        let config = WebConfig { listen: "127.0.0.1:0".parse().unwrap(), ..WebConfig::default() };
        Self::start_as(config).unwrap()
    }

    pub(crate) fn start_as(config: WebConfig) -> Result<Self, WebError> {
        let world = Arc::new(Mutex::new(World::new()));
        let past = Arc::new(Store(Arc::clone(&world)));
        let (server, mut reporter) = Server::start(config, past)?;
        let (orders, mut ordered) = unbounded_channel();
        let known = Arc::clone(&world);
        let daemon = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        order = ordered.recv() => match order {
                            Some(Order::Tell(event)) => reporter.tell(&event),
                            Some(Order::Hang(time)) => std::thread::sleep(time),
                            Some(Order::End) | None => return,
                        },
                        () = reporter.wanted() => reporter.turn(&*known.lock().unwrap()),
                    }
                }
            });
        });
        let address = server.address();
        Ok(Self { world, orders, address, server, daemon: Some(daemon) })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn add(&self, names: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut world = self.world();
        names.into_iter().for_each(|name| world.add(name.as_ref()));
    }

    /// Makes `kind` happen to the node `name`.
    pub(crate) fn happen(&self, name: &str, kind: Kind) -> Arc<Event> {
        let event = self.world().happen(name, kind);
        assert!(self.orders.send(Order::Tell(Arc::clone(&event))).is_ok());
        event
    }

    /// Makes the daemon's loop hang.
    pub(crate) fn hang(&self, time: Duration) {
        assert!(self.orders.send(Order::Hang(time)).is_ok());
    }

    /// Ends the daemon's loop, as if its thread had died.
    pub(crate) fn die(&mut self) {
        drop(self.orders.send(Order::End));
        if let Some(daemon) = self.daemon.take() {
            daemon.join().unwrap();
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.die();
    }
}
