//! What TLS and compression leave of the speed of a connection. The client's own connection is at the other end, so both sides
//! do the work of each layer, on the same processors.

use std::fmt::Write as _;
use std::iter::repeat_n;
use std::time::Instant;

use client::connection::{ConnectOptions, Connection, ConnectionError, TlsMode, is_heartbeat};
use client::wire::{Command, Frame, NameRef, OK, put_publish_many};
use tests::certificates::Certificates;
use tests::daemon::Nsqd;
use tokio::runtime::Runtime;

use crate::{IN_MEMORY, median, print, rate};

const BODY_BYTES: usize = 1024;
const BATCH: usize = 100;
/// Messages are so much larger, and layers so much slower, that fewer will do.
const SHARE: usize = 4;
/// Commands sent and not yet confirmed.
const WINDOW: usize = 8;
/// Bytes of commands which wait to be sent before more is encoded.
const UNSENT_BYTES_MAX: usize = 256 * 1024;
const IN_FLIGHT: u64 = 2500;
/// Each publish is kept in memory that is used again; what is consumed has to be there before.
const FORGOTTEN: &str = "transport#ephemeral";
const KEPT: &str = "transport";
const CHANNEL: &str = "channel";

/// Publishes, then consumes, a quarter of so many messages through each layer, in turn.
pub(crate) fn measure(messages: usize, runs: usize) {
    let messages = messages / SHARE / BATCH * BATCH;
    let certificates = Certificates::new();
    let mut flags = certificates.flags("server");
    flags.extend(["--snappy".to_owned(), "--deflate".to_owned()]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let layers = layers(&certificates);
    let runtime = Runtime::new().expect("a runtime can be made");
    for (name, run, more_flags) in [
        ("publish", publish_once as Run, &[][..]),
        ("consume", consume_once, IN_MEMORY),
    ] {
        let flags = [&flags[..], more_flags].concat();
        let mut rates = vec![Vec::new(); layers.len()];
        for _ in 0..runs {
            for ((_, options), rates) in layers.iter().zip(&mut rates) {
                let nsqd = Nsqd::start(&flags);
                rates.push(run(&runtime, &nsqd, options, messages));
            }
        }
        let rates: Vec<f64> = rates.into_iter().map(median).collect();
        for ((layer, _), rate) in layers.iter().zip(&rates) {
            print(&format!("{name}, {layer}: messages"), *rate, "/s");
            print(
                &format!("{name}, {layer}: speed, beside plain"),
                rate / rates[0],
                "",
            );
        }
    }
}

/// Measures messages per second through a connection with these options.
type Run = fn(&Runtime, &Nsqd, &ConnectOptions, usize) -> f64;

/// What is measured, from the plain connection that the others are compared with.
fn layers(certificates: &Certificates) -> [(&'static str, ConnectOptions); 5] {
    let client = certificates.client(None).build();
    let tls = TlsMode::Require(client.expect("the certificates are valid").into());
    let [plain, mut secret, mut snappy, mut deflate, mut both] =
        std::array::from_fn(|_| ConnectOptions::default());
    secret.tls = tls.clone();
    snappy.identify.snappy = Some(true);
    deflate.identify.deflate = Some(true);
    (both.tls, both.identify.snappy) = (tls, Some(true));
    [
        ("plain", plain),
        ("TLS 1.3", secret),
        ("snappy", snappy),
        ("deflate", deflate),
        ("TLS 1.3 and snappy", both),
    ]
}

fn publish_once(runtime: &Runtime, nsqd: &Nsqd, options: &ConnectOptions, messages: usize) -> f64 {
    runtime.block_on(async {
        let connection = connect(nsqd, options).await;
        let start = Instant::now();
        let published = publish(connection, FORGOTTEN, messages / BATCH).await;
        published.expect("every publish is answered with OK");
        rate(messages, start.elapsed())
    })
}

fn consume_once(runtime: &Runtime, nsqd: &Nsqd, options: &ConnectOptions, messages: usize) -> f64 {
    nsqd.act(&format!("/topic/create?topic={KEPT}"));
    nsqd.act(&format!("/channel/create?topic={KEPT}&channel={CHANNEL}"));
    runtime.block_on(async {
        let plain = connect(nsqd, &ConnectOptions::default()).await;
        let published = publish(plain, KEPT, messages / BATCH).await;
        published.expect("every publish is answered with OK");
        let connection = connect(nsqd, options).await;
        let start = Instant::now();
        let consumed = consume(connection, messages).await;
        consumed.expect("every message is delivered");
        rate(messages, start.elapsed())
    })
}

async fn connect(nsqd: &Nsqd, options: &ConnectOptions) -> Connection {
    let address = nsqd.tcp().to_string();
    let address = address.parse().expect("nsqd listens on an address");
    let connection = Connection::connect(&address, options).await;
    connection.expect("nsqd offers every layer")
}

async fn publish(
    connection: Connection,
    topic: &str,
    commands: usize,
) -> Result<(), ConnectionError> {
    let mut command = Vec::new();
    let bodies = bodies();
    let bodies = bodies.iter().map(String::as_bytes);
    put_publish_many(&mut command, name(topic), bodies);
    let (mut reader, mut writer) = connection.split();
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < commands {
        let more = WINDOW.min(commands - confirmed) - (sent - confirmed);
        for next in repeat_n(&command, more) {
            if writer.unsent_bytes() > UNSENT_BYTES_MAX {
                break;
            }
            writer.write_encoded(next);
            sent += 1;
        }
        tokio::select! {
            received = reader.receive() => received?,
            flushed = writer.flush(), if writer.unsent_bytes() > 0 => flushed?,
        }
        while let Some(frame) = reader.received_frame()? {
            match frame {
                Frame::Response(data) if *data == *OK => confirmed += 1,
                frame if is_heartbeat(&frame) => writer.write(&Command::Nop),
                frame => panic!("a publish was answered with {frame:?}"),
            }
        }
    }
    Ok(())
}

/// Finishes every message, with one write for all that came together.
async fn consume(mut connection: Connection, messages: usize) -> Result<(), ConnectionError> {
    connection.subscribe(name(KEPT), name(CHANNEL)).await?;
    let ready = Command::Ready { count: IN_FLIGHT };
    connection.writer().write(&ready);
    for _ in 0..messages {
        match connection.next_frame().await? {
            Frame::Message(message) => {
                let finish = Command::Finish { id: message.id };
                connection.writer().write(&finish);
            }
            frame => panic!("nsqd says {frame:?}"),
        }
    }
    // A publish is answered after the last FIN was handled.
    let (topic, body) = (name(FORGOTTEN), b".");
    let last = Command::Publish { topic, body };
    connection.request(&last).await.map(drop)
}

/// Lines of a log, in which some things differ from line to line.
fn bodies() -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(1);
    let body = |_| {
        let mut body = String::new();
        while body.len() < BODY_BYTES {
            let (order, host, ms) = (random.u32(..), random.u8(..32), random.u16(..1000));
            write!(
                body,
                r#"{{"level":"info","host":"web-{host:02}","path":"/orders/{order}","status":200,"took_ms":{ms}}} "#
            )
            .expect("a String takes everything");
        }
        body.truncate(BODY_BYTES);
        body
    };
    (0..BATCH).map(body).collect()
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::parse(text.as_bytes()).expect("the name is valid")
}
