//! NATS core, which keeps nothing: who is not subscribed misses it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use super::server::{Folder, Launch, Server, free_address};
use super::{Grouping, MAX_IN_FLIGHT};
use crate::error::Error;

/// Messages that the client library holds for a subscriber before it drops any: more than a workload has on the way.
const SUBSCRIPTION_CAPACITY: usize = 1 << 21;

/// A running nats-server.
#[derive(Debug)]
pub(crate) struct Nats {
    server: Server,
    program: PathBuf,
}

impl Nats {
    /// Starts the program without `JetStream`.
    pub(crate) async fn start(program: &Path, folder: Folder) -> Result<Self, Error> {
        Ok(Self {
            server: start_server(program, &[], folder).await?,
            program: program.to_owned(),
        })
    }
}

/// Starts a nats-server with these flags.
pub(super) async fn start_server(
    program: &Path,
    flags: &[String],
    folder: Folder,
) -> Result<Server, Error> {
    let address = free_address()?;
    let mut arguments = vec![
        format!("--addr={}", address.ip()),
        format!("--port={}", address.port()),
    ];
    arguments.extend_from_slice(flags);
    let launch = Launch {
        program: program.to_owned(),
        arguments,
        address,
    };
    Server::start(launch, folder).await
}

/// Connects its own connection; the library shares one between clones only.
pub(super) async fn connect(server: &Server) -> Result<Client, Error> {
    let options = ConnectOptions::new().subscription_capacity(SUBSCRIPTION_CAPACITY);
    let connected = options.connect(server.address().to_string()).await;
    connected.map_err(Error::client("connect to nats-server"))
}

impl super::System for Nats {
    type Producer = Producer;
    type Consumer = Consumer;

    fn server(&self) -> &Server {
        &self.server
    }

    async fn restart(self) -> Result<(Self, Duration), Error> {
        let folder = self.server.stop().await?;
        let start = Instant::now();
        let system = Self::start(&self.program, folder).await?;
        Ok((system, start.elapsed()))
    }

    async fn create(&self, _topic: &str, _channels: &[String]) -> Result<(), Error> {
        Ok(())
    }

    async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        let client = connect(&self.server).await?;
        let inbox = client.new_inbox();
        let marks = client.subscribe(inbox.clone()).await;
        Ok(Producer {
            marks: marks.map_err(Error::client("subscribe to an inbox"))?,
            client,
            topic: topic.to_owned(),
            inbox,
        })
    }

    async fn consumer(&self, topic: &str, channel: &str) -> Result<Consumer, Error> {
        let client = connect(&self.server).await?;
        let subscribed = client.queue_subscribe(topic.to_owned(), channel.to_owned());
        let messages = subscribed.await.map_err(Error::client("subscribe"))?;
        client.flush().await.map_err(Error::client("subscribe"))?;
        Ok(Consumer {
            _client: client,
            messages,
        })
    }
}

/// A connection that publishes, and hears its own marks behind the messages that it sent.
#[derive(Debug)]
pub(crate) struct Producer {
    client: Client,
    topic: String,
    inbox: String,
    marks: Subscriber,
}

impl super::Producer for Producer {
    type Batch = Vec<Bytes>;

    fn batch(&self, bodies: &[Bytes], _grouping: Grouping) -> Vec<Bytes> {
        bodies.to_vec()
    }

    async fn send(&mut self, batch: &Vec<Bytes>) -> Result<(), Error> {
        for body in batch {
            let published = self.client.publish(self.topic.clone(), body.clone()).await;
            published.map_err(Error::client("publish"))?;
        }
        let marked = self.client.publish(self.inbox.clone(), Bytes::new()).await;
        marked.map_err(Error::client("publish a mark"))
    }

    async fn confirmed(&mut self) -> Result<(), Error> {
        let mark = self.marks.next().await;
        mark.map(drop).ok_or_else(closed)
    }
}

/// A subscription.
#[derive(Debug)]
pub(crate) struct Consumer {
    /// Its connection lives as long as it.
    _client: Client,
    messages: Subscriber,
}

impl super::Consumer for Consumer {
    async fn receive(&mut self, see: &mut (impl FnMut(&[u8]) + Send)) -> Result<usize, Error> {
        let mut next = self.messages.next().await;
        let mut count = 0;
        loop {
            see(&next.ok_or_else(closed)?.payload);
            count += 1;
            if count == MAX_IN_FLIGHT {
                return Ok(count);
            }
            match self.messages.next().now_or_never() {
                Some(message) => next = message,
                None => return Ok(count),
            }
        }
    }
}

fn closed() -> Error {
    Error::Unexpected("nats-server closed the connection".to_owned())
}
