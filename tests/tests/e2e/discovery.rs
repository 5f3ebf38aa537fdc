//! nsqd and nsqlookupd find each other: registering, coming back, and the channels of new topics.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::daemon::Nsqd;
use tests::http;
use tests::lookupd::Lookupd;
use tests::wait;

fn port(nsqd: &Nsqd) -> u64 {
    nsqd.tcp().port().into()
}

/// An nsqd that registers with all of these.
#[track_caller]
fn nsqd(lookupds: &[&Lookupd]) -> Nsqd {
    let flags: Vec<_> = lookupds.iter().map(|lookupd| lookupd.flag()).collect();
    let mut flags: Vec<_> = flags.iter().map(String::as_str).collect();
    flags.push("--broadcast-address=127.0.0.1");
    Nsqd::start(&flags)
}

#[track_caller]
fn await_producers(lookupd: &Lookupd, topic: &str, mut expected: Vec<u64>) {
    expected.sort_unstable();
    wait::until(&format!("{topic} is at {expected:?}"), || {
        lookupd.producers(topic) == expected
    });
}

#[track_caller]
fn await_channels(lookupd: &Lookupd, topic: &str, expected: &[&str]) {
    wait::until(&format!("{topic} has {expected:?}"), || {
        lookupd.channels(topic) == expected
    });
}

#[test]
fn an_nsqd_that_hangs_vanishes_after_a_while_and_comes_back() {
    // nsqd pings every 15 s: one that is well is never silent for as long.
    let lookupd = Lookupd::start_with(&["--inactive-producer-timeout=18s"]);
    let (well, hung) = (nsqd(&[&lookupd]), nsqd(&[&lookupd]));
    well.act("/topic/create?topic=orders");
    hung.act("/topic/create?topic=orders");
    await_producers(&lookupd, "orders", vec![port(&well), port(&hung)]);
    hung.signal(Signal::STOP);
    let gone = wait::within(Duration::from_secs(40), || {
        (lookupd.producers("orders") == [port(&well)]).then_some(())
    });
    hung.signal(Signal::CONT);
    assert!(gone.is_some(), "it is still listed");
    await_producers(&lookupd, "orders", vec![port(&well), port(&hung)]);
}

#[test]
fn a_tombstone_hides_a_topic_on_one_nsqd_only() {
    let lookupds = [Lookupd::start(), Lookupd::start()];
    let both = [&lookupds[0], &lookupds[1]];
    let (one, two) = (nsqd(&both), nsqd(&both));
    for nsqd in [&one, &two] {
        nsqd.act("/topic/create?topic=orders");
        nsqd.act("/topic/create?topic=other");
    }
    for lookupd in both {
        await_producers(lookupd, "orders", vec![port(&one), port(&two)]);
        await_producers(lookupd, "other", vec![port(&one), port(&two)]);
        let node = format!("127.0.0.1:{}", one.http().port());
        lookupd.act(&format!("/topic/tombstone?topic=orders&node={node}"));
        assert_eq!(lookupd.producers("orders"), [port(&two)]);
        let mut all = [port(&one), port(&two)];
        all.sort_unstable();
        assert_eq!(lookupd.producers("other"), all);
    }
}

#[test]
fn garbage_at_the_tcp_port_of_nsqlookupd_disturbs_nobody() {
    let lookupd = Lookupd::start();
    let nsqd = nsqd(&[&lookupd]);
    let endless = vec![b'x'; 1 << 20];
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"  V1IDENTIFY\n\xff\xff\xff\xff",
        b"  V1IDENTIFY\n\x7f\xff\xff\xff{",
        b"  V1REGISTER orders\n",
        b"  V1\0\0\0\n",
        &endless,
    ] {
        let mut peer = TcpStream::connect(lookupd.tcp()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        // It may be closed before all was taken.
        let _ = peer.write_all(garbage);
        let mut answer = Vec::new();
        if let Err(error) = peer.read_to_end(&mut answer) {
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset,
                "{garbage:.20?}"
            );
        }
    }
    nsqd.act("/topic/create?topic=orders");
    await_producers(&lookupd, "orders", vec![port(&nsqd)]);
}

