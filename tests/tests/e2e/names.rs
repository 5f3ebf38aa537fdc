//! Names of topics and channels: which are legal, and that none leads out of the data path.

use std::fs;

use tempfile::TempDir;
use tests::daemon::Nsqd;

#[test]
fn legal_names_work_and_survive_a_restart() {
    let longest = "x".repeat(64);
    let names = [
        ".", "..", "...", "-", "_", "a.b", "A", "a", "con", "0", "a-b_c.d", &longest,
    ];
    let mut nsqd = Nsqd::start(&["--mem-queue-size=0"]);
    for name in names {
        drop(nsqd.consumer(name, name));
        nsqd.publish(name, name);
    }
    nsqd.restart();
    for name in names {
        let mut consumer = nsqd.consumer(name, name);
        consumer.ready(1);
        assert_eq!(consumer.consume(1)[0].text(), name);
        consumer.expect_nothing();
    }
}

#[test]
fn dots_stay_inside_the_data_path() {
    let outer = TempDir::new().unwrap();
    let inner = outer.path().join("data");
    fs::create_dir(&inner).unwrap();
    let flag = format!("--data-path={}", inner.display());
    let mut nsqd = Nsqd::start(&[&flag, "--mem-queue-size=0"]);
    for topic in [".", "..", "..."] {
        for channel in [".", ".."] {
            drop(nsqd.consumer(topic, channel));
        }
        nsqd.publish(topic, "m");
    }
    nsqd.restart();
    for topic in [".", "..", "..."] {
        nsqd.act(&format!("/topic/delete?topic={topic}"));
    }
    nsqd.publish("after", "m");
    assert!(nsqd.terminate().success());
    let outside: Vec<_> = fs::read_dir(outer.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert_eq!(outside, [inner]);
}

#[test]
fn illegal_names_are_refused_over_tcp_and_http() {
    let nsqd = Nsqd::start(&[]);
    let too_long = "x".repeat(65);
    let too_long_ephemeral = format!("{}#ephemeral", "x".repeat(55));
    let names = [
        "a/b",
        "a%00b",
        "ä",
        "a#b",
        "#ephemeral",
        "a:b",
        "a#ephemeral#ephemeral",
    ];
    for name in names
        .into_iter()
        .chain([too_long.as_str(), too_long_ephemeral.as_str()])
    {
        let mut peer = nsqd.peer();
        peer.send(format!("SUB {name} c\n"));
        assert!(
            peer.error().starts_with("E_BAD_TOPIC SUB topic name"),
            "{name}"
        );
        let query = name.replace('#', "%23").replace('ä', "%C3%A4");
        let answer = nsqd.post(&format!("/topic/create?topic={query}"), "");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (400, r#"{"message":"INVALID_TOPIC"}"#),
            "{name}"
        );
    }
    let longest_ephemeral = format!("{}%23ephemeral", "x".repeat(54));
    nsqd.act(&format!("/topic/create?topic={longest_ephemeral}"));
}
