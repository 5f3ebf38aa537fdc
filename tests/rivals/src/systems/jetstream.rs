//! `JetStream` of NATS: streams in files, durable pull consumers, explicit acks.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{ContextBuilder, PublishError};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, StorageType};
use async_nats::jetstream::{Context, Message};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use super::nats::{connect, start_server};
use super::server::{Folder, Server};
use super::{Grouping, MAX_IN_FLIGHT};
use crate::error::Error;

/// Publishes of one connection that may wait for their acks: more than any workload has.
const UNCONFIRMED_MAX: usize = 1 << 16;

/// A running nats-server with `JetStream`.
#[derive(Debug)]
pub(crate) struct JetStream {
    server: Server,
    program: PathBuf,
    /// For what is not measured: streams and consumers.
    context: Context,
}

impl JetStream {
    /// Starts the program with its data in the folder.
    pub(crate) async fn start(program: &Path, folder: Folder) -> Result<Self, Error> {
        let store = format!("--store_dir={}", folder.data().display());
        let flags = ["--jetstream".to_owned(), store];
        let server = start_server(program, &flags, folder).await?;
        Ok(Self {
            context: context(&server).await?,
            server,
            program: program.to_owned(),
        })
    }
}

async fn context(server: &Server) -> Result<Context, Error> {
    let client = connect(server).await?;
    let builder = ContextBuilder::new().max_ack_inflight(UNCONFIRMED_MAX);
    Ok(builder.build(client))
}

impl super::System for JetStream {
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

    async fn create(&self, topic: &str, channels: &[String]) -> Result<(), Error> {
        let config = Config {
            name: topic.to_owned(),
            subjects: vec![topic.to_owned()],
            storage: StorageType::File,
            ..Config::default()
        };
        let created = self.context.create_stream(config).await;
        let stream = created.map_err(Error::client("create a stream"))?;
        for channel in channels {
            let config = pull::Config {
                durable_name: Some(channel.clone()),
                ack_policy: AckPolicy::Explicit,
                max_ack_pending: i64::try_from(MAX_IN_FLIGHT).expect("a small number"),
                ..pull::Config::default()
            };
            let created = stream.create_consumer(config).await;
            created.map_err(Error::client("create a consumer"))?;
        }
        Ok(())
    }

    async fn producer(&self, topic: &str) -> Result<Producer, Error> {
        Ok(Producer {
            context: context(&self.server).await?,
            topic: topic.to_owned(),
            unconfirmed: VecDeque::new(),
        })
    }

    async fn consumer(&self, topic: &str, channel: &str) -> Result<Consumer, Error> {
        let context = context(&self.server).await?;
        let found = context.get_consumer_from_stream(channel, topic).await;
        let consumer: async_nats::jetstream::consumer::PullConsumer =
            found.map_err(Error::client("find a consumer"))?;
        let messages = consumer.stream().max_messages_per_batch(MAX_IN_FLIGHT);
        let messages = messages.messages().await;
        Ok(Consumer {
            messages: messages.map_err(Error::client("pull"))?,
        })
    }
}

/// A connection that publishes asynchronously.
pub(crate) struct Producer {
    context: Context,
    topic: String,
    /// The acks of each batch, the oldest first.
    unconfirmed: VecDeque<VecDeque<Ack>>,
}

type Ack = BoxFuture<'static, Result<PublishAck, PublishError>>;

impl super::Producer for Producer {
    type Batch = Vec<Bytes>;

    fn batch(&self, bodies: &[Bytes], _grouping: Grouping) -> Vec<Bytes> {
        bodies.to_vec()
    }

    async fn send(&mut self, batch: &Vec<Bytes>) -> Result<(), Error> {
        let mut acks = VecDeque::with_capacity(batch.len());
        for body in batch {
            let published = self.context.publish(self.topic.clone(), body.clone()).await;
            let ack = published.map_err(Error::client("publish"))?;
            acks.push_back(ack.into_future().boxed());
        }
        self.unconfirmed.push_back(acks);
        Ok(())
    }

    async fn confirmed(&mut self) -> Result<(), Error> {
        let oldest = self.unconfirmed.front_mut();
        let acks = oldest.ok_or_else(|| Error::Unexpected("nothing to confirm".to_owned()))?;
        while let Some(ack) = acks.front_mut() {
            ack.await.map_err(Error::client("wait for an ack"))?;
            acks.pop_front();
        }
        self.unconfirmed.pop_front();
        Ok(())
    }
}

/// A durable pull consumer.
pub(crate) struct Consumer {
    messages: pull::Stream,
}

impl super::Consumer for Consumer {
    async fn receive(&mut self, see: &mut (impl FnMut(&[u8]) + Send)) -> Result<usize, Error> {
        let mut next = self.messages.next().await;
        let mut count = 0;
        loop {
            let closed = || Error::Unexpected("the consumer was closed".to_owned());
            let message: Message = next.ok_or_else(closed)?.map_err(Error::client("receive"))?;
            see(&message.payload);
            count += 1;
            message.ack().await.map_err(Error::client("ack"))?;
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