#[test]
fn every_nsqlookupd_knows_every_nsqd() {
    let lookupds = [Lookupd::start(), Lookupd::start()];
    let both = [&lookupds[0], &lookupds[1]];
    let (one, two) = (nsqd(&both), nsqd(&both));
    one.act("/topic/create?topic=orders");
    one.act("/channel/create?topic=orders&channel=billing");
    two.publish("orders", "m");
    for lookupd in both {
        await_producers(lookupd, "orders", vec![port(&one), port(&two)]);
        await_channels(lookupd, "orders", &["billing"]);
        let nodes = lookupd.get("/nodes").json();
        let node = nodes["producers"].as_array().unwrap().iter();
        let mut node = node.filter(|node| node["tcp_port"] == port(&one));
        let node = node.next().unwrap();
        assert_eq!(node["broadcast_address"], "127.0.0.1");
        assert_eq!(node["http_port"], one.http().port());
        assert_eq!(node["version"], "1.3.0");
    }
}

#[test]
fn a_new_topic_is_visible_at_once() {
    let lookupd = Lookupd::start();
    let nsqd = nsqd(&[&lookupd]);
    nsqd.publish("first", "m");
    await_producers(&lookupd, "first", vec![port(&nsqd)]);
    let mut delays: Vec<_> = (0..20)
        .map(|n| {
            let topic = format!("t{n}");
            nsqd.publish(&topic, "m");
            let created = Instant::now();
            await_producers(&lookupd, &topic, vec![port(&nsqd)]);
            created.elapsed()
        })
        .collect();
    delays.sort_unstable();
    println!(
        "visible after {:?} (median), {:?} (longest)",
        delays[10], delays[19]
    );
    // Some 10 ms on an idle machine; the tests beside this one make it a busy one.
    assert!(delays[10] < Duration::from_secs(1), "{delays:?}");
}

