//! What operators see of a cluster and do to it.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;
use tests::{binary, wait};

/// Runs `nsq` to its end, without a terminal.
fn nsq(words: &[&str]) -> Output {
    let mut command = Command::new(binary::nsq());
    command.args(words).stdin(Stdio::null());
    command.output().unwrap()
}

/// Runs it, and returns its stdout; it must end with `status`.
#[track_caller]
fn expect(status: i32, words: &[&str]) -> String {
    let output = nsq(words);
    let (stdout, stderr) = texts(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{words:?}\n{stdout}\n{stderr}"
    );
    stdout
}

/// Runs it, and returns its stderr; it must fail with `status`.
#[track_caller]
fn fails(status: i32, words: &[&str]) -> String {
    let output = nsq(words);
    let (stdout, stderr) = texts(&output);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{words:?}\n{stdout}\n{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "one line says why: {stderr}");
    stderr
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// An nsqd and the flag that names it.
fn nsqd() -> (Nsqd, String) {
    let nsqd = Nsqd::start(&[]);
    let flag = format!("--nsqd-http-address={}", nsqd.http());
    (nsqd, flag)
}

/// Two nsqds that have topic `orders`, and the flag that names the nsqlookupd they registered with.
fn cluster() -> (Lookupd, [Nsqd; 2], String) {
    let lookupd = Lookupd::start();
    let start = || Nsqd::start(&[&lookupd.flag(), "--broadcast-address=127.0.0.1"]);
    let nsqds = [start(), start()];
    for nsqd in &nsqds {
        nsqd.act("/topic/create?topic=orders");
        nsqd.act("/channel/create?topic=orders&channel=billing");
    }
    wait::until("both nsqds have registered", || {
        lookupd.producers("orders").len() == 2
    });
    let flag = format!("--lookupd-http-address={}", lookupd.http());
    (lookupd, nsqds, flag)
}

#[test]
fn stat_sums_over_nsqds_and_filters() {
    let (_lookupd, nsqds, flag) = cluster();
    nsqds[0].publish("orders", "one");
    nsqds[1].publish("orders", "two");
    nsqds[1].publish("other", "three");
    for nsqd in &nsqds {
        nsqd.await_channel("orders", "billing", "depth", 1);
    }
    let look = || -> Value {
        serde_json::from_str(&expect(0, &["stat", "orders", "--once", "--json", &flag])).unwrap()
    };
    let rows = look()["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[1]["channel"], &rows[1]["depth"], &rows[1]["nodes"]),
        (&"billing".into(), &2.into(), &2.into())
    );
    assert_eq!(rows[1]["rates"], Value::Null);

    let table = expect(0, &["stat", "ord*/bill*", "--once", &flag]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(!table.contains('\x1b'), "no colours in a pipe");
    let lines = expect(
        0,
        &[
            "stat",
            "orders/billing",
            "--json",
            "--count=2",
            "--interval=50ms",
            &flag,
        ],
    );
    let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert!(
        second["rows"][0]["rates"]["ingress"].is_number(),
        "{second}"
    );
    assert!(fails(5, &["stat", "nothing", "--once", &flag]).contains("no nsqd has topic nothing"));
}

#[test]
fn an_nsqd_that_is_gone_marks_its_rows() {
    let (_lookupd, mut nsqds, _) = cluster();
    let flags = nsqds
        .each_ref()
        .map(|nsqd| format!("--nsqd-http-address={}", nsqd.http()));
    let [one, other] = flags.each_ref().map(String::as_str);
    nsqds[0].kill();
    let output = nsq(&["stat", "--once", one, other]);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("incomplete"), "{stdout}");
    assert!(
        stderr.contains("cannot connect: Connection refused"),
        "{stderr}"
    );
    expect(3, &["stat", "--once", "--strict", one, other]);
    expect(3, &["node", "ping", one, other]);

    let stdout = expect(3, &["channel", "pause", "orders", "billing", one, other]);
    assert!(
        stdout.contains("done") && stdout.contains("cannot connect"),
        "{stdout}"
    );
    assert_eq!(nsqds[1].channel("orders", "billing")["paused"], true);
}

#[test]
fn actions_reach_every_nsqd_and_nsqlookupd() {
    let (lookupd, nsqds, flag) = cluster();
    expect(0, &["channel", "create", "orders", "archive", &flag]);
    expect(0, &["topic", "pause", "orders", &flag]);
    for nsqd in &nsqds {
        assert_eq!(nsqd.topic("orders")["paused"], true);
        assert!(nsqd.channel("orders", "archive").is_object());
    }
    assert_eq!(
        expect(0, &["channel", "list", "orders", &flag]),
        "archive\nbilling\n"
    );
    expect(0, &["topic", "unpause", "orders", &flag]);

    expect(0, &["topic", "create", "later", &flag]);
    assert_eq!(expect(0, &["topic", "ls", &flag]), "later\norders\n");
    expect(
        0,
        &["channel", "delete", "orders", "archive", "--yes", &flag],
    );
    expect(0, &["topic", "delete", "orders", "--yes", &flag]);
    for nsqd in &nsqds {
        assert!(nsqd.topic("orders").is_null());
    }
    assert!(lookupd.producers("orders").is_empty());
    fails(5, &["topic", "pause", "orders", &flag]);
    expect(0, &["topic", "pause", "orders", "--idempotent", &flag]);
}

#[test]
fn what_is_lost_is_told_and_needs_a_yes() {
    let (nsqd, flag) = nsqd();
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=billing");
    nsqd.publish("orders", "one");
    nsqd.await_channel("orders", "billing", "depth", 1);
    let words = ["channel", "empty", "orders", "billing", &flag];
    let told = fails(8, &words);
    assert!(
        told.contains("drops 1 message waiting") && told.contains("--yes"),
        "{told}"
    );
    assert_eq!(nsqd.channel("orders", "billing")["depth"], 1);
    let words = [
        "channel", "empty", "orders", "billing", "--yes", "--json", &flag,
    ];
    let line: Value = serde_json::from_str(&expect(0, &words)).unwrap();
    assert_eq!(
        (&line["ok"], &line["daemon"]),
        (&true.into(), &"nsqd".into())
    );
    assert_eq!(nsqd.channel("orders", "billing")["depth"], 0);
    fails(
        5,
        &["channel", "empty", "orders", "nothing", "--yes", &flag],
    );
}

#[test]
fn show_tells_of_each_nsqd_and_consumer() {
    let (_lookupd, nsqds, flag) = cluster();
    let _consumer = nsqds[0].consumer("orders", "billing");
    let shown = expect(
        0,
        &["channel", "show", "orders", "billing", "--json", &flag],
    );
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(shown["clients"][0]["node"], nsqds[0].http().to_string());
    assert_eq!(shown["rows"][0]["client_count"], 1);
    let text = expect(0, &["topic", "show", "orders", &flag]);
    assert!(
        text.contains(&format!("nsqd {}", nsqds[1].http())),
        "{text}"
    );
}

#[test]
fn nodes_are_listed_pinged_configured_and_hidden() {
    let (lookupd, nsqds, flag) = cluster();
    let address = nsqds[0].http().to_string();
    let listed: Value = serde_json::from_str(&expect(0, &["nodes", "--json", &flag])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["health"], "OK");
    assert_eq!(expect(0, &["node", "ping", &flag]).lines().count(), 2);
    expect(0, &["node", "config", "set", &address, "log_level", "warn"]);
    assert!(
        !expect(0, &["node", "config", "get", &address, "log_level"])
            .trim()
            .is_empty()
    );
    assert!(fails(1, &["node", "config", "get", &address, "nothing"]).contains("INVALID_OPTION"));

    expect(
        0,
        &["node", "tombstone", &address, "orders", "--yes", &flag],
    );
    assert!(nsqds[0].topic("orders").is_null());
    assert_eq!(lookupd.producers("orders").len(), 1);
}

#[test]
fn an_nsqd_that_wants_https_is_asked_there() {
    let certificates = Certificates::new();
    certificates.issue("operator", |_| ());
    let mut flags = certificates.flags("server");
    flags.push("--tls-client-auth-policy=require-verify".to_owned());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let nsqd = Nsqd::start(&flags);
    let address = format!("--nsqd-http-address={}", nsqd.http());
    let file = |flag: &str, name: &str| format!("--{flag}={}", certificates.path(name).display());
    let (ca, cert, key) = (
        file("ca", "ca.pem"),
        file("cert", "operator.pem"),
        file("key", "operator.key"),
    );
    expect(
        0,
        &["topic", "create", "orders", &address, &ca, &cert, &key],
    );
    let list = |flags: &[&str]| nsq(&[&["topic", "list", &address], flags].concat());
    let told = list(&["--insecure", &cert, &key]);
    assert_eq!(texts(&told).0, "orders\n", "{}", texts(&told).1);
    for (status, flags) in [
        (6, &[][..]),
        (6, &[&*ca]),
        (6, &[&*cert, &*key]),
        (1, &["--ca=/nowhere/ca.pem"]),
        (2, &[&*ca, &*cert]),
    ] {
        assert_eq!(list(flags).status.code(), Some(status), "{flags:?}");
    }
}

#[test]
fn bad_input_is_one_line_that_says_what_to_do() {
    let refused = fails(6, &["stat", "--once", "--nsqd-http-address=127.0.0.1:1"]);
    assert!(
        refused.contains("127.0.0.1:1: cannot connect: Connection refused"),
        "{refused}"
    );
    let wrong = nsq(&["stat", "--lookupd-http-address=a b"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(texts(&wrong).1.contains("wanted is HOST, HOST:PORT"));
    assert_eq!(nsq(&["topic", "pause", "a b"]).status.code(), Some(2));
    assert!(fails(2, &["top"]).contains("needs a terminal"));
}

#[test]
fn stat_ends_when_nobody_reads_it_any_more() {
    let (nsqd, address) = nsqd();
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=archive");
    let old = [
        "legacy",
        "nsq_stat",
        "-topic=orders",
        "-channel=archive",
        "-interval=10ms",
    ];
    for words in [&["stat", "--interval=10ms"][..], &old] {
        let mut command = Command::new(binary::nsq());
        command.args(words).arg(&address);
        let mut stat = command.stdout(Stdio::piped()).spawn().unwrap();
        drop(stat.stdout.take());
        let ended = wait::some("nsq stat ended", || stat.try_wait().unwrap());
        assert!(ended.success(), "{words:?}: {ended}");
    }
}

#[test]
fn completions_are_a_script_of_the_shell() {
    assert!(expect(0, &["completions", "bash"]).contains("_nsq()"));
    assert!(expect(0, &["completions", "zsh"]).starts_with("#compdef nsq"));
}

#[test]
fn the_old_nsq_stat_prints_header_and_rows() {
    let (nsqd, flag) = nsqd();
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=billing");
    nsqd.publish("orders", "one");
    nsqd.await_channel("orders", "billing", "depth", 1);
    let address = flag.trim_start_matches("--nsqd-http-address=");
    let common = ["legacy", "nsq_stat", "-topic=orders", "-channel=billing"];
    let own = ["-interval=20ms", "-count=26", "-nsqd-http-address", address];
    let text = expect(0, &[&common[..], &own[..]].concat());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 26 + 2 * 2, "a header before each 25 looks");
    assert!(lines[0].starts_with("------rate------+"), "{text}");
    let row = "      0       0 |       1       1       0     0     0 |       0       0            1       0";
    assert_eq!(lines[2], row);
    let absent = [
        "legacy",
        "nsq_stat",
        "-topic=orders",
        "-channel=x",
        own[2],
        address,
    ];
    fails(1, &absent);
}
