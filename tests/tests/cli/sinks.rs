//! The sinks, and the old tools by their names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::daemon::Nsqd;
use tests::{binary, random, wait};

/// A running `nsq`, killed when this value goes.
pub(super) struct Nsq(pub(super) Child);

impl Nsq {
    fn start(words: &[&str]) -> Nsq {
        let mut command = Command::new(binary::nsq());
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Nsq(command.stderr(Stdio::null()).spawn().unwrap())
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Asks it to end, and checks that it does so in good order.
    #[track_caller]
    fn end(mut self) {
        self.signal(Signal::TERM);
        let status = wait::some("nsq ended", || self.0.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Nsq {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn run(program: &Path, words: &[&str], input: &str) -> Output {
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    // A tool that refuses its flags reads nothing.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

fn publish(nsqd: &Nsqd, topic: &str, bodies: impl Iterator<Item = String>) -> BTreeSet<String> {
    let bodies: Vec<String> = bodies.collect();
    let answer = nsqd.post(&format!("/mpub?topic={topic}"), bodies.join("\n"));
    assert_eq!(answer.status, 200);
    bodies.into_iter().collect()
}

pub(super) fn create(nsqd: &Nsqd, topic: &str, channel: &str) {
    nsqd.act(&format!("/topic/create?topic={topic}"));
    nsqd.act(&format!("/channel/create?topic={topic}&channel={channel}"));
}

/// All lines of all files, as far as they can be read.
fn lines(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = if path.extension().is_some_and(|extension| extension == "gz") {
            // Behind the last member that was finished there may be a part of one, which is an error after the text.
            Command::new("gzip")
                .arg("-dc")
                .arg(&path)
                .output()
                .unwrap()
                .stdout
        } else {
            fs::read(&path).unwrap()
        };
        found.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
    found
}

fn kills_lose_nothing(compress: &str) {
    let mut random = random::seeded("kills_lose_nothing");
    let nsqd = Nsqd::start(&["--msg-timeout=1s"]);
    create(&nsqd, "orders", "archive");
    let directory = TempDir::new().unwrap();
    let address = nsqd.tcp().to_string();
    let start = || {
        Nsq::start(&[
            "to-file",
            "--topics=orders",
            "--channel=archive",
            "--sync-every=20ms",
            "--max-in-flight=500",
            &format!("--compress={compress}"),
            &format!("--dir={}", directory.path().display()),
            &format!("--nsqd-tcp-address={address}"),
        ])
    };
    let mut published = BTreeSet::new();
    for round in 0..5 {
        let written = lines(directory.path()).len();
        let sink = start();
        for batch in 0..20 {
            let bodies =
                (0..250).map(|index| format!("{round} {batch} {index} {}", "x".repeat(100)));
            published.extend(publish(&nsqd, "orders", bodies));
        }
        wait::until("something was written", || {
            lines(directory.path()).len() > written
        });
        thread::sleep(Duration::from_millis(random.u64(0..100)));
        drop(sink);
        // What nsqd was told to be finished is in the files.
        let channel = nsqd.channel("orders", "archive");
        let open =
            channel["depth"].as_u64().unwrap() + channel["in_flight_count"].as_u64().unwrap();
        let missing = published.difference(&lines(directory.path())).count() as u64;
        assert!(
            missing <= open,
            "{missing} are missing, {open} were not finished"
        );
    }
    let sink = start();
    published.extend(publish(
        &nsqd,
        "orders",
        ["the last".to_owned()].into_iter(),
    ));
    wait::until("the last is written", || {
        published.is_subset(&lines(directory.path()))
    });
    nsqd.await_channel("orders", "archive", "depth", 0);
    nsqd.await_channel("orders", "archive", "in_flight_count", 0);
    sink.end();
}

#[test]
fn to_file_loses_nothing_when_it_is_killed() {
    kills_lose_nothing("none");
}

#[test]
fn to_file_has_readable_gzip_after_kills() {
    kills_lose_nothing("gzip");
}

#[test]
fn to_file_begins_a_new_file_on_hangup() {
    let nsqd = Nsqd::start(&[]);
    let (out, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sink = Nsq::start(&[
        "to-file",
        "--topics=orders",
        "--channel=archive",
        "--sync-every=20ms",
        "--name={topic}{rev}",
        &format!("--dir={}", out.path().display()),
        &format!("--work-dir={}", work.path().display()),
        &format!("--nsqd-tcp-address={}", nsqd.tcp()),
    ]);
    for round in 0..2 {
        let bodies = publish(
            &nsqd,
            "orders",
            (0..10).map(|index| format!("{round} {index}")),
        );
        wait::until("it is written", || bodies.is_subset(&lines(work.path())));
        sink.signal(Signal::HUP);
        wait::until("it has moved", || bodies.is_subset(&lines(out.path())));
    }
    sink.end();
    for name in ["orders-000000", "orders-000001"] {
        assert!(out.path().join(name).exists(), "{name}");
    }
}

/// An HTTP server that answers each request with the next status of a script, then with 200.
struct Server {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(script: &'static [u16]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(Mutex::new(script.iter())), Arc::clone(&taken));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, script, log) =
                    (stream.unwrap(), Arc::clone(&script), Arc::clone(&log));
                thread::spawn(move || {
                    while let Some((head, body)) = request(&mut stream) {
                        let status = script.lock().unwrap().next().copied().unwrap_or(200);
                        if status == 0 {
                            return;
                        }
                        assert!(head.starts_with("POST /in HTTP/1.1\r\n"), "{head}");
                        if status == 200 {
                            log.lock().unwrap().push(body);
                        }
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\nLocation: /in\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
                        );
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Server { url, taken }
    }
}

/// Reads a request with a length; `None` once the connection is over.
fn request(stream: &mut std::net::TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                return Some((head.to_owned() + "\r\n", body.to_owned()));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(count @ 1..) => bytes.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
}

#[test]
fn to_http_sends_again_what_a_server_did_not_take() {
    let nsqd = Nsqd::start(&[]);
    // Refused, redirected into a GET, cut off: none of them is a success.
    let server = Server::start(&[503, 302, 0, 404, 303]);
    let sink = Nsq::start(&[
        "to-http",
        "--topics=orders",
        "--channel=hooks",
        "--set=default_requeue_delay=10ms",
        "--set=max_backoff_duration=0s",
        &format!("--post={}", server.url),
        &format!("--nsqd-tcp-address={}", nsqd.tcp()),
    ]);
    let bodies = publish(
        &nsqd,
        "orders",
        (0..50).map(|index| format!("order {index}")),
    );
    wait::until("everything arrived", || {
        let taken = server.taken.lock().unwrap();
        taken.iter().cloned().collect::<BTreeSet<_>>() == bodies
    });
    nsqd.await_channel("orders", "hooks", "in_flight_count", 0);
    nsqd.await_channel("orders", "hooks", "deferred_count", 0);
    assert_eq!(server.taken.lock().unwrap().len(), 50);
    sink.end();
}

#[test]
fn bridge_waits_for_a_destination_that_is_gone() {
    let source = Nsqd::start(&[]);
    let mut destination = Nsqd::start(&["--mem-queue-size=0"]);
    create(&destination, "copy", "check");
    let bridge = Nsq::start(&[
        "bridge",
        "--topics=orders",
        "--channel=mirror",
        "--to-topic=copy",
        "--field=id",
        &format!("--to={}", destination.tcp()),
        &format!("--nsqd-tcp-address={}", source.tcp()),
    ]);
    let bodies =
        |round: u32| (0..200).map(move |index| format!(r#"{{"x":1,"id":{round}{index}}}"#));
    publish(&source, "orders", bodies(1));
    destination.await_channel("copy", "check", "depth", 200);
    destination.kill();
    publish(&source, "orders", bodies(2));
    destination.restart_in_place();
    source.await_channel("orders", "mirror", "depth", 0);
    source.await_channel("orders", "mirror", "in_flight_count", 0);
    bridge.end();

    let depth = destination.channel("copy", "check")["depth"]
        .as_u64()
        .unwrap();
    let address = destination.tcp().to_string();
    let count = depth.to_string();
    let words = [
        "tail",
        "copy",
        "check",
        "-n",
        &count,
        "--nsqd-tcp-address",
        &address,
    ];
    let output = run(binary::nsq(), &words, "");
    let found: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let wanted = [1, 2]
        .into_iter()
        .flat_map(|round| (0..200).map(move |index| format!(r#"{{"id":{round}{index}}}"#)));
    assert_eq!(found, wanted.collect());
}

#[test]
fn old_names_are_the_old_tools() {
    let nsqd = Nsqd::start(&[]);
    create(&nsqd, "orders", "archive");
    let address = nsqd.tcp().to_string();
    let names = TempDir::new().unwrap();
    let tool = |name: &str| {
        let path = names.path().join(name);
        symlink(binary::nsq(), &path).unwrap();
        path
    };
    let words = ["-topic=orders", "-nsqd-tcp-address", &address];
    let output = run(&tool("to_nsq"), &words, "one\ntwo\n\nthree");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let tail = tool("nsq_tail");
    let words = [&words[..], &["-channel=archive", "-n", "3", "-print-topic"]].concat();
    let output = run(&tail, &words, "");
    assert_eq!(output.status.code(), Some(0));
    let mut printed: Vec<&[u8]> = output
        .stdout
        .split_inclusive(|byte| *byte == b'\n')
        .collect();
    printed.sort_unstable();
    assert_eq!(
        printed,
        [
            &b"orders | one\n"[..],
            b"orders | three\n",
            b"orders | two\n"
        ]
    );
    nsqd.await_channel("orders", "archive", "in_flight_count", 0);
    nsqd.await_channel("orders", "archive", "depth", 0);

    for name in ["nsq_to_file", "nsq_to_http", "nsq_to_nsq"] {
        let tool = tool(name);
        let version = run(&tool, &["-version"], "");
        assert_eq!(
            String::from_utf8_lossy(&version.stdout),
            format!("{name} v1.3.0\n")
        );
        let legacy = run(binary::nsq(), &["legacy", name, "-version"], "");
        assert_eq!(legacy.stdout, version.stdout);
        assert_eq!(run(&tool, &["-h"], "").status.code(), Some(0));
        assert_eq!(run(&tool, &["-no-such"], "").status.code(), Some(2));
        assert_eq!(run(&tool, &["-topic=t"], "").status.code(), Some(1));
    }
    let wrong = [
        "-topic=t",
        "-nsqd-tcp-address=127.0.0.1:1",
        "-consumer-opt=no_such,1",
    ];
    assert_eq!(run(&tail, &wrong, "").status.code(), Some(2));
}

/// Fails with this status, and says why in one line on stderr with this in it.
#[track_caller]
pub(super) fn fails(words: &[&str], status: i32, why: &str) {
    let output = run(binary::nsq(), words, "");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    // The log of what goes on behind it may have a line more.
    let said: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("nsq: "))
        .collect();
    let last = said.last().copied().unwrap_or_default();
    assert!(last.contains(why), "{text}");
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    let nsqd = Nsqd::start(&[]);
    nsqd.publish("orders", "hello");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let to_file = ["to-file", "--topics=orders", "--channel=archive"];
    let words = [&to_file[..], &[&address, "--dir=/proc/none"]].concat();
    fails(&words, 1, "/proc/none");
    let words = [&to_file[..], &["--nsqd-tcp-address=127.0.0.1:1"]].concat();
    fails(&words, 6, "127.0.0.1:1");
    let words = [&to_file[..], &[&address, "--compress=gzip", "--name=x"]].concat();
    fails(&words, 2, "{rev}");
    let to = format!("--to={}", nsqd.tcp());
    fails(
        &[
            "bridge",
            "--topics=orders",
            "--channel=mirror",
            &address,
            &to,
        ],
        8,
        "for ever",
    );
}
