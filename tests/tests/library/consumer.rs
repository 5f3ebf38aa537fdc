//! A consumer over real daemons that crash, hang, vanish and cut it off: every message is handled at
//! least once, and never more of them at a time than allowed.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::connection::ConnectOptions;
use client::consumer::{
    Backoff, Consumer, ConsumerBuilder, ConsumerReport, Control, Delivery, Event, Requeue, Settle,
};
use client::reconnect::Reconnect;
use rustix::process::Signal;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::wait;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MAX_IN_FLIGHT: u32 = 10;

/// Handles messages and notes what it saw.
#[derive(Default)]
struct Checker {
    handled: Mutex<HashSet<String>>,
    held: AtomicUsize,
    most_held: AtomicUsize,
    deliveries: AtomicU64,
    /// Whether messages fail for now.
    failing: AtomicBool,
}

impl Checker {
    async fn handle(self: Arc<Checker>, message: Delivery) -> Settle {
        let held = self.held.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_held.fetch_max(held, Ordering::SeqCst);
        self.deliveries.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
        let failing = self.failing.load(Ordering::SeqCst);
        if !failing {
            let body = String::from_utf8(message.body().to_vec()).unwrap();
            self.handled.lock().unwrap().insert(body);
        }
        self.held.fetch_sub(1, Ordering::SeqCst);
        if failing {
            Settle::Requeue(Requeue::NOW)
        } else {
            Settle::Finish
        }
    }

    fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::SeqCst)
    }

    #[track_caller]
    fn await_handled(&self, published: &HashSet<String>) {
        let missing = || published.difference(&self.handled.lock().unwrap()).count();
        let all = wait::within(3 * wait::PATIENCE, || (missing() == 0).then_some(()));
        assert!(all.is_some(), "{} messages were never handled", missing());
    }
}

/// A consumer at work, what it saw, and what was published for it.
struct Scene {
    checker: Arc<Checker>,
    control: Control,
    running: JoinHandle<ConsumerReport>,
    published: HashSet<String>,
}

impl Scene {
    async fn start(builder: ConsumerBuilder) -> Scene {
        let consumer = builder.start().await.unwrap();
        let checker = Arc::new(Checker::default());
        let control = consumer.control();
        let handling = checker.clone();
        let handler = move |message: Delivery| handling.clone().handle(message);
        let running = tokio::spawn(async move { consumer.run(100, handler).await.unwrap() });
        Scene {
            checker,
            control,
            running,
            published: HashSet::new(),
        }
    }

    /// Publishes messages that are told apart from all others, and are acknowledged.
    fn publish(&mut self, nsqd: &Nsqd, count: usize) {
        for _ in 0..count {
            let body = format!("{}", self.published.len());
            nsqd.publish("orders", &body);
            self.published.insert(body);
        }
    }

    fn await_deliveries(&self, count: u64) {
        let enough = || self.checker.deliveries() >= count;
        wait::until("messages are delivered", enough);
    }

    /// All was handled, and never too much at a time.
    async fn finish(self) {
        self.checker.await_handled(&self.published);
        let report = self.control.drain(Duration::from_secs(10)).await;
        assert_eq!(report.abandoned, 0);
        self.running.await.unwrap();
        let most = self.checker.most_held.load(Ordering::SeqCst);
        let max = usize::try_from(MAX_IN_FLIGHT).unwrap();
        assert!((1..=max).contains(&most), "{most} at a time");
    }
}

fn builder() -> ConsumerBuilder {
    let mut options = ConnectOptions::default();
    options.identify.heartbeat_interval = Some(1000);
    options.timeout = Duration::from_secs(2);
    Consumer::builder("orders".parse().unwrap(), "billing".parse().unwrap())
        .options(options)
        .msg_timeout(Duration::from_secs(2))
        .max_in_flight(MAX_IN_FLIGHT)
        .reconnect(Reconnect {
            first: Duration::from_millis(20),
            max: Duration::from_millis(200),
        })
}

fn nsqds(count: usize, flags: &[&str]) -> Vec<Nsqd> {
    let nsqds: Vec<Nsqd> = (0..count).map(|_| Nsqd::start(flags)).collect();
    for nsqd in &nsqds {
        nsqd.act("/topic/create?topic=orders");
        nsqd.act("/channel/create?topic=orders&channel=billing");
    }
    nsqds
}

