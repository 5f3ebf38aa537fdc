//! What steady traffic allocates: nothing for a message, on its way from publish to finish.
//!
//! The daemon runs on one thread, whose allocations are counted; the clients are plain sockets on another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use client::daemon::{flags, log};
use client::wire::{BODY_AT, BatchBuf, Command, ID_AT, MAGIC_V2, MessageId, NameRef};
use nsqd::options::DAEMON;
use nsqd::{Daemon, Flags, Options};
use tokio::sync::oneshot;

const BODY: &[u8] = &[b'x'; 200];
const BATCH: usize = 200;
const ROUNDS: usize = 200;
const TOPIC: &str = "orders";
/// `OK` as a frame.
const OK_BYTES: usize = 10;

/// How a batch is published.
#[derive(Debug, Clone, Copy)]
enum Publish {
    Singles,
    Batch,
}

#[test]
fn steady_traffic_allocates_nothing_per_message() {
    let folder = tempfile::tempdir().unwrap();
    let data_path = format!("--data-path={}", folder.path().display());
    let words = [
        "nsqd",
        "--tcp-address=127.0.0.1:0",
        "--http-address=",
        &data_path,
    ];
    let flags: Flags = flags::parse(&DAEMON, words.map(Into::into)).ok().unwrap();
    let options = Options::check(flags).unwrap();
    let log = log::init("", options.log_level);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let daemon = runtime.block_on(Daemon::start(options, log)).unwrap();

    for publish in [Publish::Singles, Publish::Batch] {
        let address = daemon.tcp_address().to_owned();
        let (warm, warmed) = oneshot::channel();
        let (go, gone) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let clients = thread::spawn(move || {
            let mut clients = Clients::connect(&address);
            clients.run(publish);
            warm.send(()).unwrap();
            gone.recv().unwrap();
            clients.run(publish);
            end.send(()).unwrap();
        });
        runtime.block_on(warmed).unwrap();
        go.send(()).unwrap();
        let counted = allocation_counter::measure(|| runtime.block_on(ended).unwrap());
        clients.join().unwrap();
        let messages = (ROUNDS * BATCH) as u64;
        let allocations = counted.count_total;
        assert!(
            allocations * 100 < messages,
            "{publish:?}: {allocations} allocations for {messages} messages"
        );
    }
    runtime.block_on(daemon.stop()).unwrap();
}

/// One that publishes, and one that consumes.
struct Clients {
    producer: TcpStream,
    consumer: TcpStream,
    buffer: Vec<u8>,
}

impl Clients {
    fn connect(address: &str) -> Self {
        let [producer, mut consumer] = [(); 2].map(|()| {
            let mut stream = TcpStream::connect(address).expect("nsqd listens");
            stream.write_all(&MAGIC_V2).expect("nsqd is there");
            stream
        });
        let (topic, channel) = (name(TOPIC), name("archive"));
        send(&mut consumer, &[Command::Subscribe { topic, channel }]);
        let mut clients = Self {
            producer,
            consumer,
            buffer: Vec::new(),
        };
        receive(&mut clients.consumer, &mut clients.buffer, OK_BYTES);
        send(&mut clients.consumer, &[Command::Ready { count: 2500 }]);
        clients
    }

    fn run(&mut self, publish: Publish) {
        let batch: BatchBuf = [BODY; BATCH].into_iter().collect();
        let topic = name(TOPIC);
        for _ in 0..ROUNDS {
            let answers = match publish {
                Publish::Singles => {
                    send(
                        &mut self.producer,
                        &[Command::Publish { topic, body: BODY }; BATCH],
                    );
                    BATCH
                }
                Publish::Batch => {
                    let batch = batch.as_batch();
                    send(&mut self.producer, &[Command::PublishMany { topic, batch }]);
                    1
                }
            };
            receive(&mut self.producer, &mut self.buffer, answers * OK_BYTES);
            self.consume();
        }
    }

    /// Finishes what one batch brings.
    fn consume(&mut self) {
        let frame_bytes = BODY_AT + BODY.len();
        receive(&mut self.consumer, &mut self.buffer, BATCH * frame_bytes);
        let frames = self.buffer.chunks_exact(frame_bytes);
        let finishes: Vec<_> = frames
            .map(|frame| Command::Finish { id: id_of(frame) })
            .collect();
        send(&mut self.consumer, &finishes);
    }
}

fn id_of(frame: &[u8]) -> MessageId {
    let id = frame[ID_AT..BODY_AT]
        .try_into()
        .expect("an id has its length");
    MessageId::from_bytes(id)
}

fn name(text: &str) -> NameRef<'_> {
    NameRef::parse(text.as_bytes()).expect("the name is valid")
}

fn send(stream: &mut TcpStream, commands: &[Command<'_>]) {
    let mut bytes = Vec::new();
    for command in commands {
        command.encode(&mut bytes);
    }
    stream.write_all(&bytes).expect("nsqd takes commands");
}

fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>, count: usize) {
    buffer.resize(count, 0);
    stream.read_exact(buffer).expect("nsqd answers");
}
