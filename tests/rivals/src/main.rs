//! Measures nsqd side by side with what people would pick instead: NATS, JetStream, Redis Streams, or another NSQ daemon.

use clap::Parser;

#[derive(Parser)]
#[command(about = "Measures nsqd side by side with NATS, JetStream and Redis Streams")]
struct Arguments {}

fn main() {
    Arguments::parse();
}