#[tokio::test(flavor = "multi_thread")]
async fn nsqds_that_crash_under_load_lose_no_acknowledged_message() {
    let mut nsqds = nsqds(2, &["--mem-queue-size=0"]);
    let mut builder = builder();
    for nsqd in &nsqds {
        builder = builder.nsqd(nsqd.tcp().to_string());
    }
    let mut scene = Scene::start(builder).await;
    for round in 1..=3 {
        for index in 0..2 {
            scene.publish(&nsqds[index], 100);
            scene.publish(&nsqds[1 - index], 100);
            nsqds[index].kill();
            nsqds[index].restart_in_place();
        }
        scene.await_deliveries(round * 200);
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nsqd_that_hangs_is_left_and_found_again() {
    let nsqds = nsqds(2, &[]);
    let builder = builder().nsqd(nsqds[0].tcp().to_string());
    let mut scene = Scene::start(builder.nsqd(nsqds[1].tcp().to_string())).await;
    let mut events = scene.control.events();
    scene.publish(&nsqds[0], 100);
    nsqds[0].signal(Signal::STOP);
    scene.publish(&nsqds[1], 200);
    while !matches!(events.next().await.unwrap(), Event::Disconnected { .. }) {}
    nsqds[0].signal(Signal::CONT);
    scene.publish(&nsqds[0], 100);
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nsqlookupd_what_is_known_goes_on() {
    let mut lookupds = [Lookupd::start(), Lookupd::start()];
    let flags = [lookupds[0].flag(), lookupds[1].flag()];
    let flags = [
        flags[0].as_str(),
        &flags[1],
        "--broadcast-address=127.0.0.1",
    ];
    let mut nsqds = nsqds(2, &flags);
    let builder = builder().lookupd(lookupds[0].http().to_string());
    let builder = builder.lookupd(lookupds[1].http().to_string());
    let builder = builder.lookupd_interval(Duration::from_millis(100));
    let mut scene = Scene::start(builder).await;
    scene.publish(&nsqds[0], 50);
    scene.publish(&nsqds[1], 50);
    scene.await_deliveries(100);
    lookupds.iter_mut().for_each(Lookupd::kill);
    scene.publish(&nsqds[0], 50);
    nsqds[1].restart_in_place();
    scene.publish(&nsqds[1], 50);
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_noticed() {
    let nsqds = nsqds(1, &[]);
    let proxy = Proxy::start(nsqds[0].tcp()).await;
    let mut scene = Scene::start(builder().nsqd(&proxy.address)).await;
    scene.publish(&nsqds[0], 100);
    scene.await_deliveries(50);
    proxy.freeze();
    scene.publish(&nsqds[0], 100);
    scene.finish().await;
    assert!(proxy.connections.load(Ordering::SeqCst) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn backoff_stops_deliveries_and_comes_back() {
    let nsqds = nsqds(2, &[]);
    let backoff = Backoff::exponential()
        .unit(Duration::from_millis(500))
        .jitter(false);
    let mut builder = builder().backoff(backoff);
    for nsqd in &nsqds {
        builder = builder.nsqd(nsqd.tcp().to_string());
    }
    let mut scene = Scene::start(builder).await;
    let mut events = scene.control.events();
    scene.checker.failing.store(true, Ordering::SeqCst);
    scene.publish(&nsqds[0], 100);
    scene.publish(&nsqds[1], 100);
    while !matches!(
        events.next().await.unwrap(),
        Event::BackingOff { level: 1, .. }
    ) {}
    // What was in flight when the first one failed, and no more.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let delivered = scene.checker.deliveries();
    assert!(
        delivered <= 2 * u64::from(MAX_IN_FLIGHT),
        "{delivered} in spite of backoff"
    );
    while !matches!(
        events.next().await.unwrap(),
        Event::BackingOff { level: 2, .. }
    ) {}
    assert!(
        scene.checker.deliveries() <= delivered + 1,
        "more than a probe"
    );
    scene.checker.failing.store(false, Ordering::SeqCst);
    while !matches!(events.next().await.unwrap(), Event::BackoffEnded) {}
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_load_leaves_nothing_in_flight() {
    let nsqds = nsqds(1, &[]);
    let mut scene = Scene::start(builder().nsqd(nsqds[0].tcp().to_string())).await;
    scene.publish(&nsqds[0], 300);
    scene.await_deliveries(20);
    let report = scene.control.drain(Duration::from_secs(10)).await;
    assert_eq!(scene.running.await.unwrap(), report);
    assert_eq!(report.abandoned, 0);
    nsqds[0].await_channel("orders", "billing", "in_flight_count", 0);
    let handled = scene.checker.handled.lock().unwrap().len();
    let left = u64::try_from(300 - handled).unwrap();
    nsqds[0].await_channel("orders", "billing", "depth", left);
}

/// A client's connection, and the one made for it.
type Pair = Arc<(TcpStream, TcpStream)>;

/// Forwards connections, until what it has is frozen: open, and silent for ever.
struct Proxy {
    address: String,
    connections: Arc<AtomicUsize>,
    forwarding: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Frozen connections, which are not closed.
    kept: Arc<Mutex<Vec<Pair>>>,
}

impl Proxy {
    async fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap().to_string(),
            connections: Arc::default(),
            forwarding: Arc::default(),
            kept: Arc::default(),
        };
        let (connections, forwarding) = (proxy.connections.clone(), proxy.forwarding.clone());
        let kept = proxy.kept.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(target).await.unwrap();
                let pair = Arc::new((near, far));
                kept.lock().unwrap().push(pair.clone());
                connections.fetch_add(1, Ordering::SeqCst);
                let there = tokio::spawn({
                    let pair = pair.clone();
                    async move { forward(&pair.0, &pair.1).await }
                });
                let back = tokio::spawn(async move { forward(&pair.1, &pair.0).await });
                forwarding.lock().unwrap().extend([there, back]);
            }
        });
        proxy
    }

    /// Forwards nothing more over the connections there are; new ones work.
    fn freeze(&self) {
        let mut forwarding = self.forwarding.lock().unwrap();
        forwarding.drain(..).for_each(|task| task.abort());
    }
}

async fn forward(from: &TcpStream, to: &TcpStream) {
    let mut bytes = [0; 4096];
    loop {
        from.readable().await.unwrap();
        let Ok(count) = from.try_read(&mut bytes) else {
            continue;
        };
        if count == 0 {
            return;
        }
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            to.writable().await.unwrap();
            if let Ok(written) = to.try_write(rest) {
                rest = &rest[written..];
            }
        }
    }
}
