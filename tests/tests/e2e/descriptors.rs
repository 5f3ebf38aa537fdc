//! Too few file descriptors: newcomers are refused, everything else goes on, and it costs nothing.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tests::daemon::Nsqd;
use tests::wait;
use tests::wire::{Frame, Peer, with_body};

const LIMIT: u64 = 256;
/// The last quarter is not for TCP clients, and half of that for files only.
const FOR_CLIENTS: usize = 192;

#[test]
fn with_few_descriptors_newcomers_are_refused_and_the_disk_goes_on() {
    let nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    let mut early = nsqd.peer();
    early.publish("t", "m");
    nsqd.limit_files(LIMIT);
    let mut crowd: Vec<Peer> = (0..300).map(|_| nsqd.peer()).collect();
    let is_served = |peer: &mut Peer| {
        peer.send(with_body("PUB t", "m"));
        match peer.frame_within(wait::PATIENCE) {
            Ok(Frame::Response(_)) => true,
            Ok(Frame::Error(text)) => {
                let why = "E_INVALID too many connections, the limit of file descriptors is 256";
                assert_eq!(text, why);
                false
            }
            // Too many at once to tell each of them.
            _ => false,
        }
    };
    crowd.retain_mut(is_served);
    assert!(
        (FOR_CLIENTS / 2..FOR_CLIENTS).contains(&crowd.len()),
        "{} are served",
        crowd.len()
    );
    // Half of the rest can be taken by those who ask, and the other half not even by them.
    let curious: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(nsqd.http()).unwrap())
        .collect();
    wait::until("nsqd says so", || {
        nsqd.log().to_lowercase().contains("too many open files")
    });
    for number in 0..20 {
        early.publish(&format!("new{number}"), "each of them is a file");
    }
    drop(curious);
    wait::until("the curious have gone", || {
        nsqd.open_files() < FOR_CLIENTS + 32
    });
    assert_eq!(nsqd.get("/ping").body, "OK");
    assert!(crowd.iter_mut().all(is_served), "those who were served are");
    drop(crowd);
    wait::until("newcomers are served again", || is_served(&mut nsqd.peer()));
}

#[test]
fn without_any_descriptor_it_costs_no_processor_time_and_no_log() {
    let nsqd = Nsqd::start(&[]);
    let mut early = nsqd.peer();
    early.publish("t", "m");
    // The number of the next one is above the limit: not even accepting works.
    nsqd.limit_files(nsqd.open_files() as u64);
    // The kernel completes these connections.
    let crowd: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(nsqd.tcp()).unwrap())
        .collect();
    wait::until("nsqd says so", || {
        nsqd.log().to_lowercase().contains("too many open files")
    });
    let (cpu, log) = (nsqd.cpu_time(), nsqd.log().len());
    // A measurement: what it spends while nothing changes.
    thread::sleep(Duration::from_secs(2));
    let spent = nsqd.cpu_time().saturating_sub(cpu);
    assert!(spent < Duration::from_millis(400), "{spent:?} in 2 s");
    let written = nsqd.log().len() - log;
    assert!(written < 4096, "{written} bytes of log in 2 s");
    early.publish("t", "served all the time");
    drop(crowd);
    nsqd.limit_files(LIMIT);
    wait::until("newcomers are served again", || {
        let mut late = nsqd.peer();
        late.send(with_body("PUB t", "m"));
        late.frame_within(wait::PATIENCE) == Ok(Frame::Response("OK".to_owned()))
    });
}
