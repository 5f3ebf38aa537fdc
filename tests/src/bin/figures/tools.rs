//! What operators wait for when they use the `nsq` command.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::daemon::Nsqd;
use tests::load::{self, Publishing};
use tests::{binary, wait};
use tokio::runtime::Runtime;

use crate::{IN_MEMORY, median, print, rate};

const TOPICS: usize = 10_000;
const BODY_BYTES: usize = 200;
/// For a figure that misses its goal by far.
const PATIENCE: Duration = Duration::from_mins(2);

/// Writing half as many messages to a file, and a look at the figures of many topics.
pub(crate) fn measure(messages: usize, runs: usize) {
    let rates = (0..runs).map(|_| to_file(messages / 2)).collect();
    let name = "nsq to-file, 200-byte messages, synced: messages";
    print(name, median(rates), "/s");
    let nsqd = Nsqd::start(&[]);
    for number in 0..TOPICS {
        // Of what is ephemeral nothing is written down, topic by topic.
        let topic = format!("topic_{number}%23ephemeral");
        nsqd.act(&format!("/topic/create?topic={topic}"));
        nsqd.act(&format!("/channel/create?topic={topic}&channel=c"));
    }
    let times = (0..runs).map(|_| stat(&nsqd)).collect();
    let name = "nsq stat --once, 10,000 topics with a channel: time";
    print(name, median(times), "s");
}

/// Messages per second from the start of the command until the last ones are in its hands; those before them are on disk.
fn to_file(messages: usize) -> f64 {
    let nsqd = Nsqd::start(IN_MEMORY);
    nsqd.act("/topic/create?topic=t");
    nsqd.act("/channel/create?topic=t&channel=c");
    let publishing = Publishing {
        messages,
        connections: 1,
        batch: 200,
        window: 8,
        body_bytes: BODY_BYTES,
    };
    Runtime::new()
        .expect("a runtime can be made")
        .block_on(load::publish(nsqd.tcp(), "t", publishing))
        .expect("every publish is answered with OK");
    let folder = TempDir::new().expect("a temporary folder can be made");
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp());
    let start = Instant::now();
    let mut command = nsq(&["to-file", "--topics=t", "--channel=c", &address])
        .arg("--dir")
        .arg(folder.path())
        .spawn()
        .expect("nsq can be started");
    let written = wait::within(PATIENCE, || {
        (nsqd.channel("t", "c")["depth"] == 0).then_some(())
    });
    let elapsed = start.elapsed();
    end(&mut command);
    written.expect("every message is taken");
    rate(messages, elapsed)
}

/// How long one look takes in seconds, the start of the command included.
fn stat(nsqd: &Nsqd) -> f64 {
    let address = format!("--nsqd-http-address={}", nsqd.http());
    let start = Instant::now();
    let output = nsq(&["stat", "--once", &address])
        .output()
        .expect("nsq can be started");
    let elapsed = start.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.matches("topic_").count() >= TOPICS, "topics in {text}");
    elapsed
}

fn nsq(words: &[&str]) -> Command {
    let mut command = Command::new(binary::nsq());
    command.args(words).stderr(Stdio::null());
    command
}

fn end(command: &mut Child) {
    command.kill().expect("a child can be killed");
    command.wait().expect("a child can be waited for");
}