#[test]
fn what_is_deleted_is_unregistered() {
    let lookupd = Lookupd::start();
    let nsqd = nsqd(&[&lookupd]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let consumer = nsqd.consumer("t#ephemeral", "c#ephemeral");
    await_producers(&lookupd, "t", vec![port(&nsqd)]);
    await_channels(&lookupd, "t#ephemeral", &["c#ephemeral"]);
    nsqd.act("/topic/delete?topic=t");
    drop(consumer);
    await_producers(&lookupd, "t", vec![]);
    wait::until("the ephemeral topic is forgotten", || {
        lookupd.get("/lookup?topic=t%23ephemeral").status == 404
    });
}

#[test]
fn a_topic_that_is_created_anew_has_no_tombstone() {
    let lookupd = Lookupd::start();
    let nsqd = nsqd(&[&lookupd]);
    nsqd.act("/topic/create?topic=t");
    await_producers(&lookupd, "t", vec![port(&nsqd)]);
    let node = format!("127.0.0.1:{}", nsqd.http().port());
    lookupd.act(&format!("/topic/tombstone?topic=t&node={node}"));
    assert_eq!(lookupd.producers("t"), [] as [u64; 0]);
    nsqd.act("/topic/delete?topic=t");
    nsqd.act("/topic/create?topic=t");
    await_producers(&lookupd, "t", vec![port(&nsqd)]);
}

#[test]
fn an_nsqlookupd_that_comes_back_knows_everything_again() {
    let mut lookupd = Lookupd::start();
    let nsqd = nsqd(&[&lookupd]);
    for n in 0..300 {
        nsqd.act(&format!("/topic/create?topic=t{n}"));
    }
    nsqd.act("/channel/create?topic=t0&channel=c");
    let topics = |lookupd: &Lookupd| {
        let answer = lookupd.get("/topics").json();
        answer["topics"].as_array().unwrap().len()
    };
    wait::until("all are known", || topics(&lookupd) == 300);
    for _ in 0..3 {
        lookupd.restart();
        wait::until("all are known again", || topics(&lookupd) == 300);
        await_channels(&lookupd, "t0", &["c"]);
    }
    assert_eq!(nsqd.log().matches("nsqlookupd lost").count(), 3);
    wait::until("it is told that it is back", || {
        nsqd.log().matches("nsqlookupd informed").count() == 4
    });
}

#[test]
fn an_nsqd_that_comes_back_registers_what_it_had() {
    let lookupd = Lookupd::start();
    let mut nsqd = nsqd(&[&lookupd]);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    await_producers(&lookupd, "t", vec![port(&nsqd)]);
    nsqd.kill();
    await_producers(&lookupd, "t", vec![]);
    nsqd.restart();
    await_producers(&lookupd, "t", vec![port(&nsqd)]);
    assert!(nsqd.terminate().success());
    await_producers(&lookupd, "t", vec![]);
}

#[test]
fn peers_are_added_and_removed_while_it_runs() {
    let (one, two) = (Lookupd::start(), Lookupd::start());
    let nsqd = nsqd(&[&one]);
    nsqd.act("/topic/create?topic=t");
    await_producers(&one, "t", vec![port(&nsqd)]);
    let put = |value: &str| {
        let path = "/config/nsqlookupd_tcp_addresses";
        let answer = http::request(nsqd.http(), "PUT", path, value.as_bytes());
        assert_eq!((answer.status, answer.body.as_str()), (200, value));
        assert_eq!(nsqd.get(path).body, value);
    };
    put(&format!("[\"{}\",\"{}\"]", one.tcp(), two.tcp()));
    await_producers(&two, "t", vec![port(&nsqd)]);
    assert_eq!(one.producers("t"), [port(&nsqd)]);
    put(&format!("[\"{}\"]", two.tcp()));
    await_producers(&one, "t", vec![]);
    assert_eq!(two.producers("t"), [port(&nsqd)]);
    put("null");
    await_producers(&two, "t", vec![]);
}

#[test]
fn channels_that_exist_elsewhere_miss_nothing() {
    let lookupds = [Lookupd::start(), Lookupd::start()];
    let first = nsqd(&[&lookupds[0]]);
    let second = nsqd(&[&lookupds[1]]);
    first.act("/topic/create?topic=t");
    first.act("/channel/create?topic=t&channel=a");
    second.act("/topic/create?topic=t");
    second.act("/channel/create?topic=t&channel=b");
    let _consumer = second.consumer("t", "mine#ephemeral");
    await_channels(&lookupds[0], "t", &["a"]);
    await_channels(&lookupds[1], "t", &["b", "mine#ephemeral"]);

    let new = nsqd(&[&lookupds[0], &lookupds[1]]);
    new.publish("t", "m");
    new.await_channel("t", "a", "depth", 1);
    new.await_channel("t", "b", "depth", 1);
    assert!(new.channel("t", "mine#ephemeral").is_null());
    let mut consumer = new.consumer("t", "b");
    consumer.ready(1);
    assert_eq!(consumer.message().body, b"m");
}

/// Somebody who takes connections and deals with each in a thread of its own; counts them.
fn server(deal: impl Fn(TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, deal) = (Arc::clone(&count), Arc::new(deal));
    thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::Relaxed);
            let deal = Arc::clone(&deal);
            thread::spawn(move || deal(stream.unwrap()));
        }
    });
    (address, count)
}

