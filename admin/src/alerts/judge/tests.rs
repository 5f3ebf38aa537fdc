//! Conditions from samples: of nodes, of topics, of channels, and what operators say of them.

use super::*;
use crate::cluster::Report;
use crate::sample::Figures;

fn sample(message_rate: f64) -> Sample {
    let mut sample = Sample::default();
    let topic = TopicSample {
        figures: Figures {
            message_rate,
            ..Figures::default()
        },
        nodes: 1,
        ..TopicSample::default()
    };
    sample.topics.insert("t".to_owned(), topic);
    sample.nodes.insert("n:1".to_owned(), NodeSample::default());
    sample
}

fn rules(conditions: &[Condition]) -> Vec<Rule> {
    conditions.iter().map(|condition| condition.rule).collect()
}

#[test]
fn a_topic_that_falls_silent_is_told_until_that_is_usual() {
    let (mut judge, start) = (Judge::default(), Instant::now());
    let mut at = |seconds: u64, rate| {
        let now = start + Duration::from_secs(seconds);
        rules(&judge.judge(now, &mut sample(rate)))
    };
    for second in (0..60).step_by(2) {
        assert_eq!(at(second, 50.0), [], "{second}");
    }
    assert_eq!(at(100, 0.0), []);
    assert_eq!(at(118, 0.0), [Rule::TopicSilent]);
    assert_eq!(at(120, 1.0), []);
    assert_eq!(at(200, 0.0), [Rule::TopicSilent]);
    assert_eq!(at(2000, 0.0), [], "usual by now");
}

#[test]
fn nodes_that_are_away_or_unwell_are_told() {
    let (mut judge, now) = (Judge::default(), Instant::now());
    let mut sample = sample(0.0);
    let node = |error: Option<&str>, health: &str| NodeSample {
        error: error.map(str::to_owned),
        health: health.to_owned(),
        hostname: "elsewhere".to_owned(),
        lookupds: 1,
        ..NodeSample::default()
    };
    for (name, node) in [
        ("a:1", node(Some("gone"), "")),
        ("b:1", node(None, "NOK - disk")),
        ("127.0.0.1:1", node(None, "OK")),
        ("c:1", node(None, "OK")),
    ] {
        sample.nodes.insert(name.to_owned(), node);
    }
    sample.nodes.get_mut("c:1").unwrap().lookupds = 2;
    sample.lookupd_count = 2;
    sample.nodes.get_mut("n:1").unwrap().lookupds = 1;
    sample.warnings = vec![Report {
        who: "lk:4161".to_owned(),
        ..Report::default()
    }];
    let conditions = judge.judge(now, &mut sample);
    let mut ids: Vec<String> = conditions.iter().map(Condition::id).collect();
    ids.sort();
    assert_eq!(
        ids,
        [
            "lookupd_missing:lk:4161",
            "node_loopback:127.0.0.1:1",
            "node_missing:a:1",
            "node_unhealthy:b:1",
            "node_unregistered:n:1"
        ]
    );
}

#[test]
fn a_channel_without_consumers_is_named() {
    let (mut judge, now) = (Judge::default(), Instant::now());
    let mut sample = sample(0.0);
    let channel = ChannelSample {
        figures: Figures {
            depth: 7,
            ..Figures::default()
        },
        nodes: 1,
        ..ChannelSample::default()
    };
    let topic = sample.topics.get_mut("t").unwrap();
    topic.channels.insert("c".to_owned(), channel);
    let conditions = judge.judge(now, &mut sample);
    assert_eq!(
        conditions[0].text,
        "t/c: messages wait and nobody consumes; 7 waiting"
    );
    assert_eq!(
        sample.topics["t"].channels["c"].verdict,
        Verdict::NoConsumers
    );
}

#[test]
fn what_operators_say_of_alerts_holds() {
    let words = [
        "nsqadmin",
        "--lookupd-http-address=lk:1",
        "--alert-depth=t/*=5",
        "--alert-ignore=quiet",
        "--alert-paused-after=10m",
    ];
    let flags =
        client::daemon::flags::parse(&crate::options::DAEMON, words.map(std::ffi::OsString::from));
    let options = crate::Options::check(flags.unwrap()).unwrap();
    let (mut judge, start) = (Judge::new(options.alert_limits), Instant::now());
    let channel = |depth, paused_nodes| ChannelSample {
        figures: Figures {
            depth,
            client_count: 1,
            finish_rate: 1.0,
            ..Figures::default()
        },
        nodes: 1,
        paused_nodes,
        ..ChannelSample::default()
    };
    let mut at = |minutes, topic: &str, channel| {
        let mut sample = Sample::default();
        let mut row = TopicSample {
            nodes: 1,
            ..TopicSample::default()
        };
        row.channels.insert("c".to_owned(), channel);
        sample.topics.insert(topic.to_owned(), row);
        rules(&judge.judge(start + Duration::from_mins(minutes), &mut sample))
    };
    assert_eq!(at(0, "t", channel(5, 0)), []);
    assert_eq!(at(0, "t", channel(6, 1)), [Rule::DepthHigh]);
    assert_eq!(at(9, "t", channel(5, 1)), []);
    assert_eq!(at(10, "t", channel(5, 1)), [Rule::PausedLong]);
    assert_eq!(at(11, "t", channel(5, 0)), []);
    let waiting = |client_count| ChannelSample {
        figures: Figures {
            depth: 1,
            client_count,
            ..Figures::default()
        },
        ..channel(1, 0)
    };
    assert_eq!(at(12, "loud", waiting(0)), [Rule::NoConsumers]);
    assert_eq!(at(12, "quiet", waiting(0)), []);
}
