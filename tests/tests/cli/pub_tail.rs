//! Publishing lines and printing messages: what arrives when daemons die, and what is never taken by mistake.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::{binary, wait};

use super::sinks::{Nsq, create, run};

fn nsq(words: &[&str], input: &str) -> Output {
    run(binary::nsq(), words, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> BTreeSet<String> {
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Everything that waits in `archive` of `orders`, as `nsq tail` prints it.
#[track_caller]
fn archived(nsqd: &Nsqd) -> BTreeSet<String> {
    let depth = nsqd.channel("orders", "archive")["depth"].to_string();
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let words = [
        "tail",
        "orders",
        "archive",
        "--consume",
        "-n",
        &depth,
        &address,
    ];
    let output = nsq(&words, "");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
    nsqd.await_channel("orders", "archive", "in_flight_count", 0);
    nsqd.await_channel("orders", "archive", "depth", 0);
    lines(&output)
}

/// `nsq` with pipes at all ends.
pub(super) fn start(words: &[&str]) -> Nsq {
    let mut command = Command::new(binary::nsq());
    command.args(words).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Nsq(command.spawn().unwrap())
}

/// What it wrote, and how it ended.
fn output(mut nsq: Nsq) -> Output {
    drop(nsq.0.stdin.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::io::copy(nsq.0.stdout.as_mut().unwrap(), &mut stdout).unwrap();
    std::io::copy(nsq.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    let status = nsq.0.wait().unwrap();
    Output {
        status,
        stdout,
        stderr,
    }
}

#[test]
fn pub_survives_an_nsqd_that_comes_back() {
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    create(&nsqd, "orders", "archive");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let words = [
        "pub",
        "orders",
        "--at-least-once",
        "--rate=2000",
        "--timeout=60s",
        &address,
    ];
    let mut publisher = start(&words);
    let mut input = String::new();
    for number in 0..2000 {
        writeln!(input, "order {number}").unwrap();
    }
    let mut stdin = publisher.0.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    wait::until("some have arrived", || {
        nsqd.channel("orders", "archive")["depth"].as_u64() > Some(100)
    });
    nsqd.kill();
    nsqd.restart_in_place();
    let output = output(publisher);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with("published 2,000 messages "));
    let all = input.lines().map(str::to_owned).collect();
    assert_eq!(archived(&nsqd), all);
}

#[test]
fn an_interrupted_pub_counts_what_is_stored() {
    let nsqd = Nsqd::start(&[]);
    create(&nsqd, "orders", "archive");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let mut publisher = start(&["pub", "orders", "--rate=300", "--batch=7", &address]);
    let mut stdin = publisher.0.stdin.take().unwrap();
    for number in 0..1000 {
        writeln!(stdin, "order {number}").unwrap();
    }
    wait::until("some have arrived", || {
        nsqd.channel("orders", "archive")["depth"].as_u64() > Some(50)
    });
    publisher.signal(Signal::INT);
    let output = output(publisher);
    drop(stdin);
    assert_eq!(output.status.code(), Some(0));
    let depth = nsqd.channel("orders", "archive")["depth"].clone();
    let said = text(&output.stderr).replace(',', "");
    assert!(
        said.starts_with(&format!("published {depth} messages ")),
        "{said}"
    );
}

#[test]
fn a_pub_that_fails_says_so_in_one_line() {
    let mut nsqd = Nsqd::start(&[]);
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let output_of = |words: &[&str], input: &str| {
        let output = nsq(words, input);
        let said = text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        (output.status.code(), said)
    };
    let words = ["pub", "orders", "--max-msg-size=3000000", &address];
    let (status, said) = output_of(&words, &"x".repeat(2_000_000));
    assert_eq!(status, Some(1));
    assert!(
        said.contains("line 1 (2,000,000 bytes) not published: refused by "),
        "{said}"
    );
    assert!(
        said.contains("E_BAD_MESSAGE") && said.ends_with("confirmed: 0 messages\n"),
        "{said}"
    );

    let away = nsqd.tcp().to_string();
    nsqd.kill();
    let (status, said) = output_of(&["pub", "orders", "--nsqd-tcp-address", &away], "one\n");
    assert_eq!(status, Some(6));
    assert!(
        said.contains(&away) && said.contains("is nsqd running?"),
        "{said}"
    );
}

#[test]
fn tail_leaves_a_backlog_alone_unless_it_is_meant() {
    let lookupd = Lookupd::start();
    let nsqd = Nsqd::start(&[&lookupd.flag(), "--broadcast-address=127.0.0.1"]);
    nsqd.publish("orders", "one");
    nsqd.publish("orders", "two");
    let (tcp, http) = (nsqd.tcp().to_string(), nsqd.http().to_string());
    let tail = ["tail", "orders", "-n", "2"];
    let refused = |sources: &[&str]| {
        let output = nsq(&[&tail[..], sources].concat(), "");
        let said = text(&output.stderr);
        let is_refused = output.status.code() == Some(8) && said.contains("--take-backlog");
        assert!(is_refused || said.is_empty(), "{said}");
        is_refused
    };
    let named = ["--nsqd-tcp-address", &tcp, "--nsqd-http-address", &http];
    assert!(refused(&named));
    let lookupd_http = lookupd.http().to_string();
    wait::until("nsqlookupd knows the topic", || {
        lookupd.get("/topics").body.contains("orders")
    });
    assert!(refused(&["--lookupd-http-address", &lookupd_http]));
    assert_eq!(nsqd.topic("orders")["depth"], 2);

    let words = [&tail[..], &["--take-backlog", "--nsqd-tcp-address", &tcp]].concat();
    let output = nsq(&words, "");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
    assert_eq!(
        lines(&output),
        BTreeSet::from(["one".to_owned(), "two".to_owned()])
    );
}

#[test]
fn tail_warns_that_a_channel_is_shared() {
    let nsqd = Nsqd::start(&[]);
    create(&nsqd, "orders", "archive");
    nsqd.publish("orders", "one");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let output = nsq(&["tail", "orders", "archive", "-n", "1", &address], "");
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "one\n".to_owned())
    );
    let said = text(&output.stderr);
    assert!(
        said.contains("channel archive") && said.lines().count() == 1,
        "{said}"
    );
    nsqd.publish("orders", "two");
    assert_eq!(archived(&nsqd), BTreeSet::from(["two".to_owned()]));
}

#[test]
fn tail_finds_nsqds_and_comes_back_to_one() {
    let lookupd = Lookupd::start();
    let flags = [&lookupd.flag(), "--broadcast-address=127.0.0.1"];
    let (mut first, second) = (Nsqd::start(&flags), Nsqd::start(&flags));
    for nsqd in [&first, &second] {
        create(nsqd, "orders", "archive");
    }
    wait::until("both are known", || lookupd.producers("orders").len() == 2);
    let address = format!("--lookupd-http-address={}", lookupd.http());
    let words = [
        "tail",
        "orders",
        "archive",
        "--consume",
        "-n",
        "3",
        &address,
    ];
    let tail = start(&words);
    first.publish("orders", "one");
    second.publish("orders", "two");
    second.await_channel("orders", "archive", "message_count", 1);
    first.await_channel("orders", "archive", "depth", 0);
    first.await_channel("orders", "archive", "in_flight_count", 0);
    first.kill();
    first.restart_in_place();
    first.publish("orders", "three");
    let output = output(tail);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains(&first.tcp().to_string()) && said.contains("trying again"),
        "{said}"
    );
    let wanted = ["one", "two", "three"].map(str::to_owned);
    assert_eq!(lines(&output), BTreeSet::from(wanted));
}

#[test]
fn both_speak_tls_and_compress() {
    let certificates = Certificates::new();
    let flags = certificates.flags("server");
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.push("--tls-required=tcp-https");
    let nsqd = Nsqd::start(&flags);
    create(&nsqd, "orders", "archive");
    let address = nsqd.tcp().to_string();
    let ca = certificates.path("ca.pem").display().to_string();
    let link = [
        "--nsqd-tcp-address",
        &address,
        "--ca",
        &ca,
        "--set",
        "snappy",
    ];
    let output = nsq(&[&["pub", "orders"][..], &link].concat(), "one\ntwo");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let names = TempDir::new().unwrap();
    let to_nsq = names.path().join("to_nsq");
    std::os::unix::fs::symlink(binary::nsq(), &to_nsq).unwrap();
    let root = format!("-producer-opt=tls_root_ca_file,{ca}");
    let words = ["-topic=orders", "-nsqd-tcp-address", &address];
    let words = [&words[..], &["-producer-opt=tls_v1", &root]].concat();
    let output = run(&to_nsq, &words, "three");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plain = run(&to_nsq, &words[..3], "four");
    assert_eq!(plain.status.code(), Some(1));

    let words = ["tail", "orders", "archive", "--consume", "-n", "3"];
    let output = nsq(&[&words[..], &link].concat(), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let wanted = ["one", "two", "three"].map(str::to_owned);
    assert_eq!(lines(&output), BTreeSet::from(wanted));
}

/// What `nsq tail` asks an nsqlookupd with these flags.
fn asked_of_nsqlookupd(flags: &[&str]) -> String {
    let lookupd = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--lookupd-http-address={}", lookupd.local_addr().unwrap());
    let words = ["tail", "orders", "archive", "--consume", &address];
    let _tail = start(&[&words[..], flags].concat());
    let (mut asker, _) = lookupd.accept().unwrap();
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        asker.read_exact(&mut byte).unwrap();
        question.push(byte[0]);
    }
    text(&question).to_lowercase()
}

#[test]
fn nsqlookupd_is_shown_the_secret_as_by_go_nsq() {
    let secret = ["--set=auth_secret=open sesame"];
    let question = asked_of_nsqlookupd(&secret);
    let bearer = "authorization: bearer open sesame";
    assert!(question.contains(bearer), "{question}");
    let keeping = [secret[0], "--set=skip_lookupd_authorization=false"];
    let question = asked_of_nsqlookupd(&keeping);
    assert!(!question.contains("authorization"), "{question}");
}

/// Two ports side by side, which were free a moment ago.
fn neighbours() -> (u16, u16) {
    wait::some("two ports side by side are free", || {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let next = port.checked_add(1)?;
        TcpListener::bind(("127.0.0.1", next)).ok()?;
        Some((port, next))
    })
}

#[test]
fn the_old_tail_warns_of_a_backlog_and_takes_it() {
    let (tcp, http) = neighbours();
    let nsqd = Nsqd::start(&[
        &format!("--tcp-address=127.0.0.1:{tcp}"),
        &format!("--http-address=127.0.0.1:{http}"),
    ]);
    nsqd.publish("orders", "one");
    let address = format!("-nsqd-tcp-address=127.0.0.1:{tcp}");
    let words = ["legacy", "nsq_tail", "-topic=orders", "-n=1", &address];
    let output = nsq(&words, "");
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "one\n".to_owned())
    );
    let said = text(&output.stderr);
    assert!(
        said.starts_with("nsq_tail: WARNING: topic orders has no channel yet"),
        "{said}"
    );
}

#[test]
fn to_nsq_gives_every_nsqd_a_copy() {
    let (first, second) = (Nsqd::start(&[]), Nsqd::start(&[]));
    for nsqd in [&first, &second] {
        create(nsqd, "orders", "archive");
    }
    let wanted: BTreeSet<String> = (0..500).map(|number| format!("order {number}")).collect();
    let input = wanted.iter().cloned().collect::<Vec<_>>().join("\n");
    let addresses = [&first, &second].map(|nsqd| format!("-nsqd-tcp-address={}", nsqd.tcp()));
    let words = [
        "legacy",
        "to_nsq",
        "-topic=orders",
        &addresses[0],
        &addresses[1],
    ];
    let output = nsq(&words, &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(archived(&first), wanted);
    assert_eq!(archived(&second), wanted);
}