/// Reads until the other side closes, and says nothing.
fn silent(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// An nsqlookupd which accepts everything, and tells that its HTTP API is at this port.
fn obedient(mut stream: TcpStream, http_port: u16) {
    let info = format!(r#"{{"broadcast_address":"127.0.0.1","http_port":{http_port}}}"#);
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut reply = |data: &str| {
        let size = u32::try_from(data.len()).unwrap().to_be_bytes();
        stream.write_all(&[&size, data.as_bytes()].concat()).is_ok()
    };
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).unwrap();
    assert_eq!(line, b"  V1IDENTIFY\n");
    let mut size = [0; 4];
    lines.read_exact(&mut size).unwrap();
    let mut body = vec![0; u32::from_be_bytes(size) as usize];
    lines.read_exact(&mut body).unwrap();
    reply(&info);
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
        && reply("OK")
    {}
}

#[test]
fn bad_peers_disturb_nobody() {
    let good = Lookupd::start();
    let (silent, _) = server(silent);
    let (garbage, garbage_count) = server(|mut stream| {
        let _ = stream.write_all(&[0xff; 1000]);
    });
    let (endless, _) = server(|mut stream| while stream.write_all(b"\0\0\0\x02OK").is_ok() {});
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let addresses = [silent, garbage, endless, nobody, good.http(), good.tcp()];
    let flags = addresses.map(|address| format!("--lookupd-tcp-address={address}"));
    let flags = flags.each_ref().map(String::as_str);
    let nsqd = Nsqd::start(&flags);
    nsqd.publish("t", "m");
    await_producers(&good, "t", vec![port(&nsqd)]);
    // Tried again and again, and told once.
    wait::until("it is tried again", || {
        garbage_count.load(Ordering::Relaxed) > 3
    });
    let log = nsqd.log();
    let lost = log.lines().filter(|line| line.contains("nsqlookupd lost"));
    let lost_garbage = lost.filter(|line| line.contains(&garbage.to_string()));
    assert_eq!(lost_garbage.count(), 1, "{log}");
    assert!(
        log.contains("is this the TCP port of an nsqlookupd?"),
        "{log}"
    );
    let stopping = Instant::now();
    let mut nsqd = nsqd;
    assert!(nsqd.terminate().success());
    assert!(stopping.elapsed() < Duration::from_secs(5));
}

/// An nsqd with an nsqlookupd that never says which channels there are; a new topic waits so long for it.
fn nsqd_that_waits(timeout: &str) -> Nsqd {
    let (http, _) = server(silent);
    let (lookupd, _) = server(move |stream| obedient(stream, http.port()));
    let lookupd = format!("--lookupd-tcp-address={lookupd}");
    let timeout = format!("--http-client-request-timeout={timeout}");
    let nsqd = Nsqd::start(&[&lookupd, &timeout]);
    wait::until("the peer is informed", || {
        nsqd.log().contains("nsqlookupd informed")
    });
    nsqd
}

#[test]
fn a_new_topic_waits_for_channels_and_its_publishers_do_not() {
    let nsqd = nsqd_that_waits("3s");
    let start = Instant::now();
    nsqd.publish("t", "one");
    nsqd.act("/channel/create?topic=t&channel=a");
    nsqd.publish("t", "two");
    nsqd.peer().publish_deferred("t", 1, "three");
    let mut consumer = nsqd.consumer("t", "b");
    consumer.ready(10);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(nsqd.topic("t")["paused"], false);
    let mut bodies: Vec<_> = (0..3).map(|_| consumer.message().body).collect();
    assert!(
        start.elapsed() >= Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    bodies.sort();
    assert_eq!(bodies, [&b"one"[..], b"three", b"two"]);
    nsqd.await_channel("t", "a", "depth", 3);
    // From now on it is a topic like any other.
    nsqd.publish("t", "four");
    assert_eq!(consumer.message().body, b"four");
}

#[test]
fn pausing_a_topic_that_waits_outlasts_the_wait() {
    let nsqd = nsqd_that_waits("500ms");
    nsqd.publish("t", "m");
    nsqd.act("/channel/create?topic=t&channel=c");
    nsqd.act("/topic/pause?topic=t");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(nsqd.topic("t")["depth"], 1);
    assert_eq!(nsqd.channel("t", "c")["depth"], 0);
    nsqd.act("/topic/unpause?topic=t");
    nsqd.await_channel("t", "c", "depth", 1);
}

#[test]
fn a_stop_while_a_topic_waits_loses_nothing() {
    let mut nsqd = nsqd_that_waits("1m");
    nsqd.publish("t", "m");
    nsqd.act("/channel/create?topic=t&channel=a");
    nsqd.act("/channel/create?topic=t&channel=b");
    let stopping = Instant::now();
    nsqd.restart();
    assert!(stopping.elapsed() < Duration::from_secs(10));
    nsqd.await_channel("t", "a", "depth", 1);
    nsqd.await_channel("t", "b", "depth", 1);
}
