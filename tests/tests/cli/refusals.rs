//! Commands that daemons do not want, or cannot be reached: one clear line, and the status that is documented.

use tests::authd::{Authd, Reply};
use tests::binary;
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tests::lookupd::Lookupd;

use super::pub_tail::start;
use super::sinks::{create, fails, run};

const SINK: [&str; 3] = ["to-file", "--topics=orders", "--channel=archive"];

/// Words of a command, with these behind them.
fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

#[test]
fn tls_that_is_demanded_or_not_trusted_is_told_with_the_flag_to_give() {
    let certificates = Certificates::new();
    let mut flags = certificates.flags("server");
    flags.push("--tls-required=tcp-https".to_owned());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let nsqd = Nsqd::start(&flags);
    create(&nsqd, "orders", "archive");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let to = format!("--to={}", nsqd.tcp());
    let tail = ["tail", "orders", "archive", "--consume", "-n=1"];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "one\n").unwrap();
    let publish = ["pub", "orders", file.path().to_str().unwrap()];
    let bench = ["bench", "sub", "--duration=1s"];
    for words in [&publish[..], &tail, &bench, &SINK] {
        fails(&with(words, &[&address]), 7, "--tls speaks it");
        let untrusted = with(words, &[&address, "--tls"]);
        fails(
            &untrusted,
            6,
            "--ca names the file of an authority to trust",
        );
    }
    let source = Nsqd::start(&[]);
    let source = format!("--nsqd-tcp-address={}", source.tcp());
    let bridge = [
        "bridge",
        "--topics=orders",
        "--channel=mirror",
        &source,
        &to,
    ];
    fails(&with(&bridge, &["--to-set=tls_v1"]), 6, "--ca names");

    let ca = format!("--ca={}", certificates.path("ca.pem").display());
    let bench = ["bench", "pubsub", "--messages=1000", &address, &ca];
    for compression in ["snappy", "deflate"] {
        let output = run(binary::nsq(), &with(&bench, &["--set", compression]), "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
    }
}

#[test]
fn secrets_that_are_missing_or_allow_less_are_told() {
    let may_subscribe = r#"{"topic":"orders","channels":[".*"],"permissions":["subscribe"]}"#;
    let authd = Authd::start(Reply::grant(60, may_subscribe));
    let nsqd = Nsqd::start(&[&authd.flag()]);
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret\n").unwrap();
    let path = file.path().to_str().unwrap();
    let secret = format!("--auth-secret-file={path}");

    let commands = [
        &["pub", "orders", path][..],
        &["tail", "orders", "archive", "--consume"],
        &["bench", "sub"],
        &SINK,
    ];
    for words in commands {
        fails(&with(words, &[&address]), 7, "--auth-secret-file names");
    }
    fails(
        &["pub", "orders", path, &address, &secret],
        7,
        "E_UNAUTHORIZED",
    );
    fails(
        &["tail", "other", "archive", "--consume", &address, &secret],
        7,
        "E_UNAUTHORIZED",
    );
    let missing = ["pub", "orders", &address, "--auth-secret-file=/none"];
    fails(&missing, 1, "/none: No such file or directory");
}

#[test]
fn nobody_there_is_told_with_the_reason() {
    let nowhere = "--nsqd-tcp-address=127.0.0.1:1";
    let reason = "127.0.0.1:1: Connection refused; is nsqd running?";
    fails(&["tail", "orders", "--take-backlog", nowhere], 6, reason);
    fails(&with(&SINK, &[nowhere]), 6, reason);
    fails(&["bench", "pub", nowhere], 6, reason);
    let nsqd = Nsqd::start(&[]);
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let bridge = ["bridge", "--topics=orders", "--channel=mirror", &address];
    fails(&with(&bridge, &["--to=127.0.0.1:1"]), 6, reason);
    let nodes = ["nodes", "--nsqd-http-address=127.0.0.1:1"];
    fails(&nodes, 6, "127.0.0.1:1: cannot connect: Connection refused");

    let matching = ["to-file", "--topics-match=x", "--channel=archive", &address];
    let output = run(binary::nsq(), &matching, "");
    assert_eq!(output.status.code(), Some(2));
    let ports = format!("--tcp-port={}", nsqd.tcp().port());
    let dev = ["dev", &ports, "--http-port=0", "--lookupd-tcp-port=0"];
    let dev = with(&dev, &["--lookupd-http-port=0", "--admin-http-port=0"]);
    fails(&dev, 1, "flags that choose other ports");
    fails(
        &["dev", "--data-path=/proc/none"],
        1,
        "/proc/none: No such file or directory",
    );
}

#[test]
fn tail_tells_what_it_waits_for() {
    let lookupd = Lookupd::start();
    let address = format!("--lookupd-http-address={}", lookupd.http());
    let mut tail = start(&["tail", "orders", &address]);
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(tail.0.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
    assert_eq!(
        said,
        "nsq: no nsqd with topic orders is known yet; waiting for one\n"
    );
}
